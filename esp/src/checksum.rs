//! The Internet checksum (RFC 1071).
//!
//! A ones' complement sum does not mind the byte order it is taken in, as long as it is written back in the
//! same. So words are read as they lie in memory, and nothing is swapped. Four-byte words go into eight
//! 64-bit lanes, which the compiler turns into vector additions; the carries are folded once at the end.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::headers::{IPV4_HEADER, IPV6_HEADER, low};

const LANES: usize = 8;

/// A running ones' complement sum. Pieces are added in any order, but each has to begin at an even offset
/// of what is summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// Adds bytes; an odd last one counts as if a zero followed.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let (blocks, rest) = bytes.as_chunks::<{ LANES * 4 }>();
        let mut lanes = [0_u64; LANES];
        for block in blocks {
            let (words, _) = block.as_chunks::<4>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = lane.wrapping_add(u32::from_ne_bytes(*word).into());
            }
        }
        let (words, rest) = rest.as_chunks::<2>();
        let tail = match rest {
            [last] => u16::from_ne_bytes([*last, 0]).into(),
            _ => 0,
        };
        let words = words.iter().map(|word| u64::from(u16::from_ne_bytes(*word)));
        // No sum overflows: that would take 2^32 words.
        Self(lanes.into_iter().chain(words).fold(self.0.wrapping_add(tail), u64::wrapping_add))
    }

    /// Adds one 16-bit number.
    #[must_use]
    pub fn word(self, value: u16) -> Self {
        Self(self.0.wrapping_add(u16::from_ne_bytes(value.to_be_bytes()).into()))
    }

    /// Adds the pseudo-header of the IP packet that begins with `header`: its addresses, the protocol and
    /// the length of what follows the IP headers (RFC 9293 §3.1, RFC 8200 §8.1).
    #[must_use]
    pub fn pseudo_header(self, header: &[u8], protocol: u8, length: usize) -> Self {
        let addresses = match header.first().map(|first| first >> 4) {
            Some(4) => header.get(12..IPV4_HEADER),
            _ => header.get(8..IPV6_HEADER),
        };
        let length = u16::from_be_bytes(low(length));
        self.bytes(addresses.unwrap_or_default()).word(protocol.into()).word(length)
    }

    /// The sum itself, as it is put into a packet whose checksum the kernel is to finish.
    pub fn partial(self) -> [u8; 2] {
        self.fold().to_ne_bytes()
    }

    /// The checksum, as it is put into a packet.
    pub fn finish(self) -> [u8; 2] {
        (!self.fold()).to_ne_bytes()
    }

    /// The checksum for UDP, where zero would say that there is none (RFC 768).
    pub fn finish_udp(self) -> [u8; 2] {
        match self.finish() {
            [0, 0] => [0xff, 0xff],
            checksum => checksum,
        }
    }

    /// Whether bytes that hold their own checksum are intact.
    pub fn is_intact(self) -> bool {
        self.fold() == u16::MAX
    }

    fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff).wrapping_add(sum >> 16);
        }
        // The loop has left 16 bits.
        u16::try_from(sum).unwrap_or(u16::MAX)
    }
}

/// The checksum of a packet after a word in it changed from `old` to `new` (RFC 1624 §3).
#[must_use]
pub fn update(checksum: [u8; 2], old: [u8; 2], new: [u8; 2]) -> [u8; 2] {
    let not = |bytes: [u8; 2]| u64::from(!u16::from_ne_bytes(bytes));
    let new = u64::from(u16::from_ne_bytes(new));
    Sum(not(checksum).wrapping_add(not(old)).wrapping_add(new)).finish()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn naive(bytes: &[u8]) -> [u8; 2] {
        let mut sum = 0_u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!u16::try_from(sum).unwrap_or(0)).to_be_bytes()
    }

    #[test]
    fn the_example_of_rfc_1071_sums_up() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::ZERO.bytes(&bytes).partial(), [0xdd, 0xf2]);
    }

    proptest! {
        #[test]
        fn wide_sums_agree_with_the_plain_one(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(Sum::ZERO.bytes(&bytes).finish(), naive(&bytes));
        }

        #[test]
        fn an_update_is_as_good_as_a_new_sum(mut bytes in proptest::collection::vec(any::<u8>(), 40),
                                             at in 0..19_usize, new in any::<[u8; 2]>()) {
            bytes[0] |= 1; // Of all zeroes there are two checksums.
            let before = Sum::ZERO.bytes(&bytes).finish();
            let old = [bytes[2 * at + 2], bytes[2 * at + 3]];
            bytes[2 * at + 2..2 * at + 4].copy_from_slice(&new);
            prop_assert_eq!(update(before, old, new), Sum::ZERO.bytes(&bytes).finish());
        }
    }
}
