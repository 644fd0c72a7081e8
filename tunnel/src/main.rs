//! The daemon, and the tools that talk to it.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
