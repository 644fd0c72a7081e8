//! The authority: what it makes is what peers and other tools accept.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod files;
mod issue;
mod openssl;
mod show;
mod support;
