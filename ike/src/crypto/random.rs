//! Where random bytes come from: always from outside.

use ring::rand::SecureRandom;

/// A source of random bytes, public and secret ones alike.
pub trait Random: Send {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);
}

/// The operating system's random source. The driver makes one and hands it in; nothing in this crate does.
#[derive(Clone, Debug)]
pub struct SystemRandom(ring::rand::SystemRandom);

impl SystemRandom {
    /// The random source of this machine.
    pub fn new() -> Self {
        Self(ring::rand::SystemRandom::new())
    }
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl Random for SystemRandom {
    /// # Panics
    ///
    /// When the operating system has no randomness to give: there is no safe way on without it, and nothing
    /// that comes from the network can bring it about.
    #[expect(clippy::expect_used, reason = "see above")]
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out).expect("the operating system gives random bytes");
    }
}
