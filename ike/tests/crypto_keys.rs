//! The key schedule: against NIST's vector, against an implementation of its own (`data/vectors.py`), and at
//! its edges.

mod crypto_support;

use crypto_support::{hex, providers, vector};
use tidegate_esp::crypto::{AesKey, Cipher, Integrity, KeyMaterial, Suite};
use tidegate_ike::crypto::{Prf, PrfId, Provider};
use tidegate_ike::keys::{IkeKeys, Inputs, PrfPlusError, child_keys, prf_plus};
use tidegate_ike::wire::IkeSpi;

/// NIST's validation vectors for application-specific key derivation (SP 800-135), IKEv2 with SHA-1, first
/// of the set with a 1024-bit g^ir: its 132 octets of keying material are just what AES-128-CBC with
/// HMAC-SHA1-96 takes.
mod nist {
    pub(crate) const NONCE_I: &str = "3651fef5c9c35e93";
    pub(crate) const NONCE_R: &str = "c09a8b90a3f04d59";
    pub(crate) const SPI_I: u64 = 0x8e5c_3ae5_0722_1684;
    pub(crate) const SPI_R: u64 = 0xb1f2_01bb_155c_3acd;
    pub(crate) const SHARED: &str = "
        d084a30166a50fb7325c3960874a839449ef9741c2f4f947d0201dd8c1269273d79509f37e3ca3eb4fa2fe2a28254e28
        9cd3f34dad4eb4df1a07685a4b8a94fa61e2491f7598b3ce65547ff133b3f63d1ac4175eaa695033f3cedb026a6873a3
        6455172a8540b8a5d23a0143bed0390ee49b168269d75fffee9fb62be965993c";
    pub(crate) const NEW_SHARED: &str = "
        52f00ab174c25d5b7139ae5ff4e8e9eddee5992d2e36adf8a559ffd90dab1442e4fbe429d320c0f33552a17d1557fa41
        ea70e8fb916c4fa27ed52b5f8ebd8461afa78f1159159a64055ac5f6319e29c28eae58cbc6847770f32c3fed1d047504
        84f854790f95e9ec01bc5bc461f24966462e359511329305038e94deb6dd42c2";
    pub(crate) const KEYS: &str = "
        6f1b12cad3cbe097b35430356d869d54cddb0198ec859174d53ceb92dddedbe2436db69f60977c58fa63bbb667f8d369
        20b109baae8f6c61a9ac49feda01843225d080ec5539d5881a25521ffb2a0a91874a9c0a27fcc2d717eb8963a9e3a89c
        7ab264757284c28cf8c3ca40576f4220b052b1fb8e9ad60ba3c80557323331a8cbb89f20";
    pub(crate) const CHILD: &str = "
        4727dc0ef94eb326ce131cf282fb652faa638ad0ddae3786a11bcc0309876009f8c485de011ad962c5b1ca8a41ff8145
        445749079c5686e26ffebbc342f06981f3da745e11ca0976424d1f8caec623d59dc7186deb20a27b411d1dcb70a36544
        0bf7de905088b0692e8addc094e18d1939bdb67e89798ca6b239e2ccb81c2409dac0106c";
    pub(crate) const CHILD_WITH_NEW_SHARED: &str = "
        b109c21ad4c0797768c1cec9e63554681e48f224bca7f23c20c4ea7041983451e9aa1d5408656c8a975ff1b9d9a12c75
        ffeb64bdecb30174664cccb4e14f1c377b7f6d1525af77c7092aac3e47f917ebae8297fb5539d2008ce830823a09cc19
        7361d4a289c72745f6ce9fefe812be5bf55b3200fbb82e41a4a40877d3fe106db909707b";
    pub(crate) const REKEYED_SKEYSEED: &str = "3b03bce748c96d5e8306918d2ff89b68f0648da3";
}

#[test]
fn the_schedule_gives_what_nist_publishes() {
    let (shared, new_shared) = (hex(nist::SHARED), hex(nist::NEW_SHARED));
    let (nonce_i, nonce_r) = (hex(nist::NONCE_I), hex(nist::NONCE_R));
    let suite = with_integrity(AesKey::Bits128, Integrity::HmacSha1_96);
    let inputs = Inputs {
        shared: &shared,
        nonce_i: &nonce_i,
        nonce_r: &nonce_r,
        spi_i: IkeSpi(nist::SPI_I),
        spi_r: IkeSpi(nist::SPI_R),
    };
    for provider in providers() {
        let prf = prf(provider, PrfId::HmacSha1);
        let (keys, auth) = IkeKeys::derive(prf, suite, &inputs).expect("keys");
        let (i, r) = (keys.initiator(), keys.responder());
        let parts: [&[u8]; 7] =
            [keys.sk_d(), &i.integrity, &r.integrity, &i.encryption, &r.encryption, &auth.sk_pi, &auth.sk_pr];
        assert_eq!(parts.concat(), hex(nist::KEYS));

        for (shared, expected) in
            [(None, nist::CHILD), (Some(new_shared.as_slice()), nist::CHILD_WITH_NEW_SHARED)]
        {
            let (i, r) = child_keys(prf, keys.sk_d(), suite, shared, &nonce_i, &nonce_r).expect("keys");
            let parts: [&[u8]; 4] = [&i.encryption, &i.integrity, &r.encryption, &r.integrity];
            assert_eq!(parts.concat(), hex(expected)[..72]);
        }

        // The vectors end at the SKEYSEED of a rekeyed IKE SA, so the rest is done by hand.
        let rekeyed =
            IkeKeys::derive_rekeyed(prf, keys.sk_d(), prf, suite, &Inputs { shared: &new_shared, ..inputs })
                .expect("keys");
        let seed = [nonce_i.as_slice(), &nonce_r, &nist::SPI_I.to_be_bytes(), &nist::SPI_R.to_be_bytes()];
        let mut sk_d = [0; 20];
        prf_plus(&*prf.key(&hex(nist::REKEYED_SKEYSEED)), &seed, &mut sk_d).expect("keys");
        assert_eq!(rekeyed.sk_d(), sk_d);
    }
}

#[test]
fn every_kind_of_suite_gets_its_keys_in_order() {
    for (name, prf_id, suite) in suites() {
        for provider in providers() {
            let prf = prf(provider, prf_id);
            let v = |key: &str| vector(&format!("{name}.{key}"));
            let (shared, nonce_i, nonce_r) = (vector("in.shared"), vector("in.ni"), vector("in.nr"));
            let inputs = inputs(&shared, &nonce_i, &nonce_r);

            let (keys, auth) = IkeKeys::derive(prf, suite, &inputs).expect("keys");
            assert_eq!(keys.sk_d(), v("sk_d"));
            assert_keys(&keys.initiator(), &v("sk_ei"), &v("sk_ai"));
            assert_keys(&keys.responder(), &v("sk_er"), &v("sk_ar"));
            assert_eq!(*auth.sk_pi, v("sk_pi"));
            assert_eq!(*auth.sk_pr, v("sk_pr"));

            let (i, r) = child_keys(prf, keys.sk_d(), suite, None, &nonce_i, &nonce_r).expect("keys");
            assert_keys(&i, &v("child.i2r.encryption"), &v("child.i2r.integrity"));
            assert_keys(&r, &v("child.r2i.encryption"), &v("child.r2i.integrity"));

            // As if the other side had asked: the nonces change places.
            let shared = Some(shared.as_slice());
            let (i, r) = child_keys(prf, keys.sk_d(), suite, shared, &nonce_r, &nonce_i).expect("keys");
            assert_keys(&i, &v("pfs.i2r.encryption"), &v("pfs.i2r.integrity"));
            assert_keys(&r, &v("pfs.r2i.encryption"), &v("pfs.r2i.integrity"));
        }
    }
}

/// RFC 7296 §2.18: the old PRF makes SKEYSEED, the new one everything after it.
#[test]
fn a_rekey_may_change_the_prf() {
    let (shared, nonce_i, nonce_r) = (vector("in.shared"), vector("in.ni"), vector("in.nr"));
    for provider in providers() {
        let keys = IkeKeys::derive_rekeyed(
            prf(provider, PrfId::HmacSha256),
            &vector("in.old_sk_d"),
            prf(provider, PrfId::HmacSha512),
            with_integrity(AesKey::Bits256, Integrity::HmacSha512_256),
            &inputs(&shared, &nonce_i, &nonce_r),
        )
        .expect("keys");
        assert_eq!(keys.sk_d(), vector("rekey.sk_d"));
        assert_keys(&keys.initiator(), &vector("rekey.sk_ei"), &vector("rekey.sk_ai"));
        assert_keys(&keys.responder(), &vector("rekey.sk_er"), &vector("rekey.sk_ar"));
    }
}

#[test]
fn an_aead_suite_has_no_integrity_key() {
    let (shared, nonce_i, nonce_r) = (vector("in.shared"), vector("in.ni"), vector("in.nr"));
    for provider in providers() {
        let prf = prf(provider, PrfId::HmacSha384);
        let suite = Suite::aead(Cipher::AesGcm16(AesKey::Bits256)).expect("a suite");
        let (keys, _) = IkeKeys::derive(prf, suite, &inputs(&shared, &nonce_i, &nonce_r)).expect("keys");
        assert!(keys.initiator().integrity.is_empty());
        assert_eq!(keys.initiator().encryption.len(), 36);
    }
}

/// RFC 7296 §2.13: the counter is one octet and begins at 1.
#[test]
fn prf_plus_ends_after_255_blocks() {
    for provider in providers() {
        let key = prf(provider, PrfId::HmacSha256).key(&vector("in.key"));
        let mut longest = vec![0; 255 * 32];
        assert_eq!(prf_plus(&*key, &[&vector("in.seed")], &mut longest), Ok(()));
        assert_eq!(longest[253 * 32..], vector("prf_plus.longest"));

        let mut longer = vec![0; 255 * 32 + 1];
        assert_eq!(prf_plus(&*key, &[b"seed"], &mut longer), Err(PrfPlusError { blocks: 256 }));
        assert!(longer.iter().all(|octet| *octet == 0), "nothing is written");
    }
}

#[test]
fn prf_plus_takes_its_seed_in_parts_and_stops_anywhere() {
    for provider in providers() {
        let key = prf(provider, PrfId::HmacSha384).key(b"key");
        let mut whole = [0; 100];
        prf_plus(&*key, &[b"seed"], &mut whole).expect("octets");
        for length in 0..whole.len() {
            let mut start = vec![0; length];
            prf_plus(&*key, &[b"se", b"", b"ed"], &mut start).expect("octets");
            assert_eq!(start, whole[..length]);
        }
    }
}

#[track_caller]
fn assert_keys(keys: &KeyMaterial, encryption: &[u8], integrity: &[u8]) {
    assert_eq!(*keys.encryption, encryption);
    assert_eq!(*keys.integrity, integrity);
}

fn inputs<'a>(shared: &'a [u8], nonce_i: &'a [u8], nonce_r: &'a [u8]) -> Inputs<'a> {
    let spi = |name| IkeSpi(u64::from_be_bytes(vector(name).try_into().expect("8 octets")));
    Inputs { shared, nonce_i, nonce_r, spi_i: spi("in.spi_i"), spi_r: spi("in.spi_r") }
}

fn prf(provider: &Provider, id: PrfId) -> &'static dyn Prf {
    provider.prf(id).expect("a PRF")
}

fn suites() -> [(&'static str, PrfId, Suite); 5] {
    let aead = |cipher| Suite::aead(cipher).expect("a suite");
    [
        ("aes256gcm16-prfsha384", PrfId::HmacSha384, aead(Cipher::AesGcm16(AesKey::Bits256))),
        (
            "aes128-sha256-prfsha256",
            PrfId::HmacSha256,
            with_integrity(AesKey::Bits128, Integrity::HmacSha256_128),
        ),
        (
            "aes256-sha512-prfsha512",
            PrfId::HmacSha512,
            with_integrity(AesKey::Bits256, Integrity::HmacSha512_256),
        ),
        ("chacha20poly1305-prfsha256", PrfId::HmacSha256, aead(Cipher::ChaCha20Poly1305)),
        ("aes192-sha1-prfsha1", PrfId::HmacSha1, with_integrity(AesKey::Bits192, Integrity::HmacSha1_96)),
    ]
}

fn with_integrity(key: AesKey, integrity: Integrity) -> Suite {
    Suite::with_integrity(Cipher::AesCbc(key), integrity).expect("a suite")
}
