//! What IKE_SA_INIT leaves behind, alike for both ends: the material of IKE_AUTH.

use super::{Role, SpiPair};
use crate::auth::signed_octets;
use crate::connection::Asked;
use crate::crypto::{Provider, Secret};
use crate::keys::{IkeKeys, Inputs};
use crate::nat::NatView;
use crate::proposal::IkeChoice;
use crate::sa::crypt::Crypt;
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::IdPayload;

/// The outcome of IKE_SA_INIT but for its keys.
pub(crate) struct Opening {
    pub(crate) choice: IkeChoice,
    pub(crate) nonce_i: Vec<u8>,
    pub(crate) nonce_r: Vec<u8>,
    /// The initiator's message, which its AUTH covers.
    pub(crate) request: Vec<u8>,
    /// The responder's message, which its AUTH covers.
    pub(crate) response: Vec<u8>,
    pub(crate) nat: NatView,
    /// The peer knows of NAT traversal.
    pub(crate) nat_traversal: bool,
    /// The peer takes fragments.
    pub(crate) fragmentation: bool,
    /// Hashes that the peer takes in signatures; empty for a peer without RFC 7427.
    pub(crate) signature_hashes: Vec<u16>,
    /// The responder can do IKE_AUTH without a child.
    pub(crate) childless: bool,
    /// The peer can do more than one round of authentication.
    pub(crate) rounds: bool,
    /// The peer has said what certificates it can check.
    pub(crate) asked: Asked,
}

/// An opening with its keys: both ends can now prove who they are.
pub(crate) struct Keyed {
    pub(crate) opening: Opening,
    pub(crate) crypt: Crypt,
    pub(crate) sk_pi: Secret,
    pub(crate) sk_pr: Secret,
}

impl Opening {
    /// Derives the keys of the IKE SA (RFC 7296 §2.14).
    pub(crate) fn key(
        self,
        provider: &'static Provider,
        role: Role,
        spis: SpiPair,
        shared: &[u8],
    ) -> Result<Keyed, Verdict> {
        let prf = provider.prf(self.choice.prf).ok_or_else(lacks_prf)?;
        let (keys, auth) = IkeKeys::derive(
            prf,
            self.choice.suite,
            &Inputs {
                shared,
                nonce_i: &self.nonce_i,
                nonce_r: &self.nonce_r,
                spi_i: spis.initiator,
                spi_r: spis.responder,
            },
        )
        .map_err(|_| lacks_prf())?;
        let crypt = Crypt::new(provider, self.choice.suite, self.choice.prf, keys, role);
        Ok(Keyed { opening: self, crypt, sk_pi: auth.sk_pi, sk_pr: auth.sk_pr })
    }
}

impl Keyed {
    /// What `signer` proves with its AUTH payload (RFC 7296 §2.15).
    pub(crate) fn octets(
        &self,
        provider: &'static Provider,
        signer: Role,
        id: &IdPayload,
    ) -> Result<Vec<u8>, Verdict> {
        let prf = provider.prf(self.opening.choice.prf).ok_or_else(lacks_prf)?;
        Ok(match signer {
            Role::Initiator => {
                signed_octets(&self.opening.request, &self.opening.nonce_r, &*prf.key(&self.sk_pi), id)
            }
            Role::Responder => {
                signed_octets(&self.opening.response, &self.opening.nonce_i, &*prf.key(&self.sk_pr), id)
            }
        })
    }
}

/// Our own proposal named what our provider lacks.
fn lacks_prf() -> Verdict {
    Verdict::new(Culprit::Us, Cause::Unexpected("PRF that the provider lacks"))
}
