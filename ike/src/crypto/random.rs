//! Where random bytes come from: always from outside.

/// A source of random bytes, public and secret ones alike.
pub trait Random: Send {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);
}
