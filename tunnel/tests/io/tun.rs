use crate::namespace::Namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{ErrorKind, IoSlice};
use std::net::UdpSocket;
use tidegate::io::Device;
use tidegate::io::tun::{Tun, TunError};
use tidegate_esp::virtio::VirtioHeader;

/// The next packet within two seconds.
fn next(tun: &Tun) -> Vec<u8> {
    let mut buffer = vec![0; 2000];
    let fd = tun.as_fd();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&Timespec { tv_sec: 2, tv_nsec: 0 })).unwrap();
    let (_, length) = tun.read(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn packets_go_both_ways_through_an_interface() {
    let Some(namespace) = Namespace::new() else { return };
    let tun = namespace.run(|| Tun::create("tide%d", 1380)).unwrap();
    assert_eq!(tun.interface(), Some("tide0"));
    assert_eq!(tun.mtu(), 1380);
    let quiet = tun.read(&mut [0; 2000]).unwrap_err();
    assert_eq!(quiet.kind(), ErrorKind::WouldBlock, "nothing speaks by itself");
    namespace.ip("address add 10.9.0.1/24 dev tide0");
    let socket = namespace.run(|| UdpSocket::bind("10.9.0.1:7000")).unwrap();

    socket.send_to(b"ping", "10.9.0.2:7000").unwrap();
    let mut packet = next(&tun);
    assert_eq!(packet[28..], *b"ping");

    // The answer has the addresses the other way round, which no checksum minds.
    let (source, target) = packet[12..20].split_at_mut(4);
    source.swap_with_slice(target);
    let (header, payload) = packet.split_at(20);
    tun.write(&VirtioHeader::default(), &[IoSlice::new(header), IoSlice::new(payload)]).unwrap();
    let mut buffer = [0; 100];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from.to_string().as_str()), (&b"ping"[..], "10.9.0.2:7000"));
}

#[test]
fn an_interface_goes_with_its_device() {
    let Some(namespace) = Namespace::new() else { return };
    let tun = namespace.run(|| Tun::create("tide0", 1400)).unwrap();
    let taken = namespace.run(|| Tun::create("tide0", 1400)).unwrap_err();
    assert!(matches!(taken, TunError::InUse { .. }), "{taken}");
    drop(tun);
    namespace.run(|| Tun::create("tide0", 1400)).unwrap();
}

#[test]
fn what_is_in_the_way_is_named() {
    let Some(namespace) = Namespace::new() else { return };
    let refused = |name: &str, mtu| namespace.run(|| Tun::create(name, mtu)).unwrap_err();
    assert!(matches!(refused("", 1400), TunError::Name(_)));
    assert!(matches!(refused("a-name-that-is-too-long", 1400), TunError::Name(_)));
    assert!(matches!(refused("lo", 1400), TunError::InUse { .. }));
    assert!(matches!(refused("tide0", 17), TunError::Link { mtu: 17, .. }));
}
