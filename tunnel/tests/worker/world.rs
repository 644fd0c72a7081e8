//! Two nodes with tables and workers of their own, and all that workers say, kept for tests to look at.
//!
//! ```text
//!  10.1/16, fd00:1::/64  ── left ══ 192.0.2.1 ─── 192.0.2.2 ══ right ──  10.2/16, fd00:2::/64
//! ```

use crate::packets::Packet;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate::io::batch::{Arrival, Channel, Departure, ReceiveBatch, SendBatch};
use tidegate::notice::Notice;
use tidegate::tables::{Opening, Sealing, Tables};
use tidegate::worker::{Control, Incoming, Inward, Outgoing, Outward, PathMtus, Settings};
use tidegate_esp::crypto::{AesKey, Backend, Cipher, KeyMaterial, Suite};
use tidegate_esp::policy::{Action, Owner, Rule, RuleId};
use tidegate_esp::segment::Offloads;
use tidegate_esp::snapshot::{NewOutbound, OutboundId, Standing};
use tidegate_esp::virtio::VirtioHeader;
use tidegate_esp::{
    Direction, DropReason, Encapsulation, Inbound, IvSecret, Limits, Marking, Outbound, Params, Path,
    SelectorPair, SequenceNumbers, Spi, TfcPadding,
};
use tidegate_ike::Time;

pub(crate) const PEER: Owner = Owner(7);
pub(crate) const LINK_MTU: usize = 1500;

/// A moment, in milliseconds after the test began.
pub(crate) fn at(millis: u64) -> Time {
    Time::from_nanos(1_000_000_000) + Duration::from_millis(millis)
}

/// One end.
pub(crate) struct Node {
    pub(crate) tables: Tables,
    pub(crate) outgoing: Outgoing,
    pub(crate) incoming: Incoming,
    pub(crate) mtus: Arc<PathMtus>,
    pub(crate) seen: Seen,
    number: u8,
    rule: RuleId,
}

/// What workers have said.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) sent: Vec<(Vec<u8>, Departure)>,
    pub(crate) answers: Vec<Vec<u8>>,
    pub(crate) delivered: Vec<(VirtioHeader, Vec<u8>)>,
    pub(crate) ike: Vec<(tidegate_ike::Path, Vec<u8>)>,
    pub(crate) notices: Vec<Notice>,
    /// The device takes nothing.
    pub(crate) device_is_full: bool,
}

/// What is wanted of an SA.
pub(crate) struct Wish {
    pub(crate) limits: Limits,
    pub(crate) tfc: TfcPadding,
    pub(crate) remote: SocketAddr,
    /// Of the end that opens.
    pub(crate) opening_limits: Limits,
}

impl Default for Wish {
    fn default() -> Self {
        Self { limits: Limits::NONE, tfc: TfcPadding::None, remote: outer(2), opening_limits: Limits::NONE }
    }
}

impl Control for Seen {
    fn ike(&mut self, path: tidegate_ike::Path, bytes: &[u8]) {
        self.ike.push((path, bytes.to_vec()));
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}

impl Outward for Seen {
    fn send(&mut self, batch: &SendBatch) {
        let frames = batch.frames().iter();
        self.sent.extend(frames.map(|frame| (batch.bytes(frame).to_vec(), frame.departure)));
    }

    fn answer(&mut self, packet: &[u8]) {
        self.answers.push(packet.to_vec());
    }
}

impl Inward for Seen {
    fn deliver(&mut self, virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        if self.device_is_full {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.delivered.push((*virtio, bytes));
        Ok(())
    }
}

impl Node {
    /// The left one is number 1, the right one number 2.
    pub(crate) fn new(number: u8, offloads: Offloads) -> Self {
        let mut tables = Tables::new();
        let rule = Rule { selectors: selectors(number), action: Action::Protect(PEER) };
        let rule = tables.add_rule(rule).unwrap();
        tables.publish();
        let mtus = Arc::new(PathMtus::new(LINK_MTU));
        let outgoing = Outgoing::new(tables.reader(), Arc::clone(&mtus), &Settings::default());
        let incoming = Incoming::new(tables.reader(), Arc::clone(&mtus), offloads);
        Self { tables, outgoing, incoming, mtus, seen: Seen::default(), number, rule }
    }

    /// Another rule in place of the one that protects.
    pub(crate) fn rule(&mut self, action: Option<Action>) {
        self.tables.remove_rule(self.rule).unwrap();
        if let Some(action) = action {
            self.rule = self.tables.add_rule(Rule { selectors: selectors(self.number), action }).unwrap();
        }
        self.tables.publish();
    }

    /// A packet of the device, and the end of a turn.
    pub(crate) fn take(&mut self, now: Time, packet: &Packet) {
        self.take_super(now, &VirtioHeader::default(), &packet.bytes());
    }

    pub(crate) fn take_super(&mut self, now: Time, virtio: &VirtioHeader, packet: &[u8]) {
        self.outgoing.take(now, virtio, &mut packet.to_vec(), &mut self.seen);
        self.outgoing.flush(&mut self.seen);
    }

    pub(crate) fn tend(&mut self, now: Time) {
        self.outgoing.tend(now, &mut self.seen);
        self.outgoing.flush(&mut self.seen);
    }

    /// Datagrams of the network.
    pub(crate) fn receive<'a>(
        &mut self,
        now: Time,
        datagrams: impl IntoIterator<Item = (&'a [u8], Arrival)>,
    ) {
        let mut batch = ReceiveBatch::new();
        for (bytes, arrival) in datagrams {
            assert!(batch.push(bytes, arrival));
        }
        self.incoming.take(now, &mut batch, &mut self.seen);
    }

    /// Drops by reason, leaving out what was not.
    pub(crate) fn drops(&self) -> Vec<(DropReason, u64)> {
        let (out, into) = (self.outgoing.counters().snapshot(), self.incoming.counters().snapshot());
        let all = out.merged(&into).esp;
        DropReason::ALL
            .map(|reason| (reason, all.drops(reason)))
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// Carries everything that the one has sent to the other, in one batch.
pub(crate) fn carry(now: Time, from: &mut Node, to: &mut Node) {
    let sent = std::mem::take(&mut from.seen.sent);
    to.receive(now, sent.iter().map(|(bytes, departure)| (bytes.as_slice(), arrival(departure))));
}

/// How a datagram arrives that left so.
pub(crate) fn arrival(departure: &Departure) -> Arrival {
    let channel = match departure.encapsulation {
        Encapsulation::Udp => Channel::Shared,
        Encapsulation::None => Channel::Esp,
    };
    Arrival {
        local: departure.remote,
        remote: departure.local,
        traffic_class: departure.traffic_class,
        channel,
    }
}

/// The names of an SA in both directions.
pub(crate) struct Installed {
    pub(crate) outbound: OutboundId,
    /// Of the left node, whose child it names there too.
    pub(crate) left_spi: Spi,
    /// Of the right node.
    pub(crate) right_spi: Spi,
}

/// Both directions at both ends. The left end seals as is wished.
pub(crate) fn install(left: &mut Node, right: &mut Node, number: u32, wish: &Wish) -> Installed {
    let (left_spi, right_spi) =
        (Spi::new(0x5000_0000 + number).unwrap(), Spi::new(0x6000_0000 + number).unwrap());
    let there = params(1, right_spi, wish);
    let back = Params { path: path(2, outer(1)), ..params(2, left_spi, &Wish::default()) };
    let outbound = connect(left, right, &there, (left_spi, wish.opening_limits));
    connect(right, left, &back, (right_spi, Limits::NONE));
    Installed { outbound, left_spi, right_spi }
}

/// One direction: seals at one end, opens at the other.
fn connect(
    from: &mut Node,
    to: &mut Node,
    params: &Params,
    (sealing_child, limits): (Spi, Limits),
) -> OutboundId {
    let inbound = Params {
        direction: Direction::Inbound,
        selectors: Arc::new(params.selectors.reversed()),
        limits,
        ..params.clone()
    };
    let esp = Inbound::new(Backend::Ring, &inbound).unwrap();
    let opening = Opening::new(params.spi, PEER, esp, params.path.local);
    to.tables.install_inbound(params.spi, Arc::new(opening));
    to.tables.publish();
    let esp = Outbound::new(Backend::Ring, params, &IvSecret::new([3; 16])).unwrap();
    let sa = Arc::new(Sealing::new(sealing_child, esp));
    let (selectors, path, standing) = (Arc::clone(&params.selectors), params.path, Standing::Carrying);
    let new = NewOutbound { owner: PEER, selectors, sa, path, standing };
    let id = from.tables.install_outbound(new).unwrap();
    from.tables.publish();
    id
}

/// What is sealed from here.
pub(crate) fn params(from: u8, spi: Spi, wish: &Wish) -> Params {
    let suite = Suite::aead(Cipher::AesGcm16(AesKey::Bits128)).unwrap();
    let key: Vec<u8> = (from..).take(suite.encryption_key_len()).collect();
    Params {
        direction: Direction::Outbound,
        spi,
        suite,
        keys: KeyMaterial::new(&key, &[]),
        sequence_numbers: SequenceNumbers::Extended,
        selectors: selectors(from),
        path: path(from, wish.remote),
        limits: wish.limits,
        replay_window: 1024,
        tfc: wish.tfc,
        marking: Marking::default(),
    }
}

fn path(from: u8, remote: SocketAddr) -> Path {
    Path { local: outer(from), remote, encapsulation: Encapsulation::Udp }
}

/// The outer address of a node.
pub(crate) fn outer(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 4500))
}

/// What a node has behind it, and what the other one has.
fn selectors(number: u8) -> Arc<SelectorPair> {
    let nets = |n| vec![format!("10.{n}.0.0/16").parse().unwrap(), format!("fd00:{n}::/64").parse().unwrap()];
    Arc::new(SelectorPair { local: nets(number), remote: nets(3 - number) })
}

/// Both ends, without offloads.
pub(crate) fn pair() -> (Node, Node) {
    let plain = Offloads { tcp: false, udp: false };
    (Node::new(1, plain), Node::new(2, plain))
}

/// Both ends with an SA between them.
pub(crate) fn connected() -> (Node, Node, Installed) {
    let (mut left, mut right) = pair();
    let installed = install(&mut left, &mut right, 1, &Wish::default());
    (left, right, installed)
}

/// A UDP packet from left to right, told by its port.
pub(crate) fn udp(port: u16, length: usize) -> Packet {
    Packet { source_port: port, ..Packet::udp_v4(&vec![port as u8; length]) }
}

/// A SYN that announces this segment size.
pub(crate) fn syn(size: u16) -> Packet {
    let mut packet = Packet::tcp_v4(1, &[]).flags(crate::packets::SYN);
    if let crate::packets::Transport::Tcp { options, .. } = &mut packet.transport {
        let [high, low] = size.to_be_bytes();
        *options = vec![2, 4, high, low];
    }
    packet
}

/// The packet as its answer would go.
pub(crate) fn reversed(packet: Packet) -> Packet {
    let (source, destination) = (packet.destination, packet.source);
    Packet { source, destination, ..packet }
}
