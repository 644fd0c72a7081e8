//! Which payloads each message may, must and must not hold (RFC 7296 §1.2 to §1.5 and appendix C).
//!
//! What a table does not name has no place in that message and is refused, if we know the payload; an unknown
//! one is skipped, or refused when it is critical. The order of payloads never matters (RFC 7296 §2.5).

use super::payload::Notifies;
use super::reader::Fault;
use super::{MessageError, Notify, PayloadType, Payloads, RawPayload};

/// How often a message holds a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// Once.
    Once,
    /// Once or not at all.
    AtMostOnce,
    /// Any number of times.
    Repeatable,
    /// Any number of times, and nobody looks.
    Ignored,
}

/// The payloads of one message.
pub(super) type Table = &'static [(PayloadType, Rule)];

/// `HDR, SAi1, KEi, Ni` (appendix C.1), the cookie among the notifications.
pub(super) const SA_INIT_REQUEST: Table = &[
    (SA, Once),
    (KE, Once),
    (NONCE, Once),
    (N, Repeatable),
    // A CERTREQ belongs into the response or into IKE_AUTH; some send it here.
    (CERTREQ, Ignored),
    (V, Ignored),
];

/// `HDR, SAr1, KEr, Nr, [CERTREQ]` (appendix C.1).
pub(super) const SA_INIT_ACCEPTED: Table =
    &[(SA, Once), (KE, Once), (NONCE, Once), (CERTREQ, Repeatable), (N, Repeatable), (V, Ignored)];

/// A response without the payload that a success would have: the notifications must say why. Anything else
/// that came along with them counts for nothing.
pub(super) const REFUSED: Table = &[
    (N, Repeatable),
    (SA, Ignored),
    (KE, Ignored),
    (IDR, Ignored),
    (CERT, Ignored),
    (CERTREQ, Ignored),
    (NONCE, Ignored),
    (TSI, Ignored),
    (TSR, Ignored),
    (CP, Ignored),
    (EAP, Ignored),
    (V, Ignored),
];

/// `IDi, [CERT,] [CERTREQ,] [IDr,] AUTH, [CP,] SAi2, TSi, TSr` (appendix C.2); without AUTH it asks for EAP
/// (C.3), without SA, TSi and TSr it is childless (RFC 6023 §3).
pub(super) const AUTH_REQUEST: Table = &[
    (IDI, Once),
    (IDR, AtMostOnce),
    (CERT, Repeatable),
    (CERTREQ, Repeatable),
    (AUTH, AtMostOnce),
    (CP, AtMostOnce),
    (SA, AtMostOnce),
    (TSI, AtMostOnce),
    (TSR, AtMostOnce),
    (N, Repeatable),
    (EAP, Ignored),
    (V, Ignored),
];

/// `IDr, [CERT,] AUTH, [CP,] SAr2, TSi, TSr` (appendix C.2); the last three are absent when the child failed
/// or none was asked for.
pub(super) const AUTH_ACCEPTED: Table = &[
    (IDR, Once),
    (CERT, Repeatable),
    (CERTREQ, Ignored),
    (AUTH, Once),
    (CP, AtMostOnce),
    (SA, AtMostOnce),
    (TSI, AtMostOnce),
    (TSR, AtMostOnce),
    (N, Repeatable),
    (EAP, Ignored),
    (V, Ignored),
];

/// `[IDi, [CERT,] AUTH]` (RFC 4739 §2). Who the responder should be was said in the first request; strongSwan
/// says it again in each, as its sections have a name each.
pub(super) const AUTH_FURTHER_REQUEST: Table = &[
    (IDI, AtMostOnce),
    (IDR, Ignored),
    (CERT, Repeatable),
    (CERTREQ, Ignored),
    (AUTH, AtMostOnce),
    (N, Repeatable),
    (V, Ignored),
];

/// `[IDr, [CERT,] AUTH,] [CP,] [SAr2, TSi, TSr]` (RFC 4739 §2).
pub(super) const AUTH_FURTHER_RESPONSE: Table = &[
    (IDR, AtMostOnce),
    (CERT, Repeatable),
    (CERTREQ, Ignored),
    (AUTH, AtMostOnce),
    (CP, AtMostOnce),
    (SA, AtMostOnce),
    (TSI, AtMostOnce),
    (TSR, AtMostOnce),
    (N, Repeatable),
    (V, Ignored),
];

/// `[N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr` and the same with r (appendix C.4). CP is allowed there and means
/// nothing to us.
pub(super) const CREATE_CHILD: Table = &[
    (SA, Once),
    (NONCE, Once),
    (KE, AtMostOnce),
    (TSI, Once),
    (TSR, Once),
    (N, Repeatable),
    (CP, Ignored),
    (V, Ignored),
];

/// `SA, Ni, KEi` and the same with r (appendix C.5).
pub(super) const REKEY_IKE: Table =
    &[(SA, Once), (NONCE, Once), (KE, Once), (N, Repeatable), (CP, Ignored), (V, Ignored)];

/// `[N,] [D,] [CP]`, either way (appendix C.6).
pub(super) const INFORMATIONAL: Table = &[(N, Repeatable), (D, Repeatable), (CP, AtMostOnce), (V, Ignored)];

/// The payloads of a message that form a chain and hold nothing that must be understood and is not.
pub(super) struct Unsorted<'a>(Vec<RawPayload<'a>>);

/// The payloads of a message that obeys its table.
pub(super) struct Sorted<'a>(Vec<RawPayload<'a>>);

impl<'a> Unsorted<'a> {
    pub(super) fn read(first: u8, bytes: &'a [u8]) -> Result<Self, MessageError> {
        let mut payloads = Vec::new();
        for (index, payload) in Payloads::new(first, bytes).enumerate() {
            if index == Payloads::MAX {
                return Err(MessageError::Chain(Fault::TooMany { limit: Payloads::MAX }));
            }
            let payload = payload.map_err(MessageError::Chain)?;
            // RFC 7296 §2.5: the critical bit counts for unknown types alone.
            if payload.kind.is_known() {
                payloads.push(payload);
            } else if payload.critical {
                return Err(MessageError::UnsupportedCritical(payload.kind.0));
            }
        }
        Ok(Self(payloads))
    }

    pub(super) fn has(&self, kind: PayloadType) -> bool {
        self.0.iter().any(|payload| payload.kind == kind)
    }

    /// A look at the payload that decides which table applies.
    pub(super) fn peek<T>(
        &self,
        kind: PayloadType,
        parse: impl Fn(&[u8]) -> Result<T, Fault>,
    ) -> Result<T, MessageError> {
        let payload = self.0.iter().find(|payload| payload.kind == kind);
        payload.ok_or(MessageError::Missing(kind)).and_then(|payload| parsed(payload, parse))
    }

    pub(super) fn sort(self, table: Table) -> Result<Sorted<'a>, MessageError> {
        let named = |payload: &&RawPayload<'_>| table.iter().any(|(kind, _)| *kind == payload.kind);
        if let Some(payload) = self.0.iter().find(|payload| !named(payload)) {
            return Err(MessageError::Misplaced(payload.kind));
        }
        for (kind, rule) in table {
            let count = self.0.iter().filter(|payload| payload.kind == *kind).count();
            match (rule, count) {
                (Once, 0) => return Err(MessageError::Missing(*kind)),
                (Once | AtMostOnce, 2..) => return Err(MessageError::Repeated(*kind)),
                _ => {}
            }
        }
        Ok(Sorted(self.0))
    }
}

impl Sorted<'_> {
    pub(super) fn once<T>(
        &self,
        kind: PayloadType,
        parse: impl Fn(&[u8]) -> Result<T, Fault>,
    ) -> Result<T, MessageError> {
        self.at_most_once(kind, parse)?.ok_or(MessageError::Missing(kind))
    }

    pub(super) fn at_most_once<T>(
        &self,
        kind: PayloadType,
        parse: impl Fn(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, MessageError> {
        let payload = self.0.iter().find(|payload| payload.kind == kind);
        payload.map(|payload| parsed(payload, parse)).transpose()
    }

    pub(super) fn all<T>(
        &self,
        kind: PayloadType,
        parse: impl Fn(&[u8]) -> Result<T, Fault>,
    ) -> Result<Vec<T>, MessageError> {
        let payloads = self.0.iter().filter(|payload| payload.kind == kind);
        payloads.map(|payload| parsed(payload, &parse)).collect()
    }

    pub(super) fn notifies(&self) -> Result<Notifies, MessageError> {
        self.all(N, Notify::parse).map(Notifies::new)
    }
}

fn parsed<T>(payload: &RawPayload<'_>, parse: impl Fn(&[u8]) -> Result<T, Fault>) -> Result<T, MessageError> {
    parse(payload.body).map_err(|fault| MessageError::Payload { payload: payload.kind, fault })
}

use Rule::{AtMostOnce, Ignored, Once, Repeatable};

pub(super) const SA: PayloadType = PayloadType::SECURITY_ASSOCIATION;
pub(super) const KE: PayloadType = PayloadType::KEY_EXCHANGE;
pub(super) const IDI: PayloadType = PayloadType::INITIATOR_ID;
pub(super) const IDR: PayloadType = PayloadType::RESPONDER_ID;
pub(super) const CERT: PayloadType = PayloadType::CERTIFICATE;
pub(super) const CERTREQ: PayloadType = PayloadType::CERTIFICATE_REQUEST;
pub(super) const AUTH: PayloadType = PayloadType::AUTHENTICATION;
pub(super) const NONCE: PayloadType = PayloadType::NONCE;
pub(super) const N: PayloadType = PayloadType::NOTIFY;
pub(super) const D: PayloadType = PayloadType::DELETE;
pub(super) const V: PayloadType = PayloadType::VENDOR_ID;
pub(super) const TSI: PayloadType = PayloadType::INITIATOR_SELECTORS;
pub(super) const TSR: PayloadType = PayloadType::RESPONDER_SELECTORS;
pub(super) const CP: PayloadType = PayloadType::CONFIGURATION;
pub(super) const EAP: PayloadType = PayloadType::EAP;
