//! `[[connection]]`: what a mesh does not cover.

use super::files::{Fingerprint, Loaded};
use super::mistake::Fault;
use super::named::NamedConnection;
use super::node::{self, ENCAPSULATIONS, Node, Trust};
use super::peers::secret;
use super::reader::{At, Context, Section};
use super::schema;
use super::values::{self, ValueFault};
use crate::connection::{After, Child, ChildMode, Connection, Retry, Start};
use crate::mesh::{Address, Named};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::{AddressRange, TrafficSelector};
use tidegate_ike::ChildConfig;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::connection::{ChildStart, Childless, Fragmentation, Retransmission, Unique};
use tidegate_ike::identity::{Identity, IdentityPattern};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::pool::Pool;
use tidegate_ike::proposal::{EspProposal, IkeProposal};

pub(super) fn read(
    context: &mut Context<'_>,
    top: &Section<'_>,
    node: Option<&Node>,
    pools: &[At<Pool>],
) -> Vec<At<NamedConnection>> {
    let sections = top.sections(context, "connection", &schema::CONNECTION);
    let read = sections.iter().filter_map(|section| {
        let value = connection(context, section, node, pools)?;
        Some(At { value, span: section.span.clone() })
    });
    read.collect()
}

/// Adds those written out to those of the mesh, with which they share their names.
pub(super) fn add(
    context: &mut Context<'_>,
    connections: &mut Vec<NamedConnection>,
    written: Vec<At<NamedConnection>>,
) {
    let mut names: BTreeSet<Arc<str>> = connections.iter().map(|it| Arc::clone(it.name())).collect();
    for connection in written {
        let name = connection.value.name();
        if !names.insert(Arc::clone(name)) {
            let fault = Fault::Repeated { what: "connection or peer", name: name.to_string() };
            context.complain(&connection.span, fault);
        }
        connections.push(connection.value);
    }
}

fn connection(
    context: &mut Context<'_>,
    section: &Section<'_>,
    node: Option<&Node>,
    pools: &[At<Pool>],
) -> Option<NamedConnection> {
    let name = section.parse(context, "name", values::non_empty);
    if !section.has("name") {
        section.missing(context, "name", "`tidegate up` and `tidegate down` name it");
    }
    let ends = ends(context, section, node);
    let children = children(context, section);
    let (ends, name, node) = (ends?, name?, node?);
    let auth = Fingerprint::of(&[ends.local.print.bytes(), ends.remote.print.bytes()]);
    let mut ike = tidegate_ike::Connection::new(
        &name,
        ends.local_identity.unwrap_or_else(|| node.endpoint.identity.clone()),
        LocalAuth::Psk(tidegate_ike::crypto::Secret::default()),
        ends.remote_identity.unwrap_or(IdentityPattern::Any),
        RemoteAuth::Psk(tidegate_ike::crypto::Secret::default()),
    );
    (ike.local.auth, ike.remote.auth) = (ends.local.auth, ends.remote.auth);
    (ike.local.addresses, ike.local.port) =
        (ends.local_addresses, ends.local_port.unwrap_or(node.settings.port));
    (ike.remote.addresses, ike.remote.port) = (ends.remote_addresses, ends.remote_port.unwrap_or(500));
    ike.encapsulation = node.encapsulation;
    settings(context, section, &mut ike);
    ike.pools = pool_names(context, section, pools);
    let retry = retry(context, section);
    // 0 is for ever.
    let tries = section.number(context, "tries", 0, u32::MAX).and_then(NonZeroU32::new);
    Some(NamedConnection::written(
        Connection { names: ends.names, children, retry, tries, ..Connection::new(ike) },
        auth,
    ))
}

fn settings(context: &mut Context<'_>, section: &Section<'_>, ike: &mut tidegate_ike::Connection) {
    let proposals = |text: &str| IkeProposal::parse_list(text).map_err(ValueFault::Proposal);
    set(&mut ike.proposals, section.parse(context, "proposals", proposals));
    let encapsulation = section.choice(context, "encapsulation", ENCAPSULATIONS.0, &ENCAPSULATIONS.1);
    set(&mut ike.encapsulation, encapsulation);
    set(&mut ike.mobike, section.flag(context, "mobike"));
    set(&mut ike.liveness, section.parse(context, "liveness", values::maybe_span));
    // The least of RFC 8200 for IPv6, less would not do for IPv4 either; 0 turns fragments off.
    let fragment_size = section.number(context, "fragment_size", 0, 65_000);
    let fragment_size = fragment_size.and_then(|size| u16::try_from(size).ok());
    set(
        &mut ike.fragmentation,
        fragment_size.map(|size| match size {
            0 => Fragmentation::Never,
            size => Fragmentation::Offer(size.max(LEAST_FRAGMENT)),
        }),
    );
    let childless = section.choice(context, "childless", CHILDLESS.0, &CHILDLESS.1);
    set(&mut ike.childless, childless);
    set(&mut ike.unique, section.choice(context, "unique", UNIQUE.0, &UNIQUE.1));
    set(&mut ike.lifetimes.rekey, section.parse(context, "rekey", values::maybe_span));
    set(&mut ike.lifetimes.reauthenticate, section.parse(context, "reauth", values::maybe_span));
    ike.request_addresses = section.parse_all(context, "request_addresses", values::address_request);
    retransmission(context, section, &mut ike.retransmission);
    if let Some(soonest) = ike.lifetimes.rekey.into_iter().chain(ike.lifetimes.reauthenticate).min() {
        (ike.lifetimes.overtime, ike.lifetimes.jitter) =
            ((soonest / MARGIN).max(LEAST_OVERTIME), soonest / MARGIN);
    }
}

const CHILDLESS: (&[&str], [Childless; 4]) = (
    &["never", "allow", "prefer", "force"],
    [Childless::Never, Childless::Allow, Childless::Prefer, Childless::Force],
);

const UNIQUE: (&[&str], [Unique; 4]) =
    (&["never", "no", "keep", "replace"], [Unique::Never, Unique::No, Unique::Keep, Unique::Replace]);

/// A rekey comes up to a tenth of its time early, and has as much to succeed, as in strongSwan.
const MARGIN: u32 = 10;

/// Requests are repeated for half a minute; a short life must not end before that.
const LEAST_OVERTIME: Duration = Duration::from_secs(60);

/// Room for the headers of a fragment and something in it.
const LEAST_FRAGMENT: u16 = 256;

fn retransmission(context: &mut Context<'_>, section: &Section<'_>, all: &mut Retransmission) {
    let Some(section) = section.section(context, "retransmit", &schema::RETRANSMIT) else { return };
    set(&mut all.first, section.parse(context, "first", values::span));
    set(&mut all.factor, section.fraction(context, "factor", 1.0, 10.0));
    set(&mut all.give_up, section.parse(context, "give_up", values::span));
}

fn retry(context: &mut Context<'_>, section: &Section<'_>) -> Retry {
    let mut retry = Retry::default();
    let Some(section) = section.section(context, "retry", &schema::RETRY) else { return retry };
    set(&mut retry.first, section.parse(context, "first", values::span));
    set(&mut retry.factor, section.fraction(context, "factor", 1.0, 10.0));
    set(&mut retry.most, section.parse(context, "most", values::span));
    set(&mut retry.jitter, section.fraction(context, "jitter", 0.0, 1.0));
    retry
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn pool_names(context: &mut Context<'_>, section: &Section<'_>, pools: &[At<Pool>]) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    for name in section.texts(context, "pools").unwrap_or_default() {
        match pools.iter().find(|pool| *pool.value.name == *name.value) {
            Some(pool) => names.push(Arc::clone(&pool.value.name)),
            None => {
                let known = pools.iter().map(|pool| pool.value.name.to_string()).collect();
                let fault = Fault::Unknown { what: "pool", name: name.value.to_owned(), known };
                context.complain(&name.span, fault);
            }
        }
    }
    names
}

/// Both ends of a connection.
struct Ends {
    local: Loaded<LocalAuth>,
    local_identity: Option<Identity>,
    local_addresses: Vec<AddressRange>,
    local_port: Option<u16>,
    remote: Loaded<RemoteAuth>,
    remote_identity: Option<IdentityPattern>,
    remote_addresses: Vec<AddressRange>,
    remote_port: Option<u16>,
    names: Vec<String>,
}

fn ends(context: &mut Context<'_>, section: &Section<'_>, node: Option<&Node>) -> Option<Ends> {
    let local = section.section(context, "local", &schema::LOCAL);
    let remote = section.section(context, "remote", &schema::REMOTE);
    let local_auth = local.as_ref().and_then(|local| local_auth(context, local));
    // Beside a secret of both ends there is no certificate whose revocation could matter.
    let trust = match &local_auth {
        Some((_, Some(_))) => None,
        _ => node.and_then(|node| node.trust.as_ref()),
    };
    let remote_auth = remote.as_ref().and_then(|remote| remote_auth(context, remote, trust));
    let written = local
        .as_ref()
        .and_then(|local| local.parse(context, "id", |text| text.parse().map_err(ValueFault::Identity)));
    let local_identity = written.or_else(|| node::subject(local_auth.as_ref().map(|(auth, _)| auth)));
    let (local_addresses, local_port) = match &local {
        Some(local) => (local.parse_all(context, "addresses", local_place), local.port(context, "port")),
        None => (Vec::new(), None),
    };
    let remote_identity = remote
        .as_ref()
        .and_then(|remote| remote.parse(context, "id", |text| text.parse().map_err(ValueFault::Identity)));
    let remote_port = remote.as_ref().and_then(|remote| remote.port(context, "port"));
    let (remote_addresses, names) = remote.as_ref().map(|it| places(context, it)).unwrap_or_default();
    let (local, remote) = pair(context, section, node, local_auth, remote_auth)?;
    Some(Ends {
        local,
        local_identity,
        local_addresses,
        local_port,
        remote,
        remote_identity,
        remote_addresses,
        remote_port,
        names,
    })
}

/// What one end says of how it proves itself; with a secret, how the other end may as well.
type Local = (Loaded<LocalAuth>, Option<Loaded<RemoteAuth>>);
type Remote = (Loaded<RemoteAuth>, Option<Loaded<LocalAuth>>);

fn local_auth(context: &mut Context<'_>, section: &Section<'_>) -> Option<Local> {
    if section.has("psk_file") && section.has("certificate") {
        context.complain(&section.span, Fault::Exclusive { one: "psk_file", other: "certificate" });
    }
    match secret(context, section) {
        Some((local, remote)) => Some((local, Some(remote))),
        None => node::certificate(context, section).map(|local| (local, None)),
    }
}

fn remote_auth(context: &mut Context<'_>, section: &Section<'_>, trust: Option<&Trust>) -> Option<Remote> {
    if section.has("psk_file") && section.has("trust") {
        context.complain(&section.span, Fault::Exclusive { one: "psk_file", other: "trust" });
    }
    match secret(context, section) {
        Some((local, remote)) => Some((remote, Some(local))),
        None => {
            let own = node::trust(context, section, trust);
            own.map(|(remote, _)| (remote, None))
        }
    }
}

/// A secret that is given for one end is that of the other as well, unless it has something of its own;
/// what neither says is as `[node]` has it.
fn pair(
    context: &mut Context<'_>,
    section: &Section<'_>,
    node: Option<&Node>,
    local: Option<Local>,
    remote: Option<Remote>,
) -> Option<(Loaded<LocalAuth>, Loaded<RemoteAuth>)> {
    let (local, for_remote) = local.map_or((None, None), |(local, other)| (Some(local), other));
    let (remote, for_local) = remote.map_or((None, None), |(remote, other)| (Some(remote), other));
    let local = local.or(for_local).or_else(|| node?.local.clone());
    let remote = remote.or(for_remote).or_else(|| node?.remote.clone());
    if !context.has_mistakes() {
        if local.is_none() {
            section.missing(context, "local", "give it a certificate or a psk_file, or [node] a certificate");
        } else if remote.is_none() {
            section.missing(context, "remote", "give it trust or a psk_file, or [node] trust");
        }
    }
    Some((local?, remote?))
}

/// Addresses, ranges and names. A name may stand for any address, so with one the peer may come from
/// anywhere.
fn places(context: &mut Context<'_>, remote: &Section<'_>) -> (Vec<AddressRange>, Vec<String>) {
    let (mut ranges, mut names) = (Vec::new(), Vec::new());
    for place in remote.parse_all(context, "addresses", place) {
        match place {
            Place::Range(range) => ranges.push(range),
            Place::Name(name) => names.push(name),
        }
    }
    if names.is_empty() || ranges.is_empty() {
        return (ranges, names);
    }
    let hosts = ranges.iter().filter(|range| range.start() == range.end());
    let mut all: Vec<String> = hosts.map(|range| range.start().to_string()).collect();
    all.extend(names);
    (Vec::new(), all)
}

/// One address, or a range or prefix of them.
fn local_place(text: &str) -> Result<AddressRange, ValueFault> {
    values::range(text).or_else(|_| values::ip(text).map(AddressRange::host))
}

enum Place {
    Range(AddressRange),
    Name(String),
}

fn place(text: &str) -> Result<Place, ValueFault> {
    if let Ok(range) = values::range(text) {
        return Ok(Place::Range(range));
    }
    match values::address(text)? {
        Address::Ip(ip) => Ok(Place::Range(AddressRange::host(ip))),
        Address::Name(name) => Ok(Place::Name(name)),
    }
}

fn children(context: &mut Context<'_>, section: &Section<'_>) -> Vec<Child> {
    let mut names = BTreeSet::new();
    let mut children = Vec::new();
    for section in section.sections(context, "child", &schema::CHILD) {
        let Some(child) = child(context, &section) else { continue };
        if !names.insert(Arc::clone(&child.config.name)) {
            let name = child.config.name.to_string();
            context.complain(&section.span, Fault::Repeated { what: "child of this connection", name });
        }
        children.push(child);
    }
    children
}

fn child(context: &mut Context<'_>, section: &Section<'_>) -> Option<Child> {
    if !section.has("name") {
        section.missing(context, "name", "`tidegate status` shows it");
    }
    let name = section.parse(context, "name", values::non_empty);
    let any = TrafficSelector::any_v4();
    let mut config = ChildConfig::new(name.as_deref().unwrap_or_default(), any, any);
    config.local = selectors(context, section, "local");
    config.remote = selectors(context, section, "remote");
    let proposals = |text: &str| EspProposal::parse_list(text).map_err(ValueFault::Proposal);
    set(&mut config.proposals, section.parse(context, "proposals", proposals));
    set(&mut config.lifetimes.rekey, section.parse(context, "rekey", values::maybe_span));
    if let Some(rekey) = config.lifetimes.rekey {
        (config.lifetimes.overtime, config.lifetimes.jitter) =
            ((rekey / MARGIN).max(LEAST_OVERTIME), rekey / MARGIN);
    }
    let modes = [ChildMode::Tunnel, ChildMode::Pass, ChildMode::Drop];
    let mode = section.choice(context, "mode", &["tunnel", "pass", "drop"], &modes).unwrap_or_default();
    let words = &["wait", "on-traffic", "trap", "at-once"];
    let starts = [Start::Wait, Start::OnTraffic, Start::Trap, Start::AtOnce];
    // A rule that needs no peer has nothing to wait for.
    let usual = if mode == ChildMode::Tunnel { Start::Wait } else { Start::AtOnce };
    let start = section.choice(context, "start", words, &starts).unwrap_or(usual);
    config.start = if start == Start::AtOnce { ChildStart::WithIke } else { ChildStart::OnDemand };
    let on_close = after(context, section, "on_close");
    let on_death = after(context, section, "on_death");
    let inactivity = section.parse(context, "inactivity", values::maybe_span).flatten();
    let updown = section.parse(context, "updown", values::non_empty).map(Arc::from);
    name.map(|_| Child { mode, start, on_close, on_death, inactivity, updown, ..Child::new(config) })
}

fn after(context: &mut Context<'_>, section: &Section<'_>, key: &str) -> After {
    let meanings = [After::Clear, After::OnTraffic, After::Restart];
    section.choice(context, key, &["clear", "on-traffic", "restart"], &meanings).unwrap_or_default()
}

/// What is left out is the address of that end.
fn selectors(context: &mut Context<'_>, section: &Section<'_>, key: &str) -> Vec<ConfiguredSelector> {
    if section.has(key) {
        return section.parse_all(context, key, values::selector);
    }
    values::selector("dynamic").into_iter().collect()
}
