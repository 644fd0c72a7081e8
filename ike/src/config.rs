//! Settings of an endpoint that belong to no one connection.

use std::time::Duration;

/// Settings of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The port of the first packet.
    pub ike_port: u16,
    /// The port that is shared with ESP in UDP.
    pub nat_port: u16,
    /// From this many half-open SAs on, a peer must show a cookie.
    pub cookie_threshold: usize,
    /// No more half-open SAs than this, cookie or not.
    pub half_open_limit: usize,
    /// No more half-open SAs than this from one address; many edges may share a NAT.
    pub half_open_per_source: usize,
    /// A peer that has begun has this long to say who it is.
    pub half_open_timeout: Duration,
    /// How often the mapping of a NAT in front of us is refreshed.
    pub keepalive: Duration,
    /// Incomplete messages of all peers together take no more bytes than this.
    pub fragment_memory: usize,
    /// No more IKE SAs than this, attempts and half-open ones included.
    pub most_sas: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ike_port: 500,
            nat_port: 4500,
            cookie_threshold: 64,
            half_open_limit: 16_384,
            half_open_per_source: 256,
            half_open_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(20),
            fragment_memory: 32 << 20,
            most_sas: 1 << 20,
        }
    }
}
