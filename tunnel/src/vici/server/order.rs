//! Commands that change something. They take as long as it takes, or as the client lets them.

use super::Hall;
use super::command::{Reply, failure, success};
use super::event_name::EventName;
use super::pump::Happening;
use super::selection::Filter;
use crate::engine::{Manner, Selection, Target};
use crate::log::{Level, Line};
use crate::vici::control::{Control, Refusal};
use crate::vici::message::Message;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio::time::timeout;

/// Brings up a child, or all children of a connection. What stands already is up, and no failure.
///
/// charon can be told to refuse an attempt where there are too many (`init-limits`); here attempts wait for their
/// turn.
pub(super) async fn initiate<C: Control>(hall: &Hall<C>, arguments: &Message, reply: &Reply) -> Message {
    let connection = arguments.text("ike");
    let (named, target) = match (arguments.text("child"), connection) {
        (Some(child), connection) => {
            let connection = connection.map(Arc::from);
            (Named::Child(child), Target::Child { connection, child: child.into() })
        }
        (None, Some(connection)) => (Named::Ike(connection), Target::Connection(connection.into())),
        (None, None) => return failure("missing configuration name"),
    };
    let order = match Order::read(hall, arguments, reply).await {
        Ok(order) => order,
        Err(answer) => return answer,
    };
    if arguments.text("init-limits") == Some("yes") && order.log.is_some() {
        reply.stream(EventName::ControlLog, super::pump::log_message(&no_limits())).await;
    }
    if let Some(lacking) = hall.registry.obstacle(&hall.control, &hall.credentials, &target).await {
        return failure(lacking);
    }
    let control = hall.control.clone();
    match order.carry_out(hall, reply, async move { control.initiate(target).await }).await {
        Some(Ok(())) => success(),
        Some(Err(error)) if error.is_about_nothing() => named.unknown(),
        Some(Err(error)) => failure(format_args!("establishing {named} failed: {error}")),
        None if order.wait == Wait::No => success(),
        None => failure(format_args!("{named} not established after {}", order.wait)),
    }
}

fn no_limits() -> Line {
    let text = "init-limits does nothing: attempts are not refused, but wait for their turn".to_owned();
    Line { kind: "order", level: Level::Warn, connection: None, text }
}

/// Takes SAs down.
pub(super) async fn terminate<C: Control>(hall: &Hall<C>, arguments: &Message, reply: &Reply) -> Message {
    let (filter, order) = match (Filter::read(arguments), Order::read(hall, arguments, reply).await) {
        (Ok(filter), _) if filter.is_empty() => return failure("missing terminate selector"),
        (Ok(filter), Ok(order)) => (filter, order),
        (Err(answer), _) | (_, Err(answer)) => return answer,
    };
    let selections = match filter.selections(hall).await {
        Ok(selections) => selections,
        Err(error) => return failure(error),
    };
    let control = hall.control.clone();
    let taking_down = move |manner| {
        move |selection| {
            let control = control.clone();
            async move { control.terminate(selection, manner).await }
        }
    };
    // Where it is to be forced, peers are asked for as long as somebody says, and no longer.
    let force = arguments.text("force") == Some("yes");
    let manner = if force && order.wait == Wait::ForEver { Manner::Force } else { Manner::Ask };
    let doing = each(selections.clone(), taking_down.clone()(manner));
    let outcome = order.carry_out(hall, reply, doing).await;
    let outcome = match outcome {
        None if force => {
            let forced = each(selections, taking_down(Manner::Force)).await;
            hall.catch_up().await;
            Some(forced)
        }
        outcome => outcome,
    };
    match outcome {
        Some(Ok(0)) => Message::new()
            .with("success", "no")
            .with("matches", 0)
            .with("terminated", 0)
            .with("errmsg", "no matching SAs to terminate found"),
        Some(Ok(count)) => success().with("matches", count).with("terminated", count),
        Some(Err(error)) => failure(error),
        None if order.wait == Wait::No => success(),
        None => failure(format_args!("not all matching SAs could be terminated within {}", order.wait)),
    }
}

/// Makes new keys, or has both ends prove anew who they are. The answer comes when that is done.
pub(super) async fn rekey<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let anew = arguments.text("reauth") == Some("yes");
    let filter = match Filter::read(arguments) {
        Ok(filter) if filter.is_empty() => return failure("missing rekey selector"),
        Ok(filter) => filter,
        Err(answer) => return answer,
    };
    let selections = match filter.selections(hall).await {
        Ok(selections) => selections,
        Err(error) => return failure(error),
    };
    let one = |selection| async move {
        if anew { hall.control.reauthenticate(selection).await } else { hall.control.rekey(selection).await }
    };
    let outcome = each(selections, one).await;
    hall.catch_up().await;
    match outcome {
        Ok(0) => Message::new()
            .with("success", "no")
            .with("matches", 0)
            .with("errmsg", "no matching SAs to rekey found"),
        Ok(count) => success().with("matches", count),
        Err(error) => failure(error),
    }
}

/// Lets traffic bring a child up, or puts a rule in force that passes or drops it.
pub(super) async fn install<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let target = match child(arguments) {
        Ok(target) => target,
        Err(answer) => return answer,
    };
    match hall.control.install(target).await {
        Ok(()) => success(),
        Err(error) if error.is_about_nothing() => failure("configuration name not found"),
        Err(error) => failure(error),
    }
}

/// Undoes that, and what a start on traffic has done.
pub(super) async fn uninstall<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let target = match child(arguments) {
        Ok(target) => target,
        Err(answer) => return answer,
    };
    match hall.control.uninstall(target).await {
        Ok(()) => success(),
        Err(error) if error.is_about_nothing() => {
            failure(format_args!("policy '{}' not found", arguments.text("child").unwrap_or_default()))
        }
        Err(error) => failure(error),
    }
}

/// The child that is named, of any connection or of one.
fn child(arguments: &Message) -> Result<Target, Message> {
    let child = arguments.text("child").ok_or_else(|| failure("missing configuration name"))?;
    Ok(Target::Child { connection: arguments.text("ike").map(Arc::from), child: child.into() })
}

/// Sends clients elsewhere (RFC 5685), which we do not.
pub(super) fn redirect(arguments: &Message) -> Message {
    if !["ike", "ike-id", "peer-ip", "peer-id"].iter().any(|key| arguments.get(key).is_some()) {
        return failure("missing redirect selector");
    }
    match arguments.text("gateway") {
        Some(gateway) => failure(format_args!(
            "no peer is redirected to {gateway}: redirection (RFC 5685) is not supported"
        )),
        None => failure("missing target gateway"),
    }
}

/// Does it to each of these in turn; nothing that is there no more is counted, and the first failure is the
/// last thing done.
async fn each<E: Refusal, F>(selections: Vec<Selection>, one: impl Fn(Selection) -> F) -> Result<usize, E>
where
    F: Future<Output = Result<usize, E>>,
{
    let mut sum = 0;
    for selection in selections {
        match one(selection).await {
            Ok(count) => sum += count,
            Err(error) if error.is_about_nothing() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// What a client wants up.
#[derive(Clone, Copy)]
enum Named<'a> {
    Child(&'a str),
    Ike(&'a str),
}

impl Named<'_> {
    fn unknown(self) -> Message {
        match self {
            Self::Child(name) => failure(format_args!("CHILD_SA config '{name}' not found")),
            Self::Ike(name) => failure(format_args!("IKE_SA config '{name}' not found")),
        }
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Child(name) => write!(f, "CHILD_SA '{name}'"),
            Self::Ike(name) => write!(f, "IKE_SA '{name}'"),
        }
    }
}

/// How a client wants something done.
struct Order {
    wait: Wait,
    /// The least level of lines that it wants to see, if it wants to see any.
    log: Option<Level>,
    /// The connection that lines must be about, where it is one.
    connection: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    ForEver,
    For(Duration),
    No,
}

impl Order {
    async fn read<C: Control>(hall: &Hall<C>, arguments: &Message, reply: &Reply) -> Result<Self, Message> {
        let wait = Wait::read(arguments)?;
        let log = level(arguments)?.filter(|_| reply.wants(EventName::ControlLog));
        let connection = match log {
            Some(_) => Filter::read(arguments)?.connection(hall).await,
            None => None,
        };
        Ok(Self { wait, log, connection })
    }

    /// The outcome, and on the way there the lines of the log; `None` when the client's time is over.
    async fn carry_out<C: Control, T: Send + 'static>(
        &self,
        hall: &Hall<C>,
        reply: &Reply,
        doing: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        // From before the beginning, or the first lines would be missing.
        let happenings = self.log.map(|level| (level, hall.happenings.subscribe()));
        let limited = async {
            match self.wait {
                Wait::ForEver => Some(doing.await),
                Wait::For(time) => timeout(time, doing).await.ok(),
                Wait::No => timeout(AT_ONCE, tokio::spawn(doing)).await.ok()?.ok(),
            }
        };
        match happenings {
            Some((level, happenings)) => self.with_log(level, happenings, hall, reply, limited).await,
            None => {
                let outcome = limited.await;
                hall.catch_up().await;
                outcome
            }
        }
    }

    async fn with_log<C: Control, T>(
        &self,
        level: Level,
        mut happenings: broadcast::Receiver<Arc<Happening>>,
        hall: &Hall<C>,
        reply: &Reply,
        doing: impl Future<Output = T> + Send,
    ) -> T {
        let mut doing = std::pin::pin!(doing);
        let outcome = loop {
            tokio::select! {
                outcome = &mut doing => break outcome,
                happening = happenings.recv() => match happening {
                    Ok(happening) => self.log(level, &happening, reply).await,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break doing.await,
                },
            }
        };
        hall.catch_up().await;
        loop {
            match happenings.try_recv() {
                Ok(happening) => self.log(level, &happening, reply).await,
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return outcome,
            }
        }
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
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForEver => f.write_str("any time"),
            Self::For(time) => write!(f, "{}ms", time.as_millis()),
            Self::No => f.write_str("no time"),
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

/// Whoever does not wait is still told what is refused at once.
const AT_ONCE: Duration = Duration::from_millis(50);
