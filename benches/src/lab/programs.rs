//! Programs of this repository, and what is asked of them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A program of this repository, which lies beside us in the target folder. Where cargo runs us, it builds it.
pub fn ours(name: &str) -> Result<PathBuf, String> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    if let Some(cargo) = std::env::var_os("CARGO") {
        BUILT.get_or_init(|| build(&cargo)).clone()?;
    }
    let us = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = us.with_file_name(name);
    if program.exists() { Ok(program) } else { Err(format!("{} is not there", program.display())) }
}

/// Both at once, as then they share what they are made of, with us too.
fn build(cargo: &OsStr) -> Result<(), String> {
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "tidegate", "--package", "tidegate-benches"]);
    command.args(["--bin", "tidegate", "--bin", "bare-loop"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let built = command.stdin(Stdio::null()).status().is_ok_and(|status| status.success());
    if built { Ok(()) } else { Err("it cannot be built".into()) }
}

/// Asks the daemon whose files are in this folder for something; returns what it said.
pub fn order(program: &Path, folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).arg("--vici").arg(folder.join("vici.sock"));
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("tidegate {}: {}", arguments.join(" "), said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
