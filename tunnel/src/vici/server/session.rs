//! One client.
//!
//! A reader feeds packets through a short queue, so that a client may register, or go away, while its command
//! is under way. Everything is written here, one packet after the other: while one waits for the client to
//! read, events for it pile up in the queue of all, and the oldest are lost for this client alone.

use super::command::{self, Command, Reply, Streamed};
use super::event_name::EventName;
use super::pump::Happening;
use super::{HAPPENINGS, Hall, PATIENCE};
use crate::vici::codec;
use crate::vici::control::Control;
use crate::vici::message::Message;
use crate::vici::packet::{self, Packet};
use crate::vici::transport;
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio::sync::mpsc;

/// Talks with a client until it goes away, or has to.
pub(super) async fn run<C, R, W>(hall: Arc<Hall<C>>, input: R, output: W, presence: Arc<Presence>)
where
    C: Control,
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin,
{
    let (sender, packets) = mpsc::channel(PACKETS);
    let session = Session::new(hall, output, presence);
    let reading = async {
        let end = read(input, &sender).await;
        drop(sender);
        end
    };
    let (read, talked) = tokio::join!(reading, session.talk(packets));
    if let Err(end) = talked.and(read) {
        tracing::debug!(target: "tidegate::vici", "a client is dropped: {end}");
    }
}

/// Whether a client is idle, and since when.
pub(super) struct Presence {
    started: Instant,
    /// In milliseconds since the server was started.
    last: AtomicU64,
    engaged: AtomicBool,
}

impl Presence {
    pub(super) fn new(started: Instant) -> Self {
        let presence = Self { started, last: AtomicU64::new(0), engaged: AtomicBool::new(false) };
        presence.touch();
        presence
    }

    /// `None` for a client that waits for something.
    pub(super) fn idle_since(&self) -> Option<u64> {
        (!self.engaged.load(Ordering::Relaxed)).then(|| self.last.load(Ordering::Relaxed))
    }

    fn touch(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }
}

struct Session<C, W> {
    hall: Arc<Hall<C>>,
    output: W,
    presence: Arc<Presence>,
    happenings: broadcast::Receiver<Arc<Happening>>,
    registered: BTreeSet<EventName>,
    watch: Watch<C>,
    running: Option<Running>,
    /// Came while another was running. Nothing more is read until its turn has come.
    parked: Option<Vec<u8>>,
}

/// A command under way.
struct Running {
    reply: Pin<Box<dyn Future<Output = Message> + Send>>,
    streamed: mpsc::Receiver<Streamed>,
}

enum Step {
    Happened(Result<Arc<Happening>, RecvError>),
    Streamed(Streamed),
    Replied(Message),
    Packet(Option<Vec<u8>>),
}

impl<C: Control, W: AsyncWrite + Send + Unpin> Session<C, W> {
    fn new(hall: Arc<Hall<C>>, output: W, presence: Arc<Presence>) -> Self {
        Self {
            output,
            presence,
            happenings: hall.happenings.subscribe(),
            registered: BTreeSet::new(),
            watch: Watch { hall: hall.clone(), watching: false },
            running: None,
            parked: None,
            hall,
        }
    }

    async fn talk(mut self, mut packets: mpsc::Receiver<Vec<u8>>) -> Result<(), End> {
        loop {
            let step = tokio::select! {
                happening = self.happenings.recv() => Step::Happened(happening),
                step = next_of(&mut self.running) => step,
                packet = packets.recv(), if self.parked.is_none() => Step::Packet(packet),
            };
            match step {
                Step::Happened(Ok(happening)) => self.tell(&happening).await?,
                Step::Happened(Err(RecvError::Lagged(_))) => {}
                Step::Happened(Err(RecvError::Closed)) | Step::Packet(None) => return Ok(()),
                Step::Streamed(streamed) => self.raise(streamed).await?,
                Step::Replied(reply) => self.reply(reply).await?,
                Step::Packet(Some(packet)) => self.receive(packet).await?,
            }
            self.settle();
        }
    }

    async fn receive(&mut self, bytes: Vec<u8>) -> Result<(), End> {
        match Packet::parse(&bytes).map_err(End::packet)? {
            Packet::Request { .. } if self.running.is_some() => self.parked = Some(bytes),
            Packet::Request { name, message } => self.request(name, message).await?,
            Packet::Register(name) => match EventName::from_text(name) {
                Some(name) => {
                    self.registered.insert(name);
                    // Whoever has heard that it is registered misses nothing.
                    self.settle();
                    self.write(&packet::confirmed()).await?;
                }
                None => self.write(&packet::event_unknown()).await?,
            },
            Packet::Unregister(name) => {
                let known = EventName::from_text(name).is_some_and(|name| self.registered.remove(&name));
                let answer = if known { packet::confirmed() } else { packet::event_unknown() };
                self.write(&answer).await?;
            }
            _ => return Err(End::NotForServers),
        }
        Ok(())
    }

    async fn request(&mut self, name: &str, message: &[u8]) -> Result<(), End> {
        let Some(command) = Command::from_name(name) else {
            return self.write(&packet::command_unknown()).await;
        };
        match codec::decode(message) {
            Ok(arguments) => {
                let (sender, streamed) = mpsc::channel(STREAMED);
                let reply = Reply::new(sender, self.registered.clone());
                let reply = Box::pin(command::run(command, self.hall.clone(), arguments, reply));
                self.running = Some(Running { reply, streamed });
                Ok(())
            }
            Err(error) => self.respond(&command::failure(error)).await,
        }
    }

    /// Sends what was streamed and what has happened before, then the reply, and takes up what was parked.
    async fn reply(&mut self, reply: Message) -> Result<(), End> {
        if let Some(mut running) = self.running.take() {
            while let Ok(streamed) = running.streamed.try_recv() {
                self.raise(streamed).await?;
            }
        }
        // What an order has brought about comes before its answer. More than fits the queue cannot be there.
        for _ in 0..HAPPENINGS {
            match self.happenings.try_recv() {
                Ok(happening) => self.tell(&happening).await?,
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.respond(&reply).await?;
        match self.parked.take() {
            Some(packet) => self.receive(packet).await,
            None => Ok(()),
        }
    }

    async fn respond(&mut self, message: &Message) -> Result<(), End> {
        let frame = packet::response(message).or_else(|error| packet::response(&command::failure(error)));
        self.write(&frame.unwrap_or_else(|_| packet::command_unknown())).await
    }

    async fn raise(&mut self, Streamed { name, message }: Streamed) -> Result<(), End> {
        if !self.registered.contains(&name) {
            return Ok(());
        }
        match packet::event(name.text(), &message) {
            Ok(frame) => self.write(&frame).await,
            Err(error) => {
                tracing::warn!(target: "tidegate::vici", "{} cannot be told: {error}", name.text());
                Ok(())
            }
        }
    }

    async fn tell(&mut self, happening: &Happening) -> Result<(), End> {
        for (name, frame) in &happening.frames {
            if self.registered.contains(name) {
                self.write(frame).await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self, frame: &[u8]) -> Result<(), End> {
        self.presence.touch();
        transport::write(&mut self.output, frame, PATIENCE).await.map_err(End::Io)
    }

    /// Lets others know what this client waits for.
    fn settle(&mut self) {
        let engaged = self.running.is_some() || !self.registered.is_empty();
        self.presence.engaged.store(engaged, Ordering::Relaxed);
        self.watch.set(self.registered.iter().any(|name| name.shows_sas()));
    }
}

/// Feeds packets until the client closes. The queue's other end goes first when the session has to end.
async fn read<R: AsyncRead + Unpin>(mut input: R, packets: &mpsc::Sender<Vec<u8>>) -> Result<(), End> {
    loop {
        let packet = tokio::select! {
            packet = transport::read(&mut input, PATIENCE) => packet.map_err(End::Io)?,
            () = packets.closed() => return Ok(()),
        };
        let Some(packet) = packet else { return Ok(()) };
        if packets.send(packet).await.is_err() {
            return Ok(());
        }
    }
}

/// What a command does next; never anything where there is none.
async fn next_of(running: &mut Option<Running>) -> Step {
    match running {
        Some(Running { reply, streamed }) => tokio::select! {
            biased;
            Some(streamed) = streamed.recv() => Step::Streamed(streamed),
            reply = reply => Step::Replied(reply),
        },
        None => std::future::pending().await,
    }
}

/// Counts a session among those that want to see SAs come and go.
struct Watch<C> {
    hall: Arc<Hall<C>>,
    watching: bool,
}

impl<C> Watch<C> {
    fn set(&mut self, watching: bool) {
        let watchers: &AtomicUsize = &self.hall.watchers;
        match (self.watching, watching) {
            (false, true) => watchers.fetch_add(1, Ordering::Relaxed),
            (true, false) => watchers.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
        self.watching = watching;
    }
}

impl<C> Drop for Watch<C> {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// Why a session has ended before its client wanted.
#[derive(Debug)]
enum End {
    Io(io::Error),
    Packet(packet::PacketError),
    NotForServers,
}

impl End {
    fn packet(error: packet::PacketError) -> Self {
        Self::Packet(error)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Packet(error) => write!(f, "{error}"),
            Self::NotForServers => f.write_str("it sent a packet that only servers send"),
        }
    }
}

impl Error for End {}

/// Packets of a client that wait for their turn.
const PACKETS: usize = 4;
/// Events of a command that wait to be sent.
const STREAMED: usize = 16;
