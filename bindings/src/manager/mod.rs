//! An engine with threads of its own: what an agent or a daemon holds.

mod running;

use crate::callback;
use crate::code::tidegate_code;
use crate::counters::{self, tidegate_counters};
use crate::error::{Failure, guard, guarded, tidegate_error};
use crate::event::tidegate_event;
use crate::handle::{borrow, clear, free, give, put};
use crate::options::tidegate_options;
use crate::sized;
use crate::status::tidegate_status;
use crate::target::{Wanted, tidegate_target};
use crate::text::{tidegate_buffer, tidegate_bytes, tidegate_text};
use running::Running;
use std::os::fd::AsRawFd;
use tunnel::engine::Manner;
use tunnel::status::CountersReport;

/// A running engine. Any thread may call it, several at once, until it is freed.
pub struct tidegate_manager {
    running: Running,
}

/// What a request is to do.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_action {
    /// Set up.
    Initiate = 1,
    /// Take down, at both ends.
    Terminate = 2,
    /// Give new keys.
    Rekey = 3,
    /// Take down here at once. The peer is told once, and not waited for.
    TerminateByForce = 4,
    /// Have both ends of IKE SAs prove anew who they are: new SAs stand before the old ones go.
    Reauthenticate = 5,
    /// Let traffic set children up, or put the rules of those in force that pass or drop it. Needs a name, as to set
    /// up does.
    Install = 6,
    /// Undo what Install and a start on traffic do. SAs that stand stay. Needs a name too.
    Uninstall = 7,
}

/// Starts an engine: opens its device and sockets, starts its threads, loads the connections of its configuration.
/// `*manager` is to be freed by `tidegate_manager_free`, and NULL if there is none.
///
/// The functions and the context in the options must be there until that has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_new(
    options: *const tidegate_options,
    manager: *mut *mut tidegate_manager,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or the caller's room for a pointer.
        unsafe { clear(manager) }?;
        // SAFETY: null, or a struct of the size that it says.
        let options = unsafe { sized::read(options) }?;
        // SAFETY: what the options point to is there during this call; of their functions see above.
        let running = unsafe { Running::start(&options) }?;
        // SAFETY: the caller's room for a pointer.
        unsafe { give(manager, tidegate_manager { running }) }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// Shuts down if that was not done, waits until all threads have ended, and gives the manager back. No other call
/// with it may be under way, and its descriptors are closed. In a function that the library has called, it ends
/// later, on a thread of its own. NULL is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_free(manager: *mut tidegate_manager) {
    if !callback::is_within() || manager.is_null() {
        // SAFETY: null, or the caller's, who gives it away here.
        return unsafe { free(manager) };
    }
    // SAFETY: as above.
    let manager = unsafe { Box::from_raw(manager) };
    guarded((), || drop(std::thread::spawn(move || drop(manager))));
}

/// Ends all SAs at both ends, which takes two seconds at most, gives back routes and sockets, and stops. Calls fail
/// with TIDEGATE_CODE_STOPPED after that, but for those that take events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_shutdown(
    manager: *const tidegate_manager,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        if callback::is_within() {
            return Err(Failure::misuse("a function that the library calls cannot wait for its end"));
        }
        running.wait(running.manager.shutdown())
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// Writes to `*running` whether the engine runs: 1, or 0 once it has stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_is_running(
    manager: *const tidegate_manager,
    running: *mut i32,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |it: &Running| {
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(running, it.manager.is_running().into(), "the place for the result") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// Adds connections and pools: a text with [[connection]] and [[pool]] as in tidegate.toml. What a connection leaves
/// out is as [node] has it in the configuration that the manager was made with. One of a name that there is already
/// is replaced: its SAs end, and new ones are set up as its children want it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_load(
    manager: *const tidegate_manager,
    text: tidegate_text,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        // SAFETY: the caller passes a text that is there during this call.
        running.load(unsafe { text.read("the text") }?)
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// Makes connections and pools those of a whole tidegate.toml, peers and communities included. Only what differs
/// from the one before is touched, and what `tidegate_manager_load` has added stays. With a mistake in the text
/// nothing is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_apply(
    manager: *const tidegate_manager,
    config: tidegate_text,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        // SAFETY: the caller passes a text that is there during this call.
        running.apply(unsafe { config.read("the configuration") }?)
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// Takes a connection away, and its SAs at both ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_unload(
    manager: *const tidegate_manager,
    connection: tidegate_text,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        // SAFETY: the caller passes a text that is there during this call.
        let name = unsafe { connection.name("the connection's name") }?;
        Ok(running.wait(running.manager.unload(name))??)
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// Takes a pool away. Addresses that were given out of it stay with their peers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_unload_pool(
    manager: *const tidegate_manager,
    pool: tidegate_text,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        // SAFETY: the caller passes a text that is there during this call.
        let name = unsafe { pool.name("the pool's name") }?;
        match running.wait(running.manager.unload_pool(name))?? {
            true => Ok(()),
            false => Err(Failure::new(tidegate_code::NotFound, format_args!("there is no pool {name:?}"))),
        }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// Does what `action` (TIDEGATE_ACTION) says, and waits until it is done or has failed, but for no more than so many
/// milliseconds; 0 for as long as it takes. What is not done then goes on. `*count`, unless that is NULL, becomes
/// the number of SAs that were taken down, given new keys or replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_run(
    manager: *const tidegate_manager,
    action: u32,
    target: *const tidegate_target,
    milliseconds: u32,
    count: *mut usize,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        // SAFETY: null, or a struct of the size that it says, with texts that are there during this call.
        let request = unsafe { request(action, target) }?;
        let done = running.wait_for(milliseconds, request.run(running.manager.clone()))?;
        if !count.is_null() {
            // SAFETY: the caller's room for a number.
            unsafe { put(count, done, "the place for the number") }?;
        }
        Ok(())
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// Begins what `action` (TIDEGATE_ACTION) says and does not wait. An event of kind TIDEGATE_EVENT_KIND_DONE with this
/// number comes when it is done or has failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_begin(
    manager: *const tidegate_manager,
    action: u32,
    target: *const tidegate_target,
    number: *mut u64,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(number, 0, "the place for the number") }?;
        // SAFETY: null, or a struct of the size that it says, with texts that are there during this call.
        let request = unsafe { request(action, target) }?;
        let begun = running.begin(request.run(running.manager.clone()))?;
        // SAFETY: the caller's room for a number.
        unsafe { put(number, begun, "the place for the number") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// Writes to `*active` whether a connection is up: 1, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_is_active(
    manager: *const tidegate_manager,
    connection: tidegate_text,
    active: *mut i32,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        // SAFETY: the caller passes a text that is there during this call.
        let name = unsafe { connection.name("the connection's name") }?;
        let is_active = running.wait(running.manager.is_active(name))??;
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(active, is_active.into(), "the place for the result") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// All connections and their SAs as they are now. `*status` is to be freed by `tidegate_status_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_status(
    manager: *const tidegate_manager,
    status: *mut *mut tidegate_status,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        // SAFETY: null, or the caller's room for a pointer.
        unsafe { clear(status) }?;
        let all = running.wait(running.manager.status())??;
        // SAFETY: the caller's room for a pointer.
        unsafe { give(status, tidegate_status::new(all)) }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// What was carried and what was dropped. Set `counters->size` before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_counters(
    manager: *const tidegate_manager,
    counters: *mut tidegate_counters,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        let report = report(running)?;
        // SAFETY: null, or the caller's room of the size that it says.
        unsafe { sized::write(counters, &counters::of_report(&report)) }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// The same by reason and with more, as JSON. The text is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_counters_json(
    manager: *const tidegate_manager,
    text: *mut tidegate_buffer,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        let json = counters::json(&report(running)?)?;
        // SAFETY: null, or the caller's room for a buffer.
        unsafe { put(text, tidegate_buffer::new(json), "the place for the text") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// The ports that the engine is reached at: that of IKE alone, and that of IKE and ESP together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_ports(
    manager: *const tidegate_manager,
    ike_port: *mut u16,
    nat_port: *mut u16,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        let (ike, nat) = running.manager.ports();
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(ike_port, ike, "the place for the port of IKE") }?;
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(nat_port, nat, "the place for the shared port") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// A descriptor that is readable (POLLIN) while there are events, and always once the engine has stopped. Do nothing
/// with it but wait for it; it belongs to the manager. Not where `on_event` takes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_event_fd(
    manager: *const tidegate_manager,
    fd: *mut i32,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        let own = running.events()?.as_fd().as_raw_fd();
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(fd, own, "the place for the descriptor") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// The next event, to be freed by `tidegate_event_free`; `*event` is NULL if there is none just now. It never waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_next_event(
    manager: *const tidegate_manager,
    event: *mut *mut tidegate_event,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        // SAFETY: null, or the caller's room for a pointer.
        unsafe { clear(event) }?;
        match running.next_event()? {
            // SAFETY: the caller's room for a pointer.
            Some(next) => unsafe { give(event, next) },
            None => Ok(()),
        }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// Gives an IP packet to the tunnels, if the device is TIDEGATE_DEVICE_CALLS. It is copied, and this never waits:
/// TIDEGATE_CODE_BUSY says that there was no room, and the packet is dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_send_packet(
    manager: *const tidegate_manager,
    packet: tidegate_bytes,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        let calls = running.calls.as_ref().ok_or_else(no_calls)?;
        // SAFETY: the caller passes bytes that are there during this call.
        let packet = unsafe { packet.read("the packet") }?;
        match calls.send(packet) {
            true => Ok(()),
            false => Err(Failure::new(tidegate_code::Busy, "too many packets wait already")),
        }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// A descriptor that is readable (POLLIN) while packets have come out of tunnels, if the device is
/// TIDEGATE_DEVICE_CALLS without `on_packet`. Do nothing with it but wait for it; it belongs to the manager.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_packet_fd(
    manager: *const tidegate_manager,
    fd: *mut i32,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        let received = running.calls.as_ref().and_then(|calls| calls.received()).ok_or_else(no_calls)?;
        // SAFETY: null, or the caller's room for a number.
        unsafe { put(fd, received.as_fd().as_raw_fd(), "the place for the descriptor") }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// The next packet that has come out of a tunnel, into room for `*length` bytes; `*length` becomes how long it is,
/// 0 if there is none just now. It never waits. If there is not room enough, `*length` says how much it takes, the
/// call fails with TIDEGATE_CODE_ARGUMENT, and the packet stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_manager_next_packet(
    manager: *const tidegate_manager,
    packet: *mut u8,
    length: *mut usize,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |running: &Running| {
        let received = running.calls.as_ref().and_then(|calls| calls.received()).ok_or_else(no_calls)?;
        if length.is_null() || packet.is_null() {
            return Err(Failure::argument("there is no room for the packet or its length"));
        }
        // SAFETY: not null, so it holds a number.
        let room = unsafe { length.read() };
        let next = received.pop_if(|next| next.len() <= room);
        let needed = match &next {
            Some(next) => {
                // SAFETY: the caller has room for `room` bytes, which is enough.
                unsafe { std::ptr::copy_nonoverlapping(next.as_ptr(), packet, next.len()) };
                next.len()
            }
            None => received.peek(Vec::len).unwrap_or(0),
        };
        // SAFETY: as above.
        unsafe { length.write(needed) };
        match next.is_none() && needed > 0 {
            true => Err(Failure::argument(format_args!("the packet has {needed} bytes"))),
            false => Ok(()),
        }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(manager, error, act) }
}

/// # Safety
///
/// `manager` is null or was not freed, `error` is null or room for a pointer.
unsafe fn with(
    manager: *const tidegate_manager,
    error: *mut *mut tidegate_error,
    act: impl FnOnce(&Running) -> Result<(), Failure>,
) -> tidegate_code {
    // SAFETY: as for this function.
    let act = || act(&unsafe { borrow(manager, "the manager") }?.running);
    // SAFETY: as for this function.
    unsafe { guard(error, act) }
}

fn report(running: &Running) -> Result<CountersReport, Failure> {
    Ok(running.wait(running.manager.counters())??)
}

fn no_calls() -> Failure {
    Failure::misuse("packets do not go by this call: see the device in the options")
}

/// What a request does.
enum Request {
    Initiate(tunnel::engine::Target),
    Terminate(tunnel::engine::Selection, Manner),
    Rekey(tunnel::engine::Selection),
    Reauthenticate(tunnel::engine::Selection),
    Install(tunnel::engine::Target),
    Uninstall(tunnel::engine::Target),
}

/// # Safety
///
/// `target` is null, or a struct of the size that it says with texts that are there during this call.
unsafe fn request(action: u32, target: *const tidegate_target) -> Result<Request, Failure> {
    // SAFETY: as for this function.
    let target = unsafe { sized::read(target) }?;
    // SAFETY: as for this function.
    let wanted = unsafe { Wanted::new(&target) }?;
    match action {
        1 => Ok(Request::Initiate(wanted.target()?)),
        2 => Ok(Request::Terminate(wanted.selection(), Manner::Ask)),
        3 => Ok(Request::Rekey(wanted.selection())),
        4 => Ok(Request::Terminate(wanted.selection(), Manner::Force)),
        5 => Ok(Request::Reauthenticate(wanted.selection())),
        6 => Ok(Request::Install(wanted.target()?)),
        7 => Ok(Request::Uninstall(wanted.target()?)),
        action => Err(Failure::argument(format_args!("there is no action {action}"))),
    }
}

impl Request {
    async fn run(self, manager: tunnel::TunnelManager) -> Result<usize, tunnel::Error> {
        match self {
            Self::Initiate(target) => manager.initiate(target).await.map(|()| 0),
            Self::Terminate(selection, manner) => manager.terminate(selection, manner).await,
            Self::Rekey(selection) => manager.rekey(selection).await,
            Self::Reauthenticate(selection) => manager.reauthenticate(selection).await,
            Self::Install(target) => manager.install(target).await.map(|()| 0),
            Self::Uninstall(target) => manager.uninstall(target).await.map(|()| 0),
        }
    }
}
