//! X25519 (RFC 8031) and the NIST curves (RFC 5903), compiled against ring and against aws-lc-rs.

use super::library::agreement::{EphemeralPrivateKey, PublicKey, UnparsedPublicKey};
use super::library::rand::SystemRandom;
use super::{agree, agreement_algorithm};
use crate::crypto::public_key::UNCOMPRESSED;
use crate::crypto::{Group, GroupId, KexError, PrivateValue, Random, Secret};

pub(super) struct Agreement(pub(super) GroupId);

impl Group for Agreement {
    fn id(&self) -> GroupId {
        self.0
    }

    fn public_len(&self) -> usize {
        self.0.public_len()
    }

    fn generate(&self, _random: &mut dyn Random) -> Result<Box<dyn PrivateValue>, KexError> {
        let algorithm = agreement_algorithm(self.0).ok_or(KexError::Provider)?;
        let private =
            EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()).map_err(|_| KexError::Provider)?;
        let public = private.compute_public_key().map_err(|_| KexError::Provider)?;
        Ok(Box::new(Private { group: self.0, private, public }))
    }
}

struct Private {
    group: GroupId,
    private: EphemeralPrivateKey,
    public: PublicKey,
}

impl PrivateValue for Private {
    fn public(&self) -> &[u8] {
        let public = self.public.as_ref();
        // RFC 5903 §7: both coordinates, without the octet that says so.
        if is_curve(self.group) { public.get(1..).unwrap_or_default() } else { public }
    }

    fn agree(self: Box<Self>, peer: &[u8]) -> Result<Secret, KexError> {
        let expected = self.group.public_len();
        if peer.len() != expected {
            return Err(KexError::Length { expected, actual: peer.len() });
        }
        let algorithm = self.private.algorithm();
        // RFC 6989 §2.3 and §5, RFC 8031 §2: the library refuses what is not a good point.
        let shared = if is_curve(self.group) {
            let point = [&[UNCOMPRESSED], peer].concat();
            agree(self.private, UnparsedPublicKey::new(algorithm, &point))
        } else {
            agree(self.private, UnparsedPublicKey::new(algorithm, peer))
        };
        shared.ok_or(KexError::InvalidPublic)
    }
}

const fn is_curve(group: GroupId) -> bool {
    matches!(group, GroupId::Ecp256 | GroupId::Ecp384 | GroupId::Ecp521)
}
