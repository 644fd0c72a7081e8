//! `pages`: what a package carries beside the binary, made of the command line itself so that it cannot lag behind.

use super::Failure;
use clap::{Args, Command};
use clap_complete::Shell;
use std::fs;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Arguments {
    /// Folder that is filled; made where there is none
    folder: PathBuf,
}

/// Writes a man page for each command, and a completion for each shell.
pub(super) fn run(arguments: &Arguments, command: Command) -> Result<(), Failure> {
    fs::create_dir_all(&arguments.folder)?;
    let mut command = command.disable_help_subcommand(true);
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command, "tidegate", &arguments.folder)?;
    }
    clap_mangen::generate_to(command, &arguments.folder)?;
    Ok(())
}
