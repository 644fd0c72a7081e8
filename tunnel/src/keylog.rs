//! Keys in the format of Wireshark's ESP preferences, for whoever has to look into a tunnel of their own.
//!
//! Off unless an operator names a folder, and loud when one does: whoever reads the file reads all traffic.
//! A line for each direction is added to `esp_sa`, which Wireshark takes from its profile's folder.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use tidegate_esp::crypto::{Cipher, Integrity, KeyMaterial};
use tidegate_esp::{Direction, Params, SequenceNumbers};
use zeroize::Zeroizing;

/// A file that keys are written to.
#[derive(Debug)]
pub struct KeyLog {
    esp: File,
}

impl KeyLog {
    /// Adds to `esp_sa` in this folder, which is made where there is none; both are for their owner alone.
    /// Says so in the log.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join(ESP_FILE);
        // Nothing that somebody has put there to lead elsewhere is followed.
        let flags = libc::O_NOFOLLOW;
        let esp = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(&path)?;
        tracing::warn!(
            target: "tidegate::keylog",
            "ALL KEYS ARE WRITTEN TO {}: whoever reads it reads all traffic; remove key_log when done",
            path.display()
        );
        Ok(Self { esp })
    }

    /// Writes the keys of one direction.
    pub fn esp(&mut self, params: &Params) -> io::Result<()> {
        let mut line = esp_line(params);
        line.push('\n');
        self.esp.write_all(line.as_bytes())
    }
}

/// One direction of an SA as a line of `esp_sa`.
pub fn esp_line(params: &Params) -> Zeroizing<String> {
    let (local, remote) = (params.path.local.ip(), params.path.remote.ip());
    let (source, destination) = match params.direction {
        Direction::Inbound => (remote, local),
        Direction::Outbound => (local, remote),
    };
    let family = if destination.to_canonical().is_ipv4() { "IPv4" } else { "IPv6" };
    let KeyMaterial { encryption, integrity } = &params.keys;
    let numbers = match params.sequence_numbers {
        SequenceNumbers::Short => "32-bit",
        SequenceNumbers::Extended => "64-bit",
    };
    let (source, destination) = (as_in_packets(source), as_in_packets(destination));
    let spi = format!("0x{}", params.spi);
    let (encryption, integrity) = (hex(encryption), hex(integrity));
    let fields: [&str; 10] = [
        family,
        &source,
        &destination,
        &spi,
        encryption_name(params.suite.cipher()),
        &encryption,
        authentication_name(params.suite.cipher(), params.suite.integrity()),
        &integrity,
        numbers,
        // The upper half: where a log begins with the SA, Wireshark counts on from here.
        "0",
    ];
    let mut line = Zeroizing::new(String::with_capacity(LONGEST));
    for (place, field) in fields.into_iter().enumerate() {
        line.push_str(if place == 0 { "\"" } else { ",\"" });
        line.push_str(field);
        line.push('"');
    }
    line
}

const ESP_FILE: &str = "esp_sa";
/// A line never grows, as that would leave a copy of keys behind.
const LONGEST: usize = 1024;

fn as_in_packets(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

const fn encryption_name(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::AesGcm16(_) => "AES-GCM with 16 octet ICV [RFC4106]",
        Cipher::AesCbc(_) => "AES-CBC [RFC3602]",
        Cipher::ChaCha20Poly1305 => "ChaCha20 with Poly1305 [RFC7634]",
        Cipher::Null | Cipher::AesGmac(_) => "NULL",
    }
}

const fn authentication_name(cipher: Cipher, integrity: Option<Integrity>) -> &'static str {
    match (integrity, cipher) {
        (Some(Integrity::HmacSha1_96), _) => "HMAC-SHA-1-96 [RFC2404]",
        (Some(Integrity::HmacSha256_128), _) => "HMAC-SHA-256-128 [RFC4868]",
        (Some(Integrity::HmacSha384_192), _) => "HMAC-SHA-384-192 [RFC4868]",
        (Some(Integrity::HmacSha512_256), _) => "HMAC-SHA-512-256 [RFC4868]",
        // Wireshark has no AES-GMAC: it takes the IV for the beginning of the datagram, which is in clear anyway.
        (None, Cipher::AesGmac(_)) => "ANY 128 bit authentication [no checking]",
        (None, _) => "NULL",
    }
}

fn hex(key: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 + 2 * key.len()));
    if !key.is_empty() {
        text.push_str("0x");
    }
    for byte in key {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}
