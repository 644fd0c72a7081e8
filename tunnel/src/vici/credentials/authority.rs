//! What clients say of a CA.

use super::StoredCertificate;
use std::sync::Arc;

/// What clients say of a CA: its certificate, and where its revocation lists are to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    certificate: Arc<StoredCertificate>,
    list_uris: Vec<String>,
}

impl Authority {
    /// `certificate` has to be one of an authority.
    pub fn new(certificate: StoredCertificate, list_uris: Vec<String>) -> Self {
        Self { certificate: Arc::new(certificate), list_uris }
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Arc<StoredCertificate> {
        &self.certificate
    }

    /// Where its revocation lists are to be had.
    pub fn list_uris(&self) -> &[String] {
        &self.list_uris
    }
}
