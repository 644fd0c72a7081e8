//! The words of a proposal, the algorithms they name and the transforms those are on the wire.
//!
//! The words are strongSwan's, so that a configuration can be carried over as it stands.

use crate::crypto::{GroupId, PrfId};
use crate::wire::Transform;
use std::fmt;
use tidegate_esp::SequenceNumbers;
use tidegate_esp::crypto::{AesKey, Cipher, Integrity};

/// What a transform type negotiates (RFC 7296 §3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransformKind {
    /// Type 1.
    Encryption,
    /// Type 2.
    Prf,
    /// Type 3.
    Integrity,
    /// Type 4.
    Group,
    /// Type 5.
    SequenceNumbers,
}

/// One algorithm that a proposal may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Encryption(Cipher),
    Prf(PrfId),
    Integrity(Integrity),
    Group(GroupId),
    SequenceNumbers(SequenceNumbers),
}

/// The transform id that stands for "no algorithm" in types 3 and 4, and for 32-bit numbers in type 5.
pub(super) const NONE: u16 = 0;

impl TransformKind {
    /// Every type that we understand, in the order in which we write them.
    pub(super) const ALL: [Self; 5] =
        [Self::Encryption, Self::Integrity, Self::Prf, Self::Group, Self::SequenceNumbers];

    /// The number of the type.
    pub const fn number(self) -> u8 {
        match self {
            Self::Encryption => 1,
            Self::Prf => 2,
            Self::Integrity => 3,
            Self::Group => 4,
            Self::SequenceNumbers => 5,
        }
    }

    /// The type with this number, where we understand it.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

impl fmt::Display for TransformKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encryption => "encryption",
            Self::Prf => "prf",
            Self::Integrity => "integrity",
            Self::Group => "key exchange group",
            Self::SequenceNumbers => "sequence numbers",
        })
    }
}

impl Algorithm {
    /// The algorithm that a word names.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        let aliases = ALIASES.iter().copied();
        words().chain(aliases).find(|(candidate, _)| *candidate == word).map(|(_, algorithm)| algorithm)
    }

    /// The word for it; `None` for a value that we do not offer, such as AES-GCM with 192 bits.
    pub(super) fn word(self) -> Option<&'static str> {
        words().find(|(_, candidate)| *candidate == self).map(|(word, _)| word)
    }

    pub(super) const fn kind(self) -> TransformKind {
        match self {
            Self::Encryption(_) => TransformKind::Encryption,
            Self::Prf(_) => TransformKind::Prf,
            Self::Integrity(_) => TransformKind::Integrity,
            Self::Group(_) => TransformKind::Group,
            Self::SequenceNumbers(_) => TransformKind::SequenceNumbers,
        }
    }

    /// As it is offered. The key length goes with AES alone: RFC 7296 §3.3.5 wants it there and forbids it
    /// wherever the key has one length.
    pub(super) const fn transform(self) -> Transform {
        let (id, key_length) = match self {
            Self::Encryption(cipher) => encryption_id(cipher),
            Self::Prf(prf) => (prf.transform_id(), None),
            Self::Integrity(integrity) => (integrity_id(integrity), None),
            Self::Group(group) => (group.transform_id(), None),
            Self::SequenceNumbers(SequenceNumbers::Short) => (NONE, None),
            Self::SequenceNumbers(SequenceNumbers::Extended) => (1, None),
        };
        Transform { kind: self.kind().number(), id, key_length, unknown_attribute: false }
    }

    /// The algorithm of a transform that we know in every part. AES without its key length, and ChaCha20
    /// with one, are none (RFC 7296 §3.3.5); neither is what carries a foreign attribute (§3.3.6).
    pub(super) fn from_transform(transform: &Transform) -> Option<Self> {
        words().map(|(_, algorithm)| algorithm).find(|algorithm| algorithm.transform() == *transform)
    }
}

pub(crate) const fn encryption_id(cipher: Cipher) -> (u16, Option<u16>) {
    match cipher {
        Cipher::Null => (11, None),
        Cipher::AesCbc(key) => (12, Some(key_bits(key))),
        Cipher::AesGcm16(key) => (20, Some(key_bits(key))),
        Cipher::AesGmac(key) => (21, Some(key_bits(key))),
        Cipher::ChaCha20Poly1305 => (28, None),
    }
}

const fn key_bits(key: AesKey) -> u16 {
    match key {
        AesKey::Bits128 => 128,
        AesKey::Bits192 => 192,
        AesKey::Bits256 => 256,
    }
}

pub(crate) const fn integrity_id(integrity: Integrity) -> u16 {
    match integrity {
        Integrity::HmacSha1_96 => 2,
        Integrity::HmacSha256_128 => 12,
        Integrity::HmacSha384_192 => 13,
        Integrity::HmacSha512_256 => 14,
    }
}

/// Writes a transform as its word, or as its numbers where it has none.
pub(super) fn write_transform(f: &mut fmt::Formatter<'_>, transform: &Transform) -> fmt::Result {
    if let Some(word) = Algorithm::from_transform(transform).and_then(Algorithm::word) {
        return f.write_str(word);
    }
    match TransformKind::from_number(transform.kind) {
        Some(TransformKind::Encryption) => f.write_str("encryption")?,
        Some(TransformKind::Prf) => f.write_str("prf")?,
        Some(TransformKind::Integrity) => f.write_str("integrity")?,
        Some(TransformKind::Group) => f.write_str("group")?,
        Some(TransformKind::SequenceNumbers) => f.write_str("esn")?,
        None => write!(f, "type{}", transform.kind)?,
    }
    match (transform.id, transform.kind) {
        (NONE, 3 | 4) => f.write_str("(none")?,
        (id, _) => write!(f, "({id}")?,
    }
    if let Some(bits) = transform.key_length {
        write!(f, " key {bits}")?;
    }
    f.write_str(if transform.unknown_attribute { " with a foreign attribute)" } else { ")" })
}

/// Why a word that others know is none of ours; `None` for words that nobody knows.
pub(super) fn unsupported(word: &str) -> Option<&'static str> {
    UNSUPPORTED.iter().find(|(prefix, _)| word.starts_with(prefix)).map(|(_, why)| *why)
}

/// Every algorithm with its word.
fn words() -> impl Iterator<Item = (&'static str, Algorithm)> {
    let prfs = PrfId::ALL.iter().map(|prf| (prf.keyword(), Algorithm::Prf(*prf)));
    let groups = GroupId::ALL.iter().map(|group| (group.keyword(), Algorithm::Group(*group)));
    WORDS.iter().copied().chain(prfs).chain(groups)
}

use Algorithm::{Encryption as E, Group as G, Integrity as I, SequenceNumbers as S};

const WORDS: &[(&str, Algorithm)] = &[
    ("aes128gcm16", E(Cipher::AesGcm16(AesKey::Bits128))),
    ("aes256gcm16", E(Cipher::AesGcm16(AesKey::Bits256))),
    ("chacha20poly1305", E(Cipher::ChaCha20Poly1305)),
    ("aes128", E(Cipher::AesCbc(AesKey::Bits128))),
    ("aes192", E(Cipher::AesCbc(AesKey::Bits192))),
    ("aes256", E(Cipher::AesCbc(AesKey::Bits256))),
    ("null", E(Cipher::Null)),
    ("aes128gmac", E(Cipher::AesGmac(AesKey::Bits128))),
    ("aes256gmac", E(Cipher::AesGmac(AesKey::Bits256))),
    ("sha256", I(Integrity::HmacSha256_128)),
    ("sha384", I(Integrity::HmacSha384_192)),
    ("sha512", I(Integrity::HmacSha512_256)),
    ("sha1", I(Integrity::HmacSha1_96)),
    ("esn", S(SequenceNumbers::Extended)),
    ("noesn", S(SequenceNumbers::Short)),
];

/// Other words for the same.
const ALIASES: &[(&str, Algorithm)] = &[
    ("aes128gcm128", E(Cipher::AesGcm16(AesKey::Bits128))),
    ("aes256gcm128", E(Cipher::AesGcm16(AesKey::Bits256))),
    ("aes", E(Cipher::AesCbc(AesKey::Bits128))),
    ("sha2_256", I(Integrity::HmacSha256_128)),
    ("sha2_384", I(Integrity::HmacSha384_192)),
    ("sha2_512", I(Integrity::HmacSha512_256)),
    ("sha", I(Integrity::HmacSha1_96)),
    ("curve25519", G(GroupId::X25519)),
];

/// Beginnings of words that strongSwan takes and we do not; the longer ones first.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("sha256_96", "only the 128-bit truncation of HMAC-SHA-256 is supported (RFC 4868)"),
    ("sha2_256_96", "only the 128-bit truncation of HMAC-SHA-256 is supported (RFC 4868)"),
    ("sha1_160", "only the 96-bit truncation of HMAC-SHA-1 is supported"),
    ("aes192gcm", "AES-GCM is supported with 128 and 256 bits"),
    ("aes192gmac", "AES-GMAC is supported with 128 and 256 bits"),
    ("aes128gcm", "AES-GCM is supported with a 16-byte ICV: aes128gcm16"),
    ("aes256gcm", "AES-GCM is supported with a 16-byte ICV: aes256gcm16"),
    ("3des", "the algorithm is obsolete (RFC 8247)"),
    ("des", "the algorithm is obsolete (RFC 8247)"),
    ("md5", "the algorithm is obsolete (RFC 8247)"),
    ("prfmd5", "the algorithm is obsolete (RFC 8247)"),
    ("modp768", "the group is too small (RFC 8247)"),
    ("modp1024", "the group is too small (RFC 8247)"),
    ("modp1536", "the group is too small (RFC 8247)"),
    ("ecp192", "the group is too small (RFC 8247)"),
    ("ecp224", "the group is too small (RFC 8247)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_returns_from_its_words_and_from_its_transform() {
        for (word, algorithm) in words() {
            assert_eq!((Algorithm::from_word(word), algorithm.word()), (Some(algorithm), Some(word)));
            assert_eq!(Algorithm::from_transform(&algorithm.transform()), Some(algorithm));
        }
        for (alias, algorithm) in ALIASES {
            assert_eq!(Algorithm::from_word(alias), Some(*algorithm));
        }
    }

    // RFC 7296 §3.3.5
    #[test]
    fn a_key_length_belongs_to_aes_alone() {
        let transform = |id, key_length| Transform { kind: 1, id, key_length, unknown_attribute: false };
        assert_eq!(Algorithm::from_transform(&transform(12, None)), None);
        assert_eq!(Algorithm::from_transform(&transform(20, None)), None);
        assert_eq!(Algorithm::from_transform(&transform(28, Some(256))), None);
        assert_eq!(Algorithm::from_transform(&transform(20, Some(100))), None);
        assert!(Algorithm::from_transform(&transform(28, None)).is_some());
    }
}
