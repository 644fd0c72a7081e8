//! INFORMATIONAL: the end of children and of the IKE SA, signs of life, errors (RFC 7296 §1.4).

use super::collide::{Ruling, Theirs, decide};
use super::rekey_child::pass_on;
use super::{Exchange, inform, mobike, rekey_ike};
use crate::connection::ChildStart;
use crate::core::{Core, Effect};
use crate::event::Event;
use crate::output::Output;
use crate::sa::child::Fate;
use crate::sa::established::{Established, Standing, Task};
use crate::sa::timers::Timer;
use crate::sa::{Frame, Role, State, Verified};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{Delete, ExchangeType, Informational, NotifyType};
use std::sync::Arc;
use tidegate_esp::Spi;

/// Asks for a sign of life (RFC 7296 §2.4).
pub(crate) fn begin_liveness(sa: &mut Established, frame: &mut Frame, core: &mut Core) {
    // With MOBIKE the answer also shows whether the NAT still maps us as before (RFC 4555 §3.8).
    let message = match &sa.mobike {
        Some(_) if sa.origin == Role::Initiator => {
            Informational { nat: mobike::nat_detection(sa, frame), ..Informational::default() }
        }
        _ => Informational::default(),
    };
    if inform(sa, frame, core, &message) {
        sa.exchange = Some(Exchange::Liveness);
    }
}

/// Deletes a child, or the peer's half of one that never stood here. The peer may have been faster.
pub(crate) fn begin_delete(sa: &mut Established, frame: &mut Frame, core: &mut Core, spi: Spi) {
    if sa.child(spi).is_none() && !sa.orphans.contains(&spi) {
        return;
    }
    let message = Informational { deletes: vec![Delete::Esp(vec![spi])], ..Informational::default() };
    if inform(sa, frame, core, &message) {
        sa.exchange = Some(Exchange::DeleteChild(spi));
    }
}

/// A request of ours is answered.
pub(crate) fn on_response(
    mut sa: Box<Established>,
    frame: &mut Frame,
    core: &mut Core,
    exchange: Exchange,
    message: &Verified,
    response: &Informational,
) -> State {
    let fatal = response.notifies.iter().find(|notify| notify.kind == NotifyType::INVALID_SYNTAX);
    if let Some(notify) = fatal {
        // RFC 7296 §2.21.3: fatal at both ends.
        return sa.fail(frame, core, Verdict::refused(notify.kind));
    }
    match exchange {
        Exchange::DeleteChild(spi) => child_deleted(&mut sa, frame, core, spi),
        Exchange::Liveness => mobike::on_liveness(&mut sa, frame, response),
        Exchange::Mobike(request) => mobike::on_response(&mut sa, frame, core, request, message, response),
        other => other.abandon(core),
    }
    sa.advance(frame, core)
}

/// The peer agrees that a child is gone. Whether its answer names the other half makes no difference.
fn child_deleted(sa: &mut Established, frame: &mut Frame, core: &mut Core, spi: Spi) {
    match sa.remove_child(spi) {
        Some(child) => {
            child.retire(frame, core);
            if child.fate == Fate::Standing {
                child.closed(frame, core, Verdict::new(Culprit::Us, Cause::ClosedByUs));
            }
        }
        // Nothing ever stood on an orphan. Everything else has been deleted by the peer in the meantime,
        // and its SPI is given back when its stragglers have been seen.
        None => {
            if let Some(position) = sa.orphans.iter().position(|orphan| *orphan == spi) {
                sa.orphans.remove(position);
                core.give_back_spi(spi);
            }
        }
    }
}

/// A request of the peer's.
pub(crate) fn on_request(
    mut sa: Box<Established>,
    frame: &mut Frame,
    core: &mut Core,
    message: &Verified,
    request: &Informational,
) -> State {
    if request.deletes.contains(&Delete::Ike) {
        return closed_by_peer(sa, frame, core);
    }
    let fatal = request
        .notifies
        .iter()
        .map(|notify| notify.kind)
        .find(|&kind| kind == NotifyType::AUTHENTICATION_FAILED || kind == NotifyType::INVALID_SYNTAX);
    if let Some(kind) = fatal {
        // RFC 7296 §2.21.2: these end the IKE SA without a Delete.
        let empty = Informational::default().emit();
        sa.answer(frame, core, ExchangeType::Informational, &empty);
        return sa.fail(frame, core, Verdict::refused(kind));
    }
    let mut answer = Informational::default();
    let gone = delete_children(&mut sa, frame, core, &request.deletes);
    if !gone.is_empty() {
        answer.deletes.push(Delete::Esp(gone));
    }
    if let Some(seconds) = request.lifetime {
        frame.limit_authentication(core.now.time, seconds);
    }
    mobike::on_request(&mut sa, frame, core, message, request, &mut answer);
    sa.answer(frame, core, ExchangeType::Informational, &answer.emit());
    sa.advance(frame, core)
}

/// The peer deletes the IKE SA.
fn closed_by_peer(mut sa: Box<Established>, frame: &mut Frame, core: &mut Core) -> State {
    sa.answer(frame, core, ExchangeType::Informational, &Informational::default().emit());
    // Ours is forgotten in any case. But if the peer has carried out its own rekey and never saw ours, what
    // it made lives on.
    if decide(sa.ours(), Theirs::DeleteIke) == Ruling::AnswerAndForgetOurs
        && let Some(Exchange::RekeyIke(rekeying)) = &sa.exchange
        && let Some(rival) = rekeying.rival()
    {
        rekey_ike::hand_over(&mut sa, frame, core, rival);
    }
    sa.fail(frame, core, Verdict::new(Culprit::Peer, Cause::ClosedByPeer))
}

/// Takes away what the peer deletes; gives our halves of it, for the answer.
fn delete_children(sa: &mut Established, frame: &mut Frame, core: &mut Core, deletes: &[Delete]) -> Vec<Spi> {
    let mut answered = Vec::new();
    for delete in deletes {
        let Delete::Esp(spis) = delete else { continue };
        for &theirs in spis {
            // One, unless the peer has given the same SPI twice; then all of them are gone.
            let ours: Vec<Spi> = sa
                .children
                .iter()
                .filter(|child| child.outbound == theirs)
                .map(|child| child.inbound)
                .collect();
            if ours.is_empty()
                && let Some(exchange) = &mut sa.exchange
            {
                exchange.revoke(theirs);
            }
            for inbound in ours {
                let ruling = decide(sa.ours(), Theirs::DeleteChild(inbound));
                delete_child(sa, frame, core, inbound);
                if ruling != Ruling::AnswerWithoutDelete {
                    answered.push(inbound);
                }
            }
        }
    }
    answered
}

pub(crate) fn delete_child(sa: &mut Established, frame: &mut Frame, core: &mut Core, inbound: Spi) {
    let Some(child) = sa.remove_child(inbound) else { return };
    match child.fate {
        Fate::Superseded(successor) if sa.child(successor).is_some() => {
            core.outputs.push_back(Output::MoveOutbound { from: inbound, to: successor });
            pass_on(sa, core, inbound, successor);
        }
        Fate::Standing => give_back_to_predecessor(sa, frame, core, inbound),
        Fate::Superseded(_) | Fate::Redundant | Fate::Renewed => {}
    }
    child.retire(frame, core);
    if child.fate == Fate::Standing {
        child.closed(frame, core, Verdict::new(Culprit::Peer, Cause::ClosedByPeer));
    }
}

/// The peer takes its own successor back, having seen that ours wins: until our exchange is over, the old
/// child goes on.
fn give_back_to_predecessor(sa: &mut Established, frame: &mut Frame, core: &mut Core, gone: Spi) {
    if let Some(Exchange::RekeyChild(ours)) = &mut sa.exchange
        && ours.rival.as_ref().is_some_and(|rival| rival.made == gone)
    {
        ours.rival = None;
    }
    let old = sa.children.iter_mut().find(|child| child.fate == Fate::Superseded(gone));
    if let Some(old) = old {
        old.fate = Fate::Standing;
        core.outputs.push_back(Output::MoveOutbound { from: gone, to: old.inbound });
        let now = core.now.time;
        frame.timers.set(Timer::RekeyChild(old.inbound), now + old.config.lifetimes.overtime / 2);
        frame.timers.set(Timer::ExpireChild(old.inbound), now + old.config.lifetimes.overtime);
    }
}

/// The peer asks something of the children on an SA that was to be decided upon: with that it has decided.
/// The question is put aside; when it is asked again, the children will be here.
pub(crate) fn settle_if_candidate(sa: &Established, frame: &mut Frame, core: &mut Core) -> bool {
    let Standing::Candidate { of } = sa.standing else { return false };
    core.effects.push_back(Effect::Settle { old: of, winner: frame.id });
    frame.window.cancel_answer();
    true
}

/// Ends a child at both ends. One that should always stand and has only reached a limit is set up anew.
pub(crate) fn close_child(
    sa: &mut Established,
    core: &mut Core,
    frame: &Frame,
    inbound: Spi,
    verdict: Verdict,
) {
    let renewing = matches!(&sa.exchange, Some(Exchange::RekeyChild(rekeying)) if rekeying.old == inbound);
    let limit = matches!(verdict.cause, Cause::Expired | Cause::Exhausted);
    if let Some(child) = sa.child_mut(inbound)
        && child.fate == Fate::Standing
    {
        // From here on it is only waiting for the window; whoever asked has been told.
        child.fate = Fate::Renewed;
        let config = Arc::clone(&child.config);
        let name = Arc::clone(&config.name);
        core.event(Event::ChildClosed { sa: frame.id, child: inbound, name, verdict });
        if limit && !renewing && config.start == ChildStart::WithIke {
            sa.want(Task::CreateChild { config, packet: None });
        }
    }
    sa.want(Task::DeleteChild(inbound));
    // What it has replaced may still be there, and carry.
    if let Some(before) = sa.predecessor_of(inbound) {
        sa.want(Task::DeleteChild(before));
    }
}
