//! What goes through a tunnel, from the one end to the other.

use crate::lab::{End, Lab};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const ONE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);
const PORT: u16 = 7000;
/// What a stream is written by.
const CHUNK: usize = 1 << 17;
/// Between one small packet and the next.
const PAUSE: Duration = Duration::from_millis(2);

/// What TCP has carried.
pub(crate) struct Carried {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

/// How long small packets take there and back.
pub(crate) struct Latency {
    pub(crate) median: Duration,
    /// One in a hundred takes longer.
    pub(crate) slow: Duration,
}

/// Sends as much as goes through, in so many streams and for so long.
pub(crate) fn tcp(lab: &Lab, streams: usize, time: Duration) -> Result<Carried, String> {
    let receiver = lab.thread(End::Other, move || receive(streams))?;
    let begin = Instant::now();
    let senders = (0..streams).map(|_| lab.thread(End::One, move || send(begin + time)));
    let senders = senders.collect::<Result<Vec<_>, _>>()?;
    for sender in senders {
        join(sender)?;
    }
    let bytes = join(receiver)?;
    Ok(Carried { bytes, time: begin.elapsed() })
}

fn receive(streams: usize) -> io::Result<u64> {
    let listener = TcpListener::bind((OTHER, PORT))?;
    let mut readers = Vec::new();
    for _ in 0..streams {
        let (mut stream, _) = listener.accept()?;
        readers.push(std::thread::spawn(move || drain(&mut stream)));
    }
    let mut bytes = 0;
    for reader in readers {
        bytes += reader.join().unwrap_or(Err(ErrorKind::Other.into()))?;
    }
    Ok(bytes)
}

fn drain(stream: &mut TcpStream) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(bytes),
            length => bytes += length as u64,
        }
    }
}

fn send(until: Instant) -> io::Result<()> {
    let mut stream = loop {
        match TcpStream::connect((OTHER, PORT)) {
            // The receiver is not there yet.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            connected => break connected?,
        }
    };
    let chunk = vec![0x5a; CHUNK];
    while Instant::now() < until {
        stream.write_all(&chunk)?;
    }
    Ok(())
}

/// Somebody at the other end who sends everything back.
pub(crate) struct Echo<'a> {
    lab: &'a Lab,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl<'a> Echo<'a> {
    pub(crate) fn start(lab: &'a Lab) -> Result<Self, String> {
        let done = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&done);
        let thread = lab.thread(End::Other, move || {
            let socket = UdpSocket::bind((OTHER, PORT))?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            let mut buffer = [0; 64];
            while !over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    // A tunnel that has gone down meanwhile is seen by who waits for this.
                    let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from);
                }
            }
            Ok(())
        })?;
        Ok(Self { lab, done, thread: Some(thread) })
    }

    /// Waits until an answer comes through.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), String> {
        let deadline = Instant::now() + time;
        let asking = self.lab.thread(End::One, move || {
            let socket = UdpSocket::bind((ONE, 0))?;
            while Instant::now() < deadline {
                if there_and_back(&socket, 0, Duration::from_millis(50)).is_ok() {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(ErrorKind::TimedOut.into())
        })?;
        join(asking)
    }

    /// One small packet after the other, each when the last one is back.
    pub(crate) fn latency(&self, count: usize) -> Result<Latency, String> {
        let asking = self.lab.thread(End::One, move || {
            let socket = UdpSocket::bind((ONE, 0))?;
            let mut times = Vec::with_capacity(count);
            for number in 0..count {
                times.push(there_and_back(&socket, number as u64, Duration::from_secs(1))?);
                std::thread::sleep(PAUSE);
            }
            times.sort();
            Ok(times)
        })?;
        let times = join(asking)?;
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        Ok(Latency { median: at(50), slow: at(99) })
    }
}

impl Drop for Echo<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn there_and_back(socket: &UdpSocket, number: u64, patience: Duration) -> io::Result<Duration> {
    socket.set_read_timeout(Some(patience))?;
    let begin = Instant::now();
    socket.send_to(&number.to_ne_bytes(), (OTHER, PORT))?;
    let mut answer = [0; 8];
    loop {
        socket.recv(&mut answer)?;
        // An answer that was too late for its question is passed over.
        if answer == number.to_ne_bytes() {
            return Ok(begin.elapsed());
        }
    }
}

fn join<T>(thread: JoinHandle<io::Result<T>>) -> Result<T, String> {
    match thread.join() {
        Ok(done) => done.map_err(|error| format!("nothing goes through: {error}")),
        Err(_) => Err("a thread of the load has panicked".into()),
    }
}
