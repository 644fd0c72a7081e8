//! The envelope of protected messages, SK (RFC 7296 §3.14) or SKF (RFC 7383 §2.5), as bytes: this module
//! knows where things lie, and nothing of keys.
//!
//! ```text
//! header │ [payloads in clear] │ SK header │ [SKF: number, total] │ IV │ body, padding, pad length │ ICV
//! └────────────────────── associated data ────────────────────────┘    └─ sealed in place ─────────┘
//! ```

use super::reader::{Fault, Reader};
use super::{FragmentError, Header, PayloadChain, PayloadType, Payloads, RawPayload, WireError};
use std::ops::Range;

/// Which part of a message an envelope holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// All of it: SK.
    Whole,
    /// One fragment: SKF.
    Fragment {
        /// Its number, from 1 on.
        number: u16,
        /// How many there are.
        total: u16,
    },
}

/// A protected message as received: nothing of it can be trusted yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sealed<'a> {
    /// The whole message or a fragment.
    pub part: Part,
    /// Type of the first payload inside; means nothing in a fragment other than the first.
    pub first: u8,
    /// From the IKE header up to the IV (RFC 5282 §5.1). The datagram splits at its length.
    pub aad: &'a [u8],
    /// IV, ciphertext and ICV: the rest of the datagram.
    pub sealed: &'a [u8],
    /// An unknown payload in front of the envelope that its sender wants understood: once integrity holds,
    /// the message must be refused for it (RFC 7296 §2.5). All else in clear is ignored.
    pub unsupported_critical: Option<u8>,
}

/// What a cipher suite adds, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealingSizes {
    /// The IV as it stands on the wire.
    pub iv: usize,
    /// What the padded body must be a multiple of; 1 where the cipher does not care (all AEADs).
    pub block: usize,
    /// The ICV.
    pub icv: usize,
}

/// A datagram complete but for its cryptography: IV and ICV are zero, the body is plaintext, every length is
/// final. Its owner writes the IV, encrypts `body` in place and writes the ICV.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// The datagram.
    pub datagram: Vec<u8>,
    /// The associated data is this many bytes from the start.
    pub aad_len: usize,
    /// Where the IV lies: right behind the associated data.
    pub iv: Range<usize>,
    /// Where plaintext, padding and pad length lie.
    pub body: Range<usize>,
    /// Where the ICV lies: up to the end.
    pub icv: Range<usize>,
}

impl<'a> Sealed<'a> {
    /// Finds the envelope of a message whose header has been parsed from this very datagram.
    pub fn parse(header: &Header, datagram: &'a [u8]) -> Result<Self, WireError> {
        let short = WireError::ShortHeader(datagram.len());
        let bytes = datagram.get(Header::LEN..).ok_or(short)?;
        let mut unsupported_critical = None;
        let mut envelope = None;
        for (index, payload) in Payloads::new(header.next_payload, bytes).enumerate() {
            if index == Payloads::MAX {
                return Err(WireError::Chain(Fault::TooMany { limit: Payloads::MAX }));
            }
            let payload = payload.map_err(WireError::Chain)?;
            if payload.kind.is_envelope() {
                envelope = Some(payload);
            } else if payload.critical && !payload.kind.is_known() {
                unsupported_critical = unsupported_critical.or(Some(payload.kind.0));
            }
        }
        // The chain ends with the envelope, and the datagram with the chain.
        let (part, sealed) = open(&envelope.ok_or(WireError::NotProtected)?)?;
        let first = envelope.map_or(0, |payload| payload.next.0);
        let aad = datagram.get(..datagram.len().saturating_sub(sealed.len())).ok_or(short)?;
        Ok(Self { part, first, aad, sealed, unsupported_critical })
    }
}

impl SealingSizes {
    /// How long the datagram becomes that holds so much plaintext.
    pub fn datagram_len(&self, part: Part, plain: usize) -> usize {
        let padded = plain.saturating_add(self.padding(plain)).saturating_add(1);
        self.around(part).saturating_add(padded)
    }

    /// The most plaintext that a datagram of at most `datagram` bytes can hold.
    pub fn room(&self, part: Part, datagram: usize) -> Option<usize> {
        let padded = datagram.checked_sub(self.around(part))?;
        let whole_blocks = padded.checked_sub(padded.checked_rem(self.block).unwrap_or(0))?;
        whole_blocks.checked_sub(1)
    }

    /// As little padding as the block allows (RFC 7296 §3.14).
    fn padding(&self, plain: usize) -> usize {
        let over = plain.saturating_add(1).checked_rem(self.block).unwrap_or(0);
        if over == 0 { 0 } else { self.block.saturating_sub(over) }
    }

    fn around(&self, part: Part) -> usize {
        let payload = Payloads::HEADER.saturating_add(part.fields().len());
        [Header::LEN, payload, self.iv, self.icv].into_iter().fold(0, usize::saturating_add)
    }
}

impl Envelope {
    /// Lays out a message in one piece.
    pub fn whole(header: &Header, chain: &PayloadChain, sizes: SealingSizes) -> Result<Self, WireError> {
        Self::lay_out(header, Part::Whole, chain.first, &chain.bytes, sizes)
    }

    /// Lays out one part of a message; `first` is the type of the first payload inside, and 0 in every
    /// fragment but the first. Length and next payload of the header are filled in.
    pub fn lay_out(
        header: &Header,
        part: Part,
        first: u8,
        plain: &[u8],
        sizes: SealingSizes,
    ) -> Result<Self, WireError> {
        let length = sizes.datagram_len(part, plain.len());
        let too_long = WireError::TooLong(length);
        let payload_length = length.checked_sub(Header::LEN).ok_or(too_long)?;
        let payload_length = u16::try_from(payload_length).map_err(|_| too_long)?;
        let header = Header {
            next_payload: part.payload_type().0,
            length: u32::try_from(length).map_err(|_| too_long)?,
            ..*header
        };

        let mut datagram = Vec::with_capacity(length);
        datagram.extend(header.emit());
        datagram.extend([first, 0]);
        datagram.extend(payload_length.to_be_bytes());
        datagram.extend(part.fields());
        let aad_len = datagram.len();
        let iv = append(&mut datagram, std::iter::repeat_n(0, sizes.iv));
        let padding = sizes.padding(plain.len());
        let pad_length = u8::try_from(padding).map_err(|_| too_long)?;
        let tail = std::iter::repeat_n(0, padding).chain([pad_length]);
        let body = append(&mut datagram, plain.iter().copied().chain(tail));
        let icv = append(&mut datagram, std::iter::repeat_n(0, sizes.icv));
        Ok(Self { datagram, aad_len, iv, body, icv })
    }
}

impl Part {
    fn payload_type(self) -> PayloadType {
        match self {
            Self::Whole => PayloadType::ENCRYPTED,
            Self::Fragment { .. } => PayloadType::ENCRYPTED_FRAGMENT,
        }
    }

    /// What stands between the generic payload header and the IV.
    fn fields(self) -> Vec<u8> {
        match self {
            Self::Whole => Vec::new(),
            Self::Fragment { number, total } => [number.to_be_bytes(), total.to_be_bytes()].concat(),
        }
    }
}

/// Takes the padding off what was opened. To be called only after integrity held: before that, the answer
/// would tell a forger about the plaintext.
pub fn unpad(opened: &[u8]) -> Result<&[u8], WireError> {
    let (pad_length, padded) = opened.split_last().ok_or(WireError::Padding { said: 0, opened: 0 })?;
    // RFC 7296 §3.14: any padding that leaves something in its place is taken, whatever its bytes.
    padded
        .len()
        .checked_sub(usize::from(*pad_length))
        .and_then(|length| padded.get(..length))
        .ok_or(WireError::Padding { said: *pad_length, opened: opened.len() })
}

fn open<'a>(envelope: &RawPayload<'a>) -> Result<(Part, &'a [u8]), WireError> {
    if envelope.kind == PayloadType::ENCRYPTED {
        return Ok((Part::Whole, envelope.body));
    }
    let mut reader = Reader::new(envelope.body);
    let number = reader.u16().map_err(WireError::Chain)?;
    let total = reader.u16().map_err(WireError::Chain)?;
    // RFC 7383 §2.6: neither is zero, and the number is not above the total.
    if number == 0 || number > total {
        return Err(WireError::Fragment(FragmentError::Number { number, total }));
    }
    Ok((Part::Fragment { number, total }, reader.rest()))
}

fn append(datagram: &mut Vec<u8>, bytes: impl Iterator<Item = u8>) -> Range<usize> {
    let start = datagram.len();
    datagram.extend(bytes);
    start..datagram.len()
}
