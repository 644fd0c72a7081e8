//! The far side of a stack's connections: what it has heard of them, and what it says on them.
//!
//! Both sides say the same in every run, so that anybody can tell what belongs at a place of a stream.

use crate::packets::{ACK, FIN, Packet, SYN, Transport};
use crate::steps::Steps;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tidegate_esp::checksum::Sum;
use tidegate_esp::{Inner, flow};

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const ECHO_REQUEST: [u8; 2] = [8, 128];
const ECHO_REPLY: [u8; 2] = [0, 129];
/// Connections that are remembered.
const MOST: usize = 64;

/// What was heard of each connection.
#[derive(Default)]
pub(crate) struct Far {
    talks: Vec<Talk>,
    stories: BTreeMap<(SocketAddr, SocketAddr), Story>,
    /// The last echo request.
    asked: Option<Vec<u8>>,
}

/// How far the stream between two ends was told, and where it ends: it is the same each time.
#[derive(Default)]
struct Story {
    told: i32,
    end: Option<i32>,
}

struct Talk {
    near: SocketAddr,
    far: SocketAddr,
    /// Where the stream of the near side begins, if that was heard.
    begins: Option<u32>,
    /// What the near side says next.
    next: u32,
    /// What it expects.
    expects: u32,
}

/// What is said at a place of any stream or datagram.
pub(crate) fn said(place: u32) -> u8 {
    (place.wrapping_mul(0x9e37_79b1) >> 24) as u8
}

/// The sequence number that the far side begins with, so that some streams soon pass zero.
pub(crate) fn first(far: SocketAddr) -> u32 {
    u32::MAX - 0x1000 + 0x101 * u32::from(far.port() % 16)
}

impl Far {
    /// A packet of the stack. Its bytes have to be those that the agent wrote.
    pub(crate) fn hears(&mut self, packet: &[u8], inner: &Inner) {
        let transport = &packet[inner.network_length..inner.total_length];
        match inner.flow.protocol {
            TCP => self.hears_segment(inner, transport),
            ICMP | ICMPV6 if ECHO_REQUEST.contains(&transport[0]) => self.asked = Some(packet.to_vec()),
            _ => {}
        }
    }

    fn hears_segment(&mut self, inner: &Inner, segment: &[u8]) {
        let word = |at: usize| u32::from_be_bytes(segment[at..at + 4].try_into().expect("four"));
        let (number, acknowledges, flags) = (word(4), word(8), segment[13]);
        let payload = &segment[usize::from(segment[12] >> 4) * 4..];
        let flow::Transport::Ports { source, destination } = inner.flow.transport else { return };
        let near = SocketAddr::new(inner.flow.source, source);
        let far = SocketAddr::new(inner.flow.destination, destination);
        let known = self.talks.iter().position(|talk| (talk.near, talk.far) == (near, far));
        let at = known.unwrap_or_else(|| {
            if self.talks.len() == MOST {
                self.talks.remove(0);
            }
            self.talks.push(Talk { near, far, begins: None, next: 0, expects: first(far) });
            self.talks.len() - 1
        });
        let talk = &mut self.talks[at];
        if flags & SYN != 0 {
            talk.begins = Some(number.wrapping_add(1));
        }
        if flags & ACK != 0 {
            talk.expects = acknowledges;
        }
        let marks = [SYN, FIN].iter().filter(|flag| flags & **flag != 0).count();
        talk.next = number.wrapping_add((payload.len() + marks) as u32);
        // A zero may be a question whether anybody is there, which is about a byte that was had already.
        if let Some(begins) = talk.begins.filter(|_| payload != [0]) {
            let place = number.wrapping_sub(begins);
            let right = payload.iter().zip(place..).all(|(byte, place)| *byte == said(place));
            assert!(right, "{near} to {far}: not what was written at {place}");
        }
    }

    /// A segment on one of the connections, or on a new one between `near` and `far`.
    pub(crate) fn segment(&mut self, near: SocketAddr, far: SocketAddr, steps: &mut Steps<'_>) -> Packet {
        let which = usize::from(steps.byte().unwrap_or(0));
        let new = Talk { near, far, begins: None, next: 0, expects: first(far) };
        let talk = match self.talks.len() {
            0 => &new,
            _ if which < 64 => &new,
            count => &self.talks[which % count],
        };
        let mut flags = steps.byte().unwrap_or(ACK);
        let (ahead, beyond) = (steps.word() as i16, steps.byte().unwrap_or(0) as i8);
        let sequence = match flags & SYN {
            0 => talk.expects.wrapping_add_signed(ahead.into()),
            _ => first(talk.far),
        };
        let options = match steps.byte().unwrap_or(0) {
            0..64 => Vec::new(),
            64..128 => vec![2, 4, 0x05, 0x78],
            128..192 => vec![2, 4, 0x05, 0x78, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7],
            _ => steps.array::<12>().to_vec(),
        };
        let window = steps.word();
        let begins = sequence.wrapping_add(u32::from(flags & SYN != 0));
        let place = begins.wrapping_sub(first(talk.far)).wrapping_sub(1) as i32;
        let story = self.stories.entry((talk.near, talk.far)).or_default();
        let end = story.tell(place, i32::from(steps.word() % 1400), &mut flags);
        let payload = (0..end.abs_diff(place)).map(|at| said(begins.wrapping_add(at))).collect();
        let acknowledgement = talk.next.wrapping_add_signed(beyond.into());
        let transport = Transport::Tcp { sequence, acknowledgement, flags, window, options };
        packet(talk.near, talk.far, transport, payload)
    }

    /// The answer to the last echo request, but for its checksum.
    pub(crate) fn echo(&mut self) -> Option<Vec<u8>> {
        let mut packet = self.asked.take()?;
        let inner = Inner::parse(&packet).expect("it was one when it was heard");
        let v4 = inner.flow.is_v4();
        let (at, length) = if v4 { (12, 4) } else { (8, 16) };
        let (source, destination) = packet[at..at + 2 * length].split_at_mut(length);
        source.swap_with_slice(destination);
        packet[inner.network_length] = ECHO_REPLY[usize::from(!v4)];
        Some(packet)
    }
}

impl Story {
    /// Where what begins at a place ends, so that nothing is told behind the end and the end is where it was.
    fn tell(&mut self, place: i32, length: i32, flags: &mut u8) -> i32 {
        let wanted = place.saturating_add(length);
        let end = self.end.map_or(wanted, |end| wanted.min(end).max(place));
        if self.end.unwrap_or(self.told.max(end)) != end {
            *flags &= !FIN;
        }
        if *flags & FIN != 0 {
            self.end = Some(end);
        }
        self.told = self.told.max(end);
        end
    }
}

/// A datagram whose words are known.
pub(crate) fn datagram(near: SocketAddr, far: SocketAddr, length: u16) -> Packet {
    packet(near, far, Transport::Udp, (0..u32::from(length)).map(said).collect())
}

fn packet(near: SocketAddr, far: SocketAddr, transport: Transport, payload: Vec<u8>) -> Packet {
    Packet {
        source: far.ip(),
        destination: near.ip(),
        transport,
        source_port: far.port(),
        destination_port: near.port(),
        ..Packet::tcp_v4(0, &payload)
    }
}

/// Whether its checksums are right, as far as it has any.
pub(crate) fn is_intact(packet: &[u8], inner: &Inner) -> bool {
    let (network, rest) = packet.split_at(inner.network_length);
    let transport = &rest[..inner.total_length - inner.network_length];
    let whole = !inner.flow.is_v4() || Sum::ZERO.bytes(network).is_intact();
    let begin = match inner.flow.protocol {
        ICMP => Sum::ZERO,
        protocol => Sum::ZERO.pseudo_header(network, protocol, transport.len()),
    };
    whole && begin.bytes(transport).is_intact()
}
