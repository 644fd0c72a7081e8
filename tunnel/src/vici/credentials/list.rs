//! A revocation list that we keep.

use super::CredentialFault;
use super::certificate::{first_of, print};
use tidegate_ike::auth::RevocationListOutline;
use tidegate_ike::crypto::{RING, pem};

/// A revocation list that we keep. Whether it is its issuer's is checked when it is asked.
#[derive(Clone, Debug)]
pub struct StoredList {
    der: Vec<u8>,
    outline: RevocationListOutline,
    /// The SHA-256 of its issuer's certificate, where its signature was checked by that.
    signer: Option<[u8; 32]>,
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
        Ok(Self { print: print(&der), der, outline, signer: None })
    }

    /// Reads DER that has to be signed by this certificate's key.
    pub(super) fn signed_by(issuer: &[u8], der: &[u8]) -> Result<Self, CredentialFault> {
        let outline = RevocationListOutline::signed_by(&RING, issuer, der).map_err(CredentialFault::List)?;
        Ok(Self { print: print(der), der: der.to_vec(), outline, signer: Some(print(issuer)) })
    }

    /// As it came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What it says.
    pub fn outline(&self) -> &RevocationListOutline {
        &self.outline
    }

    pub(super) fn print(&self) -> &[u8; 32] {
        &self.print
    }

    /// It is this very one, or one that came after it.
    pub(super) fn is_same_or_newer(&self, other: &Self) -> bool {
        self.print == other.print
            || self.signer == other.signer
                && self.signer.is_some()
                && self.outline.scope == other.outline.scope
                && self.outline.this_update > other.outline.this_update
    }

    /// It came after another of the same issuer that speaks of the same certificates. Without a checked
    /// signature anybody could say so.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.signer.is_some()
            && self.signer == other.signer
            && self.outline.scope == other.outline.scope
            && self.outline.this_update >= other.outline.this_update
    }
}
