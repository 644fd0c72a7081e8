//! The two encodings of an ECDSA signature.

use super::SignatureEncoding;
use super::id::Curve;
use der::asn1::UintRef;
use der::{Encode, Sequence};

/// ECDSA-Sig-Value (RFC 3279 §2.2.3).
#[derive(Sequence)]
struct SignatureValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// Turns r ‖ s into DER. None if the signature is not as wide as the curve wants (RFC 4754 §7).
pub(super) fn fixed_to_der(curve: Curve, fixed: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = fixed.split_at_checked(curve.width())?;
    if s.len() != curve.width() {
        return None;
    }
    SignatureValue { r: UintRef::new(r).ok()?, s: UintRef::new(s).ok()? }.to_der().ok()
}

/// Brings a signature made as r ‖ s into the encoding asked for.
pub(super) fn encode(curve: Curve, encoding: SignatureEncoding, fixed: &[u8]) -> Option<Vec<u8>> {
    match encoding {
        SignatureEncoding::Fixed => Some(fixed.to_vec()),
        SignatureEncoding::Der => fixed_to_der(curve, fixed),
    }
}
