//! What an adversary may try, by the classes of attack that other engines fell to: one module a class.
//!
//! Without keys it can forge, cut, flip, reflect, replay, delay and flood; with keys, as a peer that has
//! proved who it is, it can say anything at all. Neither may make an end panic, hold more than its share, or
//! lose what is established.

#![allow(unreachable_pub, reason = "modules of one test binary")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod before_authentication;
mod collisions_by_design;
mod error_replies;
#[path = "../support/evil.rs"]
mod evil;
mod exhaustion;
mod fragments;
mod integer_limits;
mod key_exchange_values;
mod lengths;
mod on_path;
mod replay;
#[path = "../support/mod.rs"]
mod support;
mod unauthenticated_answers;
