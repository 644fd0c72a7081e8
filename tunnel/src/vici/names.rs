//! How charon writes algorithms: parsed from the words of a suite.

use super::message::Message;
use tidegate_esp::SequenceNumbers;
use tidegate_esp::crypto::{AesKey, Cipher, Integrity};
use tidegate_ike::crypto::{GroupId, PrfId};
use tidegate_ike::proposal::{EspProposal, IkeProposal};

/// Puts the algorithms of an IKE SA in; nothing where the words make no proposal.
pub(super) fn put_ike_suite(message: &mut Message, words: &str) {
    let Some(suite) = IkeProposal::parse_list(words).ok().and_then(|list| list.into_iter().next()) else {
        return;
    };
    put_protection(message, &suite.encryption, &suite.integrity);
    message.put_some("prf-alg", suite.prfs.first().map(|prf| prf_name(*prf)));
    message.put_some("dh-group", suite.groups.first().map(|group| group_name(*group)));
}

/// Puts the algorithms of a child in; nothing where the words make no proposal.
pub(super) fn put_esp_suite(message: &mut Message, words: &str) {
    let Some(suite) = EspProposal::parse_list(words).ok().and_then(|list| list.into_iter().next()) else {
        return;
    };
    put_protection(message, &suite.encryption, &suite.integrity);
    message.put_some("dh-group", suite.groups.first().map(|group| group_name(*group)));
    if suite.extended_sequence.first() == Some(&SequenceNumbers::Extended) {
        message.put("esn", 1);
    }
}

/// All algorithms that there are, by type, each with who computes it.
pub(super) fn algorithms() -> Message {
    const PROVIDER: &str = "tidegate";
    let section = |names: &mut dyn Iterator<Item = &'static str>| {
        names.fold(Message::new(), |section, name| section.with(name, PROVIDER))
    };
    let aead = [Cipher::AesGcm16(AesKey::Bits128), Cipher::ChaCha20Poly1305];
    let integrity = [
        Integrity::HmacSha1_96,
        Integrity::HmacSha256_128,
        Integrity::HmacSha384_192,
        Integrity::HmacSha512_256,
    ];
    let cbc = [Cipher::AesCbc(AesKey::Bits128)];
    Message::new()
        .with_section("encryption", section(&mut cbc.iter().map(|cipher| cipher_name(*cipher).0)))
        .with_section("integrity", section(&mut integrity.iter().map(|integrity| integrity_name(*integrity))))
        .with_section("aead", section(&mut aead.iter().map(|cipher| cipher_name(*cipher).0)))
        .with_section("prf", section(&mut PrfId::ALL.iter().map(|prf| prf_name(*prf))))
        .with_section("ke", section(&mut GroupId::ALL.iter().map(|group| group_name(*group))))
}

fn put_protection(message: &mut Message, encryption: &[Cipher], integrity: &[Integrity]) {
    if let Some(cipher) = encryption.first() {
        let (name, bits) = cipher_name(*cipher);
        message.put("encr-alg", name);
        message.put_some("encr-keysize", bits);
    }
    message.put_some("integ-alg", integrity.first().map(|integrity| integrity_name(*integrity)));
}

const fn cipher_name(cipher: Cipher) -> (&'static str, Option<u16>) {
    match cipher {
        Cipher::Null => ("NULL", None),
        Cipher::AesCbc(key) => ("AES_CBC", Some(bits(key))),
        Cipher::AesGcm16(key) => ("AES_GCM_16", Some(bits(key))),
        Cipher::AesGmac(key) => ("NULL_AES_GMAC", Some(bits(key))),
        Cipher::ChaCha20Poly1305 => ("CHACHA20_POLY1305", None),
    }
}

const fn bits(key: AesKey) -> u16 {
    match key {
        AesKey::Bits128 => 128,
        AesKey::Bits192 => 192,
        AesKey::Bits256 => 256,
    }
}

const fn integrity_name(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::HmacSha1_96 => "HMAC_SHA1_96",
        Integrity::HmacSha256_128 => "HMAC_SHA2_256_128",
        Integrity::HmacSha384_192 => "HMAC_SHA2_384_192",
        Integrity::HmacSha512_256 => "HMAC_SHA2_512_256",
    }
}

const fn prf_name(prf: PrfId) -> &'static str {
    match prf {
        PrfId::HmacSha1 => "PRF_HMAC_SHA1",
        PrfId::HmacSha256 => "PRF_HMAC_SHA2_256",
        PrfId::HmacSha384 => "PRF_HMAC_SHA2_384",
        PrfId::HmacSha512 => "PRF_HMAC_SHA2_512",
    }
}

const fn group_name(group: GroupId) -> &'static str {
    match group {
        GroupId::Modp2048 => "MODP_2048",
        GroupId::Modp3072 => "MODP_3072",
        GroupId::Modp4096 => "MODP_4096",
        GroupId::Ecp256 => "ECP_256",
        GroupId::Ecp384 => "ECP_384",
        GroupId::Ecp521 => "ECP_521",
        GroupId::X25519 => "CURVE_25519",
    }
}
