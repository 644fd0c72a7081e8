//! Why a certificate was refused.

use super::Certificate;
use crate::WallTime;
use crate::auth::algorithm::AlgorithmError;
use crate::auth::failure::Blame;
use crate::crypto::SignatureError;
use crate::identity::DistinguishedName;
use std::fmt;
use std::time::Duration;

/// A check that failed, and the certificate it failed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateVerdict {
    /// The check.
    pub check: CertificateCheck,
    /// The certificate.
    pub certificate: WhichCertificate,
}

/// Which certificate a verdict is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichCertificate {
    /// None: the verdict is about all of them, or there are none.
    None,
    /// The one at this place among those sent, counted from 0; it could not be read.
    Unread {
        /// Its place.
        position: usize,
    },
    /// This one.
    Named {
        /// Whose it is.
        subject: DistinguishedName,
        /// Who issued it.
        issuer: DistinguishedName,
        /// Its serial number.
        serial: Vec<u8>,
    },
}

/// What a certificate can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateCheck {
    /// Our clock lies behind the build of this program, so that no validity can be judged.
    ClockBehindBuild {
        /// The clock.
        now: WallTime,
        /// The build.
        build: WallTime,
    },
    /// The peer sent none.
    Missing,
    /// The peer sent more than we read.
    TooMany {
        /// What we read.
        limit: usize,
    },
    /// The peer's certificates are longer than we read.
    TooLong {
        /// Bytes that we read.
        limit: usize,
    },
    /// No DER, or no certificate.
    Malformed,
    /// The signature algorithm inside is not the one outside (RFC 5280 §4.1.1.2).
    AlgorithmsDiffer,
    /// An extension is there twice (RFC 5280 §4.2).
    DuplicateExtension {
        /// Its object identifier.
        oid: String,
    },
    /// A critical extension that we do not know (RFC 5280 §4.2).
    UnknownCriticalExtension {
        /// Its object identifier.
        oid: String,
    },
    /// Its time has not come.
    NotYetValid {
        /// When it will.
        not_before: WallTime,
        /// The clock.
        now: WallTime,
    },
    /// Its time is over.
    Expired {
        /// When it ended.
        not_after: WallTime,
        /// The clock.
        now: WallTime,
    },
    /// An RSA key below 2048 bits.
    WeakKey {
        /// Bits of the modulus.
        bits: usize,
    },
    /// A damaged key, or of no kind we know.
    Key(SignatureError),
    /// Signed with an algorithm that we do not take.
    Algorithm(AlgorithmError),
    /// Signed over SHA-1.
    Sha1,
    /// Signed with an algorithm that does not go with its issuer's key.
    AlgorithmKeyMismatch,
    /// The issuer's signature does not hold.
    Signature(SignatureError),
    /// No issuer among our anchors and intermediates, nor among what the peer sent.
    NoTrustedIssuer,
    /// The search for a path was given up: too many signatures to try.
    SearchExhausted,
    /// The path is longer than we go.
    PathTooLong {
        /// Certificates in the longest one.
        limit: usize,
    },
    /// It issued another one and is no CA (RFC 5280 §4.2.1.9).
    NotCa,
    /// Too many CAs below it (RFC 5280 §4.2.1.9).
    PathLength {
        /// What it allows.
        allowed: u8,
        /// What there is.
        actual: usize,
    },
    /// Its key must not be used for what it was used for (RFC 5280 §4.2.1.3, RFC 4945 §5.1.3.2).
    KeyUsage,
    /// Its extended key usage has nothing that lets it serve IKE (RFC 4945 §5.1.3.12).
    ExtendedKeyUsage,
    /// A name that an issuer above does not let it have (RFC 5280 §4.2.1.10).
    NameNotPermitted {
        /// The form of the name.
        form: NameForm,
        /// The name.
        name: String,
    },
    /// A name that an issuer above forbids it (RFC 5280 §4.2.1.10).
    NameExcluded {
        /// The form of the name.
        form: NameForm,
        /// The name.
        name: String,
    },
    /// A name of a form that an issuer above constrains in a way we cannot follow.
    ConstraintNotUnderstood {
        /// The form of the name.
        form: NameForm,
    },
    /// More names against more constraints than we compare.
    TooManyNames,
    /// None of the certificates that are known, where no other will do.
    NotKnown,
    /// No allowed CA among its issuers.
    IssuerNotAllowed,
    /// Its issuer revoked it.
    Revoked,
    /// Strict mode, and no revocation list of its issuer.
    NoRevocationList,
    /// Strict mode, and the revocation list of its issuer is out of date or says no end.
    RevocationListStale {
        /// When the next one was due.
        next_update: Option<WallTime>,
        /// The clock.
        now: WallTime,
    },
    /// Strict mode, and the revocation list of its issuer comes from the future.
    RevocationListNotYetValid {
        /// When it was issued.
        this_update: WallTime,
        /// The clock.
        now: WallTime,
    },
    /// Strict mode, and the signature of the revocation list does not hold.
    RevocationListSignature,
    /// Strict mode, and the key of its issuer must not sign revocation lists (RFC 5280 §4.2.1.3).
    RevocationListKeyUsage,
}

/// Forms of names (RFC 5280 §4.2.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameForm {
    /// dNSName
    Dns,
    /// rfc822Name
    Email,
    /// iPAddress
    Address,
    /// directoryName, and the subject
    Directory,
    /// uniformResourceIdentifier
    Uri,
    /// otherName, ediPartyName, registeredID
    Other,
}

impl CertificateVerdict {
    pub(in crate::auth) fn on(certificate: &Certificate, check: CertificateCheck) -> Self {
        let certificate = WhichCertificate::Named {
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            serial: certificate.serial.clone(),
        };
        Self { check, certificate }
    }

    pub(in crate::auth) fn general(check: CertificateCheck) -> Self {
        Self { check, certificate: WhichCertificate::None }
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        use CertificateCheck as Check;
        match self.check {
            Check::ClockBehindBuild { .. }
            | Check::NoRevocationList
            | Check::RevocationListStale { .. }
            | Check::RevocationListNotYetValid { .. }
            | Check::RevocationListSignature
            | Check::RevocationListKeyUsage => Blame::Us,
            Check::NoTrustedIssuer
            | Check::NotKnown
            | Check::IssuerNotAllowed
            | Check::NotYetValid { .. } => Blame::Either,
            Check::Malformed | Check::TooMany { .. } | Check::TooLong { .. } | Check::Signature(_) => {
                Blame::Protocol
            }
            _ => Blame::Peer,
        }
    }
}

impl fmt::Display for CertificateVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.certificate {
            WhichCertificate::None => {}
            WhichCertificate::Unread { position } => write!(f, "certificate {position}: ")?,
            WhichCertificate::Named { subject, serial, .. } => {
                write!(f, "certificate {subject} (serial ")?;
                serial.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("): ")?;
            }
        }
        self.check.fmt(f)
    }
}

impl std::error::Error for CertificateVerdict {}

impl fmt::Display for CertificateCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockBehindBuild { now, build } => {
                write!(f, "the clock says {}, before this program was built ({})", Date(*now), Date(*build))
            }
            Self::Missing => write!(f, "the peer sent no certificate"),
            Self::TooMany { limit } => write!(f, "the peer sent more than {limit} certificates"),
            Self::TooLong { limit } => write!(f, "the peer sent more than {limit} bytes of certificates"),
            Self::Malformed => write!(f, "malformed"),
            Self::AlgorithmsDiffer => write!(f, "two different signature algorithms"),
            Self::DuplicateExtension { oid } => write!(f, "extension {oid} is there twice"),
            Self::UnknownCriticalExtension { oid } => write!(f, "unknown critical extension {oid}"),
            Self::NotYetValid { not_before, now } => {
                write!(f, "not valid before {}, and now is {}", Date(*not_before), Date(*now))
            }
            Self::Expired { not_after, now } => {
                write!(f, "expired on {}, and now is {}", Date(*not_after), Date(*now))
            }
            Self::WeakKey { bits } => write!(f, "an RSA key of only {bits} bits"),
            Self::Key(error) => write!(f, "unusable public key: {error}"),
            Self::Algorithm(error) => write!(f, "signature: {error}"),
            Self::Sha1 => write!(f, "signed over SHA-1"),
            Self::AlgorithmKeyMismatch => write!(f, "its signature algorithm is not one of its issuer's key"),
            Self::Signature(error) => write!(f, "its issuer's signature does not hold: {error}"),
            Self::NoTrustedIssuer => write!(f, "no trusted issuer"),
            Self::SearchExhausted => write!(f, "too many ways to an issuer to try them all"),
            Self::PathTooLong { limit } => write!(f, "more than {limit} certificates to an anchor"),
            Self::NotCa => write!(f, "not a CA"),
            Self::PathLength { allowed, actual } => {
                write!(f, "{actual} CAs below it where it allows {allowed}")
            }
            Self::KeyUsage => write!(f, "its key usage does not cover this"),
            Self::ExtendedKeyUsage => write!(f, "its extended key usage does not cover IKE"),
            Self::NameNotPermitted { form, name } => write!(f, "its {form} {name} is not permitted to it"),
            Self::NameExcluded { form, name } => write!(f, "its {form} {name} is excluded"),
            Self::ConstraintNotUnderstood { form } => {
                write!(f, "its {form} is constrained in a way that is not understood")
            }
            Self::TooManyNames => write!(f, "too many names and constraints"),
            Self::NotKnown => write!(f, "not one of those that were asked for"),
            Self::IssuerNotAllowed => write!(f, "none of its issuers is an allowed one"),
            Self::Revoked => write!(f, "revoked"),
            Self::NoRevocationList => write!(f, "no revocation list of its issuer"),
            Self::RevocationListStale { next_update, now } => match next_update {
                Some(due) => {
                    write!(f, "the next revocation list was due {}, now is {}", Date(*due), Date(*now))
                }
                None => write!(f, "the revocation list of its issuer says no end"),
            },
            Self::RevocationListNotYetValid { this_update, now } => {
                write!(f, "its issuer's revocation list is of {}, now is {}", Date(*this_update), Date(*now))
            }
            Self::RevocationListSignature => write!(f, "the signature of its revocation list does not hold"),
            Self::RevocationListKeyUsage => write!(f, "its issuer must not sign revocation lists"),
        }
    }
}

impl fmt::Display for NameForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "host name",
            Self::Email => "email address",
            Self::Address => "IP address",
            Self::Directory => "distinguished name",
            Self::Uri => "URI",
            Self::Other => "other name",
        })
    }
}

struct Date(WallTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match der::DateTime::from_unix_duration(Duration::from_secs(self.0.0)) {
            Ok(date) => date.fmt(f),
            Err(_) => write!(f, "second {}", self.0.0),
        }
    }
}
