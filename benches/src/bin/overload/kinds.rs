//! What floods are made of: packets that were overheard, with some of their bytes random.

use crate::overheard::{IKE_PORT, NAT_PORT, Overheard};
use std::net::Ipv4Addr;
use std::ops::Range;
use tidegate_benches::lab::End;

/// What comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// First messages that nothing is wrong with, each from another address and with another SPI.
    Init,
    /// The same with something wrong in them.
    InitMalformed,
    /// Fragments of messages of IKE SAs that there are not, from any address.
    Fragments,
    /// Forged fragments of the next message of the IKE SA that there is, from its peer's address.
    FragmentsKnown,
    /// ESP of SAs that there are not, from any address.
    Esp,
    /// ESP of the SA that there is, with numbers that are still to come, which does not hold.
    EspForged,
    /// Packets of the tunnel once more.
    EspReplayed,
    /// Messages of the tunnel's IKE SA once more.
    IkeReplayed,
}

/// A packet to make others of.
#[derive(Clone)]
pub(crate) struct Draft {
    /// The IPv4 header, the UDP header and what is in it.
    pub(crate) packet: Vec<u8>,
    /// What is random.
    pub(crate) random: Vec<Range<usize>>,
    pub(crate) from: From,
}

/// Whose packet it is said to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Anybody,
    Peer,
}

/// Bytes before a UDP payload.
pub(crate) const FRONT: usize = 28;
/// Where the port is that a packet goes to.
pub(crate) const PORT_AT: Range<usize> = 22..24;
const MARKER: usize = 4;
const IKE_HEADER: usize = 28;
const SPIS: Range<usize> = 0..16;
const INITIATOR_SPI: Range<usize> = 0..8;
const NEXT_PAYLOAD: usize = 16;
const SKF: u8 = 53;
const INFORMATIONAL: u8 = 37;
const FROM_INITIATOR: u8 = 0x08;
/// Number of a fragment and of all, and what is sealed in it.
const FRAGMENT_BODY: usize = 400;
const NOBODYS_ESP: Range<usize> = 0..200;
const ESP_HEADER: usize = 8;

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Init,
        Self::InitMalformed,
        Self::Fragments,
        Self::FragmentsKnown,
        Self::Esp,
        Self::EspForged,
        Self::EspReplayed,
        Self::IkeReplayed,
    ];

    /// On the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::InitMalformed => "init-malformed",
            Self::Fragments => "fragments",
            Self::FragmentsKnown => "fragments-known",
            Self::Esp => "esp",
            Self::EspForged => "esp-forged",
            Self::EspReplayed => "esp-replayed",
            Self::IkeReplayed => "ike-replayed",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Init => "IKE_SA_INIT, spoofed",
            Self::InitMalformed => "IKE_SA_INIT, malformed",
            Self::Fragments => "fragments, SPI unknown",
            Self::FragmentsKnown => "fragments, SPI known",
            Self::Esp => "ESP, SPI unknown",
            Self::EspForged => "ESP, SPI known",
            Self::EspReplayed => "ESP, replayed",
            Self::IkeReplayed => "IKE, replayed",
        }
    }

    /// What this kind is made of.
    pub(crate) fn drafts(self, heard: &Overheard) -> Vec<Draft> {
        match self {
            Self::Init => vec![init(&heard.init)],
            Self::InitMalformed => malformed(&heard.init),
            Self::Fragments => vec![fragment(heard, From::Anybody)],
            Self::FragmentsKnown => vec![fragment(heard, From::Peer)],
            Self::Esp => {
                vec![Draft::new(NAT_PORT, &[0xff; NOBODYS_ESP.end], vec![NOBODYS_ESP], From::Anybody)]
            }
            Self::EspForged => heard.esp.iter().rev().take(1).map(|packet| forged(packet)).collect(),
            Self::EspReplayed => {
                let again = |packet: &Vec<u8>| Draft::new(NAT_PORT, packet, Vec::new(), From::Peer);
                heard.esp.iter().map(again).collect()
            }
            Self::IkeReplayed => {
                let again =
                    |(port, message): &(u16, Vec<u8>)| Draft::new(*port, message, Vec::new(), From::Peer);
                heard.ike.iter().map(again).collect()
            }
        }
    }
}

impl Draft {
    fn new(port: u16, payload: &[u8], random: Vec<Range<usize>>, from: From) -> Self {
        let mut packet = vec![0; FRONT];
        // IPv4 with a lifetime of 64 and UDP in it. The kernel fills in lengths and sums.
        packet[0] = 0x45;
        packet[8] = 64;
        packet[9] = 17;
        packet[12..16].copy_from_slice(&End::One.outside().octets());
        packet[16..20].copy_from_slice(&End::Other.outside().octets());
        let length = (payload.len() + 8) as u16;
        packet[20..22].copy_from_slice(&port.to_be_bytes());
        packet[PORT_AT].copy_from_slice(&port.to_be_bytes());
        packet[24..26].copy_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(payload);
        let random = random.into_iter().map(|range| range.start + FRONT..range.end + FRONT).collect();
        Self { packet, random, from }
    }

    /// Puts a source into a packet made of this one: an address of the crowd's, and a port.
    pub(crate) fn spoof(packet: &mut [u8], random: u64) {
        let [a, b, c, d, ..] = random.to_ne_bytes();
        packet[12..16].copy_from_slice(&Ipv4Addr::new(10, 66, a, b).octets());
        packet[20..22].copy_from_slice(&[c | 0x80, d]);
    }
}

fn init(heard: &[u8]) -> Draft {
    Draft::new(IKE_PORT, heard, vec![INITIATOR_SPI], From::Anybody)
}

/// Cut short with the length said to be right; lengths of payloads that are not so; noise behind the header; a
/// request that is none.
fn malformed(heard: &[u8]) -> Vec<Draft> {
    let draft = |message: Vec<u8>, random: Range<usize>| {
        Draft::new(IKE_PORT, &message, vec![INITIATOR_SPI, random], From::Anybody)
    };
    let mut short = heard.get(..heard.len() / 2).unwrap_or_default().to_vec();
    let length = (short.len() as u32).to_be_bytes();
    short[24..28].copy_from_slice(&length);
    let all = heard.len();
    let mut other = heard.to_vec();
    other[SPIS].fill(0xee);
    vec![
        draft(short, 0..0),
        draft(heard.to_vec(), IKE_HEADER + 2..IKE_HEADER + 4),
        draft(heard.to_vec(), IKE_HEADER..all),
        draft(other, 8..16),
    ]
}

/// A fragment that nobody has sealed. The SPIs are those of the IKE SA, or nobody's.
fn fragment(heard: &Overheard, from: From) -> Draft {
    // The last one has both SPIs, and a number that was used: the next one is wanted.
    let (_, last) = heard.ike.last().cloned().unwrap_or_default();
    let header = if last.starts_with(&[0; MARKER]) { &last[MARKER..] } else { &last[..] };
    let length = IKE_HEADER + 4 + 4 + FRAGMENT_BODY;
    let mut message = header[..IKE_HEADER].to_vec();
    message[NEXT_PAYLOAD] = SKF;
    message[18] = INFORMATIONAL;
    message[19] = FROM_INITIATOR;
    let number = u32::from_be_bytes([message[20], message[21], message[22], message[23]]) + 1;
    message[20..24].copy_from_slice(&number.to_be_bytes());
    message[24..28].copy_from_slice(&(length as u32).to_be_bytes());
    let payload_length = ((4 + 4 + FRAGMENT_BODY) as u16).to_be_bytes();
    message.extend_from_slice(&[0, 0, payload_length[0], payload_length[1]]);
    message.extend_from_slice(&[0, 1, 0, 2]);
    message.resize(length, 0x5a);
    let mut marked = vec![0; MARKER];
    marked.extend_from_slice(&message);
    let body = MARKER + IKE_HEADER + 8..marked.len();
    let random = match from {
        From::Anybody => vec![MARKER..MARKER + SPIS.end, body],
        From::Peer => vec![body],
    };
    Draft::new(NAT_PORT, &marked, random, from)
}

/// Of the SA, and ahead of it, so that nothing but its sum tells. Half of the numbers are ahead of what is sent
/// by then.
fn forged(packet: &[u8]) -> Draft {
    let tail = packet.len().saturating_sub(16).max(ESP_HEADER)..packet.len();
    Draft::new(NAT_PORT, packet, vec![4..ESP_HEADER, tail], From::Peer)
}
