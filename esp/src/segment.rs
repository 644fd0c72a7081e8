//! Super-packets: up to 64 KiB of one flow that cross the TUN device in one call.
//!
//! [`Split`] cuts what the kernel hands out into packets for the wire, [`Joiner`] puts what came off the wire
//! together again. Either is the other's inverse, but for the identification of IPv4 packets that cannot be
//! fragmented, which means nothing (RFC 6864 §4.1).

mod candidate;
mod group;
mod join;
mod kind;
mod split;

pub use join::{Joined, Joiner, Offloads};
pub use split::{BufferTooSmall, Split, SplitError};
