//! Builds C programs against the library as it would be installed, and runs them.

#![allow(dead_code, reason = "not every test needs all of it")]

pub(crate) mod daemon;
pub(crate) mod loopback;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

/// How programs have to be written.
const STRICT: [&str; 6] = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pedantic"];

/// What the library itself needs where it is linked statically.
const SYSTEM: [&str; 4] = ["-lgcc_s", "-lm", "-lpthread", "-ldl"];

/// A folder with the library under its names, and programs. It goes with this value.
pub(crate) struct Folder(PathBuf);

/// How a program gets the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// When it starts.
    Shared,
    /// As a part of it.
    Static,
}

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("tidegate-ffi-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        for (name, file) in [
            ("libtidegate.so", "libtidegate_ffi.so"),
            ("libtidegate.so.1", "libtidegate_ffi.so"),
            ("libtidegate.a", "libtidegate_ffi.a"),
        ] {
            symlink(library(file), folder.join(name)).expect("a link");
        }
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file that its owner alone can read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        fs::write(self.path(name), text).expect(name);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect(name);
    }

    /// Compiles a program of ours without a warning; the path is that below this crate.
    pub(crate) fn build(&self, source: &str, linked: Linked, libraries: &[&str]) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let program = self.path(source.file_stem().and_then(|stem| stem.to_str()).expect("a name"));
        let mut command = Command::new("gcc");
        command
            .args(STRICT)
            .args(["-g", "-pthread", "-I"])
            .arg(include())
            .arg(&source)
            .arg("-o")
            .arg(&program);
        command.arg("-L").arg(&self.0).arg(format!("-Wl,-rpath,{}", self.0.display()));
        match linked {
            Linked::Shared => command.arg("-ltidegate"),
            Linked::Static => command.arg("-l:libtidegate.a").args(SYSTEM),
        };
        succeed(command.args(libraries));
        program
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// A file that cargo has built along with the tests.
pub(crate) fn library(name: &str) -> PathBuf {
    let tests = env::current_exe().expect("the test's path");
    let library = tests.with_file_name(name);
    assert!(library.exists(), "{} was not built", library.display());
    library
}

/// A program under memcheck, which ends it with an error where it finds a mistake or a leak.
pub(crate) fn memcheck(program: &Path) -> Command {
    let suppressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/valgrind.supp");
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible"]);
    command.args(["--errors-for-leak-kinds=definite,indirect,possible", "--error-exitcode=99"]);
    // Without this a thread that polls may keep others waiting for long.
    command.args(["--fair-sched=yes"]).arg(format!("--suppressions={}", suppressions.display()));
    command.arg(program);
    command
}

/// Runs a command that has to succeed; returns what it wrote.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let Output { status, stdout, stderr } = output;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// Whether all of these are there. Where they are not, it is said what is left out; in CI that is a failure.
pub(crate) fn can_do(what: &str, needed: &[(&str, bool)]) -> bool {
    let missing: Vec<_> = needed.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return true;
    }
    let message = format!("{what} is left out: there is no {}", missing.join(", no "));
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{message}");
    #[expect(clippy::print_stderr, reason = "whoever runs the tests has to know")]
    {
        eprintln!("**** {message}");
    }
    false
}

pub(crate) fn is_on_path(tool: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(tool).exists())
}
