//! An engine without threads, clocks, sockets or a device: all of them are the caller's.

mod driver;
mod job;
mod options;
mod outlets;

pub use job::*;
pub use options::*;

use crate::address::tidegate_address;
use crate::code::tidegate_code;
use crate::counters::{self, tidegate_counters};
use crate::error::{Failure, guard, tidegate_error};
use crate::event::tidegate_event;
use crate::handle::{borrow, clear, free, give, put};
use crate::sized::{self, growing};
use crate::status::tidegate_status;
use crate::target::{Wanted, tidegate_target};
use crate::text::{array, tidegate_buffer, tidegate_bytes, tidegate_text};
use driver::{Driver, Received};
use std::sync::{Mutex, TryLockError};
use tidegate_esp::Encapsulation;
use tidegate_ike::Time;
use tunnel::engine::Manner;
use tunnel::io::batch::Fragmentation;

/// An engine without threads. One call at a time: any thread may make it, but while it is under way every other call
/// fails with TIDEGATE_CODE_BUSY. After every call, poll datagrams, packets and events until there are no more, and
/// ask for the next deadline.
pub struct tidegate_engine {
    driver: Mutex<Driver>,
}

/// A datagram on its way to a peer or from one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_datagram {
    /// sizeof(struct tidegate_datagram)
    pub size: usize,
    /// Our address and port; port 0 of ESP without UDP (IP protocol 50).
    pub local: tidegate_address,
    /// The peer's address and port; port 0 of ESP without UDP.
    pub remote: tidegate_address,
    /// Payload of UDP, or of the IP packet where there is no UDP.
    pub payload: tidegate_bytes,
    /// DSCP and ECN of the IP header.
    pub traffic_class: u8,
    /// 1 if the network must not fragment it. Of what has come it means nothing.
    pub dont_fragment: u8,
    /// Always 0.
    pub reserved: [u8; 6],
}

growing!(tidegate_datagram);

/// Makes an engine and loads the connections of its configuration. It does nothing before it has an address:
/// `tidegate_engine_set_addresses`. `*engine` is to be freed by `tidegate_engine_free`, and NULL if there is none.
///
/// The function and the context in the options must be there until that has returned, and no job of it is left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_new(
    options: *const tidegate_engine_options,
    engine: *mut *mut tidegate_engine,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or the caller's room for a pointer.
        unsafe { clear(engine) }?;
        // SAFETY: null, or a struct of the size that it says.
        let options = unsafe { sized::read(options) }?;
        // SAFETY: what the options point to is there during this call; of their function see above.
        let driver = Mutex::new(unsafe { Driver::new(&options) }?);
        // SAFETY: the caller's room for a pointer.
        unsafe { give(engine, tidegate_engine { driver }) }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// Gives an engine back, without a word to peers: see `tidegate_engine_shutdown`. No call with it may be under way.
/// NULL is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_free(engine: *mut tidegate_engine) {
    // SAFETY: null, or the caller's, who gives it away here.
    unsafe { free(engine) }
}

/// Says which addresses we have now, the one that most traffic leaves from first. Ports do not count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_set_addresses(
    engine: *const tidegate_engine,
    now: tidegate_time,
    addresses: *const tidegate_address,
    count: usize,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or so many addresses that are there during this call.
        let addresses = unsafe { ips(addresses, count) }?;
        driver.set_addresses(now.into(), addresses);
        Ok(())
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// Adds connections and pools, as `tidegate_manager_load` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_load(
    engine: *const tidegate_engine,
    now: tidegate_time,
    text: tidegate_text,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: the caller passes a text that is there during this call.
        driver.load(now.into(), unsafe { text.read("the text") }?)
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// Takes a connection away, and its SAs at both ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_unload(
    engine: *const tidegate_engine,
    now: tidegate_time,
    connection: tidegate_text,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: the caller passes a text that is there during this call.
        driver.unload(now.into(), unsafe { connection.name("the connection's name") }?)
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// Begins what `action` (TIDEGATE_ACTION) says. An event of kind TIDEGATE_EVENT_KIND_DONE with this number comes when
/// it is done or has failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_begin(
    engine: *const tidegate_engine,
    now: tidegate_time,
    action: u32,
    target: *const tidegate_target,
    number: *mut u64,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(number, 0, "the place for the number") }?;
        // SAFETY: null, or a struct of the size that it says.
        let target = unsafe { sized::read(target) }?;
        // SAFETY: its texts are there during this call.
        let wanted = unsafe { Wanted::new(&target) }?;
        let now = now.into();
        let begun = match action {
            1 => driver.initiate(now, &wanted.target()?),
            2 => driver.terminate(now, &wanted.selection(), Manner::Ask),
            3 => driver.rekey(now, &wanted.selection()),
            4 => driver.terminate(now, &wanted.selection(), Manner::Force),
            5 => driver.reauthenticate(now, &wanted.selection()),
            6 => driver.install(now, &wanted.target()?),
            7 => driver.uninstall(now, &wanted.target()?),
            action => return Err(Failure::argument(format_args!("there is no action {action}"))),
        };
        // SAFETY: the caller's room for a number.
        unsafe { put(number, begun, "the place for the number") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// Ends all SAs at both ends. An event of kind TIDEGATE_EVENT_KIND_DONE with this number comes when the peers have
/// agreed, or after two seconds; until then the engine is driven as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_shutdown(
    engine: *const tidegate_engine,
    now: tidegate_time,
    number: *mut u64,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(number, 0, "the place for the number") }?;
        let begun = driver.shutdown(now.into());
        // SAFETY: the caller's room for a number.
        unsafe { put(number, begun, "the place for the number") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// A datagram has come from a socket. What it was for is told by polling; junk is counted and dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_receive(
    engine: *const tidegate_engine,
    now: tidegate_time,
    datagram: *const tidegate_datagram,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or a struct of the size that it says.
        let given = unsafe { sized::read(datagram) }?;
        let received = Received {
            local: given.local.socket("the local address")?,
            remote: given.remote.socket("the remote address")?,
            traffic_class: given.traffic_class,
            // SAFETY: its bytes are there during this call.
            bytes: unsafe { given.payload.read("the payload") }?,
        };
        driver.receive(now.into(), &received)
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// An IP packet is to go into a tunnel. Without an SA for it, it is held while one is set up; what no connection
/// protects is counted and dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_send_packet(
    engine: *const tidegate_engine,
    now: tidegate_time,
    packet: tidegate_bytes,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: the caller passes bytes that are there during this call.
        driver.send(now.into(), unsafe { packet.read("the packet") }?);
        Ok(())
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// A deadline has passed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_handle_timeout(
    engine: *const tidegate_engine,
    now: tidegate_time,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        driver.handle_timeout(now.into());
        Ok(())
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// When to call `tidegate_engine_handle_timeout` at the latest, by the clock of `now.nanoseconds`; UINT64_MAX if there
/// is nothing to wait for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_next_deadline(
    engine: *const tidegate_engine,
    now: tidegate_time,
    nanoseconds: *mut u64,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        let deadline = driver.next_deadline(now.into()).map_or(u64::MAX, Time::as_nanos);
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(nanoseconds, deadline, "the place for the deadline") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// The network says that the path to an address carries no more than `mtu` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_path_mtu(
    engine: *const tidegate_engine,
    now: tidegate_time,
    remote: tidegate_address,
    mtu: usize,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        driver.path_mtu(now.into(), remote.ip("the remote address")?, mtu);
        Ok(())
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// The next datagram to be sent. `datagram->payload.length` is 0 if there is none; else its bytes are there until the
/// next call with this engine. Set `datagram->size` before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_next_datagram(
    engine: *const tidegate_engine,
    datagram: *mut tidegate_datagram,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or a struct of the size that it says: looked at before anything is taken out.
        let mut next = unsafe { sized::read(datagram) }?;
        next.payload = tidegate_bytes { data: std::ptr::null(), length: 0 };
        if let Some((departure, bytes)) = driver.next_datagram() {
            let port = |address: std::net::SocketAddr| match departure.encapsulation {
                Encapsulation::Udp => address.into(),
                Encapsulation::None => address.ip().into(),
            };
            (next.local, next.remote) = (port(departure.local), port(departure.remote));
            next.payload = tidegate_bytes { data: bytes.as_ptr(), length: bytes.len() };
            next.traffic_class = departure.traffic_class;
            next.dont_fragment = u8::from(departure.fragmentation == Fragmentation::Forbidden);
        }
        // SAFETY: the caller's room of the size that it says.
        unsafe { sized::write(datagram, &next) }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// The next packet that has come out of a tunnel, or that answers one that was sent into it. `packet->length` is 0 if
/// there is none; else its bytes are there until the next call with this engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_next_packet(
    engine: *const tidegate_engine,
    packet: *mut tidegate_bytes,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        let none = tidegate_bytes { data: std::ptr::null(), length: 0 };
        // SAFETY: null, or the caller's room for it.
        unsafe { put(packet, none, "the place for the packet") }?;
        let Some(next) = driver.next_packet() else { return Ok(()) };
        let next = tidegate_bytes { data: next.as_ptr(), length: next.len() };
        // SAFETY: the caller's room for it.
        unsafe { put(packet, next, "the place for the packet") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// The next event, to be freed by `tidegate_event_free`; `*event` is NULL if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_next_event(
    engine: *const tidegate_engine,
    event: *mut *mut tidegate_event,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or the caller's room for a pointer.
        unsafe { clear(event) }?;
        match driver.next_event() {
            // SAFETY: the caller's room for a pointer.
            Some(next) => unsafe { give(event, next) },
            None => Ok(()),
        }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// All connections and their SAs as they are now. `*status` is to be freed by `tidegate_status_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_status(
    engine: *const tidegate_engine,
    now: tidegate_time,
    status: *mut *mut tidegate_status,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or the caller's room for a pointer.
        unsafe { clear(status) }?;
        // SAFETY: the caller's room for a pointer.
        unsafe { give(status, tidegate_status::new(driver.status(now.into()))) }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// What was carried and what was dropped. Set `counters->size` before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_counters(
    engine: *const tidegate_engine,
    counters: *mut tidegate_counters,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    // SAFETY: null, or the caller's room of the size that it says.
    let act =
        |driver: &mut Driver| unsafe { sized::write(counters, &counters::of_report(&driver.counters())) };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// The same by reason and with more, as JSON. The text is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_counters_json(
    engine: *const tidegate_engine,
    text: *mut tidegate_buffer,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        let json = counters::json(&driver.counters())?;
        // SAFETY: null, or the caller's room for a buffer.
        unsafe { put(text, tidegate_buffer::new(json), "the place for the text") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// Writes to `*idle` whether there is no SA, none to come, and nothing under way: 1, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_is_idle(
    engine: *const tidegate_engine,
    idle: *mut i32,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(idle, driver.is_idle().into(), "the place for the result") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// # Safety
///
/// `engine` is null or was not freed, `error` is null or room for a pointer.
unsafe fn with(
    engine: *const tidegate_engine,
    error: *mut *mut tidegate_error,
    act: impl FnOnce(&mut Driver) -> Result<(), Failure>,
) -> tidegate_code {
    let act = || {
        // SAFETY: as for this function.
        let engine = unsafe { borrow(engine, "the engine") }?;
        match engine.driver.try_lock() {
            Ok(mut driver) => act(&mut driver),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::new(tidegate_code::Busy, "another call is still under way"))
            }
            // Nobody knows what state it was left in, and nothing shall be sent by it.
            Err(TryLockError::Poisoned(_)) => {
                Err(Failure::new(tidegate_code::Bug, "an earlier call did not come to its end"))
            }
        }
    };
    // SAFETY: as for this function.
    unsafe { guard(error, act) }
}

/// # Safety
///
/// `addresses` is null, or has `count` addresses that are there for this call.
unsafe fn ips(addresses: *const tidegate_address, count: usize) -> Result<Vec<std::net::IpAddr>, Failure> {
    // SAFETY: as for this function.
    let addresses = unsafe { array(addresses, count, "the addresses") }?;
    addresses.iter().map(|address| address.ip("an address")).collect()
}
