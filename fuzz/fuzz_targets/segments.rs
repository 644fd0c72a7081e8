//! Super-packets: any bytes are cut or refused, any packets are joined or passed on, and neither loses or
//! makes up a byte.
//!
//! The first byte chooses. Bit 0: a virtio-net header with a packet, behind a limit; or else packets, each
//! behind two bytes of length. With bit 1 the packets are a row of copies of the first, each changed a little,
//! their checksums made right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use tidegate_esp::checksum::Sum;
use tidegate_esp::segment::{Joiner, Offloads, Split};
use tidegate_esp::virtio::VirtioHeader;
use tidegate_esp::{Flow, Fragment, Inner};

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    if choice & 1 == 0 {
        let Some((limit, bytes)) = rest.split_first_chunk() else { return };
        cut(bytes, u16::from_be_bytes(*limit).into());
        return;
    }
    let packets = if choice & 2 == 0 { pieces(rest) } else { stream(rest) };
    let packets: Vec<Vec<u8>> = packets.into_iter().filter(|packet| Inner::parse(packet).is_ok()).collect();
    let joined = join(&packets, Offloads { tcp: choice & 4 == 0, udp: choice & 8 == 0 });
    assert_eq!(joined.iter().map(|(_, _, packets)| packets).sum::<usize>(), packets.len());
    let apart: Vec<Vec<u8>> = joined
        .iter()
        .flat_map(|(virtio, packet, _)| split(virtio, packet, usize::MAX).unwrap_or_default())
        .collect();
    assert_eq!(by_flow(&apart), by_flow(&packets));
});

/// A packet as it may come from the device.
fn cut(bytes: &[u8], limit: usize) {
    let Ok((virtio, packet)) = VirtioHeader::parse(bytes) else { return };
    let Ok(inner) = Inner::parse(packet) else { return };
    let Some(segments) = split(&virtio, packet, limit) else { return };
    let mut payload = Vec::new();
    for segment in &segments {
        assert!(segment.len() <= limit);
        // A device can name any place for the checksum it wants, the IP header's length field included.
        let Ok(read) = Inner::parse(segment) else {
            assert!(virtio.checksum.is_some() && virtio.segmentation.is_none());
            return;
        };
        if virtio.segmentation.is_some() {
            assert_eq!((read.flow, read.network_length), (inner.flow, inner.network_length));
            assert!(is_intact(segment, &read));
            payload.extend_from_slice(&segment[header_length(segment, &read)..]);
        } else {
            payload.extend_from_slice(&segment[read.network_length..]);
        }
    }
    if virtio.segmentation.is_some() {
        assert_eq!(payload, packet[header_length(packet, &inner)..inner.total_length]);
        rejoin(&segments);
    } else if virtio.checksum.is_none() {
        assert_eq!(payload, packet[inner.network_length..inner.total_length]);
    }
}

/// What was cut joins without losing a byte, whatever the joiner makes of it.
fn rejoin(segments: &[Vec<u8>]) {
    let joined = join(segments, Offloads { tcp: true, udp: true });
    let apart =
        joined.iter().flat_map(|(virtio, packet, _)| split(virtio, packet, usize::MAX).expect("ours"));
    assert_eq!(
        apart.map(|packet| normal(&packet)).collect::<Vec<_>>(),
        segments.iter().map(|s| normal(s)).collect::<Vec<_>>()
    );
}

/// All segments, each written to a buffer that just holds it.
fn split(virtio: &VirtioHeader, packet: &[u8], limit: usize) -> Option<Vec<Vec<u8>>> {
    let inner = Inner::parse(packet).ok()?;
    let mut split = Split::new(virtio, &inner, packet, limit).ok()?;
    let (count, length) = (split.segments(), split.segment_length());
    let mut segments = Vec::new();
    while let Some(next) = split.next_length() {
        let mut segment = vec![0; next];
        assert_eq!(split.write_next(&mut segment[..next - 1]).map_err(|error| error.needed), Err(next));
        assert_eq!(split.write_next(&mut segment), Ok(Some(next)));
        assert!(next == length || segments.len() + 1 == count && next < length);
        segments.push(segment);
    }
    assert_eq!(segments.len(), count);
    assert_eq!(split.write_next(&mut []), Ok(None));
    Some(segments)
}

/// What leaves the joiner: virtio-net header, packet, and how many it was.
fn join(packets: &[Vec<u8>], offloads: Offloads) -> Vec<(VirtioHeader, Vec<u8>, usize)> {
    let buffer = packets.concat();
    let mut joiner = Joiner::new(offloads);
    let mut left = Vec::new();
    let mut start = 0;
    for packet in packets {
        let inner = Inner::parse(packet).expect("parsed before");
        joiner.push(&buffer, start, &inner, |joined| {
            left.push((joined.virtio, joined.to_vec(), joined.packets()));
        });
        start += packet.len();
    }
    joiner.finish(&buffer, |joined| left.push((joined.virtio, joined.to_vec(), joined.packets())));
    for (virtio, packet, count) in &left {
        assert_eq!(VirtioHeader::parse(&virtio.to_bytes()), Ok((*virtio, &[][..])));
        assert_eq!(virtio.segmentation.is_some(), *count > 1);
        assert_eq!(Inner::parse(packet).map(|inner| inner.total_length), Ok(packet.len()));
    }
    left
}

/// The order within a flow is kept, that between flows is not.
fn by_flow(packets: &[Vec<u8>]) -> BTreeMap<Flow, Vec<Vec<u8>>> {
    let mut flows: BTreeMap<Flow, Vec<Vec<u8>>> = BTreeMap::new();
    for packet in packets {
        let inner = Inner::parse(packet).expect("parsed before");
        flows.entry(inner.flow).or_default().push(normal(&packet[..inner.total_length]));
    }
    flows
}

/// Without what is allowed to differ: the identification where DF is set (RFC 6864 §4.1), and which of its two
/// names a checksum of zero goes by.
fn normal(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let inner = Inner::parse(&packet).expect("parsed before");
    if inner.flow.is_v4() {
        if packet[6] & 0x40 != 0 {
            packet[4..6].fill(0);
            packet[10..12].fill(0);
        }
        one_zero(&mut packet, 10);
    }
    match inner.flow.protocol {
        6 if inner.fragment == Fragment::Whole => one_zero(&mut packet, inner.network_length + 16),
        _ => {}
    }
    packet
}

fn one_zero(packet: &mut [u8], place: usize) {
    if let Some(field) = packet.get_mut(place..place + 2).filter(|field| *field == [0xff, 0xff]) {
        field.fill(0);
    }
}

fn header_length(packet: &[u8], inner: &Inner) -> usize {
    let transport = match inner.flow.protocol {
        6 => usize::from(packet[inner.network_length + 12] >> 4) * 4,
        _ => 8,
    };
    inner.network_length + transport
}

fn is_intact(packet: &[u8], inner: &Inner) -> bool {
    let transport = &packet[inner.network_length..];
    let sum = Sum::ZERO.pseudo_header(packet, inner.flow.protocol, transport.len()).bytes(transport);
    (!inner.flow.is_v4() || Sum::ZERO.bytes(&packet[..inner.network_length]).is_intact()) && sum.is_intact()
}

fn pieces(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (piece, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        pieces.push(piece.to_vec());
        bytes = rest;
    }
    pieces
}

/// The first packet, then records of four bytes: a place in the header, what changes there, how much shorter
/// the payload is, and whether checksums are made right.
fn stream(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut first = pieces(bytes);
    if first.is_empty() {
        return first;
    }
    first.truncate(1);
    let first = first.remove(0);
    let Ok(inner) = Inner::parse(&first) else { return Vec::new() };
    let mut next = first[..inner.total_length].to_vec();
    let mut packets = Vec::new();
    for record in bytes.get(2 + first.len()..).unwrap_or_default().chunks_exact(4).take(100) {
        let &[place, change, shorter, right] = record else { continue };
        let mut packet = next.clone();
        packet.truncate(packet.len().saturating_sub(shorter.into()).max(inner.network_length + 20));
        if let Some(byte) = packet.get_mut(usize::from(place)) {
            *byte ^= change;
        }
        if right & 1 == 0 {
            make_right(&mut packet);
        }
        advance(&mut next, packet.len());
        packets.push(packet);
    }
    packets
}

/// What a sender counts up from one packet to the next.
fn advance(next: &mut [u8], length: usize) {
    let Ok(inner) = Inner::parse(next) else { return };
    if inner.flow.is_v4() {
        let identification = u16::from_be_bytes([next[4], next[5]]).wrapping_add(1);
        next[4..6].copy_from_slice(&identification.to_be_bytes());
    }
    if inner.flow.protocol != 6 || next.len() < inner.network_length + 20 {
        return;
    }
    let payload = length.saturating_sub(header_length(next, &inner)) as u32;
    let sequence = &mut next[inner.network_length + 4..inner.network_length + 8];
    let value = sequence.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
    sequence.copy_from_slice(&value.wrapping_add(payload).to_be_bytes());
}

/// Lengths and checksums as a sender would write them.
fn make_right(packet: &mut [u8]) {
    let length = packet.len() as u16;
    match packet[0] >> 4 {
        4 if length >= 20 => packet[2..4].copy_from_slice(&length.to_be_bytes()),
        6 if length >= 40 => packet[4..6].copy_from_slice(&(length - 40).to_be_bytes()),
        _ => return,
    }
    let Ok(inner) = Inner::parse(packet) else { return };
    let place = match inner.flow.protocol {
        6 => 16,
        17 => {
            let length = length - inner.network_length as u16;
            if let Some(field) = packet.get_mut(inner.network_length + 4..inner.network_length + 6) {
                field.copy_from_slice(&length.to_be_bytes());
            }
            6
        }
        _ => return,
    };
    let (network, transport) = packet.split_at_mut(inner.network_length);
    if transport.len() < place + 2 {
        return;
    }
    if inner.flow.is_v4() {
        network[10..12].fill(0);
        let sum = Sum::ZERO.bytes(network).finish();
        network[10..12].copy_from_slice(&sum);
    }
    transport[place..place + 2].fill(0);
    let sum = Sum::ZERO.pseudo_header(network, inner.flow.protocol, transport.len()).bytes(transport);
    let sum = if inner.flow.protocol == 17 { sum.finish_udp() } else { sum.finish() };
    transport[place..place + 2].copy_from_slice(&sum);
}
