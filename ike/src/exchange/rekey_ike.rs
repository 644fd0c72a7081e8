//! New keys for the IKE SA (RFC 7296 §1.3.2, §2.8.2, §2.18).
//!
//! ```text
//! initiator                           responder
//! SA(new SPI), Ni, KEi  ───────▶
//!                                     makes the successor, moves the children there
//!                       ◀───────     SA(new SPI), Nr, KEr
//! makes it too, moves the children
//! D(IKE) on the old SA  ───────▶
//! ```
//!
//! When both ends do this at once, the children wait on the old SA until both answers are there; the
//! successor whose exchange held the lowest nonce goes.

use super::collide::{Ruling, Theirs, decide};
use super::{Answering, Exchange, Rival};
use crate::SaId;
use crate::core::{Core, Effect};
use crate::crypto::{GroupId, PrivateValue};
use crate::event::Event;
use crate::keys::{IkeKeys, Inputs};
use crate::output::{Agreement, JobId, Task as Arithmetic};
use crate::proposal::{IkeChoice, confirm_ike, ike_offer, select_ike};
use crate::sa::child::SUPERSEDED_PATIENCE;
use crate::sa::crypt::Crypt;
use crate::sa::established::{Agreed, Established, Luggage, Standing, Task};
use crate::sa::timers::Timer;
use crate::sa::{Frame, IkeSa, Role, SpiPair, State};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{
    CreateChildRequest, CreateChildResponse, ExchangeType, IkeSpi, KeyExchange, NotifyType, Proposal,
    RekeyIkeMessage,
};
use std::time::Duration;

/// After a refusal that is not for now only, the next attempt waits this long.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A successor that we have asked for.
pub(crate) struct RekeyingIke {
    spi: IkeSpi,
    offered: Vec<Proposal>,
    nonce: Vec<u8>,
    stage: Stage,
    rival: Option<Rival<SaId>>,
}

enum Stage {
    Offered { group: GroupId, private: Box<dyn PrivateValue> },
    Agreeing { job: JobId, choice: IkeChoice, peer_spi: IkeSpi, nonce_r: Vec<u8> },
}

/// A request of the peer's for a successor, while its secret is being worked out.
pub(crate) struct AnsweringRekey {
    pub(crate) job: JobId,
    choice: IkeChoice,
    peer_spi: IkeSpi,
    nonce_i: Vec<u8>,
}

/// What a successor is made of.
struct Birth<'a> {
    id: SaId,
    role: Role,
    spis: SpiPair,
    choice: &'a IkeChoice,
    nonce_i: &'a [u8],
    nonce_r: &'a [u8],
    shared: &'a [u8],
}

impl RekeyingIke {
    pub(crate) fn job(&self) -> Option<JobId> {
        match &self.stage {
            Stage::Agreeing { job, .. } => Some(*job),
            Stage::Offered { .. } => None,
        }
    }

    /// The successor that the peer has made in the meantime.
    pub(crate) fn rival(&self) -> Option<SaId> {
        self.rival.as_ref().map(|rival| rival.made)
    }
}

/// Begins the exchange, with the group that the SA has.
pub(crate) fn begin(sa: &mut Established, frame: &mut Frame, core: &mut Core) {
    if sa.standing == Standing::Active {
        let group = sa.choice.group;
        try_group(sa, frame, core, group);
    }
}

fn try_group(sa: &mut Established, frame: &mut Frame, core: &mut Core, group: GroupId) {
    let private = match core.generate(group) {
        Ok(private) => private,
        Err(error) => return failed(frame, core, error.into()),
    };
    let spi = core.ike_spi();
    let offered = ike_offer(&sa.connection.proposals, &spi.0.to_be_bytes());
    let nonce = core.nonce();
    let request = CreateChildRequest::RekeyIke(RekeyIkeMessage {
        proposals: offered.clone(),
        nonce: nonce.clone(),
        key_exchange: KeyExchange { group: group.transform_id(), public: private.public().to_vec() },
        notifies: Vec::new(),
    });
    if sa.request(frame, core, ExchangeType::CreateChildSa, &request.emit()) {
        let stage = Stage::Offered { group, private };
        sa.exchange =
            Some(Exchange::RekeyIke(Box::new(RekeyingIke { spi, offered, nonce, stage, rival: None })));
    }
}

/// Tells of the failure, and tries again before the SA's time is over.
fn failed(frame: &mut Frame, core: &mut Core, verdict: Verdict) {
    core.event(Event::Warning { sa: frame.id, verdict });
    let wait = core.jittered(AGAIN_AFTER, AGAIN_AFTER / 2);
    frame.timers.set(Timer::RekeyIke, core.now.time + wait);
}

/// The peer has made its half.
pub(crate) fn on_accepted(
    mut sa: Box<Established>,
    frame: &mut Frame,
    core: &mut Core,
    rekeying: RekeyingIke,
    answer: &RekeyIkeMessage<Proposal>,
) -> State {
    let RekeyingIke { spi, offered, nonce, stage, rival } = rekeying;
    let choice = match confirm_ike(&offered, &answer.proposals) {
        Ok(choice) => choice,
        Err(mismatch) => {
            let verdict = Verdict::new(Culprit::Misbehaviour, Cause::Proposals(Box::new(mismatch)));
            return sa.close(frame, core, verdict);
        }
    };
    let unexpected = |what| Verdict::new(Culprit::Misbehaviour, Cause::Unexpected(what));
    let Some(peer_spi) = successor_spi(&choice.peer_spi) else {
        return sa.close(frame, core, unexpected("SPI of the successor"));
    };
    let Stage::Offered { group, private } = stage else { return sa.advance(frame, core) };
    if choice.group != group || answer.key_exchange.group != group.transform_id() {
        return sa.close(frame, core, unexpected("KE payload of another group"));
    }
    let task = Arithmetic::Finish { private, peer: answer.key_exchange.public.clone() };
    let job = frame.submit(core, task);
    let stage = Stage::Agreeing { job, choice, peer_spi, nonce_r: answer.nonce.clone() };
    sa.exchange = Some(Exchange::RekeyIke(Box::new(RekeyingIke { spi, offered, nonce, stage, rival })));
    sa.advance(frame, core)
}

/// The secret is there: the successor stands, unless a rival beats it.
pub(crate) fn on_agreed(
    mut sa: Box<Established>,
    frame: &mut Frame,
    core: &mut Core,
    rekeying: RekeyingIke,
    agreement: &Agreement,
) -> State {
    let RekeyingIke { spi, nonce, stage, rival, .. } = rekeying;
    let Stage::Agreeing { choice, peer_spi, nonce_r, .. } = stage else { return sa.advance(frame, core) };
    let birth = Birth {
        id: core.ids.take(),
        role: Role::Initiator,
        spis: SpiPair { initiator: spi, responder: peer_spi },
        choice: &choice,
        nonce_i: &nonce,
        nonce_r: &nonce_r,
        shared: &agreement.shared,
    };
    let new = birth.id;
    if let Err(verdict) = spawn(&sa, frame, core, &birth) {
        return sa.close(frame, core, verdict);
    }
    match rival {
        // A peer that already goes on with its own has decided.
        Some(rival) if rival.beats(&nonce, &nonce_r) || sa.standing == Standing::Superseded => {
            core.effects.push_back(Effect::Close(new, Verdict::new(Culprit::Us, Cause::Replaced)));
            hand_over(&mut sa, frame, core, rival.made);
            sa.advance(frame, core)
        }
        _ => {
            hand_over(&mut sa, frame, core, new);
            sa.close(frame, core, Verdict::new(Culprit::Us, Cause::Replaced))
        }
    }
}

/// The peer wants another group.
pub(crate) fn on_other_group(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    rekeying: RekeyingIke,
    wanted: u16,
) {
    if let Some(rival) = rekeying.rival {
        return hand_over(sa, frame, core, rival.made);
    }
    let ours = GroupId::from_transform(wanted).filter(|group| {
        sa.connection.proposals.iter().any(|proposal| proposal.groups.contains(group))
            && !matches!(&rekeying.stage, Stage::Offered { group: tried, .. } if tried == group)
    });
    match ours {
        Some(group) => try_group(sa, frame, core, group),
        None => failed(frame, core, Verdict::refused(NotifyType::INVALID_KE_PAYLOAD)),
    }
}

/// The peer makes no successor.
pub(crate) fn on_refused(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    rekeying: RekeyingIke,
    kind: NotifyType,
) {
    match (rekeying.rival, kind) {
        (Some(rival), _) => hand_over(sa, frame, core, rival.made),
        (None, NotifyType::TEMPORARY_FAILURE) => sa.put_off(frame, core, Task::RekeyIke),
        (None, _) => failed(frame, core, Verdict::refused(kind)),
    }
}

/// The peer wants new keys for the IKE SA.
pub(crate) fn on_request(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    request: &RekeyIkeMessage<Vec<Proposal>>,
) {
    let exchange = ExchangeType::CreateChildSa;
    if decide(sa.ours(), Theirs::RekeyIke) == Ruling::TryLater || sa.standing != Standing::Active {
        return sa.refuse(frame, core, exchange, NotifyType::TEMPORARY_FAILURE, Vec::new());
    }
    let theirs = &request.key_exchange;
    let preferred = GroupId::from_transform(theirs.group);
    let choice = match select_ike(&sa.connection.proposals, &request.proposals, preferred) {
        Ok(choice) => choice,
        Err(mismatch) => {
            let verdict = Verdict::new(Culprit::Mismatch, Cause::Proposals(Box::new(mismatch)));
            core.event(Event::Warning { sa: frame.id, verdict });
            return sa.refuse(frame, core, exchange, NotifyType::NO_PROPOSAL_CHOSEN, Vec::new());
        }
    };
    if choice.group.transform_id() != theirs.group {
        let wanted = choice.group.transform_id().to_be_bytes().to_vec();
        return sa.refuse(frame, core, exchange, NotifyType::INVALID_KE_PAYLOAD, wanted);
    }
    let Some(peer_spi) = successor_spi(&choice.peer_spi) else {
        return sa.refuse(frame, core, exchange, NotifyType::NO_PROPOSAL_CHOSEN, Vec::new());
    };
    let task =
        Arithmetic::Respond { provider: core.provider, group: choice.group, peer: theirs.public.clone() };
    let job = frame.submit(core, task);
    let nonce_i = request.nonce.clone();
    sa.answering = Some(Answering::RekeyIke(Box::new(AnsweringRekey { job, choice, peer_spi, nonce_i })));
}

/// The secret for the peer's request is there.
pub(crate) fn answer_agreed(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    answering: AnsweringRekey,
    agreement: &Agreement,
) {
    let exchange = ExchangeType::CreateChildSa;
    let AnsweringRekey { choice, peer_spi, nonce_i, .. } = answering;
    if sa.standing != Standing::Active {
        return sa.refuse(frame, core, exchange, NotifyType::TEMPORARY_FAILURE, Vec::new());
    }
    let spi = core.ike_spi();
    let nonce_r = core.nonce();
    let birth = Birth {
        id: core.ids.take(),
        role: Role::Responder,
        spis: SpiPair { initiator: peer_spi, responder: spi },
        choice: &choice,
        nonce_i: &nonce_i,
        nonce_r: &nonce_r,
        shared: &agreement.shared,
    };
    let new = birth.id;
    if spawn(sa, frame, core, &birth).is_err() {
        return sa.refuse(frame, core, exchange, NotifyType::NO_PROPOSAL_CHOSEN, Vec::new());
    }
    let response = CreateChildResponse::RekeyIke(RekeyIkeMessage {
        proposals: choice.to_wire(&spi.0.to_be_bytes()),
        nonce: nonce_r.clone(),
        key_exchange: KeyExchange { group: choice.group.transform_id(), public: agreement.public.clone() },
        notifies: Vec::new(),
    });
    sa.answer(frame, core, exchange, &response.emit());
    match &mut sa.exchange {
        Some(Exchange::RekeyIke(ours)) => {
            ours.rival = Some(Rival { made: new, nonce: nonce_i.min(nonce_r) });
        }
        _ => hand_over(sa, frame, core, new),
    }
}

/// The SPI of a successor, as its proposal carries it.
fn successor_spi(bytes: &[u8]) -> Option<IkeSpi> {
    let value = u64::from_be_bytes(bytes.try_into().ok()?);
    (value != 0).then_some(IkeSpi(value))
}

/// Gives all that the old SA holds to its successor, and waits for the end that is to delete the old one.
pub(crate) fn hand_over(sa: &mut Established, frame: &mut Frame, core: &mut Core, to: SaId) {
    if sa.standing == Standing::Superseded {
        return;
    }
    let luggage = Luggage::pack(sa, frame);
    // At once: the old SA releases what it holds when it closes, which may be in this very step.
    core.pools.hand_over(frame.id, to);
    core.effects.push_back(Effect::Adopt { from: frame.id, to, luggage: Box::new(luggage) });
    sa.standing = Standing::Superseded;
    frame.timers.clear(Timer::RekeyIke);
    frame.timers.set(Timer::ExpireIke, core.now.time + SUPERSEDED_PATIENCE);
}

/// Makes the successor, without children as yet.
fn spawn(sa: &Established, frame: &Frame, core: &mut Core, birth: &Birth<'_>) -> Result<(), Verdict> {
    let lacks = || Verdict::new(Culprit::Us, Cause::Exhausted);
    let old_prf = sa.crypt.prf(core.provider)?;
    let prf = core.provider.prf(birth.choice.prf).ok_or_else(lacks)?;
    let keys = IkeKeys::derive_rekeyed(
        old_prf,
        sa.crypt.sk_d(),
        prf,
        birth.choice.suite,
        &Inputs {
            shared: birth.shared,
            nonce_i: birth.nonce_i,
            nonce_r: birth.nonce_r,
            spi_i: birth.spis.initiator,
            spi_r: birth.spis.responder,
        },
    )
    .map_err(|_| lacks())?;
    let mut new_frame = Frame::new(core, birth.id, birth.role, birth.spis, frame.path);
    new_frame.timers.set(Timer::ExpireIke, core.now.time + SUPERSEDED_PATIENCE);
    let crypt = Crypt::new(core.provider, birth.choice.suite, birth.choice.prf, keys, birth.role);
    core.disclose(birth.spis, &crypt);
    let established = sa.successor(crypt, Agreed::from(birth.choice), frame.id, core.now.time);
    core.effects.push_back(Effect::Spawn(Box::new(IkeSa {
        frame: new_frame,
        state: State::Established(Box::new(established)),
    })));
    Ok(())
}
