//! Sockets for IKE and ESP: UDP on two ports, and IP protocol 50 where it is asked for.
//!
//! A socket that is bound to any address learns of each datagram where it went, and each answer leaves from
//! there; so addresses may come and go. The network's reports (ICMP) are kept on a queue of their own: a
//! socket with something on it polls as in error until [`Wire::path_mtu_errors`] has read it.

mod bind;
mod calls;
mod cmsg;
mod segments;
mod send;

pub use bind::BindError;
pub use segments::{Joining, UdpOffloads};

use super::Wire;
use super::batch::{Arrival, Arrivals, Channel, ReceiveBatch, SendBatch};
use calls::Got;
use cmsg::Message;
use rustix::io::Errno;
use rustix::net;
use segments::Segments;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZero;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where to listen, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Addresses; none for any, of IPv4 and IPv6.
    pub addresses: Vec<IpAddr>,
    /// The port of IKE alone, 500 as a rule; 0 for any that is free.
    pub ike_port: u16,
    /// The port that IKE shares with ESP, 4500 as a rule; 0 for any that is free. If it is the port of IKE
    /// too, there is but this one.
    pub nat_port: u16,
    /// Marks what is sent, so that rules of the host can tell it from what is to be protected.
    pub mark: Option<u32>,
    /// Whether ESP goes without UDP too.
    pub raw_esp: RawEsp,
    /// Whether datagrams go in one piece where the kernel can.
    pub joining: Joining,
    /// How many sockets share the port of ESP, each for a thread of its own: the kernel spreads peers over them, and
    /// a peer stays with one.
    pub lanes: NonZero<usize>,
}

/// Whether ESP goes over IP as it is. It takes CAP_NET_RAW.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RawEsp {
    /// Always over UDP.
    #[default]
    Off,
    /// Where a path says so.
    On,
}

/// All sockets of a node; any thread may use them.
#[derive(Debug)]
pub struct Sockets {
    sockets: Vec<Socket>,
    ports: (u16, u16),
    mark: Option<u32>,
    counters: Counts,
    segments: Segments,
    /// Held by who lets a socket fragment for a moment.
    fragmenting: Mutex<()>,
}

/// What became of datagrams at the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SocketCounters {
    /// Handed to the system.
    pub sent: u64,
    /// Of these, in one piece with others.
    pub sent_joined: u64,
    /// Received in one piece with others.
    pub received_joined: u64,
    /// Longer than the path takes.
    pub too_big: u64,
    /// The system had no room for them.
    pub no_room: u64,
    /// No socket has the local address and port.
    pub no_source: u64,
    /// Refused for another reason: no route, or a source address that has gone.
    pub refused: u64,
    /// Received, and of no use: too long, or without addresses.
    pub unreadable: u64,
    /// Not received: as many waited already as there is room for.
    pub missed: u64,
}

/// How much waits at most in a socket, in bytes as the kernel counts them: more than there is of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// To be received.
    pub receive: usize,
    /// To be sent.
    pub send: usize,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    sent_joined: AtomicU64,
    received_joined: AtomicU64,
    too_big: AtomicU64,
    no_room: AtomicU64,
    no_source: AtomicU64,
    refused: AtomicU64,
    unreadable: AtomicU64,
}

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    /// What it is bound to; may be any.
    address: IpAddr,
    /// None for ESP.
    port: u16,
    kind: Kind,
    /// Its number among those that share a port.
    lane: usize,
}

type Kind = Channel;

impl Sockets {
    /// Opens all sockets, or none.
    pub fn bind(listen: &Listen) -> Result<Self, BindError> {
        let sockets = bind::open(listen)?;
        let port = |kind| sockets.iter().find(|socket| socket.kind == kind).map(|socket| socket.port);
        let shared = port(Kind::Shared).unwrap_or(listen.nat_port);
        let ports = (port(Kind::Ike).unwrap_or(shared), shared);
        let carrying = sockets.iter().filter(|socket| socket.kind == Kind::Shared);
        let segments = Segments::probe(carrying.map(|socket| socket.fd.as_fd()), listen.joining);
        Ok(Self {
            sockets,
            ports,
            mark: listen.mark,
            counters: Counts::default(),
            segments,
            fragmenting: Mutex::default(),
        })
    }

    /// The ports of IKE and of ESP in UDP.
    pub fn local_ports(&self) -> (u16, u16) {
        self.ports
    }

    /// The address that the system would send from to that one, by the routes that our packets go by; `None`
    /// where no route leads there.
    pub fn source_towards(&self, remote: IpAddr) -> Option<IpAddr> {
        let probe = bind::probe(remote, self.mark).ok()?;
        // Nothing is sent by this.
        net::connect(&probe, &SocketAddr::new(remote, self.ports.1)).ok()?;
        let local = SocketAddr::try_from(net::getsockname(&probe).ok()?).ok()?;
        Some(local.ip())
    }

    /// How much waits at most in the socket that ESP comes to.
    pub fn queues(&self) -> Queues {
        let carrying = self.sockets.iter().find(|socket| socket.kind == Kind::Shared);
        carrying.map(|socket| bind::queues(socket.fd.as_fd())).unwrap_or_default()
    }

    /// What goes in one piece at present.
    pub fn offloads(&self) -> UdpOffloads {
        self.segments.in_use()
    }

    /// What has become of datagrams so far.
    pub fn counters(&self) -> SocketCounters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SocketCounters {
            sent: read(&self.counters.sent),
            sent_joined: read(&self.counters.sent_joined),
            received_joined: read(&self.counters.received_joined),
            too_big: read(&self.counters.too_big),
            no_room: read(&self.counters.no_room),
            no_source: read(&self.counters.no_source),
            refused: read(&self.counters.refused),
            unreadable: read(&self.counters.unreadable),
            missed: self.sockets.iter().map(|socket| calls::missed(socket.fd.as_fd())).sum(),
        }
    }
}

impl SocketCounters {
    /// Each with its name among all counters.
    pub fn by_name(&self) -> [(&'static str, u64); 9] {
        let Self { sent, sent_joined, received_joined, too_big, no_room, no_source, refused, .. } = *self;
        [
            ("datagrams_sent", sent),
            ("datagrams_sent_joined", sent_joined),
            ("datagrams_received_joined", received_joined),
            ("datagrams_too_big", too_big),
            ("datagrams_no_room", no_room),
            ("datagrams_no_source", no_source),
            ("datagrams_refused", refused),
            ("datagrams_unreadable", self.unreadable),
            ("datagrams_missed", self.missed),
        ]
    }
}

impl Wire for Sockets {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets.iter().map(|socket| socket.fd.as_fd()).collect()
    }

    fn lane(&self, socket: usize) -> usize {
        self.sockets.get(socket).map_or(0, |socket| socket.lane)
    }

    fn receive(&self, socket: usize, batch: &mut ReceiveBatch) -> io::Result<usize> {
        let socket = self.sockets.get(socket).ok_or(io::ErrorKind::NotFound)?;
        let mut received = socket.receive_once(batch);
        // What the network has said of one datagram fails a call that has nothing to do with it, once.
        if received.as_ref().is_err_and(is_pending) {
            received = socket.receive_once(batch);
        }
        let Receipt { unreadable, joined } = received?;
        // They stand beside what senders count up, whom an addition of nothing would disturb.
        if unreadable > 0 {
            self.counters.unreadable.fetch_add(unreadable as u64, Ordering::Relaxed);
        }
        if joined > 0 {
            self.counters.received_joined.fetch_add(joined as u64, Ordering::Relaxed);
        }
        Ok(batch.frames().len())
    }

    fn send(&self, batch: &SendBatch) -> io::Result<usize> {
        Ok(self.send_batch(batch))
    }

    fn path_mtu_errors(&self, socket: usize, found: &mut dyn FnMut(IpAddr, usize)) {
        let Some(socket) = self.sockets.get(socket) else { return };
        let mut read = |to: &cmsg::Name, control: &cmsg::Control, length| {
            for message in control.messages(length) {
                if let (Message::Error(error), Some(to)) = (message, to.address())
                    && error.errno == libc::EMSGSIZE
                {
                    found(to.ip(), error.info as usize);
                }
            }
        };
        // The queue is bounded by the receive buffer, and may be filled while we read: enough is enough.
        for _ in 0..REPORTS {
            match calls::receive_error(socket.fd.as_fd(), &mut read) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    }
}

/// How many reports of the network are read at a time.
const REPORTS: usize = 256;

/// What is counted of a call.
#[derive(Default)]
struct Receipt {
    unreadable: usize,
    /// Datagrams that came in one piece with others.
    joined: usize,
}

impl Socket {
    fn receive_once(&self, batch: &mut ReceiveBatch) -> io::Result<Receipt> {
        // The kernel hands IPv4 out whole on a raw socket, but of IPv6 the payload.
        let header_len = if self.kind == Kind::Esp && self.address.is_ipv4() { calls::HEADER_MAX } else { 0 };
        let (slots, mut arrivals) = batch.lend();
        let mut receipt = Receipt::default();
        let note = |got: &Got<'_>| match self.came(got) {
            Some((arrival, segment)) => receipt.joined += lay_out(got, segment, arrival, &mut arrivals),
            None => receipt.unreadable += 1,
        };
        let slots = calls::receive(self.fd.as_fd(), header_len, slots, note)?;
        batch.filled(slots);
        Ok(receipt)
    }

    /// How a datagram came, or several in one piece, and then how long each but the last is; `None` for what is
    /// not whole.
    fn came(&self, got: &Got<'_>) -> Option<(Arrival, usize)> {
        // Options of IPv4 would lie where its payload is looked for; nothing sends them before ESP.
        let has_options = got.header.first().is_some_and(|first| first & 0xf != 5);
        if got.is_truncated || has_options {
            return None;
        }
        let remote = got.from.address()?;
        let mut local = SocketAddr::new(self.address, self.port);
        let mut traffic_class = 0;
        let mut segment = got.length;
        for message in got.control.messages(got.control_length) {
            match message {
                Message::Destination { address, interface } => local = self.at(address, interface),
                Message::TrafficClass(class) => traffic_class = class,
                Message::Segment(length) => segment = length,
                Message::Error(_) | Message::Other { .. } => {}
            }
        }
        let remote = match self.kind {
            Kind::Esp => with_port(remote, 0),
            Kind::Ike | Kind::Shared => remote,
        };
        Some((Arrival { local, remote, traffic_class, channel: self.kind }, segment))
    }

    /// An address of ours; one that is unique on its link alone goes with the interface.
    fn at(&self, address: IpAddr, interface: u32) -> SocketAddr {
        match address {
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                SocketAddrV6::new(address, self.port, 0, interface).into()
            }
            address => SocketAddr::new(address, self.port),
        }
    }
}

/// Makes frames of what came into a slot, and says how many if they are several.
fn lay_out(got: &Got<'_>, segment: usize, arrival: Arrival, arrivals: &mut Arrivals<'_>) -> usize {
    let length = got.length;
    if segment == 0 || segment >= length {
        arrivals.note(got.index, 0..length, arrival);
        return 0;
    }
    for start in (0..length).step_by(segment) {
        arrivals.note(got.index, start..(start + segment).min(length), arrival);
    }
    length.div_ceil(segment)
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Whether an error may be one that the network has reported of an earlier datagram, to anyone.
fn is_pending(error: &io::Error) -> bool {
    use Errno as E;
    matches!(
        Errno::from_io_error(error),
        Some(
            E::CONNREFUSED
                | E::HOSTUNREACH
                | E::NETUNREACH
                | E::MSGSIZE
                | E::ACCESS
                | E::PROTO
                | E::NOPROTOOPT
                | E::OPNOTSUPP
                | E::HOSTDOWN
                | E::NONET
        )
    )
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            ike_port: 500,
            nat_port: 4500,
            mark: None,
            raw_esp: RawEsp::Off,
            joining: Joining::Probed,
            lanes: NonZero::<usize>::MIN,
        }
    }
}
