//! Child SAs: from the endpoint's orders to the tables of the workers.

use super::Engine;
use super::idle::Idle;
use super::load::closed_by_us;
use super::requests::Item;
use crate::action::{Action, CaptureId};
use crate::event::{ChildFacts, Event};
use crate::tables::{Opening, Sealing};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_esp::crypto::KeyLengthError;
use tidegate_esp::policy::Owner;
use tidegate_esp::snapshot::{InstallError, NewOutbound, OutboundId, Standing};
use tidegate_esp::{Direction, Encapsulation, Inbound, IvSecret, Outbound, Params, SelectorPair, Spi};
use tidegate_ike::endpoint::ChildStatus;
use tidegate_ike::identity::Identity;
use tidegate_ike::output::{Duty, Install};
use tidegate_ike::{Cause, Culprit, Framing, Path, Role, SaId, Transmit, Verdict};

/// All children that the endpoint has installed, by inbound SPI.
pub(super) type Children = BTreeMap<Spi, ChildSa>;

/// One child, from its first half installed to its last half removed.
pub(super) struct ChildSa {
    /// The number that people say.
    pub(super) number: u64,
    pub(super) link: Arc<str>,
    pub(super) name: Arc<str>,
    /// The number that it is known by from outside.
    pub(super) reqid: u32,
    pub(super) owner: Owner,
    pub(super) selectors: Arc<SelectorPair>,
    pub(super) path: tidegate_esp::Path,
    pub(super) opening: Option<Arc<Opening>>,
    pub(super) sealing: Option<(OutboundId, Arc<Sealing>)>,
    /// What catches the packets that it carries.
    pub(super) capture: Option<CaptureId>,
    /// It has rules of its own.
    pub(super) shares_policy: bool,
    /// Its end is not to be taken for a failure of the connection: another takes its place, or it was
    /// refused.
    pub(super) condemned: bool,
    /// As it was told of; not when it was not, or when a successor has taken its place.
    pub(super) facts: Option<Arc<ChildFacts>>,
    /// Where somebody wants to know when it is not used.
    pub(super) idle: Option<Idle>,
}

/// A child of which nothing is left but the news of its end.
pub(super) struct Ending {
    pub(super) link: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) condemned: bool,
    pub(super) facts: Option<Arc<ChildFacts>>,
}

/// Whose child it is.
struct Belonging {
    sa: SaId,
    link: Arc<str>,
    owner: Owner,
    peer: Arc<Identity>,
    dynamic: bool,
    reqid: u32,
}

/// Why a child is not taken into use.
enum Refused {
    /// What it carries is another peer's.
    Taken(Spi),
    /// The tables do not take it.
    Tables(InstallError),
    /// Its keys do not fit its suite.
    Keys,
}

impl Engine {
    /// Takes one direction of a child into use, unless what it carries is somebody else's.
    pub(super) fn take_into_use(&mut self, install: &Install) {
        let Some(belonging) = self.belonging(install) else { return };
        let result = match install.params.direction {
            Direction::Inbound => self.install_inbound(install, &belonging),
            Direction::Outbound => self.install_outbound(install),
        };
        if let Err(refused) = result {
            self.refuse(install, &belonging, &refused);
        }
    }

    /// A successor carries from now on.
    pub(super) fn move_outbound(&mut self, to: Spi) {
        let Some((id, sealing)) = self.children.get(&to).and_then(|child| child.sealing.clone()) else {
            return;
        };
        self.tables.move_outbound(id);
        let status = self.ike.sa_of(to).and_then(|sa| self.ike.status(sa));
        let Some(status) = status.and_then(|sa| sa.children().find(|child| child.inbound() == to)) else {
            return;
        };
        let (asked, current) = (status.role() == Role::Initiator, status.is_current());
        if current {
            self.stands(to);
        }
        // RFC 7296 §2.8: the responder of a rekey moves on the first packet that comes by the successor.
        if asked && sealing.esp.packets() == 0 {
            self.send_dummy(to, &sealing.esp);
        }
    }

    /// The outer addresses have changed.
    pub(super) fn repath(&mut self, child: Spi, path: tidegate_esp::Path) {
        let Some(known) = self.children.get_mut(&child) else { return };
        known.path = path;
        if let Some(facts) = &mut known.facts {
            let facts = Arc::make_mut(facts);
            (facts.local, facts.remote, facts.encapsulation) = (path.local, path.remote, path.encapsulation);
        }
        if let Some((id, _)) = &known.sealing {
            self.tables.repath(*id, path);
        }
        if let Some(opening) = &known.opening {
            opening.expect_from(path.remote);
        }
        self.limit(child);
    }

    /// One direction is gone, which may be said more than once.
    pub(super) fn remove(&mut self, child: Spi, direction: Direction) {
        let Some(known) = self.children.get_mut(&child) else { return };
        match direction {
            Direction::Inbound => {
                known.opening = None;
                self.tables.remove_inbound(child);
            }
            Direction::Outbound => {
                if let Some((id, _)) = known.sealing.take() {
                    self.tables.remove_outbound(id);
                }
                self.unlimit(child);
                self.claims.release(child);
                self.requests.happened(&mut self.actions, &Item::ChildGone(child));
            }
        }
        if self.children.get(&child).is_some_and(|known| known.opening.is_none() && known.sealing.is_none()) {
            self.forget_child(child);
        }
    }

    /// What the endpoint knows of a child.
    pub(super) fn child_status(&self, child: Spi) -> Option<(SaId, ChildStatus<'_>)> {
        let sa = self.ike.sa_of(child)?;
        let status = self.ike.status(sa)?.children().find(|other| other.inbound() == child)?;
        Some((sa, status))
    }

    fn belonging(&self, install: &Install) -> Option<Belonging> {
        let sa = self.ike.sa_of(install.child)?;
        let status = self.ike.status(sa)?;
        let link = Arc::clone(&status.connection()?.name);
        let loaded = self.links.get(&link)?;
        let (owner, dynamic) = (loaded.owner, loaded.is_dynamic(&install.name));
        let reqid = loaded.wish(&install.name).map_or(0, |wish| wish.reqid);
        Some(Belonging { sa, owner, peer: Arc::new(status.peer()?.clone()), dynamic, reqid, link })
    }

    fn install_inbound(&mut self, install: &Install, of: &Belonging) -> Result<(), Refused> {
        let (child, params) = (install.child, &install.params);
        if let Some(holder) = self.claims.conflict(&of.peer, &params.selectors) {
            return Err(Refused::Taken(holder));
        }
        let esp =
            Inbound::new(self.settings.backend, params).map_err(|KeyLengthError { .. }| Refused::Keys)?;
        let capture = match of.dynamic {
            true => self
                .policy
                .share(&mut self.tables, &mut self.actions, of.owner, &params.selectors)
                .map(Some)
                .map_err(|error| Refused::Tables(InstallError::Selectors(error)))?,
            false => self.policy.fixed_capture(of.owner, &install.name),
        };
        let opening = Arc::new(Opening::new(child, of.owner, esp, params.path.remote));
        self.tables.install_inbound(params.spi, Arc::clone(&opening));
        self.claims.hold(child, Arc::clone(&of.peer), Arc::clone(&params.selectors));
        self.last_child += 1;
        self.children_by_number.insert(self.last_child, child);
        let known = ChildSa {
            number: self.last_child,
            link: Arc::clone(&of.link),
            name: Arc::clone(&install.name),
            reqid: of.reqid,
            owner: of.owner,
            selectors: Arc::clone(&params.selectors),
            path: params.path,
            opening: Some(opening),
            sealing: None,
            capture,
            shares_policy: of.dynamic,
            condemned: false,
            facts: None,
            idle: None,
        };
        self.children.insert(child, known);
        Ok(())
    }

    fn install_outbound(&mut self, install: &Install) -> Result<(), Refused> {
        // Where the inbound half was refused, this one is too.
        let Some(known) = self.children.get(&install.child) else { return Ok(()) };
        let (owner, params) = (known.owner, &install.params);
        let esp = self.outbound(params).map_err(|KeyLengthError { .. }| Refused::Keys)?;
        let sealing = Arc::new(Sealing::new(install.child, esp));
        let id = self
            .tables
            .install_outbound(NewOutbound {
                owner,
                selectors: Arc::clone(&params.selectors),
                sa: Arc::clone(&sealing),
                path: params.path,
                standing: match install.duty {
                    Duty::Active => Standing::Carrying,
                    Duty::Standby => Standing::Waiting,
                },
            })
            .map_err(Refused::Tables)?;
        if let Some(known) = self.children.get_mut(&install.child) {
            known.sealing = Some((id, sealing));
        }
        self.limit(install.child);
        Ok(())
    }

    fn outbound(&mut self, params: &Params) -> Result<Outbound, KeyLengthError> {
        let mut secret = [0; 16];
        self.ike.random().fill(&mut secret);
        Outbound::new(self.settings.backend, params, &IvSecret::new(secret))
    }

    /// Nothing of a child that may not be goes into the tables, and the peer is told that it is over.
    fn refuse(&mut self, install: &Install, of: &Belonging, refused: &Refused) {
        let child = install.child;
        let cause = match refused {
            Refused::Taken(holder) => {
                self.prefix_taken(install, of, *holder);
                Cause::Unexpected("selectors that overlap those of another peer")
            }
            Refused::Tables(InstallError::Full) => Cause::Limit("outbound SAs"),
            Refused::Tables(InstallError::Selectors(_)) => Cause::Limit("pieces of selectors"),
            Refused::Keys => Cause::Unexpected("keys of another length"),
        };
        if !matches!(refused, Refused::Taken(_)) {
            let message = format!("child {} of {} is not taken into use: {cause}", install.name, of.link);
            self.tell(Event::Trouble { area: "engine", message });
        }
        let verdict = Verdict { culprit: Culprit::Peer, cause };
        self.forget_child(child);
        self.refused.insert(child, verdict);
        let _ = self.ike.terminate_child(self.now, child);
    }

    fn prefix_taken(&mut self, install: &Install, of: &Belonging, holder: Spi) {
        let held_by = self.children.get(&holder).map(|child| Arc::clone(&child.link));
        self.tell(Event::PrefixTaken {
            sa: of.sa,
            connection: Arc::clone(&of.link),
            selectors: Arc::clone(&install.params.selectors),
            holder: held_by.unwrap_or_else(|| "".into()),
            child: holder,
        });
    }

    /// Takes a child out of all tables.
    fn forget_child(&mut self, child: Spi) {
        self.claims.release(child);
        let Some(known) = self.children.remove(&child) else { return };
        self.children_by_number.remove(&known.number);
        if known.opening.is_some() {
            self.tables.remove_inbound(child);
        }
        if let Some((id, _)) = known.sealing {
            self.tables.remove_outbound(id);
        }
        self.unlimit(child);
        if known.shares_policy {
            self.policy.unshare(&mut self.tables, &mut self.actions, known.owner, &known.selectors);
        }
        let wish = self.links.get(&known.link).and_then(|link| link.wish(&known.name));
        if known.facts.is_some() || wish.is_some_and(|wish| wish.standing.contains(&child)) {
            let ChildSa { link, name, condemned, facts, .. } = known;
            self.ending.insert(child, Ending { link, name, condemned, facts });
        }
    }

    /// Children that went without a word with their IKE SA, and then the IKE SA.
    pub(super) fn end_the_silent(&mut self) {
        while let Some((child, ending)) = self.ending.pop_first() {
            let verdict = match ending.condemned {
                true => closed_by_us(),
                false => {
                    let cause = Cause::Unexpected("gone with its IKE SA");
                    Verdict { culprit: Culprit::Network, cause }
                }
            };
            self.child_ended(child, ending, verdict, None);
        }
        for facts in std::mem::take(&mut self.closed) {
            self.tell(Event::IkeDown(facts));
        }
    }

    fn send_dummy(&mut self, child: Spi, esp: &Outbound) {
        let Some(path) = self.children.get(&child).map(|child| child.path) else { return };
        // Only what goes in UDP passes by the sockets of IKE.
        if path.encapsulation != Encapsulation::Udp {
            return;
        }
        let mut bytes = vec![0; esp.sealed_len(0)];
        let sealed = esp.reserve(1).ok().and_then(|mut numbers| numbers.seal_dummy(&mut bytes, 0).ok());
        if let Some(length) = sealed {
            bytes.truncate(length);
            let path = Path { local: path.local, remote: path.remote, framing: Framing::Marked };
            self.actions.push_back(Action::Transmit(Transmit { path, bytes }));
        }
    }
}
