//! What is in a certificate, for people.

use super::certificate::{BASIC_CONSTRAINTS, SUBJECT_ALT_NAME};
use super::{PkiError, Validity};
use der::asn1::{ObjectIdentifier, UintRef};
use der::{DateTime, Decode, Encode, Sequence};
use ring::digest;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use tidegate_ike::WallTime;
use tidegate_ike::crypto::pem;
use tidegate_ike::identity::DistinguishedName;
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName, SubjectKeyIdentifier};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// What a certificate says. Nothing of it has been checked.
#[derive(Clone, Debug)]
pub struct Description {
    /// Whose it is.
    pub subject: DistinguishedName,
    /// Who says so.
    pub issuer: DistinguishedName,
    /// Its other names, each with its kind.
    pub names: Vec<String>,
    /// What kind of key, such as `RSA 2048`.
    pub key: String,
    /// Whether it may issue others.
    pub is_authority: bool,
    /// From when to when.
    pub validity: Validity,
    /// Its number with the issuer, in hexadecimal.
    pub serial: String,
    /// SHA-256 of all of it.
    pub fingerprint: [u8; 32],
    pub(super) public_key: Vec<u8>,
    pub(super) key_id: Option<Vec<u8>>,
}

/// Describes all certificates of a PEM text.
pub fn describe(text: &str) -> Result<Vec<Description>, PkiError> {
    let certificates = pem::certificates(text).map_err(PkiError::Certificate)?;
    certificates.iter().map(|der| Description::of(der)).collect()
}

impl Description {
    pub(super) fn of(der: &[u8]) -> Result<Self, PkiError> {
        let certificate = Certificate::from_der(der).map_err(|_| PkiError::Malformed)?;
        let body = certificate.tbs_certificate();
        let name = |name: &x509_cert::name::Name| {
            DistinguishedName::from_der(&name.to_der()?).map_err(|_| PkiError::Malformed)
        };
        let public_key = body.subject_public_key_info().to_der()?;
        let second = |time: &x509_cert::time::Time| WallTime(time.to_unix_duration().as_secs());
        let validity = body.validity();
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        let names = extension::<SubjectAltName>(&certificate, SUBJECT_ALT_NAME)?;
        let constraints = extension::<BasicConstraints>(&certificate, BASIC_CONSTRAINTS)?;
        let key_id = extension::<SubjectKeyIdentifier>(&certificate, SUBJECT_KEY)?;
        Ok(Self {
            subject: name(body.subject())?,
            issuer: name(body.issuer())?,
            names: names.iter().flat_map(|names| &names.0).map(name_text).collect(),
            key: key_text(&public_key),
            is_authority: constraints.is_some_and(|constraints| constraints.ca),
            validity: Validity {
                not_before: second(&validity.not_before),
                not_after: second(&validity.not_after),
            },
            serial: hex(body.serial_number().as_bytes(), ""),
            fingerprint,
            public_key,
            key_id: key_id.map(|key_id| key_id.0.as_bytes().to_vec()),
        })
    }

    /// As people read it, `now` being the present.
    pub fn display(&self, now: WallTime) -> impl fmt::Display + '_ {
        Shown { certificate: self, now }
    }
}

fn extension<T: for<'a> Decode<'a, Error = der::Error>>(
    certificate: &Certificate,
    id: ObjectIdentifier,
) -> Result<Option<T>, PkiError> {
    let all = certificate.tbs_certificate().extensions();
    let found = all.into_iter().flatten().find(|extension| extension.extn_id == id);
    let read = found.map(|extension| T::from_der(extension.extn_value.as_bytes()));
    read.transpose().map_err(|_| PkiError::Malformed)
}

fn name_text(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => format!("dns:{}", name.as_str()),
        GeneralName::Rfc822Name(address) => format!("email:{}", address.as_str()),
        GeneralName::UniformResourceIdentifier(uri) => format!("uri:{}", uri.as_str()),
        GeneralName::IpAddress(address) => match address_of(address.as_bytes()) {
            Some(address) => format!("ip:{address}"),
            None => format!("ip:{}", hex(address.as_bytes(), "")),
        },
        GeneralName::DirectoryName(name) => {
            match name.to_der().map(|der| DistinguishedName::from_der(&der)) {
                Ok(Ok(name)) => format!("name:{name}"),
                _ => "name that cannot be read".to_owned(),
            }
        }
        GeneralName::RegisteredId(id) => format!("id:{id}"),
        GeneralName::OtherName(_) | GeneralName::EdiPartyName(_) => "name of another kind".to_owned(),
    }
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(<[u8; 4]>::try_from(bytes).ok()?.into()),
        _ => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
    }
}

fn key_text(public_key: &[u8]) -> String {
    let Ok(info) = SubjectPublicKeyInfoRef::from_der(public_key) else { return "unreadable".to_owned() };
    let curve = info.algorithm.parameters_oid().map(|curve| curve.to_string());
    match (info.algorithm.oid.to_string().as_str(), curve.as_deref()) {
        ("1.2.840.113549.1.1.1", _) => rsa_text(info.subject_public_key.as_bytes().unwrap_or_default()),
        ("1.2.840.10045.2.1", Ok("1.2.840.10045.3.1.7")) => "ECDSA P-256".to_owned(),
        ("1.2.840.10045.2.1", Ok("1.3.132.0.34")) => "ECDSA P-384".to_owned(),
        ("1.2.840.10045.2.1", Ok("1.3.132.0.35")) => "ECDSA P-521".to_owned(),
        ("1.3.101.112", _) => "Ed25519".to_owned(),
        (other, _) => format!("of kind {other}"),
    }
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

fn rsa_text(key: &[u8]) -> String {
    let Ok(key) = RsaPublicKey::from_der(key) else { return "RSA, unreadable".to_owned() };
    let bytes = key.modulus.as_bytes();
    let leading = bytes.first().map_or(0, |first| first.leading_zeros() as usize);
    format!("RSA {}", bytes.len() * 8 - leading)
}

fn hex(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
}

struct Shown<'a> {
    certificate: &'a Description,
    now: WallTime,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = self.certificate;
        writeln!(f, "subject      {}", certificate.subject)?;
        writeln!(f, "issuer       {}", certificate.issuer)?;
        if !certificate.names.is_empty() {
            writeln!(f, "names        {}", certificate.names.join(", "))?;
        }
        let role = if certificate.is_authority { ", issues certificates" } else { "" };
        writeln!(f, "key          {}{role}", certificate.key)?;
        let Validity { not_before, not_after } = certificate.validity;
        writeln!(f, "valid from   {}", Date(not_before))?;
        writeln!(
            f,
            "valid until  {}, {}",
            Date(not_after),
            Left { validity: certificate.validity, now: self.now }
        )?;
        writeln!(f, "serial       {}", certificate.serial)?;
        write!(f, "fingerprint  sha256 {}", hex(&certificate.fingerprint, ":"))
    }
}

struct Date(WallTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_unix_duration(Duration::from_secs(self.0.0)) {
            Ok(date) => write!(f, "{date}"),
            Err(_) => write!(f, "{} s after 1970", self.0.0),
        }
    }
}

struct Left {
    validity: Validity,
    now: WallTime,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 24 * 60 * 60;
        let Self { validity, now } = *self;
        if now < validity.not_before {
            return f.write_str("not valid yet");
        }
        match validity.not_after.0.checked_sub(now.0) {
            Some(left) => write!(f, "{} days left", left / DAY),
            None => write!(f, "expired {} days ago", (now.0 - validity.not_after.0) / DAY),
        }
    }
}

const SUBJECT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
