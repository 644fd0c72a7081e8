//! `swanctl` of a newer Debian than this one, with all that it needs, in a folder of its own.

use crate::support::process::run;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SUITE: &str = "trixie";
/// What `swanctl` is in, and the libraries that it is linked to, directly or not.
const PACKAGES: [&str; 10] = [
    "strongswan-swanctl",
    "libstrongswan",
    "libstrongswan-standard-plugins",
    "libc6",
    "libgcc-s1",
    "libssl3t64",
    "libsystemd0",
    "libcap2",
    "libzstd1",
    "zlib1g",
];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Has it see the world from its own root, with the cases' folders where they are outside.
const SCRIPT: &str = "mkdir -p \"$0$1\" \"$0/dev\" && mount --bind \"$1\" \"$0$1\" && mount --bind /dev \"$0/dev\" \
                      && shift && exec chroot \"$0\" /usr/sbin/swanctl \"$@\"";

/// The program; arguments may follow.
pub(crate) fn swanctl() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT]).arg(root()).arg(env::temp_dir());
    command
}

/// Whether it can be had: as it is, or from Debian, once for all runs.
pub(crate) fn is_available() -> bool {
    is_there() || fetch().is_some() && is_there()
}

fn is_there() -> bool {
    root().join("usr/sbin/swanctl").exists()
}

fn root() -> PathBuf {
    folder().join("root")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{SUITE}"))
}

fn fetch() -> Option<()> {
    let folder = folder();
    let _ = fs::remove_dir_all(&folder);
    for name in ["lists/partial", "cache/archives/partial", "debs"] {
        fs::create_dir_all(folder.join(name)).ok()?;
    }
    fs::write(folder.join("status"), "").ok()?;
    let source = format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main\n");
    fs::write(folder.join("sources.list"), source).ok()?;
    succeeds(apt(&folder).arg("update"))?;
    succeeds(apt(&folder).arg("download").args(PACKAGES).current_dir(folder.join("debs")))?;
    let unpacked = folder.join("unpacked");
    fs::create_dir(&unpacked).ok()?;
    for package in fs::read_dir(folder.join("debs")).ok()?.flatten() {
        run(Command::new("dpkg-deb").arg("-x").arg(package.path()).arg(&unpacked));
    }
    for name in ["lib", "lib64"] {
        symlink(Path::new("usr").join(name), unpacked.join(name)).ok()?;
    }
    let _ = (fs::remove_dir_all(folder.join("lists")), fs::remove_dir_all(folder.join("debs")));
    fs::rename(unpacked, folder.join("root")).ok()
}

/// `apt-get` that knows of nothing but this folder.
fn apt(folder: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let settings = [
        ("Dir::Etc::sourcelist", folder.join("sources.list")),
        ("Dir::Etc::sourceparts", "/nonexistent".into()),
        ("Dir::State", folder.to_owned()),
        ("Dir::State::lists", folder.join("lists")),
        ("Dir::State::status", folder.join("status")),
        ("Dir::Cache", folder.join("cache")),
        ("APT::Sandbox::User", "root".into()),
    ];
    for (key, value) in settings {
        command.arg("-o").arg(format!("{key}={}", value.display()));
    }
    command
}

fn succeeds(command: &mut Command) -> Option<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success()).then_some(())
}
