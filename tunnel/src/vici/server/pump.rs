//! Events, once for all clients: as lines of a log, and as SAs that come and go.

use super::event_name::EventName;
use super::{Hall, describe};
use crate::event::Event;
use crate::log::{Level, Line, Narrator};
use crate::status::{ChildSaStatus, ConnectionStatus, IkeSaStatus};
use crate::vici::control::Control;
use crate::vici::message::Message;
use crate::vici::packet;
use futures_core::Stream;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate_esp::Spi;
use tidegate_ike::SaId;

/// Something that has happened, ready to be sent.
pub(super) struct Happening {
    pub(super) line: Line,
    /// An event each, with all that surrounds it.
    pub(super) frames: Vec<(EventName, Vec<u8>)>,
}

/// Listens for as long as there is something to hear.
pub(super) async fn run<C: Control>(hall: Arc<Hall<C>>) {
    let mut events = hall.control.events();
    let mut narrator = Narrator::default();
    let mut album = Album::default();
    while let Some(batch) = next_batch(&mut events).await {
        // One look at all SAs serves a whole batch: in a storm of events it would cost more than the storm.
        if hall.watchers.load(Ordering::Relaxed) > 0 {
            // An engine that has stopped has no SAs.
            album.take(hall.control.status().await.unwrap_or_default());
        } else {
            album = Album::default();
        }
        for event in batch {
            let line = narrator.describe(&event);
            let frames = frames(&event, &line, &album);
            // Nobody may be listening.
            let _ = hall.happenings.send(Arc::new(Happening { line, frames }));
        }
    }
}

/// A line as charon's clients expect it.
pub(super) fn log_message(line: &Line) -> Message {
    let level = match line.level {
        Level::Warn => 0,
        Level::Info => 1,
        Level::Debug => 2,
    };
    let mut message = Message::new().with("group", "IKE").with("level", level).with("thread", 0);
    message.put_some("ikesa-name", line.connection.as_ref());
    message.with("msg", &line.text)
}

/// The next event and those that have come with it.
async fn next_batch(events: &mut (impl Stream<Item = Event> + Unpin)) -> Option<Vec<Event>> {
    let mut batch = Vec::new();
    std::future::poll_fn(|context| {
        while batch.len() < BATCH {
            match Pin::new(&mut *events).poll_next(context) {
                Poll::Ready(Some(event)) => batch.push(event),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    })
    .await;
    (!batch.is_empty()).then_some(batch)
}

const BATCH: usize = 256;

/// What clients are told of an event.
fn frames(event: &Event, line: &Line, album: &Album) -> Vec<(EventName, Vec<u8>)> {
    let told = [(EventName::Log, log_message(line)), (EventName::Event, event_message(line))];
    let shown = match event {
        Event::Ike(event) => album.describe(event),
        _ => None,
    };
    let frame = |(name, message): (EventName, Message)| {
        packet::event(name.text(), &message).ok().map(|frame| (name, frame))
    };
    told.into_iter().chain(shown).filter_map(frame).collect()
}

fn event_message(line: &Line) -> Message {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut message = Message::new()
        .with("time", format_args!("{}.{:03}", now.as_secs(), now.subsec_millis()))
        .with("kind", line.kind)
        .with("level", line.level.name());
    message.put_some("connection", line.connection.as_ref());
    message.with("text", &line.text)
}

/// SAs as they were when last looked at, and for a while those that are gone: clients want to know what they
/// were.
#[derive(Default)]
struct Album {
    present: BTreeMap<SaId, Picture>,
    children: BTreeMap<u32, SaId>,
    past: VecDeque<Picture>,
}

struct Picture {
    /// Without its SAs.
    connection: Arc<ConnectionStatus>,
    sa: IkeSaStatus,
}

impl Album {
    fn take(&mut self, status: Vec<ConnectionStatus>) {
        let pictures = status.into_iter().flat_map(|mut connection| {
            let sas = std::mem::take(&mut connection.sas);
            let connection = Arc::new(connection);
            sas.into_iter().map(move |sa| (sa.handle, Picture { connection: connection.clone(), sa }))
        });
        let before = std::mem::replace(&mut self.present, pictures.collect());
        let children = self
            .present
            .values()
            .flat_map(|picture| picture.sa.children.iter().map(|child| (child.spi_in, picture.sa.handle)));
        self.children = children.collect();
        for (id, picture) in before {
            let whole = self.present.contains_key(&id)
                && picture.sa.children.iter().all(|child| self.children.contains_key(&child.spi_in));
            if !whole {
                self.past.push_back(picture);
            }
        }
        let surplus = self.past.len().saturating_sub(PAST);
        self.past.drain(..surplus);
    }

    fn ike_sa(&self, sa: SaId) -> Option<&Picture> {
        self.present.get(&sa).or_else(|| self.past.iter().rev().find(|picture| picture.sa.handle == sa))
    }

    fn child(&self, child: Spi) -> Option<(&Picture, &ChildSaStatus)> {
        let spi = child.value();
        let of = |picture: &Picture| picture.sa.children.iter().position(|child| child.spi_in == spi);
        let present = self.children.get(&spi).and_then(|id| self.present.get(id));
        let picture = present.or_else(|| self.past.iter().rev().find(|picture| of(picture).is_some()))?;
        Some((picture, picture.sa.children.get(of(picture)?)?))
    }

    /// The event of charon's that says the same, with the SAs that it is about.
    fn describe(&self, event: &tidegate_ike::Event) -> Option<(EventName, Message)> {
        use tidegate_ike::Event as Ike;
        Some(match event {
            Ike::IkeEstablished { sa, connection, .. } => {
                (EventName::IkeUpdown, up().with_section(connection, self.ike_section(*sa)))
            }
            Ike::IkeClosed { sa, connection, .. } => {
                (EventName::IkeUpdown, Message::new().with_section(connection, self.ike_section(*sa)))
            }
            Ike::IkeRekeyed { old, new } => {
                let name = &self.ike_sa(*new).or_else(|| self.ike_sa(*old))?.connection.name;
                let sections = Message::new()
                    .with_section("old", self.ike_section(*old))
                    .with_section("new", self.ike_section(*new));
                (EventName::IkeRekey, Message::new().with_section(name, sections))
            }
            Ike::ChildEstablished { child, .. } => (EventName::ChildUpdown, self.child_event(up(), *child)?),
            Ike::ChildClosed { child, .. } => {
                (EventName::ChildUpdown, self.child_event(Message::new(), *child)?)
            }
            Ike::ChildRekeyed { old, new, .. } => (EventName::ChildRekey, self.child_rekey(*old, *new)?),
            _ => return None,
        })
    }

    fn ike_section(&self, sa: SaId) -> Message {
        match self.ike_sa(sa) {
            Some(picture) => describe::ike_sa(&picture.connection, &picture.sa),
            // It came and went faster than anybody could look.
            None => Message::new().with("version", 2),
        }
    }

    fn child_event(&self, message: Message, child: Spi) -> Option<Message> {
        let (Picture { connection, sa }, child) = self.child(child)?;
        let section = describe::child_sa(connection, child);
        Some(
            message
                .with_section(&connection.name, around(connection, sa, &describe::child_key(child), section)),
        )
    }

    fn child_rekey(&self, old: Spi, new: Spi) -> Option<Message> {
        let (Picture { connection, sa }, new) = self.child(new)?;
        let mut section = Message::new();
        if let Some((picture, old)) = self.child(old) {
            section.put_section("old", describe::child_sa(&picture.connection, old));
        }
        section.put_section("new", describe::child_sa(connection, new));
        Some(Message::new().with_section(&connection.name, around(connection, sa, &new.name, section)))
    }
}

/// An IKE SA with one section among its children.
fn around(connection: &ConnectionStatus, sa: &IkeSaStatus, key: &str, child: Message) -> Message {
    describe::ike_sa(connection, sa).with_section("child-sas", Message::new().with_section(key, child))
}

fn up() -> Message {
    Message::new().with("up", "yes")
}

/// SAs that are gone and remembered.
const PAST: usize = 256;
