//! Super-packets: cut and joined again, and what must never be joined.
#![allow(clippy::unwrap_used)]

mod packets;

use packets::{ACK, CWR, ECE, FIN, PSH, Packet, RST, SYN, Transport, URG, checksum, stream};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use tidegate_esp::Inner;
use tidegate_esp::segment::{BufferTooSmall, Joiner, Offloads, Split, SplitError};
use tidegate_esp::virtio::{PartialChecksum, SegmentKind, Segmentation, VirtioHeader};

const ALL: Offloads = Offloads { tcp: true, udp: true };
const LIMIT: usize = 65_535;

/// What left the joiner: its virtio-net header, its bytes, how many packets it was.
type Left = (VirtioHeader, Vec<u8>, usize);

fn join(packets: &[Vec<u8>]) -> Vec<Left> {
    let mut joiner = Joiner::new(ALL);
    let (mut buffer, mut starts) = (vec![0xee; 3], Vec::new());
    for packet in packets {
        starts.push(buffer.len());
        buffer.extend_from_slice(packet);
        buffer.extend_from_slice(&[0xee; 7]); // The trailer and ICV that were there.
    }
    let mut left = Vec::new();
    for start in starts {
        let inner = Inner::parse(&buffer[start..]).unwrap();
        joiner.push(&buffer, start, &inner, |joined| {
            left.push((joined.virtio, joined.to_vec(), joined.packets()));
        });
    }
    joiner.finish(&buffer, |joined| {
        assert_eq!(joined.length(), joined.to_vec().len());
        left.push((joined.virtio, joined.to_vec(), joined.packets()));
    });
    left
}

fn split(virtio: &VirtioHeader, packet: &[u8]) -> Vec<Vec<u8>> {
    let inner = Inner::parse(packet).unwrap();
    let mut split = Split::new(virtio, &inner, packet, LIMIT).unwrap();
    let mut segments = Vec::new();
    let mut buffer = vec![0xaa; 70_000];
    while let Some(length) = split.write_next(&mut buffer).unwrap() {
        segments.push(buffer[..length].to_vec());
    }
    segments
}

fn join_then_split(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    join(packets).iter().flat_map(|(virtio, packet, _)| split(virtio, packet)).collect()
}

fn counts(packets: &[Packet]) -> Vec<usize> {
    let bytes: Vec<_> = packets.iter().map(Packet::bytes).collect();
    join(&bytes).into_iter().map(|(_, _, count)| count).collect()
}

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

#[test]
fn a_stream_becomes_one_super_packet() {
    for first in [Packet::tcp_v4(5, &[]), Packet::tcp_v4(5, &[]).v6()] {
        let packets: Vec<_> = stream(&first, 1000, &data(4500)).iter().map(Packet::bytes).collect();
        let left = join(&packets);
        let [(virtio, packet, 5)] = left.as_slice() else { panic!("{} left", left.len()) };
        let header_length = packet.len() - 4500;
        let start = u16::try_from(header_length - 32).unwrap();
        assert_eq!(virtio.checksum, Some(PartialChecksum { start, offset: 16 }));
        let cut = virtio.segmentation.unwrap();
        assert_eq!((cut.size, usize::from(cut.header_length), cut.ecn), (1000, header_length, false));
        assert_eq!(packet[header_length..], data(4500));
        assert_eq!(Inner::parse(packet).unwrap().total_length, packet.len());
    }
}

#[test]
fn interleaved_flows_are_told_apart() {
    let a = stream(&Packet::tcp_v4(5, &[]), 100, &data(500));
    let b = stream(&Packet { source_port: 9, ..Packet::tcp_v4(77, &[]).v6() }, 100, &data(500));
    let mixed: Vec<_> = a.iter().zip(&b).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    assert_eq!(counts(&mixed), [5, 5]);
}

/// Each pair of packets below would be one super-packet but for a single difference.
#[test]
fn what_must_stay_apart_stays_apart() {
    type Change = (&'static str, fn(&mut Packet));
    let changes: &[Change] = &[
        ("DSCP", |p| p.traffic_class = 0x20),
        ("ECN", |p| p.traffic_class = 0x03),
        ("hop limit", |p| p.hop_limit -= 1),
        ("DF", |p| p.dont_fragment = false),
        ("identification", |p| p.identification += 5),
        ("gap", |p| tcp(p, |sequence, _, _, _| *sequence += 1)),
        ("overlap", |p| tcp(p, |sequence, _, _, _| *sequence -= 1)),
        ("acknowledgement", |p| tcp(p, |_, acknowledgement, _, _| *acknowledgement += 1)),
        ("options", |p| tcp(p, |_, _, _, options| options[7] += 1)),
        ("fewer options", |p| tcp(p, |_, _, _, options| options.clear())),
        ("SYN", |p| tcp(p, |_, _, flags, _| *flags |= SYN)),
        ("RST", |p| tcp(p, |_, _, flags, _| *flags |= RST)),
        ("URG", |p| tcp(p, |_, _, flags, _| *flags |= URG)),
        ("CWR", |p| tcp(p, |_, _, flags, _| *flags |= CWR)),
        ("ECE", |p| tcp(p, |_, _, flags, _| *flags |= ECE)),
        ("no ACK", |p| tcp(p, |_, _, flags, _| *flags &= !ACK)),
        ("larger", |p| p.payload.push(0)),
        ("no payload", |p| p.payload.clear()),
        ("port", |p| p.source_port += 1),
        ("address", |p| p.source = p.destination),
    ];
    for (name, change) in changes {
        for first in [Packet::tcp_v4(5, &[]), Packet::tcp_v4(5, &[]).v6()] {
            if first.source.is_ipv6() && matches!(*name, "DF" | "identification") {
                continue;
            }
            let mut pair = stream(&first, 100, &data(200));
            assert_eq!(counts(&pair), [2]);
            change(&mut pair[1]);
            assert_eq!(counts(&pair), [1, 1], "{name}");
        }
    }
}

#[test]
fn segments_that_say_something_of_their_own_stay_alone() {
    for flags in [ACK | SYN, ACK | RST, ACK | URG, ACK | CWR, 0] {
        let pair: Vec<_> = stream(&Packet::tcp_v4(5, &[]), 100, &data(200))
            .into_iter()
            .map(|packet| packet.flags(flags))
            .collect();
        assert_eq!(counts(&pair), [1, 1], "{flags:#x}");
    }
}

fn tcp(packet: &mut Packet, change: impl FnOnce(&mut u32, &mut u32, &mut u8, &mut Vec<u8>)) {
    if let Transport::Tcp { sequence, acknowledgement, flags, options, .. } = &mut packet.transport {
        change(sequence, acknowledgement, flags, options);
    }
}

#[test]
fn a_push_or_an_end_closes_the_super_packet() {
    for end in [PSH, FIN, PSH | FIN] {
        let mut four = stream(&Packet::tcp_v4(5, &[]), 100, &data(400));
        four[1] = four[1].clone().flags(ACK | end);
        assert_eq!(counts(&four), [2, 2]);
        let bytes: Vec<_> = four.iter().map(Packet::bytes).collect();
        assert_eq!(join_then_split(&bytes), bytes);
    }
}

#[test]
fn a_short_packet_closes_the_super_packet() {
    let mut packets = stream(&Packet::udp_v4(&[]), 100, &data(250));
    packets.extend(stream(&Packet { identification: 10, ..Packet::udp_v4(&[]) }, 100, &data(200)));
    assert_eq!(counts(&packets), [3, 2]);
}

#[test]
fn a_bad_checksum_is_never_covered_up() {
    for place in [10, 36, 70] {
        // IPv4 header, TCP checksum, payload; in the first and in the second packet.
        for index in [0, 1] {
            let mut bytes: Vec<_> =
                stream(&Packet::tcp_v4(5, &[]), 100, &data(200)).iter().map(Packet::bytes).collect();
            bytes[index][place] ^= 1;
            let left = join(&bytes);
            assert_eq!(left.len(), 2, "byte {place} of packet {index}");
            for ((virtio, packet, _), sent) in left.iter().zip(&bytes) {
                assert_eq!((*virtio, packet), (VirtioHeader::default(), sent));
            }
        }
    }
}

#[test]
fn datagrams_without_a_checksum_stay_without() {
    let datagrams = || stream(&Packet::udp_v4(&[]), 100, &data(300));
    let mut random: Vec<_> = datagrams().iter().map(Packet::bytes).collect();
    // Of these the true sum is zero, so that none looks like a good one.
    let mut zero = Vec::new();
    for mut packet in datagrams() {
        packet.payload.truncate(98);
        let bytes = packet.bytes();
        packet.payload.extend_from_slice(&bytes[26..28]);
        let partial = packet.bytes();
        let correction = u16::from_be_bytes([partial[26], partial[27]]);
        let last = u16::from_be_bytes([packet.payload[98], packet.payload[99]]);
        let last = u32::from(last) + u32::from(correction);
        let last = u16::try_from((last & 0xffff) + (last >> 16)).unwrap();
        packet.payload[98..].copy_from_slice(&last.to_be_bytes());
        assert_eq!(packet.bytes()[26..28], [0xff, 0xff]);
        zero.push(packet.bytes());
    }
    assert_eq!(join(&zero).len(), 1);
    for bytes in [&mut random, &mut zero] {
        for packet in &mut *bytes {
            packet[26..28].copy_from_slice(&[0, 0]);
        }
        assert_eq!(join(bytes).len(), 3);
        assert_eq!(join_then_split(bytes), *bytes);
    }
}

#[test]
fn a_datagram_shorter_than_its_packet_stays_alone() {
    let mut bytes: Vec<_> = stream(&Packet::udp_v4(&[]), 100, &data(200)).iter().map(Packet::bytes).collect();
    for packet in &mut bytes {
        // The length lowered by one, the checksum raised by as much; the pseudo-header is of the packet.
        packet[25] -= 1;
        let sum = u16::from_be_bytes([packet[26], packet[27]]) + 1;
        packet[26..28].copy_from_slice(&sum.to_be_bytes());
    }
    assert_eq!(join(&bytes).len(), 2);
}

#[test]
fn options_extensions_and_fragments_stay_apart() {
    let options = |packet: &Packet| {
        let mut bytes = packet.bytes();
        bytes.splice(20..20, [1, 1, 1, 0]);
        bytes[0] = 0x46;
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let fragment = |packet: &Packet| {
        let mut bytes = packet.bytes();
        bytes[6] = 0x20;
        bytes
    };
    let extension = |packet: &Packet| {
        let mut bytes = packet.clone().v6().bytes();
        bytes.splice(40..40, [6, 0, 1, 4, 0, 0, 0, 0]);
        bytes[6] = 60;
        let length = u16::try_from(bytes.len() - 40).unwrap();
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let packets = stream(&Packet::tcp_v4(5, &[]), 100, &data(200));
    for change in [&options as &dyn Fn(&Packet) -> Vec<u8>, &fragment, &extension] {
        let bytes: Vec<_> = packets.iter().map(change).collect();
        let left = join(&bytes);
        assert_eq!(left.len(), 2);
        assert!(left.iter().zip(&bytes).all(|(left, sent)| left.1 == *sent));
    }
}

#[test]
fn offloads_that_the_kernel_refused_are_not_used() {
    let bytes: Vec<u8> =
        stream(&Packet::udp_v4(&[]), 100, &data(300)).iter().flat_map(Packet::bytes).collect();
    let mut joiner = Joiner::new(Offloads { tcp: true, udp: false });
    let mut left = 0;
    for start in [0, 128, 256] {
        let inner = Inner::parse(&bytes[start..]).unwrap();
        joiner.push(&bytes, start, &inner, |joined| left += joined.packets());
    }
    assert_eq!(left, 3);
}

#[test]
fn a_flow_keeps_its_order() {
    // A bare acknowledgement in the middle: what came before it leaves before it.
    let mut packets = stream(&Packet::tcp_v4(5, &[]), 100, &data(400));
    packets[3] = packets[3].clone().flags(ACK);
    packets.insert(2, Packet::tcp_v4(205, &[]));
    assert_eq!(counts(&packets), [2, 1, 2]);
}

#[test]
fn no_super_packet_outgrows_its_length_field() {
    let packets = stream(&Packet::tcp_v4(5, &[]), 1400, &data(140_000));
    let bytes: Vec<_> = packets.iter().map(Packet::bytes).collect();
    assert!(join(&bytes).iter().all(|(_, packet, _)| packet.len() <= 65_535));
    let small = stream(&Packet::udp_v4(&[]), 8, &data(8 * 200));
    assert_eq!(counts(&small), [64, 64, 64, 8]);
}

fn super_packet(kind: SegmentKind, size: u16, packet: &Packet) -> (VirtioHeader, Vec<u8>) {
    let bytes = packet.bytes();
    let header_length = u16::try_from(bytes.len() - packet.payload.len()).unwrap();
    let cut = Segmentation { kind, size, header_length, ecn: false };
    (VirtioHeader { checksum: None, segmentation: Some(cut) }, bytes)
}

#[test]
fn flags_go_where_they_belong_when_a_stream_is_cut() {
    let packet = Packet::tcp_v4(u32::MAX - 50, &data(250)).flags(ACK | PSH | FIN | CWR | ECE);
    let (virtio, bytes) = super_packet(SegmentKind::TcpV4, 100, &packet);
    let flags: Vec<_> = split(&virtio, &bytes).iter().map(|segment| segment[33]).collect();
    assert_eq!(flags, [ACK | CWR | ECE, ACK | ECE, ACK | ECE | PSH | FIN]);
}

#[test]
fn a_checksum_left_to_us_is_finished() {
    for packet in [Packet::udp_v4(&data(99)), Packet::tcp_v4(3, &data(99)).v6()] {
        let whole = packet.bytes();
        let inner = Inner::parse(&whole).unwrap();
        let (start, offset) = (inner.network_length, if packet.protocol() == 6 { 16 } else { 6 });
        let mut bytes = whole.clone();
        let mut sum = Vec::new();
        sum.extend_from_slice(if start == 20 { &whole[12..20] } else { &whole[8..40] });
        sum.extend_from_slice(&[0, packet.protocol()]);
        sum.extend_from_slice(&u16::try_from(whole.len() - start).unwrap().to_be_bytes());
        let partial = checksum(&sum).map(|byte| !byte);
        bytes[start + offset..start + offset + 2].copy_from_slice(&partial);
        let place = PartialChecksum { start: start.try_into().unwrap(), offset: offset.try_into().unwrap() };
        let virtio = VirtioHeader { checksum: Some(place), segmentation: None };
        assert_eq!(split(&virtio, &bytes), [whole]);
    }
}

#[test]
fn a_virtio_header_that_lies_is_refused() {
    let refuse = |virtio: VirtioHeader, bytes: &[u8], limit| {
        let inner = Inner::parse(bytes).unwrap();
        Split::new(&virtio, &inner, bytes, limit).unwrap_err()
    };
    let packet = Packet::tcp_v4(5, &data(300));
    for kind in [SegmentKind::TcpV6, SegmentKind::Udp] {
        let (virtio, bytes) = super_packet(kind, 100, &packet);
        assert_eq!(refuse(virtio, &bytes, LIMIT), SplitError::Kind);
    }
    let (virtio, bytes) = super_packet(SegmentKind::TcpV4, 0, &packet);
    assert_eq!(refuse(virtio, &bytes, LIMIT), SplitError::Size);
    let (virtio, bytes) = super_packet(SegmentKind::TcpV4, 9, &Packet::tcp_v4(5, &[]));
    assert_eq!(refuse(virtio, &bytes, LIMIT), SplitError::Truncated);
    let place = PartialChecksum { start: 345, offset: 6 };
    let virtio = VirtioHeader { checksum: Some(place), segmentation: None };
    assert_eq!(refuse(virtio, &packet.bytes(), LIMIT), SplitError::Checksum(place));
    let (virtio, bytes) = super_packet(SegmentKind::Udp, 200, &Packet::udp_v4(&data(300)));
    assert_eq!(refuse(virtio, &bytes, 227), SplitError::TooBig { length: 228 });
}

#[test]
fn tcp_is_cut_smaller_where_the_path_is_narrow() {
    let (virtio, bytes) = super_packet(SegmentKind::TcpV4, 1400, &Packet::tcp_v4(5, &data(4000)));
    let inner = Inner::parse(&bytes).unwrap();
    let split = Split::new(&virtio, &inner, &bytes, 1300).unwrap();
    assert_eq!((split.segment_length(), split.segments()), (1300, 4));
}

#[test]
fn only_what_may_be_fragmented_is() {
    let refuse = |packet: Packet| {
        let bytes = packet.bytes();
        let inner = Inner::parse(&bytes).unwrap();
        Split::new(&VirtioHeader::default(), &inner, &bytes, 200).unwrap_err()
    };
    assert_eq!(refuse(Packet::udp_v4(&data(300))), SplitError::TooBig { length: 328 });
    assert_eq!(refuse(Packet::udp_v4(&data(300)).v6()), SplitError::TooBig { length: 348 });
}

#[test]
fn a_buffer_too_small_loses_nothing() {
    let (virtio, bytes) = super_packet(SegmentKind::TcpV4, 100, &Packet::tcp_v4(5, &data(150)));
    let inner = Inner::parse(&bytes).unwrap();
    let mut split = Split::new(&virtio, &inner, &bytes, LIMIT).unwrap();
    let mut small = [0; 151];
    assert_eq!(split.write_next(&mut small), Err(BufferTooSmall { needed: 152 }));
    let mut enough = [0; 152];
    assert_eq!(split.write_next(&mut enough), Ok(Some(152)));
    assert_eq!(split.write_next(&mut enough), Ok(Some(102)));
    assert_eq!(split.write_next(&mut enough), Ok(None));
}

fn any_first() -> impl Strategy<Value = Packet> {
    let kind = prop_oneof![Just(Packet::tcp_v4(0, &[])), Just(Packet::udp_v4(&[]))];
    let numbers = (any::<u32>(), any::<u16>(), any::<u8>(), any::<bool>(), any::<bool>());
    (kind, numbers, 0..4_usize).prop_map(|(mut packet, (seq, id, tos, v6, df), words)| {
        packet.identification = id;
        packet.traffic_class = tos;
        packet.dont_fragment = df;
        tcp(&mut packet, |sequence, _, _, options| {
            *sequence = seq;
            *options = vec![1; words * 4];
        });
        if v6 { packet.v6() } else { packet }
    })
}

proptest! {
    #[test]
    fn cut_then_joined_is_the_same_stream(first in any_first(), size in 1..1500_u16, length in 1..20_000_usize) {
        // No more segments than are joined again.
        let size = size.max(u16::try_from(length.div_ceil(64)).unwrap());
        let kind = match (first.protocol(), first.source.is_ipv4()) {
            (6, true) => SegmentKind::TcpV4,
            (6, false) => SegmentKind::TcpV6,
            _ => SegmentKind::Udp,
        };
        let packet = Packet { payload: data(length), ..first };
        let (virtio, bytes) = super_packet(kind, size, &packet);
        let segments = split(&virtio, &bytes);
        prop_assert_eq!(segments.len(), length.div_ceil(size.into()));
        for segment in &segments {
            let inner = Inner::parse(segment).unwrap();
            prop_assert_eq!(inner.total_length, segment.len());
        }
        let left = join(&segments);
        prop_assert_eq!(left.len(), 1);
        let (header, payload) = left[0].1.split_at(bytes.len() - length);
        prop_assert_eq!(payload, &bytes[bytes.len() - length..]);
        // All but the checksum, which the kernel finishes.
        let place = usize::from(left[0].0.checksum.map_or(0, |place| place.start + place.offset));
        if place > 0 {
            prop_assert_eq!(&header[..place], &bytes[..place]);
            prop_assert_eq!(&header[place + 2..], &bytes[place + 2..header.len()]);
        }
    }

    #[test]
    fn fragments_make_up_the_packet(
        length in 0..3000_usize, limit in 28..700_usize, position in 0..100_u16, more in any::<bool>(),
        partial in any::<bool>(),
    ) {
        let whole = Packet { dont_fragment: false, ..Packet::udp_v4(&data(length)) }.bytes();
        let mut bytes = whole.clone();
        let mut virtio = VirtioHeader::default();
        if partial {
            // What the kernel leaves: the sum of the pseudo-header alone.
            let mut covered = bytes[12..20].to_vec();
            covered.extend_from_slice(&[0, 17, bytes[24], bytes[25]]);
            bytes[26..28].copy_from_slice(&checksum(&covered).map(|byte| !byte));
            virtio.checksum = Some(PartialChecksum { start: 20, offset: 6 });
        }
        // The packet may be a fragment of a larger one already.
        let field = position | u16::from(more) << 13;
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        let inner = Inner::parse(&bytes).unwrap();
        let mut split = Split::new(&virtio, &inner, &bytes, limit).unwrap();
        let (mut out, mut payload, mut left) = (vec![0; limit], Vec::new(), split.segments());
        while let Some(length) = split.write_next(&mut out).unwrap() {
            left -= 1;
            prop_assert_eq!(out[4..6].to_vec(), bytes[4..6].to_vec());
            let field = u16::from_be_bytes([out[6], out[7]]);
            prop_assert_eq!(usize::from(field & 0x1fff), usize::from(position) + payload.len() / 8);
            prop_assert_eq!(field & 0x2000 != 0, more || left > 0);
            prop_assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])), length);
            prop_assert_eq!(&out[12..20], &bytes[12..20]);
            if split.segments() > 1 {
                prop_assert_eq!(checksum(&out[..20]), [0, 0]);
            }
            payload.extend_from_slice(&out[20..length]);
        }
        prop_assert_eq!(left, 0);
        prop_assert_eq!(payload, whole[20..].to_vec());
    }

    #[test]
    fn joined_packets_come_apart_as_they_came(
        flows in vec((any_first(), 1..400_usize, 1..5_000_usize), 1..5),
        order in vec(any::<proptest::sample::Index>(), 0..200),
        damage in vec((any::<proptest::sample::Index>(), any::<u16>()), 0..4),
    ) {
        let mut queues: Vec<Vec<Vec<u8>>> = Vec::new();
        for (index, (first, size, length)) in flows.iter().enumerate() {
            let first = Packet { source_port: u16::try_from(index).unwrap(), ..first.clone() };
            queues.push(stream(&first, *size, &data(*length)).iter().map(Packet::bytes).rev().collect());
        }
        let mut sent = Vec::new();
        for pick in order {
            let index = pick.index(queues.len());
            sent.extend(queues[index].pop());
        }
        for (pick, bit) in damage {
            if sent.is_empty() { break; }
            let index = pick.index(sent.len());
            let byte = usize::from(bit >> 3) % sent[index].len();
            let mut damaged = sent[index].clone();
            damaged[byte] ^= 1 << (bit & 7);
            // Damage to lengths makes no packet at all, or one cut short.
            if Inner::parse(&damaged).is_ok_and(|inner| inner.total_length == damaged.len()) {
                sent[index] = damaged;
            }
        }
        let mut again = join_then_split(&sent);
        // Flows may pass each other, so they are compared apart; within one, order holds.
        let key = |packet: &Vec<u8>| Inner::parse(packet).unwrap().flow;
        again.sort_by_key(key);
        sent.sort_by_key(key);
        prop_assert_eq!(again, sent);
    }

    #[test]
    fn any_bytes_are_cut_or_refused(
        header in any::<[u8; 10]>(),
        mut packet in vec(any::<u8>(), 0..200),
        version in prop_oneof![Just(0x45_u8), Just(0x60)],
        kind in prop_oneof![Just(1_u8), Just(4), Just(5), Just(0)],
        protocol in prop_oneof![Just(6_u8), Just(17)],
        limit in 0..300_usize,
    ) {
        let header = [header[0], kind, header[2], header[3], header[4], 0, header[6], 0, header[8], 0];
        let (virtio, _) = VirtioHeader::parse(&header).unwrap();
        let length = packet.len();
        if length > 40 {
            packet[0] = version;
            packet[if version == 0x45 { 9 } else { 6 }] = protocol;
            packet[6] &= if version == 0x45 { 0x40 } else { 0xff };
            packet[7] &= if version == 0x45 { 0 } else { 0xff };
            let (at, claimed) = if version == 0x45 { (2, length) } else { (4, length - 40) };
            packet[at..at + 2].copy_from_slice(&u16::try_from(claimed).unwrap().to_be_bytes());
        }
        if let Ok(inner) = Inner::parse(&packet)
            && let Ok(mut split) = Split::new(&virtio, &inner, &packet, limit)
        {
            let mut buffer = [0; 300];
            let mut payload = 0;
            let mut count = 0;
            while let Some(length) = split.write_next(&mut buffer).unwrap() {
                prop_assert!(length <= limit && length <= split.segment_length());
                payload += length;
                count += 1;
            }
            prop_assert_eq!(count, split.segments());
            prop_assert!(payload >= inner.total_length);
        }
    }

    #[test]
    fn any_bytes_are_joined_or_passed_on(
        mut packets in vec((vec(any::<u8>(), 20..120), 0..4_u8, any::<bool>()), 1..10),
    ) {
        for (packet, kind, udp) in &mut packets {
            let length = u16::try_from(packet.len()).unwrap();
            packet[..2].copy_from_slice(&[0x45, 0]);
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            packet[6..10].copy_from_slice(&[0x40, 0, 64, if *udp { 17 } else { 6 }]);
            packet[12..20].copy_from_slice(&[10, 0, 0, *kind, 10, 0, 0, 1]);
        }
        let bytes: Vec<_> = packets.into_iter().map(|(packet, ..)| packet)
            .filter(|packet| Inner::parse(packet).is_ok()).collect();
        let left: usize = join(&bytes).iter().map(|(_, _, count)| count).sum();
        prop_assert_eq!(left, bytes.len());
    }
}
