//! Adversary: signatures and public keys that a lax reader takes. The RSA ones come from `data/vectors.py`,
//! which made most of them with the private key, so that nothing but the padding is wrong.

mod crypto_support;

use crypto_support::{hex, private_key, providers, public_key, vector};
use tidegate_ike::crypto::{
    Provider, SeededRandom, SignatureEncoding, SignatureError, SignatureScheme, VerifyInput,
};

#[test]
fn a_pkcs1_signature_by_another_implementation_verifies() {
    for provider in providers() {
        assert_eq!(rsa(provider, SignatureScheme::RsaPkcs1Sha256, "rsa.good"), Ok(()));
    }
}

/// RFC 8017 §8.2.2: the whole block is compared, never parsed.
#[test]
fn a_lax_pkcs1_padding_is_refused() {
    for provider in providers() {
        for forgery in [
            "rsa.garbage_behind",
            "rsa.zeros_behind",
            "rsa.no_null",
            "rsa.long_length",
            "rsa.parameters_hide_garbage",
            "rsa.no_info",
            "rsa.type_2",
            "rsa.filler",
            "rsa.plus_modulus",
        ] {
            for scheme in [SignatureScheme::RsaPkcs1Sha1, SignatureScheme::RsaPkcs1Sha256] {
                let verdict = rsa(provider, scheme, forgery);
                assert_eq!(verdict, Err(SignatureError::Invalid), "{} {forgery}", provider.name);
            }
        }
    }
}

/// An exponent of 3 lets anybody make a block that begins well: it takes a cube root and no private key.
#[test]
fn a_cube_root_is_no_signature() {
    let key = public_key("rsa2048e3");
    let forgery = vector("rsa.cube_root");
    for provider in providers() {
        let verdict = verify(provider, &key, SignatureScheme::RsaPkcs1Sha256, &forgery);
        assert_eq!(verdict, Err(SignatureError::Invalid), "{}", provider.name);
    }
}

/// RFC 8017 §8.1.2 as RFC 7427 §A.4 fixes its parameters: hash, mask and salt of the same length.
#[test]
fn pss_with_other_parameters_is_refused() {
    for provider in providers() {
        assert_eq!(rsa(provider, SignatureScheme::RsaPssSha256, "pss.good"), Ok(()));
        for other in ["pss.no_salt", "pss.short_salt", "pss.long_salt", "pss.mgf_sha1"] {
            let verdict = rsa(provider, SignatureScheme::RsaPssSha256, other);
            assert_eq!(verdict, Err(SignatureError::Invalid), "{} {other}", provider.name);
        }
        for scheme in [SignatureScheme::RsaPkcs1Sha256, SignatureScheme::RsaPssSha384] {
            assert_eq!(rsa(provider, scheme, "pss.good"), Err(SignatureError::Invalid));
        }
    }
}

#[test]
fn an_rsa_signature_of_another_length_is_refused() {
    let key = public_key("rsa2048");
    let good = vector("rsa.good");
    for provider in providers() {
        for wrong in
            [&good[1..], &good[..255], &[&[0], good.as_slice()].concat(), &[], &[0; 256], &[0xff; 256]]
        {
            let verdict = verify(provider, &key, SignatureScheme::RsaPkcs1Sha256, wrong);
            assert_eq!(verdict, Err(SignatureError::Invalid));
        }
    }
}

#[test]
fn an_ecdsa_signature_of_zeros_or_past_the_order_is_refused() {
    for provider in providers() {
        for (name, scheme, width, order) in CURVES {
            let key = public_key(name);
            let good = sign(provider, name, *scheme);
            let (r, s) = good.split_at(*width);
            let zero = vec![0; *width];
            let order = hex(order);
            for forgery in [
                [&zero, &zero],
                [&r.to_vec(), &zero],
                [&zero, &s.to_vec()],
                [&order, &s.to_vec()],
                [&r.to_vec(), &order],
            ] {
                for encoding in [SignatureEncoding::Fixed, SignatureEncoding::Der] {
                    let signature = match encoding {
                        SignatureEncoding::Fixed => forgery.map(Vec::as_slice).concat(),
                        SignatureEncoding::Der => der(forgery[0], forgery[1]),
                    };
                    let verdict = (provider.verify)(VerifyInput {
                        public_key: &key,
                        scheme: *scheme,
                        encoding,
                        message: MESSAGE,
                        signature: &signature,
                    });
                    assert_eq!(verdict, Err(SignatureError::Invalid), "{} {name}", provider.name);
                }
            }
        }
    }
}

#[test]
fn an_ecdsa_signature_in_lax_der_is_refused() {
    for provider in providers() {
        for (name, scheme, width, _) in CURVES {
            let key = public_key(name);
            let good = sign(provider, name, *scheme);
            let (r, s) = good.split_at(*width);
            let good = der(r, s);
            assert_eq!(verify(provider, &key, *scheme, &good), Ok(()), "{} {name}", provider.name);
            // Zeros in front of both numbers, more than DER allows.
            let mut padded = [&[2, wide(*width) + 2, 0, 0], r, &[2, wide(*width) + 2, 0, 0], s].concat();
            padded.splice(0..0, header(padded.len()));
            let mut tail = good.clone();
            tail.push(0);
            let mut set = good.clone();
            set[0] = 0x31;
            for lax in [padded, tail, set, vec![0x30, 0], vec![0x30, 0x80, 0, 0]] {
                assert_eq!(verify(provider, &key, *scheme, &lax), Err(SignatureError::Invalid));
            }
        }
    }
}

/// RFC 3279 §2.3.1, RFC 5480 §2 and RFC 8410 §3: what goes into an AlgorithmIdentifier, and what does not.
#[test]
fn a_public_key_with_other_parameters_is_refused() {
    let rsa = public_key("rsa2048");
    let p256 = public_key("p256");
    let ed25519 = public_key("ed25519");
    let replace = |key: &[u8], from: &str, to: &str| {
        let (from, to) = (hex(from), hex(to));
        let at = key.windows(from.len()).position(|window| window == from).expect("the part");
        [&key[..at], &to, &key[at + from.len()..]].concat()
    };
    let forgeries = [
        // RSA: absent parameters, an OCTET STRING for NULL, the OID of RSASSA-PSS.
        (SignatureScheme::RsaPkcs1Sha256, resize(&rsa, &hex("300b06092a864886f70d010101"))),
        (SignatureScheme::RsaPkcs1Sha256, replace(&rsa, "0101010500", "0101010400")),
        (SignatureScheme::RsaPssSha256, replace(&rsa, "2a864886f70d010101", "2a864886f70d01010a")),
        // EC: another curve's name over a point of P-256, a compressed point, a hybrid one.
        (
            SignatureScheme::EcdsaP384Sha384,
            [hex("3056301006072a8648ce3d020106052b81040022"), p256[23..].to_vec()].concat(),
        ),
        (SignatureScheme::EcdsaP256Sha256, replace(&p256, "03420004", "03420006")),
        (SignatureScheme::EcdsaP256Sha256, replace(&p256, "03420004", "03420002")),
        // Unused bits at the end of the key.
        (SignatureScheme::EcdsaP256Sha256, replace(&p256, "03420004", "03420104")),
        // Ed25519: the OID of X25519.
        (SignatureScheme::Ed25519, replace(&ed25519, "2b6570", "2b656e")),
    ];
    for provider in providers() {
        for (index, (scheme, key)) in forgeries.iter().enumerate() {
            let verdict = verify(provider, key, *scheme, &[1; 256]);
            assert_eq!(verdict, Err(SignatureError::BadKey), "{} forgery {index}", provider.name);
        }
    }
}

/// RFC 5480 §2.2: a key that is no point on its curve verifies nothing.
#[test]
fn a_public_key_off_its_curve_verifies_nothing() {
    for provider in providers() {
        for (name, scheme, ..) in CURVES {
            let mut key = public_key(name);
            *key.last_mut().expect("octets") ^= 1;
            let good = sign(provider, name, *scheme);
            let verdict = (provider.verify)(VerifyInput {
                public_key: &key,
                scheme: *scheme,
                encoding: SignatureEncoding::Fixed,
                message: MESSAGE,
                signature: &good,
            });
            assert!(matches!(verdict, Err(SignatureError::Invalid | SignatureError::BadKey)));
        }
    }
}

const MESSAGE: &[u8] = b"forged";

/// Key, scheme, octets of a number and the order of the group.
const CURVES: &[(&str, SignatureScheme, usize, &str)] = &[
    (
        "p256",
        SignatureScheme::EcdsaP256Sha256,
        32,
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    ),
    (
        "p384",
        SignatureScheme::EcdsaP384Sha384,
        48,
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
    (
        "p521",
        SignatureScheme::EcdsaP521Sha512,
        66,
        "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709
         a5d03bb5c9b8899c47aebb6fb71e91386409",
    ),
];

fn rsa(provider: &Provider, scheme: SignatureScheme, signature: &str) -> Result<(), SignatureError> {
    verify(provider, &public_key("rsa2048"), scheme, &vector(signature))
}

fn verify(
    provider: &Provider,
    public_key: &[u8],
    scheme: SignatureScheme,
    signature: &[u8],
) -> Result<(), SignatureError> {
    let encoding = SignatureEncoding::Der;
    (provider.verify)(VerifyInput { public_key, scheme, encoding, message: MESSAGE, signature })
}

/// A good signature, r and s.
fn sign(provider: &Provider, name: &str, scheme: SignatureScheme) -> Vec<u8> {
    (provider.load_key)(&private_key(&format!("{name}.pk8")))
        .expect("a key")
        .sign(scheme, SignatureEncoding::Fixed, MESSAGE, &mut SeededRandom::new(1))
        .expect("a signature")
}

/// A key whose AlgorithmIdentifier is replaced, lengths put right.
fn resize(spki: &[u8], algorithm: &[u8]) -> Vec<u8> {
    // 30 82 xx xx, then the AlgorithmIdentifier of 15 octets.
    let body = [algorithm, &spki[4 + 15..]].concat();
    let length = u16::try_from(body.len()).expect("a length");
    [&[0x30, 0x82], length.to_be_bytes().as_slice(), &body].concat()
}

/// ECDSA-Sig-Value, as DER wants it.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let start = number.iter().position(|octet| *octet != 0).unwrap_or(number.len() - 1);
        let digits = &number[start..];
        let sign: &[u8] = if digits[0] & 0x80 == 0 { &[] } else { &[0] };
        [&[2, wide(sign.len() + digits.len())], sign, digits].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [header(body.len()), body].concat()
}

fn header(length: usize) -> Vec<u8> {
    if length < 0x80 { vec![0x30, wide(length)] } else { vec![0x30, 0x81, wide(length)] }
}

fn wide(length: usize) -> u8 {
    u8::try_from(length).expect("a short length")
}
