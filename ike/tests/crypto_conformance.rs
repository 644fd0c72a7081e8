//! What every provider must do, alone and towards every other one.

mod crypto_support;

use crypto_support::{pairs, providers};
use tidegate_ike::crypto::{Group, GroupId, KexError, PrfId, PrivateValue, Provider, SEEDED, SeededRandom};

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
fn a_seeded_exchange_replays() {
    for id in GroupId::ALL {
        let public = |seed| generate(&SEEDED, *id, seed).public().to_vec();
        assert_eq!(public(7), public(7));
        assert_ne!(public(7), public(8));
    }
}

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
