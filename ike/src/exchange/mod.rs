//! The exchanges of an established IKE SA, one file each; what happens when two cross is in [`collide`].

pub(crate) mod collide;
pub(crate) mod create_child;
pub(crate) mod informational;
pub(crate) mod mobike;
pub(crate) mod rekey_child;
pub(crate) mod rekey_ike;

use crate::core::Core;
use crate::output::{Agreement, JobDone, JobId, TaskResult};
use crate::sa::established::{Established, Task};
use crate::sa::{Frame, State};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{CreateChildResponse, ExchangeType, Informational};
use collide::Ours;
use create_child::{AnsweringChild, CreatingChild};
use mobike::MobikeRequest;
use rekey_child::RekeyingChild;
use rekey_ike::{AnsweringRekey, RekeyingIke};
use tidegate_esp::Spi;

/// An exchange that we began.
pub(crate) enum Exchange {
    CreateChild(Box<CreatingChild>),
    RekeyChild(Box<RekeyingChild>),
    RekeyIke(Box<RekeyingIke>),
    DeleteChild(Spi),
    Liveness,
    Mobike(MobikeRequest),
}

/// A request of the peer's that waits for arithmetic.
pub(crate) enum Answering {
    Child(Box<AnsweringChild>),
    RekeyIke(Box<AnsweringRekey>),
}

/// A simultaneous rekey: what the peer's exchange has made (RFC 7296 §2.8.1, §2.8.2).
pub(crate) struct Rival<T> {
    /// What it made.
    pub(crate) made: T,
    /// The lower of its two nonces.
    pub(crate) nonce: Vec<u8>,
}

impl Exchange {
    /// The exchange type of its messages.
    pub(crate) fn kind(&self) -> ExchangeType {
        match self {
            Self::CreateChild(_) | Self::RekeyChild(_) | Self::RekeyIke(_) => ExchangeType::CreateChildSa,
            Self::DeleteChild(_) | Self::Liveness | Self::Mobike(_) => ExchangeType::Informational,
        }
    }

    /// The job that it waits for.
    pub(crate) fn job(&self) -> Option<JobId> {
        match self {
            Self::CreateChild(creating) => creating.job(),
            Self::RekeyChild(rekeying) => rekeying.creating.job(),
            Self::RekeyIke(rekeying) => rekeying.job(),
            Self::DeleteChild(_) | Self::Liveness | Self::Mobike(_) => None,
        }
    }

    /// What it means to a request of the peer's that crosses it.
    pub(crate) fn as_ours(&self) -> Ours {
        match self {
            Self::CreateChild(_) => Ours::CreateChild,
            Self::RekeyChild(rekeying) => Ours::RekeyChild(rekeying.old),
            Self::RekeyIke(_) => Ours::RekeyIke,
            Self::DeleteChild(spi) => Ours::DeleteChild(*spi),
            Self::Liveness | Self::Mobike(_) => Ours::Nothing,
        }
    }

    /// Whether its answer may bring a child that the peer has and we do not know yet.
    pub(crate) fn makes_child(&self) -> bool {
        matches!(self, Self::CreateChild(_) | Self::RekeyChild(_))
    }

    /// The peer deletes a child that we do not know (yet).
    pub(crate) fn revoke(&mut self, theirs: Spi) {
        match self {
            Self::CreateChild(creating) => creating.revoke(theirs),
            Self::RekeyChild(rekeying) => rekeying.creating.revoke(theirs),
            _ => {}
        }
    }

    /// Gives back what it has reserved.
    pub(crate) fn abandon(self, core: &mut Core) {
        match self {
            Self::CreateChild(creating) => creating.abandon(core),
            Self::RekeyChild(rekeying) => rekeying.creating.abandon(core),
            Self::RekeyIke(_) | Self::DeleteChild(_) | Self::Liveness | Self::Mobike(_) => {}
        }
    }
}

impl Answering {
    pub(crate) fn job(&self) -> JobId {
        match self {
            Self::Child(answering) => answering.job,
            Self::RekeyIke(answering) => answering.job,
        }
    }

    /// Gives back what it has reserved.
    pub(crate) fn abandon(self, core: &mut Core) {
        if let Self::Child(answering) = self {
            answering.terms.abandon(core);
        }
    }
}

impl<T> Rival<T> {
    /// Whether what these two nonces made is the one to go: it is, if they hold the lowest of all four
    /// (RFC 7296 §2.8.1).
    pub(crate) fn beats(&self, nonce_i: &[u8], nonce_r: &[u8]) -> bool {
        nonce_i.min(nonce_r) < self.nonce.as_slice()
    }
}

impl Established {
    /// What of ours is under way.
    pub(crate) fn ours(&self) -> Ours {
        self.exchange.as_ref().map_or(Ours::Nothing, Exchange::as_ours)
    }
}

/// Begins a piece of work. The window is free.
pub(crate) fn begin(sa: &mut Established, frame: &mut Frame, core: &mut Core, task: Task) {
    match task {
        Task::CreateChild { config, packet } => create_child::begin(sa, frame, core, &config, packet),
        Task::RekeyChild(spi) => rekey_child::begin(sa, frame, core, spi),
        Task::DeleteChild(spi) => informational::begin_delete(sa, frame, core, spi),
        Task::RekeyIke => rekey_ike::begin(sa, frame, core),
        Task::Liveness => informational::begin_liveness(sa, frame, core),
        Task::UpdateAddresses | Task::AnnounceAddresses | Task::CheckRoute => {
            mobike::begin(sa, frame, core, &task);
        }
        Task::DeleteIke(_) => {}
    }
}

/// A CREATE_CHILD_SA of ours is answered.
pub(crate) fn on_create_response(
    mut sa: Box<Established>,
    frame: &mut Frame,
    core: &mut Core,
    exchange: Exchange,
    response: CreateChildResponse,
) -> State {
    match (exchange, response) {
        (Exchange::CreateChild(creating), CreateChildResponse::Child(answer)) => {
            create_child::on_accepted(&mut sa, frame, core, creating, answer);
        }
        (Exchange::CreateChild(creating), CreateChildResponse::InvalidKe(group)) => {
            create_child::on_other_group(&mut sa, frame, core, *creating, group);
        }
        (Exchange::CreateChild(creating), CreateChildResponse::Failed(notify)) => {
            create_child::on_refused(&mut sa, frame, core, *creating, notify.kind);
        }
        (Exchange::RekeyChild(rekeying), CreateChildResponse::Child(answer)) => {
            rekey_child::on_accepted(&mut sa, frame, core, rekeying, answer);
        }
        (Exchange::RekeyChild(rekeying), CreateChildResponse::InvalidKe(group)) => {
            rekey_child::on_other_group(&mut sa, frame, core, *rekeying, group);
        }
        (Exchange::RekeyChild(rekeying), CreateChildResponse::Failed(notify)) => {
            rekey_child::on_refused(&mut sa, frame, core, *rekeying, notify.kind);
        }
        (Exchange::RekeyIke(rekeying), CreateChildResponse::RekeyIke(answer)) => {
            return rekey_ike::on_accepted(sa, frame, core, *rekeying, &answer);
        }
        (Exchange::RekeyIke(rekeying), CreateChildResponse::InvalidKe(group)) => {
            rekey_ike::on_other_group(&mut sa, frame, core, *rekeying, group);
        }
        (Exchange::RekeyIke(rekeying), CreateChildResponse::Failed(notify)) => {
            rekey_ike::on_refused(&mut sa, frame, core, *rekeying, notify.kind);
        }
        (exchange, _) => {
            exchange.abandon(core);
            let verdict =
                Verdict::new(Culprit::Misbehaviour, Cause::Unexpected("answer of another exchange"));
            return sa.fail(frame, core, verdict);
        }
    }
    sa.advance(frame, core)
}

/// The shared secret for an exchange of ours is there, or is not.
pub(crate) fn on_exchange_job(
    mut sa: Box<Established>,
    frame: &mut Frame,
    core: &mut Core,
    done: JobDone,
) -> State {
    let Some(exchange) = sa.exchange.take() else { return sa.advance(frame, core) };
    let agreement = match done.result {
        TaskResult::Agreed(Ok(agreement)) => agreement,
        TaskResult::Agreed(Err(error)) => {
            // The peer has set up its end with a value that makes no secret: its state is not ours.
            exchange.abandon(core);
            return sa.close(frame, core, error.into());
        }
        TaskResult::Signed(_) | TaskResult::Verified(_) => {
            exchange.abandon(core);
            return sa.advance(frame, core);
        }
    };
    match exchange {
        Exchange::CreateChild(creating) => {
            create_child::on_agreed(&mut sa, frame, core, *creating, &agreement);
        }
        Exchange::RekeyChild(rekeying) => {
            rekey_child::on_agreed(&mut sa, frame, core, *rekeying, &agreement);
        }
        Exchange::RekeyIke(rekeying) => {
            return rekey_ike::on_agreed(sa, frame, core, *rekeying, &agreement);
        }
        other => sa.exchange = Some(other),
    }
    sa.advance(frame, core)
}

/// The shared secret for a request of the peer's is there, or is not.
pub(crate) fn on_answer_job(sa: &mut Established, frame: &mut Frame, core: &mut Core, done: JobDone) {
    let Some(answering) = sa.answering.take() else { return };
    let agreement: Option<Agreement> = match done.result {
        TaskResult::Agreed(result) => result.ok(),
        TaskResult::Signed(_) | TaskResult::Verified(_) => None,
    };
    match (answering, agreement) {
        (Answering::Child(answering), Some(agreement)) => {
            create_child::answer_agreed(sa, frame, core, *answering, &agreement);
        }
        (Answering::RekeyIke(answering), Some(agreement)) => {
            rekey_ike::answer_agreed(sa, frame, core, *answering, &agreement);
        }
        (answering, None) => {
            answering.abandon(core);
            let kind = crate::wire::NotifyType::INVALID_SYNTAX;
            sa.refuse(frame, core, ExchangeType::CreateChildSa, kind, Vec::new());
        }
    }
}

/// An INFORMATIONAL request with these payloads.
pub(crate) fn inform(
    sa: &mut Established,
    frame: &mut Frame,
    core: &mut Core,
    message: &Informational,
) -> bool {
    sa.request(frame, core, ExchangeType::Informational, &message.emit())
}
