//! A network stack in this process: an agent speaks TCP, UDP and ping inside its tunnels with no interface in the
//! kernel, and no rights.
//!
//! [`Netstack`] is the agent's side, made of asynchronous handles. [`NetstackDevice`] is the engine's, a
//! [`Device`](super::Device) like a TUN. Between them is one TCP/IP stack behind a lock that is held for one turn
//! at a time: a packet from the engine, a call of the agent, or a timer makes a turn, and at its end everything
//! that could be sent waits for the engine in a bounded queue. When that is full, sockets wait for room, and
//! answers that have no socket (resets, echo replies) are dropped and counted.
//!
//! What the stack does not do: fragments (nothing leaves that is longer than the MTU, and a fragment that comes is
//! refused), broadcast and multicast (what is for none of its addresses is refused), path MTU discovery (the MTU
//! given is what the tunnel takes), and packets to its own addresses.
//!
//! Where windows scale (buffers of 64 KiB and more), a window as told is rounded down, and its end may so move back
//! by a few bytes. smoltcp 0.14 takes the FIN of a segment whose last bytes are beyond it, and not those bytes.

mod device;
mod front;
mod layout;
mod outbox;
mod ping;
mod screen;
mod shared;
mod stack;
mod tcp;
mod udp;

pub use device::NetstackDevice;
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;

use ring::rand::{SecureRandom, SystemRandom};
use shared::Shared;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The shortest MTU that IPv6 works with (RFC 8200 §5).
const LEAST_MTU: usize = 1280;

/// How a stack is made.
#[derive(Clone, Debug)]
pub struct NetstackSettings {
    /// Its addresses, with the length of their prefixes; eight at most.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The longest packet that it sends, at least 1280.
    pub mtu: usize,
    /// Bytes that each TCP connection buffers in each direction. More than 64 KiB makes windows scale.
    pub tcp_buffer: usize,
    /// Bytes that each UDP socket buffers in each direction.
    pub udp_buffer: usize,
    /// Packets that wait for the engine.
    pub queue: usize,
    /// Sockets at once, those that are closing included.
    pub sockets: usize,
    /// How long a peer may take to answer a connection attempt.
    pub connect_timeout: Duration,
    /// After how long without a sign of life a TCP peer is given up. It is asked four times as often. Never: a
    /// connection whose peer has vanished stays.
    pub silence: Option<Duration>,
}

/// The agent's side of a stack. Clones are the same stack, which lives until its last handle, socket and device
/// are gone.
#[derive(Clone, Debug)]
pub struct Netstack {
    shared: Arc<Shared>,
}

/// What a stack has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Packets that the engine gave and the stack looked at.
    pub received: u64,
    /// Packets of the engine that it did not look at: broken ones, fragments, and those for another address.
    pub refused: u64,
    /// Connections that were not let in because a listener had as many waiting as it may.
    pub backlog_full: u64,
    /// Packets that the engine did not fetch in time.
    pub dropped: u64,
}

impl Netstack {
    /// Makes a stack, and the device by which an engine reaches it. Timers run on the Tokio runtime that this is
    /// called from.
    pub fn new(settings: NetstackSettings) -> io::Result<(Self, NetstackDevice)> {
        let mut seed = [0; stack::SEED];
        SystemRandom::new().fill(&mut seed).map_err(|_| io::Error::other("no randomness"))?;
        Self::seeded(settings, seed)
    }

    /// As [`new`](Self::new), with a seed for all that it draws: for what has to go the same way twice. Who knows
    /// the seed knows the numbers of its connections, and can end them or put words into them.
    pub fn seeded(settings: NetstackSettings, seed: [u8; stack::SEED]) -> io::Result<(Self, NetstackDevice)> {
        if !(LEAST_MTU..=usize::from(u16::MAX)).contains(&settings.mtu) {
            return Err(stack::invalid("an MTU below 1280 or above 65535"));
        }
        if settings.tcp_buffer == 0 || settings.tcp_buffer > 1 << 30 {
            return Err(stack::invalid("a TCP buffer of nothing, or of more than a window can say"));
        }
        let shared = Shared::new(settings, seed)?;
        Ok((Self { shared: shared.clone() }, NetstackDevice::new(shared)))
    }

    /// Opens a TCP connection. [`io::ErrorKind::ConnectionRefused`] when the peer wants none,
    /// [`io::ErrorKind::TimedOut`] when it does not answer.
    pub async fn connect(&self, remote: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(self.shared.clone(), None, remote).await
    }

    /// As [`connect`](Self::connect), from a certain address, and from a certain port unless that is 0.
    pub async fn connect_from(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(self.shared.clone(), Some(local), remote).await
    }

    /// Lets peers open TCP connections. An unspecified address stands for all of both families, port 0 for any
    /// free one. Up to `backlog` connections wait to be accepted; beyond that peers have to try again.
    pub fn listen(&self, local: SocketAddr, backlog: usize) -> io::Result<TcpListener> {
        TcpListener::new(self.shared.clone(), local, backlog)
    }

    /// Opens a UDP socket. Addresses and ports are as in [`listen`](Self::listen).
    pub fn bind_udp(&self, local: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind(self.shared.clone(), local)
    }

    /// Sends one echo request, and says how long its answer took.
    pub async fn ping(
        &self,
        remote: IpAddr,
        payload_length: usize,
        timeout: Duration,
    ) -> io::Result<Duration> {
        ping::ping(&self.shared, remote, payload_length, timeout).await
    }

    /// Adds an address, or changes the prefix of one that is there: peers assign them.
    pub fn add_address(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        self.shared.with(|stack, _| stack.add_address(address, prefix))
    }

    /// Takes an address away, and says whether it was there. Connections from it end.
    pub fn remove_address(&self, address: IpAddr) -> bool {
        self.shared.with(|stack, _| stack.remove_address(address))
    }

    /// Its addresses.
    pub fn addresses(&self) -> Vec<(IpAddr, u8)> {
        self.shared.with(|stack, _| stack.addresses())
    }

    /// How many sockets there are, those that are closing included.
    pub fn sockets(&self) -> usize {
        self.shared.with(|stack, _| stack.count())
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        let dropped = self.shared.outbox.dropped();
        self.shared.with(|stack, _| Counters { dropped, ..stack.counters })
    }

    /// How many packets wait for the engine.
    pub fn queued(&self) -> usize {
        self.shared.outbox.len()
    }
}

impl NetstackSettings {
    /// Settings that serve most agents.
    pub fn new(addresses: Vec<(IpAddr, u8)>) -> Self {
        Self { addresses, ..Self::default() }
    }
}

impl Default for NetstackSettings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            mtu: 1400,
            // The most that needs no scale: see above.
            tcp_buffer: usize::from(u16::MAX),
            udp_buffer: 64 << 10,
            queue: 512,
            sockets: 1024,
            connect_timeout: Duration::from_secs(30),
            silence: Some(Duration::from_secs(120)),
        }
    }
}
