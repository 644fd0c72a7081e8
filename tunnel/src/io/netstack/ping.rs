//! Echo requests and their answers.

use super::shared::Shared;
use super::stack::invalid;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::icmp;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress};
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

const ECHO_HEADER: usize = 8;
/// Answers that a socket holds: whoever sends more than were asked for loses them.
const ANSWERS: usize = 2;
const SEQUENCE: u16 = 1;

pub(super) async fn ping(
    shared: &Arc<Shared>,
    remote: IpAddr,
    length: usize,
    timeout: Duration,
) -> io::Result<Duration> {
    let ip_header = if remote.is_ipv4() { 20 } else { 40 };
    if length + ECHO_HEADER + ip_header > shared.settings.mtu {
        return Err(invalid("longer than a packet may be"));
    }
    let echo = Echo::send(shared.clone(), remote, length)?;
    let answered = poll_fn(|context| echo.poll_answer(context));
    match tokio::time::timeout(timeout, answered).await {
        Ok(took) => Ok(took),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// A request on its way, with a socket of its own.
struct Echo {
    shared: Arc<Shared>,
    handle: SocketHandle,
    remote: IpAddr,
    length: usize,
    sent: Instant,
}

impl Echo {
    fn send(shared: Arc<Shared>, remote: IpAddr, length: usize) -> io::Result<Self> {
        let sent = Instant::now();
        let handle = shared.with(|stack, _| {
            let source = stack.source_for(remote)?;
            let identifier = stack.echo_identifier();
            stack.add_socket(asking(source, remote, identifier, length)?)
        })?;
        Ok(Self { shared, handle, remote, length, sent })
    }

    fn poll_answer(&self, context: &Context<'_>) -> Poll<Duration> {
        self.shared.with(|stack, _| {
            let socket = stack.sockets.get_mut::<icmp::Socket<'_>>(self.handle);
            while let Ok((packet, from)) = socket.recv() {
                if IpAddr::from(from) == self.remote && is_answer(packet, self.remote, self.length) {
                    return Poll::Ready(self.sent.elapsed());
                }
            }
            socket.register_recv_waker(context.waker());
            Poll::Pending
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.shared.with(|stack, _| stack.remove_socket(self.handle));
    }
}

/// A socket with a request in it.
fn asking(
    source: IpAddress,
    remote: IpAddr,
    identifier: u16,
    length: usize,
) -> io::Result<icmp::Socket<'static>> {
    let size = length + ECHO_HEADER;
    let buffer =
        |count| icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; count], vec![0; count * size]);
    let mut socket = icmp::Socket::new(buffer(ANSWERS), buffer(1));
    socket.bind(icmp::Endpoint::Ident(identifier)).map_err(|_| invalid("no identifier"))?;
    let packet = socket.send(size, remote.into()).map_err(|_| invalid("an unspecified address"))?;
    let data = payload(length);
    let checksums = ChecksumCapabilities::default();
    match (source, IpAddress::from(remote)) {
        (_, IpAddress::Ipv4(_)) => {
            let request = Icmpv4Repr::EchoRequest { ident: identifier, seq_no: SEQUENCE, data: &data };
            request.emit(&mut Icmpv4Packet::new_unchecked(packet), &checksums);
        }
        (IpAddress::Ipv6(source), IpAddress::Ipv6(remote)) => {
            let request = Icmpv6Repr::EchoRequest { ident: identifier, seq_no: SEQUENCE, data: &data };
            request.emit(&source, &remote, &mut Icmpv6Packet::new_unchecked(packet), &checksums);
        }
        (IpAddress::Ipv4(_), IpAddress::Ipv6(_)) => return Err(io::ErrorKind::AddrNotAvailable.into()),
    }
    Ok(socket)
}

/// The stack has checked its sum and identifier.
fn is_answer(packet: &[u8], remote: IpAddr, length: usize) -> bool {
    const ANSWER_V4: u8 = 0;
    const ANSWER_V6: u8 = 129;
    let kind = if remote.is_ipv4() { ANSWER_V4 } else { ANSWER_V6 };
    let [found, _, _, _, _, _, high, low, data @ ..] = packet else { return false };
    *found == kind && u16::from_be_bytes([*high, *low]) == SEQUENCE && *data == payload(length)
}

fn payload(length: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(length).collect()
}
