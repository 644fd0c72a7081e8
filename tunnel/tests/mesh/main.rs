//! From communities to connections.

mod fabedge;
mod plan;
mod refusals;
mod relay;
mod scale;
mod support;
