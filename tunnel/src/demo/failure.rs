//! What went wrong, and where.

use crate::driver::StartError;
use crate::manager::Error;
use crate::pki::PkiError;
use std::fmt;

/// A step that failed, and why.
#[derive(Debug)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// Why.
    pub cause: Cause,
}

/// What the demonstration does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Says who is who.
    Identities,
    /// Starts the nodes.
    Start,
    /// Brings tunnels up.
    Negotiate,
    /// Fetches pages through them.
    Page,
    /// Moves bytes through one.
    Transfer,
    /// Replaces its keys.
    Rekey,
    /// Times a start.
    FirstPacket,
    /// Writes the account.
    Report,
}

/// Why a step failed.
#[derive(Debug)]
pub enum Cause {
    /// A manager did not start.
    Start(StartError),
    /// A manager did not do what it was asked.
    Manager(Error),
    /// A socket, inside or outside, did not.
    Io(std::io::Error),
    /// It took too long.
    TooLong,
    /// A task ended before its time.
    Task(tokio::task::JoinError),
    /// A page is not the one that was asked for.
    WrongPage(String),
    /// The checksum of so many bytes is wrong.
    WrongBytes(u64),
    /// Keys are what they were.
    SameKeys,
    /// A tunnel is missing from the status.
    NoTunnel,
    /// No certificate could be made.
    Pki(PkiError),
    /// What was made of it is of no use.
    Identity,
}

/// Says at which step an error came up.
pub(super) trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T, E: Into<Cause>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|cause| Failure { step, cause: cause.into() })
    }
}

impl Failure {
    pub(super) fn no_nodes() -> Self {
        Self { step: Step::Identities, cause: Cause::Identity }
    }
}

impl From<StartError> for Cause {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<PkiError> for Cause {
    fn from(error: PkiError) -> Self {
        Self::Pki(error)
    }
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        Self::Manager(error)
    }
}

impl From<std::io::Error> for Cause {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<tokio::time::error::Elapsed> for Cause {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::TooLong
    }
}

impl From<tokio::task::JoinError> for Cause {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Task(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            Step::Identities => "making identities",
            Step::Start => "starting nodes",
            Step::Negotiate => "negotiating",
            Step::Page => "fetching a page",
            Step::Transfer => "moving bytes",
            Step::Rekey => "replacing keys",
            Step::FirstPacket => "timing a start",
            Step::Report => "writing the account",
        };
        write!(f, "{step} failed: {}", self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Manager(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::TooLong => f.write_str("it took too long"),
            Self::Task(error) => error.fmt(f),
            Self::WrongPage(page) => write!(f, "the page reads {page:?}"),
            Self::WrongBytes(count) => write!(f, "the checksum of {count} bytes is wrong"),
            Self::SameKeys => f.write_str("the keys are what they were"),
            Self::NoTunnel => f.write_str("a tunnel is not there"),
            Self::Pki(error) => error.fmt(f),
            Self::Identity => f.write_str("there is no identity for a node"),
        }
    }
}

impl std::error::Error for Failure {}
