//! Keys and suites: what can be made, what opens, and what must not.

#![allow(clippy::unwrap_used)]

use tidegate_esp::crypto::{
    AesKey, Backend, Cipher, Integrity, KeyLengthError, KeyMaterial, KeyRole, OpenError, OpeningKey,
    SealError, SealingKey, Suite,
};

const AES: [AesKey; 3] = [AesKey::Bits128, AesKey::Bits192, AesKey::Bits256];
const INTEGRITY: [Integrity; 4] =
    [Integrity::HmacSha1_96, Integrity::HmacSha256_128, Integrity::HmacSha384_192, Integrity::HmacSha512_256];

#[test]
fn a_sealed_body_opens_to_itself_under_every_suite() {
    for suite in suites() {
        let (iv, tail) = arguments(suite);
        for blocks in [0, 1, 3, 88] {
            let plaintext: Vec<u8> = (0..blocks * suite.block_len()).map(|i| i as u8).collect();
            let mut packet = sealed(suite, &iv, &plaintext, tail);

            let opened = opening(suite).open(&iv, b"header", &mut packet, tail).map(|body| body.to_vec());

            assert_eq!(opened, Ok(plaintext), "{suite:?}");
        }
    }
}

#[test]
fn one_changed_bit_anywhere_is_an_integrity_failure() {
    for suite in suites() {
        let (iv, tail) = arguments(suite);
        let packet = sealed(suite, &iv, &[7; 64], tail);
        let key = opening(suite);
        for bit in 0..packet.len() * 8 {
            let mut damaged = packet.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&iv, b"header", &mut damaged, tail), Err(OpenError::Integrity));
        }
        assert_eq!(key.open(&iv, b"headeR", &mut packet.clone(), tail), Err(OpenError::Integrity));
        if !iv.is_empty() {
            let mut other = iv.clone();
            other[0] ^= 1;
            assert_eq!(key.open(&other, b"header", &mut packet.clone(), tail), Err(OpenError::Integrity));
        }
        if !tail.is_empty() {
            assert_eq!(key.open(&iv, b"header", &mut packet.clone(), b"else"), Err(OpenError::Integrity));
        }
    }
}

#[test]
fn integrity_comes_before_any_look_at_the_blocks() {
    let suite = Suite::with_integrity(Cipher::AesCbc(AesKey::Bits128), Integrity::HmacSha256_128).unwrap();
    let key = opening(suite);
    for len in 0..16 {
        assert_eq!(key.open(&[0; 16], b"", &mut vec![0; len], b""), Err(OpenError::TooShort));
    }
    for len in 16..64 {
        assert_eq!(key.open(&[0; 16], b"", &mut vec![0; len], b""), Err(OpenError::Integrity));
    }
}

#[test]
fn lengths_that_do_not_fit_are_typed_errors() {
    let gcm = Suite::aead(Cipher::AesGcm16(AesKey::Bits128)).unwrap();
    let cbc = Suite::with_integrity(Cipher::AesCbc(AesKey::Bits256), Integrity::HmacSha512_256).unwrap();

    assert_eq!(
        SealingKey::new(Backend::Ring, gcm, &KeyMaterial::new(&[0; 16], &[])).err(),
        Some(KeyLengthError { role: KeyRole::Encryption, expected: 20, actual: 16 })
    );
    assert_eq!(
        OpeningKey::new(Backend::Ring, cbc, &KeyMaterial::new(&[0; 32], &[0; 32])).err(),
        Some(KeyLengthError { role: KeyRole::Integrity, expected: 64, actual: 32 })
    );
    let (gcm, cbc) = (sealing(gcm), sealing(cbc));
    assert_eq!(gcm.seal(&[0; 12], b"", &mut [], b"", &mut [0; 16]), Err(SealError::IvLength));
    assert_eq!(gcm.seal(&[0; 8], b"", &mut [], b"", &mut [0; 12]), Err(SealError::IcvLength));
    assert_eq!(gcm.seal(&[0; 8], b"", &mut [], b"tail", &mut [0; 16]), Err(SealError::Tail));
    assert_eq!(cbc.seal(&[0; 8], b"", &mut [], b"", &mut [0; 32]), Err(SealError::IvLength));
    assert_eq!(cbc.seal(&[0; 16], b"", &mut [0; 15], b"", &mut [0; 32]), Err(SealError::BodyLength));
    assert_eq!(cbc.seal(&[0; 16], b"", &mut [0; 16], b"", &mut [0; 16]), Err(SealError::IcvLength));
}

#[test]
fn combinations_without_sense_cannot_be_made() {
    assert!(Suite::aead(Cipher::Null).is_none());
    assert!(Suite::aead(Cipher::AesCbc(AesKey::Bits128)).is_none());
    assert!(Suite::aead(Cipher::AesGcm16(AesKey::Bits192)).is_none());
    assert!(Suite::with_integrity(Cipher::ChaCha20Poly1305, Integrity::HmacSha256_128).is_none());
    let gmac = Suite::aead(Cipher::AesGmac(AesKey::Bits128)).unwrap();
    assert!(gmac.with_implicit_iv().is_none());
    let null = Suite::with_integrity(Cipher::Null, Integrity::HmacSha256_128).unwrap();
    assert!(null.with_implicit_iv().is_none());
}

#[test]
fn an_implicit_iv_takes_no_room_on_the_wire() {
    let explicit = Suite::aead(Cipher::ChaCha20Poly1305).unwrap();
    let implicit = explicit.with_implicit_iv().unwrap();
    assert_eq!((explicit.iv_len(), implicit.iv_len()), (8, 0));
    assert_eq!((explicit.cipher_iv_len(), implicit.cipher_iv_len()), (8, 8));
}

fn suites() -> Vec<Suite> {
    let aead = AES
        .into_iter()
        .flat_map(|key| [Cipher::AesGcm16(key), Cipher::AesGmac(key)])
        .chain([Cipher::ChaCha20Poly1305])
        .filter_map(Suite::aead);
    let pairs = AES
        .into_iter()
        .map(Cipher::AesCbc)
        .chain([Cipher::Null])
        .flat_map(|cipher| INTEGRITY.into_iter().filter_map(move |i| Suite::with_integrity(cipher, i)));
    let plain: Vec<Suite> = aead.chain(pairs).collect();
    let implicit = plain.iter().filter_map(|suite| suite.with_implicit_iv());
    plain.iter().copied().chain(implicit).collect()
}

fn arguments(suite: Suite) -> (Vec<u8>, &'static [u8]) {
    (vec![9; suite.cipher_iv_len()], if suite.is_aead() { b"" } else { b"high" })
}

fn keys(suite: Suite) -> KeyMaterial {
    KeyMaterial::new(&vec![3; suite.encryption_key_len()], &vec![4; suite.integrity_key_len()])
}

fn sealing(suite: Suite) -> SealingKey {
    SealingKey::new(Backend::Ring, suite, &keys(suite)).unwrap()
}

fn opening(suite: Suite) -> OpeningKey {
    OpeningKey::new(Backend::Ring, suite, &keys(suite)).unwrap()
}

fn sealed(suite: Suite, iv: &[u8], plaintext: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut packet = plaintext.to_vec();
    packet.resize(plaintext.len() + suite.icv_len(), 0);
    let (body, icv) = packet.split_at_mut(plaintext.len());
    sealing(suite).seal(iv, b"header", body, tail, icv).unwrap();
    packet
}
