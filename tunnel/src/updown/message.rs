//! What daemon and helper say to each other: a length and a text of fields, each ended by a zero.
//!
//! To the helper: a number, a command, and the variables of its environment. Back: the number, how the script
//! ended, and what it said.

use std::io::{self, Read};
use std::sync::Arc;

/// No message is longer.
pub(super) const LONGEST: usize = 256 << 10;
/// How much of what a script says is kept.
pub(super) const MOST_SAID: usize = 16 << 10;

/// A script to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) command: Arc<str>,
    pub(super) environment: Vec<String>,
}

/// How a script has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It was ended after its time.
    TooLong,
    /// It was never begun.
    NotBegun,
}

/// An answer to the request of this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) number: u64,
    pub(super) outcome: Outcome,
    pub(super) said: String,
}

impl Request {
    /// `None` if it cannot be told: fields have no zeros in them.
    pub(super) fn encode(&self, number: u64) -> Option<Vec<u8>> {
        let number = number.to_string();
        let fields = [number.as_str(), &self.command].into_iter();
        encode(fields.chain(self.environment.iter().map(String::as_str)))
    }

    pub(super) fn decode(text: &str) -> Option<(u64, Self)> {
        let mut fields = text.strip_suffix('\0')?.split('\0');
        let number = fields.next()?.parse().ok()?;
        let command = fields.next()?.into();
        Some((number, Self { command, environment: fields.map(str::to_owned).collect() }))
    }
}

impl Answer {
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let outcome = match self.outcome {
            Outcome::Exit(code) => format!("exit {code}"),
            Outcome::Signal(signal) => format!("signal {signal}"),
            Outcome::TooLong => "too long".to_owned(),
            Outcome::NotBegun => "not begun".to_owned(),
        };
        let said = self.said.replace('\0', "?");
        encode([self.number.to_string().as_str(), &outcome, &said].into_iter())
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut fields = text.strip_suffix('\0')?.split('\0');
        let number = fields.next()?.parse().ok()?;
        let outcome = match fields.next()?.split_once(' ')? {
            ("exit", code) => Outcome::Exit(code.parse().ok()?),
            ("signal", signal) => Outcome::Signal(signal.parse().ok()?),
            ("too", _) => Outcome::TooLong,
            ("not", _) => Outcome::NotBegun,
            _ => return None,
        };
        Some(Self { number, outcome, said: fields.next()?.to_owned() })
    }
}

fn encode<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    let mut message = vec![0; 4];
    for field in fields {
        if field.contains('\0') {
            return None;
        }
        message.extend(field.as_bytes());
        message.push(0);
    }
    let length = message.len() - 4;
    let prefix = u32::try_from(length).ok().filter(|_| length <= LONGEST)?;
    message.splice(..4, prefix.to_be_bytes());
    Some(message)
}

/// The next message; `None` when there are no more, or when what comes is none.
pub(super) fn read(stream: &mut impl Read) -> Option<String> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut text = vec![0; checked(length).ok()?];
    stream.read_exact(&mut text).ok()?;
    String::from_utf8(text).ok()
}

/// How long a message is that begins like this.
pub(super) fn checked(length: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(length) as usize;
    if length > LONGEST { Err(io::ErrorKind::InvalidData.into()) } else { Ok(length) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_come_across() {
        let request = Request { command: "a 'b'\n".into(), environment: vec!["A=1".into(), "B=".into()] };
        let bytes = request.encode(7).unwrap();
        let text = read(&mut bytes.as_slice()).unwrap();
        assert_eq!(Request::decode(&text), Some((7, request)));
        for outcome in [Outcome::Exit(3), Outcome::Signal(9), Outcome::TooLong, Outcome::NotBegun] {
            let answer = Answer { number: 8, outcome, said: "line\nline".into() };
            let text = read(&mut answer.encode().unwrap().as_slice()).unwrap();
            assert_eq!(Answer::decode(&text), Some(answer));
        }
    }

    #[test]
    fn what_is_no_message_is_not_taken() {
        let zero = Request { command: "a\0b".into(), environment: Vec::new() };
        assert_eq!(zero.encode(1), None);
        let long = Request { command: "a".repeat(LONGEST).into(), environment: Vec::new() };
        assert_eq!(long.encode(1), None);
        assert_eq!(read(&mut [0xff; 8].as_slice()), None);
        assert_eq!(read(&mut [0, 0, 0, 9, b'a'].as_slice()), None);
        for text in ["", "x\0", "1\0", "1\0exit\0", "1\0exit a\0said\0", "1\0gone 1\0said\0", "1\0exit 1\0"] {
            assert_eq!(Answer::decode(text), None, "{text:?}");
        }
    }
}
