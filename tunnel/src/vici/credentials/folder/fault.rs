//! What is wrong with a file of charon's.

use super::LineFault;
use crate::config::FileFault;
use crate::vici::credentials::CredentialFault;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A file, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderFault {
    /// The file, or the folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The system does not let us.
    Io(io::ErrorKind),
    /// It is no file, or too long.
    File(FileFault),
    /// Others may read it.
    Loose {
        /// Its permissions.
        mode: u32,
    },
    /// A line of `ipsec.secrets` makes no sense.
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// A line of `ipsec.secrets` is for something that we do not do.
    Unsupported {
        /// Which, counted from 1.
        line: usize,
        /// For what.
        kind: &'static str,
    },
    /// What it holds is no good.
    Credential(CredentialFault),
    /// There are more files in a folder.
    TooManyFiles {
        /// As many are read.
        limit: usize,
    },
    /// Files include each other without end.
    TooManyIncludes,
    /// It cannot be read any more, so that what it said before still counts.
    Kept(Box<Self>),
}

impl FolderFault {
    /// Whether all goes on as it was meant.
    pub fn is_harmless(&self) -> bool {
        matches!(self.problem, Problem::Loose { .. } | Problem::Unsupported { .. })
    }
}

impl From<CredentialFault> for Problem {
    fn from(fault: CredentialFault) -> Self {
        Self::Credential(fault)
    }
}

impl fmt::Display for FolderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for FolderFault {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(kind) => write!(f, "{kind}"),
            Self::File(FileFault::Io(io::ErrorKind::InvalidInput)) => f.write_str("no file"),
            Self::File(fault) => fault.fmt(f),
            Self::Loose { mode } => {
                write!(f, "others than its owner can get at it (mode {mode:04o}): chmod 600 keeps them out")
            }
            Self::Line { line, fault } => write!(f, "line {line}: {fault}"),
            Self::Unsupported { line, kind } => {
                write!(f, "line {line}: {kind} is not supported, and left out")
            }
            Self::Credential(fault) => fault.fmt(f),
            Self::TooManyFiles { limit } => write!(f, "only the first {limit} files are read"),
            Self::TooManyIncludes => f.write_str("too many includes, one within the other or in all"),
            Self::Kept(problem) => write!(f, "{problem}; what it said before still counts"),
        }
    }
}
