//! Keys in the format of Wireshark's preferences, for whoever has to look into a tunnel of their own.
//!
//! Off unless an operator names a folder, and loud when one does: whoever reads the files reads all traffic.
//! A line for each direction of a child is added to `esp_sa`, and one for each IKE SA to
//! `ikev2_decryption_table`; Wireshark takes both from its profile's folder.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use tidegate_esp::crypto::{AesKey, Cipher, Integrity, KeyMaterial};
use tidegate_esp::{Direction, Params, SequenceNumbers};
use tidegate_ike::keys::{Disclosed, KeySink};
use zeroize::Zeroizing;

/// Files that keys are written to.
#[derive(Debug)]
pub struct KeyLog {
    esp: File,
    ike: File,
    /// Something could not be written, which has been said.
    failed: bool,
}

impl KeyLog {
    /// Adds to the files in this folder, which is made where there is none; all are for their owner alone. Says
    /// so in the log.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let (esp, ike) = (append_to(&folder.join(ESP_FILE))?, append_to(&folder.join(IKE_FILE))?);
        tracing::warn!(
            target: "tidegate::keylog",
            "ALL KEYS ARE WRITTEN INTO {}: whoever reads them reads all traffic; remove key_log when done",
            folder.display()
        );
        Ok(Self { esp, ike, failed: false })
    }

    /// Writes the keys of one direction.
    pub fn esp(&mut self, params: &Params) -> io::Result<()> {
        write_line(&mut self.esp, esp_line(params))
    }

    /// Writes the keys of an IKE SA, if Wireshark can do something with them.
    pub fn ike_sa(&mut self, keys: &Disclosed<'_>) -> io::Result<()> {
        ike_line(keys).map_or(Ok(()), |line| write_line(&mut self.ike, line))
    }

    /// Nothing stops because keys cannot be written, and nobody is told more than once.
    fn note(&mut self, result: io::Result<()>) {
        let Err(error) = result else { return };
        if !std::mem::replace(&mut self.failed, true) {
            tracing::warn!(target: "tidegate::keylog", %error, "keys cannot be written");
        }
    }
}

impl KeySink for KeyLog {
    fn ike(&mut self, keys: Disclosed<'_>) {
        let result = self.ike_sa(&keys);
        self.note(result);
    }

    fn child(&mut self, params: &Params) {
        let result = self.esp(params);
        self.note(result);
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

/// An IKE SA as a line of `ikev2_decryption_table`; `None` for a suite that Wireshark does not know, as it
/// would not read the file then.
pub fn ike_line(disclosed: &Disclosed<'_>) -> Option<Zeroizing<String>> {
    let Disclosed { spis, suite, keys } = disclosed;
    let (initiator, responder) = (keys.initiator(), keys.responder());
    let cipher = ike_encryption_name(suite.cipher())?;
    let mut line = Zeroizing::new(String::with_capacity(LONGEST));
    for spi in [spis.initiator, spis.responder] {
        push_hex(&mut line, &spi.0.to_be_bytes());
        line.push(',');
    }
    for key in [&initiator.encryption, &responder.encryption] {
        push_hex(&mut line, key);
        line.push(',');
    }
    line.extend(["\"", cipher, "\","]);
    for key in [&initiator.integrity, &responder.integrity] {
        push_hex(&mut line, key);
        line.push(',');
    }
    line.extend(["\"", ike_authentication_name(suite.integrity()), "\""]);
    Some(line)
}

const ESP_FILE: &str = "esp_sa";
const IKE_FILE: &str = "ikev2_decryption_table";
/// A line never grows, as that would leave a copy of keys behind.
const LONGEST: usize = 1024;

fn append_to(path: &Path) -> io::Result<File> {
    // Nothing that somebody has put there to lead elsewhere is followed.
    let flags = libc::O_NOFOLLOW;
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)
}

fn write_line(file: &mut File, mut line: Zeroizing<String>) -> io::Result<()> {
    line.push('\n');
    file.write_all(line.as_bytes())
}

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

const fn ike_encryption_name(cipher: Cipher) -> Option<&'static str> {
    Some(match cipher {
        Cipher::AesGcm16(AesKey::Bits128) => "AES-GCM-128 with 16 octet ICV [RFC5282]",
        Cipher::AesGcm16(AesKey::Bits192) => "AES-GCM-192 with 16 octet ICV [RFC5282]",
        Cipher::AesGcm16(AesKey::Bits256) => "AES-GCM-256 with 16 octet ICV [RFC5282]",
        Cipher::AesCbc(AesKey::Bits128) => "AES-CBC-128 [RFC3602]",
        Cipher::AesCbc(AesKey::Bits192) => "AES-CBC-192 [RFC3602]",
        Cipher::AesCbc(AesKey::Bits256) => "AES-CBC-256 [RFC3602]",
        Cipher::ChaCha20Poly1305 | Cipher::Null | Cipher::AesGmac(_) => return None,
    })
}

const fn ike_authentication_name(integrity: Option<Integrity>) -> &'static str {
    match integrity {
        Some(Integrity::HmacSha1_96) => "HMAC_SHA1_96 [RFC2404]",
        Some(Integrity::HmacSha256_128) => "HMAC_SHA2_256_128 [RFC4868]",
        Some(Integrity::HmacSha384_192) => "HMAC_SHA2_384_192 [RFC4868]",
        Some(Integrity::HmacSha512_256) => "HMAC_SHA2_512_256 [RFC4868]",
        None => "NONE [RFC4306]",
    }
}

fn hex(key: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 + 2 * key.len()));
    if !key.is_empty() {
        text.push_str("0x");
    }
    push_hex(&mut text, key);
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
}
