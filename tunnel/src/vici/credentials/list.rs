//! A revocation list that we keep.

use super::CredentialFault;
use super::certificate::{first_of, print};
use tidegate_ike::auth::RevocationListOutline;
use tidegate_ike::crypto::pem;

/// A revocation list that we keep. Whether it is its issuer's is checked when it is asked.
#[derive(Clone, Debug)]
pub struct StoredList {
    der: Vec<u8>,
    outline: RevocationListOutline,
    print: [u8; 32],
}

impl StoredList {
    /// Reads PEM or DER; of several the first.
    pub fn read(bytes: &[u8]) -> Result<Self, CredentialFault> {
        let der = first_of(bytes, pem::revocation_lists).map_err(CredentialFault::Encoding)?;
        Self::from_der(der)
    }

    pub(super) fn from_der(der: Vec<u8>) -> Result<Self, CredentialFault> {
        let outline = RevocationListOutline::from_der(&der).map_err(CredentialFault::List)?;
        Ok(Self { print: print(&der), der, outline })
    }

    /// As it came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What it says.
    pub fn outline(&self) -> &RevocationListOutline {
        &self.outline
    }

    /// The digest of it.
    pub(crate) fn print(&self) -> &[u8; 32] {
        &self.print
    }
}
