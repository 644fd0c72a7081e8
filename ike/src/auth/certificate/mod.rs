//! X.509 certificates (RFC 5280, with the profile of RFC 4945 for IKE).
//!
//! [`Certificate`] is one certificate with everything that the checks look at taken out once. The
//! [`TrustStore`] holds what we trust, and [`TrustStore::verify`] leads from what a peer sent to an
//! [`EndEntity`], in this order:
//!
//! 1. clock and bounds (`store`),
//! 2. the end entity's own certificate (`usage`),
//! 3. a path to an anchor: each link first by what is cheap, then by signature (`path`),
//! 4. names, issuers and revocation along the whole path (`constraints`, `revocation`). Lists that would tell
//!    more, and where they are to be had, are `wanted`; nothing is fetched here.
//!
//! Each refusal is a [`CertificateVerdict`]: which check, on which certificate.

mod constraints;
mod outline;
mod path;
mod revocation;
mod store;
mod usage;
mod verdict;
mod wanted;

pub use outline::{CertificateOutline, RevocationListOutline};
pub use revocation::{Revocation, RevocationList, RevocationListError};
pub use store::{EndEntities, EndEntity, MAX_CHAIN, MAX_CHAIN_LEN, TrustStore};
pub use verdict::{CertificateCheck, CertificateVerdict, NameForm, WhichCertificate};
pub use wanted::WantedList;

use super::algorithm::{Algorithm, AlgorithmError, KeyKind};
use crate::WallTime;
use crate::crypto::SignatureError;
use crate::identity::{DistinguishedName, Identity};
use crate::wire::IdPayload;
use der::asn1::{BitString, ObjectIdentifier};
use der::{Decode, Encode, Reader, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage,
    NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::{AlgorithmIdentifier, Version};

/// A certificate, read once.
#[derive(Debug)]
pub(super) struct Certificate {
    der: Vec<u8>,
    signed: Signed,
    subject: DistinguishedName,
    issuer: DistinguishedName,
    serial: Vec<u8>,
    not_before: WallTime,
    not_after: WallTime,
    public_key: Vec<u8>,
    key: Result<KeyKind, SignatureError>,
    extensions: Extensions,
}

/// What a signature covers, and the signature: the same for certificates and revocation lists.
#[derive(Debug)]
pub(super) struct Signed {
    body: Vec<u8>,
    algorithm: Result<Algorithm, AlgorithmError>,
    signature: Vec<u8>,
}

/// The extensions that we process.
#[derive(Debug, Default)]
struct Extensions {
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Option<Vec<ObjectIdentifier>>,
    alternative_names: Vec<GeneralName>,
    name_constraints: Option<NameConstraints>,
    subject_key: Option<Vec<u8>>,
    authority_key: Option<Vec<u8>>,
    distribution_points: Option<CrlDistributionPoints>,
    unknown_critical: Option<ObjectIdentifier>,
}

impl Certificate {
    /// Reads a certificate in DER. Whether it is any good is not looked at here.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, CertificateCheck> {
        let certificate = x509_cert::Certificate::from_der(der).map_err(|_| CertificateCheck::Malformed)?;
        let body = certificate.tbs_certificate();
        // RFC 5280 §4.1.1.2: the algorithm inside the signature is the one outside.
        if body.signature() != certificate.signature_algorithm() {
            return Err(CertificateCheck::AlgorithmsDiffer);
        }
        // RFC 5280 §4.1.2.1
        if body.extensions().is_some() && body.version() != Version::V3 {
            return Err(CertificateCheck::Malformed);
        }
        let public_key = encoded(body.subject_public_key_info())?;
        Ok(Self {
            der: der.to_vec(),
            signed: Signed::new(der, certificate.signature_algorithm(), certificate.signature())?,
            subject: name(body.subject())?,
            issuer: name(body.issuer())?,
            serial: body.serial_number().as_bytes().to_vec(),
            not_before: wall(&body.validity().not_before),
            not_after: wall(&body.validity().not_after),
            key: KeyKind::of(&public_key),
            public_key,
            extensions: Extensions::read(body.extensions().map_or(&[], Vec::as_slice))?,
        })
    }

    /// RFC 5280 §3.2: issued under its own name.
    fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// The name and, where both sides give one, the key identifier of the issuer fit (RFC 5280 §4.2.1.1).
    fn may_be_issued_by(&self, issuer: &Self) -> bool {
        let keys = (&self.extensions.authority_key, &issuer.extensions.subject_key);
        self.issuer == issuer.subject && !matches!(keys, (Some(wanted), Some(held)) if wanted != held)
    }

    /// Every identity that it certifies (RFC 4945 §3.1): the subject, the alternative names, and the key
    /// identifier. A host name in the CN does not count, here as in strongSwan: nothing says that it is
    /// one, and constraints on host names would not bind it.
    fn identities(&self) -> Vec<Identity> {
        let subject = (!self.subject.is_empty()).then(|| Identity::Dn(self.subject.clone()));
        let names = self.extensions.alternative_names.iter().filter_map(alternative_identity);
        let key = self.extensions.subject_key.clone().map(Identity::KeyId);
        subject.into_iter().chain(names).chain(key).collect()
    }
}

fn alternative_identity(name: &GeneralName) -> Option<Identity> {
    let payload = |kind, data: &[u8]| Identity::from_payload(&IdPayload { kind, data: data.to_vec() }).ok();
    match name {
        // RFC 4945 §3.1.2: an identity is matched whole, so that a wildcard is the name of nobody.
        GeneralName::DnsName(name) if name.as_bytes().contains(&b'*') => None,
        GeneralName::DnsName(name) => payload(2, name.as_bytes()),
        GeneralName::Rfc822Name(address) => payload(3, address.as_bytes()),
        GeneralName::IpAddress(address) if address.as_bytes().len() == 4 => payload(1, address.as_bytes()),
        GeneralName::IpAddress(address) => payload(5, address.as_bytes()),
        GeneralName::DirectoryName(directory) => payload(9, &encoded(directory).ok()?),
        _ => None,
    }
}

impl Signed {
    /// `der` is a sequence of a body, an algorithm and a signature. The body is taken as it came: encoding
    /// it again might hide what was signed.
    fn new(
        der: &[u8],
        algorithm: &AlgorithmIdentifier,
        signature: &BitString,
    ) -> Result<Self, CertificateCheck> {
        let body = SliceReader::new(der).and_then(|mut reader| {
            reader.sequence(|fields| {
                let body = fields.tlv_bytes()?;
                fields.drain(fields.remaining_len())?;
                Ok::<_, der::Error>(body)
            })
        });
        Ok(Self {
            body: body.map_err(|_| CertificateCheck::Malformed)?.to_vec(),
            algorithm: Algorithm::from_der(&encoded(algorithm)?),
            signature: signature.as_bytes().ok_or(CertificateCheck::Malformed)?.to_vec(),
        })
    }
}

impl Extensions {
    fn read(extensions: &[Extension]) -> Result<Self, CertificateCheck> {
        let mut read = Self::default();
        for (at, extension) in extensions.iter().enumerate() {
            // RFC 5280 §4.2: one of a kind.
            if extensions.iter().take(at).any(|earlier| earlier.extn_id == extension.extn_id) {
                return Err(CertificateCheck::DuplicateExtension { oid: extension.extn_id.to_string() });
            }
            read.take(extension).map_err(|_| CertificateCheck::Malformed)?;
        }
        Ok(read)
    }

    /// Where the certificate says that its issuer's revocation list is to be had, as far as HTTP goes.
    fn list_uris(&self) -> Vec<String> {
        let points = self.distribution_points.iter().flat_map(|points| &points.0);
        // Lists of another issuer or of some reasons only would not be taken.
        let whole = points.filter(|point| point.reasons.is_none() && point.crl_issuer.is_none());
        let names = whole.filter_map(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => Some(names),
            _ => None,
        });
        let uris = names.flatten().filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
            _ => None,
        });
        uris.filter(|uri| uri.len() <= LONGEST_URI && has_scheme(uri, "http")).map(str::to_owned).collect()
    }

    fn take(&mut self, extension: &Extension) -> der::Result<()> {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            oid::BASIC_CONSTRAINTS => self.basic_constraints = Some(Decode::from_der(value)?),
            oid::KEY_USAGE => self.key_usage = Some(Decode::from_der(value)?),
            oid::EXTENDED_KEY_USAGE => {
                self.extended_key_usage = Some(ExtendedKeyUsage::from_der(value)?.0);
            }
            oid::SUBJECT_ALT_NAME => self.alternative_names = SubjectAltName::from_der(value)?.0,
            oid::NAME_CONSTRAINTS => self.name_constraints = Some(Decode::from_der(value)?),
            oid::SUBJECT_KEY => {
                self.subject_key = Some(SubjectKeyIdentifier::from_der(value)?.0.as_bytes().to_vec());
            }
            oid::AUTHORITY_KEY => {
                let authority = AuthorityKeyIdentifier::from_der(value)?.key_identifier;
                self.authority_key = authority.map(|key| key.as_bytes().to_vec());
            }
            oid::DISTRIBUTION_POINTS => self.distribution_points = Some(Decode::from_der(value)?),
            // No policy is asked for, so that any set of policies will do (RFC 5280 §6.1.1).
            oid::CERTIFICATE_POLICIES | oid::ISSUER_ALT_NAME => {}
            other if extension.critical => self.unknown_critical = self.unknown_critical.or(Some(other)),
            _ => {}
        }
        Ok(())
    }
}

fn name(name: &x509_cert::name::Name) -> Result<DistinguishedName, CertificateCheck> {
    DistinguishedName::from_der(&encoded(name)?).map_err(|_| CertificateCheck::Malformed)
}

fn has_scheme(uri: &str, scheme: &str) -> bool {
    uri.split_once("://").is_some_and(|(actual, _)| actual.eq_ignore_ascii_case(scheme))
}

/// Nobody needs longer ones.
const LONGEST_URI: usize = 1024;

fn encoded(value: &impl Encode) -> Result<Vec<u8>, CertificateCheck> {
    value.to_der().map_err(|_| CertificateCheck::Malformed)
}

fn wall(time: &x509_cert::time::Time) -> WallTime {
    WallTime(time.to_unix_duration().as_secs())
}

mod oid {
    use super::ObjectIdentifier;

    pub(super) const SUBJECT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
    pub(super) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
    pub(super) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
    pub(super) const ISSUER_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.18");
    pub(super) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
    pub(super) const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
    pub(super) const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
    pub(super) const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
    pub(super) const DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
    pub(super) const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
    pub(super) const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
    pub(super) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
    pub(super) const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
    pub(super) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
    pub(super) const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
    pub(super) const IPSEC_IKE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.17");
    pub(super) const IKE_INTERMEDIATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.8.2.2");
}
