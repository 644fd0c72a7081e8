//! Seeds of the packet engine's targets: steps for an SA, selectors, inner packets.

use crate::save;
use tidegate_esp::checksum::Sum;
use tidegate_esp::virtio::{PartialChecksum, SegmentKind, Segmentation, VirtioHeader};

const TCP: u8 = 6;
const UDP: u8 = 17;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const SYN: u8 = 0x02;
const PSH: u8 = 0x08;

/// Writes all of them.
pub(crate) fn save_all() -> std::io::Result<()> {
    open()?;
    selectors()?;
    segments()?;
    icmp()?;
    worker()
}

/// Steps of two nodes; `fuzz_targets/worker.rs` says what they are.
fn worker() -> std::io::Result<()> {
    let behind_length = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let device =
        |virtio: VirtioHeader, packet: &[u8]| [&[0], &virtio.to_bytes()[..], &behind_length(packet)].concat();
    let plain = |packet: &[u8]| device(VirtioHeader::default(), packet);
    let segmentation = |kind| Some(Segmentation { kind, size: 100, header_length: 40, ecn: false });
    let checksum = Some(PartialChecksum { start: 20, offset: 16 });
    let long = VirtioHeader { checksum, segmentation: segmentation(SegmentKind::TcpV4) };
    let (stream, datagram) = (tcp(true, ACK | PSH, 1, &[7; 300]), udp(false, b"data"));
    let sealed = |next: u8, packet: &[u8]| {
        [&[7], &behind_length(&[packet, &[1, 2, 2, next]].concat())[..], &[3]].concat()
    };
    let (carry, damage, again, reverse) = ([3, 20], [4, 0, 30, 9], [5], [6]);
    let runs: [(&str, Vec<u8>); 12] = [
        ("carried", [&plain(&stream)[..], &plain(&datagram), &carry].concat()),
        ("super_packet", [&device(long, &stream)[..], &carry].concat()),
        ("twice", [&plain(&stream)[..], &again, &carry, &carry].concat()),
        ("late", [&plain(&datagram)[..], &plain(&stream), &reverse, &carry].concat()),
        ("damaged", [&plain(&datagram)[..], &damage, &plain(&stream), &carry].concat()),
        (
            "by_hand",
            [sealed(4, &stream), sealed(41, &datagram), sealed(59, &[]), sealed(4, &datagram)].concat(),
        ),
        ("held", [&[11, 0][..], &plain(&datagram), &[8, 1, 0], &[11, 1], &[8, 1, 0], &carry].concat()),
        // Newer tables, and still no SA; none for so long that it is given up; a rule that wants none of it.
        ("held_on", [&[11, 0][..], &plain(&datagram), &[11, 3, 8, 1, 0, 11, 1, 8, 1, 0], &carry].concat()),
        ("given_up", [&[11, 0][..], &plain(&datagram), &[8, 0x20, 0]].concat()),
        (
            "too_big",
            [&[9, 1, 0x40][..], &plain(&stream), &[11, 0], &plain(&stream), &[11, 2, 8, 1, 0]].concat(),
        ),
        ("narrow", [&[9, 2, 0x80][..], &plain(&stream), &plain(&datagram), &carry].concat()),
        ("refused", [&[11, 2][..], &plain(&stream), &[11, 3], &plain(&stream), &[10, 1], &carry].concat()),
    ];
    for (name, steps) in runs {
        for shape in [0, 3, 12, 16] {
            save("worker", &format!("{name}_{shape}"), &[&[shape], &steps[..]].concat())?;
        }
    }
    let junk =
        [&[2, 3][..], &behind_length(&[0; 40]), &[2, 0], &behind_length(&[9; 40]), &[2, 2, 0, 1, 0xff]]
            .concat();
    save("worker", "junk", &[&[3], &junk[..]].concat())
}

fn open() -> std::io::Result<()> {
    // Raw bytes, sent, damaged, replayed, skipped, late, sent, and by a peer with the keys.
    let steps: &[&[u8]] = &[
        &[0, 1, 0xff],
        &[1, 12, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4],
        &[2, 0, 100],
        &[3, 5, 200, 0, 9, 1],
        &[4, 0],
        &[5, 0x30, 5],
        &[2, 1, 0],
        &[4, 1],
        &[6, 26, 0x45, 0, 0, 20],
        &[0; 16],
        &[1, 2, 3, 4, 4, 4],
    ];
    let steps = steps.concat();
    for suite in 0..10 {
        for (name, wide, window) in [("short", 0, 1), ("extended", 3, 4)] {
            save("open", &format!("suite_{suite}_{name}"), &[&[suite, wide, window], &steps[..]].concat())?;
        }
    }
    // Two leaps of 2^31, so that the high half of the number changes.
    let leaps = [2, 0, 99, 5, 0xf8, 0, 5, 0xf8, 0, 2, 0, 99, 5, 0xf8, 0, 4, 0, 2, 0, 99];
    save("open", "leap", &[&[0, 1, 4], &leaps[..]].concat())
}

fn selectors() -> std::io::Result<()> {
    let texts = [
        ("prefixes", "10.1.0.0/16\n10.2.0.0/16\n10.1.0.0/24\n10.2.3.4\n0.0.0.0/0\n0.0.0.0/0"),
        ("ports", "10.1.0.0/16[tcp/80]\n10.2.0.0/16[tcp]\n10.1.0.0/16\n10.2.0.0/16[tcp/1000-2000]"),
        ("ranges", "10.1.0.1-10.1.0.9[udp]\n10.2.0.1..10.2.0.200[udp/53]\n10.1.0.1-10.1.0.9\n10.2.0.0/8"),
        ("six", "fd00:1::/64\nfd00:2::/64[ipv6-icmp/128]\n::/0\n::/0[ipv6-icmp/3(4)]"),
        ("opaque", "10.1.0.0/16[tcp/opaque]\n10.2.0.0/16[tcp/opaque]\n10.1.0.0/16[icmp/8]\n10.2.0.0/16"),
        ("bad", "10.1.0.0/33\n10.2.0.0/16[tcp\n10.1.0.0/16[what]\n10.9.0.0-10.1.0.0\n10.1.0.0/16[tcp/9-8]"),
    ];
    let packets = [tcp(true, ACK, 1, b"data"), udp(true, b"data"), fragment(), ping(), udp(false, b"six")];
    let packets: Vec<u8> =
        packets.iter().flat_map(|packet| [&[packet.len() as u8], &packet[..]].concat()).collect();
    for (name, text) in texts {
        save("selectors", name, &[text.as_bytes(), &[0], &packets].concat())?;
    }
    Ok(())
}

fn segments() -> std::io::Result<()> {
    let cut = |kind, size| Some(Segmentation { kind, size, header_length: 40, ecn: false });
    let checksum = Some(PartialChecksum { start: 20, offset: 16 });
    let data = [7; 300];
    let single = [
        ("tso_v4", cut(SegmentKind::TcpV4, 100), tcp(true, ACK | PSH, 1, &data)),
        ("tso_v6", cut(SegmentKind::TcpV6, 90), tcp(false, ACK, 1, &data)),
        ("uso_v4", cut(SegmentKind::Udp, 110), udp(true, &data)),
        ("uso_v6", cut(SegmentKind::Udp, 110), udp(false, &data)),
        ("whole", None, tcp(true, ACK, 1, &data)),
    ];
    for (name, segmentation, packet) in single {
        let virtio = VirtioHeader { checksum, segmentation };
        save("segments", name, &[&[0, 0, 200], &virtio.to_bytes()[..], &packet].concat())?;
    }
    let virtio = VirtioHeader::default();
    let fragmented = [&[0, 0, 100], &virtio.to_bytes()[..], &udp(true, &data)].concat();
    save("segments", "fragmented", &fragmented)?;

    let behind_length = |packet: &Vec<u8>| [&(packet.len() as u16).to_be_bytes(), &packet[..]].concat();
    let packets = [tcp(true, ACK, 1, &data), udp(false, b"x"), tcp(true, ACK | PSH, 301, b"end"), fragment()];
    let packets: Vec<u8> = packets.iter().flat_map(behind_length).collect();
    save("segments", "several", &[&[1], &packets[..]].concat())?;
    for (name, packet) in [
        ("stream_v4", tcp(true, ACK, 1, &data)),
        ("stream_v6", tcp(false, ACK, 1, &data)),
        ("datagrams_v4", udp(true, &data)),
        ("datagrams_v6", udp(false, &data)),
    ] {
        // Eight as they should be, a shorter one, and one with another byte in its header.
        let changes = [[255, 0, 0, 0].repeat(8), vec![255, 0, 9, 0], vec![1, 4, 0, 0]].concat();
        save("segments", name, &[&[3], &behind_length(&packet)[..], &changes].concat())?;
    }
    Ok(())
}

fn icmp() -> std::io::Result<()> {
    let mut syn = tcp(true, SYN, 1, &[2, 4, 0x05, 0xb4]);
    // The option is part of the header.
    syn[32] = 6 << 4;
    let mut syn_v6 = tcp(false, SYN, 1, &[1, 2, 4, 0x05, 0xb4, 0, 0, 0]);
    syn_v6[52] = 7 << 4;
    let packets = [
        ("too_big_v4", 0, tcp(true, ACK, 1, &[7; 1000])),
        ("too_big_v6", 0, tcp(false, ACK, 1, &[7; 1400])),
        ("unreachable", 1, udp(true, b"data")),
        ("prohibited", 2, udp(false, b"data")),
        ("ping", 1, ping()),
        ("fragment", 0, fragment()),
        ("other_family", 0x81, udp(true, b"data")),
        ("syn", 0, syn),
        ("syn_v6", 0, syn_v6),
    ];
    for (name, kind, packet) in packets {
        save("icmp", name, &[&[kind, 0x03, 0xe8], &packet[..]].concat())?;
    }
    Ok(())
}

pub(crate) fn tcp(v4: bool, flags: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let header = [0x9c, 0x40, 1, 0xbb, 0, 0, high, low, 0, 0, 0, 9, 5 << 4, flags, 2, 0, 0, 0, 0, 0];
    packet(v4, TCP, [&header, payload].concat(), 16)
}

pub(crate) fn udp(v4: bool, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (8 + payload.len() as u16).to_be_bytes();
    packet(v4, UDP, [&[0x9c, 0x40, 0, 53, high, low, 0, 0], payload].concat(), 6)
}

pub(crate) fn ping() -> Vec<u8> {
    packet(true, 1, vec![8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4], 2)
}

/// A later fragment of a UDP datagram.
pub(crate) fn fragment() -> Vec<u8> {
    let mut packet = udp(true, b"the rest of it");
    packet[6..8].copy_from_slice(&[0, 9]);
    packet
}

fn packet(v4: bool, protocol: u8, mut transport: Vec<u8>, checksum: usize) -> Vec<u8> {
    let length = transport.len() as u16;
    let mut network = if v4 {
        let [high, low] = (20 + length).to_be_bytes();
        let dont_fragment = if protocol == TCP { 0x40 } else { 0 };
        vec![0x45, 0, high, low, 0, 7, dont_fragment, 0, 64, protocol, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1]
    } else {
        let [high, low] = length.to_be_bytes();
        let address = |network| [0xfd, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        [&[0x60, 0, 0, 0, high, low, protocol, 64], &address(1)[..], &address(2)].concat()
    };
    if v4 {
        let sum = Sum::ZERO.bytes(&network).finish();
        network[10..12].copy_from_slice(&sum);
    }
    let pseudo =
        if protocol == 1 { Sum::ZERO } else { Sum::ZERO.pseudo_header(&network, protocol, transport.len()) };
    let sum = pseudo.bytes(&transport).finish();
    transport[checksum..checksum + 2].copy_from_slice(&sum);
    [network, transport].concat()
}
