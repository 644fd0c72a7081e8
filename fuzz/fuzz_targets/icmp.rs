//! Any packet, answered or its SYN clamped: what is written must be well formed, and never answered again.
//!
//! The first three bytes choose the answer and an MTU; the packet follows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use tidegate_esp::Inner;
use tidegate_esp::checksum::Sum;
use tidegate_esp::icmp::{ANSWER_MAX, Answer, Silence, answer};
use tidegate_esp::mss::{TransportChecksum, clamp};

fuzz_target!(|input: &[u8]| {
    let Some((&[kind, high, low], packet)) = input.split_first_chunk() else { return };
    let mtu = usize::from(u16::from_be_bytes([high, low]));
    let Ok(inner) = Inner::parse(packet) else { return };
    check_answer(kind, mtu, packet, &inner);
    check_clamp(mtu, packet, &inner);
});

fn check_answer(kind: u8, mtu: usize, packet: &[u8], inner: &Inner) {
    let what = match kind % 3 {
        0 => Answer::TooBig { mtu },
        1 => Answer::HostUnreachable,
        _ => Answer::Prohibited,
    };
    let v4 = inner.flow.is_v4() != (kind & 0x80 != 0);
    let from: IpAddr = if v4 { [10, 9, 8, 7].into() } else { [0xfd00, 0, 0, 0, 0, 0, 0, 1].into() };
    let mut out = [0xaa; ANSWER_MAX + 1];
    let length = match answer(packet, inner, what, from, &mut out) {
        Ok(length) => length,
        Err(silence) => {
            assert!(silence != Silence::Buffer);
            return;
        }
    };
    assert!(length <= ANSWER_MAX && out[length..].iter().all(|byte| *byte == 0xaa));
    let told = &out[..length];
    let read = Inner::parse(told).expect("an answer is a packet");
    assert_eq!((read.flow.source, read.flow.destination), (from, inner.flow.source));
    assert_eq!(read.total_length, length);
    let (network, message) = told.split_at(read.network_length);
    let sum = match inner.flow.is_v4() {
        true => {
            assert!(Sum::ZERO.bytes(network).is_intact());
            Sum::ZERO
        }
        false => Sum::ZERO.pseudo_header(network, 58, message.len()),
    };
    assert!(sum.bytes(message).is_intact());
    assert!(packet[..inner.total_length].starts_with(&message[8..]));
    // An error is never answered with an error: two gateways would do it forever.
    let mut again = [0; ANSWER_MAX];
    assert_eq!(answer(told, &read, what, inner.flow.destination, &mut again), Err(Silence::Error));
    assert_eq!(answer(packet, inner, what, from, &mut out[..length - 1]), Err(Silence::Buffer));
}

fn check_clamp(mtu: usize, packet: &[u8], inner: &Inner) {
    let mut clamped = packet.to_vec();
    let Some(change) = clamp(&mut clamped, inner, mtu, TransportChecksum::Complete) else {
        assert_eq!(clamped, packet);
        return;
    };
    assert!(change.to < change.from && usize::from(change.to) < mtu);
    assert_eq!(Inner::parse(&clamped).as_ref(), Ok(inner));
    let intact = |packet: &[u8]| {
        let transport = &packet[inner.network_length..inner.total_length];
        Sum::ZERO.pseudo_header(packet, 6, transport.len()).bytes(transport).is_intact()
    };
    assert_eq!(intact(&clamped), intact(packet));
    assert_eq!(clamp(&mut clamped, inner, mtu, TransportChecksum::Complete), None);
}
