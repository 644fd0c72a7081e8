//! What tools are made of.

use super::codec::{self, DecodeError, EncodeError};
use super::message::Message;
use super::packet::{self, Packet, PacketError};
use super::transport;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// A connection to a daemon. One command at a time.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
}

/// Why a command was not done, or nobody knows.
#[derive(Debug)]
pub enum ClientError {
    /// The connection broke.
    Io(io::Error),
    /// The daemon has closed it.
    Closed,
    /// The daemon does not know this command.
    UnknownCommand(String),
    /// The daemon does not know this event.
    UnknownEvent(String),
    /// The daemon refused, for this reason.
    Refused(String),
    /// The daemon sent what is no packet.
    Packet(PacketError),
    /// The daemon sent what is no message.
    Message(DecodeError),
    /// The daemon sent something else than an answer.
    Unexpected,
    /// What is to be sent is too long.
    Encode(EncodeError),
}

impl Client {
    /// Connects to the daemon that listens at `path`.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self { stream: UnixStream::connect(path).await? })
    }

    /// Asks for a command and waits for its answer, however long it takes. An answer that says that it was
    /// not done is [`ClientError::Refused`].
    pub async fn request(&mut self, command: &str, arguments: &Message) -> Result<Message, ClientError> {
        self.converse(command, arguments, |_, _| {}).await
    }

    /// Asks for a command, and gives each `event` that it streams to `each` before the answer comes.
    pub async fn stream(
        &mut self,
        command: &str,
        event: &str,
        arguments: &Message,
        mut each: impl FnMut(Message),
    ) -> Result<Message, ClientError> {
        self.register(event).await?;
        let answer = self
            .converse(command, arguments, |name, message| {
                if name == event {
                    each(message);
                }
            })
            .await;
        self.settle(&packet::unregister(event)?, event).await?;
        answer
    }

    /// Listens to events from now on.
    pub async fn events(mut self, names: &[&str]) -> Result<Subscription, ClientError> {
        for name in names {
            self.register(name).await?;
        }
        Ok(Subscription { client: self })
    }

    async fn register(&mut self, event: &str) -> Result<(), ClientError> {
        self.settle(&packet::register(event)?, event).await
    }

    /// Sends a registration, or takes one back, and passes over events until it is confirmed.
    async fn settle(&mut self, frame: &[u8], event: &str) -> Result<(), ClientError> {
        self.send(frame).await?;
        loop {
            match Packet::parse(&self.receive().await?)? {
                Packet::Confirmed => return Ok(()),
                Packet::EventUnknown => return Err(ClientError::UnknownEvent(event.to_owned())),
                Packet::Event { .. } => {}
                _ => return Err(ClientError::Unexpected),
            }
        }
    }

    async fn converse(
        &mut self,
        command: &str,
        arguments: &Message,
        mut each: impl FnMut(&str, Message),
    ) -> Result<Message, ClientError> {
        self.send(&packet::request(command, arguments)?).await?;
        loop {
            match Packet::parse(&self.receive().await?)? {
                Packet::Event { name, message } => each(name, codec::decode(message)?),
                Packet::CommandUnknown => return Err(ClientError::UnknownCommand(command.to_owned())),
                Packet::Response { message } => {
                    let answer = codec::decode(message)?;
                    return if answer.is_success() { Ok(answer) } else { Err(refusal(&answer)) };
                }
                _ => return Err(ClientError::Unexpected),
            }
        }
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        Ok(transport::write(&mut self.stream, frame, PATIENCE).await?)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, ClientError> {
        transport::read(&mut self.stream, PATIENCE).await?.ok_or(ClientError::Closed)
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
}

impl Subscription {
    /// The next event with its name; `None` when the daemon is gone.
    pub async fn next(&mut self) -> Result<Option<(String, Message)>, ClientError> {
        let Some(bytes) = transport::read(&mut self.client.stream, PATIENCE).await? else { return Ok(None) };
        match Packet::parse(&bytes)? {
            Packet::Event { name, message } => Ok(Some((name.to_owned(), codec::decode(message)?))),
            _ => Err(ClientError::Unexpected),
        }
    }
}

fn refusal(answer: &Message) -> ClientError {
    ClientError::Refused(answer.text("errmsg").unwrap_or("no reason was given").to_owned())
}

/// How long a packet may take once it has begun.
const PATIENCE: Duration = Duration::from_secs(30);

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<PacketError> for ClientError {
    fn from(error: PacketError) -> Self {
        Self::Packet(error)
    }
}

impl From<DecodeError> for ClientError {
    fn from(error: DecodeError) -> Self {
        Self::Message(error)
    }
}

impl From<EncodeError> for ClientError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the connection to the daemon broke: {error}"),
            Self::Closed => f.write_str("the daemon has closed the connection"),
            Self::UnknownCommand(command) => write!(f, "the daemon knows no command {command:?}"),
            Self::UnknownEvent(event) => write!(f, "the daemon knows no event {event:?}"),
            Self::Refused(reason) => f.write_str(reason),
            Self::Packet(error) => write!(f, "the daemon sent {error}"),
            Self::Message(error) => write!(f, "the daemon sent a message that makes no sense: {error}"),
            Self::Unexpected => f.write_str("the daemon sent something else than an answer"),
            Self::Encode(error) => write!(f, "{error}"),
        }
    }
}

impl Error for ClientError {}
