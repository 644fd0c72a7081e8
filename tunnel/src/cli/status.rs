//! `status`: a table for people, JSON for machines.

use super::output::{bytes, duration, print};
use super::table::Table;
use super::{Failure, Socket, at_once};
use clap::Args;
use serde::Deserialize;
use tidegate::vici::Message;

#[derive(Args)]
pub(super) struct Arguments {
    /// Shows this connection alone
    name: Option<String>,
    /// Shows all that is known, for machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: Socket,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut client = arguments.socket.connect().await?;
    let mut filter = Message::new();
    filter.put_some("ike", arguments.name.as_ref());
    let mut texts: Vec<String> = Vec::new();
    let each = |event: Message| texts.push(event.list("json").collect());
    at_once(client.stream("tidegate-status", "tidegate-connection", &filter, each)).await?;
    if arguments.json {
        return print(&format!("[{}]\n", texts.join(",\n")));
    }
    let connections: Result<Vec<Connection>, _> =
        texts.iter().map(|text| serde_json::from_str(text)).collect();
    print(&render(&connections?))
}

/// What of a connection's status is shown. All that a daemon of another version may lack has a default.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Connection {
    name: String,
    state: String,
    remote_id: String,
    remote_addresses: Vec<String>,
    retry_in: Option<f64>,
    last_verdict: Option<String>,
    sas: Vec<IkeSa>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IkeSa {
    phase: String,
    remote: String,
    peer: Option<String>,
    suite: Option<String>,
    age: f64,
    rekey_in: Option<f64>,
    silence: Option<f64>,
    rtt_ms: Option<f64>,
    children: Vec<Child>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Child {
    name: String,
    current: bool,
    suite: String,
    local: Vec<String>,
    remote: Vec<String>,
    received: Traffic,
    sent: Traffic,
    age: f64,
    rekey_in: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Traffic {
    bytes: u64,
}

const HEADER: [&str; 11] =
    ["CONNECTION", "STATE", "PEER", "ADDRESS", "SUITE", "AGE", "REKEY", "IN", "OUT", "RTT", "SEEN"];

fn render(connections: &[Connection]) -> String {
    if connections.is_empty() {
        return "There are no connections.\n".to_owned();
    }
    let mut table = Table::new(&HEADER);
    for connection in connections {
        show(&mut table, connection);
    }
    table.render()
}

fn show(table: &mut Table, connection: &Connection) {
    if connection.sas.is_empty() {
        let address = connection.remote_addresses.join(",");
        let row = [&connection.name, &connection.state, &connection.remote_id, &address];
        table.row(row.into_iter().cloned());
    }
    for (place, sa) in connection.sas.iter().enumerate() {
        let first = place == 0;
        table.row(ike_sa_row(connection, sa, if first { &connection.name } else { "" }));
        for child in &sa.children {
            table.row(child_row(child));
        }
    }
    // An old verdict says nothing about a connection that stands.
    if let Some(verdict) = connection.last_verdict.as_ref().filter(|_| connection.state != "up") {
        let again = connection.retry_in.map(|time| format!("; again in {}", duration(time)));
        table.text(&format!("  {verdict}{}", again.unwrap_or_default()));
    }
}

fn ike_sa_row(connection: &Connection, sa: &IkeSa, name: &str) -> [String; 11] {
    let state = match sa.phase.as_str() {
        "ESTABLISHED" => connection.state.clone(),
        other => other.to_lowercase(),
    };
    let (received, sent) = sa.children.iter().fold((0_u64, 0_u64), |(received, sent), child| {
        (received.saturating_add(child.received.bytes), sent.saturating_add(child.sent.bytes))
    });
    [
        name.to_owned(),
        state,
        sa.peer.as_ref().unwrap_or(&connection.remote_id).clone(),
        sa.remote.clone(),
        sa.suite.clone().unwrap_or_default(),
        duration(sa.age),
        sa.rekey_in.map(duration).unwrap_or_default(),
        bytes(received),
        bytes(sent),
        sa.rtt_ms.map(|time| format!("{time:.1}ms")).unwrap_or_default(),
        sa.silence.map(duration).unwrap_or_default(),
    ]
}

fn child_row(child: &Child) -> [String; 11] {
    [
        format!("  {}", child.name),
        if child.current { String::new() } else { "rekeyed".to_owned() },
        format!("{} - {}", child.local.join(","), child.remote.join(",")),
        String::new(),
        child.suite.clone(),
        duration(child.age),
        child.rekey_in.map(duration).unwrap_or_default(),
        bytes(child.received.bytes),
        bytes(child.sent.bytes),
        String::new(),
        String::new(),
    ]
}
