//! Datagrams that cross the kernel in one piece.

use crate::wire::{anywhere, anywhere_apart, at, batch, departure, receive};
use std::os::fd::AsRawFd;
use tidegate::io::Wire;
use tidegate::io::batch::{Departure, Fragmentation};
use tidegate::io::udp::{Sockets, UdpOffloads};

const PAIRS: [&str; 2] = ["127.0.0.1", "::1"];

/// Datagrams that can be told apart: `count` of a length, and a shorter one behind.
fn numbered(count: u8, length: usize) -> Vec<Vec<u8>> {
    let mut all: Vec<_> = (0..count).map(|number| vec![number; length]).collect();
    all.push(vec![count; length / 2]);
    all
}

/// Sends all in one batch and gives back what arrived, in order.
fn exchange(one: &Sockets, other: &Sockets, way: Departure, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let sent = one.send(&batch(datagrams.iter().map(|bytes| (way, &bytes[..])))).unwrap();
    assert_eq!(sent, datagrams.len());
    let mut received = Vec::new();
    while received.len() < datagrams.len() {
        let came = receive(other);
        assert!(!came.is_empty(), "{} came", received.len());
        received.extend(came);
    }
    assert!(received.iter().all(|(arrival, _)| arrival.remote == way.local && arrival.local == way.remote));
    received.into_iter().map(|(_, bytes)| bytes).collect()
}

#[test]
fn equal_datagrams_cross_in_one_piece_and_arrive_as_they_were() {
    for ip in PAIRS {
        let (one, other) = (anywhere(), anywhere());
        let datagrams = numbered(100, 1404);
        let way = departure(at(ip, &one), at(ip, &other));
        assert_eq!(exchange(&one, &other, way, &datagrams), datagrams);

        // 46 of that length, twice, and what is left.
        assert_eq!((one.counters().sent, one.counters().sent_joined), (101, 101));
        assert_eq!(other.counters().received_joined, 101);
        let all = UdpOffloads { send: true, receive: true };
        assert_eq!((one.offloads(), other.offloads()), (all, all));
    }
}

#[test]
fn either_end_may_do_without() {
    let way = |one: &Sockets, other: &Sockets| departure(at("127.0.0.1", one), at("127.0.0.1", other));
    let datagrams = numbered(40, 1200);
    let (joining, apart) = (anywhere(), anywhere_apart());
    assert_eq!(exchange(&joining, &apart, way(&joining, &apart), &datagrams), datagrams);
    assert_eq!(exchange(&apart, &joining, way(&apart, &joining), &datagrams), datagrams);
    assert_eq!((joining.counters().sent_joined, apart.counters().sent_joined), (41, 0));
    assert_eq!((joining.counters().received_joined, apart.counters().received_joined), (0, 0));
    assert_eq!(apart.offloads(), UdpOffloads::default());
}

#[test]
fn a_kernel_that_refuses_pieces_gets_datagrams_and_is_not_asked_again() {
    let (one, other) = (anywhere(), anywhere());
    // Without sums over each datagram the kernel does not cut.
    one.fds().iter().for_each(|socket| switch_sums_off(socket.as_raw_fd()));
    let datagrams = numbered(40, 1200);
    let way = departure(at("127.0.0.1", &one), at("127.0.0.1", &other));
    assert_eq!(exchange(&one, &other, way, &datagrams), datagrams);
    assert!(!one.offloads().send);
    assert_eq!(exchange(&one, &other, way, &datagrams), datagrams);

    let counters = one.counters();
    assert_eq!((counters.sent, counters.sent_joined, counters.refused), (82, 0, 0));
}

#[test]
fn what_may_be_fragmented_goes_apart() {
    let (one, other) = (anywhere(), anywhere());
    let way = departure(at("127.0.0.1", &one), at("127.0.0.1", &other));
    let way = Departure { fragmentation: Fragmentation::Allowed, ..way };
    let datagrams = numbered(5, 900);
    assert_eq!(exchange(&one, &other, way, &datagrams), datagrams);
    assert_eq!(one.counters().sent_joined, 0);
}

fn switch_sums_off(socket: i32) {
    let on = 1_i32;
    let (level, option, value) = (libc::SOL_SOCKET, libc::SO_NO_CHECK, (&raw const on).cast());
    // SAFETY: the value is an int on this stack.
    assert_eq!(unsafe { libc::setsockopt(socket, level, option, value, 4) }, 0);
}
