//! Distinguished names as text: `C=CN, O=fabedge.io, CN=cluster.node`, in the order of the encoding and not
//! reversed, with the escapes of RFC 4514. OpenSSL's `/C=CN/O=fabedge.io` is read too.

use super::name::{Attribute, DistinguishedName, Level, Value};
use super::{IdentityError, name};
use der::Decode;
use der::asn1::{AnyRef, ObjectIdentifier};
use std::fmt::{self, Write};
use std::str::FromStr;

/// An attribute as written; no value stands for the wildcard `*`.
pub(super) type Written = (ObjectIdentifier, Option<Value>);

/// Reads the text of a name or of a pattern for names.
pub(super) fn parse(text: &str) -> Result<Vec<Vec<Written>>, IdentityError> {
    let text = trim(text);
    let (slashes, text) = match text.strip_prefix('/') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut scanner = Scanner { rest: text, slashes };
    let mut levels = vec![vec![scanner.attribute()?]];
    while let Some(separator) = scanner.separator()? {
        let attribute = scanner.attribute()?;
        match (separator, levels.last_mut()) {
            (Separator::Same, Some(level)) => level.push(attribute),
            _ => levels.push(vec![attribute]),
        }
    }
    Ok(levels)
}

/// Without the blanks around it; one behind a backslash is part of a value.
pub(super) fn trim(text: &str) -> &str {
    let text = text.trim_start_matches(' ');
    let trimmed = text.trim_end_matches(' ');
    let escaped = trimmed.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    match text.get(..trimmed.len().saturating_add(1)) {
        Some(kept) if escaped => kept,
        _ => trimmed,
    }
}

struct Scanner<'a> {
    rest: &'a str,
    slashes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// A new level follows.
    Next,
    /// Another attribute of the same level follows.
    Same,
}

impl Scanner<'_> {
    fn attribute(&mut self) -> Result<Written, IdentityError> {
        let Some((kind, rest)) = self.rest.split_once('=') else {
            return Err(IdentityError::UnknownAttribute(self.rest.trim().to_owned()));
        };
        let oid =
            type_of(kind.trim()).ok_or_else(|| IdentityError::UnknownAttribute(kind.trim().to_owned()))?;
        self.rest = rest.trim_start_matches(' ');
        let value = match self.rest.strip_prefix('"') {
            Some(rest) => {
                self.rest = rest;
                Some(Value::Text(self.quoted(oid)?))
            }
            None => self.bare(oid)?,
        };
        Ok((oid, value))
    }

    /// A value between quotation marks: nothing but the backslash has a meaning in it.
    fn quoted(&mut self, oid: ObjectIdentifier) -> Result<String, IdentityError> {
        let mut bytes = Vec::new();
        loop {
            match self.next_char() {
                Some('"') => break,
                Some('\\') => self.escape(&mut bytes, oid)?,
                Some(other) => push(&mut bytes, other),
                None => return Err(IdentityError::AttributeValue(label(oid))),
            }
        }
        self.rest = self.rest.trim_start_matches(' ');
        utf8(bytes, oid)
    }

    fn bare(&mut self, oid: ObjectIdentifier) -> Result<Option<Value>, IdentityError> {
        let hexadecimal = self.rest.starts_with('#');
        let (mut bytes, mut kept, mut escaped) = (Vec::new(), 0, false);
        while self.separator_ahead().is_none() {
            match self.next_char() {
                Some('\\') => {
                    self.escape(&mut bytes, oid)?;
                    escaped = true;
                    kept = bytes.len();
                }
                // Blanks in front of a separator belong to nobody.
                Some(' ') => bytes.push(b' '),
                Some(other) => {
                    push(&mut bytes, other);
                    kept = bytes.len();
                }
                None => break,
            }
        }
        bytes.truncate(kept);
        match bytes.as_slice() {
            b"*" if !escaped => Ok(None),
            [b'#', digits @ ..] if hexadecimal => value_from_hex(digits, oid).map(Some),
            _ => Ok(Some(Value::Text(utf8(bytes, oid)?))),
        }
    }

    /// After a backslash: two hexadecimal digits are a byte, anything else stands for itself.
    fn escape(&mut self, bytes: &mut Vec<u8>, oid: ObjectIdentifier) -> Result<(), IdentityError> {
        if let Some(byte) = self.rest.get(..2).and_then(hex_byte) {
            self.rest = self.rest.get(2..).unwrap_or_default();
            bytes.push(byte);
            return Ok(());
        }
        let other = self.next_char().ok_or_else(|| IdentityError::AttributeValue(label(oid)))?;
        push(bytes, other);
        Ok(())
    }

    fn separator(&mut self) -> Result<Option<Separator>, IdentityError> {
        let Some(separator) = self.separator_ahead() else {
            return match self.rest.is_empty() {
                true => Ok(None),
                false => Err(IdentityError::AttributeValue(self.rest.to_owned())),
            };
        };
        self.next_char();
        Ok(Some(separator))
    }

    /// A plus or a slash only separates in front of another attribute: operators leave them unescaped.
    fn separator_ahead(&self) -> Option<Separator> {
        let mut chars = self.rest.chars();
        let first = chars.next();
        let another =
            || chars.as_str().split_once('=').is_some_and(|(kind, _)| type_of(kind.trim()).is_some());
        match first {
            Some(',') if !self.slashes => Some(Separator::Next),
            Some('/') if self.slashes && another() => Some(Separator::Next),
            Some('+') if another() => Some(Separator::Same),
            _ => None,
        }
    }

    fn next_char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }
}

fn push(bytes: &mut Vec<u8>, character: char) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn utf8(bytes: Vec<u8>, oid: ObjectIdentifier) -> Result<String, IdentityError> {
    String::from_utf8(bytes).map_err(|_| IdentityError::AttributeValue(label(oid)))
}

fn value_from_hex(digits: &[u8], oid: ObjectIdentifier) -> Result<Value, IdentityError> {
    let malformed = || IdentityError::AttributeValue(label(oid));
    let digits = std::str::from_utf8(digits).map_err(|_| IdentityError::Hex)?;
    let der = decode_hex(digits)?;
    let any = AnyRef::from_der(&der).map_err(|_| malformed())?;
    // A string's text says it all; only its type may change.
    Value::read(any).map_err(|_| malformed())
}

/// Bytes from hexadecimal digits, which colons may part.
pub(super) fn decode_hex(digits: &str) -> Result<Vec<u8>, IdentityError> {
    let digits: String = digits.chars().filter(|character| *character != ':').collect();
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| std::str::from_utf8(pair).ok().and_then(hex_byte))
        .collect::<Option<Vec<u8>>>()
        .ok_or(IdentityError::Hex)
}

fn hex_byte(pair: &str) -> Option<u8> {
    // from_str_radix alone would take a sign.
    (pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .then(|| u8::from_str_radix(pair, 16).ok())
        .flatten()
}

fn type_of(name: &str) -> Option<ObjectIdentifier> {
    if let Some((_, oid)) = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(*oid);
    }
    let dotted = match name.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("oid.") => name.get(4..).unwrap_or_default(),
        _ => name,
    };
    ObjectIdentifier::new(dotted).ok()
}

fn label(oid: ObjectIdentifier) -> String {
    match TYPES.iter().find(|(_, known)| *known == oid) {
        Some((name, _)) => (*name).to_owned(),
        None => oid.to_string(),
    }
}

impl FromStr for DistinguishedName {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let levels = parse(text)?;
        let exact = |(oid, value): Written| match value {
            Some(value) => Ok(Attribute { oid, value }),
            None => Err(IdentityError::Wildcard),
        };
        let levels = levels.into_iter().map(|level| level.into_iter().map(exact).collect());
        Self::from_levels(&levels.collect::<Result<Vec<Level>, _>>()?)
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |level: Level| level.into_iter().map(|it| (it.oid, Some(it.value))).collect();
        let levels: Vec<Vec<Written>> = self.levels().into_iter().map(exact).collect();
        write_levels(f, &levels)
    }
}

/// Writes what [`parse`] reads.
pub(super) fn write_levels(f: &mut fmt::Formatter<'_>, levels: &[Vec<Written>]) -> fmt::Result {
    for (at, level) in levels.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        for (at, (oid, value)) in level.iter().enumerate() {
            if at > 0 {
                f.write_char('+')?;
            }
            write!(f, "{}=", label(*oid))?;
            match value {
                None => f.write_char('*')?,
                Some(Value::Text(text)) => write_text(f, text)?,
                Some(Value::Der(der)) => {
                    f.write_char('#')?;
                    write_hex(f, der)?;
                }
            }
        }
    }
    Ok(())
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text == "*" {
        return f.write_str("\\2a");
    }
    let last = text.chars().count().saturating_sub(1);
    for (at, character) in text.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => write!(f, "\\{character}")?,
            '#' if at == 0 => f.write_str("\\#")?,
            ' ' if at == 0 || at == last => f.write_str("\\20")?,
            control if control.is_ascii_control() => write!(f, "\\{:02x}", u32::from(control))?,
            other => f.write_char(other)?,
        }
    }
    Ok(())
}

/// Lower-case hexadecimal digits.
pub(super) fn write_hex(f: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Attribute types by name; the first name of a type is the one that we write.
const TYPES: &[(&str, ObjectIdentifier)] = &[
    ("C", ObjectIdentifier::new_unwrap("2.5.4.6")),
    ("countryName", ObjectIdentifier::new_unwrap("2.5.4.6")),
    ("O", ObjectIdentifier::new_unwrap("2.5.4.10")),
    ("organizationName", ObjectIdentifier::new_unwrap("2.5.4.10")),
    ("OU", ObjectIdentifier::new_unwrap("2.5.4.11")),
    ("organizationalUnitName", ObjectIdentifier::new_unwrap("2.5.4.11")),
    ("CN", ObjectIdentifier::new_unwrap("2.5.4.3")),
    ("commonName", ObjectIdentifier::new_unwrap("2.5.4.3")),
    ("ST", ObjectIdentifier::new_unwrap("2.5.4.8")),
    ("stateOrProvinceName", ObjectIdentifier::new_unwrap("2.5.4.8")),
    ("L", ObjectIdentifier::new_unwrap("2.5.4.7")),
    ("localityName", ObjectIdentifier::new_unwrap("2.5.4.7")),
    ("E", name::EMAIL_ADDRESS),
    ("emailAddress", name::EMAIL_ADDRESS),
    ("Email", name::EMAIL_ADDRESS),
    ("DC", name::DOMAIN_COMPONENT),
    ("domainComponent", name::DOMAIN_COMPONENT),
    ("SN", ObjectIdentifier::new_unwrap("2.5.4.5")),
    ("serialNumber", ObjectIdentifier::new_unwrap("2.5.4.5")),
    ("UID", ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1")),
    ("userId", ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1")),
    ("S", ObjectIdentifier::new_unwrap("2.5.4.4")),
    ("surname", ObjectIdentifier::new_unwrap("2.5.4.4")),
    ("G", ObjectIdentifier::new_unwrap("2.5.4.42")),
    ("givenName", ObjectIdentifier::new_unwrap("2.5.4.42")),
    ("I", ObjectIdentifier::new_unwrap("2.5.4.43")),
    ("initials", ObjectIdentifier::new_unwrap("2.5.4.43")),
    ("T", ObjectIdentifier::new_unwrap("2.5.4.12")),
    ("title", ObjectIdentifier::new_unwrap("2.5.4.12")),
    ("D", ObjectIdentifier::new_unwrap("2.5.4.13")),
    ("description", ObjectIdentifier::new_unwrap("2.5.4.13")),
    ("N", ObjectIdentifier::new_unwrap("2.5.4.41")),
    ("name", ObjectIdentifier::new_unwrap("2.5.4.41")),
    ("STREET", ObjectIdentifier::new_unwrap("2.5.4.9")),
    ("streetAddress", ObjectIdentifier::new_unwrap("2.5.4.9")),
    ("postalCode", ObjectIdentifier::new_unwrap("2.5.4.17")),
    ("dnQualifier", ObjectIdentifier::new_unwrap("2.5.4.46")),
    ("pseudonym", ObjectIdentifier::new_unwrap("2.5.4.65")),
    ("generationQualifier", ObjectIdentifier::new_unwrap("2.5.4.44")),
    ("ID", ObjectIdentifier::new_unwrap("2.5.4.45")),
    ("x500UniqueIdentifier", ObjectIdentifier::new_unwrap("2.5.4.45")),
    ("unstructuredName", ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.2")),
    ("unstructuredAddress", ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.8")),
];
