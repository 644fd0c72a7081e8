//! Commands that show something.

use super::command::{Reply, failure};
use super::event_name::EventName;
use super::selection::Filter;
use super::{Hall, describe};
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

/// How we are. Threads and queues are the control runtime's: it has no priorities, and nothing in it waits with a
/// deadline of its own.
pub(super) async fn stats<C: Control>(hall: &Hall<C>) -> Message {
    let status = match hall.control.status().await {
        Ok(status) => status,
        Err(error) => return failure(error),
    };
    let phases = || status.iter().flat_map(|connection| &connection.sas).map(|sa| sa.phase);
    let runtime = tokio::runtime::Handle::current().metrics();
    let uptime =
        Message::new().with("running", in_words(hall.started.elapsed())).with("since", date(hall.since));
    let threads = runtime.num_workers();
    let workers = Message::new()
        .with("total", threads)
        // One of them is at this.
        .with("idle", threads.saturating_sub(1))
        .with_section("active", by_priority(1));
    let ike_sas = Message::new()
        .with("total", phases().count())
        .with("half-open", phases().filter(|phase| *phase == "CONNECTING").count());
    Message::new()
        .with_section("uptime", uptime)
        .with_section("workers", workers)
        .with_section("queues", by_priority(runtime.global_queue_depth()))
        .with("scheduled", 0)
        .with_section("ikesas", ike_sas)
        .with_list("plugins", [env!("CARGO_PKG_NAME"), "vici"])
        .with_section("mallinfo", memory())
}

/// All that there is has the same priority.
fn by_priority(medium: usize) -> Message {
    let count = |priority| if priority == "medium" { medium } else { 0 };
    let all = ["critical", "high", "medium", "low"];
    all.into_iter().fold(Message::new(), |section, priority| section.with(priority, count(priority)))
}

/// Our memory as the kernel sees it, under charon's names: what was taken for data, what was mapped, and of it
/// all what is there and what is not.
fn memory() -> Message {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.unwrap_or(0).saturating_mul(1024)
    };
    let (data, used) = (bytes("VmData:"), bytes("VmRSS:"));
    Message::new()
        .with("sbrk", data)
        .with("mmap", bytes("VmSize:").saturating_sub(data))
        .with("used", used)
        .with("free", data.saturating_sub(used))
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

/// Streams what is installed though there is no SA for it: what waits for traffic, and what is passed or dropped
/// without one. A client says which kinds it wants to see.
pub(super) async fn list_policies<C: Control>(hall: &Hall<C>, arguments: &Message, reply: &Reply) -> Message {
    if !reply.wants(EventName::ListPolicy) {
        return Message::new();
    }
    let status = match hall.control.status().await {
        Ok(status) => status,
        Err(error) => return failure(error),
    };
    let wanted = |kind| arguments.text(kind) == Some("yes");
    let named = |key, name: &str| arguments.text(key).is_none_or(|wanted| wanted == name);
    for connection in status.iter().filter(|connection| named("ike", &connection.name)) {
        let installed = connection.children.iter().filter(|child| child.installed);
        for child in installed.filter(|child| named("child", &child.name)) {
            let kind = match child.mode {
                "PASS" => "pass",
                "DROP" => "drop",
                _ => "trap",
            };
            if wanted(kind) {
                reply.stream(EventName::ListPolicy, describe::policy(connection, child)).await;
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
