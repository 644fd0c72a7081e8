//! Two ends that send to each other.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tidegate::io::Wire;
use tidegate::io::batch::{Arrival, Departure, Fragmentation, ReceiveBatch, SendBatch};
use tidegate::io::udp::{Joining, Listen, Sockets};
use tidegate_esp::Encapsulation;

/// Sockets on any address, with ports of their own.
pub(crate) fn anywhere() -> Sockets {
    Sockets::bind(&Listen { ike_port: 0, nat_port: 0, ..Listen::default() }).unwrap()
}

/// The same, with each datagram on its own.
pub(crate) fn anywhere_apart() -> Sockets {
    let listen = Listen { ike_port: 0, nat_port: 0, joining: Joining::Off, ..Listen::default() };
    Sockets::bind(&listen).unwrap()
}

/// The shared port of some sockets, at an address.
pub(crate) fn at(ip: &str, sockets: &Sockets) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), sockets.local_ports().1)
}

pub(crate) fn departure(local: SocketAddr, remote: SocketAddr) -> Departure {
    Departure {
        local,
        remote,
        encapsulation: Encapsulation::Udp,
        traffic_class: 0,
        fragmentation: Fragmentation::Forbidden,
    }
}

pub(crate) fn batch<'a>(frames: impl IntoIterator<Item = (Departure, &'a [u8])>) -> SendBatch {
    let mut batch = SendBatch::new();
    for (departure, bytes) in frames {
        batch.room(bytes.len()).unwrap().copy_from_slice(bytes);
        batch.commit(bytes.len(), departure);
    }
    batch
}

pub(crate) fn send(sockets: &Sockets, departure: Departure, bytes: &[u8]) -> usize {
    sockets.send(&batch([(departure, bytes)])).unwrap()
}

/// Whatever has come by the time that something is there; nothing after two seconds.
pub(crate) fn receive(sockets: &Sockets) -> Vec<(Arrival, Vec<u8>)> {
    let fds = sockets.fds();
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut all = Vec::new();
    // A socket may be woken for something that is not for it in the end.
    while all.is_empty() && Instant::now() < deadline {
        let mut polled: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        poll(&mut polled, Some(&Timespec { tv_sec: 2, tv_nsec: 0 })).unwrap();
        for socket in 0..fds.len() {
            all.extend(receive_on(sockets, socket));
        }
    }
    all
}

fn receive_on(sockets: &Sockets, socket: usize) -> Vec<(Arrival, Vec<u8>)> {
    let mut batch = ReceiveBatch::new();
    let Ok(count) = sockets.receive(socket, &mut batch) else { return Vec::new() };
    assert_eq!(batch.frames().len(), count);
    let mut received = |index| {
        let received = batch.received(index).unwrap();
        (received.arrival, received.bytes.to_vec())
    };
    (0..count).map(&mut received).collect()
}

/// What the network has told any of the sockets.
pub(crate) fn path_mtus(sockets: &Sockets) -> Vec<(std::net::IpAddr, usize)> {
    let mut told = Vec::new();
    for socket in 0..sockets.fds().len() {
        sockets.path_mtu_errors(socket, &mut |peer, mtu| told.push((peer, mtu)));
    }
    told
}
