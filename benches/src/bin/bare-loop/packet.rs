//! What both directions know of packets: a header and a tail as long as ESP's, and checksums.

use ring::aead::{Aad, LessSafeKey, Nonce};

/// Before a packet: four bytes that stand for an SPI, the number of the packet, and once more as what the
/// cipher starts from.
pub(crate) const FRONT: usize = 16;
/// Behind a packet: as much as padding length, next header and ICV take.
pub(crate) const BACK: usize = 2 + ICV;
const ICV: usize = 16;
/// Where the number stands that the cipher starts from.
const IV: usize = 8;

pub(crate) const IPV4: usize = 20;
/// Where fields of an IPv4 header and of a TCP header behind it stand.
pub(crate) const LENGTH: usize = 2;
pub(crate) const IDENTIFICATION: usize = 4;
pub(crate) const PROTOCOL: usize = 9;
pub(crate) const IPV4_CHECKSUM: usize = 10;
pub(crate) const SEQUENCE: usize = IPV4 + 4;
pub(crate) const DATA_OFFSET: usize = IPV4 + 12;
pub(crate) const FLAGS: usize = IPV4 + 13;
pub(crate) const TCP_CHECKSUM: usize = IPV4 + 16;
pub(crate) const TCP: u8 = 6;
pub(crate) const FIN: u8 = 0x01;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// Adds up bytes as 32-bit words; they fold into the checksum's 16 later.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let all: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    all + u64::from(u32::from_be_bytes(last))
}

/// The sum of what TCP's checksum covers besides the segment itself.
pub(crate) fn pseudo_header(packet: &[u8]) -> u64 {
    sum(&packet[12..20]) + u64::from(TCP) + (packet.len() - IPV4) as u64
}

pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

pub(crate) fn u16_at(packet: &[u8], place: usize) -> u16 {
    u16::from_be_bytes([packet[place], packet[place + 1]])
}

pub(crate) fn u32_at(packet: &[u8], place: usize) -> u32 {
    u32::from_be_bytes([packet[place], packet[place + 1], packet[place + 2], packet[place + 3]])
}

pub(crate) fn put(packet: &mut [u8], place: usize, bytes: &[u8]) {
    packet[place..place + bytes.len()].copy_from_slice(bytes);
}

/// Length and checksum of an IPv4 header, for a packet that is as long as the slice.
pub(crate) fn finish_ipv4(packet: &mut [u8]) {
    let length = packet.len() as u16;
    put(packet, LENGTH, &length.to_be_bytes());
    put(packet, IPV4_CHECKSUM, &[0, 0]);
    let checksum = !fold(sum(&packet[..IPV4]));
    put(packet, IPV4_CHECKSUM, &checksum.to_be_bytes());
}

/// How long IPv4 and TCP headers are together.
pub(crate) fn headers(packet: &[u8]) -> usize {
    IPV4 + usize::from(packet[DATA_OFFSET] >> 4) * 4
}

/// A frame begins with its number.
pub(crate) fn front(number: u64) -> [u8; FRONT] {
    let mut front = [0; FRONT];
    front[3] = 9;
    front[4..IV].copy_from_slice(&(number as u32).to_be_bytes());
    front[IV..].copy_from_slice(&number.to_be_bytes());
    front
}

/// Seals what lies between front and back of a frame.
pub(crate) fn seal(key: &LessSafeKey, frame: &mut [u8]) {
    let (front, rest) = frame.split_at_mut(FRONT);
    let (body, back) = rest.split_at_mut(rest.len() - BACK);
    if let Ok(icv) = key.seal_in_place_separate_tag(nonce(front), Aad::from(&front[..IV]), body) {
        back[BACK - ICV..].copy_from_slice(icv.as_ref());
    }
}

/// Opens it again, and says whether it is what was sealed.
pub(crate) fn open(key: &LessSafeKey, frame: &mut [u8]) -> bool {
    let (front, rest) = frame.split_at_mut(FRONT);
    // The ICV has to stand right behind the body.
    let end = rest.len() - ICV;
    rest.copy_within(end.., end - 2);
    let sealed = &mut rest[..end - 2 + ICV];
    key.open_in_place(nonce(front), Aad::from(&front[..IV]), sealed).is_ok()
}

fn nonce(front: &[u8]) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&front[IV..]);
    Nonce::assume_unique_for_key(nonce)
}
