//! Connections that can be compared.

use super::files::Fingerprint;
use crate::connection::Connection;
use crate::mesh::{Credentials, Link, Named};
use std::sync::Arc;
use tidegate_ike::connection::EncapsulationPolicy;

/// A connection, and what tells it from another. Two are equal when a peer could see no difference: what is
/// written, and what the files hold.
#[derive(Clone, Debug)]
pub struct NamedConnection {
    source: Source,
    print: Fingerprint,
}

/// A connection is large where a connector passes packets on, so those of a mesh are made when asked for.
#[derive(Clone, Debug)]
enum Source {
    Mesh { link: Link, credentials: Arc<Credentials> },
    Written(Box<Connection>),
}

impl NamedConnection {
    pub(super) fn of_mesh(link: Link, credentials: Arc<Credentials>, print: Fingerprint) -> Self {
        Self { source: Source::Mesh { link, credentials }, print }
    }

    /// `auth` stands for what the connection's authentication is made of, which its own `Debug` leaves out;
    /// everything else is in there.
    pub(super) fn written(connection: Connection, auth: Fingerprint) -> Self {
        let text = format!("{connection:?}");
        let print = Fingerprint::of(&[text.as_bytes(), auth.bytes()]);
        Self { source: Source::Written(Box::new(connection)), print }
    }

    /// What to load.
    pub fn connection(&self) -> Connection {
        match &self.source {
            Source::Mesh { link, credentials } => link.connection(credentials),
            Source::Written(connection) => Connection::clone(connection),
        }
    }

    /// What surrounds its ESP.
    pub fn encapsulation(&self) -> EncapsulationPolicy {
        match &self.source {
            Source::Mesh { credentials, .. } => credentials.defaults.encapsulation,
            Source::Written(connection) => connection.ike.encapsulation,
        }
    }

    /// The link that it was made from, if it is one of the mesh.
    pub fn link(&self) -> Option<&Link> {
        match &self.source {
            Source::Mesh { link, .. } => Some(link),
            Source::Written(_) => None,
        }
    }
}

impl Named for NamedConnection {
    fn name(&self) -> &Arc<str> {
        match &self.source {
            Source::Mesh { link, .. } => &link.name,
            Source::Written(connection) => connection.name(),
        }
    }
}

impl PartialEq for NamedConnection {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.source, &other.source) {
            (Source::Mesh { link, credentials }, Source::Mesh { link: other, credentials: theirs }) => {
                link == other && credentials.defaults == theirs.defaults
            }
            (Source::Written(_), Source::Written(_)) => self.name() == other.name(),
            _ => false,
        };
        same && self.print == other.print
    }
}
