//! Connections and SAs in the words that charon uses.

use crate::event::{ChildFacts, IkeFacts};
use crate::status::{ChildSaStatus, ConfiguredChild, ConnectionStatus, IkeSaStatus};
use crate::vici::message::Message;
use crate::vici::names;
use std::net::SocketAddr;
use tidegate_esp::Encapsulation;
use tidegate_ike::identity::Identity;

/// An IKE SA with these of its children, below the name of its connection.
pub(super) fn ike_sa_with<'a>(
    connection: &ConnectionStatus,
    sa: &IkeSaStatus,
    children: impl Iterator<Item = &'a ChildSaStatus>,
) -> Message {
    let mut section = ike_sa(connection, sa);
    let children = children
        .fold(Message::new(), |section, child| section.with_section(&child_key(child), child_sa(child)));
    section.put_section("child-sas", children);
    Message::new().with_section(&connection.name, section)
}

/// An IKE SA without its children.
pub(super) fn ike_sa(connection: &ConnectionStatus, sa: &IkeSaStatus) -> Message {
    let mut section = Message::new()
        .with("uniqueid", sa.id)
        .with("version", 2)
        .with("state", sa.phase)
        .with("local-host", sa.local.ip())
        .with("local-port", sa.local.port())
        .with("local-id", &connection.local_id)
        .with("remote-host", sa.remote.ip())
        .with("remote-port", sa.remote.port())
        .with("remote-id", sa.peer.as_deref().unwrap_or("%any"));
    section.put_some("initiator", yes(sa.initiator));
    section.put("initiator-spi", format_args!("{:016x}", sa.spis.0));
    section.put("responder-spi", format_args!("{:016x}", sa.spis.1));
    section.put_some("nat-local", yes(sa.nat.0));
    section.put_some("nat-remote", yes(sa.nat.1));
    section.put_some("nat-fake", yes(sa.claims_nat));
    section.put_some("nat-any", yes(sa.nat.0 || sa.nat.1 || sa.claims_nat));
    if let Some(algorithms) = &sa.algorithms {
        names::put_algorithms(&mut section, algorithms);
    }
    if matches!(sa.phase, "ESTABLISHED" | "REKEYED") {
        section.put("established", seconds(sa.age));
    }
    section.put_some("rekey-time", sa.rekey_in.map(seconds));
    section.put_some("reauth-time", sa.reauthentication_in.map(seconds));
    if !sa.virtual_addresses.is_empty() {
        let whose = if sa.initiator { "local-vips" } else { "remote-vips" };
        section.put_list(whose, &sa.virtual_addresses);
    }
    section.put_some("tidegate-rtt-ms", sa.rtt_ms.map(tenths));
    section.put_some("tidegate-handshake-ms", sa.handshake_ms.map(tenths));
    section.put_some("tidegate-silence", sa.silence.map(seconds));
    section
}

/// What a child goes by in lists.
pub(super) fn child_key(child: &ChildSaStatus) -> String {
    key_of(&child.name, child.id)
}

fn key_of(name: &str, number: u64) -> String {
    format!("{name}-{number}")
}

/// An IKE SA that came and went faster than anybody could look, below the name of its connection.
pub(super) fn told_ike_sa(facts: &IkeFacts, state: &str) -> Message {
    let ends = [(facts.local, &facts.local_id), (facts.remote, &facts.remote_id)];
    let mut section = head(facts.number, state, ends);
    section.put_some("initiator", yes(facts.initiator));
    section.put("initiator-spi", format_args!("{:016x}", facts.spis.0));
    section.put("responder-spi", format_args!("{:016x}", facts.spis.1));
    section
}

/// Such a child, within its IKE SA.
pub(super) fn told_child_sa(facts: &ChildFacts, state: &str) -> Message {
    let ends = [(facts.local, &facts.local_id), (facts.remote, &facts.remote_id)];
    let mut child = Message::new()
        .with("name", &facts.child)
        .with("uniqueid", facts.number)
        .with("reqid", facts.reqid)
        .with("state", state)
        .with("mode", "TUNNEL")
        .with("protocol", "ESP");
    child.put_some("encap", yes(facts.encapsulation == Encapsulation::Udp));
    child.put("spi-in", format_args!("{:08x}", facts.spi_in.value()));
    child.put("spi-out", format_args!("{:08x}", facts.spi_out.value()));
    child.put_list("local-ts", &facts.selectors.local);
    child.put_list("remote-ts", &facts.selectors.remote);
    let children = Message::new().with_section(&key_of(&facts.child, facts.number), child);
    head(facts.ike_sa, "ESTABLISHED", ends).with_section("child-sas", children)
}

fn head(number: u64, state: &str, [local, remote]: [(SocketAddr, &Identity); 2]) -> Message {
    Message::new()
        .with("uniqueid", number)
        .with("version", 2)
        .with("state", state)
        .with("local-host", local.0.ip())
        .with("local-port", local.0.port())
        .with("local-id", local.1)
        .with("remote-host", remote.0.ip())
        .with("remote-port", remote.0.port())
        .with("remote-id", remote.1)
}

/// A child SA.
pub(super) fn child_sa(child: &ChildSaStatus) -> Message {
    child_sa_in(child, if child.current { "INSTALLED" } else { "REKEYED" })
}

/// A child SA of which is known what has become of it since it was looked at.
pub(super) fn child_sa_in(child: &ChildSaStatus, state: &str) -> Message {
    let mut section = Message::new()
        .with("name", &child.name)
        .with("uniqueid", child.id)
        .with("reqid", child.reqid)
        .with("state", state)
        .with("mode", "TUNNEL")
        .with("protocol", "ESP");
    section.put_some("encap", yes(child.udp));
    section.put("spi-in", format_args!("{:08x}", child.spi_in));
    section.put("spi-out", format_args!("{:08x}", child.spi_out));
    names::put_algorithms(&mut section, &child.algorithms);
    section.put("bytes-in", child.received.bytes);
    section.put("packets-in", child.received.packets);
    section.put_some("use-in", child.received_ago.map(seconds));
    section.put("bytes-out", child.sent.bytes);
    section.put("packets-out", child.sent.packets);
    section.put_some("use-out", child.sent_ago.map(seconds));
    section.put_some("rekey-time", child.rekey_in.map(seconds));
    section.put_some("life-time", child.expires_in.map(seconds));
    section.put("install-time", seconds(child.age));
    section.put_list("local-ts", &child.local);
    section.put_list("remote-ts", &child.remote);
    section
}

/// A child that is installed without an SA.
pub(super) fn policy(connection: &ConnectionStatus, child: &ConfiguredChild) -> Message {
    let section = Message::new()
        .with("child", &child.name)
        .with("ike", &connection.name)
        .with("mode", child.mode)
        .with_list("local-ts", &child.local)
        .with_list("remote-ts", &child.remote);
    Message::new().with_section(&format!("{}/{}", connection.name, child.name), section)
}

/// A connection as it is configured.
pub(super) fn connection(connection: &ConnectionStatus) -> Message {
    let children = connection.children.iter().fold(Message::new(), |section, child| {
        let configured = Message::new()
            .with("mode", child.mode)
            .with_list("local-ts", &child.local)
            .with_list("remote-ts", &child.remote)
            .with("tidegate-start", child.start);
        section.with_section(&child.name, configured)
    });
    let mut section = Message::new()
        .with_list("local_addrs", or_any(&connection.local_addresses))
        .with_list("remote_addrs", or_any(&connection.remote_addresses))
        .with("version", "IKEv2")
        .with_section("local-1", Message::new().with("id", &connection.local_id))
        .with_section("remote-1", Message::new().with("id", &connection.remote_id))
        .with_section("children", children);
    put_state(&mut section, connection);
    Message::new().with_section(&connection.name, section)
}

/// How a connection fares, which charon does not tell.
pub(super) fn put_state(section: &mut Message, connection: &ConnectionStatus) {
    section.put("tidegate-state", connection.state);
    section.put("tidegate-failures", connection.failures);
    section.put_some("tidegate-retry-in", connection.retry_in.map(seconds));
    section.put_some("tidegate-verdict", connection.last_verdict.as_ref());
}

fn or_any(addresses: &[String]) -> Vec<&str> {
    if addresses.is_empty() { vec!["%any"] } else { addresses.iter().map(String::as_str).collect() }
}

fn yes(is_so: bool) -> Option<&'static str> {
    is_so.then_some("yes")
}

fn seconds(time: f64) -> u64 {
    time as u64
}

fn tenths(time: f64) -> String {
    format!("{time:.1}")
}
