//! strongSwan's `swanctl.conf`, written from plain values.

use crate::support::certificates::Credentials;
use std::fmt::Write as _;
use std::path::PathBuf;

/// All that one `swanctl.conf` says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Swanctl {
    /// Connections.
    pub(crate) connections: Vec<SwanConnection>,
    /// Shared secrets, each with whose it is.
    pub(crate) secrets: Vec<(String, String)>,
    /// Pools, each with its addresses.
    pub(crate) pools: Vec<(String, String)>,
    /// Certificates to trust.
    pub(crate) authorities: Vec<PathBuf>,
    /// Own certificates.
    pub(crate) credentials: Vec<Credentials>,
}

/// A connection.
#[derive(Clone, Debug)]
pub(crate) struct SwanConnection {
    /// Its name.
    pub(crate) name: String,
    /// What holds for all of it: `mobike`, `dpd_delay`, and so on.
    pub(crate) options: Vec<(&'static str, String)>,
    /// What it proves itself with.
    pub(crate) local: Vec<(&'static str, String)>,
    /// What it wants of the peer.
    pub(crate) remote: Vec<(&'static str, String)>,
    /// Children.
    pub(crate) children: Vec<SwanChild>,
}

/// A child.
#[derive(Clone, Debug)]
pub(crate) struct SwanChild {
    /// Its name.
    pub(crate) name: String,
    /// What holds for it: `local_ts`, `esp_proposals`, and so on.
    pub(crate) options: Vec<(&'static str, String)>,
}

impl SwanConnection {
    /// Sets what holds for all of it.
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<String>) {
        set(&mut self.options, key, value);
    }

    /// Its only child.
    pub(crate) fn child(&mut self) -> &mut SwanChild {
        self.children.first_mut().expect("there is one")
    }
}

impl SwanChild {
    /// Sets what holds for it.
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<String>) {
        set(&mut self.options, key, value);
    }
}

/// Sets a value in place of the one of the same name.
pub(crate) fn set(options: &mut Vec<(&'static str, String)>, key: &'static str, value: impl Into<String>) {
    options.retain(|(existing, _)| *existing != key);
    options.push((key, value.into()));
}

impl Swanctl {
    /// Has it share its secret with one more.
    pub(crate) fn give_secret_to(&mut self, id: &str) {
        let (_, secret) = self.secrets.first().expect("there is one").clone();
        self.secrets.push((id.to_owned(), secret));
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let mut text = Text::default();
        text.section("connections", |text| {
            for connection in &self.connections {
                text.section(&connection.name, |text| write_connection(text, connection));
            }
        });
        text.section("secrets", |text| {
            for (number, (id, secret)) in self.secrets.iter().enumerate() {
                text.section(&format!("ike-{number}"), |text| {
                    text.value("id", id);
                    text.value("secret", &format!("\"{secret}\""));
                });
            }
        });
        text.section("pools", |text| {
            for (name, addresses) in &self.pools {
                text.section(name, |text| text.value("addrs", addresses));
            }
        });
        text.lines
    }
}

fn write_connection(text: &mut Text, connection: &SwanConnection) {
    text.values(&connection.options);
    text.section("local", |text| text.values(&connection.local));
    text.section("remote", |text| text.values(&connection.remote));
    text.section("children", |text| {
        for child in &connection.children {
            text.section(&child.name, |text| text.values(&child.options));
        }
    });
}

#[derive(Default)]
struct Text {
    lines: String,
    depth: usize,
}

impl Text {
    fn section(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.line(&format!("{name} {{"));
        self.depth += 1;
        content(self);
        self.depth -= 1;
        self.line("}");
    }

    fn values(&mut self, values: &[(&str, String)]) {
        for (key, value) in values {
            self.value(key, value);
        }
    }

    fn value(&mut self, key: &str, value: &str) {
        self.line(&format!("{key} = {value}"));
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.lines, "{:indent$}{line}", "", indent = self.depth * 4);
    }
}
