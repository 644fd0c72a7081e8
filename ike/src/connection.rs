//! What an operator wants of a peer: a [`Connection`] and its [`ChildConfig`]s.
//!
//! Both are immutable once loaded; SAs hold them by `Arc`, so a reload never changes an SA under way.

use crate::auth::{LocalAuth, RemoteAuth};
use crate::core::NON_ESP_MARKER;
use crate::crypto::Secret;
use crate::identity::{Identity, IdentityPattern};
use crate::narrow::ConfiguredSelector;
use crate::nat::SourceClaim;
use crate::output::{Framing, Path};
use crate::proposal::{EspProposal, IkeProposal};
use crate::wire::CertificatePayload;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::{AddressRange, Limits, Marking, TfcPadding, TrafficSelector};

/// One peer, or one kind of peer, and how to talk to it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name, unique in an endpoint.
    pub name: Arc<str>,
    /// Our side.
    pub local: LocalEnd,
    /// The peer's side.
    pub remote: RemoteEnd,
    /// IKE proposals, the most wanted first.
    pub proposals: Vec<IkeProposal>,
    /// Children; the first goes into IKE_AUTH, the others follow.
    pub children: Vec<Arc<ChildConfig>>,
    /// When the IKE SA is renewed.
    pub lifetimes: IkeLifetimes,
    /// Ask the peer for a sign of life after this much silence; `None` never asks.
    pub liveness: Option<Duration>,
    /// How requests are sent again.
    pub retransmission: Retransmission,
    /// What to do with messages that are too long for one datagram (RFC 7383).
    pub fragmentation: Fragmentation,
    /// What to do about NATs.
    pub encapsulation: EncapsulationPolicy,
    /// Speak MOBIKE (RFC 4555).
    pub mobike: bool,
    /// IKE_AUTH without a child (RFC 6023).
    pub childless: Childless,
    /// Addresses to ask the responder for, by configuration payload.
    pub request_addresses: Vec<AddressRequest>,
    /// Names of the pools that a peer's request is answered from.
    pub pools: Vec<Arc<str>>,
    /// Find out at set-up whether both ends agree on PFS, which IKE_AUTH cannot show.
    pub verify_pfs: bool,
    /// When our certificates are sent.
    pub send_certificates: SendCertificates,
    /// Whether the peer is told which certificates we can check.
    pub request_certificates: RequestCertificates,
    /// How many IKE SAs there may be between the same two identities.
    pub unique: Unique,
}

/// Our side of a connection.
#[derive(Clone, Debug)]
pub struct LocalEnd {
    /// Who we say we are.
    pub identity: Identity,
    /// How we prove it.
    pub auth: Arc<LocalAuth>,
    /// What else we prove, round after round (RFC 4739).
    pub further: Vec<LocalIdentity>,
    /// Addresses we may be reached at; empty for any.
    pub addresses: Vec<AddressRange>,
    /// The port that IKE_SA_INIT leaves from.
    pub port: u16,
}

/// Somebody that we are, and how we prove it.
#[derive(Clone, Debug)]
pub struct LocalIdentity {
    /// Who we say we are.
    pub identity: Identity,
    /// How we prove it.
    pub auth: Arc<LocalAuth>,
}

/// Somebody that the peer has to be, and how it has to prove it.
#[derive(Clone, Debug)]
pub struct RemoteIdentity {
    /// Who it must be.
    pub identity: IdentityPattern,
    /// How it must prove it.
    pub auth: Arc<RemoteAuth>,
}

/// The peer's side of a connection.
#[derive(Clone, Debug)]
pub struct RemoteEnd {
    /// Who it must be.
    pub identity: IdentityPattern,
    /// How it must prove it.
    pub auth: Arc<RemoteAuth>,
    /// What else it must prove, round after round (RFC 4739).
    pub further: Vec<RemoteIdentity>,
    /// Where it may come from; empty for anywhere. An initiator goes to the first single address.
    pub addresses: Vec<AddressRange>,
    /// The port that IKE_SA_INIT goes to. Any other than 500 means that the first packet already carries
    /// the non-ESP marker.
    pub port: u16,
}

/// Subnets, algorithms and limits of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Our traffic.
    pub local: Vec<ConfiguredSelector>,
    /// The peer's traffic.
    pub remote: Vec<ConfiguredSelector>,
    /// ESP proposals, the most wanted first.
    pub proposals: Vec<EspProposal>,
    /// When it is renewed.
    pub lifetimes: ChildLifetimes,
    /// Packets in the anti-replay window.
    pub replay_window: u16,
    /// Padding that hides how long packets are.
    pub tfc: TfcPadding,
    /// What outer headers say of DSCP, ECN and fragmentation.
    pub marking: Marking,
    /// Set it up as soon as the IKE SA stands, and again if it goes.
    pub start: ChildStart,
}

/// When a child is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildStart {
    /// With its IKE SA.
    WithIke,
    /// When asked for, by traffic or by the agent.
    OnDemand,
}

/// Times of an IKE SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeLifetimes {
    /// Rekey after this; `None` never.
    pub rekey: Option<Duration>,
    /// Authenticate again after this, make before break; `None` never.
    pub reauthenticate: Option<Duration>,
    /// Close this long after a rekey or reauthentication was due and has not come.
    pub overtime: Duration,
    /// Up to this much is taken off a time at random, so that two ends seldom start at once.
    pub jitter: Duration,
    /// As responder, ask the peer to authenticate again within this (RFC 4478).
    pub authentication: Option<Duration>,
}

/// Times and volumes of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLifetimes {
    /// Rekey after this; `None` never by time.
    pub rekey: Option<Duration>,
    /// Close this long after a rekey was due and has not come.
    pub overtime: Duration,
    /// Close after this what is never rekeyed by time; `None` for never.
    pub unrenewed: Option<Duration>,
    /// Up to this much is taken off `rekey` at random.
    pub jitter: Duration,
    /// Limits by volume, for the packet side.
    pub volume: Limits,
    /// Up to this much is taken off the soft limits of `volume` at random.
    pub volume_jitter: Volume,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// How requests are sent again: the n-th time after `first` × `factor`ⁿ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retransmission {
    /// Wait before the first repetition.
    pub first: Duration,
    /// Growth from each repetition to the next.
    pub factor: f64,
    /// A request unanswered for this long has failed.
    pub give_up: Duration,
    /// An unauthenticated refusal may be a forgery, so it does not end an attempt (RFC 7296 §2.21.1), but
    /// after one it ends this much later unless something better is heard.
    pub refusal_grace: Duration,
}

/// What surrounds ESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncapsulationPolicy {
    /// UDP always: a NAT is claimed where there is none.
    Udp,
    /// UDP where a NAT is found, IP protocol 50 elsewhere.
    Auto,
    /// IP protocol 50; a NAT on the way is refused (RFC 4555 §3.9).
    Raw,
}

/// IKE_AUTH without a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Childless {
    /// Never.
    Never,
    /// Where there is no child to start with and the peer can.
    Allow,
    /// Wherever the peer can; every child goes through CREATE_CHILD_SA, with its own key exchange.
    Prefer,
    /// Always: a peer that cannot, or does not, gets no IKE SA.
    Force,
}

/// What to do with messages that are too long for one datagram (RFC 7383).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragmentation {
    /// Where the peer can put them together they go in fragments, each a datagram of at most so many bytes of
    /// UDP payload.
    Offer(u16),
    /// The peer's are put together; ours go whole.
    AcceptOnly,
    /// Not even the peer's are put together.
    Never,
}

/// When our certificates are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendCertificates {
    /// Where the peer has asked for any.
    IfAsked,
    /// With every AUTH.
    #[default]
    Always,
    /// Not at all: the peer has them.
    Never,
}

/// Whether the peer is told which certificates we can check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestCertificates {
    /// It is.
    #[default]
    Yes,
    /// It is not: it sends what it has, or nothing where we have it.
    No,
}

/// How many IKE SAs there may be between the same two identities, under one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unique {
    /// Any number, even after the peer has said that it has no other (INITIAL_CONTACT), which we do not say
    /// either.
    Never,
    /// Any number; one that says that the peer has no other ends those before it.
    #[default]
    No,
    /// The oldest stays, others are refused, unless they come from where it does: those may take its place.
    Keep,
    /// The newest stays.
    Replace,
}

/// An address asked of the responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRequest {
    /// Any IPv4 address, or this one if it may be had.
    V4(Option<std::net::Ipv4Addr>),
    /// Any IPv6 address, or this one if it may be had.
    V6(Option<std::net::Ipv6Addr>),
}

impl Default for IkeLifetimes {
    fn default() -> Self {
        Self {
            rekey: Some(Duration::from_secs(4 * 3600)),
            reauthenticate: None,
            overtime: Duration::from_secs(24 * 60),
            jitter: Duration::from_secs(24 * 60),
            authentication: None,
        }
    }
}

impl Default for ChildLifetimes {
    fn default() -> Self {
        Self {
            rekey: Some(Duration::from_secs(3600)),
            overtime: Duration::from_secs(6 * 60),
            unrenewed: None,
            jitter: Duration::from_secs(6 * 60),
            volume: Limits::NONE,
            volume_jitter: Volume::default(),
        }
    }
}

impl Default for Retransmission {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            factor: 1.8,
            give_up: Duration::from_secs(30),
            refusal_grace: Duration::from_secs(5),
        }
    }
}

impl Connection {
    /// A connection by a shared secret, to be adapted: everything else is as most want it, there are no
    /// addresses yet, and no children.
    pub fn psk(name: &str, local: Identity, remote: IdentityPattern, secret: Secret) -> Self {
        let theirs = RemoteAuth::Psk(secret.clone());
        Self::new(name, local, LocalAuth::Psk(secret), remote, theirs)
    }

    /// A connection to be adapted: everything that is not asked for is as most want it, there are no
    /// addresses yet, and no children.
    pub fn new(
        name: &str,
        local: Identity,
        local_auth: LocalAuth,
        remote: IdentityPattern,
        remote_auth: RemoteAuth,
    ) -> Self {
        Self {
            name: name.into(),
            local: LocalEnd {
                identity: local,
                auth: Arc::new(local_auth),
                further: Vec::new(),
                addresses: Vec::new(),
                port: 500,
            },
            remote: RemoteEnd {
                identity: remote,
                auth: Arc::new(remote_auth),
                further: Vec::new(),
                addresses: Vec::new(),
                port: 500,
            },
            proposals: IkeProposal::default_list(),
            children: Vec::new(),
            lifetimes: IkeLifetimes::default(),
            liveness: Some(Duration::from_secs(10)),
            retransmission: Retransmission::default(),
            fragmentation: Fragmentation::default(),
            encapsulation: EncapsulationPolicy::Udp,
            mobike: true,
            childless: Childless::Allow,
            request_addresses: Vec::new(),
            pools: Vec::new(),
            verify_pfs: false,
            send_certificates: SendCertificates::default(),
            request_certificates: RequestCertificates::default(),
            unique: Unique::default(),
        }
    }
}

impl ChildConfig {
    /// A child between these two, to be adapted: everything else is as most want it.
    pub fn new(name: &str, local: TrafficSelector, remote: TrafficSelector) -> Self {
        Self {
            name: name.into(),
            local: vec![ConfiguredSelector::Fixed(local)],
            remote: vec![ConfiguredSelector::Fixed(remote)],
            proposals: EspProposal::default_list(),
            lifetimes: ChildLifetimes::default(),
            replay_window: 1024,
            tfc: TfcPadding::None,
            marking: Marking::default(),
            start: ChildStart::WithIke,
        }
    }
}

impl Retransmission {
    /// The wait after the `attempt`-th sending, counted from 0.
    pub fn wait(&self, attempt: u32) -> Duration {
        let seconds = self.first.as_secs_f64() * self.factor.powi(attempt.min(64) as i32);
        Duration::try_from_secs_f64(seconds).unwrap_or(self.give_up).min(self.give_up)
    }
}

impl Default for Fragmentation {
    /// What fits any path.
    fn default() -> Self {
        Self::Offer(1280)
    }
}

impl Fragmentation {
    /// Whether the peer is told that we put fragments together.
    pub(crate) fn is_offered(self) -> bool {
        self != Self::Never
    }
}

impl EncapsulationPolicy {
    /// What our messages say of the address they leave from.
    pub(crate) fn claim(self) -> SourceClaim {
        if self == Self::Udp { SourceClaim::Forced } else { SourceClaim::Honest }
    }
}

impl Connection {
    /// Longest IKE message on this path before it goes in fragments; the marker counts as well.
    pub(crate) fn fragment_limit(&self, path: Path) -> Option<usize> {
        let marker = match path.framing {
            Framing::Bare => 0,
            Framing::Marked => NON_ESP_MARKER.len(),
        };
        match self.fragmentation {
            Fragmentation::Offer(size) => Some(usize::from(size).saturating_sub(marker)),
            Fragmentation::AcceptOnly | Fragmentation::Never => None,
        }
    }
}

impl Connection {
    /// What the peer is told that we can check.
    pub(crate) fn certificate_requests(&self) -> Vec<CertificatePayload> {
        if self.request_certificates == RequestCertificates::No {
            return Vec::new();
        }
        let mut all = self.remote.auth.certificate_requests();
        for further in &self.remote.further {
            let more = further.auth.certificate_requests();
            all.extend(more.into_iter().filter(|request| !all.contains(request)).collect::<Vec<_>>());
        }
        all
    }

    /// The certificates that go with a proof of ours.
    pub(crate) fn certificates(&self, auth: &LocalAuth, asked: Asked) -> Vec<CertificatePayload> {
        match (self.send_certificates, asked) {
            (SendCertificates::Always, _) | (SendCertificates::IfAsked, Asked::Yes) => auth.certificates(),
            (SendCertificates::Never, _) | (SendCertificates::IfAsked, Asked::No) => Vec::new(),
        }
    }

    /// Whether an end has more than one thing to prove (RFC 4739).
    pub(crate) fn has_rounds(&self) -> bool {
        !self.local.further.is_empty() || !self.remote.further.is_empty()
    }

    /// Who we say that we are in a round, counted from 0, and how we prove it.
    pub(crate) fn our_round(&self, round: usize) -> Option<(&Identity, &Arc<LocalAuth>)> {
        match round.checked_sub(1) {
            None => Some((&self.local.identity, &self.local.auth)),
            Some(further) => self.local.further.get(further).map(|it| (&it.identity, &it.auth)),
        }
    }

    /// Who the peer has to be in a round, and how it has to prove it.
    pub(crate) fn their_round(&self, round: usize) -> Option<(&IdentityPattern, &Arc<RemoteAuth>)> {
        match round.checked_sub(1) {
            None => Some((&self.remote.identity, &self.remote.auth)),
            Some(further) => self.remote.further.get(further).map(|it| (&it.identity, &it.auth)),
        }
    }
}

/// Whether the peer has said what certificates it can check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Yes,
    No,
}

impl Asked {
    /// By these requests.
    pub(crate) fn by(requests: &[CertificatePayload]) -> Self {
        if requests.is_empty() { Self::No } else { Self::Yes }
    }
}

impl LocalEnd {
    /// Whether the connection may use this address of ours.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|range| range.contains(address))
    }
}

impl RemoteEnd {
    /// Whether the peer may come from this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|range| range.contains(address))
    }

    /// Where an initiator goes.
    pub fn address(&self) -> Option<IpAddr> {
        self.addresses.iter().find(|range| range.start() == range.end()).map(AddressRange::start)
    }
}
