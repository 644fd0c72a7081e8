//! RSA keys. ring signs with them but does not make them: the primes are found by `crypto-primes`, the rest of
//! a key (RFC 8017 §3.2) is worked out here.

use super::PkiError;
use super::key::RsaBits;
use crypto_bigint::rand_core::{TryCryptoRng, TryRng};
use crypto_bigint::{BoxedUint, ConcatenatingMul, Limb, NonZero, Odd, Resize};
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Encode, Sequence};
use std::convert::Infallible;
use tidegate_ike::crypto::{Random, Secret, SystemRandom};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::{Zeroize, Zeroizing};

const EXPONENT: u32 = 65_537;
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A new key, as PKCS#8.
pub(super) fn generate(bits: RsaBits) -> Result<Secret, PkiError> {
    let mut random = System(SystemRandom::new());
    let half = bits.count() / 2;
    let mut larger = prime(&mut random, half)?;
    let mut smaller = prime(&mut random, half)?;
    if larger < smaller {
        std::mem::swap(&mut larger, &mut smaller);
    }
    let key = assemble(&larger, &smaller);
    larger.zeroize();
    smaller.zeroize();
    key
}

/// A prime that goes with our exponent. Its two highest bits are set, so that the product of two is as long as
/// both together; that two of them are close enough to each other to be found (FIPS 186-5 §A.1.3 wants their
/// first 100 bits to differ) is less likely than guessing the key.
fn prime(random: &mut System, bits: u32) -> Result<BoxedUint, PkiError> {
    let suits = |_: &mut System, candidate: &BoxedUint| {
        remainder(&minus_one(candidate)) != 0 && is_prime(Flavor::Any, candidate)
    };
    let sieve = SmallFactorsSieveFactory::<BoxedUint>::new(Flavor::Any, bits, SetBits::TwoMsb);
    let found = sieve_and_find(random, sieve.map_err(|_| PkiError::Generate)?, suits);
    found.ok().flatten().ok_or(PkiError::Generate)
}

fn assemble(p: &BoxedUint, q: &BoxedUint) -> Result<Secret, PkiError> {
    let modulus = p.concatenating_mul(q);
    let (mut p_less, mut q_less) = (minus_one(p), minus_one(q));
    let mut order = p_less.concatenating_mul(&q_less);
    let mut private = private_exponent(&order);
    let mut exponent_p = private.rem(&non_zero(&p_less)?);
    let mut exponent_q = private.rem(&non_zero(&q_less)?);
    let odd: Option<Odd<BoxedUint>> = Odd::new(p.clone()).into_option();
    let inverse = q.invert_odd_mod(&odd.ok_or(PkiError::Generate)?).into_option();
    let mut coefficient = inverse.ok_or(PkiError::Generate)?;
    let exponent = BoxedUint::from(EXPONENT);
    let parts = [&modulus, &exponent, &private, p, q, &exponent_p, &exponent_q, &coefficient];
    let encoded = encode(&parts.map(|part| Zeroizing::new(part.to_be_bytes().into_vec())));
    for part in [
        &mut p_less,
        &mut q_less,
        &mut order,
        &mut private,
        &mut exponent_p,
        &mut exponent_q,
        &mut coefficient,
    ] {
        part.zeroize();
    }
    encoded
}

/// The inverse d of our exponent e modulo `order`: (k · order + 1) / e, for the one k below e that leaves nothing
/// over. k is -1/order modulo e, and e is prime, so that inverting is raising to e - 2.
fn private_exponent(order: &BoxedUint) -> BoxedUint {
    let exponent = u64::from(EXPONENT);
    let inverse = (0..exponent - 2).fold(1, |power, _| power * remainder(order) % exponent);
    let factor = BoxedUint::from(exponent - inverse);
    let wide = order.bits_precision() + 64;
    let product = order.concatenating_mul(&factor).resize(wide).wrapping_add(BoxedUint::one());
    let (quotient, _) = product.div_rem(&small_divisor());
    quotient
}

/// What is left over when our exponent divides a number.
fn remainder(number: &BoxedUint) -> u64 {
    let divisor = NonZero::new(Limb::from(EXPONENT)).expect("the exponent is not zero");
    number.rem_limb(divisor).0
}

fn small_divisor() -> NonZero<BoxedUint> {
    NonZero::new(BoxedUint::from(EXPONENT)).expect("the exponent is not zero")
}

fn minus_one(number: &BoxedUint) -> BoxedUint {
    number.wrapping_sub(BoxedUint::one())
}

fn non_zero(number: &BoxedUint) -> Result<NonZero<BoxedUint>, PkiError> {
    NonZero::new(number.clone()).into_option().ok_or(PkiError::Generate)
}

/// RFC 8017 §A.1.2, the two-prime form.
#[derive(Sequence)]
struct RsaPrivateKey<'a> {
    version: u8,
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
    private_exponent: UintRef<'a>,
    prime_p: UintRef<'a>,
    prime_q: UintRef<'a>,
    exponent_p: UintRef<'a>,
    exponent_q: UintRef<'a>,
    coefficient: UintRef<'a>,
}

/// RFC 5208 §5.
#[derive(Sequence)]
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: AlgorithmIdentifierRef<'a>,
    key: &'a OctetStringRef,
}

fn encode(parts: &[Zeroizing<Vec<u8>>; 8]) -> Result<Secret, PkiError> {
    let [n, e, d, p, q, dp, dq, qi] = parts;
    let key = RsaPrivateKey {
        version: 0,
        modulus: UintRef::new(n)?,
        public_exponent: UintRef::new(e)?,
        private_exponent: UintRef::new(d)?,
        prime_p: UintRef::new(p)?,
        prime_q: UintRef::new(q)?,
        exponent_p: UintRef::new(dp)?,
        exponent_q: UintRef::new(dq)?,
        coefficient: UintRef::new(qi)?,
    };
    let key = Zeroizing::new(key.to_der()?);
    let info = PrivateKeyInfo {
        version: 0,
        algorithm: AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) },
        key: OctetStringRef::new(&key)?,
    };
    Ok(Zeroizing::new(info.to_der()?))
}

/// The system's randomness, as the search for primes wants it.
struct System(SystemRandom);

impl TryRng for System {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for System {}
