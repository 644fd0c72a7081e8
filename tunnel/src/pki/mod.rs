//! A small certificate authority, for those who have none: what `tidegate pki` does.
//!
//! [`Authority`] makes itself and issues to nodes; [`describe`] tells what is in a certificate. `key` makes
//! keys (`rsa` those that ring does not), `certificate` writes certificates, `files` keeps private ones private.
//!
//! ```
//! use tidegate::pki::{Authority, KeyChoice, Node, Validity};
//! use tidegate_ike::WallTime;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = WallTime(1_800_000_000);
//! let (authority, _key) =
//!     Authority::create("O=example, CN=CA".parse()?, KeyChoice::EcdsaP256, Validity::days(now, 3650))?;
//! let node = Node {
//!     subject: "O=example, CN=edge-1".parse()?,
//!     names: vec!["edge-1.example".parse()?, "192.0.2.1".parse()?],
//!     validity: Validity::days(now, 365),
//! };
//! let issued = authority.issue(&node, KeyChoice::Ed25519)?;
//! assert!(issued.key.pem().starts_with("-----BEGIN PRIVATE KEY-----"));
//! # Ok(())
//! # }
//! ```

mod authority;
mod certificate;
mod describe;
mod files;
mod key;
mod name;
mod rsa;

pub use authority::{Authority, Issued, Node, Validity};
pub use describe::{Description, describe};
pub use files::{Existing, write_certificate, write_key};
pub use key::{KeyChoice, NewKey, ParseKeyChoiceError, RsaBits};
pub use name::{AlternativeName, ParseNameError};

use std::fmt;
use std::io;
use std::path::PathBuf;
use tidegate_ike::crypto::pem::PemError;
use tidegate_ike::crypto::{KeyError, SignatureError};

/// Why there is no certificate, or none that could be read or kept.
#[derive(Debug)]
pub enum PkiError {
    /// A text with a certificate has none that can be read.
    Certificate(PemError),
    /// Something in it is no certificate.
    Malformed,
    /// A text with a private key has none that can be read.
    Key(PemError),
    /// The private key is of no use.
    BadKey(KeyError),
    /// The private key is not that of the certificate.
    Mismatch,
    /// The certificate is not one of an authority.
    NotAuthority,
    /// A validity that ends before it begins, ends after its authority's, or cannot be written.
    Validity,
    /// Something cannot be laid out.
    Encoding(der::Error),
    /// Signing failed.
    Signature(SignatureError),
    /// No key could be made.
    Generate,
    /// A file that is to be kept is there already.
    Exists(PathBuf),
    /// A file cannot be written.
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl From<der::Error> for PkiError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error)
    }
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(error) => write!(f, "no certificate: {error}"),
            Self::Malformed => f.write_str("no certificate that can be read"),
            Self::Key(error) => write!(f, "no private key: {error}"),
            Self::BadKey(error) => write!(f, "private key cannot be used: {error}"),
            Self::Mismatch => f.write_str("the private key is not that of the certificate"),
            Self::NotAuthority => {
                f.write_str("the certificate is not one of an authority: make one with `tidegate pki ca`")
            }
            Self::Validity => f.write_str(
                "the validity has to end after it begins, before the year 10000, and within the authority's",
            ),
            Self::Encoding(error) => write!(f, "cannot be encoded: {error}"),
            Self::Signature(error) => write!(f, "cannot be signed: {error}"),
            Self::Generate => f.write_str("no key could be made"),
            Self::Exists(path) => {
                write!(f, "{} is there already: choose another name, or say --force", path.display())
            }
            Self::File { path, error } => write!(f, "{} cannot be written: {error}", path.display()),
        }
    }
}

impl std::error::Error for PkiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { error, .. } => Some(error),
            Self::Encoding(error) => Some(error),
            _ => None,
        }
    }
}
