//! A certificate that we keep.

use super::CredentialFault;
use ring::digest;
use tidegate_ike::WallTime;
use tidegate_ike::auth::{CertificateOutline, Revocation, TrustStore};
use tidegate_ike::crypto::pem::{self, PemError};

/// A certificate that we keep.
#[derive(Clone, Debug)]
pub struct StoredCertificate {
    der: Vec<u8>,
    outline: CertificateOutline,
    print: [u8; 32],
}

impl StoredCertificate {
    /// Reads PEM or DER; of several the first.
    pub fn read(bytes: &[u8]) -> Result<Self, CredentialFault> {
        let der = first_of(bytes, pem::certificates).map_err(CredentialFault::Encoding)?;
        Self::from_der(&der)
    }

    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CredentialFault> {
        let outline = CertificateOutline::from_der(der).map_err(CredentialFault::Certificate)?;
        if outline.is_authority {
            // What could never serve as an anchor is better refused now than met by a peer.
            let mut trial = TrustStore::new(WallTime(0), Revocation::Off);
            trial.add_anchor(der).map_err(|verdict| CredentialFault::Authority(Box::new(verdict)))?;
        }
        Ok(Self { der: der.to_vec(), outline, print: print(der) })
    }

    /// The same, if it is one of an authority.
    pub fn authority(self) -> Result<Self, CredentialFault> {
        match self.outline.is_authority {
            true => Ok(self),
            false => Err(CredentialFault::NotAuthority),
        }
    }

    /// As it came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What it says.
    pub fn outline(&self) -> &CertificateOutline {
        &self.outline
    }

    /// The SHA-256 of all of it.
    pub(super) fn print(&self) -> &[u8; 32] {
        &self.print
    }
}

impl PartialEq for StoredCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl Eq for StoredCertificate {}

/// The first structure of PEM, or all of DER.
pub(super) fn first_of(
    bytes: &[u8],
    from_pem: fn(&str) -> Result<Vec<Vec<u8>>, PemError>,
) -> Result<Vec<u8>, PemError> {
    Ok(all_of(bytes, from_pem)?.swap_remove(0))
}

/// Every structure of PEM, which is never none; or the one of DER.
pub(super) fn all_of(
    bytes: &[u8],
    from_pem: fn(&str) -> Result<Vec<Vec<u8>>, PemError>,
) -> Result<Vec<Vec<u8>>, PemError> {
    const SEQUENCE: u8 = 0x30;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN") => match from_pem(text) {
            Ok(all) if all.is_empty() => Err(PemError::Missing),
            outcome => outcome,
        },
        _ if bytes.first() == Some(&SEQUENCE) => Ok(vec![bytes.to_vec()]),
        _ => Err(PemError::Missing),
    }
}

pub(super) fn print(der: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, der).as_ref().try_into().unwrap_or_default()
}
