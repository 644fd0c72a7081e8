//! Telling whether something has changed without keeping what it was made of.

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::sync::Arc;

/// How one end proves who it is, ready for use.
pub struct Proof<T> {
    /// What the engine takes.
    pub auth: Arc<T>,
    /// Of what it was made from: equal means that nothing has changed.
    pub print: [u8; 32],
}

/// Makes prints. They are keyed, so that the print of a short secret tells nobody what it is.
pub(super) struct Printer(hmac::Key);

/// A print in the making.
pub(super) struct Print(hmac::Context);

impl Printer {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        // Without randomness prints still tell changes; and nothing else would work then either.
        let _ = SystemRandom::new().fill(&mut key);
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// Begins the print of this kind of thing.
    pub(super) fn begin(&self, kind: &str) -> Print {
        Print(hmac::Context::with_key(&self.0)).with(kind.as_bytes())
    }
}

impl Print {
    /// Each part counts with its length, so that nothing moves from one to the next unseen.
    pub(super) fn with(mut self, part: &[u8]) -> Self {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    pub(super) fn with_all<'a>(self, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (count, print) = parts
            .into_iter()
            .fold((0u64, self), |(count, print), part| (count.saturating_add(1), print.with(part)));
        print.with(&count.to_be_bytes())
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.0.sign().as_ref().try_into().unwrap_or_default()
    }
}

impl<T> Clone for Proof<T> {
    fn clone(&self) -> Self {
        Self { auth: Arc::clone(&self.auth), print: self.print }
    }
}

impl<T: fmt::Debug> fmt::Debug for Proof<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("auth", &self.auth).finish_non_exhaustive()
    }
}
