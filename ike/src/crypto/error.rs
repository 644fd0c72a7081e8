//! What the errors say.

use super::{KexError, KeyError, SignatureError};
use std::error::Error;
use std::fmt;

impl fmt::Display for KexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, actual } => {
                write!(f, "public value of {actual} octets where the group has {expected}")
            }
            Self::InvalidPublic => f.write_str("public value outside the group"),
            Self::Provider => f.write_str("crypto provider failed to exchange keys"),
        }
    }
}

impl Error for KexError {}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedScheme => f.write_str("key cannot use this signature scheme"),
            Self::BadKey => f.write_str("public key is damaged or of another kind than the signature"),
            Self::WeakKey { bits } => write!(f, "RSA key of {bits} bits is too short"),
            Self::Invalid => f.write_str("signature does not verify"),
            Self::Provider => f.write_str("signer failed"),
        }
    }
}

impl Error for SignatureError {}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("private key is damaged, or none in PKCS#8, PKCS#1 or SEC1"),
            Self::UnknownAlgorithm => f.write_str("private key of an unknown kind"),
            Self::MissingPublic => f.write_str("EC private key lacks its public half"),
            Self::WeakKey { bits } => write!(f, "RSA key of {bits} bits is too short"),
        }
    }
}

impl Error for KeyError {}
