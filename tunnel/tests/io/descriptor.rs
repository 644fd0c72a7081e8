use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io::{ErrorKind, IoSlice};
use std::os::fd::OwnedFd;
use tidegate::io::Device;
use tidegate::io::descriptor::Descriptor;
use tidegate_esp::virtio::VirtioHeader;

fn pair(kind: SocketType) -> (Descriptor, OwnedFd) {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
    (Descriptor::new(ours, 1400).unwrap(), theirs)
}

#[test]
fn packets_go_both_ways_one_at_a_time() {
    for kind in [SocketType::SEQPACKET, SocketType::DGRAM] {
        let (device, embedder) = pair(kind);
        assert_eq!(device.interface(), None);
        device.write(&VirtioHeader::default(), &[IoSlice::new(b"in "), IoSlice::new(b"parts")]).unwrap();
        device.write(&VirtioHeader::default(), &[IoSlice::new(b"whole")]).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(rustix::io::read(&embedder, &mut buffer).unwrap(), 8);
        assert_eq!(buffer[..8], *b"in parts");
        assert_eq!(rustix::io::read(&embedder, &mut buffer).unwrap(), 5);

        rustix::io::write(&embedder, b"one").unwrap();
        rustix::io::write(&embedder, b"other").unwrap();
        assert_eq!(device.read(&mut buffer).unwrap().1, 3);
        assert_eq!(device.read(&mut buffer).unwrap().1, 5);
        assert_eq!(buffer[..5], *b"other");
    }
}

#[test]
fn an_empty_one_says_so_and_a_full_one_loses_packets() {
    let (device, embedder) = pair(SocketType::SEQPACKET);
    assert_eq!(device.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let full = loop {
        if let Err(error) = device.write(&VirtioHeader::default(), &[IoSlice::new(&[7; 1400])]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    drop(embedder);
}

#[test]
fn the_end_is_told_from_silence() {
    let (device, embedder) = pair(SocketType::SEQPACKET);
    drop(embedder);
    assert_eq!(device.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}
