//! What is written of keys, and that Wireshark can use it.

mod ike;

use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tidegate::keylog::{KeyLog, esp_line};
use tidegate_esp::crypto::{AesKey, Backend, Cipher, Integrity, KeyMaterial, Suite};
use tidegate_esp::{
    Direction, Encapsulation, IvSecret, Limits, Marking, Outbound, Params, SelectorPair, SequenceNumbers,
    Spi, TfcPadding,
};

fn params(suite: Suite, direction: Direction, local: &str, remote: &str) -> Params {
    let salt = match suite.cipher() {
        Cipher::AesGcm16(_) | Cipher::AesGmac(_) | Cipher::ChaCha20Poly1305 => 4,
        Cipher::AesCbc(_) | Cipher::Null => 0,
    };
    let key = match suite.cipher() {
        Cipher::AesGcm16(key) | Cipher::AesGmac(key) | Cipher::AesCbc(key) => key.byte_len(),
        Cipher::ChaCha20Poly1305 => 32,
        Cipher::Null => 0,
    };
    let bytes = |count: usize| (1..=u8::MAX).cycle().take(count).collect::<Vec<u8>>();
    let integrity = suite.integrity().map_or(0, Integrity::key_len);
    let all = |text: &str| vec![text.parse().expect("a subnet")];
    Params {
        direction,
        spi: Spi::new(0xc000_0001).expect("not reserved"),
        suite,
        keys: KeyMaterial::new(&bytes(key + salt), &bytes(integrity)),
        sequence_numbers: SequenceNumbers::Short,
        selectors: Arc::new(SelectorPair { local: all("0.0.0.0/0"), remote: all("0.0.0.0/0") }),
        path: tidegate_esp::Path {
            local: format!("{local}:4500").parse().expect("an address"),
            remote: format!("{remote}:4500").parse().expect("an address"),
            encapsulation: Encapsulation::Udp,
        },
        limits: Limits::NONE,
        replay_window: 32,
        tfc: TfcPadding::None,
        marking: Marking::default(),
    }
}

fn gcm() -> Suite {
    Suite::aead(Cipher::AesGcm16(AesKey::Bits128)).expect("it authenticates")
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tidegate-keylog-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[test]
fn a_line_names_both_ends_as_they_stand_in_packets() {
    let inbound = params(gcm(), Direction::Inbound, "192.0.2.1", "198.51.100.2");
    let expected = concat!(
        r#""IPv4","198.51.100.2","192.0.2.1","0xc0000001","AES-GCM with 16 octet ICV [RFC4106]","#,
        r#""0x0102030405060708090a0b0c0d0e0f1011121314","NULL","","32-bit","0""#
    );
    assert_eq!(esp_line(&inbound).as_str(), expected);

    let outbound = params(gcm(), Direction::Outbound, "[::ffff:192.0.2.1]", "[::ffff:198.51.100.2]");
    assert!(esp_line(&outbound).starts_with(r#""IPv4","192.0.2.1","198.51.100.2","#));
    let mut six = params(gcm(), Direction::Outbound, "[2001:db8::1]", "[2001:db8::2]");
    six.sequence_numbers = SequenceNumbers::Extended;
    let line = esp_line(&six);
    assert!(line.starts_with(r#""IPv6","2001:db8::1","2001:db8::2","#));
    assert!(line.ends_with(r#""64-bit","0""#));
}

#[test]
fn the_file_is_for_its_owner_alone_and_grows() {
    let folder = folder("file");
    let inbound = params(gcm(), Direction::Inbound, "192.0.2.1", "198.51.100.2");
    for _ in 0..2 {
        KeyLog::open(&folder).and_then(|mut log| log.esp(&inbound)).expect("a folder of ours");
    }
    let path = folder.join("esp_sa");
    let mode = |path: &Path| path.metadata().expect("it is there").mode() & 0o777;
    let ike = folder.join("ikev2_decryption_table");
    assert_eq!((mode(&folder), mode(&path), mode(&ike)), (0o700, 0o600, 0o600));
    let line = format!("{}\n", esp_line(&inbound).as_str());
    assert_eq!(std::fs::read_to_string(&path).expect("text"), line.repeat(2));

    std::fs::remove_file(&path).expect("ours");
    symlink(folder.join("elsewhere"), &path).expect("ours");
    assert!(KeyLog::open(&folder).is_err(), "a link is not followed");
    std::fs::remove_dir_all(&folder).expect("ours");
}

#[test]
fn wireshark_reads_packets_with_what_is_written() {
    // ChaCha20 is left out, as older Wiresharks do not know it, and AES-GMAC, as none does.
    let suites = [
        Suite::aead(Cipher::AesGcm16(AesKey::Bits128)),
        Suite::aead(Cipher::AesGcm16(AesKey::Bits256)),
        Suite::with_integrity(Cipher::AesCbc(AesKey::Bits128), Integrity::HmacSha1_96),
        Suite::with_integrity(Cipher::AesCbc(AesKey::Bits192), Integrity::HmacSha256_128),
        Suite::with_integrity(Cipher::AesCbc(AesKey::Bits256), Integrity::HmacSha384_192),
        Suite::with_integrity(Cipher::Null, Integrity::HmacSha512_256),
    ];
    for suite in suites.into_iter().map(|suite| suite.expect("they go together")) {
        let params = params(suite, Direction::Outbound, "192.0.2.1", "198.51.100.2");
        let Some(port) = inner_port(&capture(&params), &esp_line(&params)) else { return };
        assert_eq!(port, "5001", "{suite:?}");
    }
}

/// A capture of one datagram to port 5001.
fn capture(params: &Params) -> Vec<u8> {
    let inner = ipv4([10, 1, 0, 1], [10, 2, 0, 1], 17, &[0x13, 0x88, 0x13, 0x89, 0, 12, 0, 0, 1, 2, 3, 4]);
    let outbound = Outbound::new(Backend::Ring, params, &IvSecret::new([9; 16])).expect("keys that fit");
    let mut buffer = vec![0; 512];
    let front = outbound.front_len();
    buffer[front..front + inner.len()].copy_from_slice(&inner);
    let mut reservation = outbound.reserve(1).expect("nothing was sent yet");
    let length = reservation.seal(&mut buffer, inner.len()).expect("there is room");
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => unreachable!("these are IPv4"),
    };
    let (local, remote) = (octets(params.path.local.ip()), octets(params.path.remote.ip()));
    let packet = ipv4(local, remote, 50, &buffer[..length]);
    pcap(&[packet])
}

fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    const RAW_IP: u8 = 101;
    let mut file =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, RAW_IP, 0, 0, 0];
    for packet in packets {
        let size = u32::try_from(packet.len()).expect("short").to_le_bytes();
        file.extend([&[0; 8], &size[..], &size, packet].concat());
    }
    file
}

fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).expect("short").to_be_bytes();
    let front = [0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    [&front[..], &source, &destination, payload].concat()
}

/// `None` where there is no tshark.
fn inner_port(capture: &[u8], line: &str) -> Option<String> {
    tshark(capture, &["esp.enable_encryption_decode:TRUE", &format!("uat:esp_sa:{line}")], "udp.dstport")
}

/// A field of all packets; `None` where there is no tshark.
fn tshark(capture: &[u8], preferences: &[&str], field: &str) -> Option<String> {
    let folder = folder(&format!("capture-{:?}", std::thread::current().id()));
    std::fs::create_dir(&folder).expect("a name of ours");
    let path = folder.join("all.pcap");
    std::fs::write(&path, capture).expect("ours");
    let output = Command::new("tshark")
        .args(preferences.iter().flat_map(|preference| ["-o", preference]))
        .args(["-T", "fields", "-e", field, "-r"])
        .arg(&path)
        .output();
    std::fs::remove_dir_all(&folder).expect("ours");
    match output {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            use std::io::Write;
            assert!(std::env::var_os("CI").is_none(), "tshark is missing");
            let _ =
                writeln!(std::io::stderr().lock(), "left out: there is no tshark (Debian has it in tshark)");
            None
        }
        Err(error) => panic!("tshark: {error}"),
    }
}
