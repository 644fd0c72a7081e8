//! Writing certificates (RFC 5280 §4).

use super::{AlternativeName, PkiError, Validity};
use der::asn1::{AnyRef, BitString, ObjectIdentifier, OctetString};
use der::flagset::FlagSet;
use der::{Decode, Encode, Sequence};
use ring::digest;
use tidegate_ike::crypto::{Random, SignatureEncoding, SignatureScheme, SigningKey, SystemRandom};
use tidegate_ike::identity::DistinguishedName;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_cert::{Version, time};

/// What a certificate says.
pub(super) struct Content<'a> {
    pub(super) issuer: &'a DistinguishedName,
    pub(super) subject: &'a DistinguishedName,
    /// SubjectPublicKeyInfo in DER.
    pub(super) public_key: &'a [u8],
    /// The same of the issuer.
    pub(super) issuer_key_id: &'a [u8],
    pub(super) validity: Validity,
    pub(super) purpose: Purpose<'a>,
}

pub(super) enum Purpose<'a> {
    /// It issues to nodes, and to no further authorities.
    Authority,
    /// It stands for a node, which may have other names.
    Node(&'a [AlternativeName]),
}

#[derive(Sequence)]
struct Body<'a> {
    #[asn1(context_specific = "0", default = "Default::default")]
    version: Version,
    serial: SerialNumber,
    algorithm: AlgorithmIdentifierRef<'a>,
    issuer: AnyRef<'a>,
    validity: time::Validity,
    subject: AnyRef<'a>,
    public_key: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Signed<'a> {
    body: AnyRef<'a>,
    algorithm: AlgorithmIdentifierRef<'a>,
    signature: BitString,
}

/// Writes a certificate and signs it, in DER.
pub(super) fn write(content: &Content<'_>, key: &dyn SigningKey) -> Result<Vec<u8>, PkiError> {
    let scheme = scheme(key)?;
    let algorithm = algorithm(scheme)?;
    let body = Body {
        version: Version::V3,
        serial: serial()?,
        algorithm,
        issuer: AnyRef::from_der(content.issuer.as_der())?,
        validity: content.validity.to_x509()?,
        subject: AnyRef::from_der(content.subject.as_der())?,
        public_key: AnyRef::from_der(content.public_key)?,
        extensions: extensions(content)?,
    };
    let body = body.to_der()?;
    let signature = key
        .sign(scheme, SignatureEncoding::Der, &body, &mut SystemRandom::new())
        .map_err(PkiError::Signature)?;
    let signed =
        Signed { body: AnyRef::from_der(&body)?, algorithm, signature: BitString::from_bytes(&signature)? };
    Ok(signed.to_der()?)
}

/// RFC 5280 §4.2.1.2: the SHA-1 of the public key; it names the key and protects nothing.
pub(super) fn key_id(public_key: &[u8]) -> Result<Vec<u8>, PkiError> {
    let info = SubjectPublicKeyInfoRef::from_der(public_key)?;
    let bits = info.subject_public_key.as_bytes().ok_or(PkiError::Malformed)?;
    Ok(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref().to_vec())
}

/// 16 random bytes, of which the first makes a positive number of full length (RFC 5280 §4.1.2.2).
fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::new(&bytes)?)
}

/// What all verifiers know, before what is newest: no PSS in certificates.
fn scheme(key: &dyn SigningKey) -> Result<SignatureScheme, PkiError> {
    let first = key.schemes().iter().find(|scheme| algorithm(**scheme).is_ok());
    // A certificate outlives the hash that is good enough for one handshake.
    let rsa = SignatureScheme::RsaPkcs1Sha384;
    let choice = if key.schemes().contains(&rsa) { Some(&rsa) } else { first };
    choice.copied().ok_or(PkiError::Signature(tidegate_ike::crypto::SignatureError::UnsupportedScheme))
}

fn algorithm(scheme: SignatureScheme) -> Result<AlgorithmIdentifierRef<'static>, PkiError> {
    let (oid, parameters) = match scheme {
        // RFC 4055 §5 wants NULL here, the others want nothing.
        SignatureScheme::RsaPkcs1Sha384 => ("1.2.840.113549.1.1.12", Some(AnyRef::NULL)),
        SignatureScheme::EcdsaP256Sha256 => ("1.2.840.10045.4.3.2", None),
        SignatureScheme::EcdsaP384Sha384 => ("1.2.840.10045.4.3.3", None),
        SignatureScheme::EcdsaP521Sha512 => ("1.2.840.10045.4.3.4", None),
        SignatureScheme::Ed25519 => ("1.3.101.112", None),
        _ => return Err(PkiError::Signature(tidegate_ike::crypto::SignatureError::UnsupportedScheme)),
    };
    Ok(AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap(oid), parameters })
}

fn extensions(content: &Content<'_>) -> Result<Vec<Extension>, PkiError> {
    let own = SubjectKeyIdentifier(OctetString::new(key_id(content.public_key)?)?);
    let issuer = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(content.issuer_key_id)?),
        ..AuthorityKeyIdentifier::default()
    };
    let mut extensions =
        vec![extension(SUBJECT_KEY, Weight::Plain, &own)?, extension(AUTHORITY_KEY, Weight::Plain, &issuer)?];
    match content.purpose {
        Purpose::Authority => {
            let constraints = BasicConstraints { ca: true, path_len_constraint: Some(0) };
            extensions.push(extension(BASIC_CONSTRAINTS, Weight::Critical, &constraints)?);
            extensions.push(usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)?);
        }
        Purpose::Node(names) => {
            let constraints = BasicConstraints { ca: false, path_len_constraint: None };
            extensions.push(extension(BASIC_CONSTRAINTS, Weight::Critical, &constraints)?);
            extensions.push(usage(KeyUsages::DigitalSignature.into())?);
            let purposes = ExtendedKeyUsage(PURPOSES.to_vec());
            extensions.push(extension(EXTENDED_KEY_USAGE, Weight::Plain, &purposes)?);
            if !names.is_empty() {
                let names = names.iter().map(AlternativeName::general).collect::<der::Result<_>>()?;
                // RFC 5280 §4.2.1.6: critical where there is no other name.
                let weight = if content.subject.is_empty() { Weight::Critical } else { Weight::Plain };
                extensions.push(extension(SUBJECT_ALT_NAME, weight, &SubjectAltName(names))?);
            }
        }
    }
    Ok(extensions)
}

fn usage(usages: FlagSet<KeyUsages>) -> Result<Extension, PkiError> {
    extension(KEY_USAGE, Weight::Critical, &KeyUsage(usages))
}

/// What becomes of an extension that a reader does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// The certificate is refused.
    Critical,
    /// It is passed over.
    Plain,
}

fn extension(id: ObjectIdentifier, weight: Weight, value: &impl Encode) -> Result<Extension, PkiError> {
    let extn_value = OctetString::new(value.to_der()?)?;
    Ok(Extension { extn_id: id, critical: weight == Weight::Critical, extn_value })
}

const SUBJECT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
pub(super) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
pub(super) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
/// Servers, clients, and what old peers want to see of an IKE node.
const PURPOSES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.8.2.2"),
];
