//! The MODP groups (RFC 3526) by crypto-bigint, which neither ring nor aws-lc-rs has.
//!
//! # How long a private exponent is
//!
//! The primes are safe, so the generator's order is a prime about as large as the modulus and only generic
//! attacks care how long the exponent is: twice the strength of the group is enough. RFC 3526 §8 gives two
//! estimates of each group's strength; the exponents here meet the higher one, rounded up to whole words
//! (320 of 320, 448 of 420 and 512 of 480 bits), at a sixth of what full exponents cost. An exponent
//! serves one exchange only, so what a value of order 2q could tell about it (its lowest bit) is worth
//! nothing.

use super::{Group, GroupId, KexError, PrivateValue, Random, Secret};
use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{U320, U448, U512, U2048, U3072, U4096, Uint, const_monty_params};
use std::marker::PhantomData;
use zeroize::Zeroizing;

/// Group 14.
pub(super) static MODP2048: Modp<Prime2048, { U2048::LIMBS }, { U320::LIMBS }> = Modp::new(GroupId::Modp2048);

/// Group 15.
pub(super) static MODP3072: Modp<Prime3072, { U3072::LIMBS }, { U448::LIMBS }> = Modp::new(GroupId::Modp3072);

/// Group 16.
pub(super) static MODP4096: Modp<Prime4096, { U4096::LIMBS }, { U512::LIMBS }> = Modp::new(GroupId::Modp4096);

/// Powers of 2 modulo a safe prime.
pub(super) struct Modp<P, const LIMBS: usize, const EXPONENT: usize> {
    id: GroupId,
    prime: PhantomData<P>,
}

impl<P: ConstMontyParams<LIMBS>, const LIMBS: usize, const EXPONENT: usize> Modp<P, LIMBS, EXPONENT> {
    const fn new(id: GroupId) -> Self {
        Self { id, prime: PhantomData }
    }

    fn private(&self, exponent: Zeroizing<Uint<EXPONENT>>) -> Result<Box<dyn PrivateValue>, KexError> {
        let public = ConstMontyForm::<P, LIMBS>::new(&Uint::from_u8(2)).pow(&*exponent).retrieve();
        // RFC 6989 §2.1 asks the same of ours as of the peer's; only a broken random source gets here.
        if !is_valid::<P, LIMBS>(&public) {
            return Err(KexError::Provider);
        }
        let public = public.to_be_bytes().as_ref().to_vec();
        Ok(Box::new(Private { exponent, public, prime: PhantomData::<P> }))
    }

    /// The private value with this exponent, most significant octet first.
    #[cfg(feature = "seeded")]
    pub(super) fn with_exponent(&self, exponent: &[u8]) -> Result<Box<dyn PrivateValue>, KexError> {
        let mut padded = Zeroizing::new(vec![0; Uint::<EXPONENT>::BYTES]);
        let start = padded.len().checked_sub(exponent.len()).ok_or(KexError::Provider)?;
        padded.get_mut(start..).ok_or(KexError::Provider)?.copy_from_slice(exponent);
        self.private(Zeroizing::new(Uint::from_be_slice(&padded)))
    }
}

impl<P: ConstMontyParams<LIMBS>, const LIMBS: usize, const EXPONENT: usize> Group
    for Modp<P, LIMBS, EXPONENT>
{
    fn id(&self) -> GroupId {
        self.id
    }

    fn public_len(&self) -> usize {
        self.id.public_len()
    }

    fn generate(&self, random: &mut dyn Random) -> Result<Box<dyn PrivateValue>, KexError> {
        let mut octets = Zeroizing::new(vec![0; Uint::<EXPONENT>::BYTES]);
        random.fill(&mut octets);
        self.private(Zeroizing::new(Uint::from_be_slice(&octets)))
    }
}

struct Private<P, const LIMBS: usize, const EXPONENT: usize> {
    exponent: Zeroizing<Uint<EXPONENT>>,
    public: Vec<u8>,
    prime: PhantomData<P>,
}

impl<P: ConstMontyParams<LIMBS>, const LIMBS: usize, const EXPONENT: usize> PrivateValue
    for Private<P, LIMBS, EXPONENT>
{
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn agree(self: Box<Self>, peer: &[u8]) -> Result<Secret, KexError> {
        // RFC 7296 §3.4: a public value is as wide as the modulus, zeros in front included. So
        // `from_be_slice`, which insists on that width, has it.
        let expected = Uint::<LIMBS>::BYTES;
        if peer.len() != expected {
            return Err(KexError::Length { expected, actual: peer.len() });
        }
        let peer = Uint::from_be_slice(peer);
        if !is_valid::<P, LIMBS>(&peer) {
            return Err(KexError::InvalidPublic);
        }
        let power = Zeroizing::new(ConstMontyForm::<P, LIMBS>::new(&peer).pow(&*self.exponent));
        let shared = Zeroizing::new(power.retrieve());
        let octets = Zeroizing::new(shared.to_be_bytes());
        // RFC 7296 §2.14: g^ir is as wide as the modulus too.
        Ok(Secret::new((*octets).as_ref().to_vec()))
    }
}

/// RFC 6989 §2.1: more than 1 and less than p-1. The value is public, so the comparison may take its time.
fn is_valid<P: ConstMontyParams<LIMBS>, const LIMBS: usize>(public: &Uint<LIMBS>) -> bool {
    let prime = P::PARAMS.modulus().as_ref();
    *public > Uint::ONE && *public < prime.wrapping_sub(&Uint::ONE)
}

const_monty_params!(
    Prime2048,
    U2048,
    concat!(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD",
        "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
        "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F",
        "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B",
        "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510",
        "15728E5A8AACAA68FFFFFFFFFFFFFFFF",
    ),
    "The prime of group 14."
);

const_monty_params!(
    Prime3072,
    U3072,
    concat!(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD",
        "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
        "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F",
        "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B",
        "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510",
        "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7",
        "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C",
        "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    ),
    "The prime of group 15."
);

const_monty_params!(
    Prime4096,
    U4096,
    concat!(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD",
        "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
        "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F",
        "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B",
        "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510",
        "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7",
        "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C",
        "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7",
        "88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8DBBBC2DB04DE8EF92E8EFC141FBECAA6",
        "287C59474E6BC05D99B2964FA090C3A2233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9",
        "93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF",
    ),
    "The prime of group 16."
);
