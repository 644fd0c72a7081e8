use crate::namespace::Namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tidegate::io::Device;
use tidegate::io::offload_tun::OffloadTun;
use tidegate::io::tun::{Tun, TunError};
use tidegate_esp::Inner;
use tidegate_esp::segment::{Joined, Joiner, Offloads, Split};
use tidegate_esp::virtio::{SegmentKind, Segmentation, VirtioHeader};

const MTU: usize = 1400;

/// The next packet within two seconds.
fn next(tun: &dyn Device) -> Option<(VirtioHeader, Vec<u8>)> {
    let mut buffer = vec![0; 1 << 16];
    let fd = tun.as_fd();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&Timespec { tv_sec: 2, tv_nsec: 0 })).unwrap();
    let (virtio, length) = tun.read(&mut buffer).ok()?;
    buffer.truncate(length);
    Some((virtio, buffer))
}

/// Two namespaces with a device each, `10.9.0.1` and `fd09::1` in the one, `.2` and `::2` in the other.
fn pair<T: Device>(create: fn(&str, usize) -> Result<T, TunError>) -> Option<[(Namespace, T); 2]> {
    let end = |number: u8| {
        let namespace = Namespace::new()?;
        let tun = namespace.run(|| create("tide0", MTU).ok()).unwrap();
        namespace.ip(&format!("address add 10.9.0.{number}/24 dev tide0"));
        namespace.ip(&format!("address add fd09::{number}/64 dev tide0 nodad"));
        Some((namespace, tun))
    };
    Some([end(1)?, end(2)?])
}

/// Cuts what comes out of one device as for the wire, and joins it for the other.
fn carry(from: &dyn Device, to: &dyn Device, longest: &mut usize) {
    let mut buffer = vec![0; 1 << 16];
    let Ok((virtio, length)) = from.read(&mut buffer) else { return };
    *longest = length.max(*longest);
    let inner = Inner::parse(&buffer[..length]).unwrap();
    let mut split = Split::new(&virtio, &inner, &buffer[..length], MTU).unwrap();
    let (mut wire, mut ranges) = (Vec::new(), Vec::new());
    while let Some(length) = split.next_length() {
        let start = wire.len();
        wire.resize(start + length, 0);
        split.write_next(&mut wire[start..]).unwrap();
        ranges.push(start);
    }
    let mut joiner = Joiner::new(to.offloads());
    let mut write = |joined: Joined<'_>| {
        let header = (!joined.header.is_empty()).then_some(joined.header);
        let parts: Vec<_> = header.into_iter().chain(joined.slices()).map(IoSlice::new).collect();
        // What finds no room is sent again by TCP.
        let _ = to.write(&joined.virtio, &parts);
    };
    for start in ranges {
        let inner = Inner::parse(&wire[start..]).unwrap();
        joiner.push(&wire, start, &inner, &mut write);
    }
    joiner.finish(&wire, &mut write);
}

/// Sends a megabyte by TCP through both devices; says how long the longest packet was that came out of one.
fn transfer(ends: &[(Namespace, impl Device); 2], to: &str) -> usize {
    let [(here, one), (there, other)] = ends;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let listener = there.run(|| TcpListener::bind(to).unwrap());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let carrier = scope.spawn(|| {
            let mut longest = 0;
            while !done.load(Ordering::Relaxed) {
                let fds = [one.as_fd(), other.as_fd()];
                let mut polled = [0, 1].map(|at| PollFd::new(&fds[at], PollFlags::IN));
                poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 })).unwrap();
                carry(one, other, &mut longest);
                carry(other, one, &mut longest);
            }
            longest
        });
        let sender = scope.spawn(|| here.run(|| TcpStream::connect(to).unwrap().write_all(&sent).unwrap()));
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        sender.join().unwrap();
        done.store(true, Ordering::Relaxed);
        assert!(received == sent, "what arrived is not what was sent");
        carrier.join().unwrap()
    })
}

#[test]
fn tcp_crosses_in_super_packets_and_arrives_as_it_was() {
    let Some(ends) = pair(OffloadTun::create) else { return };
    assert!(ends[0].1.offloads().tcp);
    for to in ["10.9.0.2:7000", "[fd09::2]:7000"] {
        let longest = transfer(&ends, to);
        assert!(longest > 4 * MTU, "{to}: {longest}");
    }
}

#[test]
fn the_plain_device_does_all_the_same_packet_by_packet() {
    let Some(ends) = pair(Tun::create) else { return };
    assert_eq!(ends[0].1.offloads(), Offloads { tcp: false, udp: false });
    for to in ["10.9.0.2:7000", "[fd09::2]:7000"] {
        let longest = transfer(&ends, to);
        assert!(longest <= MTU, "{to}: {longest}");
    }
}

#[test]
fn udp_crosses_in_super_packets_where_the_kernel_can() {
    let Some([(here, tun), (there, other)]) = pair(OffloadTun::create) else { return };
    if !tun.offloads().udp {
        return eprintln!("left out: this kernel has no offload of UDP for TUN devices");
    }
    for (from, to) in [("10.9.0.1:0", "10.9.0.2:7000"), ("[fd09::1]:0", "[fd09::2]:7000")] {
        let sender = here.run(|| UdpSocket::bind(from).unwrap());
        let receiver = there.run(|| UdpSocket::bind(to).unwrap());
        receiver.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
        segment_by(&sender, 500);
        let payload: Vec<u8> = (0..1800_u32).map(|number| (number / 500) as u8).collect();
        sender.send_to(&payload, to).unwrap();

        let (virtio, packet) = next(&tun).unwrap();
        assert_eq!(virtio.segmentation.map(|cut| (cut.kind, cut.size)), Some((SegmentKind::Udp, 500)));
        assert!(packet.ends_with(&payload));

        other.write(&virtio, &[IoSlice::new(&packet)]).unwrap();
        let mut lengths = Vec::new();
        for number in 0..4 {
            let mut buffer = [9; 600];
            let (length, _) = receiver.recv_from(&mut buffer).unwrap();
            assert!(buffer[..length].iter().all(|&byte| byte == number));
            lengths.push(length);
        }
        assert_eq!(lengths, [500, 500, 500, 300]);
    }
}

#[test]
fn super_packets_that_the_kernel_refuses_again_and_again_are_given_up_by_kind() {
    let Some(namespace) = Namespace::new() else { return };
    let tun = namespace.run(|| OffloadTun::create("tide%d", MTU)).unwrap();
    let granted = tun.offloads();
    // No kernel cuts into segments of nothing.
    let cut = Segmentation { kind: SegmentKind::TcpV4, size: 0, header_length: 40, ecn: false };
    let refused = VirtioHeader { checksum: None, segmentation: Some(cut) };
    let packet = vec![0x45; 4000];
    for _ in 0..2 {
        assert_eq!(
            tun.write(&refused, &[IoSlice::new(&packet)]).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(tun.offloads(), granted);
    }
    tun.write(&refused, &[IoSlice::new(&packet)]).unwrap_err();
    assert_eq!(tun.offloads(), Offloads { tcp: false, ..granted });
    tun.write(&VirtioHeader::default(), &[IoSlice::new(&packet[..100])]).unwrap();
}

#[test]
fn one_with_offloads_goes_by_the_same_rules_as_a_plain_one() {
    let Some(namespace) = Namespace::new() else { return };
    let tun = namespace.run(|| OffloadTun::create("tide%d", 1380)).unwrap();
    assert_eq!((tun.interface(), tun.mtu()), (Some("tide0"), 1380));
    assert_eq!(tun.read(&mut [0; 2000]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let taken = namespace.run(|| OffloadTun::create("tide0", 1400)).unwrap_err();
    assert!(matches!(taken, TunError::InUse { .. }), "{taken}");
    drop(tun);
    let refused = |name: &str, mtu| namespace.run(|| OffloadTun::create(name, mtu)).unwrap_err();
    assert!(matches!(refused("a-name-that-is-too-long", 1400), TunError::Name(_)));
    assert!(matches!(refused("lo", 1400), TunError::InUse { .. }));
    assert!(matches!(refused("tide0", 17), TunError::Link { mtu: 17, .. }));
}

fn segment_by(socket: &UdpSocket, length: i32) {
    let value = (&raw const length).cast();
    // SAFETY: the value is an int on this stack.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, 4) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
