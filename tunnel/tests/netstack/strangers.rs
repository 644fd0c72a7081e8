//! What the far side says that keeps no rule.

use crate::packets::{ACK, FIN, Packet, SYN, Transport};
use crate::wire::{LEFT, LEFT_V6, RIGHT, RIGHT_V6, at, ip, settings};
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::task::Poll;
use std::time::Duration;
use tidegate::io::Device;
use tidegate::io::netstack::{Netstack, NetstackDevice};
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn what_is_for_another_address_gets_no_answer() {
    let (stack, device) = Netstack::new(settings(LEFT, LEFT_V6)).expect("a stack");
    say(&device, &unknown_option(ip("fd00:1::99")));
    assert_eq!((stack.queued(), stack.counters().refused), (0, 1));
    // It is one that is answered where it is right.
    say(&device, &unknown_option(ip(LEFT_V6)));
    assert_eq!((stack.queued(), stack.counters().refused), (1, 1));
}

#[tokio::test]
async fn what_waited_for_room_is_not_sent_once_its_address_is_gone() {
    let mut only_v6 = settings(LEFT, LEFT_V6);
    only_v6.addresses.remove(0);
    only_v6.queue = 1;
    let (stack, device) = Netstack::new(only_v6).expect("a stack");
    let ping = || stack.ping(ip(RIGHT_V6), 8, Duration::from_secs(1));
    let (mut first, mut second) = (Box::pin(ping()), Box::pin(ping()));
    poll_fn(|context| {
        assert!(first.as_mut().poll(context).is_pending() && second.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    assert!(stack.remove_address(ip(LEFT_V6)));
    assert_eq!(hear(&device)[8..24], v6(LEFT_V6).octets(), "it was on its way");
    assert_eq!(stack.queued(), 0);
}

#[tokio::test]
async fn a_peer_may_open_at_once_with_us_even_before_our_own_has_left() {
    let mut narrow = settings(LEFT, LEFT_V6);
    narrow.queue = 1;
    let (stack, device) = Netstack::new(narrow).expect("a stack");
    let (near, far) = (at(LEFT, 5000), at(RIGHT, 80));
    let mut ping = Box::pin(stack.ping(ip(RIGHT), 8, Duration::from_secs(1)));
    let mut opening = Box::pin(stack.connect_from(near, far));
    poll_fn(|context| {
        assert!(ping.as_mut().poll(context).is_pending() && opening.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    say(&device, &segment(far, near, 99, 0, SYN, b""));
    assert_eq!(hear(&device)[9], 1, "the ping has the only room");
    let theirs = number(&hear(&device)) + 1;
    // Once more, now that both are on their way.
    say(&device, &segment(far, near, 99, 0, SYN, b""));
    assert_eq!(hear(&device)[33], SYN | ACK);
    say(&device, &segment(far, near, 100, theirs, ACK, b""));
    opening.await.expect("a connection");
}

#[tokio::test]
async fn the_end_of_a_stream_is_final() {
    let (stack, device) = Netstack::new(settings(LEFT, LEFT_V6)).expect("a stack");
    let listener = stack.listen(at(LEFT, 80), 1).expect("a listener");
    let say = |sequence, acknowledgement, flags, payload: &[u8]| {
        let segment = segment(at(RIGHT, 4000), at(LEFT, 80), sequence, acknowledgement, flags, payload);
        say(&device, &segment);
    };
    say(99, 0, SYN, b"");
    let theirs = number(&hear(&device)) + 1;
    say(100, theirs, ACK, b"");
    let (mut stream, _) = listener.accept().await.expect("a connection");
    say(100, theirs, ACK | FIN, b"all");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("read to the end");
    assert_eq!(bytes, b"all");
    say(104, theirs, ACK, b"and more");
    assert_eq!(stream.read(&mut [0; 100]).await.expect("still the end"), 0);
}

fn segment(
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let packet = Packet {
        source: from.ip(),
        destination: to.ip(),
        source_port: from.port(),
        destination_port: to.port(),
        transport: Transport::Tcp { sequence, acknowledgement, flags, window: 9000, options: Vec::new() },
        ..Packet::tcp_v4(0, payload)
    };
    packet.bytes()
}

/// The sequence number of a segment in IPv4.
fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[24..28].try_into().expect("four"))
}

/// A packet with an option that whoever it is for has to refuse aloud (RFC 8200 §4.2).
fn unknown_option(destination: IpAddr) -> Vec<u8> {
    let IpAddr::V6(destination) = destination else { panic!("IPv6 only") };
    let (length, hop_by_hop, nothing) = (8, 0, 59);
    let header = [0x60, 0, 0, 0, 0, length, hop_by_hop, 64];
    let option = [nothing, 0, 0x9e, 4, 0, 0, 0, 0];
    [&header, &v6(RIGHT_V6).octets()[..], &destination.octets(), &option].concat()
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().expect("an IPv6 address")
}

fn say(device: &NetstackDevice, packet: &[u8]) {
    device.write(&Default::default(), &[IoSlice::new(packet)]).expect("taken");
}

fn hear(device: &NetstackDevice) -> Vec<u8> {
    let mut packet = vec![0; 2000];
    let (_, length) = device.read(&mut packet).unwrap_or_else(|error| {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        panic!("nothing was said")
    });
    packet.truncate(length);
    packet
}
