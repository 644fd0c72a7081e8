//! UDP as an agent sees it.

use super::shared::Shared;
use super::stack::{Stack, invalid};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::udp;
use smoltcp::wire::IpListenEndpoint;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Mutex;

/// Datagrams that a socket holds in each direction.
const DATAGRAMS: usize = 128;
const UDP_HEADER: usize = 8;

/// A UDP socket. What comes while its buffer is full is lost, as with any.
#[derive(Debug)]
pub struct UdpSocket {
    shared: Arc<Shared>,
    handle: SocketHandle,
    local: SocketAddr,
    /// The stack wakes one task a direction: the others wait here.
    sending: Mutex<()>,
    receiving: Mutex<()>,
}

impl UdpSocket {
    pub(super) fn bind(shared: Arc<Shared>, local: SocketAddr) -> io::Result<Self> {
        let (handle, port) = shared.with(|stack, _| {
            let endpoint = stack.udp_endpoint(local)?;
            let handle = stack.add_socket(bound(endpoint, shared.settings.udp_buffer)?)?;
            io::Result::Ok((handle, endpoint.port))
        })?;
        let local = SocketAddr::new(local.ip(), port);
        Ok(Self { shared, handle, local, sending: Mutex::default(), receiving: Mutex::default() })
    }

    /// Where it is bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Sends a datagram once there is room for it. One that would need fragments is not sent.
    pub async fn send_to(&self, payload: &[u8], remote: SocketAddr) -> io::Result<()> {
        self.check(payload.len(), remote)?;
        let _turn = self.sending.lock().await;
        poll_fn(|context| self.poll_send(payload, remote, context)).await
    }

    /// Receives a datagram: what of it fits the buffer, and where it came from.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let _turn = self.receiving.lock().await;
        poll_fn(|context| self.poll_receive(buffer, context)).await
    }

    fn check(&self, length: usize, remote: SocketAddr) -> io::Result<()> {
        if !self.local.ip().is_unspecified() && self.local.is_ipv4() != remote.is_ipv4() {
            return Err(invalid("an address of the other family"));
        }
        let ip_header = if remote.is_ipv4() { 20 } else { 40 };
        if length + UDP_HEADER + ip_header > self.shared.settings.mtu
            || length > self.shared.settings.udp_buffer
        {
            return Err(invalid("longer than a packet may be"));
        }
        self.shared.with(|stack, _| stack.source_for(remote.ip())).map(drop)
    }

    fn poll_send(&self, payload: &[u8], remote: SocketAddr, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.with(|socket| match socket.send_slice(payload, smoltcp::wire::IpEndpoint::from(remote)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(udp::SendError::BufferFull) => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Err(udp::SendError::Unaddressable) => Poll::Ready(Err(invalid("no address and port of a peer"))),
        })
    }

    fn poll_receive(
        &self,
        buffer: &mut [u8],
        context: &Context<'_>,
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.with(|socket| {
            let Ok((payload, from)) = socket.recv() else {
                socket.register_recv_waker(context.waker());
                return Poll::Pending;
            };
            let length = payload.len().min(buffer.len());
            for (room, byte) in buffer.iter_mut().zip(payload) {
                *room = *byte;
            }
            Poll::Ready(Ok((length, from.endpoint.into())))
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut udp::Socket<'static>) -> R) -> R {
        self.shared.with(|stack: &mut Stack, _| act(stack.sockets.get_mut(self.handle)))
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.shared.with(|stack, _| stack.remove_socket(self.handle));
    }
}

fn bound(endpoint: IpListenEndpoint, size: usize) -> io::Result<udp::Socket<'static>> {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; DATAGRAMS], vec![0; size]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(endpoint).map_err(|_| invalid("no port"))?;
    Ok(socket)
}
