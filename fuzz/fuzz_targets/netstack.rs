//! A stack in the process: whoever is behind a peer says anything, segments that fit or nearly fit what the stack
//! has said among it, and an agent opens, writes, reads and lets go in any order, while time goes by.
//!
//! The input is a row of steps behind a byte that chooses the bounds. What leaves is whole and from an address of
//! the stack; a connection carries what was written on it, and an agent reads what was sent to it, in order and
//! nothing else. Sockets and the queue keep within their bounds. Once everything was let go, nothing is left and
//! nothing more leaves, whatever was said before.

#![no_main]

mod far;
#[path = "../../esp/tests/packets/mod.rs"]
mod packets;
mod steps;

use far::{Far, datagram, first, is_intact, said};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use steps::Steps;
use tidegate::io::Device;
use tidegate::io::netstack::{Netstack, NetstackDevice, NetstackSettings, TcpListener, TcpStream, UdpSocket};
use tidegate_esp::virtio::VirtioHeader;
use tidegate_esp::{Flow, Inner};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fuzz_target!(|input: &[u8]| {
    let Some((&shape, steps)) = input.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("it needs no descriptors").block_on(async {
        let mut run = Run::new(shape);
        let mut steps = Steps(steps);
        for _ in 0..256 {
            let Some(step) = steps.byte() else { break };
            run.step(step, &mut steps).await;
        }
        run.end().await;
    });
});

const MTU: usize = 1280;
/// Those of the stack; the last comes and goes.
const NEAR: [&str; 3] = ["10.2.0.1", "fd00:2::1", "10.2.0.9"];
const FAR: [&str; 2] = ["10.1.0.1", "fd00:1::1"];
const PORTS: [u16; 2] = [80, 53];

type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>>>>;

struct Run {
    stack: Netstack,
    device: NetstackDevice,
    bounds: NetstackSettings,
    far: Far,
    listeners: Vec<TcpListener>,
    opening: Vec<Opening<TcpStream>>,
    streams: Vec<Held>,
    sockets: Vec<UdpSocket>,
    pings: Vec<Opening<Duration>>,
    /// Addresses that the stack had at some time: packets wait.
    own: BTreeSet<IpAddr>,
    /// Something was said that is no word of the far side, and may be taken for one: in a build for fuzzing smoltcp
    /// looks at no checksum.
    babel: bool,
}

/// A connection in the agent's hands.
struct Held {
    stream: TcpStream,
    written: u32,
    read: u32,
    /// The agent was told that no more comes.
    over: bool,
}

impl Run {
    fn new(shape: u8) -> Self {
        let addresses = NEAR[..2].iter().map(|text| (ip(text), 24)).collect();
        let bounds = NetstackSettings {
            mtu: MTU,
            tcp_buffer: if shape & 1 == 0 { 3000 } else { 70_000 },
            udp_buffer: 2000,
            queue: if shape & 2 == 0 { 64 } else { 3 },
            sockets: if shape & 4 == 0 { 32 } else { 4 },
            connect_timeout: Duration::from_secs(5),
            silence: (shape & 8 == 0).then(|| Duration::from_secs(20)),
            ..NetstackSettings::new(addresses)
        };
        let (stack, device) = Netstack::seeded(bounds.clone(), [shape; 10]).expect("good settings");
        Self {
            stack,
            device,
            bounds,
            far: Far::default(),
            listeners: Vec::new(),
            opening: Vec::new(),
            streams: Vec::new(),
            sockets: Vec::new(),
            pings: Vec::new(),
            own: NEAR[..2].iter().map(|text| ip(text)).collect(),
            babel: false,
        }
    }

    async fn step(&mut self, step: u8, steps: &mut Steps<'_>) {
        match step % 16 {
            0 | 1 => self.segment(None, steps),
            2 => {
                let damage = (steps.word(), steps.byte().unwrap_or(1).max(1));
                self.segment(Some(damage), steps);
            }
            3 => self.anything(steps.long_bytes()),
            4 => self.datagram(steps),
            5 => self.fetch(steps.byte().unwrap_or(1).into()),
            6 => tokio::time::sleep(Duration::from_millis(steps.word().into())).await,
            7 => self.listen(steps.byte().unwrap_or(0)),
            8 => self.accept(),
            9 => self.connect(steps.byte().unwrap_or(0)),
            10 => self.write(steps.byte().unwrap_or(0), steps.word()),
            11 => self.read(steps.byte().unwrap_or(0), steps.word()),
            12 => self.let_go(steps.byte().unwrap_or(0)),
            13 => self.udp(steps.byte().unwrap_or(0), steps.word()),
            14 => self.ping(steps.byte().unwrap_or(0)),
            _ => self.address(steps.byte().unwrap_or(0)),
        }
        assert!(self.stack.sockets() <= self.bounds.sockets && self.stack.queued() <= self.bounds.queue);
    }

    // The far side.

    fn segment(&mut self, damage: Option<(u16, u8)>, steps: &mut Steps<'_>) {
        let (near, far) = ends(steps.byte().unwrap_or(0));
        let mut packet = self.far.segment(near, far, steps).bytes();
        if let Some((place, change)) = damage {
            let place = usize::from(place) % packet.len();
            packet[place] ^= change;
            self.babel = true;
        }
        self.arrives(&packet);
    }

    /// Bytes of nobody in particular.
    fn anything(&mut self, packet: &[u8]) {
        self.babel |= Inner::parse(packet).is_ok_and(|inner| matches!(inner.flow.protocol, 6 | 17));
        self.arrives(packet);
    }

    fn datagram(&mut self, steps: &mut Steps<'_>) {
        let (near, far) = ends(steps.byte().unwrap_or(0));
        self.arrives(&datagram(near, far, steps.word() % 1200).bytes());
    }

    fn arrives(&self, packet: &[u8]) {
        self.device.write(&VirtioHeader::default(), &[IoSlice::new(packet)]).expect("it takes anything");
    }

    /// So many packets of the stack are fetched, and heard on the far side.
    fn fetch(&mut self, count: usize) {
        let mut buffer = [0; MTU];
        for _ in 0..count {
            let (virtio, length) = match self.device.read(&mut buffer) {
                Ok(read) => read,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "longer than the MTU");
                    return;
                }
            };
            assert_eq!(virtio, VirtioHeader::default());
            let packet = &buffer[..length];
            let inner = Inner::parse(packet).expect("it sends packets");
            let Flow { source, .. } = inner.flow;
            assert!(self.own.contains(&source), "from {source}");
            assert!(inner.total_length == length && is_intact(packet, &inner), "{packet:02x?}");
            self.far.hears(packet, &inner);
        }
    }

    // The agent.

    fn listen(&mut self, how: u8) {
        let (near, _) = ends(how);
        let near = if how & 16 == 0 { near } else { SocketAddr::new([0; 4].into(), near.port()) };
        self.listeners.extend(self.stack.listen(near, 1 + usize::from(how >> 6)));
    }

    fn accept(&mut self) {
        for listener in &self.listeners {
            if let Poll::Ready(accepted) = poll(std::pin::pin!(listener.accept())) {
                let (stream, remote) = accepted.expect("one that was there");
                assert_eq!(stream.peer_addr(), remote);
                self.streams.push(Held { stream, written: 0, read: 0, over: false });
            }
        }
        for opening in std::mem::take(&mut self.opening) {
            self.pursue(opening);
        }
        self.pings.retain_mut(|ping| poll(ping.as_mut()).is_pending());
    }

    fn pursue(&mut self, mut opening: Opening<TcpStream>) {
        match poll(opening.as_mut()) {
            Poll::Ready(Ok(stream)) => self.streams.push(Held { stream, written: 0, read: 0, over: false }),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.opening.push(opening),
        }
    }

    fn connect(&mut self, how: u8) {
        let (near, far) = ends(how);
        let stack = self.stack.clone();
        let opening: Opening<TcpStream> = match how & 16 {
            0 => Box::pin(async move { stack.connect(far).await }),
            _ => Box::pin(async move { stack.connect_from(near, far).await }),
        };
        self.pursue(opening);
    }

    fn write(&mut self, which: u8, length: u16) {
        let Some(held) = of(&mut self.streams, which) else { return };
        let words: Vec<u8> = (held.written..).take(usize::from(length)).map(said).collect();
        let written = Pin::new(&mut held.stream).poll_write(&mut context(), &words);
        if let Poll::Ready(Ok(length)) = written {
            assert!(length <= words.len());
            held.written += length as u32;
        }
    }

    fn read(&mut self, which: u8, length: u16) {
        let babel = self.babel;
        let Some(held) = of(&mut self.streams, which) else { return };
        let mut room = vec![0; usize::from(length)];
        let mut buffer = ReadBuf::new(&mut room);
        let outcome = Pin::new(&mut held.stream).poll_read(&mut context(), &mut buffer);
        let begins = first(held.stream.peer_addr()).wrapping_add(1).wrapping_add(held.read);
        let right = buffer.filled().iter().zip(0..).all(|(byte, at)| *byte == said(begins.wrapping_add(at)));
        assert!(babel || right, "not what was sent, behind {}", held.read);
        assert!(buffer.filled().is_empty() || !held.over, "more behind the end");
        held.over |= length > 0 && buffer.filled().is_empty() && matches!(outcome, Poll::Ready(Ok(())));
        held.read += buffer.filled().len() as u32;
    }

    fn let_go(&mut self, how: u8) {
        let which = how >> 3;
        match how % 8 {
            0 => drop(taken(&mut self.listeners, which)),
            1 => drop(taken(&mut self.opening, which)),
            2 => drop(taken(&mut self.sockets, which)),
            3 => drop(taken(&mut self.pings, which)),
            4 => {
                if let Some(held) = taken(&mut self.streams, which) {
                    held.stream.abort();
                }
            }
            5 => {
                if let Some(held) = of(&mut self.streams, which) {
                    let _ = Pin::new(&mut held.stream).poll_shutdown(&mut context());
                }
            }
            _ => drop(taken(&mut self.streams, which)),
        }
    }

    fn udp(&mut self, how: u8, length: u16) {
        let (near, far) = ends(how);
        match how >> 6 {
            0 => self.sockets.extend(self.stack.bind_udp(near)),
            1 | 2 => {
                let words = vec![7; usize::from(length)];
                if let Some(socket) = of(&mut self.sockets, how >> 4) {
                    let _ = poll(std::pin::pin!(socket.send_to(&words, far)));
                }
            }
            _ => {
                let mut room = vec![0; usize::from(length)];
                let Some(socket) = of(&mut self.sockets, how) else { return };
                let received = poll(std::pin::pin!(socket.recv_from(&mut room)));
                if let Poll::Ready(received) = received {
                    let (length, _) = received.expect("one that was there");
                    let right = room[..length].iter().zip(0..).all(|(byte, at)| *byte == said(at));
                    assert!(self.babel || right, "not what was sent");
                }
            }
        }
    }

    fn ping(&mut self, how: u8) {
        if how & 0x80 == 0 {
            if let Some(echo) = self.far.echo() {
                self.arrives(&echo);
            }
            return;
        }
        let (stack, (_, far)) = (self.stack.clone(), ends(how));
        let mut ping: Opening<Duration> =
            Box::pin(async move { stack.ping(far.ip(), how.into(), Duration::from_secs(3)).await });
        if poll(ping.as_mut()).is_pending() {
            self.pings.push(ping);
        }
    }

    /// An address comes, or one of all of them goes.
    fn address(&mut self, how: u8) {
        let address = ip(NEAR[usize::from(how >> 1) % NEAR.len()]);
        if how & 1 == 0 {
            self.stack.add_address(address, 24).expect("three are few");
            self.own.insert(address);
        } else {
            self.stack.remove_address(address);
        }
    }

    // The end.

    async fn end(mut self) {
        self.listeners.clear();
        self.opening.clear();
        self.streams.clear();
        self.sockets.clear();
        self.pings.clear();
        for _ in 0..8 {
            self.fetch(self.bounds.queue);
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(self.stack.sockets(), 0, "something is held for nobody");
        self.fetch(self.bounds.queue);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(self.stack.queued(), 0, "it speaks for nobody");
    }
}

/// An end here and one there: families, ports, and the port there, by the low bits.
fn ends(how: u8) -> (SocketAddr, SocketAddr) {
    let family = usize::from(how & 1);
    let near = SocketAddr::new(ip(NEAR[family]), PORTS[usize::from(how >> 1 & 1)]);
    (near, SocketAddr::new(ip(FAR[family]), 1000 + u16::from(how >> 2 & 3)))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut context())
}

fn of<T>(all: &mut [T], which: u8) -> Option<&mut T> {
    let count = all.len().max(1);
    all.get_mut(usize::from(which) % count)
}

fn taken<T>(all: &mut Vec<T>, which: u8) -> Option<T> {
    (!all.is_empty()).then(|| all.swap_remove(usize::from(which) % all.len()))
}
