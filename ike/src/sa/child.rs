//! A child SA pair: what was asked, what was agreed, and how it reaches the packet side.

use crate::connection::{ChildConfig, ChildLifetimes, Connection, EncapsulationPolicy};
use crate::core::{Core, Effect};
use crate::crypto::GroupId;
use crate::event::Event;
use crate::keys::child_keys;
use crate::narrow::{ConfiguredSelector, narrow, resolve, within};
use crate::nat::NatView;
use crate::output::{Duty, Install, Output, Path};
use crate::proposal::{EspChoice, ProposalMismatch, confirm_esp, esp_offer, select_esp};
use crate::sa::crypt::Crypt;
use crate::sa::timers::Timer;
use crate::sa::{Frame, Role};
use crate::time::Time;
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{ChildAccepted, ChildOffer, NotifyType, Proposal, ProtocolId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::crypto::{KeyMaterial, Suite};
use tidegate_esp::{
    Direction, Encapsulation, Limits, Params, SelectorPair, SequenceNumbers, Spi, TfcPadding, TrafficSelector,
};

/// How long the inbound half of a deleted child waits for stragglers.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// How long a child, or an IKE SA, that the peer has replaced waits for the peer's Delete before we send
/// one ourselves.
pub(crate) const SUPERSEDED_PATIENCE: Duration = Duration::from_secs(60);

/// A child that stands.
pub(crate) struct Child {
    pub(crate) config: Arc<ChildConfig>,
    /// Our SPI; it names the child everywhere.
    pub(crate) inbound: Spi,
    /// The peer's SPI.
    pub(crate) outbound: Spi,
    pub(crate) selectors: Arc<SelectorPair>,
    pub(crate) fate: Fate,
    /// Which end asked for it.
    pub(crate) role: Role,
    pub(crate) since: Time,
    pub(crate) suite: Suite,
    /// With PFS.
    pub(crate) group: Option<GroupId>,
    pub(crate) sequence_numbers: SequenceNumbers,
}

/// What lies ahead of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It carries traffic until it is renewed.
    Standing,
    /// The peer has set up this successor, named by its inbound SPI, and will delete the child.
    Superseded(Spi),
    /// We have set up a successor, and delete the child as soon as the window allows.
    Renewed,
    /// It lost against another in a simultaneous rekey; whoever made it deletes it.
    Redundant,
}

/// A child that we have asked for.
pub(crate) struct PendingChild {
    pub(crate) config: Arc<ChildConfig>,
    pub(crate) spi: Spi,
    /// What we offered, to measure the answer by.
    proposals: Vec<Proposal>,
    pub(crate) asked: SelectorPair,
}

/// What two ends have agreed on for a child.
pub(crate) struct Terms {
    pub(crate) config: Arc<ChildConfig>,
    pub(crate) inbound: Spi,
    pub(crate) choice: EspChoice,
    pub(crate) selectors: SelectorPair,
    /// The peer takes no TFC padding (RFC 7296 §1.3.1).
    no_tfc_padding: bool,
}

/// What stands for `dynamic` on either side.
pub(crate) struct Ends {
    pub(crate) local: DynamicEnd,
    pub(crate) remote: DynamicEnd,
}

/// What stands for `dynamic` on one side.
pub(crate) enum DynamicEnd {
    /// These addresses.
    At(Vec<IpAddr>),
    /// Whatever address the responder will give.
    Unknown,
}

impl DynamicEnd {
    fn resolve(&self, configured: &[ConfiguredSelector]) -> Vec<TrafficSelector> {
        match self {
            Self::At(addresses) => resolve(configured, addresses),
            Self::Unknown => {
                let open = configured.iter().flat_map(|selector| match *selector {
                    ConfiguredSelector::Fixed(_) => vec![*selector],
                    ConfiguredSelector::Dynamic { protocol, ports } => [
                        TrafficSelector { protocol, ports, ..TrafficSelector::any_v4() },
                        TrafficSelector { protocol, ports, ..TrafficSelector::any_v6() },
                    ]
                    .map(ConfiguredSelector::Fixed)
                    .to_vec(),
                });
                resolve(&open.collect::<Vec<_>>(), &[])
            }
        }
    }
}

impl Ends {
    /// Seen from the end that set up the IKE SA, which may have been given addresses. While it is asking
    /// for them, any address may be meant (RFC 7296 §2.19).
    pub(crate) fn of_initiator(connection: &Connection, path: &Path, given: &[IpAddr]) -> Self {
        let local = match (connection.request_addresses.is_empty(), given.is_empty()) {
            (true, _) => DynamicEnd::At(vec![path.local.ip()]),
            (false, true) => DynamicEnd::Unknown,
            (false, false) => DynamicEnd::At(given.to_vec()),
        };
        Self { local, remote: DynamicEnd::At(vec![path.remote.ip()]) }
    }

    /// Seen from the other end, which may have given addresses away.
    pub(crate) fn of_responder(given: &[IpAddr], path: &Path) -> Self {
        let remote = if given.is_empty() { vec![path.remote.ip()] } else { given.to_vec() };
        Self { local: DynamicEnd::At(vec![path.local.ip()]), remote: DynamicEnd::At(remote) }
    }

    fn resolve(&self, config: &ChildConfig) -> SelectorPair {
        SelectorPair { local: self.local.resolve(&config.local), remote: self.remote.resolve(&config.remote) }
    }
}

/// Why the responder of an exchange makes no child: what the peer is told and what the operator is.
pub(crate) struct Refusal {
    pub(crate) notify: NotifyType,
    pub(crate) data: Vec<u8>,
    pub(crate) verdict: Verdict,
}

impl PendingChild {
    /// Reserves an SPI and puts the offer together. A packet that wanted the child goes first
    /// (RFC 7296 §2.9).
    pub(crate) fn new(
        core: &mut Core,
        config: &Arc<ChildConfig>,
        ends: &Ends,
        packet: Option<&(TrafficSelector, TrafficSelector)>,
        with_groups: bool,
    ) -> Result<Self, Verdict> {
        let spi = core.inbound_spi().ok_or_else(out_of_spis)?;
        let mut asked = ends.resolve(config);
        if let Some((local, remote)) = packet {
            asked.local.insert(0, *local);
            asked.remote.insert(0, *remote);
        }
        let proposals = esp_offer(&config.proposals, spi, with_groups);
        Ok(Self { config: Arc::clone(config), spi, proposals, asked })
    }

    /// Makes sure that a successor is asked for all that its predecessor carries.
    pub(crate) fn keep_what_is_in_use(&mut self, in_use: &SelectorPair) {
        add_missing(&mut self.asked, in_use);
    }

    /// The payloads that ask for it.
    pub(crate) fn offer(&self) -> ChildOffer {
        ChildOffer {
            proposals: self.proposals.clone(),
            initiator_selectors: self.asked.local.clone(),
            responder_selectors: self.asked.remote.clone(),
            transport_mode: false,
            no_tfc_padding: false,
        }
    }

    /// Measures the peer's answer: one of our proposals, and selectors no wider than ours.
    pub(crate) fn accept(&self, answer: &ChildAccepted) -> Result<Terms, Verdict> {
        let choice = confirm_esp(&self.proposals, &answer.proposal)
            .map_err(|mismatch| Verdict::new(Culprit::Misbehaviour, Cause::Proposals(Box::new(mismatch))))?;
        let selectors = SelectorPair {
            local: answer.initiator_selectors.clone(),
            remote: answer.responder_selectors.clone(),
        };
        let narrower = |answer: &[TrafficSelector], asked: &[TrafficSelector]| {
            !answer.is_empty() && within(answer, asked)
        };
        if !narrower(&selectors.local, &self.asked.local) || !narrower(&selectors.remote, &self.asked.remote)
        {
            return Err(Verdict::new(
                Culprit::Misbehaviour,
                Cause::Selectors {
                    ours: (self.asked.local.clone(), self.asked.remote.clone()),
                    theirs: (selectors.local, selectors.remote),
                },
            ));
        }
        Ok(Terms {
            config: Arc::clone(&self.config),
            inbound: self.spi,
            choice,
            selectors,
            no_tfc_padding: answer.no_tfc_padding,
        })
    }

    /// Gives the SPI back when nothing comes of it.
    pub(crate) fn abandon(self, core: &mut Core) {
        core.give_back_spi(self.spi);
    }
}

impl Terms {
    /// The responder's side of an exchange: looks for a child of ours that the offer fits.
    pub(crate) fn answer(
        core: &mut Core,
        candidates: &[Arc<ChildConfig>],
        offer: &ChildOffer,
        ends: &Ends,
        with_groups: bool,
        in_use: Option<&SelectorPair>,
    ) -> Result<Self, Box<Refusal>> {
        let mut selectors_missed = None;
        let mut proposals_missed = None;
        for config in candidates {
            let mut ours = ends.resolve(config);
            // What `dynamic` stands for may have changed since; a successor keeps what was agreed.
            if let Some(in_use) = in_use {
                add_missing(&mut ours, in_use);
            }
            let selectors = SelectorPair {
                local: narrow(&ours.local, &offer.responder_selectors),
                remote: narrow(&ours.remote, &offer.initiator_selectors),
            };
            // RFC 7296 §2.9.2: a successor carries all that its predecessor does.
            let shrinks = in_use.is_some_and(|in_use| !selectors.contains(in_use));
            if selectors.local.is_empty() || selectors.remote.is_empty() || shrinks {
                selectors_missed.get_or_insert(ours);
                continue;
            }
            match select_esp(&config.proposals, &offer.proposals, with_groups) {
                Ok(choice) => {
                    let inbound = core.inbound_spi().ok_or_else(|| Box::new(Refusal::no_more()))?;
                    return Ok(Self {
                        config: Arc::clone(config),
                        inbound,
                        choice,
                        selectors,
                        no_tfc_padding: offer.no_tfc_padding,
                    });
                }
                Err(mismatch) => {
                    proposals_missed.get_or_insert(mismatch);
                }
            }
        }
        Err(Box::new(match proposals_missed {
            Some(mismatch) => Refusal::of_proposals(mismatch, with_groups),
            None => Refusal::of_selectors(selectors_missed.unwrap_or_default(), offer),
        }))
    }

    /// The payloads that answer the offer.
    pub(crate) fn accepted(&self) -> ChildAccepted {
        ChildAccepted {
            proposal: self.choice.to_wire(self.inbound),
            initiator_selectors: self.selectors.remote.clone(),
            responder_selectors: self.selectors.local.clone(),
            transport_mode: false,
            no_tfc_padding: false,
        }
    }

    /// Derives the keys and hands both directions to the packet side, the inbound one first so that it is
    /// there when the peer's first packet comes.
    pub(crate) fn install(
        self,
        frame: &mut Frame,
        core: &mut Core,
        ground: &Ground<'_>,
        exchange: &Exchanged<'_>,
        duty: Duty,
    ) -> Result<Child, Verdict> {
        let Self { config, inbound, choice, mut selectors, no_tfc_padding } = self;
        let (ours, theirs) = exchange.keys(core, ground.crypt, choice.suite)?;
        selectors.local.shrink_to_fit();
        selectors.remote.shrink_to_fit();
        let selectors = Arc::new(selectors);
        let path = frame.path.esp(ground.encapsulation);
        let limits = volume_limits(core, config.lifetimes, choice.sequence_numbers);
        let install = |direction, spi, keys, duty| Install {
            child: inbound,
            name: Arc::clone(&config.name),
            params: Params {
                direction,
                spi,
                suite: choice.suite,
                keys,
                sequence_numbers: choice.sequence_numbers,
                selectors: Arc::clone(&selectors),
                path,
                limits,
                replay_window: config.replay_window,
                tfc: if no_tfc_padding { TfcPadding::None } else { config.tfc },
                marking: config.marking,
            },
            duty,
        };
        core.install(install(Direction::Inbound, inbound, theirs, Duty::Active));
        core.install(install(Direction::Outbound, choice.peer_spi, ours, duty));
        core.effects.push_back(Effect::ChildAdded(inbound, frame.id));
        set_timers(frame, core, inbound, config.lifetimes);
        Ok(Child {
            config,
            inbound,
            outbound: choice.peer_spi,
            selectors,
            fate: Fate::Standing,
            role: exchange.role,
            since: core.now.time,
            suite: choice.suite,
            group: choice.group,
            sequence_numbers: choice.sequence_numbers,
        })
    }

    /// Gives the SPI back when nothing comes of it.
    pub(crate) fn abandon(self, core: &mut Core) {
        core.give_back_spi(self.inbound);
    }
}

/// What of its IKE SA a child grows on.
pub(crate) struct Ground<'a> {
    pub(crate) crypt: &'a Crypt,
    pub(crate) encapsulation: Encapsulation,
}

/// What of its exchange a child grows from.
pub(crate) struct Exchanged<'a> {
    /// Which end of this exchange we are; not of the IKE SA.
    pub(crate) role: Role,
    pub(crate) nonce_i: &'a [u8],
    pub(crate) nonce_r: &'a [u8],
    /// With PFS, the secret of its own key exchange.
    pub(crate) shared: Option<&'a [u8]>,
}

impl Exchanged<'_> {
    /// Our keys and the peer's.
    fn keys(&self, core: &Core, crypt: &Crypt, suite: Suite) -> Result<(KeyMaterial, KeyMaterial), Verdict> {
        let prf = crypt.prf(core.provider)?;
        let (to_responder, to_initiator) =
            child_keys(prf, crypt.sk_d(), suite, self.shared, self.nonce_i, self.nonce_r)
                .map_err(|_| Verdict::new(Culprit::Us, Cause::Exhausted))?;
        Ok(match self.role {
            Role::Initiator => (to_responder, to_initiator),
            Role::Responder => (to_initiator, to_responder),
        })
    }
}

impl Refusal {
    pub(crate) fn no_more() -> Self {
        Self { notify: NotifyType::NO_ADDITIONAL_SAS, data: Vec::new(), verdict: out_of_spis() }
    }

    fn of_proposals(mismatch: ProposalMismatch, with_groups: bool) -> Self {
        let verdict = proposals_differ(mismatch, with_groups);
        Self { notify: NotifyType::NO_PROPOSAL_CHOSEN, data: Vec::new(), verdict }
    }

    fn of_selectors(ours: SelectorPair, offer: &ChildOffer) -> Self {
        let cause = Cause::Selectors {
            ours: (ours.local, ours.remote),
            theirs: (offer.responder_selectors.clone(), offer.initiator_selectors.clone()),
        };
        let verdict = Verdict::new(Culprit::Mismatch, cause);
        Self { notify: NotifyType::TS_UNACCEPTABLE, data: Vec::new(), verdict }
    }
}

impl Child {
    /// Takes the child out of use: outbound at once, inbound after the last straggler.
    pub(crate) fn retire(&self, frame: &mut Frame, core: &mut Core) {
        frame.timers.clear_child(self.inbound);
        core.outputs.push_back(Output::Remove { child: self.inbound, direction: Direction::Outbound });
        frame.timers.set(Timer::Linger(self.inbound), core.now.time + LINGER);
    }

    /// Lets nothing in or out any more. The SPI stays taken until the peer has agreed to its end.
    pub(crate) fn halt(&self, core: &mut Core) {
        for direction in [Direction::Outbound, Direction::Inbound] {
            core.outputs.push_back(Output::Remove { child: self.inbound, direction });
        }
    }

    /// Takes both halves out of use at once, when its whole IKE SA goes.
    pub(crate) fn discard(&self, frame: &mut Frame, core: &mut Core) {
        frame.timers.clear_child(self.inbound);
        core.outputs.push_back(Output::Remove { child: self.inbound, direction: Direction::Outbound });
        bury_inbound(self.inbound, core);
    }

    /// Tells of its end.
    pub(crate) fn closed(&self, frame: &Frame, core: &mut Core, verdict: Verdict) {
        core.event(Event::ChildClosed {
            sa: frame.id,
            child: self.inbound,
            name: Arc::clone(&self.config.name),
            verdict,
        });
    }

    /// Tells of its beginning.
    pub(crate) fn established(&self, frame: &Frame, core: &mut Core) {
        core.event(Event::ChildEstablished {
            sa: frame.id,
            child: self.inbound,
            name: Arc::clone(&self.config.name),
            selectors: Arc::clone(&self.selectors),
        });
    }
}

/// The inbound half has seen its last packet; its SPI rests before it is given again.
pub(crate) fn bury_inbound(inbound: Spi, core: &mut Core) {
    core.outputs.push_back(Output::Remove { child: inbound, direction: Direction::Inbound });
    core.effects.push_back(Effect::ChildRemoved(inbound));
    core.give_back_spi(inbound);
}

/// Widens a pair of selectors to hold all that another does.
fn add_missing(pair: &mut SelectorPair, other: &SelectorPair) {
    for (list, more) in [(&mut pair.local, &other.local), (&mut pair.remote, &other.remote)] {
        for selector in more {
            if !within(std::slice::from_ref(selector), list) {
                list.push(*selector);
            }
        }
    }
}

/// What surrounds ESP on this path.
pub(crate) fn encapsulation(connection: &Connection, nat: NatView) -> Encapsulation {
    if connection.encapsulation == EncapsulationPolicy::Udp || nat.any() {
        Encapsulation::Udp
    } else {
        Encapsulation::None
    }
}

/// When it is renewed, and when it ends where nothing came of that.
fn set_timers(frame: &mut Frame, core: &mut Core, inbound: Spi, lifetimes: ChildLifetimes) {
    let now = core.now.time;
    let Some(rekey) = lifetimes.rekey else {
        if let Some(life) = lifetimes.unrenewed {
            frame.timers.set(Timer::ExpireChild(inbound), now + life);
        }
        return;
    };
    let at = core.jittered(rekey, lifetimes.jitter);
    frame.timers.set(Timer::RekeyChild(inbound), now + at);
    frame.timers.set(Timer::ExpireChild(inbound), now + rekey + lifetimes.overtime);
}

/// Each child has limits of its own within the jitter. Never later than the sequence number allows: with 32 bits
/// a successor is asked for at three quarters.
fn volume_limits(core: &mut Core, lifetimes: ChildLifetimes, numbers: SequenceNumbers) -> Limits {
    let (volume, jitter) = (lifetimes.volume, lifetimes.volume_jitter);
    let wanted = Limits {
        soft_packets: core.lessened(volume.soft_packets, jitter.packets),
        soft_bytes: core.lessened(volume.soft_bytes, jitter.bytes),
        ..volume
    };
    match numbers {
        SequenceNumbers::Extended => wanted,
        SequenceNumbers::Short => Limits {
            soft_packets: wanted.soft_packets.min(0xC000_0000),
            hard_packets: wanted.hard_packets.min(u64::from(u32::MAX)),
            ..wanted
        },
    }
}

/// Where only the key exchange differs, the two ends disagree about PFS.
fn proposals_differ(mismatch: ProposalMismatch, with_groups: bool) -> Verdict {
    let pfs = with_groups && mismatch.only_group_differs();
    let mismatch = Box::new(mismatch);
    Verdict::new(Culprit::Mismatch, if pfs { Cause::Pfs(mismatch) } else { Cause::Proposals(mismatch) })
}

fn out_of_spis() -> Verdict {
    Verdict::new(Culprit::Us, Cause::Limit("inbound SPIs"))
}

/// The SPI as a notification or Delete names it.
pub(crate) fn esp_spi(spi: Spi) -> (ProtocolId, Vec<u8>) {
    (ProtocolId::Esp, spi.to_be_bytes().to_vec())
}
