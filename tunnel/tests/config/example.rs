//! `tidegate.example.toml` says the truth.

use super::support::{Folder, pki};
use std::collections::BTreeSet;
use std::num::NonZero;
use tidegate::config::{Configuration, Offload, SECTIONS};
use tidegate::driver::packets::{Pinning, Threads};
use tidegate::mesh::Named;
use toml::{Table, Value};

const EXAMPLE: &str = include_str!("../../tidegate.example.toml");

/// A folder with all that the example names.
fn folder() -> Folder {
    let folder = Folder::with_files();
    folder.copy("moon.pem", "edge-1.pem");
    folder.write_secret("edge-1.key", &pki("moon.key"));
    folder.copy("moon.pem", "office.pem");
    folder.write_secret("office.key", &pki("moon.key"));
    folder.copy("root.pem", "office-ca.pem");
    folder.write_secret("office.psk", "known to both");
    folder.write_secret("edge-2.psk", "known to both");
    folder
}

#[derive(Clone, Copy, PartialEq)]
enum Uncomment {
    /// What is shown as a default.
    Defaults,
    /// Everything that is no prose.
    All,
}

fn uncommented(what: Uncomment) -> String {
    let line = |line: &'static str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|first: char| first.is_ascii_lowercase()) => {
            let shown = what == Uncomment::All || !line.ends_with("# example");
            if shown { key } else { line }
        }
        _ => line,
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Keys by their path, with all tables of a kind taken together.
fn keys(path: &str, table: &Table, into: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(table) => keys(&path, table, into),
            Value::Array(items) => {
                items.iter().filter_map(Value::as_table).for_each(|it| keys(&path, it, into));
            }
            _ => {}
        }
        into.insert(path);
    }
}

#[test]
fn it_is_a_configuration() {
    let configuration = folder().load(EXAMPLE);
    let names: Vec<&str> = configuration.connections.iter().map(|it| &**it.name()).collect();
    assert_eq!(names, ["cloud", "edge-2", "office"]);
    assert_eq!(configuration.mesh.node.name, "edge-1");
    let relayed = "10.3.0.0/24".parse::<tidegate_esp::TrafficSelector>().expect("a prefix").addresses;
    let link = configuration.connections[0].link().expect("the mesh made it");
    assert!(link.children[0].remote.contains(&relayed), "edge-3 is reached via the cloud");
}

#[test]
fn every_key_is_documented_and_every_documented_key_is_known() {
    let mut documented = BTreeSet::new();
    keys("", &uncommented(Uncomment::All).parse().expect("TOML"), &mut documented);
    let path = |section: &str, key: &str| match section {
        "" => key.to_owned(),
        section => format!("{section}.{key}"),
    };
    let known = SECTIONS.iter().flat_map(|section| section.keys.iter().map(|key| path(section.path, key)));
    assert_eq!(documented, known.collect());
}

#[test]
fn its_defaults_are_the_defaults() {
    let folder = folder();
    let short = folder.load(EXAMPLE);
    let long = folder.load(&uncommented(Uncomment::Defaults));
    assert_ne!(EXAMPLE, uncommented(Uncomment::Defaults));
    assert_eq!(short.node, long.node);
    assert_eq!(short.mesh, long.mesh);
    assert_eq!(short.pools, long.pools);
    for (short, long) in short.connections.iter().zip(&long.connections) {
        assert_eq!(format!("{:?}", short.connection()), format!("{:?}", long.connection()));
    }
    assert!(long.changes_since(&short).is_empty());
}

#[test]
fn its_examples_work() {
    let text = uncommented(Uncomment::All);
    // One of the two ways to prove oneself has to go.
    let text = text.replace("\npsk_file = \"office.psk\"", "\n#");
    let configuration = folder().load(&text);
    assert_eq!(configuration.node.metrics, Some("127.0.0.1:9464".parse().expect("an address")));
    assert_eq!(configuration.node.device.mtu, 1500);
    assert_eq!(configuration.node.device.offload, Offload::On);
    let two = NonZero::new(2).expect("a number");
    assert_eq!(configuration.node.threads, Threads::Several { out: two, into: two });
}

#[test]
fn threads_are_pinned_where_that_is_asked_for() {
    let pinning = |line: &str| folder().load(&EXAMPLE.replace("#pin = false", line)).node.pinning;
    assert_eq!(pinning("pin = false"), Pinning::None);
    assert_eq!(pinning("pin = true"), Pinning::InOrder);
    assert_eq!(pinning("pin = [0, 2]"), Pinning::Cores(vec![0, 2]));
}

#[test]
fn it_names_every_file_that_it_was_read_from() {
    let folder = folder();
    let Configuration { files, .. } = folder.load(EXAMPLE);
    for name in ["tidegate.toml", "edge-1.pem", "edge-1.key", "ca.pem", "office.psk"] {
        assert!(files.contains(&folder.path(name)), "{name}");
    }
}
