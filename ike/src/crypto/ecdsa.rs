//! The two encodings of an ECDSA signature.

use super::id::{Curve, KeyKind};
use super::{SignatureEncoding, SignatureScheme};
use der::asn1::UintRef;
use der::{Decode, Encode, Sequence};

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

/// Brings a signature by a key elsewhere from the encoding that it is made in into the one that is wanted; other
/// schemes than ECDSA have but one. None if it is not what it is said to be.
pub fn reencode(
    scheme: SignatureScheme,
    [from, to]: [SignatureEncoding; 2],
    signature: Vec<u8>,
) -> Option<Vec<u8>> {
    let KeyKind::Ecdsa(curve) = scheme.kind() else { return Some(signature) };
    let fixed = match from {
        SignatureEncoding::Fixed => signature,
        SignatureEncoding::Der => der_to_fixed(curve, &signature)?,
    };
    // Both ways there is nothing but the two numbers, each within its width.
    let der = fixed_to_der(curve, &fixed)?;
    Some(if to == SignatureEncoding::Der { der } else { fixed })
}

fn der_to_fixed(curve: Curve, der: &[u8]) -> Option<Vec<u8>> {
    let SignatureValue { r, s } = SignatureValue::from_der(der).ok()?;
    let mut fixed = Vec::with_capacity(2 * curve.width());
    for number in [r, s] {
        let bytes = number.as_bytes();
        fixed.resize(fixed.len() + curve.width().checked_sub(bytes.len())?, 0);
        fixed.extend_from_slice(bytes);
    }
    Some(fixed)
}
