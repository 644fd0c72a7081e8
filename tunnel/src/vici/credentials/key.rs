//! A private key that we keep.

use super::{CredentialFault, LockFault, locked};
use ring::digest;
use std::fmt;
use std::sync::Arc;
use tidegate_ike::auth::KeyKind;
use tidegate_ike::crypto::pem::{self, Locked, PemError};
use tidegate_ike::crypto::{KeyError, RING, Secret, SigningKey};
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

/// What a key is called by clients: the SHA-1 of its public half, without algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 20]);

/// A private key that we keep.
#[derive(Clone)]
pub struct StoredKey {
    id: KeyId,
    kind: KeyKind,
    signer: Arc<dyn SigningKey>,
}

impl StoredKey {
    /// Reads PKCS#1, PKCS#8 or SEC1, as PEM or DER.
    pub fn read(bytes: &[u8]) -> Result<Self, CredentialFault> {
        Self::of_der(&der(bytes).map_err(CredentialFault::Encoding)?)
    }

    /// The same, of a key that this passphrase may protect.
    pub fn read_locked(bytes: &[u8], passphrase: &[u8]) -> Result<Self, CredentialFault> {
        let locked = match pem::locked_private_key(bytes) {
            // One that needs no passphrase may well be given one.
            None => return Self::read(bytes),
            Some(Locked::OldForm) => return Err(CredentialFault::Locked(LockFault::OldForm)),
            Some(Locked::Der(der)) => der.map_err(CredentialFault::Encoding)?,
        };
        let key = locked::unlock(&locked, passphrase).map_err(CredentialFault::Locked)?;
        Self::of_der(&key)
    }

    fn of_der(der: &[u8]) -> Result<Self, CredentialFault> {
        let signer = (RING.load_key)(der).map_err(CredentialFault::Key)?;
        let malformed = CredentialFault::Key(KeyError::Malformed);
        let id = KeyId::of(signer.public_key()).ok_or_else(|| malformed.clone())?;
        let kind = KeyKind::of(signer.public_key()).map_err(|_| malformed)?;
        Ok(Self { id, kind, signer: signer.into() })
    }

    /// What it is called.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What kind of key it is, in a client's word.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            KeyKind::Rsa { .. } => "RSA",
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => "ECDSA",
            KeyKind::Ed25519 => "ED25519",
        }
    }

    /// Its public half, as SubjectPublicKeyInfo in DER.
    pub fn public_key(&self) -> &[u8] {
        self.signer.public_key()
    }

    pub(super) fn signer(&self) -> &Arc<dyn SigningKey> {
        &self.signer
    }
}

impl KeyId {
    /// Of a SubjectPublicKeyInfo in DER.
    pub fn of(public_key: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoRef::from_der(public_key).ok()?;
        let bits = info.subject_public_key.as_bytes()?;
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bits);
        digest.as_ref().try_into().ok().map(Self)
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut id = [0; 20];
        if text.len() != 2 * id.len() || !text.is_ascii() {
            return None;
        }
        for (octet, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

/// DER of a key in either form.
fn der(bytes: &[u8]) -> Result<Secret, PemError> {
    const SEQUENCE: u8 = 0x30;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN") => pem::private_key(text),
        _ if bytes.first() == Some(&SEQUENCE) => Ok(Zeroizing::new(bytes.to_vec())),
        _ => Err(PemError::Missing),
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKey").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}
