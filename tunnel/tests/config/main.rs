//! The configuration file.

mod any_text;
mod changes;
mod connections;
mod example;
mod mistakes;
mod support;
mod vault;
