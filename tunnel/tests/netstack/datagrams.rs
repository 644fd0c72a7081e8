//! UDP and ping.

use crate::wire::{LEFT, LEFT_V6, Pair, RIGHT, RIGHT_V6, at, ip, settings};
use std::io::ErrorKind;
use std::time::Duration;
use tidegate::io::netstack::Netstack;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_keep_their_ends_and_their_origin() {
    let pair = Pair::new();
    let server = pair.right.bind_udp(at("::", 53)).expect("a socket");
    let client = pair.left.bind_udp(at("0.0.0.0", 0)).expect("a socket");
    for (there, here) in [(RIGHT, LEFT), (RIGHT_V6, LEFT_V6)] {
        client.send_to(b"one", at(there, 53)).await.expect("sent");
        client.send_to(b"", at(there, 53)).await.expect("sent");
        let mut buffer = [0; 100];
        let (length, from) = server.recv_from(&mut buffer).await.expect("received");
        assert_eq!((&buffer[..length], from), (&b"one"[..], at(here, client.local_addr().port())));
        assert_eq!(server.recv_from(&mut buffer).await.expect("received").0, 0);
        server.send_to(b"back", from).await.expect("sent");
        let (length, from) = client.recv_from(&mut buffer).await.expect("received");
        assert_eq!((&buffer[..length], from), (&b"back"[..], at(there, 53)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_that_make_no_sense_are_refused_at_once() {
    let pair = Pair::new();
    let socket = pair.left.bind_udp(at(LEFT, 0)).expect("a socket");
    let senseless = [(1373, at(RIGHT, 53)), (1, at(RIGHT_V6, 53)), (1, at("0.0.0.0", 53)), (1, at(RIGHT, 0))];
    for (length, remote) in senseless {
        let error = socket.send_to(&vec![0; length], remote).await.expect_err("it cannot be sent");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{length} to {remote}");
    }
    socket.send_to(&[0; 1372], at(RIGHT, 53)).await.expect("just short enough");
    let again = pair.left.bind_udp(at("::", socket.local_addr().port())).expect_err("the port is taken");
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
    let elsewhere = pair.left.bind_udp(at("10.9.9.9", 53)).expect_err("not our address");
    assert_eq!(elsewhere.kind(), ErrorKind::AddrNotAvailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ping_is_answered_in_both_families() {
    let pair = Pair::new();
    for (address, length) in [(RIGHT, 0), (RIGHT, 1372), (RIGHT_V6, 56), (RIGHT_V6, 1352)] {
        let took = pair.left.ping(ip(address), length, Duration::from_secs(5)).await.expect("an answer");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    let ping = |length| {
        let stack = pair.left.clone();
        tokio::spawn(async move { stack.ping(ip(RIGHT), length, Duration::from_secs(5)).await })
    };
    for ping in (0..20).map(ping).collect::<Vec<_>>() {
        ping.await.expect("a task").expect("an answer");
    }
    let error =
        pair.left.ping(ip("10.2.0.9"), 8, Duration::from_millis(100)).await.expect_err("nobody there");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let error = pair.left.ping(ip(RIGHT), 1373, Duration::from_secs(1)).await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(pair.left.sockets(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assigned_addresses_come_and_go() {
    let pair = Pair::new();
    let (virtual_ip, patience) = (ip("10.9.0.7"), Duration::from_secs(5));
    pair.right.add_address(virtual_ip, 32).expect("room for it");
    pair.left.ping(virtual_ip, 8, patience).await.expect("an answer");
    assert!(pair.right.addresses().contains(&(virtual_ip, 32)));
    assert!(pair.right.remove_address(virtual_ip));
    assert!(!pair.right.remove_address(virtual_ip));
    let error = pair.left.ping(virtual_ip, 8, Duration::from_millis(100)).await.expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    for (address, prefix) in [("0.0.0.0", 0), ("224.0.0.1", 4), ("255.255.255.255", 32), ("10.0.0.1", 33)] {
        let error = pair.right.add_address(ip(address), prefix).expect_err("not an address to have");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}/{prefix}");
    }
    for host in 1..=6 {
        pair.right.add_address(ip(&format!("10.8.0.{host}")), 32).expect("eight fit");
    }
    let ninth = pair.right.add_address(ip("10.8.0.7"), 32).expect_err("no ninth");
    assert_eq!(ninth.kind(), ErrorKind::QuotaExceeded);
}

#[tokio::test]
async fn without_an_address_of_the_family_nothing_is_tried() {
    let mut only_v4 = settings(LEFT, LEFT_V6);
    only_v4.addresses.truncate(1);
    let (stack, _device) = Netstack::new(only_v4).expect("a stack");
    let error = stack.connect(at(RIGHT_V6, 80)).await.expect_err("no address to speak from");
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    let ping = stack.ping(ip(RIGHT_V6), 8, Duration::from_secs(1)).await;
    assert_eq!(ping.expect_err("no address to speak from").kind(), ErrorKind::AddrNotAvailable);
}
