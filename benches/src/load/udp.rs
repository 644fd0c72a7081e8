//! Numbered datagrams.

use super::{Pace, join};
use crate::lab::{End, Lab};
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PORT: u16 = 7001;
/// Nothing has come for so long: there is nothing on its way any more.
const QUIET: Duration = Duration::from_millis(60);
/// However much is on its way, nobody waits longer for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// So large that it is not what is emptied too late that loses something.
const RECEIVE_BUFFER: usize = 64 << 20;
/// What a search begins with, in datagrams a second.
const FIRST_RATE: f64 = 8_000.0;
/// A sender that stays this far behind does not give what is asked for.
const BEHIND: f64 = 0.9;

/// What is sent.
#[derive(Clone, Copy)]
pub struct Burst {
    /// Bytes of each datagram.
    pub size: usize,
    /// How long.
    pub time: Duration,
    /// Datagrams a second; as fast as they go, if none.
    pub rate: Option<f64>,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// By the sender.
    pub sent: u64,
    /// In the end.
    pub received: u64,
    /// While it was still being sent.
    received_in_time: u64,
    time: Duration,
}

impl Outcome {
    /// Those that never came.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Datagrams a second that came as long as they were sent.
    pub fn delivered_rate(&self) -> f64 {
        self.received_in_time as f64 / self.time.as_secs_f64()
    }

    fn sent_rate(&self) -> f64 {
        self.sent as f64 / self.time.as_secs_f64()
    }
}

/// Sends as is asked, and waits until all has come that will.
pub fn carry(lab: &Lab, burst: Burst) -> Result<Outcome, String> {
    static BURSTS: AtomicU64 = AtomicU64::new(0);
    let mark = BURSTS.fetch_add(1, Ordering::Relaxed);
    let to = (End::Other.inside(), PORT);
    let socket = join(lab.thread(End::Other, move || receiver(to.into()))?)?;
    let over = Arc::new(AtomicBool::new(false));
    let hear = Arc::clone(&over);
    let receiver = std::thread::spawn(move || io::Result::Ok(receive(&socket, mark, &hear)));
    let sending = lab.thread(End::One, move || send(burst, mark, to.into()))?;
    let sent = join(sending);
    over.store(true, Ordering::Release);
    let (received, received_in_time) = join(receiver)?;
    let (sent, time) = sent?;
    Ok(Outcome { sent, received, received_in_time, time })
}

/// The highest rate at which all comes that is sent, in datagrams a second: doubled until something is lost,
/// then halved in so many steps. A rate has two tries: on a machine with few cores, a thread that waits for
/// one loses packets at any rate now and then.
pub fn lossless_rate(lab: &Lab, size: usize, time: Duration, steps: u32) -> Result<f64, String> {
    let mut good = 0.0_f64;
    let mut bad = None;
    let mut step = 0;
    while step < steps {
        let rate = match bad {
            Some(bad) => f64::midpoint(good, bad),
            None if good == 0.0 => FIRST_RATE,
            None => good * 2.0,
        };
        step += u32::from(bad.is_some());
        match without_loss(lab, Burst { size, time, rate: Some(rate) })? {
            // The sender does not go any faster.
            Some(sent) if sent < rate * BEHIND => return Ok(sent.max(good)),
            Some(_) => good = rate,
            None => bad = Some(rate),
        }
    }
    Ok(good)
}

/// The rate that was sent at, if nothing was lost.
fn without_loss(lab: &Lab, burst: Burst) -> Result<Option<f64>, String> {
    for _ in 0..2 {
        let outcome = carry(lab, burst)?;
        if outcome.lost() == 0 && outcome.sent > 0 {
            return Ok(Some(outcome.sent_rate()));
        }
    }
    Ok(None)
}

fn receiver(at: std::net::SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(at)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)?;
    socket.set_read_timeout(Some(QUIET))?;
    Ok(socket)
}

/// How many have come, and how many of them before all were sent.
fn receive(socket: &UdpSocket, mark: u64, over: &AtomicBool) -> (u64, u64) {
    let mut buffer = [0; 2048];
    let (mut received, mut in_time) = (0, 0);
    let mut deadline = None;
    loop {
        let length = socket.recv(&mut buffer);
        let is_over = over.load(Ordering::Acquire);
        match length {
            Ok(length) if buffer[..length].starts_with(&mark.to_ne_bytes()) => {
                received += 1;
                in_time += u64::from(!is_over);
            }
            Ok(_) => {}
            Err(_) if is_over => return (received, in_time),
            Err(_) => {}
        }
        if is_over && Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + PATIENCE) {
            return (received, in_time);
        }
    }
}

/// How many were sent, and how long that took.
fn send(burst: Burst, mark: u64, to: std::net::SocketAddr) -> io::Result<(u64, Duration)> {
    let socket = UdpSocket::bind((End::One.inside(), 0))?;
    socket.connect(to)?;
    let mut datagram = vec![0; burst.size];
    datagram[..8].copy_from_slice(&mark.to_ne_bytes());
    let mut sent = 0_u64;
    let begin = Instant::now();
    let mut pace = burst.rate.map(Pace::new);
    while begin.elapsed() < burst.time {
        for _ in 0..pace.as_mut().map_or(1, Pace::due) {
            datagram[8..16].copy_from_slice(&sent.to_ne_bytes());
            // What finds no room is lost, as it is on its way.
            let _ = socket.send(&datagram);
            sent += 1;
        }
    }
    Ok((sent, begin.elapsed()))
}
