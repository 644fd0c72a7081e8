//! Sending: frames of one socket go together, and what fails is counted and costs the others nothing.
//!
//! 1. Frames that the same socket sends are taken up, runs of equal ones as one piece.
//! 2. All pieces go in one call, as far as the kernel takes them.
//! 3. A piece that is refused for being one is taken apart and sent again. If it goes then, no more are made.

use super::calls::{self, Out, Pieces};
use super::cmsg::{Control, Family, Name};
use super::segments::{is_about_joining, is_refusal};
use super::{Kind, Socket, Sockets, is_pending, with_port};
use crate::io::batch::{Departure, Fragmentation, SendBatch, SendFrame};
use crate::io::clock::Clock;
use rustix::io::Errno;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use tidegate_esp::Encapsulation;

/// Who is told why how many datagrams did not go.
type Failed<'a> = &'a mut dyn FnMut(io::Error, usize);

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
            return sent.inspect_err(|error| self.count_failure(error, 1));
        }
        let departure = Departure { fragmentation: Fragmentation::Allowed, ..departure };
        self.send_single(&departure, bytes).inspect_err(|error| self.count_failure(error, 1))
    }

    fn send_single(&self, departure: &Departure, bytes: &[u8]) -> io::Result<()> {
        let socket = self.socket_for(departure).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut failure = None;
        self.send_all(
            socket,
            departure.fragmentation,
            &mut [out(departure, bytes, bytes.len())],
            &mut |error, _| {
                failure = Some(error);
            },
        );
        failure.map_or(Ok(()), Err)
    }

    /// Sends a batch in the order of its frames and says how many went.
    pub(super) fn send_batch(&self, batch: &SendBatch) -> usize {
        self.segments.reconsider(|| Clock.time());
        let mut rest = batch.frames();
        let mut sent = 0;
        while let Some(first) = rest.first() {
            let Some(socket) = self.socket_for(&first.departure) else {
                self.counters.no_source.fetch_add(1, Ordering::Relaxed);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            let mut pieces = Pieces::new();
            while !pieces.is_full() {
                let (run, behind) = rest.split_at(self.run_through(socket, first, rest));
                let Some(front) = run.first() else { break };
                pieces.push(out(&front.departure, batch.bytes_of(run), front.range.len()));
                rest = behind;
            }
            let failed = &mut |error, count| self.count_failure(&error, count);
            sent += self.send_all(socket, first.departure.fragmentation, pieces.as_mut_slice(), failed);
        }
        sent
    }

    /// How many frames at the front go in one piece through a socket that `first` goes through; none when
    /// they cannot go along with it.
    fn run_through(&self, socket: &Socket, first: &SendFrame, frames: &[SendFrame]) -> usize {
        let Some(SendFrame { departure, .. }) = frames.first() else { return 0 };
        let goes_along = *departure == first.departure
            || departure.fragmentation == first.departure.fragmentation
                && self.socket_for(departure).is_some_and(|other| std::ptr::eq(other, socket));
        if goes_along { self.segments.run(frames) } else { 0 }
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
        failed: Failed<'_>,
    ) -> usize {
        let sent = match (fragmentation, socket.address) {
            (Fragmentation::Allowed, IpAddr::V4(_)) => {
                let _held = self.fragmenting.lock().unwrap_or_else(PoisonError::into_inner);
                // A socket that cannot be told refuses what does not fit, and that is counted.
                let _ = socket.set_discovery(libc::IP_PMTUDISC_DONT);
                let sent = self.send_through(socket, outs, failed);
                let _ = socket.set_discovery(libc::IP_PMTUDISC_DO);
                sent
            }
            _ => self.send_through(socket, outs, failed),
        };
        self.counters.sent.fetch_add(sent as u64, Ordering::Relaxed);
        sent
    }

    /// Sends one after the other and passes over what fails. An error may be about another datagram, which the
    /// network has reported since: saying it clears it, so that the datagram at hand has a second try.
    fn send_through(&self, socket: &Socket, mut outs: &mut [Out<'_>], failed: Failed<'_>) -> usize {
        let mut sent = 0;
        let mut retried = false;
        while let Some(first) = outs.first().copied() {
            let done = match calls::send(socket.fd.as_fd(), outs) {
                Ok(count) => {
                    sent += self.went(outs.get(..count).unwrap_or_default());
                    count
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_pending(&error) && !retried => {
                    retried = true;
                    continue;
                }
                Err(error) if first.datagrams() > 1 && is_about_joining(&error) => {
                    let went = self.send_apart(socket, &first, failed);
                    if went > 0 && is_refusal(&error) {
                        self.segments.refused(&error, Clock.time());
                    }
                    sent += went;
                    1
                }
                Err(error) => {
                    failed(error, first.datagrams());
                    1
                }
            };
            retried = false;
            outs = outs.get_mut(done..).unwrap_or_default();
        }
        sent
    }

    /// Sends the datagrams of a piece one by one.
    fn send_apart(&self, socket: &Socket, piece: &Out<'_>, failed: Failed<'_>) -> usize {
        let mut sent = 0;
        for bytes in piece.bytes.chunks(piece.segment.max(1)) {
            let control_length = piece.control_length_alone;
            let alone = Out { bytes, segment: bytes.len(), control_length, ..*piece };
            sent += self.send_through(socket, &mut [alone], failed);
        }
        sent
    }

    /// Counts what went in one piece with others, and all.
    fn went(&self, outs: &[Out<'_>]) -> usize {
        let joined: usize = outs.iter().map(Out::datagrams).filter(|datagrams| *datagrams > 1).sum();
        if joined > 0 {
            self.segments.taken();
            self.counters.sent_joined.fetch_add(joined as u64, Ordering::Relaxed);
        }
        outs.iter().map(Out::datagrams).sum()
    }

    fn count_failure(&self, error: &io::Error, datagrams: usize) {
        let count = match (error.kind(), Errno::from_io_error(error)) {
            (io::ErrorKind::WouldBlock, _) | (_, Some(Errno::NOBUFS | Errno::NOMEM)) => {
                &self.counters.no_room
            }
            (_, Some(Errno::MSGSIZE)) => &self.counters.too_big,
            // Ours: the system says something else of an address that has gone.
            (io::ErrorKind::AddrNotAvailable, None) => &self.counters.no_source,
            _ => &self.counters.refused,
        };
        count.fetch_add(datagrams as u64, Ordering::Relaxed);
    }
}

impl Socket {
    fn set_discovery(&self, value: i32) -> io::Result<()> {
        calls::set_option(self.fd.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, value)
    }
}

/// One datagram, or several of which each but the last is `segment` bytes.
fn out<'a>(departure: &Departure, bytes: &'a [u8], segment: usize) -> Out<'a> {
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
    // Zero is what sockets have by themselves.
    if traffic_class != 0 {
        used = control.push_traffic_class(used, family, traffic_class);
    }
    if fragmentation == Fragmentation::Allowed && family == Family::V6 {
        used = control.push_may_fragment_v6(used);
    }
    let control_length_alone = used;
    if let Ok(length) = u16::try_from(segment)
        && segment < bytes.len()
    {
        used = control.push_segment(used, length);
    }
    let mut to = Name::EMPTY;
    let to_length = to.set(remote);
    Out { bytes, segment, to, to_length, control, control_length: used, control_length_alone }
}

fn is_too_big(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::MSGSIZE)
}
