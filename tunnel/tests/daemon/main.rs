//! The daemon without root: it follows its configuration, whoever changes it and however.

mod compat;
mod log;
mod mesh;
mod metrics;
mod reload;
mod support;
