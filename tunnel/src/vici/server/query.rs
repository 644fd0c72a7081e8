//! Commands that show something.

use super::command::{Reply, failure};
use super::event_name::EventName;
use super::{Hall, describe};
use crate::status::{ChildSaStatus, ConnectionStatus, IkeSaStatus};
use crate::vici::control::Control;
use crate::vici::message::Message;
use der::DateTime;
use serde::Serialize;
use std::time::{Duration, SystemTime};

/// Who we are, and on what we run.
pub(super) fn version() -> Message {
    // Linux says it in a file; there is no need of a system call here.
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Message::new()
        .with("daemon", env!("CARGO_PKG_NAME"))
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("sysname", "Linux")
        .with("release", release.trim())
        .with("machine", std::env::consts::ARCH)
}

/// How we are. Queues and threads are not what charon's are, and shown as empty.
pub(super) async fn stats<C: Control>(hall: &Hall<C>) -> Message {
    let status = match hall.control.status().await {
        Ok(status) => status,
        Err(error) => return failure(error),
    };
    let phases = || status.iter().flat_map(|connection| &connection.sas).map(|sa| sa.phase);
    let by_priority = || {
        ["critical", "high", "medium", "low"]
            .into_iter()
            .fold(Message::new(), |section, priority| section.with(priority, 0))
    };
    let uptime =
        Message::new().with("running", in_words(hall.started.elapsed())).with("since", date(hall.since));
    let workers = Message::new().with("total", 0).with("idle", 0).with_section("active", by_priority());
    let ike_sas = Message::new()
        .with("total", phases().count())
        .with("half-open", phases().filter(|phase| *phase == "CONNECTING").count());
    Message::new()
        .with_section("uptime", uptime)
        .with_section("workers", workers)
        .with_section("queues", by_priority())
        .with("scheduled", 0)
        .with_section("ikesas", ike_sas)
        .with_list("plugins", [env!("CARGO_PKG_NAME")])
}

/// Streams the IKE SAs, each with its children.
pub(super) async fn list_sas<C: Control>(hall: &Hall<C>, arguments: &Message, reply: &Reply) -> Message {
    let filter = match Filter::read(arguments) {
        Ok(filter) => filter,
        Err(answer) => return answer,
    };
    if reply.wants(EventName::ListSa) {
        let status = match hall.control.status().await {
            Ok(status) => status,
            Err(error) => return failure(error),
        };
        for connection in status {
            for sa in connection.sas.iter().filter(|sa| filter.admits(&connection, sa)) {
                let children = sa.children.iter().filter(|child| filter.admits_child(child));
                let message = describe::ike_sa_with(&connection, sa, children);
                reply.stream(EventName::ListSa, message).await;
            }
        }
    }
    Message::new()
}

/// Streams all that is known of each connection.
pub(super) async fn status<C: Control>(hall: &Hall<C>, arguments: &Message, reply: &Reply) -> Message {
    if reply.wants(EventName::Status) {
        let status = match hall.control.status().await {
            Ok(status) => status,
            Err(error) => return failure(error),
        };
        for connection in status {
            if arguments.text("ike").is_some_and(|name| name != connection.name) {
                continue;
            }
            match json(&connection) {
                Ok(message) => reply.stream(EventName::Status, message).await,
                Err(error) => return failure(error),
            }
        }
    }
    Message::new()
}

/// What happened how often.
pub(super) async fn counters<C: Control>(hall: &Hall<C>) -> Message {
    match hall.control.counters().await {
        Ok(counters) => json(&counters).unwrap_or_else(failure),
        Err(error) => failure(error),
    }
}

/// Which SAs a client wants to see.
struct Filter<'a> {
    connection: Option<&'a str>,
    ike_sa: Option<u64>,
    child: Option<&'a str>,
    child_sa: Option<u32>,
}

impl<'a> Filter<'a> {
    fn read(arguments: &'a Message) -> Result<Self, Message> {
        Ok(Self {
            connection: arguments.text("ike"),
            ike_sa: describe::ike_id(arguments)?,
            child: arguments.text("child"),
            child_sa: describe::child_id(arguments)?,
        })
    }

    fn admits(&self, connection: &ConnectionStatus, sa: &IkeSaStatus) -> bool {
        let by_child = self.child.is_some() || self.child_sa.is_some();
        self.connection.is_none_or(|name| name == connection.name)
            && self.ike_sa.is_none_or(|id| id == sa.id)
            && (!by_child || sa.children.iter().any(|child| self.admits_child(child)))
    }

    fn admits_child(&self, child: &ChildSaStatus) -> bool {
        self.child.is_none_or(|name| name == child.name) && self.child_sa.is_none_or(|id| id == child.spi_in)
    }
}

/// Text for machines, in pieces that fit values.
fn json(data: &impl Serialize) -> serde_json::Result<Message> {
    let mut text = serde_json::to_string(data)?;
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let rest = text.split_off(text.floor_char_boundary(PIECE));
        pieces.push(std::mem::replace(&mut text, rest));
    }
    Ok(Message::new().with_list("json", pieces))
}

const PIECE: usize = 60_000;

/// A time as people say it: in its largest unit.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A date of UTC.
fn date(time: SystemTime) -> String {
    let Ok(date) = DateTime::from_system_time(time) else { return String::new() };
    let month = MONTHS.get(usize::from(date.month()).saturating_sub(1)).unwrap_or(&"");
    format!(
        "{month} {:02} {:02}:{:02}:{:02} {}",
        date.day(),
        date.hour(),
        date.minutes(),
        date.seconds(),
        date.year()
    )
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
