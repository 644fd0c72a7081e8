//! Any bytes, and anything an authentic peer or a forger can make of packets, through one inbound SA.
//!
//! The first three bytes choose suite, width of the sequence number and window; what follows is a row of
//! steps. A naive model of the window (RFC 4303 §3.4.3, appendix A2) says which packets have to open.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate_esp::crypto::{AesKey, Backend, Cipher, Integrity, KeyMaterial, SealingKey, Suite};
use tidegate_esp::{
    Direction, Encapsulation, Inbound, Inner, IvSecret, Limits, Marking, Outbound, Params, Path, Rejected,
    SelectorPair, SequenceNumbers, Spi, TfcPadding, TrafficSelector,
};

const WINDOWS: [u16; 6] = [0, 32, 33, 64, 1024, 8192];

fuzz_target!(|input: &[u8]| {
    let Some((&[suite, wide, window], steps)) = input.split_first_chunk() else { return };
    let params = params(suite, wide, window);
    let mut run = Run::new(&params);
    let mut steps = Steps(steps);
    while let Some(step) = steps.byte() {
        match step % 7 {
            0 => run.raw(steps.bytes(), false),
            1 => run.raw(steps.bytes(), true),
            2 => run.send(steps.word()),
            3 => run.damage(steps.word(), steps.word(), steps.byte().unwrap_or(0)),
            4 => run.again(steps.byte().unwrap_or(0)),
            5 => run.skip(steps.word()),
            _ => run.authentic(steps.bytes()),
        }
    }
});

struct Run<'a> {
    params: &'a Params,
    outbound: Outbound,
    inbound: Inbound,
    model: Model,
    /// Packets sealed, each with its number and its datagram.
    sent: Vec<(u64, Vec<u8>, Vec<u8>)>,
}

impl<'a> Run<'a> {
    fn new(params: &'a Params) -> Self {
        let outbound = Outbound::new(Backend::Ring, params, &IvSecret::new([9; 16])).expect("fitting keys");
        let inbound = Inbound::new(Backend::Ring, params).expect("fitting keys");
        Self { params, outbound, inbound, model: Model::new(params), sent: Vec::new() }
    }

    /// Bytes nobody sealed, perhaps behind our own index.
    fn raw(&mut self, bytes: &[u8], ours: bool) {
        let mut packet = bytes.to_vec();
        if let Some(spi) = packet.first_chunk_mut().filter(|_| ours) {
            *spi = self.params.spi.to_be_bytes();
        }
        let rejected = self.open(&packet).expect_err("nobody sealed it");
        assert_eq!(rejected.authentic, None);
    }

    /// The next number, on a datagram of about that length, delivered at once.
    fn send(&mut self, length: u16) {
        if let Some(index) = self.seal(length) {
            self.deliver(index);
        }
    }

    /// The next number, delivered with one byte changed, then as it is.
    fn damage(&mut self, length: u16, at: u16, change: u8) {
        let Some(index) = self.seal(length) else { return };
        if change != 0 {
            let mut packet = self.sent[index].1.clone();
            let at = usize::from(at) % packet.len();
            packet[at] ^= change;
            let rejected = self.open(&packet).expect_err("damaged");
            assert_eq!(rejected.authentic, None);
            let rejected = self.open(&packet[..at]).expect_err("cut short");
            assert_eq!(rejected.authentic, None);
        }
        self.deliver(index);
    }

    /// One of the packets from before.
    fn again(&mut self, which: u8) {
        if !self.sent.is_empty() {
            self.deliver(usize::from(which) % self.sent.len());
        }
    }

    /// Numbers that are lost, up to 2^31 of them.
    fn skip(&mut self, how_many: u16) {
        let packets = 1_u32 << (how_many >> 11) | u32::from(how_many & 0x7ff);
        let _ = self.outbound.reserve(packets);
    }

    /// Any plaintext, sealed by a peer that has the keys.
    fn authentic(&mut self, plaintext: &[u8]) {
        let Some(number) = self.number() else { return };
        let Some(packet) = seal_by_hand(self.params, number, plaintext) else { return };
        // What has no trailer is not even looked at.
        let expected = plaintext.len() >= 2 && self.model.take(number);
        match self.open(&packet) {
            Ok(datagram) => {
                assert!(expected && plaintext.starts_with(&datagram));
                assert_eq!(Inner::parse(&datagram).map(|inner| inner.total_length), Ok(datagram.len()));
            }
            Err(rejected) => assert_eq!(rejected.authentic.is_some(), expected, "{rejected:?}"),
        }
    }

    fn deliver(&mut self, index: usize) {
        let (number, packet, datagram) = &self.sent[index];
        match self.open(packet) {
            Ok(opened) => {
                assert!(self.model.take(*number));
                assert_eq!(opened, *datagram);
            }
            Err(rejected) => {
                assert!(!self.model.take(*number), "{rejected:?}");
                assert_eq!(rejected.authentic, None);
            }
        }
    }

    fn seal(&mut self, length: u16) -> Option<usize> {
        let length = usize::from(length % 3000).max(20);
        let mut datagram = vec![0x45; length];
        datagram[6..8].fill(0);
        datagram[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        let mut packet = vec![0xee; self.outbound.sealed_len(length)];
        let front = self.outbound.front_len();
        packet[front..front + length].copy_from_slice(&datagram);
        let mut reservation = self.outbound.reserve(1).ok()?;
        let sealed = reservation.seal(&mut packet, length).expect("there is room");
        assert_eq!(sealed, packet.len());
        self.sent.push((self.outbound.packets(), packet, datagram));
        Some(self.sent.len() - 1)
    }

    /// Takes a number without a packet.
    fn number(&self) -> Option<u64> {
        self.outbound.reserve(1).ok().map(|_| self.outbound.packets())
    }

    fn open(&self, packet: &[u8]) -> Result<Vec<u8>, Rejected> {
        let mut packet = packet.to_vec();
        let opened = self.inbound.opener().open(&mut packet)?;
        opened.admit().map(|admitted| admitted.datagram.to_vec())
    }
}

/// Which numbers may come, the slow way.
struct Model {
    window: u64,
    extended: bool,
    top: u64,
    seen: BTreeSet<u64>,
}

impl Model {
    fn new(params: &Params) -> Self {
        Self {
            window: params.replay_window.into(),
            extended: params.sequence_numbers == SequenceNumbers::Extended,
            top: 0,
            seen: BTreeSet::new(),
        }
    }

    /// Whether a packet with this number must get through, which then has come.
    fn take(&mut self, number: u64) -> bool {
        let guessed = !self.extended || self.guess(number as u32) == i128::from(number);
        let fresh = self.window == 0 || number + self.window > self.top && !self.seen.contains(&number);
        if guessed && fresh {
            self.seen.insert(number);
            self.top = self.top.max(number);
        }
        guessed && fresh
    }

    /// RFC 4303 appendix A2.2: the only number with this low half from the bottom of the window on.
    fn guess(&self, low: u32) -> i128 {
        let span = if self.window == 0 { 1 << 31 } else { i128::from(self.window) };
        let bottom = i128::from(self.top) - span + 1;
        bottom + (i128::from(low) - bottom).rem_euclid(1 << 32)
    }
}

/// Records of the input, which ends anywhere.
struct Steps<'a>(&'a [u8]);

impl<'a> Steps<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte().unwrap_or(0), self.byte().unwrap_or(0)])
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

/// A packet made without [`Outbound`], which seals nothing but datagrams. `None` for suites whose plaintext
/// has to be aligned or which are sealed in another way.
fn seal_by_hand(params: &Params, number: u64, plaintext: &[u8]) -> Option<Vec<u8>> {
    let suite = params.suite;
    let spi = params.spi.to_be_bytes();
    let number = number.to_be_bytes();
    let (high, low) = number.split_at(4);
    let (aad, tail) = match (params.sequence_numbers, suite.is_aead()) {
        (SequenceNumbers::Extended, true) => ([&spi, high, low].concat(), &[][..]),
        (SequenceNumbers::Extended, false) => ([&spi, low].concat(), high),
        (SequenceNumbers::Short, _) => ([&spi, low].concat(), &[][..]),
    };
    let iv = match suite.cipher() {
        Cipher::AesGcm16(_) | Cipher::ChaCha20Poly1305 => number.to_vec(),
        Cipher::Null => Vec::new(),
        Cipher::AesCbc(_) | Cipher::AesGmac(_) => return None,
    };
    let sent = if suite.implicit_iv() { &[][..] } else { &iv };
    let mut packet = [&spi, low, sent, plaintext, &vec![0; suite.icv_len()]].concat();
    let (body, icv) = packet[8 + sent.len()..].split_at_mut(plaintext.len());
    let key = SealingKey::new(Backend::Ring, suite, &params.keys).expect("fitting keys");
    key.seal(&iv, &aad, body, tail, icv).expect("fitting lengths");
    Some(packet)
}

fn params(suite: u8, wide: u8, window: u8) -> Params {
    let suites = suites();
    let suite = suites[usize::from(suite) % suites.len()];
    let encryption: Vec<u8> = (1..).take(suite.encryption_key_len()).collect();
    let integrity: Vec<u8> = (101..).take(suite.integrity_key_len()).collect();
    let selectors = vec![TrafficSelector::any_v4(), TrafficSelector::any_v6()];
    let address = ([192, 0, 2, 1], 4500).into();
    Params {
        direction: Direction::Inbound,
        spi: Spi::new(0x1122_3344).expect("not reserved"),
        suite,
        keys: KeyMaterial::new(&encryption, &integrity),
        sequence_numbers: if wide & 1 == 0 { SequenceNumbers::Short } else { SequenceNumbers::Extended },
        selectors: Arc::new(SelectorPair { local: selectors.clone(), remote: selectors }),
        path: Path { local: address, remote: address, encapsulation: Encapsulation::Udp },
        limits: Limits::NONE,
        replay_window: WINDOWS[usize::from(window) % WINDOWS.len()],
        tfc: if wide & 2 == 0 { TfcPadding::None } else { TfcPadding::To(600) },
        marking: Marking::default(),
    }
}

fn suites() -> Vec<Suite> {
    let gcm = Suite::aead(Cipher::AesGcm16(AesKey::Bits128));
    let chacha = Suite::aead(Cipher::ChaCha20Poly1305);
    [
        gcm,
        Suite::aead(Cipher::AesGcm16(AesKey::Bits256)),
        chacha,
        Suite::aead(Cipher::AesGmac(AesKey::Bits128)),
        Suite::with_integrity(Cipher::AesCbc(AesKey::Bits256), Integrity::HmacSha256_128),
        Suite::with_integrity(Cipher::AesCbc(AesKey::Bits128), Integrity::HmacSha384_192),
        Suite::with_integrity(Cipher::Null, Integrity::HmacSha512_256),
        Suite::with_integrity(Cipher::Null, Integrity::HmacSha1_96),
        gcm.and_then(Suite::with_implicit_iv),
        chacha.and_then(Suite::with_implicit_iv),
    ]
    .map(|suite| suite.expect("a suite"))
    .to_vec()
}
