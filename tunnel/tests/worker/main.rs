//! Packet workers, their threads, and the mailboxes to control.
#![allow(clippy::unwrap_used)]

mod allocations;
mod incoming;
mod junk;
mod mailboxes;
mod outgoing;
#[path = "../../../esp/tests/packets/mod.rs"]
mod packets;
mod threads;
mod world;

use tidegate_alloc::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
