//! From the device to the wire.

use super::hold::{Asked, Held, Hold};
use super::limiter::Limiter;
use super::seal::Lane;
use super::turns::Turns;
use super::{Control, PathMtus, Settings, WorkerCounters};
use crate::io::batch::SendBatch;
use crate::notice::Notice;
use crate::tables::{Opening, Sealing, View};
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::icmp::{ANSWER_MAX, Answer, Budget, IPV6_MTU_MIN, answer};
use tidegate_esp::mss::{TransportChecksum, clamp};
use tidegate_esp::outbound::Spent;
use tidegate_esp::policy::{FlowCache, Owner};
use tidegate_esp::segment::{Split, SplitError};
use tidegate_esp::snapshot::{Carrier, Decision, Snapshot};
use tidegate_esp::virtio::VirtioHeader;
use tidegate_esp::{DropReason, Inner, Spi};
use tidegate_ike::Time;

/// How often control is told that an owner has packets and no SA, or that an SA has reached its end.
const TELL_INTERVAL: Duration = Duration::from_millis(250);
/// How often held packets are seen to.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How often it is told of any owner or SA.
const TELL_PER_SECOND: u32 = 2000;

/// Where what leaves a worker goes. Nothing here may wait: what there is no room for is lost.
pub trait Outward: Control {
    /// Takes all of a batch, to be sent.
    fn send(&mut self, batch: &SendBatch);

    /// An ICMP answer to whoever sent a packet through the device.
    fn answer(&mut self, packet: &[u8]);
}

/// Takes packets of the device and seals them into a batch.
pub struct Outgoing {
    view: View,
    stages: Stages,
}

/// Everything but the view, so that both can be borrowed at a time.
struct Stages {
    /// The tables that held packets were tried with.
    seen: u64,
    cache: FlowCache,
    hold: Hold,
    batch: SendBatch,
    mtus: Arc<PathMtus>,
    counters: Arc<WorkerCounters>,
    told: Limiter,
    answers: Budget,
    answer: Box<[u8]>,
    /// Where others send as well.
    turns: Option<Turns>,
}

/// A packet of the device, parsed.
struct Parsed<'a> {
    virtio: &'a VirtioHeader,
    bytes: &'a mut [u8],
    inner: Inner,
}

/// Why a packet was not sealed.
enum NotSent {
    /// It goes nowhere.
    Dropped(DropReason),
    /// There is no SA for it yet.
    NoSa(Owner),
}

type Tables = Snapshot<Opening, Sealing>;

impl Outgoing {
    /// A worker that reads the tables through this view.
    pub fn new(view: View, mtus: Arc<PathMtus>, settings: &Settings) -> Self {
        let stages = Stages {
            seen: 0,
            cache: FlowCache::new(settings.flows, settings.seed),
            hold: Hold::new(settings.hold),
            batch: SendBatch::new(),
            mtus,
            counters: Arc::default(),
            told: Limiter::new(TELL_INTERVAL, TELL_PER_SECOND),
            answers: Budget::new(settings.answers, settings.answers),
            answer: vec![0; ANSWER_MAX].into(),
            turns: None,
        };
        Self { view, stages }
    }

    /// One of several, which take turns at each SA.
    #[must_use]
    pub fn among_others(mut self) -> Self {
        self.stages.turns = Some(Turns::new());
        self
    }

    /// Takes a packet of the device. What it becomes is in the batch, or held, or counted.
    pub fn take(&mut self, now: Time, virtio: &VirtioHeader, packet: &mut [u8], outward: &mut impl Outward) {
        // One look for both: else this packet might overtake those that were held.
        let tables = self.view.current();
        self.stages.try_held(now, tables, outward);
        if let Err(reason) = self.stages.take(now, tables, virtio, packet, outward) {
            self.stages.counters.esp.dropped(reason);
        }
    }

    /// Sends what is in the batch: the end of a turn.
    pub fn flush(&mut self, outward: &mut impl Outward) {
        if !self.stages.batch.is_empty() {
            outward.send(&self.stages.batch);
            self.stages.batch.clear();
        }
        if let Some(turns) = &mut self.stages.turns {
            turns.give_back();
        }
    }

    /// Sees to held packets: those that have an SA now are sealed, those that waited too long are dropped.
    /// To be called when control has published, and when [`next_deadline`](Self::next_deadline) has come.
    pub fn tend(&mut self, now: Time, outward: &mut impl Outward) {
        self.stages.try_held(now, self.view.current(), outward);
        self.stages.give_up(now, outward);
        self.stages.ask_again(now, outward);
    }

    /// When held packets want to be seen to without anything happening.
    pub fn next_deadline(&self, now: Time) -> Option<Time> {
        // A look at newer tables fails where another thread is just taking them.
        self.stages.hold.until().map(|until| until.min(now + LOOK_INTERVAL))
    }

    /// What it measures packets by; whoever learns of a path tells it there.
    pub fn path_mtus(&self) -> &Arc<PathMtus> {
        &self.stages.mtus
    }

    /// What it counts.
    pub fn counters(&self) -> &Arc<WorkerCounters> {
        &self.stages.counters
    }

    /// Forgets every packet in it: something went badly wrong with one.
    pub fn reset(&mut self) {
        let stages = &mut self.stages;
        stages.batch.clear();
        if let Some(turns) = &mut stages.turns {
            turns.give_back();
        }
        while let Some(held) = stages.hold.pop() {
            stages.counters.esp.dropped(DropReason::NoSa);
            stages.hold.recycle(held);
        }
    }
}

impl Stages {
    /// Tables that came since the last time may have an SA for what is held. That goes before any other
    /// packet, and in the order in which it came.
    fn try_held(&mut self, now: Time, tables: &Tables, outward: &mut impl Outward) {
        if tables.generation() == self.seen {
            return;
        }
        self.seen = tables.generation();
        for _ in 0..self.hold.len() {
            let Some(held) = self.hold.pop() else { return };
            self.retry(now, tables, held, outward);
        }
    }

    fn take(
        &mut self,
        now: Time,
        tables: &Tables,
        virtio: &VirtioHeader,
        bytes: &mut [u8],
        outward: &mut impl Outward,
    ) -> Result<(), DropReason> {
        let inner = Inner::parse(bytes)?;
        let mut packet = Parsed { virtio, bytes, inner };
        match self.carry(now, tables, &mut packet, outward) {
            Ok(()) => Ok(()),
            Err(NotSent::Dropped(reason)) => Err(reason),
            Err(NotSent::NoSa(owner)) => {
                self.hold(now, owner, &packet, outward);
                Ok(())
            }
        }
    }

    /// Decides, measures, cuts and seals.
    fn carry(
        &mut self,
        now: Time,
        tables: &Tables,
        packet: &mut Parsed<'_>,
        outward: &mut impl Outward,
    ) -> Result<(), NotSent> {
        let id = match tables.decide_cached(&mut self.cache, &packet.inner.flow) {
            Decision::Protect(id) => id,
            Decision::Acquire(owner) => return Err(NotSent::NoSa(owner)),
            Decision::Bypass | Decision::Drop | Decision::NoRule => return Err(DropReason::Policy.into()),
        };
        let carrier = tables.outbound(id).ok_or(DropReason::NoSa)?;
        let mtu = self.mtus.mtu(carrier.path.remote.ip(), now);
        let inner_mtu = carrier.sa.esp.inner_mtu(&carrier.path, mtu);
        self.clamp(packet, inner_mtu);
        let limit = longest(&packet.inner, inner_mtu);
        let lane = Lane { carrier, packet_max: mtu.saturating_sub(carrier.path.headers_len()) };
        let mut split = match Split::new(packet.virtio, &packet.inner, packet.bytes, limit) {
            Ok(split) => split,
            Err(error) => {
                if let SplitError::TooBig { .. } = error {
                    self.tell_sender(now, packet.bytes, Answer::TooBig { mtu: limit }, outward);
                }
                return Err(NotSent::Dropped(error.into()));
            }
        };
        self.seal(now, &lane, &mut split, outward).map_err(NotSent::Dropped)
    }

    fn seal(
        &mut self,
        now: Time,
        lane: &Lane<'_>,
        split: &mut Split<'_>,
        outward: &mut impl Outward,
    ) -> Result<(), DropReason> {
        let Carrier { sa, .. } = lane.carrier;
        if let Some(turns) = &mut self.turns {
            turns.take(sa, &mut self.batch, outward);
        }
        let segments = u32::try_from(split.segments()).unwrap_or(u32::MAX);
        let mut reservation = match sa.esp.reserve(segments) {
            Ok(reservation) => reservation,
            Err(spent) => {
                self.tell_end(now, sa.child, spent, outward);
                return Err(spent.into());
            }
        };
        sa.used.mark(now);
        if reservation.passed_soft_limit() {
            outward.notice(Notice::SoftLimit(sa.child));
        }
        lane.seal_all(split, &mut reservation, &mut self.batch, &self.counters, outward)
    }

    /// Lowers the segment size that a SYN announces: whoever answers it shall send no more than fits.
    fn clamp(&self, packet: &mut Parsed<'_>, inner_mtu: usize) {
        let checksum = match packet.virtio.checksum {
            Some(_) => TransportChecksum::Partial,
            None => TransportChecksum::Complete,
        };
        if clamp(packet.bytes, &packet.inner, inner_mtu, checksum).is_some() {
            self.counters.clamped();
        }
    }

    /// Keeps a packet until there is an SA for it, and says that there is none.
    fn hold(&mut self, now: Time, owner: Owner, packet: &Parsed<'_>, outward: &mut impl Outward) {
        let flow = packet.inner.flow;
        let asked = self.ask(now, owner, || Notice::Acquire { owner, flow }, outward);
        self.counters.held();
        for _ in 0..self.hold.push(owner, flow, (packet.virtio, packet.bytes), (now, asked)) {
            self.counters.esp.dropped(DropReason::NoSa);
        }
    }

    fn ask(
        &mut self,
        now: Time,
        owner: Owner,
        notice: impl FnOnce() -> Notice,
        outward: &mut impl Outward,
    ) -> Asked {
        if !self.told.allows(key_of_owner(owner), now) {
            return Asked::NotYet;
        }
        outward.notice(notice());
        Asked::Yes
    }

    /// One held packet against newer tables.
    fn retry(&mut self, now: Time, tables: &Tables, mut held: Held, outward: &mut impl Outward) {
        let Ok(inner) = Inner::parse(&held.bytes) else { return self.hold.recycle(held) };
        let mut packet = Parsed { virtio: &held.virtio, bytes: &mut held.bytes, inner };
        match self.carry(now, tables, &mut packet, outward) {
            Ok(()) => self.hold.recycle(held),
            Err(NotSent::NoSa(owner)) => {
                // A rule of another owner has come: that one has heard nothing of it.
                let asked = if owner == held.owner { held.asked } else { Asked::NotYet };
                self.hold.put_back(Held { owner, asked, ..held });
            }
            Err(NotSent::Dropped(reason)) => {
                self.counters.esp.dropped(reason);
                self.hold.recycle(held);
            }
        }
    }

    /// Drops what has waited too long; its senders are told that there is no way.
    fn give_up(&mut self, now: Time, outward: &mut impl Outward) {
        while self.hold.is_overdue(now) {
            let Some(held) = self.hold.pop() else { return };
            self.counters.esp.dropped(DropReason::NoSa);
            self.tell_sender(now, &held.bytes, Answer::HostUnreachable, outward);
            self.hold.recycle(held);
        }
    }

    /// Tells of packets that could not be told of when they came.
    fn ask_again(&mut self, now: Time, outward: &mut impl Outward) {
        for held in self.hold.unasked() {
            if self.told.allows(key_of_owner(held.owner), now) {
                outward.notice(Notice::Acquire { owner: held.owner, flow: held.flow });
                held.asked = Asked::Yes;
            }
        }
    }

    fn tell_end(&mut self, now: Time, child: Spi, spent: Spent, outward: &mut impl Outward) {
        match spent {
            Spent::HardLimit | Spent::Numbers if self.told.allows(key_of_child(child), now) => {
                outward.notice(Notice::HardLimit(child));
            }
            Spent::HardLimit | Spent::Numbers => {}
        }
    }

    /// Answers a packet in the name of whom it went to: the kernel takes nothing from the device that claims
    /// to come from an address of its own, and of all others this is the one that is routed there for sure.
    fn tell_sender(&mut self, now: Time, packet: &[u8], what: Answer, outward: &mut impl Outward) {
        let Ok(inner) = Inner::parse(packet) else { return };
        let from = inner.flow.destination;
        if from.is_multicast() || !self.answers.take(now.as_nanos()) {
            return;
        }
        if let Ok(length) = answer(packet, &inner, what, from, &mut self.answer)
            && let Some(bytes) = self.answer.get(..length)
        {
            outward.answer(bytes);
            self.counters.answered();
        }
    }
}

/// The longest datagram that goes in. Less than what every link carries cannot be asked of an IPv6 host: on a
/// narrower path what it is sealed into goes in fragments (RFC 2473 §7.1).
fn longest(inner: &Inner, inner_mtu: usize) -> usize {
    if inner.flow.is_v4() { inner_mtu } else { inner_mtu.max(IPV6_MTU_MIN) }
}

/// Owners and children are told of by one limiter; a child's number has its top bit clear.
fn key_of_owner(owner: Owner) -> u64 {
    owner.0 | 1 << 63
}

fn key_of_child(child: Spi) -> u64 {
    child.value().into()
}

impl From<DropReason> for NotSent {
    fn from(reason: DropReason) -> Self {
        Self::Dropped(reason)
    }
}
