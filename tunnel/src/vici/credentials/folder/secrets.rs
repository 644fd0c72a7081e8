//! `ipsec.secrets`: a line each for a private key, a shared secret, or another file.
//!
//! `[ids] : KIND what`, where ids and secrets may stand in quotes, and `#` begins a comment.

use crate::config;
use crate::vici::credentials::{Limits, Owner};
use std::fmt;
use tidegate_ike::crypto::Secret;
use tidegate_ike::identity::IdentityError;
use zeroize::Zeroizing;

/// A line that says something.
#[derive(Debug)]
pub struct Line {
    /// Which, counted from 1.
    pub number: usize,
    /// What it says.
    pub entry: Entry,
}

/// What a line says.
#[derive(Debug)]
pub enum Entry {
    /// To read other files here: a name with wildcards.
    Include(String),
    /// What somebody proves who it is by.
    Credential {
        /// Whose it is; nobody in particular's is everybody's.
        owners: Vec<Owner>,
        /// What it is.
        material: Material,
    },
}

/// What somebody proves who it is by.
pub enum Material {
    /// A private key in a file.
    Key {
        /// Its name.
        file: String,
        /// What protects it.
        passphrase: Option<Secret>,
    },
    /// A shared secret.
    Secret(Secret),
    /// Something that we have no use for.
    Unsupported(&'static str),
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// No colon with blanks around it.
    NoColon,
    /// A quote that does not end.
    Quote,
    /// Nothing says what kind of secret it is, or a word that we do not know.
    Kind(String),
    /// An id that cannot be read.
    Id(IdentityError),
    /// More ids than a secret may have.
    TooManyIds,
    /// No name of a file.
    NoFile,
    /// Something behind a file's name that is no passphrase.
    Trailing,
    /// No secret, or hexadecimal or base64 that is none.
    Secret,
    /// Neither UTF-8 nor anything else that we read.
    NotText,
    /// An include that names no file.
    Include,
    /// More lines than we read.
    TooManyLines,
}

/// Reads a file: all of it, or the number of a line and what is wrong with it.
pub fn lines(bytes: &[u8]) -> Result<Vec<Line>, (usize, LineFault)> {
    let mut lines = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = at.saturating_add(1);
        if let Some(entry) = entry(line).map_err(|fault| (number, fault))? {
            if lines.len() >= MOST_LINES {
                return Err((number, LineFault::TooManyLines));
            }
            lines.push(Line { number, entry });
        }
    }
    Ok(lines)
}

fn entry(line: &[u8]) -> Result<Option<Entry>, LineFault> {
    let words = words(line)?;
    let Some(first) = words.first() else { return Ok(None) };
    if first.is(b"include") {
        return match words.get(1..) {
            Some([name]) => Ok(Some(Entry::Include(name.text()?.to_owned()))),
            _ => Err(LineFault::Include),
        };
    }
    let colon = words.iter().position(|word| word.is(b":")).ok_or(LineFault::NoColon)?;
    let (ids, rest) = words.split_at_checked(colon).ok_or(LineFault::NoColon)?;
    if ids.len() > Limits::OWNERS {
        return Err(LineFault::TooManyIds);
    }
    let owner = |id: &Word<'_>| id.text()?.parse().map_err(LineFault::Id);
    let owners = ids.iter().map(owner).collect::<Result<_, _>>()?;
    let material = material(line, rest.get(1..).unwrap_or_default())?;
    Ok(Some(Entry::Credential { owners, material }))
}

fn material(line: &[u8], words: &[Word<'_>]) -> Result<Material, LineFault> {
    let Some((kind, values)) = words.split_first() else { return Err(LineFault::Kind(String::new())) };
    let name = kind.text()?.to_ascii_uppercase();
    match name.as_str() {
        "PSK" => secret(line, values).map(Material::Secret),
        "RSA" | "ECDSA" | "PKCS8" => key(line, values),
        _ => match UNSUPPORTED.into_iter().find(|known| *known == name) {
            Some(known) => Ok(Material::Unsupported(known)),
            None => Err(LineFault::Kind(kind.text()?.to_owned())),
        },
    }
}

fn key(line: &[u8], values: &[Word<'_>]) -> Result<Material, LineFault> {
    let (file, rest) = values.split_first().ok_or(LineFault::NoFile)?;
    let passphrase = match rest {
        [] => None,
        // There is nobody to be asked.
        [word] if word.is(b"%prompt") => None,
        [word] if word.quoted || !word.bytes.is_empty() => Some(secret(line, rest)?),
        _ => return Err(LineFault::Trailing),
    };
    Ok(Material::Key { file: file.text()?.to_owned(), passphrase })
}

/// In quotes the secret itself, else hexadecimal behind `0x`, base64 behind `0s`, or all that is left.
fn secret(line: &[u8], values: &[Word<'_>]) -> Result<Secret, LineFault> {
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return Err(LineFault::Secret) };
    if first.quoted {
        return match values.len() == 1 && !first.bytes.is_empty() {
            true => Ok(Zeroizing::new(first.bytes.to_vec())),
            false => Err(LineFault::Secret),
        };
    }
    let text = line.get(first.begin..last.end).unwrap_or_default();
    config::shared_secret(text).map_err(|_| LineFault::Secret)
}

/// Something between blanks, or between quotes.
struct Word<'a> {
    bytes: &'a [u8],
    quoted: bool,
    /// Where it begins in its line, and where it ends.
    begin: usize,
    end: usize,
}

impl Word<'_> {
    fn is(&self, wanted: &[u8]) -> bool {
        !self.quoted && self.bytes == wanted
    }

    fn text(&self) -> Result<&str, LineFault> {
        std::str::from_utf8(self.bytes).map_err(|_| LineFault::NotText)
    }
}

fn words(line: &[u8]) -> Result<Vec<Word<'_>>, LineFault> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(byte) = line.get(at).copied() {
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if byte == b'#' {
            break;
        }
        let word = match byte {
            b'"' | b'\'' => quoted(line, at, byte)?,
            _ => plain(line, at),
        };
        at = word.end;
        words.push(word);
    }
    Ok(words)
}

fn quoted(line: &[u8], begin: usize, quote: u8) -> Result<Word<'_>, LineFault> {
    let inside = line.get(begin + 1..).unwrap_or_default();
    let length = inside.iter().position(|byte| *byte == quote).ok_or(LineFault::Quote)?;
    let bytes = inside.get(..length).unwrap_or_default();
    Ok(Word { bytes, quoted: true, begin, end: begin + length + 2 })
}

fn plain(line: &[u8], begin: usize) -> Word<'_> {
    let rest = line.get(begin..).unwrap_or_default();
    let length = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    Word { bytes: rest.get(..length).unwrap_or_default(), quoted: false, begin, end: begin + length }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { file, .. } => f.debug_struct("Key").field("file", file).finish_non_exhaustive(),
            Self::Secret(_) => f.debug_struct("Secret").finish_non_exhaustive(),
            Self::Unsupported(kind) => f.debug_tuple("Unsupported").field(kind).finish(),
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoColon => f.write_str("no colon with blanks around it"),
            Self::Quote => f.write_str("a quote that does not end"),
            Self::Kind(word) if word.is_empty() => f.write_str("no kind of secret, such as PSK or RSA"),
            Self::Kind(word) => write!(f, "{word:?} is no kind of secret"),
            Self::Id(error) => write!(f, "id: {error}"),
            Self::TooManyIds => write!(f, "more than {} ids", Limits::OWNERS),
            Self::NoFile => f.write_str("no file that the key is in"),
            Self::Trailing => f.write_str("more behind the key's file than a passphrase"),
            Self::Secret => f.write_str("no secret: it is empty, or no hexadecimal or base64"),
            Self::NotText => f.write_str("not UTF-8"),
            Self::Include => f.write_str("an include names one file"),
            Self::TooManyLines => write!(f, "more than {MOST_LINES} entries"),
        }
    }
}

impl std::error::Error for LineFault {}

/// Kinds that charon knows and we have no use for.
const UNSUPPORTED: [&str; 7] = ["P12", "PIN", "EAP", "NTLM", "XAUTH", "BLISS", "PPK"];

const MOST_LINES: usize = 16 * 1024;
