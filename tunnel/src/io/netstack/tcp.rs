//! TCP as an agent sees it.

use super::shared::Shared;
use super::stack::{ListenerId, Received, Stack};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// One end of a TCP connection. Dropping it closes the connection: what was written still reaches the peer, for
/// up to half a minute; where there is something left to read the connection is reset.
#[derive(Debug)]
pub struct TcpStream {
    socket: Socket,
    local: SocketAddr,
    remote: SocketAddr,
}

/// Takes connections in.
#[derive(Debug)]
pub struct TcpListener {
    shared: Arc<Shared>,
    id: ListenerId,
    local: SocketAddr,
    arrived: Arc<Notify>,
}

/// A socket that is let go when it is dropped.
#[derive(Debug)]
struct Socket {
    shared: Arc<Shared>,
    handle: SocketHandle,
}

impl TcpStream {
    pub(super) async fn connect(
        shared: Arc<Shared>,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> io::Result<Self> {
        let handle = shared.with(|stack, _| stack.connect(local, remote))?;
        let patience = shared.settings.connect_timeout;
        let stream = Self::of(Socket { shared, handle })?;
        let opened = poll_fn(|context| stream.socket.poll_open(stream.local.ip(), context));
        match tokio::time::timeout(patience, opened).await {
            Ok(result) => result.map(|()| stream),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn of(socket: Socket) -> io::Result<Self> {
        let endpoints = socket.with(|stack, handle| stack.endpoints(handle));
        let (local, remote) = endpoints.ok_or(io::ErrorKind::NotConnected)?;
        Ok(Self { socket, local, remote })
    }

    /// Our address and port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The peer's address and port.
    pub fn peer_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Ends the connection with a reset, now.
    pub fn abort(self) {
        self.socket.with(|stack, handle| stack.tcp(handle).abort());
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.socket.with(|stack, handle| {
            match stack.receive(handle, buffer.initialize_unfilled())? {
                Received::Bytes(length) => buffer.advance(length),
                Received::End => {}
                Received::Nothing => {
                    stack.tcp(handle).register_recv_waker(context.waker());
                    return Poll::Pending;
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.socket.with(|stack, handle| {
            let ending = stack.is_ending(handle);
            let socket = stack.tcp(handle);
            let closed = match socket.state() {
                State::Closed => io::ErrorKind::ConnectionReset,
                _ => io::ErrorKind::BrokenPipe,
            };
            if ending && socket.state() == State::CloseWait {
                return Poll::Ready(Err(closed.into()));
            }
            match socket.send_slice(bytes) {
                Ok(0) => {
                    socket.register_send_waker(context.waker());
                    Poll::Pending
                }
                Ok(length) => Poll::Ready(Ok(length)),
                Err(_) => Poll::Ready(Err(closed.into())),
            }
        })
    }

    /// What is written is on its way; there is nothing to push.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends our side behind what was written. The peer may go on.
    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.with(Stack::end);
        Poll::Ready(Ok(()))
    }
}

impl TcpListener {
    pub(super) fn new(shared: Arc<Shared>, local: SocketAddr, backlog: usize) -> io::Result<Self> {
        let (id, port, arrived) = shared.with(|stack, _| stack.listen(local, backlog))?;
        Ok(Self { shared, id, local: SocketAddr::new(local.ip(), port), arrived })
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let accepted = self.shared.with(|stack, _| stack.accept(self.id));
            if let Some(handle) = accepted {
                let stream = TcpStream::of(Socket { shared: self.shared.clone(), handle })?;
                let remote = stream.remote;
                return Ok((stream, remote));
            }
            self.arrived.notified().await;
        }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.shared.with(|stack, now| stack.unlisten(self.id, now));
    }
}

impl Socket {
    fn with<R>(&self, act: impl FnOnce(&mut Stack, SocketHandle) -> R) -> R {
        self.shared.with(|stack, _| act(stack, self.handle))
    }

    /// Waits for the handshake. A socket that has closed before it was open was refused, unless its address has
    /// been taken away.
    fn poll_open(&self, local: IpAddr, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stack, handle| {
            let present = stack.has_address(local);
            let socket = stack.tcp(handle);
            match socket.state() {
                State::SynSent | State::SynReceived => {
                    socket.register_send_waker(context.waker());
                    Poll::Pending
                }
                State::Closed if present => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
                State::Closed => Poll::Ready(Err(io::ErrorKind::AddrNotAvailable.into())),
                _ => Poll::Ready(Ok(())),
            }
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shared.with(|stack, now| stack.release(self.handle, now));
    }
}
