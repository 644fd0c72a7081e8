//! Events as lines of a log.
//!
//! Failures with a verdict are warnings, comings and goings are worth knowing, the rest is detail. Nothing
//! is told per packet, and nothing that a stranger could cause at will is told above detail: junk is counted
//! where it is dropped.

use crate::event::Event;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_ike::{Cause, SaId, Verdict};

/// Puts events in words. It remembers which connection an IKE SA belongs to, as most events name the SA
/// alone.
#[derive(Debug, Default)]
pub struct Narrator {
    connections: BTreeMap<SaId, Arc<str>>,
    strangers: Strangers,
}

/// Peers that were turned away before they had shown who they are. A wrong identity is among that, which an
/// operator looks for, and so is whatever a stranger sends, as often as it likes: of all that comes close
/// together the first is told, and of the rest that there was more.
#[derive(Debug, Default)]
struct Strangers {
    told: Option<Instant>,
    since: u64,
}

/// Of strangers no more is told than one line in this time.
const STRANGERS_PAUSE: Duration = Duration::from_secs(10);

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What kind of event it is, for machines.
    pub kind: &'static str,
    /// How much it matters.
    pub level: Level,
    /// The connection that it is about, where it is about one.
    pub connection: Option<Arc<str>>,
    /// What has happened.
    pub text: String,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody should look at it.
    Warn,
    /// Worth knowing.
    Info,
    /// For those who look for something.
    Debug,
}

impl Level {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Line {
    /// Writes it into the log.
    pub fn write(&self) {
        let Self { kind, text, .. } = self;
        let connection = self.connection.as_deref();
        match self.level {
            Level::Warn => tracing::warn!(target: "tidegate::event", kind, connection, "{text}"),
            Level::Info => tracing::info!(target: "tidegate::event", kind, connection, "{text}"),
            Level::Debug => tracing::debug!(target: "tidegate::event", kind, connection, "{text}"),
        }
    }
}

impl Narrator {
    /// Puts an event in words.
    pub fn describe(&mut self, event: &Event) -> Line {
        let known = self.connection(event);
        let line = describe(event);
        let line = if is_of_stranger(event) { self.strangers.temper(line, Instant::now()) } else { line };
        Line { connection: line.connection.or(known), ..line }
    }

    /// The connection of the SA that an event is about.
    fn connection(&mut self, event: &Event) -> Option<Arc<str>> {
        use tidegate_ike::Event as Ike;
        match event {
            Event::Ike(Ike::IkeEstablished { sa, connection, .. }) => {
                self.connections.insert(*sa, connection.clone());
                None
            }
            Event::Ike(Ike::IkeRekeyed { old, new }) => {
                let connection = self.connections.get(old)?.clone();
                self.connections.insert(*new, connection.clone());
                Some(connection)
            }
            Event::Ike(Ike::IkeClosed { sa, .. }) => self.connections.remove(sa),
            Event::Ike(
                Ike::PeerMoved { sa, .. }
                | Ike::ChildEstablished { sa, .. }
                | Ike::ChildRekeyed { sa, .. }
                | Ike::ChildFailed { sa, .. }
                | Ike::ChildClosed { sa, .. }
                | Ike::Configured { sa, .. }
                | Ike::Warning { sa, .. },
            ) => self.connections.get(sa).cloned(),
            // What was missed may have been the end of some.
            Event::Missed(_) => {
                self.connections.clear();
                None
            }
            _ => None,
        }
    }
}

impl Strangers {
    fn temper(&mut self, line: Line, now: Instant) -> Line {
        if self.told.is_some_and(|told| now.duration_since(told) < STRANGERS_PAUSE) {
            self.since += 1;
            return line;
        }
        self.told = Some(now);
        match std::mem::take(&mut self.since) {
            0 => Line { level: Level::Info, ..line },
            more => Line { level: Level::Info, text: format!("{}; {more} more before", line.text), ..line },
        }
    }
}

fn is_of_stranger(event: &Event) -> bool {
    use tidegate_ike::Event as Ike;
    matches!(event, Event::Ike(Ike::Refused { .. } | Ike::IkeFailed { connection: None, .. }))
}

fn describe(event: &Event) -> Line {
    match event {
        Event::Ike(event) => describe_ike(event),
        Event::Up { connection, peer } => {
            line("up", Level::Info, Some(connection), format!("up, the peer is at {peer}"))
        }
        Event::Down { connection, verdict } => {
            line("down", of_end(verdict), Some(connection), format!("down: {verdict}"))
        }
        Event::Attempt { connection, child, ike_sa, peer } => {
            let text = match child {
                Some(child) => format!("asking {peer} for child {child:?} on IKE SA {ike_sa}"),
                None => format!("setting IKE SA {ike_sa} up with {peer}"),
            };
            line("attempt", Level::Info, Some(connection), text)
        }
        Event::IkeUp(sa) => {
            let text = format!("IKE SA {} is up", sa.number);
            line("ike-up", Level::Debug, Some(&sa.connection), text)
        }
        Event::IkeDown(sa) => {
            let text = format!("IKE SA {} is down", sa.number);
            line("ike-down", Level::Debug, Some(&sa.connection), text)
        }
        Event::ChildUp(child) => {
            let text = format!("child {:?} is up: {}", child.child, Pair(&child.selectors));
            line("child-up", Level::Debug, Some(&child.connection), text)
        }
        Event::ChildDown { child, verdict } => {
            let text = format!("child {:?} is down: {verdict}", child.child);
            line("child-down", Level::Debug, Some(&child.connection), text)
        }
        Event::Retry { connection, after_ms, verdict } => {
            let seconds = *after_ms as f64 / 1000.0;
            let text = format!("failed, trying again in {seconds:.1} s: {verdict}");
            line("retry", Level::Warn, Some(connection), text)
        }
        Event::PrefixTaken { connection, selectors, holder, child, .. } => {
            let text =
                format!("refused {}: connection {holder:?} carries it with child {child}", Pair(selectors));
            line("prefix-taken", Level::Warn, Some(connection), text)
        }
        Event::AddressesChanged(addresses) => {
            let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            line("addresses", Level::Info, None, format!("our addresses are now {}", list.join(", ")))
        }
        Event::Trouble { area, message } => line("trouble", Level::Warn, None, format!("{area}: {message}")),
        Event::Missed(count) => {
            line("missed", Level::Warn, None, format!("{count} events came too fast and were not kept"))
        }
    }
}

fn describe_ike(event: &tidegate_ike::Event) -> Line {
    use tidegate_ike::Event as Ike;
    match event {
        Ike::IkeEstablished { connection, peer, path, .. } => {
            let text = format!("IKE SA established with {peer} at {}", path.remote);
            line("ike-established", Level::Info, Some(connection), text)
        }
        // Anybody can make an attempt fail that has not got as far as to have a connection.
        Ike::IkeFailed { connection, path, verdict, .. } => {
            let level = if connection.is_some() { Level::Warn } else { Level::Debug };
            let text = format!("IKE SA with {} failed: {verdict}", path.remote);
            line("ike-failed", level, connection.as_ref(), text)
        }
        Ike::Refused { path, verdict } => {
            line("refused", Level::Debug, None, format!("turned {} away: {verdict}", path.remote))
        }
        Ike::IkeRekeyed { .. } => line("ike-rekeyed", Level::Info, None, "IKE SA has new keys".to_owned()),
        Ike::IkeClosed { connection, verdict, .. } => {
            line("ike-closed", of_end(verdict), Some(connection), format!("IKE SA closed: {verdict}"))
        }
        Ike::IkeGone { .. } => {
            line("ike-gone", Level::Debug, None, "nothing is left of an IKE SA".to_owned())
        }
        Ike::PeerMoved { path, .. } => {
            line("peer-moved", Level::Info, None, format!("the peer has moved to {}", path.remote))
        }
        Ike::ChildEstablished { child, name, selectors, .. } => {
            let text = format!("child {name:?} established with SPI {child}: {}", Pair(selectors));
            line("child-established", Level::Info, None, text)
        }
        Ike::ChildRekeyed { old, new, .. } => {
            line("child-rekeyed", Level::Info, None, format!("child {old} has new keys as {new}"))
        }
        Ike::ChildFailed { name, verdict, .. } => {
            let text = match name {
                Some(name) => format!("child {name:?} failed: {verdict}"),
                None => format!("a child failed: {verdict}"),
            };
            line("child-failed", Level::Warn, None, text)
        }
        Ike::ChildClosed { child, name, verdict, .. } => {
            let text = format!("child {name:?} with SPI {child} closed: {verdict}");
            line("child-closed", of_end(verdict), None, text)
        }
        Ike::Configured { addresses, .. } => {
            let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            line("configured", Level::Info, None, format!("the peer gave us {}", list.join(", ")))
        }
        Ike::Warning { verdict, .. } => line("warning", Level::Warn, None, verdict.to_string()),
    }
}

/// An end that somebody wanted is no warning.
fn of_end(verdict: &Verdict) -> Level {
    match verdict.cause {
        Cause::ClosedByPeer | Cause::ClosedByUs | Cause::Replaced => Level::Info,
        _ => Level::Warn,
    }
}

fn line(kind: &'static str, level: Level, connection: Option<&Arc<str>>, text: String) -> Line {
    Line { kind, level, connection: connection.cloned(), text }
}

struct Pair<'a>(&'a tidegate_esp::SelectorPair);

impl std::fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = |f: &mut std::fmt::Formatter<'_>, list: &[tidegate_esp::TrafficSelector]| {
            list.iter()
                .enumerate()
                .try_for_each(|(i, selector)| write!(f, "{}{selector}", if i == 0 { "" } else { "," }))
        };
        side(f, &self.0.local)?;
        f.write_str(" to ")?;
        side(f, &self.0.remote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_strangers_that_come_close_together_the_first_is_told_and_later_how_many_there_were() {
        let (mut strangers, start) = (Strangers::default(), Instant::now());
        let mut told = |after| {
            let stranger = line("refused", Level::Debug, None, "turned away".to_owned());
            strangers.temper(stranger, start + Duration::from_secs(after))
        };
        assert_eq!(told(0).level, Level::Info);
        assert_eq!([told(1).level, told(9).level], [Level::Debug; 2]);
        let later = told(10);
        assert_eq!((later.level, later.text.as_str()), (Level::Info, "turned away; 2 more before"));
    }
}
