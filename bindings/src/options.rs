//! What a manager is made of.

use crate::address::tidegate_address;
use crate::callback;
use crate::credentials::{Shared, tidegate_credentials};
use crate::device::{Calls, tidegate_packet_function};
use crate::error::Failure;
use crate::event::tidegate_event;
use crate::sized::growing;
use crate::text::{array, tidegate_text};
use std::ffi::c_void;
use std::num::NonZero;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use tunnel::Builder;
use tunnel::TunnelManager;
use tunnel::config::{Configuration, DeviceKind, DeviceSettings};
use tunnel::driver::packets::Threads;
use tunnel::io::Device;
use tunnel::io::descriptor::Descriptor;
use tunnel::keylog::KeyLog;
use tunnel::revocation::Fetcher;
use tunnel::setup;

/// Where inner packets come from and go to.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_device {
    /// As [node.device] says: a TUN interface unless it says otherwise.
    Config = 0,
    /// Nowhere: tunnels are set up, and carry nothing.
    None = 1,
    /// A TUN interface, whatever [node.device] says of the kind. It takes CAP_NET_ADMIN.
    Tun = 2,
    /// `device_fd`: a TUN descriptor without packet information, or one of a pair of SOCK_SEQPACKET or
    /// SOCK_DGRAM sockets. One packet a read or write.
    Descriptor = 3,
    /// Calls: `tidegate_manager_send_packet` and, for what comes out, `on_packet` or
    /// `tidegate_manager_next_packet`.
    Calls = 4,
}

/// Whether the kernel's routes are kept.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_routes {
    /// Where the device is a TUN interface of ours, by [node.routes].
    Config = 0,
    /// They are the embedder's: what it sends into the device is what there is.
    None = 1,
}

/// Where revocation lists come from that a peer's chain takes.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_lists {
    /// From where certificates say, by HTTP, besides those that the configuration names. `lists_folder` keeps them.
    Fetched = 0,
    /// From the configuration alone: nothing is fetched.
    Given = 1,
}

/// Any free port.
pub const TIDEGATE_PORT_ANY: u32 = u32::MAX;

/// Takes an event, which is there during the call alone. It runs on a thread of the library, one call after the
/// other. It may call the manager, but neither shut it down nor free it. It must not end by a C++ exception or
/// longjmp.
pub type tidegate_event_function =
    Option<unsafe extern "C" fn(context: *mut c_void, event: *const tidegate_event)>;

/// What a manager is made of. A field that is 0 or empty leaves it to the configuration.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_options {
    /// sizeof(struct tidegate_options)
    pub size: usize,
    /// The text of a tidegate.toml. Of [node], `state`, `vici`, `metrics` and `log` are the daemon's and mean
    /// nothing here. Empty for a node that says nothing of itself, to which connections are loaded later.
    pub config: tidegate_text,
    /// The folder that files named in texts are looked for in; empty for the current one.
    pub folder: tidegate_text,
    /// What texts name and is in no file; may be NULL. They may be freed once the manager is there.
    pub credentials: *const tidegate_credentials,
    /// Addresses to listen at, in place of [node] listen; their ports do not count.
    pub listen: *const tidegate_address,
    /// How many these are.
    pub listen_count: usize,
    /// In place of [node] port; TIDEGATE_PORT_ANY for any free one.
    pub ike_port: u32,
    /// In place of [node] nat_port; TIDEGATE_PORT_ANY for any free one.
    pub nat_port: u32,
    /// TIDEGATE_DEVICE
    pub device: u32,
    /// Of TIDEGATE_DEVICE_DESCRIPTOR. It is duplicated, and switched to not waiting; the caller closes its own.
    pub device_fd: i32,
    /// In place of [node.device] name.
    pub device_name: tidegate_text,
    /// In place of [node.device] mtu.
    pub mtu: u32,
    /// TIDEGATE_ROUTES
    pub routes: u32,
    /// How many threads carry packets, up to 64: 1 for both directions, or as many as there are, shared between
    /// them. 0 for what [node] workers says.
    pub packet_threads: u32,
    /// TIDEGATE_LISTS
    pub lists: u32,
    /// Where revocation lists that were fetched are kept for the next manager; empty for nowhere but in memory.
    pub lists_folder: tidegate_text,
    /// Handed to both functions. They may be called on any thread.
    pub context: *mut c_void,
    /// Takes events; NULL where they are asked for by `tidegate_manager_next_event`.
    pub on_event: tidegate_event_function,
    /// Takes packets of TIDEGATE_DEVICE_CALLS; NULL where they are asked for by `tidegate_manager_next_packet`.
    pub on_packet: tidegate_packet_function,
}

growing!(tidegate_options);

/// A function that takes events, with its context.
pub(crate) struct Listener {
    context: *mut c_void,
    function: unsafe extern "C" fn(*mut c_void, *const tidegate_event),
}

// SAFETY: whoever gave the function promises that it may be called with its context on any thread.
unsafe impl Send for Listener {}

impl Listener {
    pub(crate) fn of(options: &tidegate_options) -> Option<Self> {
        options.on_event.map(|function| Self { context: options.context, function })
    }

    pub(crate) fn tell(&self, event: &tidegate_event) {
        // SAFETY: the function was given for this, with its context; the event is there during the call.
        callback::call(|| unsafe { (self.function)(self.context, event) });
    }
}

/// The credentials of options that may have some.
///
/// # Safety
///
/// Null, or credentials that were not freed.
pub(crate) unsafe fn shared(credentials: *const tidegate_credentials) -> Shared {
    // SAFETY: as for this function.
    unsafe { credentials.as_ref() }.map(|credentials| credentials.vault.clone()).unwrap_or_default()
}

/// Makes a builder of a configuration and of what options say in its place, and the device of calls if it is one.
///
/// # Safety
///
/// What the options point to is there during this call, and their functions and context for as long as the
/// manager.
pub(crate) unsafe fn builder(
    options: &tidegate_options,
    configuration: &Configuration,
) -> Result<(Builder, Option<Arc<Calls>>), Failure> {
    let mut listen = setup::listen(configuration);
    // SAFETY: as for this function.
    let addresses = unsafe { array(options.listen, options.listen_count, "the addresses to listen at") }?;
    if !addresses.is_empty() {
        let ip = |address: &tidegate_address| address.ip("an address to listen at");
        listen.addresses = addresses.iter().map(ip).collect::<Result<_, _>>()?;
    }
    listen.ike_port = port(options.ike_port, listen.ike_port)?;
    listen.nat_port = port(options.nat_port, listen.nat_port)?;
    // SAFETY: as for this function.
    let name = unsafe { options.device_name.read("the device's name") }?;
    let mut settings = configuration.node.device.clone();
    if !name.is_empty() {
        name.clone_into(&mut settings.name);
    }
    if options.mtu != 0 {
        let mtu = u16::try_from(options.mtu).ok().filter(|mtu| (576..=65_000).contains(mtu));
        settings.mtu = mtu.ok_or_else(|| Failure::argument("the MTU is not between 576 and 65000"))?;
    }
    let threads = threads(options, configuration.node.threads)?;
    // SAFETY: as for this function.
    let (device, calls) = unsafe { device(options, &mut settings, threads) }?;
    let is_ours = device.interface().is_some();
    let mut builder = TunnelManager::builder().device(device).listen(listen).threads(threads);
    builder = builder.pinning(configuration.node.pinning.clone());
    if is_ours && keeps_routes(options)? {
        let mut routes = setup::routes(&configuration.node);
        routes.mtu = Some(settings.mtu.into());
        builder = builder.routes(routes);
    }
    // SAFETY: as for this function.
    if let Some(fetcher) = unsafe { fetcher(options) }? {
        builder = builder.revocation_lists(fetcher);
    }
    if let Some(folder) = &configuration.node.key_log {
        builder = builder.key_sink(Box::new(KeyLog::open(folder).map_err(Failure::system)?));
    }
    Ok((builder, calls))
}

type Opened = (Arc<dyn Device>, Option<Arc<Calls>>);

/// # Safety
///
/// As for [`builder`].
unsafe fn device(
    options: &tidegate_options,
    settings: &mut DeviceSettings,
    threads: Threads,
) -> Result<Opened, Failure> {
    settings.kind = match options.device {
        0 => settings.kind,
        1 => DeviceKind::None,
        2 => DeviceKind::Tun,
        3 => {
            // SAFETY: the caller says that it is open during this call.
            let device = unsafe { descriptor(options.device_fd, settings.mtu) }?;
            return Ok((Arc::new(device), None));
        }
        4 => {
            let calls = Calls::new(options.on_packet, options.context, settings.mtu.into())?;
            return Ok((Arc::clone(&calls) as Arc<dyn Device>, Some(calls)));
        }
        kind => return Err(Failure::argument(format_args!("there is no device {kind}"))),
    };
    let device = setup::device(settings, threads).map_err(Failure::system)?;
    Ok((device, None))
}

/// # Safety
///
/// Unless it is negative, it is open during this call.
unsafe fn descriptor(fd: i32, mtu: u16) -> Result<Descriptor, Failure> {
    if fd < 0 {
        return Err(Failure::argument(format_args!("{fd} is no descriptor")));
    }
    // SAFETY: as for this function.
    let given = unsafe { BorrowedFd::borrow_raw(fd) };
    let own = given.try_clone_to_owned().map_err(Failure::system)?;
    Descriptor::new(own, mtu.into()).map_err(Failure::system)
}

fn threads(options: &tidegate_options, configured: Threads) -> Result<Threads, Failure> {
    let many = options.packet_threads;
    match usize::try_from(many).ok().filter(|many| *many <= MOST_THREADS).map(NonZero::new) {
        Some(Some(many)) => Ok(Threads::of(many)),
        Some(None) => Ok(configured),
        None => Err(Failure::argument(format_args!(
            "{many} threads are more than the {MOST_THREADS} there may be"
        ))),
    }
}

fn keeps_routes(options: &tidegate_options) -> Result<bool, Failure> {
    match options.routes {
        0 => Ok(true),
        1 => Ok(false),
        other => Err(Failure::argument(format_args!("there is no way {other} of keeping routes"))),
    }
}

/// # Safety
///
/// The folder's name is there during this call.
unsafe fn fetcher(options: &tidegate_options) -> Result<Option<Fetcher>, Failure> {
    // SAFETY: as for this function.
    let folder = unsafe { options.lists_folder.read("the folder of revocation lists") }?;
    match options.lists {
        0 => Ok(Some(Fetcher::new((!folder.is_empty()).then(|| folder.into())))),
        1 if folder.is_empty() => Ok(None),
        1 => Err(Failure::argument("a folder for revocation lists, and none are to be fetched")),
        other => Err(Failure::argument(format_args!("there is no way {other} to revocation lists"))),
    }
}

fn port(wanted: u32, configured: u16) -> Result<u16, Failure> {
    match wanted {
        0 => Ok(configured),
        TIDEGATE_PORT_ANY => Ok(0),
        port => port.try_into().map_err(|_| Failure::argument(format_args!("{port} is no port"))),
    }
}

const MOST_THREADS: usize = 64;
