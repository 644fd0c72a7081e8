//! The one way in which bytes are read: a view that only shrinks and cannot be read past its end.

use super::ProtocolId;

/// What is wrong inside a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A value ends before it is complete.
    Short {
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// This many bytes follow where nothing may.
    Trailing(usize),
    /// A length that this kind of value cannot have.
    Length(usize),
    /// A count that its contents deny.
    Count {
        /// What the count says.
        said: usize,
        /// What there is.
        found: usize,
    },
    /// More of them than we take.
    TooMany {
        /// How many we take.
        limit: usize,
    },
    /// A list that needs an entry has none.
    Empty,
    /// A substructure says that it is the last and is not, or the other way round.
    LastFlag(u8),
    /// Proposals must be numbered from one without gaps.
    ProposalNumber {
        /// The number in its place.
        expected: u8,
        /// The number found.
        found: u8,
    },
    /// An SPI of a length, or with a value, that its protocol does not have here.
    SpiSize {
        /// The protocol it is said to belong to.
        protocol: ProtocolId,
        /// Its length.
        size: usize,
    },
    /// An SPI among the reserved values 0 to 255.
    ReservedSpi(u32),
    /// The same attribute twice in one transform.
    RepeatedAttribute(u16),
    /// A range that starts behind its end.
    Range,
    /// An IPv6 prefix length above 128.
    PrefixLength(u8),
    /// Proposals for IKE and for other protocols in one SA payload.
    MixedProtocols,
}

/// Bytes not yet read.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let short = Fault::Short { needed: count, left: self.rest.len() };
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A reader of the next `count` bytes, so that what lies in them cannot reach beyond them.
    pub(crate) fn sub(&mut self, count: usize) -> Result<Self, Fault> {
        self.take(count).map(Reader::new)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let short = Fault::Short { needed: N, left: self.rest.len() };
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(short)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_be_bytes)
    }

    /// A two-byte length that counts itself and the `before` bytes read ahead of it, and then a reader of
    /// what it leaves for the rest of its structure.
    pub(crate) fn sub_after_length(&mut self, before: usize) -> Result<Self, Fault> {
        let length = usize::from(self.u16()?);
        let rest = length.checked_sub(before.saturating_add(2)).ok_or(Fault::Length(length))?;
        self.sub(rest)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Refuses bytes that nobody has read.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Fault::Trailing(left)),
        }
    }
}

/// A value of exactly `N` bytes.
pub(crate) fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes.try_into().map_err(|_| Fault::Length(bytes.len()))
}
