//! Connections and SAs in the words that charon uses.

use super::command::failure;
use crate::status::{ChildSaStatus, ConnectionStatus, IkeSaStatus};
use crate::vici::message::Message;
use crate::vici::names;

/// An IKE SA with these of its children, below the name of its connection.
pub(super) fn ike_sa_with<'a>(
    connection: &ConnectionStatus,
    sa: &IkeSaStatus,
    children: impl Iterator<Item = &'a ChildSaStatus>,
) -> Message {
    let mut section = ike_sa(connection, sa);
    let children = children.fold(Message::new(), |section, child| {
        section.with_section(&child_key(child), child_sa(connection, child))
    });
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
    section.put_some("nat-any", yes(sa.nat.0 || sa.nat.1));
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
    format!("{}-{}", child.name, child.spi_in)
}

/// A child SA.
pub(super) fn child_sa(connection: &ConnectionStatus, child: &ChildSaStatus) -> Message {
    let mut section = Message::new()
        .with("name", &child.name)
        .with("uniqueid", child.spi_in)
        .with("reqid", reqid(connection, &child.name))
        .with("state", if child.current { "INSTALLED" } else { "REKEYED" })
        .with("mode", "TUNNEL")
        .with("protocol", "ESP");
    section.put_some("encap", yes(child.udp));
    section.put("spi-in", format_args!("{:08x}", child.spi_in));
    section.put("spi-out", format_args!("{:08x}", child.spi_out));
    names::put_algorithms(&mut section, &child.algorithms);
    section.put("bytes-in", child.received.bytes);
    section.put("packets-in", child.received.packets);
    section.put("bytes-out", child.sent.bytes);
    section.put("packets-out", child.sent.packets);
    section.put_some("rekey-time", child.rekey_in.map(seconds));
    section.put("install-time", seconds(child.age));
    section.put_list("local-ts", &child.local);
    section.put_list("remote-ts", &child.remote);
    section
}

/// A connection as it is configured.
pub(super) fn connection(connection: &ConnectionStatus) -> Message {
    let children = connection.children.iter().fold(Message::new(), |section, child| {
        let configured = Message::new()
            .with("mode", "TUNNEL")
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

/// The IKE SA that a client names by number.
pub(super) fn ike_id(arguments: &Message) -> Result<Option<u64>, Message> {
    number(arguments, ["ike-id", "ike_id"])
}

/// The child that a client names by number: its inbound SPI. Some clients take numbers for signed.
pub(super) fn child_id(arguments: &Message) -> Result<Option<u32>, Message> {
    let Some(number) = number::<i64>(arguments, ["child-id", "child_id"])? else { return Ok(None) };
    let spi = u32::try_from(number).or_else(|_| i32::try_from(number).map(i32::cast_unsigned));
    spi.map(Some).map_err(|_| failure(format_args!("no child has the number {number}")))
}

fn number<T: std::str::FromStr>(arguments: &Message, names: [&str; 2]) -> Result<Option<T>, Message> {
    let Some((name, text)) = names.into_iter().find_map(|name| Some((name, arguments.text(name)?))) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| failure(format_args!("{name} is no number: {text:?}")))
}

/// The place of a child in its configuration: it stays the same over all rekeys.
fn reqid(connection: &ConnectionStatus, child: &str) -> usize {
    connection.children.iter().position(|configured| configured.name == child).map_or(0, |place| place + 1)
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
