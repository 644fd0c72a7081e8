//! What a stack keeps, and for how long.

use crate::wire::{Faults, LEFT, LEFT_V6, Pair, RIGHT, RIGHT_V6, at, ip, settings};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{ErrorKind, IoSlice};
use std::time::Duration;
use tidegate::io::Device;
use tidegate::io::netstack::{Netstack, NetstackDevice, TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_handles_leave_nothing_behind() {
    let pair = Pair::new();
    let listener = pair.right.listen(at("0.0.0.0", 80), 8).expect("a listener");
    let (mut closed, _) = connect(&pair, &listener).await;
    let (unread, mut writer) = connect(&pair, &listener).await;
    let stack = pair.left.clone();
    let abandoned = tokio::spawn(async move { stack.connect(at("10.2.0.9", 80)).await.map(drop) });
    let udp = pair.left.bind_udp(at("0.0.0.0", 0)).expect("a socket");
    writer.write_all(b"never read").await.expect("written");
    closed.shutdown().await.expect("shut down");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(pair.left.sockets() >= 4);
    abandoned.abort();
    drop((closed, unread, writer, udp, listener));
    // TIME-WAIT is the longest of what follows.
    assert!(pair.settles_at(0, 0).await, "{} and {} sockets", pair.left.sockets(), pair.right.sockets());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_stream_still_delivers_what_was_written() {
    let pair = Pair::new();
    let listener = pair.right.listen(at("0.0.0.0", 80), 8).expect("a listener");
    let (mut left, mut right) = connect(&pair, &listener).await;
    left.write_all(&[9; 60_000]).await.expect("written");
    drop(left);
    let mut bytes = Vec::new();
    right.read_to_end(&mut bytes).await.expect("read to the end");
    assert_eq!(bytes, [9; 60_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_listener_resets_those_who_waited() {
    let pair = Pair::new();
    let listener = pair.right.listen(at("0.0.0.0", 80), 8).expect("a listener");
    let mut left = pair.left.connect(at(RIGHT, 80)).await.expect("a connection, accepted or not");
    drop(listener);
    assert_eq!(left.read(&mut [0]).await.expect_err("it was reset").kind(), ErrorKind::ConnectionReset);
    let error = pair.left.connect(at(RIGHT, 80)).await.expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_stay_and_dead_ones_end() {
    let mut pair = Pair::with(Faults::default(), |settings| settings.silence = Some(Duration::from_secs(1)));
    let listener = pair.right.listen(at("0.0.0.0", 80), 8).expect("a listener");
    let (mut left, mut right) = connect(&pair, &listener).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    left.write_all(b"!").await.expect("idle, not dead");
    assert_eq!(right.read_u8().await.expect("it came"), b'!');
    pair.cut();
    let patience = Duration::from_secs(5);
    let read = tokio::time::timeout(patience, right.read(&mut [0])).await.expect("it is noticed");
    assert_eq!(read.expect_err("the peer is gone").kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_holds_what_it_may_and_answers_beyond_are_counted() {
    let (stack, device) = small();
    let request = echo_request();
    for _ in 0..50 {
        device.write(&Default::default(), &[IoSlice::new(&request)]).expect("taken");
    }
    assert_eq!(stack.queued(), 16);
    assert_eq!((stack.counters().received, stack.counters().dropped), (50, 34));
    for _ in 0..16 {
        assert!(readable(&device));
        device.read(&mut [0; 2000]).expect("a packet");
    }
    assert!(!readable(&device));
    let empty = device.read(&mut [0; 2000]).expect_err("it is empty");
    assert_eq!(empty.kind(), ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_wait_for_room_in_the_queue_and_lose_nothing() {
    let (stack, device) = small();
    let socket = stack.bind_udp(at("0.0.0.0", 0)).expect("a socket");
    for number in 0..60_u8 {
        socket.send_to(&[number], at(RIGHT, 53)).await.expect("buffered");
    }
    assert_eq!((stack.queued(), stack.counters().dropped), (16, 0));
    for number in 0..60_u8 {
        let mut buffer = [0; 2000];
        let (_, length) = device.read(&mut buffer).expect("a packet");
        assert_eq!(buffer[length - 1], number);
    }
    assert_eq!(stack.queued(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_no_more_sockets_than_may_be() {
    let pair = Pair::with(Faults::default(), |settings| settings.sockets = 3);
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(pair.left.bind_udp(at("0.0.0.0", 0)).expect("a socket"));
    }
    let error = pair.left.connect(at(RIGHT, 80)).await.expect_err("no room");
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    sockets.pop();
    let error = pair.left.connect(at(RIGHT, 80)).await.expect_err("room, but nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_from_the_tunnel_is_refused() {
    let (stack, device) = small();
    let whole = echo_request();
    for length in 0..whole.len() {
        device.write(&Default::default(), &[IoSlice::new(&whole[..length])]).expect("taken");
    }
    let mut fragment = whole.clone();
    fragment[6] = 0x20;
    device.write(&Default::default(), &[IoSlice::new(&fragment)]).expect("taken");
    assert_eq!(stack.counters().refused, whole.len() as u64 + 1);
    assert_eq!(stack.queued(), 0);
}

#[tokio::test]
async fn a_stack_ends_with_its_last_handle() {
    let (stack, device) = small();
    let socket = stack.bind_udp(at("0.0.0.0", 0)).expect("a socket");
    let tasks = tokio::runtime::Handle::current().metrics();
    drop((stack, device));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(tasks.num_alive_tasks(), 1, "its timer runs for the socket");
    drop(socket);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(tasks.num_alive_tasks(), 0, "its timer still runs");
}

#[test]
fn a_stack_needs_a_runtime_and_sound_settings() {
    assert!(Netstack::new(settings(LEFT, LEFT_V6)).is_err());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _inside = runtime.enter();
    for (mtu, tcp_buffer, expected) in [(1280, 4096, true), (1279, 4096, false), (1400, 0, false)] {
        let mut settings = settings(LEFT, LEFT_V6);
        (settings.mtu, settings.tcp_buffer) = (mtu, tcp_buffer);
        assert_eq!(Netstack::new(settings).is_ok(), expected, "{mtu} {tcp_buffer}");
    }
}

fn small() -> (Netstack, NetstackDevice) {
    let mut settings = settings(LEFT, LEFT_V6);
    settings.queue = 16;
    Netstack::new(settings).expect("a stack")
}

async fn connect(pair: &Pair, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let left = pair.left.connect(at(RIGHT, 80)).await.expect("a connection");
    (left, listener.accept().await.expect("a connection").0)
}

fn readable(device: &NetstackDevice) -> bool {
    let fd = device.as_fd();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("a descriptor that can be polled") == 1
}

/// From the right to the left, made by a stack on a runtime of its own.
fn echo_request() -> Vec<u8> {
    let make = async {
        let (stack, device) = Netstack::new(settings(RIGHT, RIGHT_V6)).expect("a stack");
        let unanswered = stack.ping(ip(LEFT), 8, Duration::from_millis(5)).await;
        assert!(unanswered.is_err());
        let mut packet = vec![0; 2000];
        let (_, length) = device.read(&mut packet).expect("the request");
        packet.truncate(length);
        packet
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    std::thread::spawn(move || runtime.block_on(make)).join().expect("a request")
}
