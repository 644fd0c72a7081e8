//! CREATE_CHILD_SA for a child, both ends (RFC 7296 §1.3.1).
//!
//! ```text
//! initiator                              responder
//! SA, Ni, [KEi], TSi, TSr   ───────▶
//!                                        picks proposal and selectors, agrees, installs
//!                           ◀───────    SA, Nr, [KEr], TSi, TSr
//! agrees, installs
//! ```
//!
//! A rekey is the same with REKEY_SA in the request; what it adds is in [`super::rekey_child`].

use super::collide::{Ruling, Theirs, decide};
use super::{Answering, Exchange, informational, rekey_child};
use crate::connection::ChildConfig;
use crate::core::Core;
use crate::crypto::{GroupId, PrivateValue};
use crate::event::Event;
use crate::output::{Agreement, Duty, JobId, Task as Arithmetic};
use crate::sa::child::{Exchanged, PendingChild, Terms};
use crate::sa::established::{Established, MAX_CHILDREN, Standing, Task};
use crate::sa::{Frame, Role};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{
    ChildRequest, ChildResponse, CreateChildRequest, CreateChildResponse, ExchangeType, KeyExchange,
    NotifyType,
};
use std::sync::Arc;
use tidegate_esp::{Spi, TrafficSelector};

/// A child that we have asked for in CREATE_CHILD_SA.
pub(crate) struct CreatingChild {
    pub(crate) pending: PendingChild,
    packet: Option<(TrafficSelector, TrafficSelector)>,
    nonce: Vec<u8>,
    stage: Stage,
    /// What the peer has deleted in the meantime and we do not know: perhaps its half of this very child.
    revoked: Vec<Spi>,
}

/// No honest peer deletes more children that we have not seen yet.
const MAX_REVOKED: usize = 4;

enum Stage {
    /// Without PFS there is nothing to agree on.
    Plain,
    /// Our public value is out.
    Offered { group: GroupId, private: Box<dyn PrivateValue> },
    /// The peer's is there and the secret is being worked out.
    Agreeing { job: JobId, terms: Box<Terms>, nonce_r: Vec<u8> },
}

/// A request of the peer's for a child, while its secret is being worked out.
pub(crate) struct AnsweringChild {
    pub(crate) job: JobId,
    pub(crate) terms: Terms,
    nonce_i: Vec<u8>,
    group: GroupId,
    /// The child to be replaced, by its inbound SPI.
    rekeys: Option<Spi>,
}

/// How far an answer has brought us.
pub(crate) enum Progress {
    /// Arithmetic comes first.
    Wait(Box<CreatingChild>),
    /// All is there.
    Done(Box<Made>),
    /// The answer cannot be used; the peer's half has to go again.
    Bad { spi: Spi, verdict: Verdict },
}

/// An answer that can be used, and all that the child is made of but its secret.
pub(crate) struct Made {
    pub(crate) terms: Terms,
    pub(crate) nonce_i: Vec<u8>,
    pub(crate) nonce_r: Vec<u8>,
    /// The peer has deleted its half already.
    pub(crate) revoked: bool,
}

impl CreatingChild {
    /// Sends the request.
    pub(crate) fn send(
        sa: &mut Established,
        frame: &mut Frame,
        core: &mut Core,
        config: &Arc<ChildConfig>,
        packet: Option<(TrafficSelector, TrafficSelector)>,
        group: Option<GroupId>,
        rekeys: Option<Spi>,
    ) -> Result<Self, Verdict> {
        let ends = sa.ends(frame);
        let mut pending = PendingChild::new(core, config, &ends, packet.as_ref(), true)?;
        // RFC 7296 §2.9.2: a successor is never asked to be less than what is in use.
        if let Some(old) = rekeys.and_then(|spi| sa.child(spi)) {
            pending.keep_what_is_in_use(&old.selectors);
        }
        let stage = match group {
            None => Stage::Plain,
            Some(group) => match core.generate(group) {
                Ok(private) => Stage::Offered { group, private },
                Err(error) => {
                    pending.abandon(core);
                    return Err(error.into());
                }
            },
        };
        let nonce = core.nonce();
        let request = CreateChildRequest::Child(ChildRequest {
            offer: pending.offer(),
            nonce: nonce.clone(),
            key_exchange: stage.key_exchange(),
            rekeys,
            notifies: Vec::new(),
        });
        if !sa.request(frame, core, ExchangeType::CreateChildSa, &request.emit()) {
            pending.abandon(core);
            return Err(Verdict::new(Culprit::Us, Cause::Exhausted));
        }
        Ok(Self { pending, packet, nonce, stage, revoked: Vec::new() })
    }

    /// The peer deletes a child that we do not know. Its answer to us may have been overtaken, so this may
    /// be what it has just made.
    pub(crate) fn revoke(&mut self, theirs: Spi) {
        if self.revoked.len() < MAX_REVOKED {
            self.revoked.push(theirs);
        }
    }

    fn made(self, terms: Terms, nonce_r: Vec<u8>) -> Box<Made> {
        let revoked = self.revoked.contains(&terms.choice.peer_spi);
        Box::new(Made { terms, nonce_i: self.nonce, nonce_r, revoked })
    }

    pub(crate) fn job(&self) -> Option<JobId> {
        match &self.stage {
            Stage::Agreeing { job, .. } => Some(*job),
            _ => None,
        }
    }

    pub(crate) fn abandon(self, core: &mut Core) {
        self.pending.abandon(core);
    }

    /// The peer has made its half.
    pub(crate) fn on_answer(
        mut self: Box<Self>,
        frame: &mut Frame,
        core: &mut Core,
        answer: ChildResponse,
    ) -> Progress {
        let spi = self.pending.spi;
        let bad = |verdict| Progress::Bad { spi, verdict };
        let terms = match self.pending.accept(&answer.child) {
            Ok(terms) => terms,
            Err(verdict) => return bad(verdict),
        };
        let misbehaved = |what| bad(Verdict::new(Culprit::Misbehaviour, Cause::Unexpected(what)));
        let stage = std::mem::replace(&mut self.stage, Stage::Plain);
        match (terms.choice.group, stage) {
            (None, _) => Progress::Done(self.made(terms, answer.nonce)),
            (Some(chosen), Stage::Offered { group, private }) if chosen == group => {
                let Some(theirs) = answer.key_exchange else { return misbehaved("no KE payload") };
                if theirs.group != group.transform_id() {
                    return misbehaved("KE payload of another group");
                }
                let job = frame.submit(core, Arithmetic::Finish { private, peer: theirs.public });
                self.stage = Stage::Agreeing { job, terms: Box::new(terms), nonce_r: answer.nonce };
                Progress::Wait(self)
            }
            (Some(_), _) => misbehaved("group that we did not send a value for"),
        }
    }

    /// The secret is there.
    pub(crate) fn agreed(mut self) -> Option<Box<Made>> {
        match std::mem::replace(&mut self.stage, Stage::Plain) {
            Stage::Agreeing { terms, nonce_r, .. } => Some(self.made(*terms, nonce_r)),
            _ => None,
        }
    }

    /// The group to try after the peer has asked for another; `None` when we do not have it, or have just
    /// tried it.
    pub(crate) fn other_group(&self, wanted: u16) -> Option<GroupId> {
        let wanted = GroupId::from_transform(wanted)?;
        let tried = matches!(&self.stage, Stage::Offered { group, .. } if *group == wanted);
        let ours = self.pending.config.proposals.iter().any(|proposal| proposal.groups.contains(&wanted));
        (ours && !tried).then_some(wanted)
    }

    /// What to say when the two ends cannot agree on PFS.
    pub(crate) fn pfs_refused(&self, wanted: Option<u16>) -> Verdict {
        let ours = groups(&self.pending.config);
        Verdict::new(Culprit::Mismatch, Cause::PfsRefused { ours, wanted })
    }
}

impl Stage {
    fn key_exchange(&self) -> Option<KeyExchange> {
        match self {
            Self::Offered { group, private } => {
                Some(KeyExchange { group: group.transform_id(), public: private.public().to_vec() })
            }
            _ => None,
        }
    }
}

/// The group that a request begins with: the first that the configuration names.
pub(crate) fn first_group(config: &ChildConfig) -> Option<GroupId> {
    config.proposals.iter().find_map(|proposal| proposal.groups.first().copied())
}

fn groups(config: &ChildConfig) -> Vec<GroupId> {
    let mut groups: Vec<_> = config.proposals.iter().flat_map(|proposal| proposal.groups.clone()).collect();
    groups.dedup();
    groups
}

/// Begins the exchange.
pub(crate) fn begin(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    config: &Arc<ChildConfig>,
    packet: Option<(TrafficSelector, TrafficSelector)>,
) {
    try_group(sa, frame, core, config, packet, first_group(config));
}

fn try_group(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    config: &Arc<ChildConfig>,
    packet: Option<(TrafficSelector, TrafficSelector)>,
    group: Option<GroupId>,
) {
    match CreatingChild::send(sa, frame, core, config, packet, group, None) {
        Ok(creating) => sa.exchange = Some(Exchange::CreateChild(Box::new(creating))),
        Err(verdict) => failed(frame, core, config, verdict),
    }
}

fn failed(frame: &Frame, core: &mut Core, config: &ChildConfig, verdict: Verdict) {
    core.event(Event::ChildFailed { sa: frame.id, name: Some(Arc::clone(&config.name)), verdict });
}

/// The peer has made its half.
pub(crate) fn on_accepted(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    creating: Box<CreatingChild>,
    answer: ChildResponse,
) {
    let config = Arc::clone(&creating.pending.config);
    match creating.on_answer(frame, core, answer) {
        Progress::Wait(creating) => sa.exchange = Some(Exchange::CreateChild(creating)),
        Progress::Done(made) => finish(sa, frame, core, *made, None),
        Progress::Bad { spi, verdict } => {
            failed(frame, core, &config, verdict);
            sa.delete_orphan(spi);
        }
    }
}

/// The secret is there.
pub(crate) fn on_agreed(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    creating: CreatingChild,
    agreement: &Agreement,
) {
    if let Some(made) = creating.agreed() {
        finish(sa, frame, core, *made, Some(&agreement.shared));
    }
}

fn finish(sa: &mut Established, frame: &mut Frame, core: &mut Core, made: Made, shared: Option<&[u8]>) {
    let Made { terms, nonce_i, nonce_r, revoked } = made;
    let exchanged = Exchanged { role: Role::Initiator, nonce_i: &nonce_i, nonce_r: &nonce_r, shared };
    let config = Arc::clone(&terms.config);
    match terms.install(frame, core, &sa.ground(), &exchanged, Duty::Active) {
        Ok(child) => {
            let inbound = child.inbound;
            child.established(frame, core);
            sa.children.push(child);
            if revoked {
                informational::delete_child(sa, frame, core, inbound);
            }
        }
        Err(verdict) => failed(frame, core, &config, verdict),
    }
}

/// The peer wants another group.
pub(crate) fn on_other_group(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    creating: CreatingChild,
    wanted: u16,
) {
    let config = Arc::clone(&creating.pending.config);
    match creating.other_group(wanted) {
        Some(group) => {
            let packet = creating.packet;
            creating.abandon(core);
            try_group(sa, frame, core, &config, packet, Some(group));
        }
        None => {
            failed(frame, core, &config, creating.pfs_refused(Some(wanted)));
            creating.abandon(core);
        }
    }
}

/// The peer makes no child.
pub(crate) fn on_refused(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    creating: CreatingChild,
    kind: NotifyType,
) {
    let config = Arc::clone(&creating.pending.config);
    let packet = creating.packet;
    if kind == NotifyType::TEMPORARY_FAILURE {
        sa.put_off(frame, core, Task::CreateChild { config, packet });
    } else {
        failed(frame, core, &config, Verdict::refused(kind));
    }
    creating.abandon(core);
}

/// The peer wants a new child.
pub(crate) fn on_request(sa: &mut Established, frame: &mut Frame, core: &mut Core, request: ChildRequest) {
    let ruling = decide(sa.ours(), Theirs::CreateChild);
    if ruling == Ruling::TryLater || sa.standing == Standing::Superseded {
        return sa.refuse(
            frame,
            core,
            ExchangeType::CreateChildSa,
            NotifyType::TEMPORARY_FAILURE,
            Vec::new(),
        );
    }
    let candidates = sa.connection.children.clone();
    answer(sa, frame, core, request, &candidates, None);
}

/// Answers a request for a child, after arithmetic if need be. `rekeys` names the child to be replaced by
/// its inbound SPI.
pub(crate) fn answer(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    request: ChildRequest,
    candidates: &[Arc<ChildConfig>],
    rekeys: Option<Spi>,
) {
    let exchange = ExchangeType::CreateChildSa;
    // A successor takes the place of a child, so for a while there are two.
    let most = if rekeys.is_some() { 2 * MAX_CHILDREN } else { MAX_CHILDREN };
    if sa.children.len() >= most {
        return sa.refuse(frame, core, exchange, NotifyType::NO_ADDITIONAL_SAS, Vec::new());
    }
    let in_use = rekeys.and_then(|spi| sa.child(spi)).map(|child| Arc::clone(&child.selectors));
    let ends = sa.ends(frame);
    let terms = match Terms::answer(core, candidates, &request.offer, &ends, true, in_use.as_deref()) {
        Ok(terms) => terms,
        Err(refusal) => {
            let name = rekeys.and_then(|_| candidates.first()).map(|config| Arc::clone(&config.name));
            core.event(Event::ChildFailed { sa: frame.id, name, verdict: refusal.verdict });
            return sa.refuse(frame, core, exchange, refusal.notify, refusal.data);
        }
    };
    match (terms.choice.group, request.key_exchange) {
        (None, _) => make(sa, frame, core, terms, &request.nonce, rekeys, None),
        (Some(group), Some(theirs)) if theirs.group == group.transform_id() => {
            let task = Arithmetic::Respond { provider: core.provider, group, peer: theirs.public };
            let job = frame.submit(core, task);
            sa.answering = Some(Answering::Child(Box::new(AnsweringChild {
                job,
                terms,
                nonce_i: request.nonce,
                group,
                rekeys,
            })));
        }
        (Some(group), _) => {
            terms.abandon(core);
            let wanted = group.transform_id().to_be_bytes().to_vec();
            sa.refuse(frame, core, exchange, NotifyType::INVALID_KE_PAYLOAD, wanted);
        }
    }
}

/// The secret for the peer's request is there.
pub(crate) fn answer_agreed(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    answering: AnsweringChild,
    agreement: &Agreement,
) {
    let AnsweringChild { terms, nonce_i, group, rekeys, .. } = answering;
    make(sa, frame, core, terms, &nonce_i, rekeys, Some((group, agreement)));
}

/// Makes the child and says so.
fn make(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    terms: Terms,
    nonce_i: &[u8],
    rekeys: Option<Spi>,
    agreement: Option<(GroupId, &Agreement)>,
) {
    let exchange = ExchangeType::CreateChildSa;
    // While the secret was worked out, a rekey of our own may have come to its end: then ours stands, and
    // the peer learns that what it wants to replace is about to go.
    if rekeys.is_some_and(|old| !rekey_child::may_be_replaced(sa, old)) {
        terms.abandon(core);
        return sa.refuse(frame, core, exchange, NotifyType::TEMPORARY_FAILURE, Vec::new());
    }
    let nonce_r = core.nonce();
    let accepted = terms.accepted();
    let exchanged = Exchanged {
        role: Role::Responder,
        nonce_i,
        nonce_r: &nonce_r,
        shared: agreement.map(|(_, agreement)| agreement.shared.as_slice()),
    };
    let duty = if rekeys.is_some() { Duty::Standby } else { Duty::Active };
    let child = match terms.install(frame, core, &sa.ground(), &exchanged, duty) {
        Ok(child) => child,
        Err(verdict) => {
            core.event(Event::ChildFailed { sa: frame.id, name: None, verdict });
            return sa.refuse(frame, core, exchange, NotifyType::NO_ADDITIONAL_SAS, Vec::new());
        }
    };
    let response = CreateChildResponse::Child(ChildResponse {
        child: accepted,
        nonce: nonce_r.clone(),
        key_exchange: agreement.map(|(group, agreement)| KeyExchange {
            group: group.transform_id(),
            public: agreement.public.clone(),
        }),
        notifies: Vec::new(),
    });
    sa.answer(frame, core, exchange, &response.emit());
    let new = child.inbound;
    match rekeys {
        None => child.established(frame, core),
        Some(old) => {
            let nonce = nonce_i.min(nonce_r.as_slice()).to_vec();
            rekey_child::replaced_by_peer(sa, frame, core, old, new, nonce);
        }
    }
    sa.children.push(child);
}
