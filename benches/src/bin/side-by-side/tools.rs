//! Where the programs come from that are compared.
//!
//! Our own are built by the cargo that runs us, or taken from beside us. strongSwan has to be installed.
//! wireguard-go comes from Debian's testing release, as the one of stable has no offloads: apt fetches it and
//! checks it by Debian's keys, in a cache of ours, and it is unpacked there and not installed. What cannot be
//! had is left out, and said.

use crate::subject::{Kind, Subject};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tidegate_benches::lab::programs::ours;

/// The release after the newest one of which wireguard-go is taken.
const RELEASE: &str = "forky";
const MIRROR: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const CHARON: &str = "/usr/lib/ipsec/charon";

/// What is compared unless something else is asked for, and why the rest is missing.
pub(crate) fn usual_subjects() -> (Vec<Subject>, Vec<String>) {
    let kinds = [
        Kind::Tidegate,
        Kind::TidegateChaCha,
        Kind::BareAead,
        Kind::Bare,
        Kind::WireGuardGo,
        Kind::StrongSwan,
    ];
    let (mut subjects, mut missing) = (Vec::new(), Vec::new());
    for kind in kinds {
        match find(kind) {
            Ok(subject) => subjects.push(subject),
            Err(reason) => missing.push(format!("{} is left out: {reason}", kind.title())),
        }
    }
    (subjects, missing)
}

/// The program of a kind, made or fetched if it is not there.
pub(crate) fn find(kind: Kind) -> Result<Subject, String> {
    let (program, version) = match kind {
        Kind::Tidegate | Kind::TidegateChaCha | Kind::TidegatePlain => (ours("tidegate")?, None),
        Kind::BareAead | Kind::Bare => (ours("bare-loop")?, None),
        Kind::WireGuardGo => {
            let (program, version) = wireguard_go()?;
            (program, Some(version))
        }
        Kind::StrongSwan => (charon()?, debian_version("strongswan-charon")),
    };
    Ok(Subject { label: kind.title().to_owned(), kind, program, version })
}

fn charon() -> Result<PathBuf, String> {
    let program = PathBuf::from(CHARON);
    let plugin = Path::new("/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so");
    let found = program.exists() && plugin.exists() && run("swanctl", &["--help"]).is_ok();
    let packages = "strongswan-charon strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins";
    if found { Ok(program) } else { Err(format!("it takes apt-get install {packages}")) }
}

fn debian_version(package: &str) -> Option<String> {
    run("dpkg-query", &["--show", "--showformat=${Version}", package]).ok()
}

/// The program and its version.
fn wireguard_go() -> Result<(PathBuf, String), String> {
    let cache = cache()?.join("wireguard-go");
    let package = match packages(&cache).pop() {
        Some(package) => package,
        None => {
            download(&cache)?;
            packages(&cache).pop().ok_or("apt has fetched nothing")?
        }
    };
    let program = cache.join("usr/bin/wireguard-go");
    let shown = |path: &Path| path.display().to_string();
    if !program.exists() {
        run("dpkg-deb", &["--extract", &shown(&package), &shown(&cache)])?;
    }
    let version = run("dpkg-deb", &["--field", &shown(&package), "Version"])?;
    Ok((program, version))
}

/// Debian packages in a folder.
fn packages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect()
}

/// Has apt fetch the package, with lists and a cache that are not the system's.
fn download(cache: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", cache.display());
    for folder in ["lists/partial", "archives/partial"] {
        fs::create_dir_all(cache.join(folder)).map_err(failed)?;
    }
    let sources = cache.join("sources.list");
    fs::write(&sources, format!("deb [signed-by={KEYRING}] {MIRROR} {RELEASE} main\n")).map_err(failed)?;
    let apt = |action: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(cache).args([
            "--quiet",
            "-o",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
        ]);
        for (option, value) in [
            ("Dir::Etc::sourcelist", sources.display().to_string()),
            ("Dir::Etc::sourceparts", "-".to_owned()),
            ("Dir::State::lists", cache.join("lists").display().to_string()),
            ("Dir::Cache", cache.display().to_string()),
            ("APT::Sandbox::User", "root".to_owned()),
        ] {
            command.arg("-o").arg(format!("{option}={value}"));
        }
        output(command.args(action))
    };
    apt(&["update"])?;
    apt(&["download", "wireguard-go"])?;
    // The list of all packages is long, and has served.
    let _ = fs::remove_dir_all(cache.join("lists"));
    Ok(())
}

/// A folder that outlives us.
fn cache() -> Result<PathBuf, String> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let base = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let cache = base.ok_or("there is no place for a cache: HOME is not set")?.join("tidegate-benches");
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    Ok(cache)
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    output(Command::new(program).args(arguments))
}

/// What a program says, if it is content.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name} cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {}", said.trim().lines().last().unwrap_or_default()))
}
