//! What is there to be seen: a picture of one moment, as structs and as JSON.

use crate::address::tidegate_address;
use crate::error::{Failure, guard, tidegate_error};
use crate::handle::{borrow, free, put};
use crate::sized::{self, growing};
use crate::text::{tidegate_buffer, tidegate_text};
use crate::tidegate_code;
use tunnel::status::{ChildSaStatus, ConnectionStatus, IkeSaStatus};

/// All connections and their SAs as they were at one moment. It never changes, and any thread may read it.
pub struct tidegate_status {
    connections: Vec<ConnectionStatus>,
    /// Selectors of children, joined: by connection, IKE SA and child.
    selectors: Vec<Vec<Vec<[String; 2]>>>,
}

/// A connection as it is loaded.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_connection_status {
    /// sizeof(struct tidegate_connection_status), set by the caller.
    pub size: usize,
    /// Its name.
    pub name: tidegate_text,
    /// How it is, in a word: "up", "connecting", "waiting", "retrying", "down".
    pub state: tidegate_text,
    /// Our identity.
    pub local_id: tidegate_text,
    /// The peer's, or the pattern that it must match.
    pub remote_id: tidegate_text,
    /// Why the last attempt or SA came to its end; empty where none has.
    pub last_verdict: tidegate_text,
    /// How many children are configured.
    pub children: usize,
    /// How many IKE SAs there are.
    pub ike_sas: usize,
    /// Seconds until the next attempt; negative where none is due.
    pub retry_in: f64,
    /// Failures in a row.
    pub failures: u32,
    /// Always 0.
    pub reserved: u32,
}

/// An IKE SA.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_ike_sa_status {
    /// sizeof(struct tidegate_ike_sa_status), set by the caller.
    pub size: usize,
    /// Its number, unique in a run.
    pub number: u64,
    /// SPI of its initiator.
    pub initiator_spi: u64,
    /// SPI of its responder.
    pub responder_spi: u64,
    /// "CONNECTING", "ESTABLISHED", "REKEYED" or "DELETING".
    pub phase: tidegate_text,
    /// Who the peer has proved to be; empty before it has.
    pub peer: tidegate_text,
    /// What was negotiated, as proposals are written.
    pub suite: tidegate_text,
    /// Our address.
    pub local: tidegate_address,
    /// The peer's address.
    pub remote: tidegate_address,
    /// Its age in seconds.
    pub age: f64,
    /// Seconds until it is rekeyed; negative where that is not known.
    pub rekey_in: f64,
    /// Seconds since the peer proved to be there; negative where that is not known.
    pub silence: f64,
    /// Round trip time in milliseconds; negative where that is not known.
    pub rtt_ms: f64,
    /// How many child SAs it has.
    pub child_sas: usize,
    /// 1 if we began it.
    pub initiator: u8,
    /// 1 if a NAT is in front of us.
    pub local_nat: u8,
    /// 1 if a NAT is in front of the peer.
    pub remote_nat: u8,
    /// Always 0.
    pub reserved: [u8; 5],
}

/// A child SA.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_child_sa_status {
    /// sizeof(struct tidegate_child_sa_status), set by the caller.
    pub size: usize,
    /// Name of its configuration.
    pub name: tidegate_text,
    /// What was negotiated, as proposals are written.
    pub suite: tidegate_text,
    /// What it carries on our side, with commas between.
    pub local_selectors: tidegate_text,
    /// What it carries on the peer's side, with commas between.
    pub remote_selectors: tidegate_text,
    /// Packets received.
    pub received_packets: u64,
    /// Bytes of these.
    pub received_bytes: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Bytes of these.
    pub sent_bytes: u64,
    /// Its age in seconds.
    pub age: f64,
    /// Seconds until it is rekeyed; negative where that is not known.
    pub rekey_in: f64,
    /// Our SPI.
    pub spi_in: u32,
    /// The peer's SPI.
    pub spi_out: u32,
    /// 1 if it is the one that counts, and not on its way out.
    pub current: u8,
    /// 1 if it goes in UDP.
    pub udp: u8,
    /// Always 0.
    pub reserved: [u8; 6],
}

growing!(tidegate_connection_status);
growing!(tidegate_ike_sa_status);
growing!(tidegate_child_sa_status);

/// How many connections there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_status_connections(status: *const tidegate_status) -> usize {
    // SAFETY: null, or a status that the caller owns.
    unsafe { status.as_ref() }.map_or(0, |status| status.connections.len())
}

/// A connection by its place, counted from 0; they are in the order of their names. Texts live as long as the
/// status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_status_connection(
    status: *const tidegate_status,
    connection: usize,
    into: *mut tidegate_connection_status,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or a status that the caller owns.
        let found = unsafe { borrow(status, "the status") }?.connection(connection)?;
        // SAFETY: null, or the caller's room of the size that it says.
        unsafe { sized::write(into, &of_connection(found)) }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// An IKE SA of a connection by its place, counted from 0, the newest last. Texts live as long as the status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_status_ike_sa(
    status: *const tidegate_status,
    connection: usize,
    ike_sa: usize,
    into: *mut tidegate_ike_sa_status,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or a status that the caller owns.
        let found = unsafe { borrow(status, "the status") }?.ike_sa(connection, ike_sa)?;
        // SAFETY: null, or the caller's room of the size that it says.
        unsafe { sized::write(into, &of_ike_sa(found)) }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// A child SA of an IKE SA by its place, counted from 0. Texts live as long as the status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_status_child_sa(
    status: *const tidegate_status,
    connection: usize,
    ike_sa: usize,
    child_sa: usize,
    into: *mut tidegate_child_sa_status,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or a status that the caller owns.
        let status = unsafe { borrow(status, "the status") }?;
        let found = status.ike_sa(connection, ike_sa)?.children.get(child_sa);
        let selectors = status.selectors.get(connection).and_then(|sas| sas.get(ike_sa)?.get(child_sa));
        let (Some(found), Some(selectors)) = (found, selectors) else { return Err(no_such("child SA")) };
        // SAFETY: null, or the caller's room of the size that it says.
        unsafe { sized::write(into, &of_child_sa(found, selectors)) }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// All of it as JSON, with more than the structs have: an array of connections. The text is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_status_json(
    status: *const tidegate_status,
    text: *mut tidegate_buffer,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or a status that the caller owns.
        let status = unsafe { borrow(status, "the status") }?;
        let json = serde_json::to_string(&status.connections).map_err(Failure::misuse)?;
        // SAFETY: null, or the caller's room for a buffer.
        unsafe { put(text, tidegate_buffer::new(json), "the place for the text") }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// Gives a status back. NULL is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_status_free(status: *mut tidegate_status) {
    // SAFETY: null, or the caller's, who gives it away here.
    unsafe { free(status) }
}

impl tidegate_status {
    pub(crate) fn new(connections: Vec<ConnectionStatus>) -> Self {
        let of_child = |child: &ChildSaStatus| [child.local.join(","), child.remote.join(",")];
        let of_sa = |sa: &IkeSaStatus| sa.children.iter().map(of_child).collect();
        let of_connection = |connection: &ConnectionStatus| connection.sas.iter().map(of_sa).collect();
        let selectors = connections.iter().map(of_connection).collect();
        Self { connections, selectors }
    }

    fn connection(&self, at: usize) -> Result<&ConnectionStatus, Failure> {
        self.connections.get(at).ok_or_else(|| no_such("connection"))
    }

    fn ike_sa(&self, connection: usize, at: usize) -> Result<&IkeSaStatus, Failure> {
        self.connection(connection)?.sas.get(at).ok_or_else(|| no_such("IKE SA"))
    }
}

fn no_such(what: &str) -> Failure {
    Failure::new(tidegate_code::NotFound, format_args!("there is no {what} at that place"))
}

fn of_connection(status: &ConnectionStatus) -> tidegate_connection_status {
    tidegate_connection_status {
        size: size_of::<tidegate_connection_status>(),
        name: tidegate_text::of(&status.name),
        state: tidegate_text::of(status.state),
        local_id: tidegate_text::of(&status.local_id),
        remote_id: tidegate_text::of(&status.remote_id),
        last_verdict: maybe(status.last_verdict.as_deref()),
        children: status.children.len(),
        ike_sas: status.sas.len(),
        retry_in: seconds(status.retry_in),
        failures: status.failures,
        reserved: 0,
    }
}

fn of_ike_sa(status: &IkeSaStatus) -> tidegate_ike_sa_status {
    tidegate_ike_sa_status {
        size: size_of::<tidegate_ike_sa_status>(),
        number: status.id,
        initiator_spi: status.spis.0,
        responder_spi: status.spis.1,
        phase: tidegate_text::of(status.phase),
        peer: maybe(status.peer.as_deref()),
        suite: maybe(status.suite.as_deref()),
        local: status.local.into(),
        remote: status.remote.into(),
        age: status.age,
        rekey_in: seconds(status.rekey_in),
        silence: seconds(status.silence),
        rtt_ms: seconds(status.rtt_ms),
        child_sas: status.children.len(),
        initiator: status.initiator.into(),
        local_nat: status.nat.0.into(),
        remote_nat: status.nat.1.into(),
        reserved: [0; 5],
    }
}

fn of_child_sa(status: &ChildSaStatus, [local, remote]: &[String; 2]) -> tidegate_child_sa_status {
    tidegate_child_sa_status {
        size: size_of::<tidegate_child_sa_status>(),
        name: tidegate_text::of(&status.name),
        suite: tidegate_text::of(&status.suite),
        local_selectors: tidegate_text::of(local),
        remote_selectors: tidegate_text::of(remote),
        received_packets: status.received.packets,
        received_bytes: status.received.bytes,
        sent_packets: status.sent.packets,
        sent_bytes: status.sent.bytes,
        age: status.age,
        rekey_in: seconds(status.rekey_in),
        spi_in: status.spi_in,
        spi_out: status.spi_out,
        current: status.current.into(),
        udp: status.udp.into(),
        reserved: [0; 6],
    }
}

fn maybe(text: Option<&str>) -> tidegate_text {
    text.map_or(tidegate_text::EMPTY, tidegate_text::of)
}

/// What is not known is negative.
fn seconds(span: Option<f64>) -> f64 {
    span.unwrap_or(-1.0)
}
