//! Streams.

use super::{Pace, join};
use crate::lab::{End, Lab};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const PORT: u16 = 7000;
/// What a stream is written by.
const CHUNK: usize = 1 << 17;

/// Which way, in how many streams, for how long, and how fast.
#[derive(Clone, Copy)]
pub struct Flow {
    /// Who sends.
    pub from: End,
    /// At the same time.
    pub streams: usize,
    /// How long.
    pub time: Duration,
    /// In bits a second; as fast as it goes, if none.
    pub rate: Option<f64>,
}

/// What went through.
#[derive(Clone, Copy)]
pub struct Carried {
    bytes: u64,
    time: Duration,
}

impl Carried {
    /// In all.
    pub fn gigabits(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e9
    }

    /// On average.
    pub fn gigabits_per_second(&self) -> f64 {
        self.gigabits() / self.time.as_secs_f64()
    }
}

/// Sends as is asked, and waits until all has come.
pub fn carry(lab: &Lab, flow: Flow) -> Result<Carried, String> {
    // Who sends finds somebody there: else it would wait a second before it tries again.
    let at = (flow.from.opposite().inside(), PORT);
    let listener = join(lab.thread(flow.from.opposite(), move || TcpListener::bind(at))?)?;
    let receiver = std::thread::spawn(move || receive(&listener, flow.streams));
    let begin = Instant::now();
    let senders = (0..flow.streams).map(|_| lab.thread(flow.from, move || send(flow, at.into(), begin)));
    let senders = senders.collect::<Result<Vec<_>, _>>()?;
    for sender in senders {
        join(sender)?;
    }
    let bytes = join(receiver)?;
    Ok(Carried { bytes, time: begin.elapsed() })
}

/// How many segments an end has sent again since its namespace was made.
pub fn sent_again(lab: &Lab, end: End) -> Result<u64, String> {
    join(lab.thread(end, || {
        let text = std::fs::read_to_string("/proc/thread-self/net/snmp")?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp:"));
        let (names, values) = lines.next().zip(lines.next()).ok_or(ErrorKind::InvalidData)?;
        let mut pairs = names.split_whitespace().zip(values.split_whitespace());
        let (_, value) = pairs.find(|(name, _)| *name == "RetransSegs").ok_or(ErrorKind::InvalidData)?;
        value.parse().map_err(io::Error::other)
    })?)
}

fn receive(listener: &TcpListener, streams: usize) -> io::Result<u64> {
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

fn send(flow: Flow, to: std::net::SocketAddr, begin: Instant) -> io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    let chunk = vec![0x5a; CHUNK];
    let rate = flow.rate.map(|rate| rate / 8.0 / CHUNK as f64 / flow.streams as f64);
    let mut pace = rate.map(Pace::new);
    while begin.elapsed() < flow.time {
        if let Some(pace) = &mut pace {
            // What could not be written in time is made up for.
            for _ in 0..pace.due() {
                stream.write_all(&chunk)?;
            }
        } else {
            stream.write_all(&chunk)?;
        }
    }
    Ok(())
}
