//! Exchanges that cross (RFC 7296 §2.8, §2.25), under loss, delay and reordering.

#![allow(unreachable_pub, reason = "modules of one test binary")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod children;
mod explorer;
mod ike;
mod initiation;
mod recovery;
mod schedules;
#[path = "../support/mod.rs"]
mod support;
mod world;
