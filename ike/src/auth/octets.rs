//! What the AUTH payload covers (RFC 7296 §2.15).

use super::failure::AuthFailure;
use crate::crypto::{Prf, PrfId, PrfKey, Provider, Secret};
use crate::wire::IdPayload;

/// The octets one side signs: its own first message as it went over the wire, the peer's nonce, and its
/// identity under its SK_p. `message` starts at the IKE header, without the non-ESP marker.
pub fn signed_octets(message: &[u8], nonce: &[u8], sk_p: &dyn PrfKey, id: &IdPayload) -> Vec<u8> {
    // The generic payload header is left out; type and three reserved bytes are not.
    let maced_id = sk_p.compute(&[&[id.kind, 0, 0, 0], &id.data]);
    [message, nonce, &maced_id].concat()
}

/// The AUTH value of a shared secret: prf(prf(secret, pad), octets).
pub fn psk_auth(prf: &dyn Prf, secret: &[u8], octets: &[u8]) -> Secret {
    let padded = prf.key(secret).compute(&[KEY_PAD]);
    prf.key(&padded).compute(&[octets])
}

/// [`psk_auth`] by the id of the PRF.
pub(super) fn psk_auth_by(
    provider: &Provider,
    prf: PrfId,
    secret: &[u8],
    octets: &[u8],
) -> Result<Secret, AuthFailure> {
    // A secret of no bytes proves nothing.
    if secret.is_empty() {
        return Err(AuthFailure::EmptyPsk);
    }
    let algorithm = provider.prf(prf).ok_or(AuthFailure::Prf(prf))?;
    Ok(psk_auth(algorithm, secret, octets))
}

/// 17 ASCII characters without a terminator.
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";
