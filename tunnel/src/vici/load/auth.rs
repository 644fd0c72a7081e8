//! `auth`: how an end proves who it is, and charon's constraints on the keys and hashes that it does so by.
//!
//! We sign by the best hash that the peer takes, and check by SHA-2 with any key that is strong enough. So a
//! constraint is honoured where it is met by whatever can happen, or by the certificates that the section
//! names; else it is refused.

use super::fault::ValueFault;
use crate::vici::credentials::StoredCertificate;
use crate::vici::sections::{Method, Signing};
use tidegate_ike::auth::{KeyKind, RsaPadding};

/// What `auth` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Auth {
    pub(super) method: Method,
    keys: Vec<Key>,
    hashes: Vec<Hash>,
}

/// Which of the ends a section is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Local,
    Remote,
}

/// Why a method is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AuthFault {
    Unknown,
    Unsupported(&'static str),
}

/// A kind of key, and how strong it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    family: Family,
    bits: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Any,
    Rsa,
    Ecdsa,
    Ed25519,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
    /// One that we neither sign nor check by.
    Other,
}

impl Auth {
    pub(super) fn read(text: &str) -> Result<Self, AuthFault> {
        let lower = text.to_ascii_lowercase();
        let not_ours = [
            ("eap", "EAP is not supported: use pubkey or psk"),
            ("xauth", "XAuth belongs to IKEv1, which is not supported: use pubkey or psk"),
            ("bliss", "there are no BLISS keys here"),
            ("ed448", "there are no Ed448 keys here"),
        ];
        if let Some((_, reason)) = not_ours.iter().find(|(prefix, _)| lower.starts_with(prefix)) {
            return Err(AuthFault::Unsupported(reason));
        }
        match lower.as_str() {
            "psk" => Ok(Self { method: Method::Psk, ..Self::default() }),
            "any" => Ok(Self::default()),
            other => Self::constraints(other.strip_prefix("ike:").unwrap_or(other)),
        }
    }

    /// Kinds of keys, each with its strength, and hashes, with hyphens between.
    fn constraints(text: &str) -> Result<Self, AuthFault> {
        let mut auth = Self::default();
        let mut padding = None;
        for word in text.split('-') {
            if let Some(hash) = hash(word)? {
                auth.hashes.push(hash);
            } else if let Ok(bits) = word.parse() {
                auth.keys.last_mut().ok_or(AuthFault::Unknown)?.bits = Some(bits);
            } else {
                let family = family(word)?;
                if word.ends_with("/pss") {
                    padding = Some(RsaPadding::Pss);
                }
                auth.keys.push(Key { family, bits: None });
            }
        }
        if !matches!(auth.keys.first(), Some(Key { .. })) {
            return Err(AuthFault::Unknown);
        }
        auth.method = Method::Signature(Signing { padding });
        Ok(auth)
    }

    /// Whether all of it is honoured, given the certificates that the section names.
    pub(super) fn check(&self, end: End, certificates: &[Vec<u8>]) -> Result<(), AuthFault> {
        let Method::Signature(signing) = self.method else { return Ok(()) };
        let all = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
        if !self.hashes.is_empty() && !all.iter().all(|hash| self.hashes.contains(hash)) {
            return Err(AuthFault::Unsupported(HASHES));
        }
        if end == End::Remote && signing.padding.is_some() {
            return Err(AuthFault::Unsupported("the peer chooses its padding: write pubkey"));
        }
        match self.admits_any() || !certificates.is_empty() && certificates.iter().all(|it| self.admits(it)) {
            true => Ok(()),
            false => Err(AuthFault::Unsupported(KEYS)),
        }
    }

    /// Whether every key does that we take: RSA from 2048 bits, ECDSA on P-256 and larger, Ed25519.
    fn admits_any(&self) -> bool {
        let weak = [KeyKind::Rsa { bits: 2048 }, KeyKind::P256, KeyKind::Ed25519];
        weak.iter().all(|kind| self.admits_kind(*kind))
    }

    fn admits(&self, certificate: &[u8]) -> bool {
        let certificate = StoredCertificate::from_der(certificate).ok();
        let kind = certificate.and_then(|it| KeyKind::of(&it.outline().public_key).ok());
        kind.is_some_and(|kind| self.admits_kind(kind))
    }

    fn admits_kind(&self, kind: KeyKind) -> bool {
        let (family, bits) = match kind {
            KeyKind::Rsa { bits } => (Family::Rsa, bits),
            KeyKind::P256 => (Family::Ecdsa, 256),
            KeyKind::P384 => (Family::Ecdsa, 384),
            KeyKind::P521 => (Family::Ecdsa, 521),
            KeyKind::Ed25519 => (Family::Ed25519, 256),
        };
        let fits = |key: &Key| key.family == Family::Any || key.family == family;
        self.keys.iter().any(|key| fits(key) && key.bits.is_none_or(|least| bits >= least))
    }
}

impl From<AuthFault> for ValueFault {
    fn from(_: AuthFault) -> Self {
        Self::Auth
    }
}

fn family(word: &str) -> Result<Family, AuthFault> {
    match word {
        "pubkey" => Ok(Family::Any),
        "rsa" | "rsa/pss" => Ok(Family::Rsa),
        "ecdsa" => Ok(Family::Ecdsa),
        "ed25519" => Ok(Family::Ed25519),
        "ed448" | "bliss" => Err(AuthFault::Unsupported("there are no such keys here")),
        _ => Err(AuthFault::Unknown),
    }
}

fn hash(word: &str) -> Result<Option<Hash>, AuthFault> {
    Ok(Some(match word {
        "sha256" | "sha2_256" => Hash::Sha256,
        "sha384" | "sha2_384" => Hash::Sha384,
        "sha512" | "sha2_512" => Hash::Sha512,
        "sha1" | "sha224" | "md5" | "identity" => Hash::Other,
        _ => return Ok(None),
    }))
}

const HASHES: &str = "which hash is signed cannot be limited: leave hashes out";
const KEYS: &str = "keys can only be limited where certs names the certificates: write pubkey";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn outcome(end: End, text: &str) -> Result<Method, AuthFault> {
        let auth = Auth::read(text)?;
        auth.check(end, &[])?;
        Ok(auth.method)
    }

    #[test]
    fn constraints_that_hold_anyway_are_taken_and_others_are_not() {
        for text in [
            "pubkey",
            "PUBKEY",
            "ike:pubkey",
            "pubkey-sha256-sha384-sha512",
            "pubkey-256",
            "rsa-2048-ecdsa-256-ed25519",
            "rsa-ecdsa-ed25519-sha512-sha384-sha256",
        ] {
            assert_eq!(outcome(End::Remote, text), Ok(Method::SIGNATURE), "{text}");
        }
        for text in [
            "pubkey-sha256",
            "rsa",
            "rsa-2048-ecdsa-256",
            "rsa-4096-ecdsa-ed25519",
            "ecdsa-384",
            "pubkey-sha1",
        ] {
            assert!(matches!(outcome(End::Remote, text), Err(AuthFault::Unsupported(_))), "{text}");
        }
        for text in ["", "pubkey-bogus", "2048", "sha256", "pub", "psk-sha256"] {
            assert_eq!(outcome(End::Local, text), Err(AuthFault::Unknown), "{text}");
        }
        for text in ["eap", "eap-tls:ecdsa-384", "EAP-mschapv2", "xauth-pam", "ed448", "rsa-ed448"] {
            assert!(matches!(outcome(End::Local, text), Err(AuthFault::Unsupported(_))), "{text}");
        }
        assert_eq!(outcome(End::Local, "psk"), Ok(Method::Psk));
        assert_eq!(outcome(End::Remote, "any"), Ok(Method::Any));
    }

    #[test]
    fn padding_is_ours_to_choose_and_not_the_peers() {
        let pss = Method::Signature(Signing { padding: Some(RsaPadding::Pss) });
        assert_eq!(Auth::read("ike:rsa/pss-sha256-sha384-sha512").unwrap().method, pss);
        assert!(matches!(outcome(End::Remote, "rsa/pss"), Err(AuthFault::Unsupported(_))));
    }
}
