//! Packet workers, their threads, and the mailboxes to control.
#![allow(clippy::unwrap_used)]

mod allocations;
mod incoming;
mod junk;
mod mailboxes;
#[path = "../io/namespace.rs"]
#[allow(clippy::print_stderr, reason = "it says what is left out, and why")]
mod namespace;
mod order;
mod outgoing;
#[path = "../../../esp/tests/packets/mod.rs"]
mod packets;
mod threads;
mod world;

use tidegate_alloc::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
