//! What every provider must do, alone and towards every other one.

mod crypto_support;

use crypto_support::{pairs, private_key, providers, public_key};
use tidegate_ike::crypto::{
    Group, GroupId, KexError, KeyError, PrfId, PrivateValue, Provider, SeededRandom, SignatureEncoding,
    SignatureError, SignatureScheme, SigningKey, VerifyInput,
};

const MESSAGE: &[u8] = b"what both sides signed";

#[test]
fn every_provider_has_every_prf_and_group() {
    for provider in providers() {
        for id in PrfId::ALL {
            let prf = provider.prf(*id).expect("a PRF");
            assert_eq!((prf.id(), prf.output_len()), (*id, id.output_len()), "{}", provider.name);
        }
        for id in GroupId::ALL {
            let group = group(provider, *id);
            assert_eq!((group.id(), group.public_len()), (*id, id.public_len()), "{}", provider.name);
        }
    }
}

#[test]
fn ids_name_their_transforms() {
    for id in PrfId::ALL {
        assert_eq!(PrfId::from_transform(id.transform_id()), Some(*id));
    }
    for id in GroupId::ALL {
        assert_eq!(GroupId::from_transform(id.transform_id()), Some(*id));
    }
    assert_eq!(PrfId::from_transform(1), None);
    assert_eq!(GroupId::from_transform(2), None);
    assert_eq!(PrfId::HmacSha384.to_string(), "prfsha384");
    assert_eq!(GroupId::Ecp256.to_string(), "ecp256");
}

#[test]
fn prfs_give_the_same_everywhere_in_parts_or_whole() {
    for (one, other) in pairs() {
        for id in PrfId::ALL {
            // Shorter than a block, a block and longer: HMAC treats them differently.
            for key in [&b""[..], &[1; 20], &[2; 64], &[3; 128], &[4; 131]] {
                let one = one.prf(*id).expect("a PRF").key(key);
                let other = other.prf(*id).expect("a PRF").key(key);
                let whole = one.compute(&[b"abcdef"]);
                assert_eq!(whole.len(), id.output_len());
                assert_eq!(*whole, *other.compute(&[b"ab", b"", b"cdef"]));
                let mut short = [0; 5];
                other.compute_into(&[b"abcdef"], &mut short);
                assert_eq!(short, whole[..5]);
            }
        }
    }
}

#[test]
fn both_sides_of_a_group_agree_across_providers() {
    for (one, other) in pairs() {
        for id in GroupId::ALL {
            let a = generate(one, *id, 1);
            let b = generate(other, *id, 2);
            assert_eq!(a.public().len(), id.public_len());
            assert_ne!(a.public(), b.public());
            let (public_a, public_b) = (a.public().to_vec(), b.public().to_vec());
            let shared = a.agree(&public_b).expect("a shared secret");
            assert_eq!(*shared, *b.agree(&public_a).expect("a shared secret"), "{} {id}", one.name);
            assert_eq!(shared.len(), shared_len(*id));
        }
    }
}

#[test]
fn private_values_are_fresh() {
    for provider in providers() {
        for id in GroupId::ALL {
            let mut random = SeededRandom::new(1);
            let one = group(provider, *id).generate(&mut random).expect("a private value");
            let other = group(provider, *id).generate(&mut random).expect("a private value");
            assert_ne!(one.public(), other.public(), "{} {id}", provider.name);
        }
    }
}

#[test]
fn a_public_value_of_another_length_is_refused() {
    for provider in providers() {
        for id in GroupId::ALL {
            let expected = id.public_len();
            let good = generate(provider, *id, 2).public().to_vec();
            let padded = [&[0], good.as_slice()].concat();
            for wrong in [&good[..0], &good[1..], &good[..expected - 1], &good[..expected / 2], &padded] {
                let error = generate(provider, *id, 1).agree(wrong).map(drop);
                assert_eq!(error, Err(KexError::Length { expected, actual: wrong.len() }));
            }
        }
    }
}

/// RFC 6989 §2.3.
#[test]
fn a_point_that_is_not_on_the_curve_is_refused() {
    for provider in providers() {
        for id in [GroupId::Ecp256, GroupId::Ecp384, GroupId::Ecp521] {
            let good = generate(provider, id, 2).public().to_vec();
            let half = good.len() / 2;
            let mut off_curve = good.clone();
            off_curve[half * 2 - 1] ^= 1;
            let swapped = [&good[half..], &good[..half]].concat();
            let mut past_prime = good.clone();
            past_prime[..half].fill(0xff);
            for bad in [off_curve, swapped, past_prime, vec![0; half * 2], vec![0xff; half * 2]] {
                assert_eq!(
                    generate(provider, id, 1).agree(&bad).map(drop),
                    Err(KexError::InvalidPublic),
                    "{} {id}",
                    provider.name
                );
            }
        }
    }
}

/// RFC 8031 §2: the points of small order, on the curve and on its twist, and what reduces to them.
#[test]
fn a_point_of_small_order_is_refused_by_x25519() {
    let mut one = [0; 32];
    one[0] = 1;
    let mut below_prime = [0xff; 32];
    (below_prime[0], below_prime[31]) = (0xec, 0x7f);
    let mut prime = below_prime;
    prime[0] = 0xed;
    let mut past_prime = below_prime;
    past_prime[0] = 0xee;
    let order_8 = crypto_support::hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    let order_8_too = crypto_support::hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157");
    let mut high_bit = one;
    high_bit[31] = 0x80;
    for provider in providers() {
        for bad in
            [&[0; 32], &one, &below_prime, &prime, &past_prime, &order_8[..], &order_8_too[..], &high_bit]
        {
            let error = generate(provider, GroupId::X25519, 1).agree(bad).map(drop);
            assert_eq!(error, Err(KexError::InvalidPublic), "{} {bad:02x?}", provider.name);
        }
    }
}

/// RFC 6989 §2.1.
#[test]
fn a_modp_value_outside_the_group_is_refused() {
    for provider in providers() {
        for id in [GroupId::Modp2048, GroupId::Modp3072, GroupId::Modp4096] {
            let prime = crypto_support::vector(&format!("{id}.prime"));
            let mut below_prime = prime.clone();
            *below_prime.last_mut().expect("octets") -= 1;
            let mut one = vec![0; prime.len()];
            *one.last_mut().expect("octets") = 1;
            for bad in [vec![0; prime.len()], one.clone(), below_prime.clone(), prime, vec![0xff; one.len()]]
            {
                assert_eq!(generate(provider, id, 1).agree(&bad).map(drop), Err(KexError::InvalidPublic));
            }
            // The nearest values that are in range.
            *one.last_mut().expect("octets") = 2;
            *below_prime.last_mut().expect("octets") -= 1;
            assert!(generate(provider, id, 1).agree(&one).is_ok());
            assert!(generate(provider, id, 1).agree(&below_prime).is_ok());
        }
    }
}

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
fn a_seeded_run_replays() {
    let signed = |name: &str| {
        let key = load(&tidegate_ike::crypto::SEEDED, &format!("{name}.pk8"));
        key.schemes()
            .iter()
            .map(|scheme| sign(key.as_ref(), *scheme, SignatureEncoding::Der).expect("a signature"))
            .collect::<Vec<_>>()
    };
    for name in KEYS {
        assert_eq!(signed(name), signed(name));
    }
    for id in GroupId::ALL {
        let public = |seed| generate(&tidegate_ike::crypto::SEEDED, *id, seed).public().to_vec();
        assert_eq!(public(7), public(7));
        assert_ne!(public(7), public(8));
    }
}

const KEYS: [&str; 7] = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521", "ed25519"];

fn group(provider: &Provider, id: GroupId) -> &'static dyn Group {
    provider.group(id).expect("a group")
}

fn generate(provider: &Provider, id: GroupId, seed: u64) -> Box<dyn PrivateValue> {
    group(provider, id).generate(&mut SeededRandom::new(seed)).expect("a private value")
}

/// RFC 7296 §2.14 and RFC 5903 §7: as wide as the modulus, the x coordinate, or the point.
fn shared_len(id: GroupId) -> usize {
    match id {
        GroupId::Ecp256 | GroupId::Ecp384 | GroupId::Ecp521 => id.public_len() / 2,
        _ => id.public_len(),
    }
}

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
