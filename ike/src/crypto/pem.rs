//! From PEM to DER (RFC 7468): what operators have in files.

use super::Secret;
use der::pem::decode_vec;
use std::fmt;
use zeroize::Zeroizing;

/// Why a PEM text gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemError {
    /// No block with a label that fits.
    Missing,
    /// A block that does not decode.
    Damaged {
        /// Where it begins, counted from 1.
        line: usize,
    },
    /// A private key that a passphrase protects: we have none to open it with.
    Encrypted,
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such PEM block"),
            Self::Damaged { line } => write!(f, "PEM block at line {line} does not decode"),
            Self::Encrypted => f.write_str("private key is encrypted"),
        }
    }
}

impl std::error::Error for PemError {}

/// The first private key of a text, ready for [`Provider::load_key`](super::Provider::load_key).
pub fn private_key(text: &str) -> Result<Secret, PemError> {
    let mut encrypted = false;
    for block in blocks(text) {
        match block.label {
            // The old form says so in a header, which no strict decoder reads.
            _ if block.text.contains("Proc-Type: 4,ENCRYPTED") => encrypted = true,
            "ENCRYPTED PRIVATE KEY" => encrypted = true,
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
                return block.decode().map(Zeroizing::new);
            }
            _ => {}
        }
    }
    Err(if encrypted { PemError::Encrypted } else { PemError::Missing })
}

/// A private key that a passphrase protects.
pub enum Locked {
    /// An EncryptedPrivateKeyInfo (RFC 5958 §3) in DER, where its armour is whole.
    Der(Result<Vec<u8>, PemError>),
    /// The older form, with headers within the armour.
    OldForm,
}

/// The first private key, in PEM or DER, if it is one that a passphrase protects.
pub fn locked_private_key(bytes: &[u8]) -> Option<Locked> {
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains(BEGIN)) else {
        return is_locked(bytes).then(|| Locked::Der(Ok(bytes.to_vec())));
    };
    blocks(text).find_map(|block| match block.label {
        _ if block.text.contains("Proc-Type: 4,ENCRYPTED") => Some(Some(Locked::OldForm)),
        "ENCRYPTED PRIVATE KEY" => Some(Some(Locked::Der(block.decode()))),
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => Some(None),
        _ => None,
    })?
}

/// What is not protected begins with the number of its version, and this with its algorithm.
fn is_locked(der: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    let begins = |rest: &[u8]| rest.first() == Some(&SEQUENCE);
    let length = der.get(1).copied().unwrap_or(0);
    let further = if length < 0x80 { 0 } else { usize::from(length & 0x7f) };
    begins(der) && der.get(2..).and_then(|rest| rest.get(further..)).is_some_and(begins)
}

/// All certificates of a text, in order.
pub fn certificates(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    all(text, "CERTIFICATE")
}

/// All revocation lists of a text, in order.
pub fn revocation_lists(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    all(text, "X509 CRL")
}

/// The first public key (SubjectPublicKeyInfo) of a text.
pub fn public_key(text: &str) -> Result<Vec<u8>, PemError> {
    blocks(text).find(|block| block.label == "PUBLIC KEY").ok_or(PemError::Missing)?.decode()
}

fn all(text: &str, label: &str) -> Result<Vec<Vec<u8>>, PemError> {
    let found = blocks(text)
        .filter(|block| block.label == label)
        .map(|block| block.decode())
        .collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(PemError::Missing) } else { Ok(found) }
}

struct Block<'a> {
    label: &'a str,
    text: &'a str,
    line: usize,
}

impl Block<'_> {
    fn decode(&self) -> Result<Vec<u8>, PemError> {
        match decode_vec(self.text.as_bytes()) {
            Ok((label, der)) if label == self.label => Ok(der),
            _ => Err(PemError::Damaged { line: self.line }),
        }
    }
}

/// What lies between a BEGIN line and the next END line. One that does not end reaches to the end of the
/// text, so that decoding it fails instead of passing it by.
fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    let mut line = 1;
    std::iter::from_fn(move || {
        let (before, block) = rest.split_at_checked(rest.find(BEGIN)?)?;
        line += before.matches('\n').count();
        let label = block.strip_prefix(BEGIN)?.split_once("-----").map_or("", |(label, _)| label);
        let end = block.find("-----END ").map_or(block.len(), |at| {
            let tail = block.get(at..).unwrap_or_default();
            at + tail.find('\n').map_or(tail.len(), |newline| newline + 1)
        });
        let (text, after) = block.split_at_checked(end)?;
        let found = Block { label, text, line };
        line += text.matches('\n').count();
        rest = after;
        Some(found)
    })
}

const BEGIN: &str = "-----BEGIN ";
