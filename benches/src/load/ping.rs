//! ICMP echo: the kernel at the other end answers, so that nothing but the tunnel and two kernels is measured.

use super::join;
use crate::lab::{End, Lab};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, sockopt};
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(2);
/// An answer that takes longer does not come any more.
const PATIENCE: Duration = Duration::from_millis(500);
/// As much as `ping` sends.
const LENGTH: usize = 64;
const IPV4_HEADER: usize = 20;
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;

/// How long packets take there and back.
#[derive(Clone, Copy)]
pub struct Latency {
    /// Half of them take longer.
    pub median: Duration,
    /// One in a hundred takes longer.
    pub slow: Duration,
}

/// Waits until an answer comes through.
pub fn wait(lab: &Lab, time: Duration) -> Result<(), String> {
    let deadline = Instant::now() + time;
    let asking = lab.thread(End::One, move || {
        let socket = socket()?;
        for number in 0.. {
            let asked = Instant::now();
            if there_and_back(&socket, number, Duration::from_millis(50))?.is_some() {
                return Ok(());
            }
            if Instant::now() > deadline {
                break;
            }
            // Where there is no way yet, it is known at once.
            std::thread::sleep(Duration::from_millis(20).saturating_sub(asked.elapsed()));
        }
        Err(io::ErrorKind::TimedOut.into())
    })?;
    join(asking)
}

/// One after the other, each when the last one is back, for so long. One that is lost has taken as long as we
/// are ready to wait.
pub fn latency(lab: &Lab, time: Duration) -> Result<Latency, String> {
    let asking = lab.thread(End::One, move || {
        let socket = socket()?;
        let begin = Instant::now();
        let mut times = Vec::new();
        while begin.elapsed() < time {
            // Numbers of former questions do not come again before their answers are forgotten.
            times.push(there_and_back(&socket, times.len() as u16, PATIENCE)?.unwrap_or(PATIENCE));
            std::thread::sleep(PAUSE);
        }
        times.sort();
        io::Result::Ok(times)
    })?;
    let times = join(asking)?;
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(PATIENCE);
    Ok(Latency { median: at(50), slow: at(99) })
}

fn socket() -> io::Result<OwnedFd> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))?;
    rustix::net::bind(&socket, &SocketAddrV4::new(End::One.inside(), 0))?;
    Ok(socket)
}

fn there_and_back(socket: &OwnedFd, number: u16, patience: Duration) -> io::Result<Option<Duration>> {
    let begin = Instant::now();
    let to = SocketAddrV4::new(End::Other.inside(), 0);
    // What cannot be sent has no answer either.
    let _ = rustix::net::sendto(socket, &question(number), SendFlags::empty(), &to);
    loop {
        let Some(left) = patience.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) else {
            return Ok(None);
        };
        sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(left))?;
        let mut buffer = [0; 256];
        let Ok((length, _)) = rustix::net::recv(socket, &mut buffer, RecvFlags::empty()) else { continue };
        let answer = buffer.get(IPV4_HEADER..length).unwrap_or_default();
        // Answers that were too late for their question are passed over.
        if answer.first() == Some(&ECHO_REPLY) && answer.get(4..8) == Some(&name(number)) {
            return Ok(Some(begin.elapsed()));
        }
    }
}

fn question(number: u16) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = ECHO_REQUEST;
    packet[4..8].copy_from_slice(&name(number));
    let sum = tidegate_esp::checksum::Sum::ZERO.bytes(&packet).finish();
    packet[2..4].copy_from_slice(&sum);
    packet
}

/// Identifier and sequence number.
fn name(number: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = ((std::process::id() as u16).to_be_bytes(), number.to_be_bytes());
    [a, b, c, d]
}
