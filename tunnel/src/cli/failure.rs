//! What went wrong, what can be done about it, and the exit code that says so.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tidegate::daemon::RunError;
use tidegate::pki::PkiError;
use tidegate::vici::ClientError;

/// Why a command was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody listens at the socket.
    Unreachable { path: PathBuf, error: io::Error },
    /// The daemon does not answer.
    Silent(Duration),
    /// The daemon is gone in the middle of it.
    Gone,
    /// The daemon has not done it.
    Client(ClientError),
    /// The daemon said something that we cannot read.
    Answer(serde_json::Error),
    /// A file cannot be read.
    Unreadable { path: PathBuf, error: io::Error },
    /// What is in a file is of no use.
    File { path: PathBuf, error: PkiError },
    /// No certificate was made.
    Pki(PkiError),
    /// A step of the demonstration went wrong.
    Demo(tidegate::demo::Failure),
    /// The daemon cannot run.
    Run(RunError),
    /// Something of this process.
    Io(io::Error),
    /// Nobody reads what we write: no failure in fact.
    Unread,
}

impl Failure {
    pub(super) fn unreachable(path: PathBuf, error: io::Error) -> Self {
        Self::Unreachable { path, error }
    }

    /// Tells the user.
    pub(super) fn report(&self) -> ExitCode {
        // There is nowhere left to complain to.
        let _ = writeln!(io::stderr().lock(), "tidegate: {self}");
        ExitCode::from(self.code())
    }

    /// 2 is for the command line itself, and given where it is read.
    const fn code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Silent(_) | Self::Gone => 3,
            Self::Client(_)
            | Self::Answer(_)
            | Self::Unreadable { .. }
            | Self::File { .. }
            | Self::Pki(_)
            | Self::Demo(_)
            | Self::Run(_)
            | Self::Io(_)
            | Self::Unread => 1,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Closed | ClientError::Io(_) => Self::Gone,
            other => Self::Client(other),
        }
    }
}

impl From<PkiError> for Failure {
    fn from(error: PkiError) -> Self {
        Self::Pki(error)
    }
}

impl From<tidegate::demo::Failure> for Failure {
    fn from(failure: tidegate::demo::Failure) -> Self {
        Self::Demo(failure)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Answer(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Unread } else { Self::Io(error) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { path, error } => {
                let path = path.display();
                match error.kind() {
                    io::ErrorKind::NotFound => write!(
                        f,
                        "there is no daemon at {path}: start one with `tidegate run --config FILE`, or say with \
                         --vici or TIDEGATE_VICI where it is"
                    ),
                    io::ErrorKind::ConnectionRefused => write!(
                        f,
                        "the daemon at {path} is gone, only its socket is left: start it again with `tidegate \
                         run --config FILE`"
                    ),
                    io::ErrorKind::PermissionDenied => write!(
                        f,
                        "{path} is for the daemon's user alone: try again as that user or as root, with sudo \
                         perhaps"
                    ),
                    _ => write!(f, "the daemon at {path} cannot be reached: {error}"),
                }
            }
            Self::Silent(time) => write!(f, "the daemon has not answered for {} s", time.as_secs()),
            Self::Gone => f.write_str("the daemon is gone"),
            Self::Unreadable { path, error } => write!(f, "{} cannot be read: {error}", path.display()),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Pki(error) => write!(f, "{error}"),
            Self::Client(error) => write!(f, "{error}"),
            Self::Answer(error) => write!(f, "the daemon's answer makes no sense: {error}"),
            Self::Demo(failure) => write!(f, "{failure}"),
            Self::Run(error) => write!(f, "{error}"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Unread => f.write_str("nobody reads the output"),
        }
    }
}

impl std::error::Error for Failure {}
