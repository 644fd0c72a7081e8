//! How charon writes algorithms.

use super::message::Message;
use crate::status::Algorithms;
use tidegate_ike::crypto::{GroupId, PrfId};

/// Puts the algorithms of an SA in.
pub(super) fn put_algorithms(message: &mut Message, algorithms: &Algorithms) {
    message.put_some("encr-alg", encryption_name(algorithms.encryption));
    message.put_some("encr-keysize", algorithms.key_bits);
    message.put_some("integ-alg", algorithms.integrity.and_then(integrity_name));
    message.put_some("prf-alg", algorithms.prf.and_then(PrfId::from_transform).map(prf_name));
    message.put_some("dh-group", algorithms.group.and_then(GroupId::from_transform).map(group_name));
    if algorithms.extended_sequence {
        message.put("esn", 1);
    }
}

/// All algorithms that there are, by type, each with who computes it.
pub(super) fn algorithms() -> Message {
    let ciphers = |authenticate: bool| {
        let chosen = ENCRYPTION.iter().filter(move |(id, _)| AEAD.contains(id) == authenticate);
        chosen.map(|(_, name)| *name)
    };
    Message::new()
        .with_section("encryption", ours(ciphers(false)))
        .with_section("integrity", ours(INTEGRITY.iter().map(|(_, name)| *name)))
        .with_section("aead", ours(ciphers(true)))
        .with_section("prf", ours(PrfId::ALL.iter().map(|prf| prf_name(*prf))))
        .with_section("dh", ours(GroupId::ALL.iter().map(|group| group_name(*group))))
}

/// charon says which plugin computes what.
fn ours(names: impl Iterator<Item = &'static str>) -> Message {
    names.fold(Message::new(), |section, name| section.with(name, env!("CARGO_PKG_NAME")))
}

fn encryption_name(id: u16) -> Option<&'static str> {
    ENCRYPTION.iter().find(|(candidate, _)| *candidate == id).map(|(_, name)| *name)
}

fn integrity_name(id: u16) -> Option<&'static str> {
    INTEGRITY.iter().find(|(candidate, _)| *candidate == id).map(|(_, name)| *name)
}

/// By transform id, as all below.
const ENCRYPTION: [(u16, &str); 5] =
    [(11, "NULL"), (12, "AES_CBC"), (20, "AES_GCM_16"), (21, "NULL_AES_GMAC"), (28, "CHACHA20_POLY1305")];

/// Those that authenticate by themselves.
const AEAD: [u16; 3] = [20, 21, 28];

const INTEGRITY: [(u16, &str); 4] =
    [(2, "HMAC_SHA1_96"), (12, "HMAC_SHA2_256_128"), (13, "HMAC_SHA2_384_192"), (14, "HMAC_SHA2_512_256")];

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
