//! What is sent: a kind, often a name, often a message.

use super::codec::{self, EncodeError};
use super::message::Message;
use std::error::Error;
use std::fmt;

/// Longest packet, its length field not counted.
pub const MAX_PACKET: usize = 512 * 1024;

/// A packet as it was received. Its message is read later, so that one that makes no sense can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A client asks for a command.
    Request {
        /// Which one.
        name: &'a str,
        /// Its arguments.
        message: &'a [u8],
    },
    /// What has become of it.
    Response {
        /// The answer.
        message: &'a [u8],
    },
    /// There is no such command.
    CommandUnknown,
    /// A client wants to hear of an event.
    Register(&'a str),
    /// A client does not want to hear of it any more.
    Unregister(&'a str),
    /// Either was done.
    Confirmed,
    /// There is no such event, or it was not registered for.
    EventUnknown,
    /// Something has happened.
    Event {
        /// What.
        name: &'a str,
        /// More about it.
        message: &'a [u8],
    },
}

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// There are none.
    Empty,
    /// There is no such kind of packet.
    UnknownKind(u8),
    /// The name is longer than the packet.
    Truncated,
    /// The name is no text.
    NameNotText,
    /// Something follows where nothing may.
    Trailing,
}

const REQUEST: u8 = 0;
const RESPONSE: u8 = 1;
const COMMAND_UNKNOWN: u8 = 2;
const REGISTER: u8 = 3;
const UNREGISTER: u8 = 4;
const CONFIRMED: u8 = 5;
const EVENT_UNKNOWN: u8 = 6;
const EVENT: u8 = 7;

impl<'a> Packet<'a> {
    /// Reads one, without the length in front.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let (&kind, rest) = bytes.split_first().ok_or(PacketError::Empty)?;
        match kind {
            REQUEST => split_name(rest).map(|(name, message)| Self::Request { name, message }),
            RESPONSE => Ok(Self::Response { message: rest }),
            COMMAND_UNKNOWN => alone(rest, Self::CommandUnknown),
            REGISTER => split_name(rest).and_then(|(name, rest)| alone(rest, Self::Register(name))),
            UNREGISTER => split_name(rest).and_then(|(name, rest)| alone(rest, Self::Unregister(name))),
            CONFIRMED => alone(rest, Self::Confirmed),
            EVENT_UNKNOWN => alone(rest, Self::EventUnknown),
            EVENT => split_name(rest).map(|(name, message)| Self::Event { name, message }),
            other => Err(PacketError::UnknownKind(other)),
        }
    }
}

/// A client asks for a command: with its length in front, as all below.
pub fn request(name: &str, message: &Message) -> Result<Vec<u8>, EncodeError> {
    frame(REQUEST, Some(name), Some(message))
}

/// The answer to a command.
pub fn response(message: &Message) -> Result<Vec<u8>, EncodeError> {
    frame(RESPONSE, None, Some(message))
}

/// There is no such command.
pub fn command_unknown() -> Vec<u8> {
    bare(COMMAND_UNKNOWN)
}

/// A client wants to hear of an event.
pub fn register(name: &str) -> Result<Vec<u8>, EncodeError> {
    frame(REGISTER, Some(name), None)
}

/// A client does not want to hear of it any more.
pub fn unregister(name: &str) -> Result<Vec<u8>, EncodeError> {
    frame(UNREGISTER, Some(name), None)
}

/// A registration was done or undone.
pub fn confirmed() -> Vec<u8> {
    bare(CONFIRMED)
}

/// There is no such event.
pub fn event_unknown() -> Vec<u8> {
    bare(EVENT_UNKNOWN)
}

/// Something has happened.
pub fn event(name: &str, message: &Message) -> Result<Vec<u8>, EncodeError> {
    frame(EVENT, Some(name), Some(message))
}

fn bare(kind: u8) -> Vec<u8> {
    vec![0, 0, 0, 1, kind]
}

/// Length and body in one piece, so that they go out in one write: there are clients that take what one read
/// gives for a whole packet.
fn frame(kind: u8, name: Option<&str>, message: Option<&Message>) -> Result<Vec<u8>, EncodeError> {
    let mut frame = vec![0; LENGTH];
    frame.push(kind);
    if let Some(name) = name {
        let length = u8::try_from(name.len()).map_err(|_| EncodeError::LongName(name.to_owned()))?;
        frame.push(length);
        frame.extend_from_slice(name.as_bytes());
    }
    if let Some(message) = message {
        codec::encode(message, &mut frame)?;
    }
    let length = frame.len() - LENGTH;
    match (u32::try_from(length), frame.first_chunk_mut::<LENGTH>()) {
        (Ok(field), Some(header)) if length <= MAX_PACKET => *header = field.to_be_bytes(),
        _ => return Err(EncodeError::LongPacket { length }),
    }
    Ok(frame)
}

const LENGTH: usize = 4;

fn split_name(bytes: &[u8]) -> Result<(&str, &[u8]), PacketError> {
    let (&length, rest) = bytes.split_first().ok_or(PacketError::Truncated)?;
    let (name, rest) = rest.split_at_checked(length.into()).ok_or(PacketError::Truncated)?;
    let name = std::str::from_utf8(name).map_err(|_| PacketError::NameNotText)?;
    Ok((name, rest))
}

fn alone<'a>(rest: &[u8], packet: Packet<'a>) -> Result<Packet<'a>, PacketError> {
    if rest.is_empty() { Ok(packet) } else { Err(PacketError::Trailing) }
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty packet"),
            Self::UnknownKind(kind) => write!(f, "no packet is of kind {kind}"),
            Self::Truncated => f.write_str("the packet ends within its name"),
            Self::NameNotText => f.write_str("the packet's name is not UTF-8"),
            Self::Trailing => f.write_str("something follows the packet's name"),
        }
    }
}

impl Error for PacketError {}
