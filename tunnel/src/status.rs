//! What is there to be seen from outside, as plain data.

use crate::driver::mailbox::LostMail;
use crate::worker::WorkerCountersSnapshot;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use tidegate_esp::DropReason;
use tidegate_ike::SaId;
use tidegate_ike::counters::Drop;

/// One connection as it is loaded, and its SAs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConnectionStatus {
    /// Its name.
    pub name: String,
    /// How it is, in a word: `up`, `connecting`, `waiting`, `retrying`, `down`.
    pub state: &'static str,
    /// Our identity.
    pub local_id: String,
    /// The peer's, or the pattern that it must match.
    pub remote_id: String,
    /// Our addresses as configured; empty for any.
    pub local_addresses: Vec<String>,
    /// The peer's addresses and names as configured; empty for any.
    pub remote_addresses: Vec<String>,
    /// Children as configured.
    pub children: Vec<ConfiguredChild>,
    /// Failures in a row.
    pub failures: u32,
    /// Seconds until the next attempt.
    pub retry_in: Option<f64>,
    /// Why the last attempt or SA came to its end.
    pub last_verdict: Option<String>,
    /// IKE SAs, the newest last.
    pub sas: Vec<IkeSaStatus>,
}

/// A child as it is loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConfiguredChild {
    /// Its name.
    pub name: String,
    /// Our side.
    pub local: Vec<String>,
    /// The peer's side.
    pub remote: Vec<String>,
    /// `wait`, `traffic` or `start`.
    pub start: &'static str,
    /// What becomes of its traffic: `TUNNEL`, `PASS` or `DROP`.
    pub mode: &'static str,
    /// The number that it is known by from outside.
    pub reqid: u32,
    /// Whether its traffic brings it up, or in the other modes is passed or dropped, just now.
    pub installed: bool,
}

/// One IKE SA.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IkeSaStatus {
    /// Its number, unique in a run.
    pub id: u64,
    /// What it is called in events.
    #[serde(skip)]
    pub handle: SaId,
    /// `CONNECTING`, `ESTABLISHED`, `REKEYED`, `DELETING`.
    pub phase: &'static str,
    /// Whether we began it.
    pub initiator: bool,
    /// SPIs, initiator's first.
    pub spis: (u64, u64),
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Whether a NAT is in front of us, and of the peer.
    pub nat: (bool, bool),
    /// Whether we claim a NAT where there is none.
    pub claims_nat: bool,
    /// Who the peer has proved to be.
    pub peer: Option<String>,
    /// What was negotiated, as it is written in proposals: `aes128gcm16-prfsha256-x25519`.
    pub suite: Option<String>,
    /// The same in parts.
    pub algorithms: Option<Algorithms>,
    /// Its age in seconds.
    pub age: f64,
    /// Seconds until it is rekeyed.
    pub rekey_in: Option<f64>,
    /// Seconds until the ends see each other's credentials again.
    pub reauthentication_in: Option<f64>,
    /// Seconds since the peer proved to be there.
    pub silence: Option<f64>,
    /// How long the set-up took, in milliseconds, if we began it.
    pub handshake_ms: Option<f64>,
    /// Round trip time in milliseconds, as the last request measured it.
    pub rtt_ms: Option<f64>,
    /// Addresses that its responder gave its initiator.
    pub virtual_addresses: Vec<IpAddr>,
    /// Children.
    pub children: Vec<ChildSaStatus>,
}

/// One child SA.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChildSaStatus {
    /// Its number, unique in a run.
    pub id: u64,
    /// Name of its configuration.
    pub name: String,
    /// The number that it is known by from outside.
    pub reqid: u32,
    /// Whether it is the one that counts, and not on its way out.
    pub current: bool,
    /// Our SPI.
    pub spi_in: u32,
    /// The peer's SPI.
    pub spi_out: u32,
    /// What was negotiated, as it is written in proposals.
    pub suite: String,
    /// The same in parts.
    pub algorithms: Algorithms,
    /// Whether it goes in UDP.
    pub udp: bool,
    /// Our side.
    pub local: Vec<String>,
    /// The peer's side.
    pub remote: Vec<String>,
    /// Packets and bytes received.
    pub received: Traffic,
    /// Packets and bytes sent.
    pub sent: Traffic,
    /// Seconds since something authentic last came.
    pub received_ago: Option<f64>,
    /// Seconds since something was last sent.
    pub sent_ago: Option<f64>,
    /// Its age in seconds.
    pub age: f64,
    /// Seconds until it is rekeyed.
    pub rekey_in: Option<f64>,
    /// Seconds until it ends, whatever has become of its successor.
    pub expires_in: Option<f64>,
}

/// Algorithms by their IANA transform ids, for whoever spells them in another way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Algorithms {
    /// Transform type 1.
    pub encryption: u16,
    /// Key length in bits, where the transform has several.
    pub key_bits: Option<u16>,
    /// Transform type 3; none with ciphers that bring their own.
    pub integrity: Option<u16>,
    /// Transform type 2; of IKE SAs alone.
    pub prf: Option<u16>,
    /// Transform type 4; of a child only where it had a key exchange of its own.
    pub group: Option<u16>,
    /// Extended sequence numbers; of children alone.
    pub extended_sequence: bool,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes of inner datagrams; of received ones with their padding.
    pub bytes: u64,
}

/// What was carried and what was dropped since the engine started, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CountersReport {
    /// Sealed and sent.
    pub sent: Traffic,
    /// Received and opened.
    pub received: Traffic,
    /// Inner and ESP packets that went no further, by reason.
    pub packet_drops: BTreeMap<&'static str, u64>,
    /// IKE datagrams that went no further, by reason.
    pub ike_drops: BTreeMap<&'static str, u64>,
    /// What happened how often, by name.
    pub totals: BTreeMap<&'static str, u64>,
    /// How long it took to set IKE SAs up.
    pub handshakes: TimesReport,
    /// Which offloads of the kernel are in use, by name: super-packets that cross the device, and datagrams
    /// that cross the sockets in one piece.
    pub offloads: BTreeMap<&'static str, bool>,
    /// How much waits at most before it is lost, by name: packets in the device, bytes in each socket, as the
    /// kernel counts them.
    pub queues: BTreeMap<&'static str, usize>,
}

/// How long something took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimesReport {
    /// How many there were.
    pub count: u64,
    /// All of them together, in microseconds.
    pub sum_us: u64,
    /// How many took no longer than so many milliseconds: pairs of these and their number.
    pub within_ms: Vec<(u64, u64)>,
}

impl CountersReport {
    /// Of what packet workers and the engine have counted, and of what was lost between them.
    pub fn new(
        workers: &WorkerCountersSnapshot,
        ike: &tidegate_ike::counters::Counters,
        lost: &LostMail,
    ) -> Self {
        let esp = &workers.esp;
        let packet_drops = DropReason::ALL.map(|reason| (reason.name(), esp.drops(reason)));
        let ike_drops = Drop::ALL.map(|reason| (reason.name(), ike.dropped(reason)));
        let totals = [
            ("ike_established", ike.established),
            ("ike_failed", ike.failed),
            ("ike_messages_in", ike.messages_in),
            ("ike_retransmissions", ike.retransmissions),
            ("ike_repeated_answers", ike.repeated_answers),
            ("ike_cookies_sent", ike.cookies_sent),
            ("ike_stateless_answers", ike.stateless_answers),
            ("mail_lost_known", lost.known),
            ("mail_lost_unknown", lost.unknown),
            ("mail_lost_reports", lost.reports),
            ("packets_held", workers.held),
            ("packets_answered", workers.answered),
            ("segment_sizes_lowered", workers.clamped),
            ("keepalives_in", workers.keepalives),
        ];
        Self {
            sent: Traffic { packets: esp.sealed_packets, bytes: esp.sealed_bytes },
            received: Traffic { packets: esp.opened_packets, bytes: esp.opened_bytes },
            packet_drops: packet_drops.into(),
            ike_drops: ike_drops.into(),
            totals: totals.into(),
            handshakes: TimesReport {
                count: ike.handshakes.count(),
                sum_us: ike.handshakes.sum.as_micros().try_into().unwrap_or(u64::MAX),
                within_ms: ike.handshakes.within().collect(),
            },
            offloads: BTreeMap::new(),
            queues: BTreeMap::new(),
        }
    }
}
