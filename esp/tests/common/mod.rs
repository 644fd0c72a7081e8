//! What the tests of ESP share: suites, SAs and datagrams.

#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;
use tidegate_esp::crypto::{AesKey, Backend, Cipher, Integrity, KeyMaterial, Suite};
use tidegate_esp::{
    Direction, Encapsulation, Inbound, IvSecret, Limits, Marking, Outbound, Params, Path, Rejected,
    SelectorPair, SequenceNumbers, Spi, TfcPadding, TrafficSelector,
};

const AES: [AesKey; 3] = [AesKey::Bits128, AesKey::Bits192, AesKey::Bits256];
const INTEGRITY: [Integrity; 4] =
    [Integrity::HmacSha1_96, Integrity::HmacSha256_128, Integrity::HmacSha384_192, Integrity::HmacSha512_256];

/// A protocol for experiments (RFC 3692), so that datagrams may be as short as their IP header.
const NO_PORTS: u8 = 253;

/// Both widths of sequence number.
pub(crate) const SEQUENCE_NUMBERS: [SequenceNumbers; 2] = [SequenceNumbers::Short, SequenceNumbers::Extended];

/// Every suite there is.
pub(crate) fn suites() -> Vec<Suite> {
    let aead = AES
        .into_iter()
        .flat_map(|key| [Cipher::AesGcm16(key), Cipher::AesGmac(key)])
        .chain([Cipher::ChaCha20Poly1305])
        .filter_map(Suite::aead);
    let pairs = AES
        .into_iter()
        .map(Cipher::AesCbc)
        .chain([Cipher::Null])
        .flat_map(|cipher| INTEGRITY.into_iter().filter_map(move |i| Suite::with_integrity(cipher, i)));
    let plain: Vec<Suite> = aead.chain(pairs).collect();
    let implicit = plain.iter().filter_map(|suite| suite.with_implicit_iv());
    plain.iter().copied().chain(implicit).collect()
}

/// The suite most SAs have.
pub(crate) fn gcm() -> Suite {
    Suite::aead(Cipher::AesGcm16(AesKey::Bits128)).unwrap()
}

/// A suite of two algorithms.
pub(crate) fn cbc() -> Suite {
    Suite::with_integrity(Cipher::AesCbc(AesKey::Bits128), Integrity::HmacSha256_128).unwrap()
}

/// Every backend that is compiled in.
pub(crate) fn backends() -> Vec<Backend> {
    vec![
        Backend::Ring,
        #[cfg(feature = "aws-lc-rs")]
        Backend::AwsLc,
    ]
}

/// One direction of an SA.
pub(crate) fn params(suite: Suite) -> Params {
    Params {
        direction: Direction::Outbound,
        spi: Spi::new(0x1122_3344).unwrap(),
        suite,
        keys: keys(suite),
        sequence_numbers: SequenceNumbers::Short,
        selectors: Arc::new(everything()),
        path: Path {
            local: "192.0.2.1:4500".parse().unwrap(),
            remote: "192.0.2.2:4500".parse().unwrap(),
            encapsulation: Encapsulation::Udp,
        },
        limits: Limits::NONE,
        replay_window: 1024,
        tfc: TfcPadding::None,
        marking: Marking::default(),
    }
}

/// Keys that differ in every byte.
pub(crate) fn keys(suite: Suite) -> KeyMaterial {
    let encryption: Vec<u8> = (1..).take(suite.encryption_key_len()).collect();
    let integrity: Vec<u8> = (101..).take(suite.integrity_key_len()).collect();
    KeyMaterial::new(&encryption, &integrity)
}

/// What covers every flow.
pub(crate) fn everything() -> SelectorPair {
    let all = vec![TrafficSelector::any_v4(), TrafficSelector::any_v6()];
    SelectorPair { local: all.clone(), remote: all }
}

/// Both ends of one direction, with ring.
pub(crate) fn pair(params: &Params) -> (Outbound, Inbound) {
    (outbound(params), Inbound::new(Backend::Ring, params).unwrap())
}

/// The sealing end, with ring.
pub(crate) fn outbound(params: &Params) -> Outbound {
    Outbound::new(Backend::Ring, params, &IvSecret::new([0x5a; 16])).unwrap()
}

/// An IPv4 datagram of this length, at least a header.
pub(crate) fn ipv4(len: usize) -> Vec<u8> {
    let mut datagram: Vec<u8> = (0..len).map(|i| i as u8).collect();
    datagram[..20]
        .copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, NO_PORTS, 0, 0, 10, 0, 1, 1, 10, 0, 2, 2]);
    datagram[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    datagram
}

/// An IPv6 datagram of this length, at least a header.
pub(crate) fn ipv6(len: usize) -> Vec<u8> {
    let mut datagram: Vec<u8> = (0..len).map(|i| i as u8).collect();
    datagram[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 0, NO_PORTS, 64]);
    datagram[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
    datagram
}

/// One datagram sealed with the next number.
pub(crate) fn sealed(outbound: &Outbound, datagram: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0xee; outbound.sealed_len(datagram.len())];
    let front = outbound.front_len();
    buffer[front..front + datagram.len()].copy_from_slice(datagram);
    let length = outbound.reserve(1).unwrap().seal(&mut buffer, datagram.len()).unwrap();
    assert_eq!(length, buffer.len());
    buffer
}

/// What comes out of a packet.
pub(crate) fn opened(inbound: &Inbound, packet: &[u8]) -> Result<Vec<u8>, Rejected> {
    let mut packet = packet.to_vec();
    let admitted = inbound.opener().open(&mut packet)?.admit()?;
    Ok(admitted.datagram.to_vec())
}

/// Integrity without a cipher, for tests that make a packet by hand.
pub(crate) fn null() -> Suite {
    Suite::with_integrity(Cipher::Null, Integrity::HmacSha256_128).unwrap()
}

/// A packet that only a peer with the keys can make, with any plaintext: what a hostile one might send.
/// The suite must have no IV.
pub(crate) fn forge(params: &Params, number: u64, plaintext: &[u8]) -> Vec<u8> {
    use tidegate_esp::crypto::SealingKey;
    let header = [params.spi.to_be_bytes(), (number as u32).to_be_bytes()].concat();
    let mut packet = [&header, plaintext, &vec![0; params.suite.icv_len()]].concat();
    let (body, icv) = packet[8..].split_at_mut(plaintext.len());
    let high = ((number >> 32) as u32).to_be_bytes();
    let tail: &[u8] = match params.sequence_numbers {
        SequenceNumbers::Short => &[],
        SequenceNumbers::Extended => &high,
    };
    SealingKey::new(Backend::Ring, params.suite, &params.keys)
        .unwrap()
        .seal(&[], &header, body, tail, icv)
        .unwrap();
    packet
}

/// Bytes of a hexadecimal string; anything that is not a digit only separates.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
