//! A message as bytes, and bytes as a message.
//!
//! Each element begins with a byte that says what it is. Names have one byte of length, values two. Nothing
//! that comes in is trusted: depth and number of elements are bounded, and a name occurs once in a section.

use super::message::{Element, Message};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;

/// How deep sections may be nested.
pub const MAX_DEPTH: usize = 16;
/// How many elements a message may have: more than any that fits a packet has in earnest.
pub const MAX_ELEMENTS: usize = 1 << 16;

const SECTION_START: u8 = 1;
const SECTION_END: u8 = 2;
const KEY_VALUE: u8 = 3;
const LIST_START: u8 = 4;
const LIST_ITEM: u8 = 5;
const LIST_END: u8 = 6;

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end within an element.
    Truncated,
    /// There is no such kind of element.
    UnknownElement(u8),
    /// A name is no text.
    NameNotText,
    /// A name occurs twice in a section.
    Duplicate(String),
    /// A section or list ends that was not begun.
    NothingToEnd,
    /// A section or list does not end.
    Unclosed,
    /// A list has something in it that is no item.
    NotAnItem {
        /// The list.
        list: String,
        /// What kind of element is in it.
        element: u8,
    },
    /// An item is in no list.
    ItemOutsideList,
    /// Sections are nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// There are more elements than [`MAX_ELEMENTS`].
    TooManyElements,
}

/// Why a message cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A name is longer than 255 bytes.
    LongName(String),
    /// A value is longer than 65,535 bytes.
    LongValue {
        /// Its name, or its list's.
        name: String,
        /// Its length.
        length: usize,
    },
    /// Sections are nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The whole packet is longer than it may be.
    LongPacket {
        /// Its length.
        length: usize,
    },
}

/// Reads a message.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    let mut reader = Reader(bytes);
    let mut open = Vec::new();
    let mut current = Section::default();
    for _ in 0..MAX_ELEMENTS {
        let Some(kind) = reader.kind() else {
            return if open.is_empty() { Ok(current.message) } else { Err(DecodeError::Unclosed) };
        };
        match kind {
            SECTION_START if open.len() >= MAX_DEPTH => return Err(DecodeError::TooDeep),
            SECTION_START => {
                let name = current.name(&mut reader)?;
                open.push((name, std::mem::take(&mut current)));
            }
            SECTION_END => {
                let (name, outer) = open.pop().ok_or(DecodeError::NothingToEnd)?;
                let inner = std::mem::replace(&mut current, outer);
                current.message.push(name, Element::Section(inner.message));
            }
            KEY_VALUE => {
                let name = current.name(&mut reader)?;
                current.message.push(name, Element::Value(reader.value()?));
            }
            LIST_START => {
                let name = current.name(&mut reader)?;
                let items = reader.items(&name)?;
                current.message.push(name, Element::List(items));
            }
            LIST_ITEM => return Err(DecodeError::ItemOutsideList),
            LIST_END => return Err(DecodeError::NothingToEnd),
            other => return Err(DecodeError::UnknownElement(other)),
        }
    }
    if reader.0.is_empty() && open.is_empty() {
        Ok(current.message)
    } else {
        Err(DecodeError::TooManyElements)
    }
}

/// Writes a message behind what is there.
pub fn encode(message: &Message, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_section(message, 0, bytes)
}

/// A section that is being read.
#[derive(Default)]
struct Section {
    message: Message,
    names: BTreeSet<String>,
}

impl Section {
    fn name(&mut self, reader: &mut Reader<'_>) -> Result<String, DecodeError> {
        let name = reader.name()?;
        if !self.names.insert(name.clone()) {
            return Err(DecodeError::Duplicate(name));
        }
        Ok(name)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn kind(&mut self) -> Option<u8> {
        let (kind, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*kind)
    }

    fn name(&mut self) -> Result<String, DecodeError> {
        let length = self.kind().ok_or(DecodeError::Truncated)?;
        let name = self.take(length.into())?;
        std::str::from_utf8(name).map(str::to_owned).map_err(|_| DecodeError::NameNotText)
    }

    fn value(&mut self) -> Result<Vec<u8>, DecodeError> {
        let (length, rest) = self.0.split_first_chunk::<2>().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        self.take(u16::from_be_bytes(*length).into()).map(<[u8]>::to_vec)
    }

    fn items(&mut self, list: &str) -> Result<Vec<Vec<u8>>, DecodeError> {
        let mut items = Vec::new();
        loop {
            match self.kind().ok_or(DecodeError::Unclosed)? {
                LIST_END => return Ok(items),
                LIST_ITEM if items.len() >= MAX_ELEMENTS => return Err(DecodeError::TooManyElements),
                LIST_ITEM => items.push(self.value()?),
                element => return Err(DecodeError::NotAnItem { list: list.to_owned(), element }),
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}

fn encode_section(section: &Message, depth: usize, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    for (name, element) in section.elements() {
        match element {
            Element::Value(value) => {
                encode_name(KEY_VALUE, name, bytes)?;
                encode_value(name, value, bytes)?;
            }
            Element::List(items) => {
                encode_name(LIST_START, name, bytes)?;
                for item in items {
                    bytes.push(LIST_ITEM);
                    encode_value(name, item, bytes)?;
                }
                bytes.push(LIST_END);
            }
            Element::Section(_) if depth >= MAX_DEPTH => return Err(EncodeError::TooDeep),
            Element::Section(inner) => {
                encode_name(SECTION_START, name, bytes)?;
                encode_section(inner, depth + 1, bytes)?;
                bytes.push(SECTION_END);
            }
        }
    }
    Ok(())
}

fn encode_name(kind: u8, name: &str, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    let length = u8::try_from(name.len()).map_err(|_| EncodeError::LongName(name.to_owned()))?;
    bytes.extend([kind, length]);
    bytes.extend_from_slice(name.as_bytes());
    Ok(())
}

fn encode_value(name: &str, value: &[u8], bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    let length = u16::try_from(value.len())
        .map_err(|_| EncodeError::LongValue { name: name.to_owned(), length: value.len() })?;
    bytes.extend(length.to_be_bytes());
    bytes.extend_from_slice(value);
    Ok(())
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the message ends within an element"),
            Self::UnknownElement(kind) => write!(f, "no element is of kind {kind}"),
            Self::NameNotText => f.write_str("a name is not UTF-8"),
            Self::Duplicate(name) => write!(f, "{name:?} occurs twice in one section"),
            Self::NothingToEnd => f.write_str("a section or list ends that was not begun"),
            Self::Unclosed => f.write_str("a section or list does not end"),
            Self::NotAnItem { list, element } => {
                write!(f, "list {list:?} has an element of kind {element} in it")
            }
            Self::ItemOutsideList => f.write_str("an item is in no list"),
            Self::TooDeep => write!(f, "sections are nested deeper than {MAX_DEPTH}"),
            Self::TooManyElements => write!(f, "there are more than {MAX_ELEMENTS} elements"),
        }
    }
}

impl Error for DecodeError {}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongName(name) => {
                write!(f, "a name has {} bytes, and 255 are allowed", name.len())
            }
            Self::LongValue { name, length } => {
                write!(f, "a value of {name:?} has {length} bytes, and 65535 are allowed")
            }
            Self::TooDeep => write!(f, "sections are nested deeper than {MAX_DEPTH}"),
            Self::LongPacket { length } => {
                write!(f, "the packet has {length} bytes, and {} are allowed", super::packet::MAX_PACKET)
            }
        }
    }
}

impl Error for EncodeError {}
