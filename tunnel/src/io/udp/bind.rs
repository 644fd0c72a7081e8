//! Opening sockets: which ones there are, and what is set on each.

use super::calls::set_option;
use super::cmsg::Family;
use super::{Kind, Listen, Queues, RawEsp, Socket};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, Protocol, SocketFlags, SocketType, sockopt};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a burst may fill while the threads that read are elsewhere. The kernel takes this twice, and counts a
/// datagram of 1,400 bytes as 2,304, one of 64 as 768, and those that came in one piece for hardly more than they
/// are: so it lasts for 3,600 long ones or 10,900 short ones, some 10 ms at what one thread opens. That is more
/// than a thread waits for a busy core, and no more than a path may add under load. For sending it is out of
/// reach: what a device has no room for shows as a full socket long before.
const BUFFER: usize = 4 << 20;
/// How often a free port is looked for that all addresses have to spare.
const ATTEMPTS: usize = 16;
const ESP: u32 = 50;

/// Why there are no sockets.
#[derive(Debug)]
pub enum BindError {
    /// Someone else has the port.
    InUse {
        /// Which.
        address: SocketAddr,
    },
    /// The port is one of those that need a privilege.
    Privileged {
        /// Which.
        address: SocketAddr,
    },
    /// Marking what is sent needs a privilege.
    Mark {
        /// With what it was to be marked.
        mark: u32,
        /// What the system says.
        error: io::Error,
    },
    /// ESP without UDP needs a privilege.
    RawEsp {
        /// Where it was to be received.
        address: IpAddr,
        /// What the system says.
        error: io::Error,
    },
    /// Something else.
    Other {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
}

/// Opens all sockets.
pub(super) fn open(listen: &Listen) -> Result<Vec<Socket>, BindError> {
    let mut free = 0;
    loop {
        let result = open_once(listen);
        match result {
            // A free port of one address may be taken on the next one.
            Err(BindError::InUse { .. }) if has_any_port(listen) && free < ATTEMPTS => free += 1,
            result => return result,
        }
    }
}

fn has_any_port(listen: &Listen) -> bool {
    listen.ike_port == 0 || listen.nat_port == 0
}

fn open_once(listen: &Listen) -> Result<Vec<Socket>, BindError> {
    let mut sockets = Vec::new();
    let mut ports = [listen.ike_port, listen.nat_port];
    for &address in addresses(listen).iter() {
        for (port, kind) in ports.iter_mut().zip([Kind::Ike, Kind::Shared]) {
            // One port for both is enough: IKE has its marker there.
            if kind == Kind::Ike && listen.ike_port == listen.nat_port && listen.nat_port != 0 {
                continue;
            }
            match open_udp(listen, SocketAddr::new(address, *port), kind) {
                Ok(socket) => {
                    *port = socket.port;
                    sockets.push(socket);
                    add_lanes(listen, &mut sockets)?;
                }
                Err(error) if listen.addresses.is_empty() && is_without_ipv6(address, &error) => {}
                Err(error) => return Err(error),
            }
        }
        if listen.raw_esp == RawEsp::On {
            match open_raw(listen, address) {
                Ok(socket) => sockets.push(socket),
                Err(error) if listen.addresses.is_empty() && is_without_ipv6(address, &error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(sockets)
}

fn addresses(listen: &Listen) -> Vec<IpAddr> {
    match listen.addresses.is_empty() {
        true => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        false => listen.addresses.clone(),
    }
}

/// A kernel can be built, started, or told for one interface after the other, to do without IPv6.
fn is_without_ipv6(address: IpAddr, error: &BindError) -> bool {
    let (BindError::Other { error, .. } | BindError::RawEsp { error, .. }) = error else { return false };
    address.is_ipv6() && matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

/// Opens those that share the port of the last one. That one was bound alone: a port that somebody else has is
/// in use for us too, whatever he would share it with.
fn add_lanes(listen: &Listen, sockets: &mut Vec<Socket>) -> Result<(), BindError> {
    let Some(first) = sockets.last().filter(|socket| socket.kind == Kind::Shared) else { return Ok(()) };
    let address = SocketAddr::new(first.address, first.port);
    let others = 1..listen.lanes.get();
    if others.is_empty() {
        return Ok(());
    }
    sockopt::set_socket_reuseport(&first.fd, true)
        .map_err(|error| BindError::Other { address, error: error.into() })?;
    for lane in others {
        sockets.push(open_lane(listen, address, Kind::Shared, lane)?);
    }
    Ok(())
}

fn open_udp(listen: &Listen, address: SocketAddr, kind: Kind) -> Result<Socket, BindError> {
    open_lane(listen, address, kind, 0)
}

fn open_lane(listen: &Listen, address: SocketAddr, kind: Kind, lane: usize) -> Result<Socket, BindError> {
    let other = |error: Errno| BindError::Other { address, error: error.into() };
    let fd = create(address.ip(), SocketType::DGRAM, None).map_err(other)?;
    let family = Family::of(address.ip());
    set_options(fd.as_fd(), family).map_err(|error| BindError::Other { address, error })?;
    if family == Family::V6 {
        sockopt::set_ipv6_v6only(&fd, true).map_err(other)?;
    }
    set_mark(fd.as_fd(), listen.mark)?;
    if lane > 0 {
        sockopt::set_socket_reuseport(&fd, true).map_err(other)?;
    }
    net::bind(&fd, &address).map_err(|error| match error {
        Errno::ADDRINUSE => BindError::InUse { address },
        Errno::ACCESS => BindError::Privileged { address },
        error => other(error),
    })?;
    let bound = net::getsockname(&fd).map_err(other)?;
    let port = SocketAddr::try_from(bound).map_err(other)?.port();
    Ok(Socket { fd, address: address.ip(), port, kind, lane })
}

fn open_raw(listen: &Listen, address: IpAddr) -> Result<Socket, BindError> {
    let refused = |error| BindError::RawEsp { address, error };
    let esp = NonZero::new(ESP).map(Protocol::from_raw);
    let fd = create(address, SocketType::RAW, esp).map_err(|error| refused(error.into()))?;
    set_options(fd.as_fd(), Family::of(address)).map_err(refused)?;
    set_mark(fd.as_fd(), listen.mark)?;
    net::bind(&fd, &SocketAddr::new(address, 0)).map_err(|error| refused(error.into()))?;
    Ok(Socket { fd, address, port: 0, kind: Kind::Esp, lane: 0 })
}

/// A socket that goes by the same rules as the others, to ask the system with.
pub(super) fn probe(remote: IpAddr, mark: Option<u32>) -> Result<OwnedFd, BindError> {
    let address = SocketAddr::new(remote, 0);
    let fd = create(remote, SocketType::DGRAM, None)
        .map_err(|error| BindError::Other { address, error: error.into() })?;
    set_mark(fd.as_fd(), mark)?;
    Ok(fd)
}

fn create(address: IpAddr, kind: SocketType, protocol: Option<Protocol>) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, protocol)
}

/// What is the same for all sockets. Sums over the outer UDP header stay on, as they are by default.
fn set_options(fd: BorrowedFd<'_>, family: Family) -> io::Result<()> {
    set_buffers(fd);
    match family {
        Family::V4 => {
            let set = |option, value| set_option(fd, libc::IPPROTO_IP, option, value);
            // An address may come after us, as those of DHCP do.
            set(libc::IP_FREEBIND, 1)?;
            set(libc::IP_PKTINFO, 1)?;
            set(libc::IP_RECVTOS, 1)?;
            set(libc::IP_RECVERR, 1)?;
            set(libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)
        }
        Family::V6 => {
            let set = |option, value| set_option(fd, libc::IPPROTO_IPV6, option, value);
            set(libc::IPV6_FREEBIND, 1)?;
            set(libc::IPV6_RECVPKTINFO, 1)?;
            set(libc::IPV6_RECVTCLASS, 1)?;
            set(libc::IPV6_RECVERR, 1)?;
            // Here each datagram may say for itself whether it can be cut, if the socket allows it.
            set(libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_WANT)?;
            set(libc::IPV6_DONTFRAG, 1)
        }
    }
}

/// As much as we are given: past its limit the system hands out more only to the privileged.
fn set_buffers(fd: BorrowedFd<'_>) {
    if sockopt::set_socket_recv_buffer_size_force(fd, BUFFER).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(fd, BUFFER);
    }
    if sockopt::set_socket_send_buffer_size_force(fd, BUFFER).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(fd, BUFFER);
    }
}

/// What was given.
pub(super) fn queues(fd: BorrowedFd<'_>) -> Queues {
    Queues {
        receive: sockopt::socket_recv_buffer_size(fd).unwrap_or(0),
        send: sockopt::socket_send_buffer_size(fd).unwrap_or(0),
    }
}

fn set_mark(fd: BorrowedFd<'_>, mark: Option<u32>) -> Result<(), BindError> {
    let Some(mark) = mark else { return Ok(()) };
    set_option(fd, libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed())
        .map_err(|error| BindError::Mark { mark, error })
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { address } => {
                write!(
                    f,
                    "{address}/udp is in use: stop what listens there (ss -lunp), or choose another port"
                )
            }
            Self::Privileged { address } => write!(
                f,
                "{address}/udp needs a privilege: grant CAP_NET_BIND_SERVICE, or choose a port from 1024 up"
            ),
            Self::Mark { mark, error } => {
                write!(
                    f,
                    "packets cannot be marked {mark:#x} ({error}): grant CAP_NET_ADMIN, or ask for no mark"
                )
            }
            Self::RawEsp { address, error } => write!(
                f,
                "ESP without UDP cannot be received on {address} ({error}): grant CAP_NET_RAW, or use UDP"
            ),
            Self::Other { address, error } => write!(f, "cannot listen on {address}/udp: {error}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Mark { error, .. } | Self::RawEsp { error, .. } | Self::Other { error, .. } => Some(error),
            Self::InUse { .. } | Self::Privileged { .. } => None,
        }
    }
}
