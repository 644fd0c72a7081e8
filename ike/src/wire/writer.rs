//! Payload chains as they are built: each payload names the type of the next, and lengths are known last.

use super::PayloadType;

/// Payloads one behind the other, and the type of the first, which stands in front of them: in the header or
/// in the SK payload.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PayloadChain {
    /// Type of the first payload, 0 when there is none.
    pub first: u8,
    /// The payloads.
    pub bytes: Vec<u8>,
}

/// Appends payloads to a chain.
///
/// Nothing here fails: a payload above 65535 bytes has no true length field, but the chain that holds it is
/// refused as a whole when it is laid out as a message ([`WireError::TooLong`](super::WireError)).
#[derive(Default)]
pub(super) struct ChainWriter {
    chain: PayloadChain,
    /// Where the last payload has the type of its successor.
    next_at: Option<usize>,
}

impl ChainWriter {
    /// Appends a payload whose body `write` produces.
    pub(super) fn payload(&mut self, kind: PayloadType, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.chain.bytes.len();
        match self.next_at.and_then(|at| self.chain.bytes.get_mut(at)) {
            Some(next) => *next = kind.0,
            None => self.chain.first = kind.0,
        }
        self.next_at = Some(start);
        self.chain.bytes.extend([0, 0]);
        with_length(&mut self.chain.bytes, 2, write);
    }

    pub(super) fn finish(self) -> PayloadChain {
        self.chain
    }
}

/// A two-byte length, that counts itself and the `before` bytes ahead of it, in front of what `write` appends.
pub(super) fn with_length(bytes: &mut Vec<u8>, before: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let at = bytes.len();
    bytes.extend([0, 0]);
    write(bytes);
    let length = bytes.len().saturating_sub(at).saturating_add(before);
    if let Some(field) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *field = saturating_u16(length).to_be_bytes();
    }
}

pub(super) fn saturating_u16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

pub(super) fn saturating_u8(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}
