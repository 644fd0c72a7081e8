//! Events, once for all clients: as lines of a log, as alerts, and as SAs that come and go.
//!
//! Whoever waits for the outcome of an order hears of it by another way than of what happened before. A
//! [`Mark`] brings the two together: it is given back when all that had happened by then has been passed on.

use super::album::Album;
use super::event_name::EventName;
use super::{Hall, alert};
use crate::event::Event;
use crate::log::{Level, Line, Narrator};
use crate::manager::EVENTS;
use crate::vici::control::Control;
use crate::vici::message::Message;
use crate::vici::packet;
use futures_core::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio::task::coop::unconstrained;

/// Something that has happened, ready to be sent.
pub(super) struct Happening {
    pub(super) line: Line,
    /// An event each, with all that surrounds it.
    pub(super) frames: Vec<(EventName, Vec<u8>)>,
}

/// Given back when all that had happened has been passed on.
pub(super) type Mark = oneshot::Sender<()>;

/// Listens for as long as there is something to hear.
pub(super) async fn run<C: Control>(hall: Arc<Hall<C>>, mut marks: mpsc::Receiver<Mark>) {
    let mut events = hall.control.events();
    let mut teller = Teller { narrator: Narrator::default(), album: None };
    loop {
        tokio::select! {
            batch = next_batch(&mut events) => match batch {
                Some(batch) => teller.pass_on(&hall, batch).await,
                None => return,
            },
            Some(mark) = marks.recv() => {
                for _ in 0..ROUNDS {
                    let Some(batch) = unconstrained(batch_at_hand(&mut events)).await else { break };
                    teller.pass_on(&hall, batch).await;
                }
                // Whoever has set it may have gone away.
                let _ = mark.send(());
            }
        }
    }
}

/// A line as charon's clients expect it.
pub(super) fn log_message(line: &Line) -> Message {
    log_message_of(line, None)
}

/// charon says which of its threads wrote a line, where the line belongs to no command.
fn log_message_of(line: &Line, thread: Option<u32>) -> Message {
    let level = match line.level {
        Level::Warn => 0,
        Level::Info => 1,
        Level::Debug => 2,
    };
    let mut message = Message::new().with("group", "IKE").with("level", level);
    message.put_some("thread", thread);
    message.put_some("ikesa-name", line.connection.as_ref());
    message.with("msg", &line.text)
}

struct Teller {
    narrator: Narrator,
    /// As long as somebody wants to see SAs.
    album: Option<Album>,
}

impl Teller {
    async fn pass_on<C: Control>(&mut self, hall: &Hall<C>, batch: Vec<Event>) {
        // One look at all SAs serves a whole batch: in a storm of events it would cost more than the storm.
        if hall.watchers.load(Ordering::Relaxed) > 0 {
            // An engine that has stopped has no SAs.
            let status = hall.control.status().await.unwrap_or_default();
            self.album.get_or_insert_default().take(status);
        } else {
            self.album = None;
        }
        for event in batch {
            let line = self.narrator.describe(&event);
            let frames = frames(&event, &line, self.album.as_ref());
            // Nobody may be listening.
            let _ = hall.happenings.send(Arc::new(Happening { line, frames }));
        }
    }
}

/// The next event and those that have come with it; `None` when there will be none.
async fn next_batch(events: &mut (impl Stream<Item = Event> + Unpin)) -> Option<Vec<Event>> {
    let mut batch = Vec::new();
    std::future::poll_fn(|context| match gather(events, &mut batch, context) {
        Poll::Pending if batch.is_empty() => Poll::Pending,
        _ => Poll::Ready(()),
    })
    .await;
    (!batch.is_empty()).then_some(batch)
}

/// The events that are there, if there are any. Must not be made to yield, or some would be missed.
async fn batch_at_hand(events: &mut (impl Stream<Item = Event> + Unpin)) -> Option<Vec<Event>> {
    let mut batch = Vec::new();
    std::future::poll_fn(|context| {
        let _ = gather(events, &mut batch, context);
        Poll::Ready(())
    })
    .await;
    (!batch.is_empty()).then_some(batch)
}

/// Takes what is there, but no more than a batch.
fn gather(
    events: &mut (impl Stream<Item = Event> + Unpin),
    batch: &mut Vec<Event>,
    context: &mut std::task::Context<'_>,
) -> Poll<()> {
    while batch.len() < BATCH {
        match Pin::new(&mut *events).poll_next(context) {
            Poll::Ready(Some(event)) => batch.push(event),
            Poll::Ready(None) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(())
}

const BATCH: usize = 256;
/// No more can have happened before a mark than waits to be heard.
const ROUNDS: usize = EVENTS / BATCH + 1;

/// What clients are told of an event.
fn frames(event: &Event, line: &Line, album: Option<&Album>) -> Vec<(EventName, Vec<u8>)> {
    let told = [(EventName::Log, log_message_of(line, Some(0))), (EventName::Event, event_message(line))];
    let shown = album.map(|album| album.describe(event)).unwrap_or_default();
    let alert = album.and_then(|album| alert::describe(event, line, album));
    let alert = alert.map(|message| (EventName::Alert, message));
    let frame = |(name, message): (EventName, Message)| {
        packet::event(name.text(), &message).ok().map(|frame| (name, frame))
    };
    told.into_iter().chain(shown).chain(alert).filter_map(frame).collect()
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
