//! Distinguished names: kept as the bytes that go over the wire, compared by what they say.

use super::IdentityError;
use der::asn1::{AnyRef, BmpString, ObjectIdentifier};
use der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Longest name that we read; real ones are below 300 bytes.
pub const MAX_NAME_LEN: usize = 4096;

/// A Name of X.501, in DER. Equality goes by RFC 5280 §7.1 as far as it makes sense between peers: the
/// same attributes in the same order, text compared without regard to case, string type or runs of
/// blanks.
#[derive(Clone)]
pub struct DistinguishedName {
    der: Box<[u8]>,
    canonical: Box<[u8]>,
}

/// One attribute of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    /// Its type.
    pub(super) oid: ObjectIdentifier,
    /// Its value.
    pub(super) value: Value,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Any string type, as text.
    Text(String),
    /// Anything else, as DER.
    Der(Vec<u8>),
}

/// The attributes of one level; nearly always a single one.
pub(super) type Level = Vec<Attribute>;

impl DistinguishedName {
    /// Reads a Name in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, IdentityError> {
        if der.len() > MAX_NAME_LEN {
            return Err(IdentityError::NameTooLong { length: der.len() });
        }
        let levels = read(der).map_err(|_| IdentityError::Name)?;
        Ok(Self { der: der.into(), canonical: canonical(&levels).into() })
    }

    /// Its DER, as it came.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// It has no attribute.
    pub fn is_empty(&self) -> bool {
        self.canonical.is_empty()
    }

    /// This name lies at or below `base` (RFC 5280 §4.2.1.10): all levels of `base` are its first ones.
    pub(crate) fn is_within(&self, base: &Self) -> bool {
        self.canonical.starts_with(&base.canonical)
    }

    /// Texts of its emailAddress attributes.
    pub(crate) fn emails(&self) -> Vec<String> {
        let texts = self.levels().into_iter().flatten().filter_map(|attribute| match attribute.value {
            Value::Text(text) if attribute.oid == EMAIL_ADDRESS => Some(text),
            _ => None,
        });
        texts.collect()
    }

    pub(super) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    pub(super) fn levels(&self) -> Vec<Level> {
        // It was read once already, so that the fallback stands for nothing.
        read(&self.der).unwrap_or_default()
    }

    pub(super) fn from_levels(levels: &[Level]) -> Result<Self, IdentityError> {
        Self::from_der(&write(levels)?)
    }
}

/// emailAddress of PKCS#9.
pub(super) const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
/// domainComponent.
pub(super) const DOMAIN_COMPONENT: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25");

fn read(der: &[u8]) -> der::Result<Vec<Level>> {
    let mut reader = SliceReader::new(der)?;
    let levels = reader.sequence(|names| {
        let mut levels = Vec::new();
        while !names.is_finished() {
            let set: AnyRef<'_> = names.decode()?;
            if set.tag() != Tag::Set {
                return Err(set.tag().unexpected_error(Some(Tag::Set)).into());
            }
            levels.push(read_level(set.value())?);
        }
        Ok::<_, der::Error>(levels)
    })?;
    reader.finish()?;
    Ok(levels)
}

fn read_level(set: &[u8]) -> der::Result<Level> {
    let mut reader = SliceReader::new(set)?;
    let mut level = Level::new();
    loop {
        level.push(reader.sequence(|pair| {
            let oid = pair.decode()?;
            let value: AnyRef<'_> = pair.decode()?;
            Ok::<_, der::Error>(Attribute { oid, value: Value::read(value)? })
        })?);
        if reader.is_finished() {
            return Ok(level);
        }
    }
}

impl Value {
    pub(super) fn read(value: AnyRef<'_>) -> der::Result<Self> {
        let bytes = value.value();
        let text = match value.tag() {
            Tag::Utf8String => Some(std::str::from_utf8(bytes).map_err(der::Error::from)?.to_owned()),
            Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString
                if bytes.is_ascii() =>
            {
                Some(bytes.iter().copied().map(char::from).collect())
            }
            Tag::TeletexString => Some(bytes.iter().copied().map(char::from).collect()),
            Tag::BmpString => Some(value.decode_as::<BmpString>()?.to_string()),
            _ => None,
        };
        match text {
            Some(text) => Ok(Self::Text(text)),
            None => Ok(Self::Der(value.to_der()?)),
        }
    }

    /// How two values are compared: text folded, anything else byte by byte.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_canonical(&mut out);
        out
    }

    fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                out.push(b't');
                out.extend_from_slice(fold(text).as_bytes());
            }
            Self::Der(der) => {
                out.push(b'd');
                out.extend_from_slice(der);
            }
        }
    }
}

impl Attribute {
    fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_canonical(&mut out);
        out
    }

    fn write_canonical(&self, out: &mut Vec<u8>) {
        with_length(out, |out| out.extend_from_slice(self.oid.as_bytes()));
        with_length(out, |out| self.value.write_canonical(out));
    }
}

/// RFC 5280 §7.1: case and runs of blanks do not tell names apart.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        if word.is_ascii() {
            folded.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
        } else {
            folded.push_str(&word.to_lowercase());
        }
    }
    folded
}

/// One byte string for each name: equal names have equal strings, and a name's levels are a prefix of the
/// names below it.
fn canonical(levels: &[Level]) -> Vec<u8> {
    // Room for a usual attribute each.
    let mut out = Vec::with_capacity(levels.len().saturating_mul(48));
    for level in levels {
        with_length(&mut out, |out| match level.as_slice() {
            [only] => only.write_canonical(out),
            several => {
                let mut attributes: Vec<Vec<u8>> = several.iter().map(Attribute::canonical).collect();
                attributes.sort_unstable();
                out.extend(attributes.concat());
            }
        });
    }
    out
}

/// A length in front of what `write` appends.
fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 4]);
    write(out);
    let length = u32::try_from(out.len().saturating_sub(at).saturating_sub(4)).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *field = length.to_be_bytes();
    }
}

fn write(levels: &[Level]) -> Result<Vec<u8>, IdentityError> {
    let mut body = Vec::new();
    for level in levels {
        let mut attributes = level.iter().map(write_attribute).collect::<Result<Vec<_>, _>>()?;
        // DER orders the members of a SET OF by their encodings.
        attributes.sort_unstable();
        body.extend(wrap(Tag::Set, attributes.concat())?);
    }
    wrap(Tag::Sequence, body)
}

fn write_attribute(attribute: &Attribute) -> Result<Vec<u8>, IdentityError> {
    let mut body = attribute.oid.to_der().map_err(|_| IdentityError::Name)?;
    match &attribute.value {
        Value::Der(der) => {
            AnyRef::from_der(der).map_err(|_| IdentityError::Name)?;
            body.extend_from_slice(der);
        }
        Value::Text(text) => body.extend(wrap(string_type(attribute.oid, text)?, text.clone().into_bytes())?),
    }
    wrap(Tag::Sequence, body)
}

/// RFC 5280 §4.1.2.4 and appendix A.1: PrintableString where it fits, else UTF8String; IA5String for
/// domain components and email addresses.
fn string_type(oid: ObjectIdentifier, text: &str) -> Result<Tag, IdentityError> {
    if oid == EMAIL_ADDRESS || oid == DOMAIN_COMPONENT {
        return match text.is_ascii() {
            true => Ok(Tag::Ia5String),
            false => Err(IdentityError::AttributeValue(oid.to_string())),
        };
    }
    let printable = |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
    Ok(if text.bytes().all(printable) { Tag::PrintableString } else { Tag::Utf8String })
}

fn wrap(tag: Tag, body: Vec<u8>) -> Result<Vec<u8>, IdentityError> {
    let any = der::asn1::Any::new(tag, body).map_err(|_| IdentityError::Name)?;
    any.to_der().map_err(|_| IdentityError::Name)
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for DistinguishedName {}

impl PartialOrd for DistinguishedName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DistinguishedName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.canonical.cmp(&other.canonical)
    }
}

impl Hash for DistinguishedName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({self})")
    }
}
