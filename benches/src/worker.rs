//! The packet path between two nodes, without devices and sockets: one SA, one flow, one end that seals and
//! one that opens.

use std::hint::black_box;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate::io::batch::{Arrival, Channel, ReceiveBatch, SendBatch};
use tidegate::notice::Notice;
use tidegate::tables::{Opening, Sealing, Tables};
use tidegate::worker::{Control, Incoming, Inward, Outgoing, Outward, PathMtus, Settings};
use tidegate_esp::crypto::{AesKey, Backend, Cipher, KeyMaterial, Suite};
use tidegate_esp::policy::{Action, Owner, Rule};
use tidegate_esp::segment::Offloads;
use tidegate_esp::snapshot::{NewOutbound, Standing};
use tidegate_esp::virtio::{PartialChecksum, SegmentKind, Segmentation, VirtioHeader};
use tidegate_esp::{
    Direction, Encapsulation, Inbound, IvSecret, Limits, Marking, Outbound, Params, Path, SelectorPair,
    SequenceNumbers, Spi, TfcPadding,
};
use tidegate_ike::Time;

const PEER: Owner = Owner(7);
const LINK_MTU: usize = 1500;
const NOW: Time = Time::from_nanos(1_000_000_000);
const IPV4: usize = 20;
/// With timestamps, as TCP has them.
const TCP: usize = 32;
/// Payload of a full segment in a tunnel of 1400 B.
const SEGMENT: usize = 1400 - IPV4 - TCP;

/// A packet as a device gives it: checksums are left to us.
#[derive(Clone)]
pub struct DevicePacket {
    virtio: VirtioHeader,
    bytes: Vec<u8>,
}

impl DevicePacket {
    /// A UDP packet of this length, its headers included.
    pub fn udp(length: usize) -> Self {
        let mut bytes = ipv4(17, length);
        let ports_and_length = [[0x30, 0x39], [0, 53], u16_of(length - IPV4)];
        bytes[IPV4..IPV4 + 6].copy_from_slice(ports_and_length.as_flattened());
        Self { virtio: VirtioHeader { checksum: partial(6), segmentation: None }, bytes }
    }

    /// A super-packet of TCP, of so many full segments.
    pub fn tcp(segments: usize) -> Self {
        let headers = IPV4 + TCP;
        let mut bytes = ipv4(6, headers + segments * SEGMENT);
        let tcp = &mut bytes[IPV4..];
        tcp[12..14].copy_from_slice(&[(TCP as u8 / 4) << 4, 0x10]);
        tcp[16..18].copy_from_slice(&[0, 0]);
        // Two times nothing, and a timestamp.
        tcp[20..24].copy_from_slice(&[1, 1, 8, 10]);
        let (size, header_length) = (SEGMENT as u16, headers as u16);
        let cut = Segmentation { kind: SegmentKind::TcpV4, size, header_length, ecn: false };
        Self { virtio: VirtioHeader { checksum: partial(16), segmentation: Some(cut) }, bytes }
    }
}

fn ipv4(protocol: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0x5a; length];
    bytes[..12].copy_from_slice(&[0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0]);
    bytes[2..4].copy_from_slice(&u16_of(length));
    bytes[12..IPV4].copy_from_slice(&[10, 1, 0, 1, 10, 2, 0, 1]);
    let checksum = tidegate_esp::checksum::Sum::ZERO.bytes(&bytes[..IPV4]).finish();
    bytes[10..12].copy_from_slice(&checksum);
    bytes
}

fn u16_of(length: usize) -> [u8; 2] {
    (length as u16).to_be_bytes()
}

fn partial(offset: u16) -> Option<PartialChecksum> {
    Some(PartialChecksum { start: IPV4 as u16, offset })
}

/// The end that seals.
pub struct Sealer {
    outgoing: Outgoing,
    _tables: Tables,
}

/// The end that opens.
pub struct Opener {
    incoming: Incoming,
    _tables: Tables,
}

/// Both ends of one SA.
pub fn pair() -> (Sealer, Opener) {
    let selectors = selectors();
    let params = params(&selectors);
    (Sealer::new(&params), Opener::new(&params))
}

impl Sealer {
    fn new(params: &Params) -> Self {
        let mut tables = Tables::new();
        let rule = Rule { selectors: Arc::clone(&params.selectors), action: Action::Protect(PEER) };
        tables.add_rule(rule).expect("the only rule");
        let esp = Outbound::new(Backend::Ring, params, &IvSecret::new([3; 16])).expect("good parameters");
        let new = NewOutbound {
            owner: PEER,
            selectors: Arc::clone(&params.selectors),
            sa: Arc::new(Sealing::new(params.spi, esp)),
            path: params.path,
            standing: Standing::Carrying,
        };
        tables.install_outbound(new).expect("the only SA");
        tables.publish();
        let mtus = Arc::new(PathMtus::new(LINK_MTU));
        let outgoing = Outgoing::new(tables.reader(), mtus, &Settings::default());
        Self { outgoing, _tables: tables }
    }

    /// One turn: takes all packets, and sends what has become of them. They are worked on in place.
    #[inline]
    pub fn turn(&mut self, packets: &mut [DevicePacket], outlet: &mut impl Outward) {
        for packet in packets {
            self.outgoing.take(NOW, &packet.virtio, &mut packet.bytes, outlet);
        }
        self.outgoing.flush(outlet);
    }
}

impl Opener {
    fn new(params: &Params) -> Self {
        let inbound = Params {
            direction: Direction::Inbound,
            selectors: Arc::new(params.selectors.reversed()),
            ..params.clone()
        };
        let mut tables = Tables::new();
        let esp = Inbound::new(Backend::Ring, &inbound).expect("good parameters");
        let opening = Opening::new(params.spi, PEER, esp, params.path.local);
        tables.install_inbound(params.spi, Arc::new(opening));
        tables.publish();
        let offloads = Offloads { tcp: true, udp: true };
        let incoming = Incoming::new(tables.reader(), Arc::new(PathMtus::new(LINK_MTU)), offloads);
        Self { incoming, _tables: tables }
    }

    /// Opens all of a batch.
    #[inline]
    pub fn turn(&mut self, batch: &mut ReceiveBatch, inlet: &mut impl Inward) {
        self.incoming.take(NOW, batch, inlet);
    }
}

/// Counts what comes out of a worker, and keeps nothing of it.
#[derive(Default)]
pub struct Sink {
    /// Packets that went to the wire.
    pub sent: u64,
    /// Bytes that went to the device.
    pub delivered: usize,
}

impl Control for Sink {
    fn ike(&mut self, _: tidegate_ike::Path, _: &[u8]) {}

    fn notice(&mut self, _: Notice) {}
}

impl Outward for Sink {
    fn send(&mut self, batch: &SendBatch) {
        self.sent += black_box(batch).frames().len() as u64;
    }

    fn answer(&mut self, _: &[u8]) {}
}

impl Inward for Sink {
    fn deliver(&mut self, _: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.delivered += black_box(parts).iter().map(|part| part.len()).sum::<usize>();
        Ok(())
    }
}

/// Puts what was sent into a batch for the other end.
pub struct Link {
    /// What has arrived.
    pub arrived: ReceiveBatch,
    /// Whether the network joins datagrams, as UDP_GRO does.
    pub joined: bool,
    used: usize,
}

impl Link {
    /// With nothing on it.
    pub fn new(joined: bool) -> Self {
        Self { arrived: ReceiveBatch::new(), joined, used: 0 }
    }

    /// Takes out what has arrived.
    pub fn clear(&mut self) {
        self.arrived.clear();
        self.used = 0;
    }
}

impl Control for Link {
    fn ike(&mut self, _: tidegate_ike::Path, _: &[u8]) {}

    fn notice(&mut self, _: Notice) {}
}

impl Outward for Link {
    fn send(&mut self, batch: &SendBatch) {
        for frame in batch.frames() {
            let bytes = batch.bytes(frame);
            let arrival = Arrival {
                local: frame.departure.remote,
                remote: frame.departure.local,
                traffic_class: frame.departure.traffic_class,
                channel: Channel::Shared,
            };
            let arrived = if self.joined {
                let range = self.used..self.used + bytes.len();
                self.used = range.end;
                let slot = self.arrived.slots().next().expect("there are slots");
                slot[range.clone()].copy_from_slice(bytes);
                self.arrived.arrived(0, range, arrival)
            } else {
                self.arrived.push(bytes, arrival)
            };
            assert!(arrived, "there is room for a turn");
        }
    }

    fn answer(&mut self, _: &[u8]) {}
}

fn params(selectors: &Arc<SelectorPair>) -> Params {
    let suite = Suite::aead(Cipher::AesGcm16(AesKey::Bits128)).expect("a suite of one cipher");
    let outer = |number| SocketAddr::from(([192, 0, 2, number], 4500));
    Params {
        direction: Direction::Outbound,
        spi: Spi::new(0x6000_0001).expect("not reserved"),
        suite,
        keys: KeyMaterial::new(&vec![7; suite.encryption_key_len()], &[]),
        sequence_numbers: SequenceNumbers::Extended,
        selectors: Arc::clone(selectors),
        path: Path { local: outer(1), remote: outer(2), encapsulation: Encapsulation::Udp },
        limits: Limits::NONE,
        replay_window: 1024,
        tfc: TfcPadding::None,
        marking: Marking::default(),
    }
}

fn selectors() -> Arc<SelectorPair> {
    let net = |text: &str| vec![text.parse().expect("a prefix")];
    Arc::new(SelectorPair { local: net("10.1.0.0/16"), remote: net("10.2.0.0/16") })
}
