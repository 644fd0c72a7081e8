//! What was carried and what was dropped.

use crate::error::Failure;
use crate::sized::growing;
use tunnel::status::CountersReport;

/// What was carried and what was dropped since the start. The same by reason, and more, is in the JSON.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_counters {
    /// sizeof(struct tidegate_counters), set by the caller.
    pub size: usize,
    /// Packets sealed and sent.
    pub sent_packets: u64,
    /// Bytes of these.
    pub sent_bytes: u64,
    /// Packets received and opened.
    pub received_packets: u64,
    /// Bytes of these.
    pub received_bytes: u64,
    /// Packets and ESP that went no further, for whatever reason.
    pub dropped_packets: u64,
    /// IKE messages that went no further, for whatever reason.
    pub dropped_ike: u64,
    /// Packets that had to wait for an SA.
    pub held_packets: u64,
    /// IKE messages received.
    pub ike_messages: u64,
    /// IKE requests that were sent again.
    pub ike_retransmissions: u64,
    /// IKE SAs that came to stand.
    pub ike_established: u64,
    /// Attempts at IKE SAs that failed.
    pub ike_failed: u64,
}

growing!(tidegate_counters);

pub(crate) fn of_report(report: &CountersReport) -> tidegate_counters {
    let total = |name: &str| report.totals.get(name).copied().unwrap_or(0);
    tidegate_counters {
        size: size_of::<tidegate_counters>(),
        sent_packets: report.sent.packets,
        sent_bytes: report.sent.bytes,
        received_packets: report.received.packets,
        received_bytes: report.received.bytes,
        dropped_packets: report.packet_drops.values().sum(),
        dropped_ike: report.ike_drops.values().sum(),
        held_packets: total("packets_held"),
        ike_messages: total("ike_messages_in"),
        ike_retransmissions: total("ike_retransmissions"),
        ike_established: total("ike_established"),
        ike_failed: total("ike_failed"),
    }
}

pub(crate) fn json(report: &CountersReport) -> Result<String, Failure> {
    serde_json::to_string(report).map_err(Failure::misuse)
}
