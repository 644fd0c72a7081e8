//! Which address of ours leads to a peer: the kernel knows, and says it of a socket that is connected.

use super::{Sockets, bind};
use rustix::net::{SocketType, connect, getsockname};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

/// Any port will do, as nothing is sent to it.
const DISCARD: u16 = 9;

impl Sockets {
    /// The address that packets to `remote` leave from; `None` when there is no way. Asked anew each time,
    /// with our mark, as routes come and go.
    pub fn source_towards(&self, remote: IpAddr) -> Option<IpAddr> {
        let socket = bind::create(remote, SocketType::DGRAM, None).ok()?;
        bind::set_mark(socket.as_fd(), self.mark).ok()?;
        connect(&socket, &SocketAddr::new(remote, DISCARD)).ok()?;
        let local = SocketAddr::try_from(getsockname(&socket).ok()?).ok()?.ip();
        (!local.is_unspecified()).then_some(local)
    }
}
