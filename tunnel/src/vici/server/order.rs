//! Commands that change something. They take as long as it takes, or as the client lets them.

use super::command::{Reply, failure, success};
use super::event_name::EventName;
use super::pump::Happening;
use super::{Hall, describe};
use crate::engine::{Selection, Target};
use crate::log::Level;
use crate::vici::control::Control;
use crate::vici::message::Message;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::Spi;
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

/// Brings up a child, or all children of a connection.
pub(super) async fn initiate<C: Control>(hall: &Hall<C>, arguments: &Message, reply: &Reply) -> Message {
    let connection = arguments.text("ike").map(Arc::<str>::from);
    let target = match (arguments.text("child"), &connection) {
        (Some(child), _) => Target::Child { connection: connection.clone(), child: child.into() },
        (None, Some(connection)) => Target::Connection(connection.clone()),
        (None, None) => return failure("neither child nor ike says what to initiate"),
    };
    let order = match Order::read(arguments, connection) {
        Ok(order) => order,
        Err(answer) => return answer,
    };
    if let Some(lacking) = hall.registry.obstacle(&hall.control, &hall.credentials, &target).await {
        return failure(lacking);
    }
    match order.carry_out(hall, reply, hall.control.initiate(target)).await {
        Some(Ok(())) => success(),
        Some(Err(error)) => failure(error),
        None if order.wait == Wait::No => success(),
        None => failure(format_args!("not established within {}; it goes on", order.wait.in_words())),
    }
}

/// Takes SAs down.
pub(super) async fn terminate<C: Control>(hall: &Hall<C>, arguments: &Message, reply: &Reply) -> Message {
    let connection = arguments.text("ike").map(Arc::<str>::from);
    let (selection, order) = match (selection(arguments), Order::read(arguments, connection)) {
        (Ok(selection), Ok(order)) => (selection, order),
        (Err(answer), _) | (_, Err(answer)) => return answer,
    };
    // The peer's answer is waited for only where somebody says for how long.
    let forced = arguments.text("force") == Some("yes") && order.wait == Wait::ForEver;
    let order = if forced { Order { wait: Wait::No, ..order } } else { order };
    match order.carry_out(hall, reply, hall.control.terminate(selection)).await {
        Some(Ok(0)) => failure("no matching SAs to terminate found").with("matches", 0).with("terminated", 0),
        Some(Ok(count)) => success().with("matches", count).with("terminated", count),
        Some(Err(error)) => failure(error),
        None if order.wait == Wait::No => success(),
        None => failure(format_args!("not terminated within {}; it goes on", order.wait.in_words())),
    }
}

/// Makes new keys.
pub(super) async fn rekey<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    if arguments.text("reauth") == Some("yes") {
        return failure("reauthentication cannot be asked for: terminate and initiate in its place");
    }
    let selection = match selection(arguments) {
        Ok(selection) => selection,
        Err(answer) => return answer,
    };
    match hall.control.rekey(selection).await {
        Ok(0) => failure("no matching SAs to rekey found").with("matches", 0),
        Ok(count) => success().with("matches", count),
        Err(error) => failure(error),
    }
}

/// What a client names: the closest description counts.
fn selection(arguments: &Message) -> Result<Selection, Message> {
    let connection = arguments.text("ike").map(Arc::<str>::from);
    if let Some(spi) = describe::child_id(arguments)? {
        return match Spi::new(spi) {
            Some(spi) => Ok(Selection::ChildSa(spi)),
            None => Err(failure(format_args!("no child has the number {spi}"))),
        };
    }
    if let Some(id) = describe::ike_id(arguments)? {
        return Ok(Selection::IkeSa(id));
    }
    match (arguments.text("child"), connection) {
        (Some(child), connection) => Ok(Selection::Child { connection, child: child.into() }),
        (None, Some(connection)) => Ok(Selection::Connection(connection)),
        (None, None) => Err(failure("none of child, ike, child-id and ike-id says which SAs are meant")),
    }
}

/// How a client wants something done.
struct Order {
    wait: Wait,
    /// The least level of lines that it wants to see.
    log: Option<Level>,
    /// The connection that lines must be about, where the client has named one.
    connection: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    ForEver,
    For(Duration),
    No,
}

impl Order {
    fn read(arguments: &Message, connection: Option<Arc<str>>) -> Result<Self, Message> {
        Ok(Self { wait: Wait::read(arguments)?, log: level(arguments)?, connection })
    }

    /// The outcome, and on the way there the lines of the log; `None` when the client's time is over.
    async fn carry_out<C: Control, T>(
        &self,
        hall: &Hall<C>,
        reply: &Reply,
        doing: impl Future<Output = T> + Send,
    ) -> Option<T> {
        let limited = async {
            match self.wait {
                Wait::ForEver => Some(doing.await),
                Wait::For(time) => timeout(time, doing).await.ok(),
                Wait::No => timeout(HANDING_OVER, doing).await.ok(),
            }
        };
        match self.log.filter(|_| reply.wants(EventName::ControlLog)) {
            Some(level) => self.with_log(level, hall.happenings.subscribe(), reply, limited).await,
            None => limited.await,
        }
    }

    async fn with_log<T>(
        &self,
        level: Level,
        mut happenings: broadcast::Receiver<Arc<Happening>>,
        reply: &Reply,
        doing: impl Future<Output = T> + Send,
    ) -> T {
        let mut doing = std::pin::pin!(doing);
        let outcome = loop {
            tokio::select! {
                outcome = &mut doing => break outcome,
                happening = happenings.recv() => match happening {
                    Ok(happening) => self.log(level, &happening, reply).await,
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => break doing.await,
                },
            }
        };
        // The last lines come by another way than the outcome.
        sleep(LAST_LINES).await;
        while let Ok(happening) = happenings.try_recv() {
            self.log(level, &happening, reply).await;
        }
        outcome
    }

    async fn log(&self, level: Level, happening: &Happening, reply: &Reply) {
        let line = &happening.line;
        let meant = match (&self.connection, &line.connection) {
            (Some(wanted), Some(connection)) => wanted == connection,
            _ => true,
        };
        if meant && line.level <= level {
            reply.stream(EventName::ControlLog, super::pump::log_message(line)).await;
        }
    }
}

impl Wait {
    /// Milliseconds; 0 is for ever, and -1 not at all.
    fn read(arguments: &Message) -> Result<Self, Message> {
        let Some(text) = arguments.text("timeout") else { return Ok(Self::ForEver) };
        match text.parse::<i64>() {
            Ok(0) => Ok(Self::ForEver),
            Ok(time) => {
                Ok(u64::try_from(time).map_or(Self::No, |time| Self::For(Duration::from_millis(time))))
            }
            Err(_) => Err(failure(format_args!("timeout is no number: {text:?}"))),
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::ForEver => "any time".to_owned(),
            Self::For(time) => format!("{} ms", time.as_millis()),
            Self::No => "no time".to_owned(),
        }
    }
}

/// charon counts levels from -1, nothing, over 1, what an operator wants to know, up.
fn level(arguments: &Message) -> Result<Option<Level>, Message> {
    let Some(text) = arguments.text("loglevel") else { return Ok(Some(Level::Info)) };
    match text.parse::<i64>() {
        Ok(..=-1) => Ok(None),
        Ok(0) => Ok(Some(Level::Warn)),
        Ok(1) => Ok(Some(Level::Info)),
        Ok(_) => Ok(Some(Level::Debug)),
        Err(_) => Err(failure(format_args!("loglevel is no number: {text:?}"))),
    }
}

/// Enough for an order to reach whoever carries it out.
const HANDING_OVER: Duration = Duration::from_millis(50);
const LAST_LINES: Duration = Duration::from_millis(5);
