//! What these tests share: connections with one thing changed, wires that rewrite addresses, and ways to
//! look at what happened.

use crate::support::{End, Host, Pair, connection, mirrored};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tidegate_esp::{Direction, Params, Spi};
use tidegate_ike::endpoint::ChildStatus;
use tidegate_ike::wire::{ExchangeType, Header};
use tidegate_ike::{Cause, Connection, Endpoint, Event, Framing, Path, SaId, Timer, Transmit, Verdict};

/// A pair of which both connections are changed alike.
pub(crate) fn pair_with(seed: u64, change: impl Fn(End, &mut Connection)) -> Pair {
    let [mut a, mut b] = [connection(End::A), connection(End::B)];
    change(End::A, &mut a);
    change(End::B, &mut b);
    Pair::new(seed, a, b)
}

/// The same with an IKE SA up.
pub(crate) fn established_with(seed: u64, change: impl Fn(End, &mut Connection)) -> Pair {
    let mut pair = pair_with(seed, change);
    pair.set_up();
    pair
}

/// The header of a datagram.
pub(crate) fn header(transmit: &Transmit) -> Header {
    Header::parse(ike(transmit)).unwrap().0
}

/// The IKE message of a datagram, without its marker.
pub(crate) fn ike(transmit: &Transmit) -> &[u8] {
    match transmit.path.framing {
        Framing::Bare => &transmit.bytes,
        Framing::Marked => transmit.bytes.strip_prefix(&[0; 4]).expect("the marker"),
    }
}

/// The exchange and direction of a datagram.
pub(crate) fn kind(transmit: &Transmit) -> (ExchangeType, bool) {
    let header = header(transmit);
    (header.exchange, header.response)
}

/// What stands between the two ends: gives the path that the receiver sees, or drops the datagram.
pub(crate) type Wire<'a> = dyn FnMut(End, &Transmit) -> Option<Path> + 'a;

/// Delivers what one end has sent by this wire; false if there is nothing.
pub(crate) fn pass_by(pair: &mut Pair, from: End, wire: &mut Wire<'_>) -> bool {
    let Some(transmit) = pair.host(from).sent.pop_front() else { return false };
    if let Some(path) = wire(from, &transmit) {
        deliver_at(pair, from.other(), path, &transmit.bytes);
    }
    true
}

/// Hands a datagram over as if it had come this way.
pub(crate) fn deliver_at(pair: &mut Pair, to: End, path: Path, bytes: &[u8]) {
    pair.with(to, |endpoint, now| endpoint.handle_datagram(now, path, bytes));
}

/// Delivers everything until nothing is sent any more.
pub(crate) fn settle_by(pair: &mut Pair, wire: &mut Wire<'_>) {
    for _ in 0..10_000 {
        if !(pass_by(pair, End::A, wire) | pass_by(pair, End::B, wire)) {
            return;
        }
    }
    panic!("the two ends never stop talking");
}

/// The earliest deadline of both ends.
pub(crate) fn next_deadline(pair: &Pair) -> Option<tidegate_ike::Time> {
    [&pair.a, &pair.b].into_iter().filter_map(|host| host.endpoint.next_deadline().map(|(at, ..)| at)).min()
}

/// Moves the clock and delivers by this wire what is sent on the way.
pub(crate) fn run_by(pair: &mut Pair, span: Duration, wire: &mut Wire<'_>) {
    let end = pair.now + span;
    settle_by(pair, wire);
    while let Some(at) = next_deadline(pair).filter(|&at| at <= end) {
        pair.now = pair.now.max(at);
        tick(pair);
        settle_by(pair, wire);
    }
    pair.now = end;
}

/// Tells both ends what time it is.
pub(crate) fn tick(pair: &mut Pair) {
    for end in [End::A, End::B] {
        pair.with(end, Endpoint::handle_timeout);
    }
}

/// Sets an IKE SA up from A by this wire.
pub(crate) fn set_up_by(pair: &mut Pair, wire: &mut Wire<'_>) {
    pair.initiate(End::A);
    settle_by(pair, wire);
    assert_eq!(pair.a.standing().len(), 1, "{:?}", pair.a.events);
    assert_eq!(pair.b.standing().len(), 1, "{:?}", pair.b.events);
}

/// A wire that changes nothing.
pub(crate) fn straight(_: End, transmit: &Transmit) -> Option<Path> {
    Some(mirrored(&transmit.path))
}

/// A wire on which nothing arrives.
pub(crate) fn cut(_: End, _: &Transmit) -> Option<Path> {
    None
}

/// A NAT in front of one end, which the other sees at `outside`. Every port of the inside is mapped to the
/// one `shift` above it, and nothing else gets in.
#[derive(Clone, Copy)]
pub(crate) struct Nat {
    pub(crate) behind: End,
    pub(crate) outside: IpAddr,
    pub(crate) shift: u16,
}

impl Nat {
    pub(crate) fn before(behind: End) -> Self {
        let last = if behind == End::A { 101 } else { 102 };
        Self { behind, outside: IpAddr::from([203, 0, 113, last]), shift: 30_000 }
    }

    /// One whose ports are forwarded, so that it can be reached first.
    pub(crate) fn forwarding(behind: End) -> Self {
        Self { shift: 0, ..Self::before(behind) }
    }

    /// What becomes of a path on its way.
    pub(crate) fn translate(self, from: End, inside: IpAddr, mut path: Path) -> Option<Path> {
        if from == self.behind {
            path.remote = SocketAddr::new(self.outside, path.remote.port() + self.shift);
            return Some(path);
        }
        let port = path.local.port().checked_sub(self.shift).filter(|&port| port < 10_000)?;
        if path.local.ip() != self.outside {
            return None;
        }
        path.local = SocketAddr::new(inside, port);
        Some(path)
    }

    /// The wire with this NAT on it.
    pub(crate) fn wire(self) -> impl FnMut(End, &Transmit) -> Option<Path> {
        let inside = if self.behind == End::A { crate::support::A } else { crate::support::B };
        move |from, transmit| self.translate(from, inside, mirrored(&transmit.path))
    }
}

/// The one verdict of an end.
#[track_caller]
pub(crate) fn verdict(host: &Host) -> Verdict {
    let failures = host.failures();
    assert_eq!(failures.len(), 1, "{:?}", host.events);
    failures[0].clone()
}

/// Why the IKE SAs of an end were closed.
pub(crate) fn closings(host: &Host) -> Vec<Verdict> {
    let closed = |event: &Event| match event {
        Event::IkeClosed { verdict, .. } => Some(verdict.clone()),
        _ => None,
    };
    host.events.iter().filter_map(closed).collect()
}

/// Why the children of an end were closed.
pub(crate) fn child_closings(host: &Host) -> Vec<Verdict> {
    let closed = |event: &Event| match event {
        Event::ChildClosed { verdict, .. } => Some(verdict.clone()),
        _ => None,
    };
    host.events.iter().filter_map(closed).collect()
}

/// Where an end was told that its peer has moved to.
pub(crate) fn moves(host: &Host) -> Vec<Path> {
    let moved = |event: &Event| match event {
        Event::PeerMoved { path, .. } => Some(*path),
        _ => None,
    };
    host.events.iter().filter_map(moved).collect()
}

/// The path of the one IKE SA of an end.
pub(crate) fn path(pair: &mut Pair, end: End) -> Path {
    let sa = pair.sa(end);
    pair.host(end).endpoint.status(sa).unwrap().path()
}

/// What the packet side of an end sends with: the outbound half of its one child.
#[track_caller]
pub(crate) fn outbound(host: &Host) -> &Params {
    let mut all = host.installed.iter().filter(|((_, direction), _)| *direction == Direction::Outbound);
    let (_, params) = all.next().expect("an outbound half");
    assert!(all.next().is_none());
    params
}

/// Names and inbound SPIs of the current children of an end, by name.
pub(crate) fn named_children(host: &Host) -> Vec<(String, Spi)> {
    let mut all: Vec<_> = host
        .endpoint
        .sas()
        .flat_map(|sa| sa.children().collect::<Vec<_>>())
        .filter(ChildStatus::is_current)
        .map(|child| (child.name().to_string(), child.inbound()))
        .collect();
    all.sort();
    all
}

/// Whether the packet side of an end has no child named so that it could send on.
pub(crate) fn refused_with(verdict: &Verdict, kind: tidegate_ike::wire::NotifyType) -> bool {
    verdict.cause == Cause::Refused(kind)
}

/// The next thing that an SA will do, and when.
pub(crate) fn due(host: &Host, sa: SaId) -> Option<(tidegate_ike::Time, Timer)> {
    host.endpoint.status(sa).and_then(|sa| sa.next())
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
