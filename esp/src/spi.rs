//! The Security Parameters Index of an ESP SA.

mod allocator;

pub use allocator::{SpiAllocator, SpisExhausted};

use std::fmt;
use std::num::NonZeroU32;

/// A Security Parameters Index that may name an SA: the values 0 to 255 are reserved (RFC 4303 §2.1) and
/// cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spi(NonZeroU32);

impl Spi {
    /// The lowest index that RFC 4303 leaves for SAs.
    pub const MIN: u32 = 256;

    /// `None` when the value is one of the reserved ones.
    pub const fn new(value: u32) -> Option<Self> {
        if value < Self::MIN {
            return None;
        }
        match NonZeroU32::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The index as a number.
    pub const fn value(self) -> u32 {
        self.0.get()
    }

    /// As it stands on the wire.
    pub const fn to_be_bytes(self) -> [u8; 4] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spi({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_values_make_no_spi() {
        assert!(Spi::new(0).is_none());
        assert!(Spi::new(255).is_none());
        assert_eq!(Spi::new(256).map(Spi::value), Some(256));
    }
}
