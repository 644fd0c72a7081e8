//! A whole connection.

use super::fault::{LoadFault, ValueFault, Warning};
use super::lifetimes::IkeTimes;
use super::options::Options;
use super::places::Places;
use super::{child, rounds, values};
use crate::connection::Connection;
use crate::vici::message::Message;
use crate::vici::sections::{LocalRound, Method, RemoteRound};
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::AddressRange;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::connection::{
    Childless, EncapsulationPolicy, Fragmentation, LocalIdentity, RemoteIdentity, RequestCertificates,
    SendCertificates, Unique,
};
use tidegate_ike::crypto::Secret;
use tidegate_ike::identity::{Identity, IdentityPattern};
use tidegate_ike::proposal::IkeProposal;

/// A connection as a client describes it, before it is known by what its ends prove who they are.
#[derive(Clone, Debug)]
pub struct Described {
    /// All but who the ends are and how they prove it.
    plan: Connection,
    /// In what rounds we prove who we are; at least one.
    pub local: Vec<LocalRound>,
    /// In what rounds the peer does; at least one.
    pub remote: Vec<RemoteRound>,
    /// As it is shown again.
    pub shown: Shown,
    /// What of it does nothing.
    pub warnings: Vec<Warning>,
}

/// What is shown of a connection as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// `version`
    pub version: &'static str,
    /// `local_addrs`
    pub local_addresses: Vec<String>,
    /// `remote_addrs`
    pub remote_addresses: Vec<String>,
    /// `dpd_timeout`
    pub dpd_timeout: Option<Duration>,
}

impl Described {
    /// Reads the section that is named after a connection.
    pub fn read(name: &str, section: &Message) -> Result<Self, LoadFault> {
        let mut options = Options::new("", section);
        let mut ike = placeholder(name);
        let (local_places, remote_places) = ends(&mut options, &mut ike)?;
        let version = negotiation(&mut options, &mut ike)?;
        certificates(&mut options, &mut ike)?;
        times(&mut options, &mut ike)?;
        let dpd_timeout = options.parse("dpd_timeout", values::time)?.filter(|time| !time.is_zero());
        if dpd_timeout.is_some() {
            let value = options.text("dpd_timeout")?.unwrap_or_default();
            options.warn("dpd_timeout", value, "IKEv2 gives a peer up as its retransmissions end");
        }
        let mut plan = Connection::new(ike);
        plan.names = remote_places.names;
        plan.local_names = local_places.names;
        plan.tries = options.parse("keyingtries", values::tries)?.unwrap_or(Some(std::num::NonZeroU32::MIN));
        refuse(&mut options)?;
        let (mut local, remote) = (rounds::local(&mut options)?, rounds::remote(&mut options)?);
        name_by_address(&mut local, &plan.ike.local.addresses);
        plan.children = children(&mut options)?;
        let shown = Shown {
            version,
            local_addresses: local_places.written,
            remote_addresses: remote_places.written,
            dpd_timeout,
        };
        Ok(Self { plan, local, remote, shown, warnings: options.finish()? })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        self.plan.name()
    }

    /// All but who the ends are and how they prove it.
    pub fn plan(&self) -> &Connection {
        &self.plan
    }

    /// The connection of these ends, round by round; `None` if one has no round.
    pub fn connection(&self, local: Vec<LocalIdentity>, remote: Vec<RemoteIdentity>) -> Option<Connection> {
        let mut connection = self.plan.clone();
        let (mut local, mut remote) = (local.into_iter(), remote.into_iter());
        let first = local.next()?;
        (connection.ike.local.identity, connection.ike.local.auth) = (first.identity, first.auth);
        connection.ike.local.further = local.collect();
        let first = remote.next()?;
        (connection.ike.remote.identity, connection.ike.remote.auth) = (first.identity, first.auth);
        connection.ike.remote.further = remote.collect();
        Some(connection)
    }
}

/// As charon has it where nothing is said; its ends are put in later.
fn placeholder(name: &str) -> tidegate_ike::Connection {
    let nobody = || Secret::new(Vec::new());
    let mut ike = tidegate_ike::Connection::new(
        name,
        Identity::KeyId(b"nobody".to_vec()),
        LocalAuth::Psk(nobody()),
        IdentityPattern::Any,
        RemoteAuth::Psk(nobody()),
    );
    ike.liveness = None;
    ike.encapsulation = EncapsulationPolicy::Auto;
    ike.send_certificates = SendCertificates::IfAsked;
    ike
}

fn ends(
    options: &mut Options<'_>,
    ike: &mut tidegate_ike::Connection,
) -> Result<(Places, Places), LoadFault> {
    let local = Places::read(options, "local_addrs")?;
    let remote = Places::read(options, "remote_addrs")?;
    ike.local.addresses.clone_from(&local.ranges);
    ike.remote.addresses.clone_from(&remote.ranges);
    if let Some(port) = options.parse("local_port", values::port)?.flatten() {
        ike.local.port = port;
    }
    if let Some(port) = options.parse("remote_port", values::port)?.flatten() {
        ike.remote.port = port;
    }
    Ok((local, remote))
}

fn negotiation(
    options: &mut Options<'_>,
    ike: &mut tidegate_ike::Connection,
) -> Result<&'static str, LoadFault> {
    let version = options.parse("version", |text| values::number(text, 2))?.unwrap_or(0);
    if version == 1 {
        return Err(options.unsupported("version", "1", "IKEv1 is not supported: write 2, or leave it out"));
    }
    let proposals = |text: &str| IkeProposal::parse_list(text).map_err(ValueFault::Proposal);
    let proposals = options.list("proposals", proposals)?;
    if !proposals.is_empty() {
        ike.proposals = proposals.into_iter().flatten().collect();
    }
    ike.request_addresses = options.list("vips", values::address_request)?;
    ike.pools = options.list("pools", |name| Ok(Arc::from(name)))?;
    if options.flag("encap")? == Some(true) {
        ike.encapsulation = EncapsulationPolicy::Udp;
    }
    ike.mobike = options.flag("mobike")?.unwrap_or(true);
    let fragmentations =
        [Fragmentation::default(), Fragmentation::default(), Fragmentation::AcceptOnly, Fragmentation::Never];
    let fragmentation =
        options.choice("fragmentation", &["yes", "force", "accept", "no"], &fragmentations)?;
    ike.fragmentation = fragmentation.unwrap_or_default();
    let childless = [Childless::Allow, Childless::Force, Childless::Never];
    let childless = options.choice("childless", &["allow", "force", "never"], &childless)?;
    ike.childless = childless.unwrap_or(Childless::Allow);
    let unique = [Unique::Never, Unique::No, Unique::Keep, Unique::Replace];
    let unique = options.choice("unique", &["never", "no", "keep", "replace"], &unique)?;
    ike.unique = unique.unwrap_or_default();
    Ok(if version == 2 { "IKEv2" } else { "IKEv1/2" })
}

fn certificates(options: &mut Options<'_>, ike: &mut tidegate_ike::Connection) -> Result<(), LoadFault> {
    if options.flag("send_certreq")? == Some(false) {
        ike.request_certificates = RequestCertificates::No;
    }
    let words = &["ifasked", "always", "yes", "never", "no"];
    let sendings = [
        SendCertificates::IfAsked,
        SendCertificates::Always,
        SendCertificates::Always,
        SendCertificates::Never,
        SendCertificates::Never,
    ];
    if let Some(sending) = options.choice("send_cert", words, &sendings)? {
        ike.send_certificates = sending;
    }
    Ok(())
}

fn times(options: &mut Options<'_>, ike: &mut tidegate_ike::Connection) -> Result<(), LoadFault> {
    let times = IkeTimes {
        rekey: options.parse("rekey_time", values::time)?,
        reauthenticate: options.parse("reauth_time", values::time)?,
        over: options.parse("over_time", values::time)?,
        random: options.parse("rand_time", values::time)?,
    };
    ike.lifetimes = times.settle();
    ike.liveness = options.parse("dpd_delay", values::time)?.filter(|delay| !delay.is_zero());
    Ok(())
}

/// What we do not do, unless it is said not to be done.
fn refuse(options: &mut Options<'_>) -> Result<(), LoadFault> {
    let no = &["no", "false", "disabled", "0"];
    options.ignore("aggressive", no, "IKEv2 has no aggressive mode")?;
    options.ignore("pull", &["yes", "true", "enabled", "1"], "IKEv2 has no push mode")?;
    if options.parse("dscp", values::dscp)?.is_some_and(|dscp| dscp != 0) {
        let value = options.text("dscp")?.unwrap_or_default();
        return Err(options.unsupported("dscp", value, "IKE messages are sent as best effort"));
    }
    options.refuse("ppk_id", &[], "postquantum preshared keys are not supported")?;
    options.refuse("ppk_required", no, "postquantum preshared keys are not supported")?;
    let mediation = "strongSwan's mediation extension is not supported";
    options.refuse("mediation", no, mediation)?;
    options.refuse("mediated_by", &[], mediation)?;
    options.refuse("mediation_peer", &[], mediation)?;
    for key in ["if_id_in", "if_id_out"] {
        options.refuse(key, &["0", "0x0"], "there are no XFRM interfaces here")?;
    }
    Ok(())
}

/// Whoever shares a secret and does not say who it is, is its address.
fn name_by_address(local: &mut [LocalRound], addresses: &[AddressRange]) {
    let mut hosts = addresses.iter().filter(|range| range.start() == range.end());
    let (Some(first), Some(host)) = (local.first_mut(), hosts.next()) else { return };
    if first.method == Method::Psk && first.identity.is_none() {
        first.identity = Some(host.start().into());
    }
}

fn children(options: &mut Options<'_>) -> Result<Vec<crate::connection::Child>, LoadFault> {
    let Some(section) = options.section("children") else { return Ok(Vec::new()) };
    let mut all = Options::new("children", section);
    let mut children = Vec::new();
    for mut section in all.sections("") {
        children.push(child::read(&mut section)?);
        options.take_warnings(section.finish()?);
    }
    options.take_warnings(all.finish()?);
    Ok(children)
}
