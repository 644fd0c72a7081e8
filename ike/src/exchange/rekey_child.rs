//! New keys for a child (RFC 7296 §2.8, §2.8.1).
//!
//! ```text
//! initiator                                  responder
//! REKEY_SA(old), SA, Ni, … ───────▶
//!                                            installs the new child, sends on the old
//!                          ◀───────         SA, Nr, …
//! installs, sends on the new
//! D(old)                   ───────▶          sends on the new at the latest now
//!                          ◀───────         D(old)
//! ```
//!
//! When both ends do this at once, two successors come to be. The one whose exchange held the lowest of
//! the four nonces goes, deleted by the end that asked for it; the old child is deleted by the other end.

use super::collide::{Ruling, Theirs, decide};
use super::create_child::{self, CreatingChild, Made, Progress, first_group};
use super::{Exchange, Rival, informational};
use crate::core::Core;
use crate::crypto::GroupId;
use crate::event::Event;
use crate::output::{Agreement, Duty, Output};
use crate::sa::child::{Exchanged, Fate, SUPERSEDED_PATIENCE, esp_spi};
use crate::sa::established::{Established, Standing, Task};
use crate::sa::timers::Timer;
use crate::sa::{Frame, Role};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{ChildRequest, ChildResponse, ExchangeType, Notify, NotifyType};
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::Spi;

/// After a refusal that is not for now only, the next attempt waits this long.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A successor that we have asked for.
pub(crate) struct RekeyingChild {
    pub(crate) creating: CreatingChild,
    /// The child to be replaced, by its inbound SPI.
    pub(crate) old: Spi,
    /// What the peer has made in the meantime for the same purpose.
    pub(crate) rival: Option<Rival<Spi>>,
}

/// Begins the exchange.
pub(crate) fn begin(sa: &mut Established, frame: &mut Frame, core: &mut Core, old: Spi) {
    let Some(child) = sa.child(old).filter(|child| child.fate == Fate::Standing) else { return };
    let group = first_group(&child.config);
    try_group(sa, frame, core, old, group, None);
}

fn try_group(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    old: Spi,
    group: Option<GroupId>,
    rival: Option<Rival<Spi>>,
) {
    let Some(config) = sa.child(old).map(|child| Arc::clone(&child.config)) else { return };
    match CreatingChild::send(sa, frame, core, &config, None, group, Some(old)) {
        Ok(creating) => {
            sa.exchange = Some(Exchange::RekeyChild(Box::new(RekeyingChild { creating, old, rival })));
        }
        Err(verdict) => failed(sa, frame, core, old, verdict),
    }
}

/// Tells of the failure, and tries again before the child's time is over.
fn failed(sa: &Established, frame: &mut Frame, core: &mut Core, old: Spi, verdict: Verdict) {
    let name = sa.child(old).map(|child| Arc::clone(&child.config.name));
    core.event(Event::ChildFailed { sa: frame.id, name, verdict });
    let wait = core.jittered(AGAIN_AFTER, AGAIN_AFTER / 2);
    frame.timers.set(Timer::RekeyChild(old), core.now.time + wait);
}

/// The peer has made its half.
pub(crate) fn on_accepted(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    rekeying: Box<RekeyingChild>,
    answer: ChildResponse,
) {
    let RekeyingChild { creating, old, rival } = *rekeying;
    match Box::new(creating).on_answer(frame, core, answer) {
        Progress::Wait(creating) => {
            let rekeying = RekeyingChild { creating: *creating, old, rival };
            sa.exchange = Some(Exchange::RekeyChild(Box::new(rekeying)));
        }
        Progress::Done(made) => finish(sa, frame, core, old, rival.as_ref(), *made, None),
        Progress::Bad { spi, verdict } => {
            failed(sa, frame, core, old, verdict);
            sa.delete_orphan(spi);
        }
    }
}

/// The secret is there.
pub(crate) fn on_agreed(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    rekeying: RekeyingChild,
    agreement: &Agreement,
) {
    let RekeyingChild { creating, old, rival } = rekeying;
    if let Some(made) = creating.agreed() {
        finish(sa, frame, core, old, rival.as_ref(), *made, Some(&agreement.shared));
    }
}

/// Installs the successor, and decides against a rival if there is one.
fn finish(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    old: Spi,
    rival: Option<&Rival<Spi>>,
    made: Made,
    shared: Option<&[u8]>,
) {
    let Made { terms, nonce_i, nonce_r, revoked } = made;
    let exchanged = Exchanged { role: Role::Initiator, nonce_i: &nonce_i, nonce_r: &nonce_r, shared };
    // Our user may have had enough of the child while it was being renewed.
    let unwanted = [Some(old), rival.map(|rival| rival.made)]
        .into_iter()
        .flatten()
        .any(|spi| sa.child(spi).is_some_and(|child| child.fate == Fate::Renewed));
    let mut child = match terms.install(frame, core, &sa.ground(), &exchanged, Duty::Standby) {
        Ok(child) => child,
        Err(verdict) => return failed(sa, frame, core, old, verdict),
    };
    let new = child.inbound;
    match rival {
        Some(rival) if rival.beats(&nonce_i, &nonce_r) => {
            // Traffic stays on the old child: the peer may not have our answer yet, without which it cannot
            // open what we would send on its own.
            frame.timers.clear_child(new);
            child.fate = Fate::Redundant;
            sa.children.push(child);
            sa.want(Task::DeleteChild(new));
        }
        rival => {
            core.outputs.push_back(Output::MoveOutbound { from: old, to: new });
            if let Some(rival) = rival {
                core.outputs.push_back(Output::MoveOutbound { from: rival.made, to: new });
                expect_delete(sa, frame, core, rival.made, Fate::Redundant);
            }
            sa.children.push(child);
            pass_on(sa, core, old, new);
            frame.timers.clear_child(old);
            if let Some(old_child) = sa.child_mut(old) {
                old_child.fate = Fate::Renewed;
                sa.want(Task::DeleteChild(old));
            }
            core.event(Event::ChildRekeyed { sa: frame.id, old, new });
            if unwanted {
                let verdict = Verdict::new(Culprit::Us, Cause::ClosedByUs);
                informational::close_child(sa, core, frame, new, verdict);
            }
        }
    }
    if revoked {
        informational::delete_child(sa, frame, core, new);
    }
}

/// A child goes that the peer had put in the place of another, whose Delete may still be on its way, and
/// traffic on it: that moves on to `heir`.
pub(crate) fn pass_on(sa: &mut Established, core: &mut Core, gone: Spi, heir: Spi) {
    for child in sa.children.iter_mut().filter(|child| child.fate == Fate::Superseded(gone)) {
        child.fate = Fate::Superseded(heir);
        core.outputs.push_back(Output::MoveOutbound { from: child.inbound, to: heir });
    }
}

/// The peer will delete this child. In case it does not, we do.
fn expect_delete(sa: &mut Established, frame: &mut Frame, core: &Core, spi: Spi, fate: Fate) {
    if let Some(child) = sa.child_mut(spi) {
        child.fate = fate;
        frame.timers.clear_child(spi);
        frame.timers.set(Timer::ExpireChild(spi), core.now.time + SUPERSEDED_PATIENCE);
    }
}

/// The peer wants another group.
pub(crate) fn on_other_group(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    rekeying: RekeyingChild,
    wanted: u16,
) {
    let RekeyingChild { creating, old, rival } = rekeying;
    // A rival has done what we wanted.
    let wanted_group = creating.other_group(wanted).filter(|_| rival.is_none());
    match wanted_group {
        Some(group) => try_group(sa, frame, core, old, Some(group), rival),
        None if rival.is_none() => failed(sa, frame, core, old, creating.pfs_refused(Some(wanted))),
        None => {}
    }
    creating.abandon(core);
}

/// The peer makes no successor.
pub(crate) fn on_refused(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    rekeying: RekeyingChild,
    kind: NotifyType,
) {
    let RekeyingChild { creating, old, rival } = rekeying;
    match kind {
        // A rival has done what we wanted.
        _ if rival.is_some() => {}
        NotifyType::TEMPORARY_FAILURE => {
            if may_be_replaced(sa, old) {
                sa.put_off(frame, core, Task::RekeyChild(old));
            }
        }
        // RFC 7296 §2.25: the peer has lost the child; drop it silently and start anew.
        NotifyType::CHILD_SA_NOT_FOUND => {
            if let Some(child) = sa.remove_child(old) {
                child.retire(frame, core);
                if child.fate == Fate::Standing {
                    child.closed(frame, core, Verdict::new(Culprit::Peer, Cause::Refused(kind)));
                    sa.want(Task::CreateChild { config: Arc::clone(&child.config), packet: None });
                }
            }
        }
        // IKE_AUTH carries no key exchange, so this is where a difference over PFS comes to light.
        NotifyType::NO_PROPOSAL_CHOSEN => failed(sa, frame, core, old, creating.pfs_refused(None)),
        _ => failed(sa, frame, core, old, Verdict::refused(kind)),
    }
    creating.abandon(core);
}

/// Whether a child can still be replaced: it stands, and no successor has been chosen.
pub(crate) fn may_be_replaced(sa: &Established, spi: Spi) -> bool {
    sa.child(spi).is_some_and(|child| child.fate == Fate::Standing)
}

/// The peer wants new keys for a child.
pub(crate) fn on_request(sa: &mut Established, frame: &mut Frame, core: &mut Core, request: ChildRequest) {
    let exchange = ExchangeType::CreateChildSa;
    let Some(theirs) = request.rekeys else { return };
    let Some(child) = sa.children.iter().find(|child| child.outbound == theirs) else {
        if sa.exchange.as_ref().is_some_and(Exchange::makes_child) {
            // It may be what the peer's answer, still on its way, is going to tell us of.
            return sa.refuse(frame, core, exchange, NotifyType::TEMPORARY_FAILURE, Vec::new());
        }
        let (protocol, spi) = esp_spi(theirs);
        let kind = NotifyType::CHILD_SA_NOT_FOUND;
        return sa.refuse_with(frame, core, exchange, Notify { protocol, spi, kind, data: Vec::new() });
    };
    let old = child.inbound;
    let config = Arc::clone(&child.config);
    let ruling = decide(sa.ours(), Theirs::RekeyChild(old));
    if ruling == Ruling::TryLater || !may_be_replaced(sa, old) || sa.standing == Standing::Superseded {
        return sa.refuse(frame, core, exchange, NotifyType::TEMPORARY_FAILURE, Vec::new());
    }
    create_child::answer(sa, frame, core, request, &[config], Some(old));
}

/// The peer's request has made a successor. Traffic moves with the first packet that comes in on it, or
/// when the old child is deleted, so nothing is sent that the peer cannot yet open.
pub(crate) fn replaced_by_peer(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    old: Spi,
    new: Spi,
    nonce: Vec<u8>,
) {
    expect_delete(sa, frame, core, old, Fate::Superseded(new));
    if let Some(Exchange::RekeyChild(ours)) = &mut sa.exchange
        && ours.old == old
    {
        ours.rival = Some(Rival { made: new, nonce });
    }
    core.event(Event::ChildRekeyed { sa: frame.id, old, new });
}
