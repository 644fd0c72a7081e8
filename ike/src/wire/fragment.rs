//! Messages in several datagrams (RFC 7383): the chunks of one that goes out, the buffer for one that comes
//! in. Both work on plaintext; each chunk is sealed and opened on its own.

use super::{FragmentError, Part, PayloadChain, SealingSizes, WireError};

/// One chunk of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment<'a> {
    /// Its number and the total.
    pub part: Part,
    /// Type of the first payload inside, in the first chunk; 0 in the others (RFC 7383 §2.5).
    pub first: u8,
    /// Its plaintext, which ends wherever it ends: payload boundaries do not count.
    pub plain: &'a [u8],
}

/// Cuts a message into chunks that, sealed, make datagrams of at most `max_datagram` bytes; IP and UDP
/// headers and the non-ESP marker are not counted.
pub fn split(
    chain: &PayloadChain,
    max_datagram: usize,
    sizes: SealingSizes,
) -> Result<Vec<Fragment<'_>>, WireError> {
    if chain.bytes.len() > Reassembly::MAX_BYTES {
        return Err(WireError::TooLong(chain.bytes.len()));
    }
    let any = Part::Fragment { number: 1, total: 1 };
    let room = sizes.room(any, max_datagram).filter(|room| *room > 0);
    let room = room.ok_or(WireError::NoRoom(max_datagram))?;
    let chunks: Vec<&[u8]> =
        if chain.bytes.is_empty() { vec![&[]] } else { chain.bytes.chunks(room).collect() };
    let total = u16::try_from(chunks.len())
        .ok()
        .filter(|total| *total <= Reassembly::MAX_FRAGMENTS)
        .ok_or(WireError::NoRoom(max_datagram))?;
    Ok((1..=total)
        .zip(chunks)
        .map(|(number, plain)| Fragment {
            part: Part::Fragment { number, total },
            first: if number == 1 { chain.first } else { 0 },
            plain,
        })
        .collect())
}

/// The chunks of one message, gathered in any order.
///
/// It holds what its keys have opened, so nobody but the peer can fill it; how long it waits is for its owner
/// to say.
#[derive(Default)]
pub struct Reassembly {
    /// One place for each fragment; empty when nothing is being gathered.
    chunks: Vec<Option<Vec<u8>>>,
    first: u8,
    missing: usize,
    bytes: usize,
}

/// What adding a fragment has led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Others are missing.
    Incomplete,
    /// It was there already; the one that came first stays.
    Duplicate,
    /// The message is whole, and the buffer is empty again.
    Complete(PayloadChain),
}

/// Whether a fragment would add anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Novelty {
    /// It would.
    New,
    /// It is there already, so opening it would be wasted work.
    Duplicate,
}

impl Reassembly {
    /// How many fragments a message may have.
    pub const MAX_FRAGMENTS: u16 = 64;
    /// How long a message may become.
    pub const MAX_BYTES: usize = 65_536;

    /// Whether nothing is being gathered.
    pub const fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How much memory it takes.
    pub fn held(&self) -> usize {
        self.bytes.saturating_add(self.chunks.len().saturating_mul(size_of::<Option<Vec<u8>>>()))
    }

    /// What can be known of a fragment before it is opened (RFC 7383 §2.6). Nothing changes: an unopened
    /// fragment may be anyone's.
    pub fn check(&self, number: u16, total: u16) -> Result<Novelty, FragmentError> {
        if number == 0 || number > total {
            return Err(FragmentError::Number { number, total });
        }
        if total > Self::MAX_FRAGMENTS {
            return Err(FragmentError::TooMany { total });
        }
        let current = self.total();
        if total < current {
            return Err(FragmentError::Superseded { total, current });
        }
        let held = total == current && self.chunk(number).is_some_and(Option::is_some);
        Ok(if held { Novelty::Duplicate } else { Novelty::New })
    }

    /// Adds a fragment that has been opened. A larger total means that the sender has started over with
    /// smaller fragments, so what was gathered goes (RFC 7383 §2.6). A refused fragment changes nothing.
    pub fn add(
        &mut self,
        number: u16,
        total: u16,
        first_payload: u8,
        plain: &[u8],
    ) -> Result<Progress, FragmentError> {
        if self.check(number, total)? == Novelty::Duplicate {
            return Ok(Progress::Duplicate);
        }
        let starts_over = total > self.total();
        let held = if starts_over { 0 } else { self.bytes };
        let bytes = held.saturating_add(plain.len());
        if bytes > Self::MAX_BYTES {
            return Err(FragmentError::TooLong(bytes));
        }
        if starts_over {
            self.start(usize::from(total));
        }
        self.bytes = bytes;
        self.store(number, first_payload, plain);
        Ok(if self.missing == 0 { Progress::Complete(self.finish()) } else { Progress::Incomplete })
    }

    /// Forgets what was gathered.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn start(&mut self, total: usize) {
        *self = Self { chunks: vec![None; total], missing: total, ..Self::default() };
    }

    fn store(&mut self, number: u16, first_payload: u8, plain: &[u8]) {
        if number == 1 {
            self.first = first_payload;
        }
        let place = usize::from(number).checked_sub(1).and_then(|index| self.chunks.get_mut(index));
        if let Some(place) = place {
            *place = Some(plain.to_vec());
            self.missing = self.missing.saturating_sub(1);
        }
    }

    fn finish(&mut self) -> PayloadChain {
        let done = std::mem::take(self);
        let chunks: Vec<Vec<u8>> = done.chunks.into_iter().flatten().collect();
        PayloadChain { first: done.first, bytes: chunks.concat() }
    }

    fn chunk(&self, number: u16) -> Option<&Option<Vec<u8>>> {
        usize::from(number).checked_sub(1).and_then(|index| self.chunks.get(index))
    }

    /// Never above [`Self::MAX_FRAGMENTS`].
    fn total(&self) -> u16 {
        u16::try_from(self.chunks.len()).unwrap_or(u16::MAX)
    }
}
