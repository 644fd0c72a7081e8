//! What RFC 7296, 7383, 7427 and 4555 demand and no other test shows, and the table of all of it
//! (`CONFORMANCE.md`).

#![allow(unreachable_pub, reason = "modules of one test binary")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod answers;
mod children;
#[path = "../support/evil.rs"]
mod evil;
mod format;
mod fragments;
mod lifetimes;
mod mobike;
mod paths;
mod puppet;
mod secrets;
mod start;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod window;
