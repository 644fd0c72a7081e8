//! SAs as they were when last looked at, so that clients can be shown what comes, goes or changes its keys.

use super::describe;
use super::event_name::EventName;
use crate::event::{ChildFacts, Event, IkeFacts};
use crate::status::{ChildSaStatus, ConnectionStatus, IkeSaStatus};
use crate::vici::message::Message;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tidegate_esp::Spi;
use tidegate_ike::{Path, SaId};

/// SAs as they were when last looked at, and for a while those that are gone: clients want to know what they
/// were.
#[derive(Default)]
pub(super) struct Album {
    present: BTreeMap<SaId, Picture>,
    children: BTreeMap<u32, SaId>,
    past: VecDeque<Picture>,
}

struct Picture {
    /// Without its SAs.
    connection: Arc<ConnectionStatus>,
    sa: IkeSaStatus,
}

/// An event of charon's.
type Shown = (EventName, Message);

impl Album {
    /// Looks at all that there is now.
    pub(super) fn take(&mut self, status: Vec<ConnectionStatus>) {
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

    /// The events of charon's that say the same, with the SAs that they are about. What comes and goes faster
    /// than anybody can look is shown as its events tell it.
    pub(super) fn describe(&self, event: &Event) -> Vec<Shown> {
        use tidegate_ike::Event as Ike;
        let shown = match event {
            Event::IkeUp(facts) => Some((EventName::IkeUpdown, self.ike_up(facts))),
            Event::IkeDown(facts) => Some((EventName::IkeUpdown, self.ike_down(facts))),
            Event::ChildUp(facts) => Some((EventName::ChildUpdown, self.child_up(facts))),
            Event::ChildDown { child, .. } => Some((EventName::ChildUpdown, self.child_down(child))),
            Event::Ike(Ike::IkeRekeyed { old, new }) => self.ike_rekey(*old, *new),
            Event::Ike(Ike::PeerMoved { sa, path }) => self.ike_update(*sa, path),
            Event::Ike(Ike::ChildRekeyed { old, new, .. }) => self.child_rekey(*old, *new),
            _ => None,
        };
        shown.into_iter().collect()
    }

    /// An IKE SA without its children, where it is known.
    pub(super) fn sa(&self, sa: SaId) -> Option<(&str, Message)> {
        let Picture { connection, sa } = self.ike_sa(sa)?;
        Some((&connection.name, describe::ike_sa(connection, sa)))
    }

    fn ike_up(&self, facts: &IkeFacts) -> Message {
        let section = match self.sa(facts.sa) {
            Some((_, section)) => section,
            None => describe::told_ike_sa(facts, "ESTABLISHED"),
        };
        up().with_section(&facts.connection, section)
    }

    fn ike_down(&self, facts: &IkeFacts) -> Message {
        let section = match self.ike_sa(facts.sa) {
            Some(Picture { connection, sa }) => describe::ike_sa(connection, &ending(sa)),
            None => describe::told_ike_sa(facts, "DELETING"),
        };
        Message::new().with_section(&facts.connection, section)
    }

    fn ike_rekey(&self, old: SaId, new: SaId) -> Option<Shown> {
        let name = &self.ike_sa(new).or_else(|| self.ike_sa(old))?.connection.name;
        let sections = Message::new()
            .with_section("old", self.ike_section(old))
            .with_section("new", self.ike_section(new));
        Some((EventName::IkeRekey, Message::new().with_section(name, sections)))
    }

    fn ike_update(&self, sa: SaId, path: &Path) -> Option<Shown> {
        let Picture { connection, sa } = self.ike_sa(sa)?;
        let message = Message::new()
            .with("local-host", path.local.ip())
            .with("local-port", path.local.port())
            .with("remote-host", path.remote.ip())
            .with("remote-port", path.remote.port())
            .with_section(&connection.name, describe::ike_sa(connection, sa));
        Some((EventName::IkeUpdate, message))
    }

    fn child_up(&self, facts: &ChildFacts) -> Message {
        let section = match self.child(facts.spi_in) {
            Some(known) => child_within(known, describe::child_sa(known.1)),
            None => describe::told_child_sa(facts, "INSTALLED"),
        };
        up().with_section(&facts.connection, section)
    }

    fn child_down(&self, facts: &ChildFacts) -> Message {
        let state = "DELETED";
        let section = match self.child(facts.spi_in) {
            Some(known) => child_within(known, describe::child_sa_in(known.1, state)),
            None => describe::told_child_sa(facts, state),
        };
        Message::new().with_section(&facts.connection, section)
    }

    fn child_rekey(&self, old: Spi, new: Spi) -> Option<Shown> {
        let (Picture { connection, sa }, new) = self.child(new)?;
        let mut section = Message::new();
        if let Some((_, old)) = self.child(old) {
            section.put_section("old", describe::child_sa_in(old, "REKEYED"));
        }
        section.put_section("new", describe::child_sa(new));
        let message =
            Message::new().with_section(&connection.name, around(connection, sa, &new.name, section));
        Some((EventName::ChildRekey, message))
    }

    fn ike_section(&self, sa: SaId) -> Message {
        // It may have come and gone faster than anybody could look.
        self.sa(sa).map_or_else(unseen, |(_, section)| section)
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
}

/// An IKE SA with one section among its children.
fn around(connection: &ConnectionStatus, sa: &IkeSaStatus, key: &str, child: Message) -> Message {
    describe::ike_sa(connection, sa).with_section("child-sas", Message::new().with_section(key, child))
}

fn child_within((picture, child): (&Picture, &ChildSaStatus), section: Message) -> Message {
    around(&picture.connection, &picture.sa, &describe::child_key(child), section)
}

/// The last look at it was before its end.
fn ending(sa: &IkeSaStatus) -> IkeSaStatus {
    IkeSaStatus { phase: "DELETING", rekey_in: None, reauthentication_in: None, ..sa.clone() }
}

fn unseen() -> Message {
    Message::new().with("version", 2)
}

fn up() -> Message {
    Message::new().with("up", "yes")
}

/// SAs that are gone and remembered.
const PAST: usize = 256;
