//! What is behind the lock: the interface, its sockets, and who holds each TCP connection.
//!
//! smoltcp has no backlog: a listening socket becomes the connection. So a listener here owns no socket. One is
//! made when a SYN for it comes, before the stack looks at the packet, and waits half-open until the handshake is
//! over and somebody accepts it.

use super::front::Fronts;
use super::layout::Layout;
use super::outbox::{Outbox, Wire};
use super::{Counters, NetstackSettings};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::{AnySocket, tcp};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    HardwareAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint, Ipv4Address, Ipv6Address,
};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::Notify;

use super::screen::{Arrival, screen};

/// How long a connection that nobody holds any more may take to end.
const LINGER: Duration = Duration::from_secs(30);
/// How long a peer may take to finish the handshake it began.
const HALF_OPEN: Duration = Duration::from_secs(10);
/// When to look again while the engine takes no packets.
const STARVED: Duration = Duration::from_millis(100);
/// The shortest sleep: a socket that wants a turn and does nothing with it must not spin.
const SHORTEST: Duration = Duration::from_millis(1);
/// Bytes of randomness that a stack draws from.
pub(super) const SEED: usize = 10;
/// Ports given out by ourselves (RFC 6335 §6).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 49152..=65535;

pub(super) struct Stack {
    interface: Interface,
    /// The interface's, for while it is at work.
    own: Vec<IpAddress>,
    pub(super) sockets: SocketSet<'static>,
    connections: BTreeMap<SocketHandle, Connection>,
    fronts: Fronts,
    listeners: BTreeMap<ListenerId, Listening>,
    /// UDP and ping sockets.
    others: usize,
    next_listener: u64,
    next_port: u16,
    next_echo: u16,
    settings: NetstackSettings,
    pub(super) counters: Counters,
    /// When the timer is to wake next, and what it sleeps for now.
    deadline: Option<Instant>,
    armed: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListenerId(u64);

/// One TCP connection, beside its socket.
#[derive(Debug)]
struct Connection {
    local: IpEndpoint,
    remote: IpEndpoint,
    holder: Holder,
    /// Our side is to end once everything written is acknowledged.
    ending: bool,
    /// The peer has ended its side; set when the agent was told, or when the socket would forget it.
    ended: bool,
    /// What came before that end and was not read yet.
    rest: VecDeque<u8>,
}

/// Who a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Stream,
    Listener(ListenerId),
    /// It is closing, and is cut off then at the latest.
    Nobody(Instant),
}

#[derive(Debug)]
struct Listening {
    local: IpListenEndpoint,
    backlog: usize,
    half_open: Vec<SocketHandle>,
    ready: VecDeque<SocketHandle>,
    arrived: Arc<Notify>,
}

/// What a connection has to give.
pub(super) enum Received {
    Bytes(usize),
    End,
    Nothing,
}

impl Stack {
    pub(super) fn new(settings: NetstackSettings, seed: [u8; SEED], outbox: &Outbox) -> io::Result<Self> {
        let (config_seed, port_seed) = seed.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = u64::from_ne_bytes(*config_seed);
        let mut wire =
            Wire { incoming: None, outbox, fronts: &mut Fronts::default(), own: &[], mtu: settings.mtu };
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        let routes = interface.routes_mut();
        // Everything goes to the engine, which knows what is for whom; the gateway is never looked at.
        let (v4, v6) = (Ipv4Address::UNSPECIFIED, Ipv6Address::UNSPECIFIED);
        if routes.add_default_ipv4_route(v4).is_err() || routes.add_default_ipv6_route(v6).is_err() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let offset = port_seed.iter().fold(0_u16, |sum, byte| sum << 8 | u16::from(*byte));
        let mut stack = Self {
            interface,
            own: Vec::new(),
            sockets: SocketSet::new(Vec::new()),
            connections: BTreeMap::new(),
            fronts: Fronts::default(),
            listeners: BTreeMap::new(),
            others: 0,
            next_listener: 0,
            next_port: EPHEMERAL.start() | offset,
            next_echo: offset,
            settings,
            counters: Counters::default(),
            deadline: None,
            armed: None,
        };
        for (address, prefix) in stack.settings.addresses.clone() {
            stack.add_address(address, prefix)?;
        }
        Ok(stack)
    }

    // Addresses.

    pub(super) fn add_address(&mut self, address: IpAddr, prefix: u8) -> io::Result<()> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most || !is_host(address) {
            return Err(invalid("not an address of a host with its prefix"));
        }
        let cidr = IpCidr::new(address.into(), prefix);
        let mut result = Ok(());
        self.interface.update_ip_addrs(|addresses| {
            addresses.retain(|known| known.address() != cidr.address());
            if addresses.push(cidr).is_err() {
                result = Err(io::Error::new(io::ErrorKind::QuotaExceeded, "no room for another address"));
            }
        });
        self.remember_addresses();
        result
    }

    pub(super) fn remove_address(&mut self, address: IpAddr) -> bool {
        let before = self.interface.ip_addrs().len();
        self.interface
            .update_ip_addrs(|addresses| addresses.retain(|known| known.address() != address.into()));
        self.remember_addresses();
        self.interface.ip_addrs().len() < before
    }

    fn remember_addresses(&mut self) {
        self.own = self.interface.ip_addrs().iter().map(IpCidr::address).collect();
    }

    pub(super) fn addresses(&self) -> Vec<(IpAddr, u8)> {
        let addresses = self.interface.ip_addrs().iter();
        addresses.map(|cidr| (cidr.address().into(), cidr.prefix_len())).collect()
    }

    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.interface.has_ip_addr(address)
    }

    /// The address to speak to `remote` from.
    pub(super) fn source_for(&self, remote: IpAddr) -> io::Result<IpAddress> {
        if remote.is_unspecified() {
            return Err(invalid("an unspecified address"));
        }
        let source = self.interface.get_source_address(&remote.into());
        source
            .filter(|source| self.interface.has_ip_addr(*source))
            .ok_or(io::ErrorKind::AddrNotAvailable.into())
    }

    fn check_local(&self, local: IpAddr) -> io::Result<()> {
        if local.is_unspecified() || self.interface.has_ip_addr(local) {
            return Ok(());
        }
        Err(io::ErrorKind::AddrNotAvailable.into())
    }

    // TCP.

    pub(super) fn connect(
        &mut self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> io::Result<SocketHandle> {
        let address = match local.map(|local| local.ip()).filter(|address| !address.is_unspecified()) {
            Some(address) => {
                self.check_local(address)?;
                address.into()
            }
            None => self.source_for(remote.ip())?,
        };
        let port = match local.map_or(0, |local| local.port()) {
            0 => self.free_port(Self::has_tcp_port)?,
            port if self.has_tcp_port(port) => return Err(io::ErrorKind::AddrInUse.into()),
            port => port,
        };
        self.make_room()?;
        let local = IpEndpoint::new(address, port);
        let mut socket = self.tcp_socket();
        self.keep_watch(&mut socket);
        socket
            .connect(self.interface.context(), remote, local)
            .map_err(|_| invalid("no address and port of a peer"))?;
        Ok(self.add_connection(socket, Holder::Stream, local, remote.into()))
    }

    pub(super) fn listen(
        &mut self,
        local: SocketAddr,
        backlog: usize,
    ) -> io::Result<(ListenerId, u16, Arc<Notify>)> {
        self.check_local(local.ip())?;
        let port = match local.port() {
            0 => self.free_port(Self::has_tcp_port)?,
            port => port,
        };
        let local = listen_endpoint(local.ip(), port);
        if self.listeners.values().any(|other| overlap(other.local, local)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let id = ListenerId(self.next_listener);
        self.next_listener += 1;
        let arrived = Arc::new(Notify::new());
        let listening = Listening {
            local,
            backlog: backlog.max(1),
            half_open: Vec::new(),
            ready: VecDeque::new(),
            arrived: arrived.clone(),
        };
        self.listeners.insert(id, listening);
        Ok((id, port, arrived))
    }

    pub(super) fn accept(&mut self, id: ListenerId) -> Option<SocketHandle> {
        let handle = self.listeners.get_mut(&id)?.ready.pop_front()?;
        self.connections.get_mut(&handle)?.holder = Holder::Stream;
        Some(handle)
    }

    /// What was not accepted is reset.
    pub(super) fn unlisten(&mut self, id: ListenerId, now: Instant) {
        let Some(listening) = self.listeners.remove(&id) else { return };
        for handle in listening.half_open.into_iter().chain(listening.ready) {
            self.sockets.get_mut::<tcp::Socket<'_>>(handle).abort();
            self.disown(handle, now);
        }
    }

    pub(super) fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    pub(super) fn endpoints(&self, handle: SocketHandle) -> Option<(SocketAddr, SocketAddr)> {
        self.connections.get(&handle).map(|connection| (connection.local.into(), connection.remote.into()))
    }

    pub(super) fn receive(&mut self, handle: SocketHandle, buffer: &mut [u8]) -> io::Result<Received> {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        if connection.ended {
            let length = connection.rest.len().min(buffer.len());
            for (byte, room) in connection.rest.drain(..length).zip(buffer) {
                *room = byte;
            }
            return Ok(if length == 0 { Received::End } else { Received::Bytes(length) });
        }
        match self.sockets.get_mut::<tcp::Socket<'_>>(handle).recv_slice(buffer) {
            Ok(0) => Ok(Received::Nothing),
            Ok(length) => Ok(Received::Bytes(length)),
            // For good: smoltcp 0.14 takes what a peer says behind its end for more of it (RFC 9293 §3.10.7.4).
            Err(tcp::RecvError::Finished) => {
                connection.ended = true;
                Ok(Received::End)
            }
            Err(tcp::RecvError::InvalidState) => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    /// Nobody holds the connection any more. What was written still goes out; where the peer's bytes were left
    /// unread it is told by a reset, as they are lost (RFC 9293 §3.6.1).
    pub(super) fn release(&mut self, handle: SocketHandle, now: Instant) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        let unread = self.connections.get(&handle).is_some_and(|connection| !connection.rest.is_empty());
        if socket.can_recv() || unread {
            socket.abort();
        } else {
            self.end(handle);
        }
        self.disown(handle, now);
    }

    /// Ends our side behind what was written. Where the peer has ended its own, that is put off until it has all of
    /// it: in LAST-ACK smoltcp 0.14 ignores windows and repeated acknowledgements, and would not get on behind a
    /// window that was closed once.
    pub(super) fn end(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        match self.connections.get_mut(&handle) {
            Some(connection) if socket.state() == tcp::State::CloseWait && socket.send_queue() > 0 => {
                connection.ending = true;
            }
            _ => socket.close(),
        }
    }

    /// Whether our side is to end, and takes nothing more.
    pub(super) fn is_ending(&self, handle: SocketHandle) -> bool {
        self.connections.get(&handle).is_some_and(|connection| connection.ending)
    }

    fn disown(&mut self, handle: SocketHandle, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&handle) {
            connection.holder = Holder::Nobody(now + LINGER);
            connection.rest = VecDeque::new();
        }
    }

    fn add_connection(
        &mut self,
        socket: tcp::Socket<'static>,
        holder: Holder,
        local: IpEndpoint,
        remote: IpEndpoint,
    ) -> SocketHandle {
        let handle = self.sockets.add(socket);
        let connection =
            Connection { local, remote, holder, ending: false, ended: false, rest: VecDeque::new() };
        self.connections.insert(handle, connection);
        handle
    }

    fn forget(&mut self, handle: SocketHandle) {
        if let Some(connection) = self.connections.remove(&handle) {
            self.fronts.forget(connection.local, connection.remote);
        }
        self.sockets.remove(handle);
    }

    fn tcp_socket(&self) -> tcp::Socket<'static> {
        let buffer = || tcp::SocketBuffer::new(vec![0; self.settings.tcp_buffer]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket
    }

    /// Has the peer asked whether it is there, and the connection ended when it is not. One without the other
    /// would end idle connections, or none.
    fn keep_watch(&self, socket: &mut tcp::Socket<'static>) {
        let silence = self.settings.silence.map(Duration::from);
        socket.set_timeout(silence);
        socket.set_keep_alive(silence.map(|silence| silence / 4));
    }

    // Other sockets.

    pub(super) fn add_socket<S: AnySocket<'static>>(&mut self, socket: S) -> io::Result<SocketHandle> {
        self.make_room()?;
        self.others += 1;
        Ok(self.sockets.add(socket))
    }

    pub(super) fn remove_socket(&mut self, handle: SocketHandle) {
        self.others -= 1;
        self.sockets.remove(handle);
    }

    pub(super) fn udp_endpoint(&mut self, local: SocketAddr) -> io::Result<IpListenEndpoint> {
        self.check_local(local.ip())?;
        let port = match local.port() {
            0 => self.free_port(Self::has_udp_port)?,
            port => port,
        };
        let wanted = listen_endpoint(local.ip(), port);
        if self.udp_sockets().any(|bound| overlap(bound, wanted)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(wanted)
    }

    /// An identifier for a ping; they come round after 65,536.
    pub(super) fn echo_identifier(&mut self) -> u16 {
        self.next_echo = self.next_echo.wrapping_add(1);
        self.next_echo
    }

    pub(super) fn count(&self) -> usize {
        self.connections.len() + self.others
    }

    /// Where there are as many sockets as may be, one that only waits out its TIME-WAIT makes room.
    fn make_room(&mut self) -> io::Result<()> {
        if self.count() < self.settings.sockets {
            return Ok(());
        }
        let mut all = self.connections.iter();
        let waiting = all.find(|(handle, connection)| {
            let socket = self.sockets.get::<tcp::Socket<'_>>(**handle);
            matches!(connection.holder, Holder::Nobody(_)) && socket.state() == tcp::State::TimeWait
        });
        let handle = waiting.map(|(handle, _)| *handle);
        let handle = handle
            .ok_or_else(|| io::Error::new(io::ErrorKind::QuotaExceeded, "as many sockets as may be"))?;
        self.forget(handle);
        Ok(())
    }

    fn free_port(&mut self, taken: fn(&Self, u16) -> bool) -> io::Result<u16> {
        for _ in EPHEMERAL {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(*EPHEMERAL.start());
            if !taken(self, port) {
                return Ok(port);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// A port is free once no connection has it, be it one in TIME-WAIT.
    fn has_tcp_port(&self, port: u16) -> bool {
        self.connections.values().any(|connection| connection.local.port == port)
            || self.listeners.values().any(|listening| listening.local.port == port)
    }

    fn has_udp_port(&self, port: u16) -> bool {
        self.udp_sockets().any(|bound| bound.port == port)
    }

    fn udp_sockets(&self) -> impl Iterator<Item = IpListenEndpoint> {
        self.sockets.iter().filter_map(|(_, socket)| match socket {
            smoltcp::socket::Socket::Udp(socket) => Some(socket.endpoint()),
            _ => None,
        })
    }

    // Turns.

    /// Takes a packet from the engine.
    pub(super) fn take(&mut self, packet: &[u8], now: Instant, outbox: &Outbox) {
        let Some(layout) = Layout::of(packet) else {
            self.counters.refused += 1;
            return;
        };
        match screen(packet, &layout, |address| self.own.contains(&address)) {
            Arrival::Refused => {
                self.counters.refused += 1;
                return;
            }
            Arrival::Open { local, remote } if !self.admit(local, remote) => return,
            Arrival::Open { .. } | Arrival::Other => {}
        }
        self.counters.received += 1;
        self.fronts.arriving(packet, &layout);
        let (fronts, own, mtu) = (&mut self.fronts, &self.own, self.settings.mtu);
        let mut wire = Wire { incoming: Some(packet), outbox, fronts, own, mtu };
        self.interface.poll_ingress_single(now, &mut wire, &mut self.sockets);
    }

    /// Lets everything happen that is due, and works out when to look again.
    pub(super) fn turn(&mut self, now: Instant, outbox: &Outbox) {
        let (fronts, own, mtu) = (&mut self.fronts, &self.own, self.settings.mtu);
        let mut wire = Wire { incoming: None, outbox, fronts, own, mtu };
        self.interface.poll(now, &mut wire, &mut self.sockets);
        self.settle_listeners(now);
        self.settle_connections(now);
        let due = self.interface.poll_at(now, &self.sockets).map(|due| {
            // It would be due at once for as long as the engine takes nothing; its first read lets us go on.
            let soonest = if outbox.is_starved() { STARVED } else { SHORTEST };
            due.max(now + soonest)
        });
        let cut_off = self.connections.values().filter_map(|connection| match connection.holder {
            Holder::Nobody(until) => Some(until.max(now + SHORTEST)),
            _ => None,
        });
        self.deadline = cut_off.chain(due).min();
    }

    /// Whether the timer sleeps longer than it should.
    pub(super) fn must_rearm(&mut self) -> bool {
        let sooner = match (self.deadline, self.armed) {
            (Some(deadline), Some(armed)) => deadline < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if sooner {
            self.armed = self.deadline;
        }
        sooner
    }

    /// For the timer: when to wake.
    pub(super) fn arm(&mut self) -> Option<Instant> {
        self.armed = self.deadline;
        self.deadline
    }

    /// Whether the packet that opens a connection may be looked at: there is a socket for it now, or there never
    /// was a listener and the stack refuses it. When the backlog is full it may not, and the peer tries again.
    fn admit(&mut self, local: IpEndpoint, remote: IpEndpoint) -> bool {
        if let Some((handle, state)) = self.connection_of(local, remote) {
            if state == tcp::State::SynSent {
                // Both may open at once (RFC 9293 §3.5), but smoltcp 0.14 panics where its own SYN still waits for
                // room: it takes the peer's for one that is behind the window it has not told of.
                return self.fronts.has_begun(local, remote);
            }
            if state != tcp::State::TimeWait {
                return true;
            }
            // A new connection may follow at once on one that is over (RFC 9293 §3.6.1).
            match self.connections.get(&handle).map(|connection| connection.holder) {
                Some(Holder::Nobody(_)) => self.forget(handle),
                _ => return true,
            }
        }
        let listeners = self.listeners.iter();
        let Some(id) =
            listeners.filter(|(_, listening)| hears(listening.local, local)).map(|(id, _)| *id).next()
        else {
            return true;
        };
        let full = self.listeners.get(&id).is_none_or(Listening::is_full);
        if full || self.make_room().is_err() {
            self.counters.backlog_full += u64::from(full);
            return false;
        }
        let mut socket = self.tcp_socket();
        socket.set_timeout(Some(HALF_OPEN));
        if socket.listen(local).is_err() {
            return false;
        }
        let handle = self.add_connection(socket, Holder::Listener(id), local, remote);
        if let Some(listening) = self.listeners.get_mut(&id) {
            listening.half_open.push(handle);
        }
        true
    }

    fn connection_of(&self, local: IpEndpoint, remote: IpEndpoint) -> Option<(SocketHandle, tcp::State)> {
        let mut all = self.connections.iter();
        let (handle, _) = all.find(|(_, known)| known.local == local && known.remote == remote)?;
        Some((*handle, self.sockets.get::<tcp::Socket<'_>>(*handle).state()))
    }

    /// Hands over what has finished its handshake, and forgets what never will.
    fn settle_listeners(&mut self, now: Instant) {
        let ids: Vec<_> =
            self.listeners.iter().filter(|(_, it)| !it.half_open.is_empty()).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(listening) = self.listeners.get_mut(&id) else { continue };
            for handle in std::mem::take(&mut listening.half_open) {
                let Some(listening) = self.listeners.get_mut(&id) else { continue };
                let state = self.sockets.get::<tcp::Socket<'_>>(handle).state();
                match state {
                    tcp::State::SynReceived => listening.half_open.push(handle),
                    // Reset, or not what it looked like.
                    tcp::State::Listen => self.forget(handle),
                    tcp::State::Closed => self.disown(handle, now),
                    _ => {
                        listening.ready.push_back(handle);
                        listening.arrived.notify_one();
                        let (silence, socket) =
                            (self.settings.silence, self.sockets.get_mut::<tcp::Socket<'_>>(handle));
                        socket.set_timeout(silence.map(Duration::from));
                        socket.set_keep_alive(silence.map(|silence| Duration::from(silence) / 4));
                    }
                }
            }
        }
    }

    fn settle_connections(&mut self, now: Instant) {
        let mut over = Vec::new();
        for (handle, connection) in &mut self.connections {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(*handle);
            if connection.ending && socket.send_queue() == 0 {
                socket.close();
            }
            if let Holder::Nobody(until) = connection.holder {
                // Bytes that nobody will read.
                if socket.can_recv() {
                    socket.abort();
                }
                let told = socket.state() == tcp::State::Closed && socket.local_endpoint().is_none();
                if told || now >= until {
                    over.push(*handle);
                }
            } else if socket.state() == tcp::State::TimeWait && !connection.ended {
                // The socket forgets what it holds when TIME-WAIT is over, read or not.
                connection.ended = true;
                connection.rest.resize(socket.recv_queue(), 0);
                let length = socket.recv_slice(connection.rest.make_contiguous()).unwrap_or(0);
                connection.rest.truncate(length);
            }
        }
        for handle in over {
            self.forget(handle);
        }
    }
}

impl Listening {
    fn is_full(&self) -> bool {
        self.half_open.len() + self.ready.len() >= self.backlog
    }
}

pub(super) fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

fn listen_endpoint(address: IpAddr, port: u16) -> IpListenEndpoint {
    IpListenEndpoint { addr: (!address.is_unspecified()).then(|| address.into()), port }
}

fn hears(listening: IpListenEndpoint, local: IpEndpoint) -> bool {
    listening.port == local.port && listening.addr.is_none_or(|address| address == local.addr)
}

fn overlap(one: IpListenEndpoint, other: IpListenEndpoint) -> bool {
    one.port == other.port && (one.addr.is_none() || other.addr.is_none() || one.addr == other.addr)
}

fn is_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}
