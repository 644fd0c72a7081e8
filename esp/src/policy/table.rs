//! What belongs to a flow, found by selectors: the most specific that matches.
//!
//! Specific is, in this order: the longer remote prefix, the longer local prefix, a protocol rather than any,
//! fewer remote ports, fewer local ports, and among equals the higher rank, which is to say the newer.

use super::prefix::{Prefix, PrefixMap};
use crate::flow::{Flow, Hidden};
use crate::selector::{AddressRange, Ports, SelectorPair, TrafficSelector};
use std::cmp::Reverse;
use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// How many pieces a pair of selector lists may break into: every local prefix with every remote one.
pub const PIECES_MAX: usize = 16_384;

/// A pair of selector lists that breaks into more than [`PIECES_MAX`] pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TooManyPieces;

/// A persistent table: a copy costs nothing, an edit copies what lies on its way.
#[derive(Clone, Debug)]
pub(crate) struct SelectorTable<T> {
    v4: PrefixMap<PrefixMap<Arc<[Entry<T>]>>>,
    v6: PrefixMap<PrefixMap<Arc<[Entry<T>]>>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    protocol: u8,
    local: Ports,
    remote: Ports,
    rank: u64,
    value: T,
}

/// How surely an entry is about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Certain,
    /// It would be if the ports, or the protocol, were what cannot be seen.
    Possible,
}

/// One local prefix with one remote one.
struct Piece {
    v4: bool,
    local: Prefix,
    remote: Prefix,
    protocol: u8,
    local_ports: Ports,
    remote_ports: Ports,
}

impl<T> Default for SelectorTable<T> {
    fn default() -> Self {
        Self { v4: PrefixMap::default(), v6: PrefixMap::default() }
    }
}

impl<T: Copy> SelectorTable<T> {
    /// Adds a value for every flow of the pair, which has passed [`check`]. The rank has to be one that was
    /// never used before.
    pub(crate) fn insert(&mut self, pair: &SelectorPair, rank: u64, value: T) {
        for piece in pieces(pair) {
            let (protocol, local, remote) = (piece.protocol, piece.local_ports, piece.remote_ports);
            let entry = Entry { protocol, local, remote, rank, value };
            self.edit(&piece, |entries| {
                let at = entries.partition_point(|other| other.order() <= entry.order());
                entries.insert(at, entry);
            });
        }
    }

    /// Takes out what was inserted for the same pair with that rank.
    pub(crate) fn remove(&mut self, pair: &SelectorPair, rank: u64) {
        for piece in pieces(pair) {
            self.edit(&piece, |entries| entries.retain(|entry| entry.rank != rank));
        }
    }

    fn edit(&mut self, piece: &Piece, change: impl FnOnce(&mut Vec<Entry<T>>)) {
        let map = if piece.v4 { &mut self.v4 } else { &mut self.v6 };
        map.edit(piece.remote, |locals| {
            let mut locals = locals.unwrap_or_default();
            locals.edit(piece.local, |entries| {
                let mut entries = entries.map(|entries| entries.to_vec()).unwrap_or_default();
                change(&mut entries);
                (!entries.is_empty()).then(|| entries.into())
            });
            (!locals.is_empty()).then_some(locals)
        });
    }
}

impl<T> SelectorTable<T> {
    /// Offers the values of selectors that match a packet on its way out, or may, the most specific first,
    /// until one is accepted.
    pub(crate) fn find<R>(&self, flow: &Flow, mut accept: impl FnMut(&T, Fit) -> Option<R>) -> Option<R> {
        let (source, destination) = (flow.source_end(), flow.destination_end());
        let (map, local, remote) = match (source.address, destination.address) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => (&self.v4, bits_v4(local), bits_v4(remote)),
            (IpAddr::V6(local), IpAddr::V6(remote)) => (&self.v6, local.to_bits(), remote.to_bits()),
            _ => return None,
        };
        let hidden = flow.hidden();
        let fit = |entry: &Entry<T>| {
            let protocol = entry.protocol == 0 || entry.protocol == flow.protocol;
            if protocol && entry.local.contains(source.port) && entry.remote.contains(destination.port) {
                return Some(Fit::Certain);
            }
            let possible = match hidden {
                Hidden::Nothing => false,
                Hidden::Ports => protocol,
                Hidden::Protocol => true,
            };
            possible.then_some(Fit::Possible)
        };
        map.find(remote, &mut |locals| {
            locals.find(local, &mut |entries| {
                entries.iter().find_map(|entry| accept(&entry.value, fit(entry)?))
            })
        })
    }
}

/// Whether the pair is one that a table should take.
pub(crate) fn check(pair: &SelectorPair) -> Result<(), TooManyPieces> {
    if pieces(pair).nth(PIECES_MAX).is_some() { Err(TooManyPieces) } else { Ok(()) }
}

impl<T> Entry<T> {
    fn order(&self) -> (bool, u32, u32, Reverse<u64>) {
        (self.protocol == 0, width(self.remote), width(self.local), Reverse(self.rank))
    }
}

/// How many ports match, those that cannot be seen counting as one.
fn width(ports: Ports) -> u32 {
    match ports {
        Ports::ANY => 0x1_0001,
        Ports::Range(first, last) => u32::from(last.abs_diff(first)) + 1,
        Ports::Opaque => 1,
    }
}

fn bits_v4(address: std::net::Ipv4Addr) -> u128 {
    u128::from(address.to_bits()) << 96
}

fn prefixes(range: &AddressRange) -> impl Iterator<Item = Prefix> + use<> {
    range.to_prefixes().map(|(address, length)| match address {
        IpAddr::V4(address) => Prefix::new(bits_v4(address), length),
        IpAddr::V6(address) => Prefix::new(address.to_bits(), length),
    })
}

fn pieces(pair: &SelectorPair) -> impl Iterator<Item = Piece> {
    pair.local.iter().flat_map(|local| {
        let compatible = pair.remote.iter().filter_map(|remote| Some((remote, protocol(local, remote)?)));
        compatible.flat_map(move |(remote, protocol)| {
            let (local_ports, remote_ports) = (local.ports, remote.ports);
            let remotes = prefixes(&remote.addresses);
            remotes.flat_map(move |remote| {
                let v4 = local.addresses.is_v4();
                prefixes(&local.addresses).map(move |local| Piece {
                    v4,
                    local,
                    remote,
                    protocol,
                    local_ports,
                    remote_ports,
                })
            })
        })
    })
}

/// The protocol of flows between two selectors, if there are any.
fn protocol(local: &TrafficSelector, remote: &TrafficSelector) -> Option<u8> {
    if local.addresses.is_v4() != remote.addresses.is_v4() {
        return None;
    }
    match (local.protocol, remote.protocol) {
        (0, protocol) | (protocol, 0) => Some(protocol),
        (local, remote) => (local == remote).then_some(local),
    }
}

impl fmt::Display for TooManyPieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "selectors break into more than {PIECES_MAX} pairs of prefixes")
    }
}

impl Error for TooManyPieces {}
