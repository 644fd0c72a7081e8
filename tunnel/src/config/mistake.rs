//! What is wrong with a configuration: where, what, and what to do about it.

use super::values::ValueFault;
use crate::mesh::MeshError;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use tidegate_ike::auth::{CertificateVerdict, LocalAuthError, RevocationListError};
use tidegate_ike::crypto::KeyError;
use tidegate_ike::crypto::pem::PemError;

/// All that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistakes {
    /// In the order of the file.
    pub all: Vec<Mistake>,
    /// Every file and folder that was looked at: who changes one of them may have put it right.
    pub files: BTreeSet<PathBuf>,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub fault: Fault,
}

/// A place in a file, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The configuration itself cannot be read.
    Unreadable(FileFault),
    /// It is no TOML.
    Syntax(String),
    /// A key that means nothing.
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        section: &'static str,
        /// What may stand there.
        known: &'static [&'static str],
    },
    /// A value of the wrong kind.
    WrongType {
        /// Its key.
        key: String,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A key that cannot be left out.
    Missing {
        /// The key.
        key: &'static str,
        /// Where it should stand.
        section: &'static str,
        /// What it is needed for.
        reason: &'static str,
    },
    /// A value that cannot be understood.
    Value {
        /// Its key.
        key: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        fault: ValueFault,
    },
    /// A file that is of no use.
    File {
        /// The key that names it.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// Two keys of which one may stand.
    Exclusive {
        /// One key.
        one: &'static str,
        /// The other key.
        other: &'static str,
    },
    /// A name that was given before.
    Repeated {
        /// What it is a name of.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name of something that is not there.
    Unknown {
        /// What should be there.
        what: &'static str,
        /// The name.
        name: String,
        /// What is there.
        known: Vec<String>,
    },
    /// Nodes and communities that do not go together.
    Mesh(MeshError),
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It cannot be read.
    Io(std::io::ErrorKind),
    /// It is longer than anything that belongs here.
    TooLong,
    /// It is not UTF-8.
    NotText,
    /// Others than its owner may read it.
    Loose {
        /// Its permissions.
        mode: u32,
    },
    /// Everybody may write it.
    Open {
        /// Its permissions.
        mode: u32,
    },
    /// Its PEM text.
    Pem(PemError),
    /// Its private key.
    Key(KeyError),
    /// Its certificates.
    Certificate(Box<CertificateVerdict>),
    /// The certificate and its key.
    Pair(LocalAuthError),
    /// Its revocation list.
    RevocationList(RevocationListError),
    /// A shared secret that is empty or badly written.
    Secret,
}

impl Mistake {
    pub(super) fn in_file(file: &Path, fault: Fault) -> Self {
        Self { place: Place { file: file.to_owned(), line: 1, column: 1 }, fault }
    }
}

impl Fault {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable(fault) | Self::File { fault, .. } => fault.remedy().to_owned(),
            Self::Syntax(_) => "write it as TOML; tidegate.example.toml shows how".to_owned(),
            Self::UnknownKey { key, known, .. } => match nearest(key, known.iter().copied()) {
                Some(word) => format!("did you mean {word:?}?"),
                None => format!("known here are {}", known.join(", ")),
            },
            Self::WrongType { key, expected, .. } => format!("write {key} = {expected}"),
            Self::Missing { key, section, reason } => format!("add {key} to {section}: {reason}"),
            Self::Value { fault, value, .. } => fault.remedy(value),
            Self::Exclusive { one, other } => format!("keep either {one} or {other}"),
            Self::Repeated { .. } => "give each a name of its own".to_owned(),
            Self::Unknown { name, known, what } => match nearest(name, known.iter().map(String::as_str)) {
                Some(word) => format!("did you mean {word:?}?"),
                None if known.is_empty() => format!("add a [[{what}]] of that name"),
                None => format!("there are {}", known.join(", ")),
            },
            Self::Mesh(error) => mesh_remedy(error).to_owned(),
        }
    }
}

fn mesh_remedy(error: &MeshError) -> &'static str {
    match error {
        MeshError::NoName(_) => "give it a name",
        MeshError::SelfAmongPeers(_) => "take it out of the peers, or give [node] its own name",
        MeshError::DuplicateName { .. } => "give each node a name of its own",
        MeshError::DuplicateIdentity { .. } => "give each node an identity of its own, as in its certificate",
        MeshError::Overlap { .. } => "let each address be behind one node only",
        MeshError::DuplicateCommunity(_) => "join the two, or rename one",
        MeshError::UnknownMember { .. } => "add it as a [[peer]], or correct its name",
        MeshError::UnknownVia { .. } => {
            "name a [[peer]] with role = \"connector\", or this node if it is one"
        }
        MeshError::ViaEdge { .. } => "name a connector, or set its role to \"connector\"",
        MeshError::NowhereToGo { .. } => "give it addresses, as IP or DNS name",
    }
}

impl FileFault {
    fn remedy(&self) -> &'static str {
        match self {
            Self::Io(std::io::ErrorKind::NotFound) => {
                "correct the path, which starts from the folder of this file, or create it"
            }
            Self::Io(std::io::ErrorKind::PermissionDenied) => {
                "let the user that tidegate runs as read it; as root it reads what is root's or everybody's"
            }
            Self::Io(_) | Self::TooLong | Self::NotText => "name the right file",
            Self::Open { .. } => "chmod o-w it, after a look at what it says",
            Self::Loose { .. } => "chmod 600 it; in Kubernetes set the volume's defaultMode to 0400",
            Self::Pem(PemError::Encrypted) => {
                "store the key without a passphrase, readable by its owner only"
            }
            Self::Pem(_) => "name a PEM file that holds it",
            Self::Key(_) => "make a new one: `tidegate pki issue` makes keys that work",
            Self::Certificate(_) => "name a CA certificate",
            Self::Pair(LocalAuthError::KeyMismatch { .. }) => "name the key that belongs to the certificate",
            Self::Pair(_) => "name the node's own certificate, then its intermediates",
            Self::RevocationList(_) => "name a complete revocation list, PEM or DER",
            Self::Secret => "write text, hexadecimal digits behind 0x, or base64 behind 0s",
        }
    }
}

/// The word that a typing mistake may have made this one of.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let close = known.map(|known| (distance(&word, &known.to_lowercase()), known));
    let close = close.filter(|(distance, known)| *distance <= known.chars().count().div_ceil(3));
    close.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// Characters to add, drop or change (Levenshtein). A word too long to be one is far from all.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > 64 {
        return usize::MAX;
    }
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.chars().enumerate() {
        let mut left = at + 1;
        let mut next = vec![left];
        for (b, pair) in other.iter().zip(row.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(a != *b)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.all.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = &self.place;
        write!(f, "{}:{line}:{column}: {}; {}", file.display(), self.fault, self.fault.remedy())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(fault) => fault.fmt(f),
            Self::Syntax(message) => write!(f, "not TOML: {message}"),
            Self::UnknownKey { key, section, .. } => write!(f, "unknown key {key:?} in {section}"),
            Self::WrongType { key, found, .. } => write!(f, "{key} has a value of the wrong type, {found}"),
            Self::Missing { key, section, .. } => write!(f, "{section} has no {key}"),
            Self::Value { key, value, fault } => write!(f, "{key} = {value:?}: {fault}"),
            Self::File { key, path, fault } => write!(f, "{key}: {}: {fault}", path.display()),
            Self::Exclusive { one, other } => write!(f, "{one} and {other} exclude each other"),
            Self::Repeated { what, name } => write!(f, "there is another {what} {name:?}"),
            Self::Unknown { what, name, .. } => write!(f, "there is no {what} {name:?}"),
            Self::Mesh(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(kind) => write!(f, "{kind}"),
            Self::TooLong => f.write_str("longer than a mebibyte"),
            Self::NotText => f.write_str("not UTF-8"),
            Self::Open { mode } => write!(f, "everybody may write it (mode {mode:04o})"),
            Self::Loose { mode } => write!(f, "others may read this secret (mode {mode:04o})"),
            Self::Pem(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Certificate(verdict) => verdict.fmt(f),
            Self::Pair(error) => error.fmt(f),
            Self::RevocationList(error) => error.fmt(f),
            Self::Secret => f.write_str("no shared secret"),
        }
    }
}
