//! Sending: frames of one socket go together, and what fails is counted and costs the others nothing.

use super::calls::{self, BATCH, Out};
use super::cmsg::{Control, Family, Name};
use super::{Kind, Socket, Sockets, is_pending, with_port};
use crate::io::batch::{Departure, Fragmentation, SendBatch};
use rustix::io::Errno;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use tidegate_esp::Encapsulation;

impl Sockets {
    /// Sends one datagram by UDP, without waiting. One that is longer than the path takes may be fragmented:
    /// an IKE message has to go through, in pieces if need be.
    pub fn send_one(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
        traffic_class: u8,
    ) -> io::Result<()> {
        let departure = Departure {
            local,
            remote,
            encapsulation: Encapsulation::Udp,
            traffic_class,
            fragmentation: Fragmentation::Forbidden,
        };
        let sent = self.send_single(&departure, bytes);
        if !sent.as_ref().is_err_and(is_too_big) {
            return sent.inspect_err(|error| self.count_failure(error));
        }
        let departure = Departure { fragmentation: Fragmentation::Allowed, ..departure };
        self.send_single(&departure, bytes).inspect_err(|error| self.count_failure(error))
    }

    fn send_single(&self, departure: &Departure, bytes: &[u8]) -> io::Result<()> {
        let socket = self.socket_for(departure).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut failure = None;
        self.send_all(socket, departure.fragmentation, &mut [out(departure, bytes)], |error| {
            failure = Some(error);
        });
        failure.map_or(Ok(()), Err)
    }

    /// Sends a batch in the order of its frames and says how many went.
    pub(super) fn send_batch(&self, batch: &SendBatch) -> usize {
        let mut rest = batch.frames();
        let mut sent = 0;
        while let Some(first) = rest.first() {
            let socket = self.socket_for(&first.departure);
            let fragmentation = first.departure.fragmentation;
            let alike = |departure: &Departure| {
                departure.fragmentation == fragmentation && same(self.socket_for(departure), socket)
            };
            let count = rest.iter().take(BATCH).take_while(|frame| alike(&frame.departure)).count();
            let (run, behind) = rest.split_at(count);
            rest = behind;
            let Some(socket) = socket else {
                self.counters.no_source.fetch_add(count as u64, Ordering::Relaxed);
                continue;
            };
            let mut outs = [EMPTY_OUT; BATCH];
            for (slot, frame) in outs.iter_mut().zip(run) {
                *slot = out(&frame.departure, batch.bytes(frame));
            }
            let outs = outs.get_mut(..count).unwrap_or_default();
            sent += self.send_all(socket, fragmentation, outs, |error| self.count_failure(&error));
        }
        sent
    }

    /// The one that is bound to the source itself rather than to any address.
    fn socket_for(&self, departure: &Departure) -> Option<&Socket> {
        let local = departure.local;
        let fits = |socket: &&Socket| {
            let port_fits = match departure.encapsulation {
                Encapsulation::None => socket.kind == Kind::Esp,
                Encapsulation::Udp => socket.kind != Kind::Esp && socket.port == local.port(),
            };
            port_fits && socket.address.is_ipv4() == departure.remote.is_ipv4()
        };
        let mut sockets = self.sockets.iter().filter(fits);
        let covers = |socket: &&Socket| {
            socket.address == local.ip() || socket.address.is_unspecified() || local.ip().is_unspecified()
        };
        sockets.clone().find(|socket| socket.address == local.ip()).or_else(|| sockets.find(covers))
    }

    /// IPv4 has no word for one datagram alone, so the socket is told. What other threads send on it in
    /// the meantime may be fragmented where it should not be, which does no harm.
    fn send_all(
        &self,
        socket: &Socket,
        fragmentation: Fragmentation,
        outs: &mut [Out<'_>],
        failed: impl FnMut(io::Error),
    ) -> usize {
        let sent = match (fragmentation, socket.address) {
            (Fragmentation::Allowed, IpAddr::V4(_)) => {
                let _held = self.fragmenting.lock().unwrap_or_else(PoisonError::into_inner);
                // A socket that cannot be told refuses what does not fit, and that is counted.
                let _ = socket.set_discovery(libc::IP_PMTUDISC_DONT);
                let sent = send_through(socket, outs, failed);
                let _ = socket.set_discovery(libc::IP_PMTUDISC_DO);
                sent
            }
            _ => send_through(socket, outs, failed),
        };
        self.counters.sent.fetch_add(sent as u64, Ordering::Relaxed);
        sent
    }

    fn count_failure(&self, error: &io::Error) {
        let count = match (error.kind(), Errno::from_io_error(error)) {
            (io::ErrorKind::WouldBlock, _) | (_, Some(Errno::NOBUFS | Errno::NOMEM)) => {
                &self.counters.no_room
            }
            (_, Some(Errno::MSGSIZE)) => &self.counters.too_big,
            // Ours: the system says something else of an address that has gone.
            (io::ErrorKind::AddrNotAvailable, None) => &self.counters.no_source,
            _ => &self.counters.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Socket {
    fn set_discovery(&self, value: i32) -> io::Result<()> {
        calls::set_option(self.fd.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, value)
    }
}

/// Sends one after the other and passes over what fails. An error may be about another datagram, which the
/// network has reported since: saying it clears it, so that the datagram at hand has a second try.
fn send_through(socket: &Socket, mut outs: &mut [Out<'_>], mut failed: impl FnMut(io::Error)) -> usize {
    let mut sent = 0;
    let mut retried = false;
    while !outs.is_empty() {
        let done = match calls::send(socket.fd.as_fd(), outs) {
            Ok(count) => {
                sent += count;
                count
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if is_pending(&error) && !retried => {
                retried = true;
                continue;
            }
            Err(error) => {
                failed(error);
                1
            }
        };
        retried = false;
        outs = outs.get_mut(done..).unwrap_or_default();
    }
    sent
}

fn out<'a>(departure: &Departure, bytes: &'a [u8]) -> Out<'a> {
    let Departure { local, mut remote, encapsulation, traffic_class, fragmentation } = *departure;
    if encapsulation == Encapsulation::None {
        // IPv6 takes a port for a protocol here.
        remote = with_port(remote, 0);
    }
    let family = Family::of(remote.ip());
    let mut control = Control::EMPTY;
    let mut used = 0;
    if !local.ip().is_unspecified() && local.is_ipv4() == remote.is_ipv4() {
        used = control.push_source(used, local);
    }
    used = control.push_traffic_class(used, family, traffic_class);
    if fragmentation == Fragmentation::Allowed && family == Family::V6 {
        used = control.push_may_fragment_v6(used);
    }
    let mut to = Name::EMPTY;
    let to_length = to.set(remote);
    Out { bytes, to, to_length, control, control_length: used }
}

fn same(one: Option<&Socket>, other: Option<&Socket>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => std::ptr::eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn is_too_big(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::MSGSIZE)
}

const EMPTY_OUT: Out<'_> =
    Out { bytes: &[], to: Name::EMPTY, to_length: 0, control: Control::EMPTY, control_length: 0 };
