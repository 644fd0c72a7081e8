//! Two stacks with a wire between them.

mod datagrams;
mod lives;
mod streams;
mod wire;
