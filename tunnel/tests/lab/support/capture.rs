//! What is on the wire: whether anything of what the cases send crosses in clear.

use crate::support::MARKER;
use crate::support::namespace::Namespace;
use crate::support::network::Prefix;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// Looks at every packet in a namespace until it is dropped.
///
/// It is meant for one that only the outside of tunnels crosses: a router between the nodes.
pub(crate) struct Capture {
    wire: Arc<Wire>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// ESP packets, in UDP or not.
    pub(crate) esp: u64,
    /// IKE messages.
    pub(crate) ike: u64,
    /// When the first ESP packet was there.
    pub(crate) first_esp: Option<Instant>,
    /// What should not have been there.
    pub(crate) leaks: Vec<String>,
}

/// More than these are not told one by one.
const MOST_LEAKS: usize = 20;

impl Capture {
    /// Begins. A packet from or to one of `inner` is a leak, and so is one with the marker in it.
    pub(crate) fn start(namespace: &Namespace, inner: &[Prefix]) -> Self {
        let socket = namespace.within(packet_socket);
        let wire = Arc::new(Wire { socket, inner: inner.to_vec(), seen: Mutex::default() });
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (wire, stop) = (Arc::clone(&wire), Arc::clone(&stop));
            namespace.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    wire.wait();
                    drop(wire.look());
                }
            })
        };
        Self { wire, stop, thread: Some(thread) }
    }

    /// What was seen so far: all that had crossed when this was asked.
    pub(crate) fn seen(&self) -> Seen {
        self.wire.look().clone()
    }

    /// Makes sure that something was sealed and nothing left in clear.
    #[track_caller]
    pub(crate) fn assert_sealed(&self) {
        let seen = self.seen();
        assert!(seen.leaks.is_empty(), "in clear on the wire: {:#?}", seen.leaks);
        assert!(seen.esp > 0, "no ESP on the wire at all");
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Where packets cross, and what was seen of them.
struct Wire {
    socket: OwnedFd,
    inner: Vec<Prefix>,
    seen: Mutex<Seen>,
}

impl Wire {
    /// Until there is something to look at, or for a moment.
    fn wait(&self) {
        let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&moment));
    }

    /// Looks at what is there. Who asks does it too, as the thread may not have come to it yet.
    fn look(&self) -> MutexGuard<'_, Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = vec![0; 70_000];
        while let Ok((length, _)) = recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
            if let Some(packet) = buffer.get(..length) {
                seen.note(packet, &self.inner);
            }
        }
        seen
    }
}

impl Seen {
    fn note(&mut self, packet: &[u8], inner: &[Prefix]) {
        let Some(packet) = Packet::parse(packet) else { return };
        let kind = packet.kind();
        match kind {
            Kind::Esp => {
                self.esp += 1;
                self.first_esp.get_or_insert_with(Instant::now);
            }
            Kind::Ike => self.ike += 1,
            Kind::Other => {}
        }
        // IKE may well try an address of a peer that is inside too; what it says is sealed.
        let is_inner =
            |address| !matches!(kind, Kind::Ike) && inner.iter().any(|prefix| prefix.contains(address));
        let marked = packet.payload.windows(MARKER.len()).any(|window| window == MARKER.as_bytes());
        if (marked || is_inner(packet.source) || is_inner(packet.destination))
            && self.leaks.len() < MOST_LEAKS
        {
            let how = if marked { "with the marker" } else { "by its address" };
            self.leaks.push(format!(
                "{} > {} protocol {} {how}",
                packet.source, packet.destination, packet.protocol
            ));
        }
    }
}

enum Kind {
    Esp,
    Ike,
    Other,
}

struct Packet<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4(bytes: &'a [u8]) -> Option<Self> {
        let address = |at| Some(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?).into());
        Some(Self {
            source: address(12)?,
            destination: address(16)?,
            protocol: *bytes.get(9)?,
            payload: bytes.get(usize::from(bytes.first()? & 15) * 4..)?,
        })
    }

    fn parse_v6(bytes: &'a [u8]) -> Option<Self> {
        let address = |at| Some(Ipv6Addr::from(*bytes.get(at..)?.first_chunk::<16>()?).into());
        Some(Self {
            source: address(8)?,
            destination: address(24)?,
            protocol: *bytes.get(6)?,
            payload: bytes.get(40..)?,
        })
    }

    fn kind(&self) -> Kind {
        const UDP: u8 = 17;
        const ESP: u8 = 50;
        match (self.protocol, self.payload) {
            (ESP, _) => Kind::Esp,
            (UDP, [s0, s1, d0, d1, _, _, _, _, rest @ ..]) => {
                let ports = [u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*d0, *d1])];
                match rest {
                    _ if ports.contains(&500) => Kind::Ike,
                    [0, 0, 0, 0, ..] if ports.contains(&4500) => Kind::Ike,
                    [_, _, _, _, _, ..] if ports.contains(&4500) => Kind::Esp,
                    _ => Kind::Other,
                }
            }
            _ => Kind::Other,
        }
    }
}

/// A socket for whatever crosses any interface, without link-layer headers.
fn packet_socket() -> OwnedFd {
    let everything = Protocol::from_raw(NonZeroU32::new(u32::from(0x0003_u16.to_be())).expect("not zero"));
    let socket =
        socket_with(AddressFamily::PACKET, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(everything))
            .expect("root may have a packet socket");
    set_socket_recv_buffer_size_force(&socket, 32 << 20).expect("root may have a large buffer");
    socket
}
