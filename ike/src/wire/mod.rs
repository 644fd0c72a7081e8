//! IKEv2 on the wire: bytes become typed messages here, and nowhere else.

mod message;
mod payload;

pub use message::*;
pub use payload::*;
