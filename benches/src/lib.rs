//! Shared pieces of the benchmarks.

#![allow(clippy::expect_used, reason = "a measurement that cannot go on has failed")]

pub mod ike;
pub mod meter;
pub mod raw;
pub mod worker;
