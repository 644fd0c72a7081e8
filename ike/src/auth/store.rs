//! What we trust: anchors, intermediates and revocation lists.

use crate::WallTime;
use crate::wire::CertificatePayload;

/// Anchors, intermediates and revocation lists, all from memory.
#[derive(Debug)]
pub struct TrustStore {
    build: WallTime,
}

impl TrustStore {
    /// An empty store, which trusts nobody. `build` is when this program was built: no clock that lies
    /// behind it can be right.
    pub fn new(build: WallTime) -> Self {
        Self { build }
    }

    /// When this program was built.
    pub fn build(&self) -> WallTime {
        self.build
    }

    /// The CERTREQ payloads that name our anchors.
    pub fn certificate_requests(&self) -> Vec<CertificatePayload> {
        Vec::new()
    }
}

/// A chain as it is sent.
pub(super) fn without_roots(chain: &[Vec<u8>]) -> impl Iterator<Item = &Vec<u8>> {
    chain.iter()
}
