//! The daemon on real network namespaces: against itself, and against strongSwan.
//!
//! It takes root and a few packages. Where they are missing it says what was left out, and with `CI=true` it fails.
//!
//! ```text
//! cargo test -p tidegate --test lab                  everything
//! cargo test -p tidegate --test lab -- strongswan    what has this in its name
//! cargo test -p tidegate --test lab -- --list
//! TIDEGATE_LAB_KEEP=1 …                              keeps configurations and logs of what went well too
//! ```
//!
//! - [`harness`] runs suites: cases that share a fixture run one after another, suites side by side.
//! - [`support`] builds namespaces and networks, runs daemons in them, and measures what crosses.
//! - [`cases`] are the tests.

mod cases;
mod harness;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(cases::all())
}
