//! `[node]`: who this node is, and what it runs on.

use super::files::Loaded;
use super::reader::{At, Context, FlagOrNumbers, Section};
use super::schema;
use super::values::{self, ValueFault};
use crate::driver::packets::{Pinning, Threads};
use crate::mesh::{Endpoint, Role};
use crate::route::CharonRule;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use tidegate_ike::auth::{LocalAuth, RemoteAuth, Revocation};
use tidegate_ike::connection::EncapsulationPolicy;
use tidegate_ike::identity::Identity;

/// What concerns this node alone.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSettings {
    /// Addresses to listen at; empty for any.
    pub listen: Vec<IpAddr>,
    /// The port of IKE.
    pub port: u16,
    /// The port of IKE and ESP behind NATs.
    pub nat_port: u16,
    /// Where state is kept that outlives a run.
    pub state: PathBuf,
    /// The socket of the control protocol.
    pub vici: PathBuf,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// The folder that session keys are written to.
    pub key_log: Option<PathBuf>,
    /// How many threads carry packets.
    pub threads: Threads,
    /// Which cores they run on.
    pub pinning: Pinning,
    /// Where packets come from and go to.
    pub device: DeviceSettings,
    /// How packets find the device.
    pub routes: RouteTable,
    /// What is logged, and how.
    pub log: LogSettings,
}

/// Where packets come from and go to.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSettings {
    /// Its kind.
    pub kind: DeviceKind,
    /// Its name.
    pub name: String,
    /// Its MTU.
    pub mtu: u16,
    /// Whether super-packets cross it.
    pub offload: Offload,
}

/// Whether super-packets cross a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offload {
    /// Where the kernel can.
    #[default]
    On,
    /// Each packet crosses alone.
    Off,
}

/// Kinds of devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKind {
    /// A TUN interface.
    #[default]
    Tun,
    /// None: tunnels are set up, and carry nothing.
    None,
}

/// How packets find the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteTable {
    /// The routing table.
    pub table: u32,
    /// The priority of our rules.
    pub priority: u32,
    /// The mark of our own packets.
    pub mark: u32,
    /// Whether strongSwan's rule is kept.
    pub charon_rule: CharonRule,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// A level, or levels by area: `info,tidegate::engine=debug`.
    pub level: String,
    /// For people or for machines.
    pub format: LogFormat,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines, an object a line.
    Json,
}

/// What the rest of a configuration needs of this section.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) settings: NodeSettings,
    pub(super) endpoint: Endpoint,
    pub(super) encapsulation: EncapsulationPolicy,
    pub(super) local: Option<Loaded<LocalAuth>>,
    pub(super) remote: Option<Loaded<RemoteAuth>>,
    /// What that was made of.
    pub(super) trust: Option<Trust>,
}

/// Where trust comes from.
#[derive(Debug)]
pub(super) struct Trust {
    anchors: Vec<PathBuf>,
    lists: Vec<PathBuf>,
    revocation: Revocation,
}

pub(super) const ROLES: (&[&str], [Role; 2]) = (&["connector", "edge"], [Role::Connector, Role::Edge]);

pub(super) const ENCAPSULATIONS: (&[&str], [EncapsulationPolicy; 3]) = (
    &["udp", "auto", "raw"],
    [EncapsulationPolicy::Udp, EncapsulationPolicy::Auto, EncapsulationPolicy::Raw],
);

pub(super) fn read(context: &mut Context<'_>, section: &Section<'_>) -> Option<Node> {
    let local = certificate(context, section);
    let (remote, trust) = trust(context, section, None).unzip();
    let name = section.parse(context, "name", values::non_empty);
    if !section.has("name") {
        section.missing(context, "name", "communities know this node by it");
    }
    let written = section.parse(context, "id", |text| text.parse().map_err(ValueFault::Identity));
    let role = section.choice(context, "role", ROLES.0, &ROLES.1).unwrap_or_default();
    let encapsulation = section.choice(context, "encapsulation", ENCAPSULATIONS.0, &ENCAPSULATIONS.1);
    let settings = settings(context, section);
    let addresses = section.parse_all(context, "addresses", values::address);
    let subnets = section.parse_all(context, "subnets", values::range);
    let hosts = section.parse_all(context, "hosts", values::range);
    let name = name?;
    let identity =
        written.or_else(|| subject(local.as_ref())).unwrap_or_else(|| Identity::Fqdn(name.clone()));
    let endpoint = Endpoint { name, identity, role, addresses, port: settings.port, subnets, hosts };
    let encapsulation = encapsulation.unwrap_or(EncapsulationPolicy::Udp);
    Some(Node { settings, endpoint, encapsulation, local, remote, trust })
}

/// Whose certificate it is.
pub(super) fn subject(local: Option<&Loaded<LocalAuth>>) -> Option<Identity> {
    match local.map(|loaded| loaded.auth.as_ref()) {
        Some(LocalAuth::Certificate(certificate)) => Some(Identity::Dn(certificate.subject().clone())),
        _ => None,
    }
}

/// The certificate and key of a section that may have both.
pub(super) fn certificate(context: &mut Context<'_>, section: &Section<'_>) -> Option<Loaded<LocalAuth>> {
    let certificate = section.text(context, "certificate");
    let key = section.text(context, "key");
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) if !section.has("key") => {
            section.missing(context, "key", "the certificate needs its private key");
            return None;
        }
        (None, Some(_)) if !section.has("certificate") => {
            section.missing(context, "certificate", "the key alone proves nothing");
            return None;
        }
        _ => return None,
    };
    match context.files.certificate(certificate.value, key.value) {
        Ok(loaded) => Some(loaded),
        Err((path, fault)) => {
            let at_key = path == context.files.path(key.value) && key.value != certificate.value;
            let (name, span) = if at_key { ("key", &key.span) } else { ("certificate", &certificate.span) };
            context.complain_of_file(name, span, path, fault);
            None
        }
    }
}

/// Whom a section trusts: what it leaves out is as `[node]` has it, and lists go with their anchors. `None` where
/// it says nothing of its own.
pub(super) fn trust(
    context: &mut Context<'_>,
    section: &Section<'_>,
    node: Option<&Trust>,
) -> Option<(Loaded<RemoteAuth>, Trust)> {
    let anchors = section.texts(context, "trust");
    let lists = section.texts(context, "crls");
    let revocation = section.choice(context, "revocation", REVOCATIONS.0, &REVOCATIONS.1);
    if anchors.is_none() && lists.is_none() && (revocation.is_none() || node.is_none()) {
        return None;
    }
    let paths = |context: &Context<'_>, all: &[At<&str>]| -> Vec<PathBuf> {
        all.iter().map(|it| context.files.path(it.value)).collect()
    };
    let trust = Trust {
        anchors: match (&anchors, node) {
            (Some(own), _) => paths(context, own),
            (None, node) => node?.anchors.clone(),
        },
        lists: match (&lists, &anchors, node) {
            (Some(own), ..) => paths(context, own),
            (None, None, Some(node)) => node.lists.clone(),
            _ => Vec::new(),
        },
        revocation: revocation.or(node.map(|node| node.revocation)).unwrap_or_default(),
    };
    match context.files.trust(&trust.anchors, &trust.lists, trust.revocation) {
        Ok(loaded) => Some((loaded, trust)),
        Err((path, fault)) => {
            let named = |key, all: &Option<Vec<At<&str>>>| {
                let found = all.iter().flatten().find(|it| path.starts_with(context.files.path(it.value)));
                found.map(|it| (key, it.span.clone()))
            };
            let found = named("trust", &anchors).or_else(|| named("crls", &lists));
            let (key, span) = found.unwrap_or(("trust", section.span.clone()));
            context.complain_of_file(key, &span, path, fault);
            None
        }
    }
}

const REVOCATIONS: (&[&str], [Revocation; 4]) = (
    &["off", "relaxed", "ifuri", "strict"],
    [Revocation::Off, Revocation::Relaxed, Revocation::IfUri, Revocation::Strict],
);

fn settings(context: &mut Context<'_>, section: &Section<'_>) -> NodeSettings {
    let path = |context: &mut Context<'_>, key| {
        let text = section.text(context, key)?;
        Some(context.files.path(text.value))
    };
    let port = section.port(context, "port").unwrap_or(500);
    let nat_port = section.port(context, "nat_port").unwrap_or(4500);
    NodeSettings {
        listen: section.parse_all(context, "listen", values::ip),
        port,
        nat_port,
        state: path(context, "state").unwrap_or_else(|| "/var/lib/tidegate".into()),
        vici: path(context, "vici").unwrap_or_else(|| "/run/tidegate/vici.sock".into()),
        metrics: section.parse(context, "metrics", |text| text.parse().map_err(|_| ValueFault::Socket)),
        key_log: path(context, "key_log"),
        threads: threads(context, section),
        pinning: pinning(context, section),
        device: device(context, section),
        routes: routes(context, section),
        log: log(context, section),
    }
}

fn threads(context: &mut Context<'_>, section: &Section<'_>) -> Threads {
    let count = section.number(context, "workers", 1, 64).and_then(|count| usize::try_from(count).ok());
    count.and_then(NonZero::new).map_or_else(Threads::for_this_machine, Threads::of)
}

fn pinning(context: &mut Context<'_>, section: &Section<'_>) -> Pinning {
    // As many cores as a mask of the kernel has room for here.
    match section.flag_or_numbers(context, "pin", 0, 1023) {
        None | Some(FlagOrNumbers::Flag(false)) => Pinning::None,
        Some(FlagOrNumbers::Flag(true)) => Pinning::InOrder,
        Some(FlagOrNumbers::Numbers(cores)) => {
            Pinning::Cores(cores.into_iter().map(|core| core as usize).collect())
        }
    }
}

fn device(context: &mut Context<'_>, node: &Section<'_>) -> DeviceSettings {
    let mut settings = DeviceSettings {
        kind: DeviceKind::Tun,
        name: "tidegate0".into(),
        mtu: DEFAULT_MTU,
        offload: Offload::On,
    };
    let Some(section) = node.section(context, "device", &schema::DEVICE) else { return settings };
    let kinds = [DeviceKind::Tun, DeviceKind::None];
    settings.kind = section.choice(context, "kind", &["tun", "none"], &kinds).unwrap_or_default();
    if let Some(name) = section.parse(context, "name", values::interface) {
        settings.name = name;
    }
    // The least that IPv4 hosts take, and room for the outer headers in the longest packet.
    let mtu = section.number(context, "mtu", 576, 65_000);
    settings.mtu = mtu.and_then(|mtu| u16::try_from(mtu).ok()).unwrap_or(DEFAULT_MTU);
    if section.flag(context, "offload") == Some(false) {
        settings.offload = Offload::Off;
    }
    settings
}

/// What most links carry. Routes through the device say what fits the path of each peer.
const DEFAULT_MTU: u16 = 1500;

fn routes(context: &mut Context<'_>, node: &Section<'_>) -> RouteTable {
    let mut routes = RouteTable { table: 2460, priority: 210, mark: 0x7d6, charon_rule: CharonRule::Leave };
    let Some(section) = node.section(context, "routes", &schema::ROUTES) else { return routes };
    // Below are the kernel's own tables; above there is room for those that are taken as they are needed.
    routes.table = section.number(context, "table", 256, u32::MAX - 4096).unwrap_or(routes.table);
    // Before the rule of strongSwan and its like, 220.
    routes.priority = section.number(context, "priority", 1, 215).unwrap_or(routes.priority);
    routes.mark = section.number(context, "mark", 1, u32::MAX).unwrap_or(routes.mark);
    if section.flag(context, "charon_rule") == Some(true) {
        routes.charon_rule = CharonRule::Keep;
    }
    routes
}

fn log(context: &mut Context<'_>, node: &Section<'_>) -> LogSettings {
    let mut settings = LogSettings { level: "info".into(), format: LogFormat::Text };
    let Some(section) = node.section(context, "log", &schema::LOG) else { return settings };
    if let Some(level) = section.parse(context, "level", values::log_level) {
        settings.level = level;
    }
    let formats = [LogFormat::Text, LogFormat::Json];
    settings.format = section.choice(context, "format", &["text", "json"], &formats).unwrap_or_default();
    settings
}
