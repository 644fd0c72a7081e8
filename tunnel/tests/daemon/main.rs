//! The daemon: it follows its configuration, whoever changes it and however, and may do no more than it needs.
#![allow(clippy::print_stderr)]

mod compat;
mod log;
mod mesh;
mod metrics;
mod privileges;
mod reload;
mod state;
mod support;
