//! Connections that clients load, and all as they are configured.

use super::command::{Reply, failure, success};
use super::event_name::EventName;
use super::{Hall, describe};
use crate::connection::{After, Child, ChildMode};
use crate::status::ConnectionStatus;
use crate::vici::control::Control;
use crate::vici::credentials::StoredCertificate;
use crate::vici::message::{Element, Message};
use crate::vici::registry::Loaded;
use crate::vici::sections::{LocalRound, Method, RemoteRound, Revocation};
use std::sync::Arc;
use std::time::Duration;
use tidegate_ike::connection::Unique;
use tidegate_ike::identity::IdentityPattern;
use tidegate_ike::narrow::ConfiguredSelector;

/// Loads connections, each a section of its name.
pub(super) async fn load<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let mut warnings = Vec::new();
    for (name, element) in arguments.elements() {
        let Element::Section(section) = element else {
            return failure(format_args!("unknown option: {name}, config discarded"));
        };
        let loaded = hall.registry.load(&hall.control, &hall.credentials, name, section).await;
        match loaded {
            Ok(loaded) => warnings.extend(complaints(name, &loaded)),
            Err(fault) => return failure(fault),
        }
    }
    let mut answer = success();
    if !warnings.is_empty() {
        answer.put_list("tidegate-warnings", warnings);
    }
    answer
}

/// What is to be said of a connection that was taken.
fn complaints(name: &str, loaded: &Loaded) -> Vec<String> {
    let mut all: Vec<String> = loaded.described.warnings.iter().map(ToString::to_string).collect();
    all.extend(loaded.lacking.as_ref().map(|lacking| format!("not usable yet: {lacking}")));
    for complaint in &all {
        tracing::warn!(target: "tidegate::vici", connection = name, "{complaint}");
    }
    all.into_iter().map(|complaint| format!("{name}: {complaint}")).collect()
}

/// Takes a connection away.
pub(super) async fn unload<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let Some(name) = arguments.text("name") else { return failure("unload: missing connection name") };
    match hall.registry.unload(&hall.control, name).await {
        Ok(()) => success(),
        Err(fault) => failure(fault),
    }
}

/// The names of all connections.
pub(super) async fn get<C: Control>(hall: &Hall<C>) -> Message {
    match hall.control.connections().await {
        Ok(names) => Message::new().with_list("conns", names),
        Err(error) => failure(error),
    }
}

/// Streams the connections as they are configured.
pub(super) async fn list<C: Control>(hall: &Hall<C>, arguments: &Message, reply: &Reply) -> Message {
    if !reply.wants(EventName::ListConn) {
        return Message::new();
    }
    let status = match hall.control.status().await {
        Ok(status) => status,
        Err(error) => return failure(error),
    };
    let loaded = hall.registry.all().await;
    for connection in status {
        if arguments.text("ike").is_none_or(|name| name == connection.name) {
            let message = match loaded.get(connection.name.as_str()) {
                Some(loaded) => described(loaded, &connection),
                None => describe::connection(&connection),
            };
            reply.stream(EventName::ListConn, message).await;
        }
    }
    Message::new()
}

/// A connection as a client has loaded it.
fn described(loaded: &Loaded, status: &ConnectionStatus) -> Message {
    let Loaded { described, lacking } = loaded;
    let (plan, shown) = (described.plan(), &described.shown);
    let mut section = Message::new()
        .with_list("local_addrs", &shown.local_addresses)
        .with_list("remote_addrs", &shown.remote_addresses)
        .with("version", shown.version)
        .with("reauth_time", seconds(plan.ike.lifetimes.reauthenticate))
        .with("rekey_time", seconds(plan.ike.lifetimes.rekey))
        .with("unique", unique(plan.ike.unique));
    section.put_some("dpd_delay", plan.ike.liveness.map(|delay| delay.as_secs()));
    section.put_some("dpd_timeout", shown.dpd_timeout.map(|timeout| timeout.as_secs()));
    for (number, round) in (1..).zip(&described.local) {
        section.put_section(&format!("local-{number}"), local(round));
    }
    for (number, round) in (1..).zip(&described.remote) {
        section.put_section(&format!("remote-{number}"), remote(round));
    }
    let children = plan.children.iter();
    let children = children.fold(Message::new(), |all, it| all.with_section(&it.config.name, child(it)));
    section.put_section("children", children);
    describe::put_state(&mut section, status);
    section.put_some("tidegate-lacks", lacking.as_ref());
    Message::new().with_section(described.name(), section)
}

fn local(round: &LocalRound) -> Message {
    let mut section = Message::new();
    section.put_some("id", round.identity.as_ref());
    section.put_some("class", class(round.method));
    with_lists(section, &round.certificates, &[])
}

fn remote(round: &RemoteRound) -> Message {
    let mut section = Message::new();
    let anybody = round.identity == IdentityPattern::Any;
    section.put_some("id", (!anybody).then_some(&round.identity));
    section.put_some("class", class(round.method));
    section.put_some("revocation", (round.revocation != Revocation::Relaxed).then_some(round.revocation));
    with_lists(section, &round.certificates, &round.authorities)
}

fn with_lists(section: Message, certificates: &[Vec<u8>], authorities: &[Vec<u8>]) -> Message {
    let subjects = |all: &[Vec<u8>]| -> Vec<String> {
        let read = all.iter().filter_map(|der| StoredCertificate::from_der(der).ok());
        read.map(|it| it.outline().subject.to_string()).collect()
    };
    let none: [&str; 0] = [];
    section
        .with_list("groups", none)
        .with_list("cert_policy", none)
        .with_list("certs", subjects(certificates))
        .with_list("cacerts", subjects(authorities))
}

fn child(child: &Child) -> Message {
    let lifetimes = &child.config.lifetimes;
    let volume = |limit: u64| if limit == u64::MAX { 0 } else { limit };
    Message::new()
        .with("mode", mode(child.mode))
        .with("rekey_time", seconds(lifetimes.rekey))
        .with("rekey_bytes", volume(lifetimes.volume.soft_bytes))
        .with("rekey_packets", volume(lifetimes.volume.soft_packets))
        .with("dpd_action", action(child.on_death))
        .with("close_action", action(child.on_close))
        .with_list("local-ts", child.config.local.iter().map(selector))
        .with_list("remote-ts", child.config.remote.iter().map(selector))
}

/// As charon writes them: ranges with two dots.
fn selector(selector: &ConfiguredSelector) -> String {
    match selector {
        ConfiguredSelector::Fixed(fixed) => {
            let text = fixed.to_string();
            let (addresses, rest) = text.split_once('[').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
            let addresses = addresses.replacen('-', "..", 1);
            rest.map_or(addresses.clone(), |rest| format!("{addresses}[{rest}"))
        }
        ConfiguredSelector::Dynamic { protocol, ports } => {
            let any = tidegate_esp::TrafficSelector::any_v4();
            let text =
                tidegate_esp::TrafficSelector { protocol: *protocol, ports: *ports, ..any }.to_string();
            text.replacen("0.0.0.0/0", "dynamic", 1)
        }
    }
}

fn seconds(time: Option<Duration>) -> u64 {
    time.unwrap_or_default().as_secs()
}

const fn class(method: Method) -> Option<&'static str> {
    match method {
        Method::Signature(_) => Some("public key"),
        Method::Psk => Some("pre-shared key"),
        Method::Any => None,
    }
}

const fn mode(mode: ChildMode) -> &'static str {
    match mode {
        ChildMode::Tunnel => "TUNNEL",
        ChildMode::Pass => "PASS",
        ChildMode::Drop => "DROP",
    }
}

const fn action(after: After) -> &'static str {
    match after {
        After::Clear => "none",
        After::OnTraffic => "trap",
        After::Restart => "start",
    }
}

const fn unique(unique: Unique) -> &'static str {
    match unique {
        Unique::Never => "UNIQUE_NEVER",
        Unique::No => "UNIQUE_NO",
        Unique::Keep => "UNIQUE_KEEP",
        Unique::Replace => "UNIQUE_REPLACE",
    }
}

/// Follows changes of the credentials, each some time after the first of a row.
pub(super) async fn follow<C: Control>(hall: Arc<Hall<C>>) {
    let mut changes = hall.credentials().changes();
    while changes.changed().await.is_ok() {
        tokio::time::sleep(QUIET).await;
        changes.mark_unchanged();
        hall.registry.follow(&hall.control, &hall.credentials).await;
    }
}

/// Who loads one credential is about to load the next, and `swanctl` forgets all before it loads any.
const QUIET: Duration = Duration::from_millis(200);
