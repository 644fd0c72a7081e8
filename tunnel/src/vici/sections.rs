//! How each end proves who it is, as a client writes it: the `local` and `remote` sections of a connection.

use std::fmt;
use tidegate_ike::auth::RsaPadding;
use tidegate_ike::identity::{Identity, IdentityPattern};

/// A `local` section: one round in which we prove who we are.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalRound {
    /// `auth`
    pub method: Method,
    /// `id`; without one the certificate's subject, or the address that we talk from.
    pub identity: Option<Identity>,
    /// `certs`, each in DER: the first that there is a key for is taken, the others go along.
    pub certificates: Vec<Vec<u8>>,
    /// `pubkeys`, each a SubjectPublicKeyInfo in DER.
    pub public_keys: Vec<Vec<u8>>,
}

/// A `remote` section: one round in which the peer proves who it is.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteRound {
    /// `auth`
    pub method: Method,
    /// `id`; without one, any.
    pub identity: IdentityPattern,
    /// `certs`, each in DER: if there are any, the peer's has to be one of them.
    pub certificates: Vec<Vec<u8>>,
    /// `cacerts`, each in DER: if there are any, one of them has to be among the issuers.
    pub authorities: Vec<Vec<u8>>,
    /// `pubkeys`, each a SubjectPublicKeyInfo in DER: if there are any, one of them has to be the peer's.
    pub public_keys: Vec<Vec<u8>>,
    /// `revocation`
    pub revocation: Revocation,
}

/// `auth`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// By a signature.
    Signature(Signing),
    /// By a secret that both ends know.
    Psk,
    /// However the peer wants: `any`, or none given.
    #[default]
    Any,
}

/// How RSA keys sign, where it was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// The padding.
    pub padding: Option<RsaPadding>,
}

/// `revocation`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revocation {
    /// `relaxed`: a certificate does unless it is known to be revoked.
    #[default]
    Relaxed,
    /// `ifuri`: it has to be known to be good if it says where to ask.
    IfUri,
    /// `strict`: it has to be known to be good.
    Strict,
}

impl Method {
    /// A signature by whatever the key can do.
    pub const SIGNATURE: Self = Self::Signature(Signing { padding: None });
}

impl fmt::Display for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relaxed => "relaxed",
            Self::IfUri => "ifuri",
            Self::Strict => "strict",
        })
    }
}
