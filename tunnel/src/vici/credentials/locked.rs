//! Private keys that a passphrase protects: PKCS#8 with PBES2 (RFC 5958 §3, RFC 8018 §6.2), the key of which is made
//! by PBKDF2, and AES-CBC.
//!
//! The older form, a PEM with a header that says `ENCRYPTED`, makes its keys by MD5 and is not read, nor is what is
//! locked by DES or RC2: `openssl pkcs8 -topk8 -v2 aes-256-cbc` turns them into one that is.

use aes::cipher::{
    Array, BlockCipherDecrypt, BlockModeDecrypt, BlockSizeUser, InnerIvInit, KeyInit, consts::U16,
};
use aes::{Aes128Dec, Aes192Dec, Aes256Dec};
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Choice, Decode, DecodeValue, Reader, Sequence, SliceReader};
use ring::pbkdf2;
use std::fmt;
use std::num::NonZeroU32;
use tidegate_ike::crypto::Secret;
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

/// Why a key stays locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockFault {
    /// It is of the older form.
    OldForm,
    /// No structure of a locked key.
    Malformed,
    /// An algorithm that we do not have, by its object identifier.
    Algorithm(String),
    /// The passphrase is to be tried more often than anybody would wait for.
    Rounds(u64),
    /// What came out is no key: the passphrase is another.
    Passphrase,
}

/// A private key and what it is locked by.
#[derive(Sequence)]
struct Locked<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    data: &'a OctetStringRef,
}

#[derive(Sequence)]
struct Pbes2<'a> {
    derivation: AlgorithmIdentifierRef<'a>,
    cipher: AlgorithmIdentifierRef<'a>,
}

/// How a key is made of a passphrase.
struct Derivation<'a> {
    salt: &'a [u8],
    rounds: NonZeroU32,
    digest: pbkdf2::Algorithm,
}

#[derive(Clone, Copy)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
}

const BLOCK: usize = 16;

/// Some seconds' worth.
const MOST_ROUNDS: u64 = 10_000_000;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const AES_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_192: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

/// Opens an EncryptedPrivateKeyInfo in DER; what comes out is PKCS#8.
pub(super) fn unlock(der: &[u8], passphrase: &[u8]) -> Result<Secret, LockFault> {
    let malformed = |_| LockFault::Malformed;
    let locked = Locked::from_der(der).map_err(malformed)?;
    known(locked.algorithm.oid, PBES2)?;
    let scheme: Pbes2<'_> = parameters(&locked.algorithm)?;
    known(scheme.derivation.oid, PBKDF2)?;
    let derivation = Derivation::read(&scheme.derivation)?;
    let cipher = Cipher::of(scheme.cipher.oid)?;
    let iv: &OctetStringRef = parameters(&scheme.cipher)?;
    let iv: [u8; BLOCK] = iv.as_bytes().try_into().map_err(|_| LockFault::Malformed)?;
    let mut key = Zeroizing::new([0; 32]);
    let key = key.get_mut(..cipher.key_length()).unwrap_or_default();
    pbkdf2::derive(derivation.digest, derivation.rounds, derivation.salt, passphrase, key);
    let mut body = Zeroizing::new(locked.data.as_bytes().to_vec());
    cipher.decrypt(key, &iv, &mut body)?;
    let length = without_padding(&body).ok_or(LockFault::Passphrase)?;
    body.truncate(length);
    Ok(body)
}

impl<'a> Derivation<'a> {
    /// Salt, rounds, and maybe the length of the key and the function (RFC 8018 appendix A.2).
    fn read(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<Self, LockFault> {
        let read = |reader: &mut SliceReader<'a>| {
            let salt = <&OctetStringRef>::decode(reader)?.as_bytes();
            let rounds = u64::decode(reader)?;
            let _length = Option::<u16>::decode(reader)?;
            let function = Option::<AlgorithmIdentifierRef<'a>>::decode(reader)?;
            Ok::<_, der::Error>((salt, rounds, function))
        };
        let inside = algorithm.parameters.ok_or(LockFault::Malformed)?;
        let mut reader = SliceReader::new(inside.value()).map_err(|_| LockFault::Malformed)?;
        let (salt, rounds, function) = read(&mut reader).map_err(|_| LockFault::Malformed)?;
        reader.finish().map_err(|_| LockFault::Malformed)?;
        let digest = match function.map_or(HMAC_SHA1, |function| function.oid) {
            HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
            HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
            HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
            HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
            other => return Err(LockFault::Algorithm(other.to_string())),
        };
        let few = u32::try_from(rounds).ok().filter(|_| rounds <= MOST_ROUNDS).and_then(NonZeroU32::new);
        Ok(Self { salt, rounds: few.ok_or(LockFault::Rounds(rounds))?, digest })
    }
}

impl Cipher {
    fn of(oid: ObjectIdentifier) -> Result<Self, LockFault> {
        match oid {
            AES_128 => Ok(Self::Aes128),
            AES_192 => Ok(Self::Aes192),
            AES_256 => Ok(Self::Aes256),
            other => Err(LockFault::Algorithm(other.to_string())),
        }
    }

    const fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn decrypt(self, key: &[u8], iv: &[u8; BLOCK], body: &mut [u8]) -> Result<(), LockFault> {
        match self {
            Self::Aes128 => decrypt::<Aes128Dec>(key, iv, body),
            Self::Aes192 => decrypt::<Aes192Dec>(key, iv, body),
            Self::Aes256 => decrypt::<Aes256Dec>(key, iv, body),
        }
    }
}

fn decrypt<C>(key: &[u8], iv: &[u8; BLOCK], body: &mut [u8]) -> Result<(), LockFault>
where
    C: KeyInit + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    let key = C::new_from_slice(key).map_err(|_| LockFault::Malformed)?;
    let (blocks, []) = Array::slice_as_chunks_mut(body) else {
        return Err(LockFault::Malformed);
    };
    cbc::Decryptor::inner_iv_init(key, &(*iv).into()).decrypt_blocks(blocks);
    Ok(())
}

/// Each octet of the padding says how long it is (RFC 5652 §6.3). Nobody learns of it who does not have the file.
fn without_padding(body: &[u8]) -> Option<usize> {
    let padding = usize::from(*body.last()?);
    let length = body.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding))?;
    let fits = body.get(length..)?.iter().all(|octet| usize::from(*octet) == padding);
    fits.then_some(length)
}

fn known(oid: ObjectIdentifier, wanted: ObjectIdentifier) -> Result<(), LockFault> {
    if oid == wanted { Ok(()) } else { Err(LockFault::Algorithm(oid.to_string())) }
}

fn parameters<'a, T: Choice<'a> + DecodeValue<'a>>(
    algorithm: &AlgorithmIdentifierRef<'a>,
) -> Result<T, LockFault> {
    algorithm.parameters.and_then(|any| any.decode_as().ok()).ok_or(LockFault::Malformed)
}

impl fmt::Display for LockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldForm => f.write_str(
                "private key is encrypted in the older form (DEK-Info), which is not read: \
                 `openssl pkcs8 -topk8 -v2 aes-256-cbc` makes another of it",
            ),
            Self::Malformed => f.write_str("encrypted private key cannot be read"),
            Self::Algorithm(oid) => write!(
                f,
                "private key is encrypted by {oid}, which is not supported: PBES2 with PBKDF2 and AES-CBC is"
            ),
            Self::Rounds(rounds) => write!(f, "private key is encrypted with {rounds} rounds of PBKDF2"),
            Self::Passphrase => f.write_str("private key is encrypted, and the passphrase is another"),
        }
    }
}

impl std::error::Error for LockFault {}
