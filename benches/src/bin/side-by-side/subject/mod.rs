//! What is measured.

mod bare;
mod strongswan;
mod tidegate;
mod wireguard;

pub(crate) use tidegate::Settings;

use std::path::PathBuf;
use std::process::Command;
use tidegate_benches::lab::{Lab, Running};

/// The MTU inside every tunnel.
const MTU: usize = 1400;
/// Where the others' packets go, as Tidegate's do to 4500.
const PORT: u16 = 4500;
/// What a tunnel's device is called, where the program leaves us the choice.
const DEVICE: &str = "tide0";

/// A kind of tunnel, and the program that makes it.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    /// What version the program says it is; nothing where it is of this repository.
    pub(crate) version: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The daemon with AES-128-GCM.
    Tidegate,
    /// The daemon with ChaCha20-Poly1305.
    TidegateChaCha,
    /// The daemon without offloads of the device.
    TidegatePlain,
    /// A loop between TUN and UDP with AES-128-GCM, which `--aead` says.
    BareAead,
    /// The same without a cipher: PROGRAM TUN LOCAL:PORT REMOTE:PORT.
    Bare,
    /// WireGuard in userspace.
    WireGuardGo,
    /// charon with ESP in userspace.
    StrongSwan,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Tidegate,
        Self::TidegateChaCha,
        Self::TidegatePlain,
        Self::BareAead,
        Self::Bare,
        Self::WireGuardGo,
        Self::StrongSwan,
    ];

    /// On the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate",
            Self::TidegateChaCha => "tidegate-chacha",
            Self::TidegatePlain => "tidegate-plain",
            Self::BareAead => "bare-aead",
            Self::Bare => "bare",
            Self::WireGuardGo => "wireguard-go",
            Self::StrongSwan => "strongswan",
        }
    }

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Tidegate => "Tidegate",
            Self::TidegateChaCha => "Tidegate, ChaCha20",
            Self::TidegatePlain => "Tidegate, no offload",
            Self::BareAead => "bare loop, AES-GCM",
            Self::Bare => "bare loop, no cipher",
            Self::WireGuardGo => "wireguard-go",
            Self::StrongSwan => "strongSwan libipsec",
        }
    }

    pub(crate) fn is_tidegate(self) -> bool {
        matches!(self, Self::Tidegate | Self::TidegateChaCha | Self::TidegatePlain)
    }
}

impl Subject {
    /// Starts programs at both ends. They are ready when something comes through.
    pub(crate) fn start(&self, lab: &Lab) -> Result<Running, String> {
        let settings = Settings::default();
        match self.kind {
            Kind::Tidegate => self.start_tidegate(lab, &settings),
            Kind::TidegateChaCha => {
                self.start_tidegate(lab, &Settings { suite: "chacha20poly1305", ..settings })
            }
            Kind::TidegatePlain => self.start_tidegate(lab, &Settings { offload: false, ..settings }),
            Kind::BareAead => bare::start(lab, &self.program, &["--aead"]),
            Kind::Bare => bare::start(lab, &self.program, &[]),
            Kind::WireGuardGo => wireguard::start(lab, &self.program),
            Kind::StrongSwan => strongswan::start(lab, &self.program),
        }
    }

    /// Starts the daemon as it is wanted for once.
    pub(crate) fn start_tidegate(&self, lab: &Lab, settings: &Settings) -> Result<Running, String> {
        tidegate::start(lab, &self.program, settings)
    }
}

/// Has a program run with a `/run` of its own: there it keeps files whose names we cannot choose.
fn with_own_run(before: &str, program: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("mount -t tmpfs tmpfs /run && {before} exec \"$0\" \"$@\""));
    command.arg(program).args(arguments);
    command
}
