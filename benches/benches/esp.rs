//! Sealing and opening ESP beside the bare cipher of the same provider.
//!
//! Both sides work through the same batch of buffers, so they meet the same caches. `esp` does all that an
//! SA does to a packet; `raw` is the cipher alone over a body of the datagram's length, and `body` the cipher
//! alone over what ESP makes of it, trailer and padding included.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_esp::crypto::{AesKey, Backend, Cipher, Integrity, KeyMaterial, Suite};
use tidegate_esp::{
    Direction, Encapsulation, Inbound, IvSecret, Limits, Marking, Outbound, Params, Path, SelectorPair,
    SequenceNumbers, Spi, TfcPadding,
};

/// Packets a worker takes at once.
const BATCH: usize = 64;
const ICV_LEN: usize = 16;
/// Datagram lengths by name; the last is the simple IMIX of 7 : 4 : 1.
const MIXES: [(&str, &[usize]); 5] = [
    ("64", &[64]),
    ("576", &[576]),
    ("1408", &[1408]),
    ("8960", &[8960]),
    ("imix", &[64, 64, 576, 64, 64, 576, 64, 1408, 576, 64, 64, 576]),
];

/// What the cipher alone works on, each with room for an ICV behind: the datagram, or the body around it.
type Part = fn(&mut Packet) -> &mut [u8];
const RAW_SERIES: [(&str, Part); 2] = [("raw", Packet::datagram), ("body", Packet::body)];

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500));
    targets = seal, open, suites
}

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    ratios();
}

/// How near to the cipher alone ESP comes. On a machine that others use too, figures taken seconds apart do
/// not compare: here the series take turns, pass by pass, and the best pass of each counts.
#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
fn ratios() {
    const PASSES: usize = 400;
    for (provider, backend, raw) in providers() {
        for (name, mix) in MIXES {
            let (outbound, inbound) = (outbound(backend, gcm()), inbound(backend, gcm()));
            let mut batch = Batch::new(mix, &outbound);
            let mixes = (batch.packets.len() / mix.len()) as u64;
            let mut best = [Duration::MAX; 6];
            for _ in 0..PASSES {
                for (series, (_, part)) in RAW_SERIES.into_iter().enumerate() {
                    let time = batch.timed(mixes, |packets| raw.seal_all(packets, part));
                    best[series] = best[series].min(time);
                    let time = batch.timed_after(
                        mixes,
                        |packets| raw.seal_all(packets, part),
                        |packets| raw.open_all(packets, part),
                    );
                    best[series + 3] = best[series + 3].min(time);
                }
                let time = batch.timed(mixes, |packets| seal_all(&outbound, packets));
                best[2] = best[2].min(time);
                let time = batch.timed_after(
                    mixes,
                    |packets| seal_all(&outbound, packets),
                    |packets| open_all(&inbound, packets),
                );
                best[5] = best[5].min(time);
            }
            let nanos = best.map(|time| time.as_nanos() as f64 / batch.packets.len() as f64);
            for (operation, [raw, body, esp]) in
                [("seal", [nanos[0], nanos[1], nanos[2]]), ("open", [nanos[3], nanos[4], nanos[5]])]
            {
                println!(
                    "{operation} {provider} {name:>5}: raw {raw:6.1} ns, body {body:6.1} ns, esp {esp:6.1} ns: \
                     {:5.1}% of raw, {:5.1}% of body",
                    100.0 * raw / esp,
                    100.0 * body / esp,
                );
            }
        }
    }
}

fn seal(criterion: &mut Criterion) {
    for (provider, backend, raw) in providers() {
        let mut group = criterion.benchmark_group(format!("seal/{provider}"));
        for (name, mix) in MIXES {
            group.throughput(Throughput::Bytes(bytes(mix)));
            for (series, part) in RAW_SERIES {
                group.bench_function(BenchmarkId::new(series, name), |bencher| {
                    let mut batch = Batch::new(mix, &outbound(backend, gcm()));
                    bencher.iter_custom(|times| batch.timed(times, |packets| raw.seal_all(packets, part)));
                });
            }
            group.bench_function(BenchmarkId::new("esp", name), |bencher| {
                let outbound = outbound(backend, gcm());
                let mut batch = Batch::new(mix, &outbound);
                bencher.iter_custom(|times| batch.timed(times, |packets| seal_all(&outbound, packets)));
            });
        }
    }
}

fn open(criterion: &mut Criterion) {
    for (provider, backend, raw) in providers() {
        let mut group = criterion.benchmark_group(format!("open/{provider}"));
        for (name, mix) in MIXES {
            group.throughput(Throughput::Bytes(bytes(mix)));
            for (series, part) in RAW_SERIES {
                group.bench_function(BenchmarkId::new(series, name), |bencher| {
                    let mut batch = Batch::new(mix, &outbound(backend, gcm()));
                    bencher.iter_custom(|times| {
                        batch.timed_after(
                            times,
                            |packets| raw.seal_all(packets, part),
                            |packets| raw.open_all(packets, part),
                        )
                    });
                });
            }
            group.bench_function(BenchmarkId::new("esp", name), |bencher| {
                let outbound = outbound(backend, gcm());
                let inbound = inbound(backend, gcm());
                let mut batch = Batch::new(mix, &outbound);
                bencher.iter_custom(|times| {
                    batch.timed_after(
                        times,
                        |packets| seal_all(&outbound, packets),
                        |packets| open_all(&inbound, packets),
                    )
                });
            });
        }
    }
}

/// The other suites, for comparison among themselves.
fn suites(criterion: &mut Criterion) {
    let suites = [
        ("aes-gcm-256", Suite::aead(Cipher::AesGcm16(AesKey::Bits256))),
        ("chacha20-poly1305", Suite::aead(Cipher::ChaCha20Poly1305)),
        ("aes-gmac-128", Suite::aead(Cipher::AesGmac(AesKey::Bits128))),
        (
            "aes-cbc-128-sha256",
            Suite::with_integrity(Cipher::AesCbc(AesKey::Bits128), Integrity::HmacSha256_128),
        ),
        ("null-sha256", Suite::with_integrity(Cipher::Null, Integrity::HmacSha256_128)),
    ];
    let mix: &[usize] = &[1408];
    let mut group = criterion.benchmark_group("suites/1408");
    group.throughput(Throughput::Bytes(bytes(mix)));
    for (name, suite) in suites {
        let Some(suite) = suite else { continue };
        group.bench_function(BenchmarkId::new("seal", name), |bencher| {
            let outbound = outbound(Backend::Ring, suite);
            let mut batch = Batch::new(mix, &outbound);
            bencher.iter_custom(|times| batch.timed(times, |packets| seal_all(&outbound, packets)));
        });
        group.bench_function(BenchmarkId::new("open", name), |bencher| {
            let (outbound, inbound) = (outbound(Backend::Ring, suite), inbound(Backend::Ring, suite));
            let mut batch = Batch::new(mix, &outbound);
            bencher.iter_custom(|times| {
                batch.timed_after(
                    times,
                    |packets| seal_all(&outbound, packets),
                    |packets| open_all(&inbound, packets),
                )
            });
        });
    }
}

fn seal_all(outbound: &Outbound, packets: &mut [Packet]) {
    for chunk in packets.chunks_mut(BATCH) {
        let mut reservation = outbound.reserve(chunk.len() as u32).unwrap_or_else(|_| unreachable!());
        for packet in chunk {
            packet.sealed = reservation.seal(&mut packet.buffer, packet.datagram_len).unwrap_or(0);
        }
    }
}

fn open_all(inbound: &Inbound, packets: &mut [Packet]) {
    for chunk in packets.chunks_mut(BATCH) {
        let mut opener = inbound.opener();
        for packet in chunk {
            let opened = opener.open(&mut packet.buffer[..packet.sealed]);
            let Ok(datagram) = opened.and_then(|opened| opened.admit(|_, _| true)) else {
                unreachable!("it was sealed for this SA")
            };
            black_box(datagram);
        }
    }
}

/// Buffers enough that a pass takes far longer than reading the clock, few enough to stay in the cache.
struct Batch {
    packets: Vec<Packet>,
    mix_len: usize,
}

struct Packet {
    buffer: Vec<u8>,
    front: usize,
    datagram_len: usize,
    sealed: usize,
}

impl Batch {
    fn new(mix: &[usize], outbound: &Outbound) -> Self {
        let rounds = (1 << 18) / mix.iter().sum::<usize>() + 1;
        let packets = (0..rounds)
            .flat_map(|_| mix)
            .map(|&datagram_len| Packet {
                buffer: vec![0; outbound.sealed_len(datagram_len)],
                front: outbound.front_len(),
                datagram_len,
                sealed: 0,
            })
            .collect();
        Self { packets, mix_len: mix.len() }
    }

    fn timed(&mut self, times: u64, work: impl FnMut(&mut [Packet])) -> Duration {
        self.timed_after(times, |_| {}, work)
    }

    /// Time for `times` runs of the mix, of `work` alone.
    fn timed_after(
        &mut self,
        times: u64,
        mut prepare: impl FnMut(&mut [Packet]),
        mut work: impl FnMut(&mut [Packet]),
    ) -> Duration {
        let mut left = times;
        let mut total = Duration::ZERO;
        while left > 0 {
            let mixes = left.min((self.packets.len() / self.mix_len) as u64);
            let packets = &mut self.packets[..mixes as usize * self.mix_len];
            packets.iter_mut().for_each(Packet::reset);
            prepare(packets);
            let start = Instant::now();
            work(packets);
            total += start.elapsed();
            black_box(&packets);
            left -= mixes;
        }
        total
    }
}

impl Packet {
    /// An IPv4 header that is true of the length; the rest does not matter.
    fn reset(&mut self) {
        let header = &mut self.buffer[self.front..self.front + 20];
        header.fill(0);
        header[0] = 0x45;
        header[2..4].copy_from_slice(&(self.datagram_len as u16).to_be_bytes());
    }

    fn datagram(&mut self) -> &mut [u8] {
        &mut self.buffer[self.front..self.front + self.datagram_len + ICV_LEN]
    }

    fn body(&mut self) -> &mut [u8] {
        &mut self.buffer[self.front..]
    }
}

enum Raw {
    Ring(ring::aead::LessSafeKey),
    #[cfg(feature = "aws-lc-rs")]
    AwsLc(aws_lc_rs::aead::LessSafeKey),
}

impl Raw {
    fn seal_all(&self, packets: &mut [Packet], part: Part) {
        for (number, packet) in packets.iter_mut().enumerate() {
            self.seal(number as u64, part(packet));
        }
    }

    fn open_all(&self, packets: &mut [Packet], part: Part) {
        for (number, packet) in packets.iter_mut().enumerate() {
            self.open(number as u64, part(packet));
        }
    }

    fn seal(&self, number: u64, body_and_icv: &mut [u8]) {
        let split = body_and_icv.len() - ICV_LEN;
        let (body, icv) = body_and_icv.split_at_mut(split);
        match self {
            Self::Ring(key) => {
                use ring::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce(number));
                if let Ok(tag) = key.seal_in_place_separate_tag(nonce, Aad::from([7; 8]), body) {
                    icv.copy_from_slice(tag.as_ref());
                }
            }
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce(number));
                if let Ok(tag) = key.seal_in_place_separate_tag(nonce, Aad::from([7; 8]), body) {
                    icv.copy_from_slice(tag.as_ref());
                }
            }
        }
    }

    fn open(&self, number: u64, body_and_icv: &mut [u8]) {
        let opened = match self {
            Self::Ring(key) => {
                use ring::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce(number));
                key.open_in_place(nonce, Aad::from([7; 8]), body_and_icv).is_ok()
            }
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce(number));
                key.open_in_place(nonce, Aad::from([7; 8]), body_and_icv).is_ok()
            }
        };
        assert!(opened);
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [9; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}

fn providers() -> Vec<(&'static str, Backend, Raw)> {
    vec![
        ("ring", Backend::Ring, {
            use ring::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
            Raw::Ring(LessSafeKey::new(
                UnboundKey::new(&AES_128_GCM, &[3; 16]).unwrap_or_else(|_| unreachable!()),
            ))
        }),
        #[cfg(feature = "aws-lc-rs")]
        ("aws-lc", Backend::AwsLc, {
            use aws_lc_rs::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
            Raw::AwsLc(LessSafeKey::new(
                UnboundKey::new(&AES_128_GCM, &[3; 16]).unwrap_or_else(|_| unreachable!()),
            ))
        }),
    ]
}

fn gcm() -> Suite {
    Suite::aead(Cipher::AesGcm16(AesKey::Bits128)).unwrap_or_else(|| unreachable!())
}

fn outbound(backend: Backend, suite: Suite) -> Outbound {
    Outbound::new(backend, &params(suite), &IvSecret::new([5; 16])).unwrap_or_else(|_| unreachable!())
}

fn inbound(backend: Backend, suite: Suite) -> Inbound {
    Inbound::new(backend, &params(suite)).unwrap_or_else(|_| unreachable!())
}

fn params(suite: Suite) -> Params {
    let outer = std::net::SocketAddr::from(([192, 0, 2, 1], 4500));
    Params {
        direction: Direction::Outbound,
        spi: Spi::new(0x1000).unwrap_or_else(|| unreachable!()),
        suite,
        keys: KeyMaterial::new(&vec![3; suite.encryption_key_len()], &vec![4; suite.integrity_key_len()]),
        // The wider numbers are what a fast SA needs, and cost more.
        sequence_numbers: SequenceNumbers::Extended,
        selectors: Arc::new(SelectorPair::default()),
        path: Path { local: outer, remote: outer, encapsulation: Encapsulation::Udp },
        limits: Limits { soft_bytes: 1 << 60, hard_bytes: 1 << 61, ..Limits::NONE },
        replay_window: 1024,
        tfc: TfcPadding::None,
        marking: Marking::default(),
    }
}

fn bytes(mix: &[usize]) -> u64 {
    mix.iter().sum::<usize>() as u64
}
