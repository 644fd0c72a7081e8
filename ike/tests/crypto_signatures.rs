//! What every provider must do with signature keys, alone and towards every other one.

mod crypto_support;

use crypto_support::{pairs, private_key, providers, public_key};
use tidegate_ike::crypto::{
    KeyError, Provider, SEEDED, SeededRandom, SignatureEncoding, SignatureError, SignatureScheme, SigningKey,
    VerifyInput, reencode,
};

const MESSAGE: &[u8] = b"what both sides signed";

#[test]
fn every_form_of_a_key_is_the_same_key() {
    let forms: &[(&str, &[&str])] = &[
        ("rsa2048", &["rsa2048.pk8", "rsa2048.pkcs1"]),
        ("rsa3072", &["rsa3072.pk8"]),
        ("rsa4096", &["rsa4096.pk8"]),
        ("p256", &["p256.pk8", "p256.sec1"]),
        ("p384", &["p384.pk8", "p384.sec1"]),
        ("p521", &["p521.pk8", "p521.sec1"]),
        ("ed25519", &["ed25519.pk8"]),
    ];
    for provider in providers() {
        for (name, files) in forms {
            for file in *files {
                let key = load(provider, file);
                assert_eq!(key.public_key(), public_key(name), "{} {file}", provider.name);
            }
        }
    }
}

/// RFC 5958 §2: the second version of PKCS#8 carries the public key too.
#[test]
fn an_ed25519_key_with_its_public_half_is_checked() {
    let first = private_key("ed25519.pk8");
    let public = public_key("ed25519");
    let second = |public: &[u8]| {
        let mut der = first.clone();
        der[1] += 35;
        der[4] = 1;
        der.extend_from_slice(&[0x81, 33, 0]);
        der.extend_from_slice(public);
        der
    };
    let good = second(&public[public.len() - 32..]);
    let other = second(&[9; 32]);
    for provider in providers() {
        assert_eq!((provider.load_key)(&good).expect("a key").public_key(), public);
        assert_eq!((provider.load_key)(&other).err(), Some(KeyError::Malformed), "{}", provider.name);
    }
}

#[test]
fn every_scheme_signs_and_verifies_across_providers() {
    for (signer, verifier) in pairs() {
        for name in KEYS {
            let key = load(signer, &format!("{name}.pk8"));
            assert!(!key.schemes().is_empty());
            for scheme in key.schemes() {
                for encoding in [SignatureEncoding::Fixed, SignatureEncoding::Der] {
                    let signature = sign(key.as_ref(), *scheme, encoding).expect("a signature");
                    let input = VerifyInput {
                        public_key: key.public_key(),
                        scheme: *scheme,
                        encoding,
                        message: MESSAGE,
                        signature: &signature,
                    };
                    assert_eq!((verifier.verify)(input), Ok(()), "{} {scheme:?}", signer.name);
                }
            }
        }
    }
}

#[test]
fn signatures_of_keys_elsewhere_are_brought_into_the_encoding_that_is_wanted() {
    let encodings = [SignatureEncoding::Fixed, SignatureEncoding::Der];
    for provider in providers() {
        for name in KEYS {
            let key = load(provider, &format!("{name}.pk8"));
            let (scheme, public_key) = (key.schemes()[0], key.public_key());
            for (from, encoding) in encodings.into_iter().flat_map(|from| encodings.map(|to| (from, to))) {
                let made = sign(key.as_ref(), scheme, from).expect("a signature");
                let signature = reencode(scheme, [from, encoding], made).expect("it is one");
                let input =
                    VerifyInput { public_key, scheme, encoding, message: MESSAGE, signature: &signature };
                assert_eq!((provider.verify)(input), Ok(()), "{name} {from:?} {encoding:?}");
            }
        }
    }
}

#[test]
fn what_is_no_signature_is_not_brought_into_another_encoding() {
    let scheme = SignatureScheme::EcdsaP256Sha256;
    let (fixed, der) = (SignatureEncoding::Fixed, SignatureEncoding::Der);
    let too_wide = [&[0x30, 38, 0x02, 33, 1][..], &[0; 32], &[0x02, 1, 1]].concat();
    for (from, junk) in [(fixed, vec![1; 63]), (fixed, vec![]), (der, vec![0x30, 0]), (der, too_wide)] {
        for to in [fixed, der] {
            assert_eq!(reencode(scheme, [from, to], junk.clone()), None, "{from:?} {junk:?}");
        }
    }
}

/// RFC 7427 §3: of a hash that is longer than the curve, as many bits count as the curve has. OpenSSL made
/// the signature, with SHA-384 and the key of `p256.pk8.pem`.
#[test]
fn a_hash_longer_than_the_curve_is_truncated() {
    let signature = [
        0x30, 0x45, 0x02, 0x20, 0x22, 0xed, 0x8c, 0xde, 0xfe, 0x37, 0xea, 0xf0, 0xe5, 0xd1, 0xdb, 0x94, 0x02,
        0xd2, 0xe1, 0xd3, 0xd4, 0x81, 0x20, 0xec, 0x51, 0xb2, 0x43, 0x70, 0x8f, 0x78, 0xc2, 0x03, 0x9b, 0xf6,
        0x85, 0xab, 0x02, 0x21, 0x00, 0xbe, 0xeb, 0x29, 0x1f, 0x5d, 0xd8, 0xfc, 0xbd, 0xbe, 0xe0, 0x05, 0x02,
        0xf8, 0x8e, 0x8a, 0x9c, 0xc5, 0x0d, 0xd8, 0x51, 0x7b, 0xef, 0x0b, 0xb8, 0x18, 0x10, 0x36, 0xc3, 0x36,
        0x79, 0xac, 0x54,
    ];
    let public_key = &public_key("p256");
    let (scheme, encoding) = (SignatureScheme::EcdsaP256Sha384, SignatureEncoding::Der);
    for provider in providers() {
        let input = VerifyInput { public_key, scheme, encoding, message: MESSAGE, signature: &signature };
        assert_eq!((provider.verify)(input), Ok(()), "{}", provider.name);
    }
}

#[test]
fn a_fixed_ecdsa_signature_is_as_wide_as_the_curve() {
    for provider in providers() {
        for (name, width) in [("p256", 64), ("p384", 96), ("p521", 132)] {
            let key = load(provider, &format!("{name}.pk8"));
            let signature = sign(key.as_ref(), key.schemes()[0], SignatureEncoding::Fixed).expect("signed");
            assert_eq!(signature.len(), width);
        }
    }
}

#[test]
fn a_changed_signature_message_or_encoding_does_not_verify() {
    for provider in providers() {
        for name in KEYS {
            let key = load(provider, &format!("{name}.pk8"));
            for scheme in key.schemes() {
                for encoding in [SignatureEncoding::Fixed, SignatureEncoding::Der] {
                    let signature = sign(key.as_ref(), *scheme, encoding).expect("a signature");
                    let verify = |message: &[u8], signature: &[u8], encoding| {
                        let public_key = key.public_key();
                        let scheme = *scheme;
                        (provider.verify)(VerifyInput { public_key, scheme, encoding, message, signature })
                    };
                    for message in [&MESSAGE[1..], b""] {
                        let verdict = verify(message, &signature, encoding);
                        assert_eq!(verdict, Err(SignatureError::Invalid));
                    }
                    for bit in (0..signature.len() * 8).step_by(signature.len() / 4) {
                        let mut flipped = signature.clone();
                        flipped[bit / 8] ^= 1 << (bit % 8);
                        let verdict = verify(MESSAGE, &flipped, encoding);
                        assert_eq!(verdict, Err(SignatureError::Invalid), "{} bit {bit}", provider.name);
                    }
                    let longer = [signature.as_slice(), &[0]].concat();
                    for wrong in [&longer, &signature[1..], &signature[..signature.len() - 1], &[], &[0; 64]]
                    {
                        assert_eq!(verify(MESSAGE, wrong, encoding), Err(SignatureError::Invalid));
                    }
                    if name.starts_with('p') {
                        let other = match encoding {
                            SignatureEncoding::Fixed => SignatureEncoding::Der,
                            SignatureEncoding::Der => SignatureEncoding::Fixed,
                        };
                        assert_eq!(verify(MESSAGE, &signature, other), Err(SignatureError::Invalid));
                    }
                }
            }
        }
    }
}

#[test]
fn a_scheme_takes_only_its_own_kind_of_key() {
    let kinds = [
        ("rsa2048", "Rsa"),
        ("p256", "EcdsaP256"),
        ("p384", "EcdsaP384"),
        ("p521", "EcdsaP521"),
        ("ed25519", "Ed25519"),
    ];
    for provider in providers() {
        for (name, schemes) in kinds {
            let public_key = public_key(name);
            let key = load(provider, &format!("{name}.pk8"));
            for scheme in SignatureScheme::ALL {
                let encoding = SignatureEncoding::Der;
                let signature = &[0; 256];
                let verdict = (provider.verify)(VerifyInput {
                    public_key: &public_key,
                    scheme: *scheme,
                    encoding,
                    message: MESSAGE,
                    signature,
                });
                let fits = format!("{scheme:?}").starts_with(schemes);
                let expected = if fits { SignatureError::Invalid } else { SignatureError::BadKey };
                assert_eq!(verdict, Err(expected), "{} {name} {scheme:?}", provider.name);
                let signed = sign(key.as_ref(), *scheme, encoding);
                if key.schemes().contains(scheme) {
                    assert!(signed.is_ok());
                } else {
                    assert_eq!(signed, Err(SignatureError::UnsupportedScheme));
                }
            }
        }
    }
}

/// RFC 8247 §3.1.1.
#[test]
fn rsa_below_2048_bits_is_refused() {
    let public_key = public_key("rsa1024");
    for provider in providers() {
        for form in ["rsa1024.pk8", "rsa1024.pkcs1"] {
            let error = (provider.load_key)(&private_key(form)).err();
            assert_eq!(error, Some(KeyError::WeakKey { bits: 1024 }));
        }
        let verdict = (provider.verify)(VerifyInput {
            public_key: &public_key,
            scheme: SignatureScheme::RsaPkcs1Sha256,
            encoding: SignatureEncoding::Der,
            message: MESSAGE,
            signature: &[1; 128],
        });
        assert_eq!(verdict, Err(SignatureError::WeakKey { bits: 1024 }));
    }
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let unknown = public_key("k256");
    for provider in providers() {
        for file in ["k256.pk8", "x25519.pk8"] {
            let error = (provider.load_key)(&private_key(file)).err();
            assert_eq!(error, Some(KeyError::UnknownAlgorithm), "{} {file}", provider.name);
        }
        let verdict = (provider.verify)(VerifyInput {
            public_key: &unknown,
            scheme: SignatureScheme::EcdsaP256Sha256,
            encoding: SignatureEncoding::Der,
            message: MESSAGE,
            signature: &[1; 64],
        });
        assert_eq!(verdict, Err(SignatureError::BadKey));
    }
}

#[test]
fn a_damaged_private_key_is_refused_and_never_panics() {
    for provider in providers() {
        for file in ["rsa2048.pk8", "rsa2048.pkcs1", "p256.pk8", "p384.sec1", "p521.pk8", "ed25519.pk8"] {
            let good = private_key(file);
            for length in 0..good.len() {
                assert!((provider.load_key)(&good[..length]).is_err(), "{file} cut to {length}");
            }
            assert!((provider.load_key)(&[good.as_slice(), &[0]].concat()).is_err(), "{file} with a tail");
            // Whatever a changed octet does, it must not panic.
            for at in (0..good.len()).step_by(1 + good.len() / 50) {
                let mut damaged = good.clone();
                damaged[at] ^= 0x55;
                drop((provider.load_key)(&damaged));
            }
        }
    }
}

#[test]
fn a_damaged_public_key_is_refused_and_never_panics() {
    for provider in providers() {
        for (name, scheme) in [
            ("rsa2048", SignatureScheme::RsaPkcs1Sha256),
            ("p256", SignatureScheme::EcdsaP256Sha256),
            ("p384", SignatureScheme::EcdsaP384Sha384),
            ("p521", SignatureScheme::EcdsaP521Sha512),
            ("ed25519", SignatureScheme::Ed25519),
        ] {
            let good = public_key(name);
            let verify = |public_key: &[u8]| {
                (provider.verify)(VerifyInput {
                    public_key,
                    scheme,
                    encoding: SignatureEncoding::Der,
                    message: MESSAGE,
                    signature: &[1; 256],
                })
            };
            for length in 0..good.len() {
                assert_eq!(verify(&good[..length]), Err(SignatureError::BadKey));
            }
            assert_eq!(verify(&[good.as_slice(), &[0]].concat()), Err(SignatureError::BadKey));
            for at in 0..good.len() {
                let mut damaged = good.clone();
                damaged[at] ^= 0x55;
                assert!(verify(&damaged).is_err());
            }
        }
    }
}

#[test]
fn an_ec_key_without_its_public_half_loads_where_the_curve_can_be_computed() {
    for provider in providers() {
        for name in ["p256", "p384", "p521"] {
            match (provider.load_key)(&private_key(&format!("{name}.nopub"))) {
                Ok(key) => assert_eq!(key.public_key(), public_key(name)),
                Err(error) => assert_eq!(error, KeyError::MissingPublic, "{} {name}", provider.name),
            }
        }
    }
}

#[test]
fn a_seeded_provider_signs_alike_every_time() {
    let signed = |name: &str, seed| {
        let key = load(&SEEDED, &format!("{name}.pk8"));
        key.schemes()
            .iter()
            .map(|scheme| {
                key.sign(*scheme, SignatureEncoding::Der, MESSAGE, &mut SeededRandom::new(seed))
                    .expect("a signature")
            })
            .collect::<Vec<_>>()
    };
    for name in KEYS {
        assert_eq!(signed(name, 1), signed(name, 2));
    }
}

const KEYS: [&str; 7] = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521", "ed25519"];

fn load(provider: &Provider, file: &str) -> Box<dyn SigningKey> {
    (provider.load_key)(&private_key(file))
        .unwrap_or_else(|error| panic!("{} reads {file}: {error:?}", provider.name))
}

fn sign(
    key: &dyn SigningKey,
    scheme: SignatureScheme,
    encoding: SignatureEncoding,
) -> Result<Vec<u8>, SignatureError> {
    key.sign(scheme, encoding, MESSAGE, &mut SeededRandom::new(3))
}
