//! What there is to be measured, as text.
//!
//! Series are named after connections and children, of which there are as many as are configured: never
//! after SAs, of which there are ever more.

use crate::status::{ConnectionStatus, CountersReport, IkeSaStatus, Traffic};
use std::collections::BTreeMap;
use std::fmt::{Display, Write};

/// All metrics.
pub fn render(status: &[ConnectionStatus], counters: &CountersReport) -> String {
    let mut page = Page::default();
    connections(&mut page, status);
    ike_sas(&mut page, status);
    children(&mut page, status);
    totals(&mut page, counters);
    handshakes(&mut page, counters);
    page.text
}

fn connections(page: &mut Page, status: &[ConnectionStatus]) {
    page.family("tidegate_connection_up", "gauge", "Whether all of a connection stands that should.");
    for connection in status {
        page.of_connection("tidegate_connection_up", connection, u8::from(connection.state == "up"));
    }
    let wanted = |connection: &&ConnectionStatus| {
        connection.state != "up" && connection.children.iter().any(|child| child.start == "start")
    };
    page.family("tidegate_connections_down", "gauge", "Connections that should be up and are not.");
    page.sample("tidegate_connections_down", &[], status.iter().filter(wanted).count());
    page.family("tidegate_connection_failures", "gauge", "Failed attempts in a row.");
    for connection in status {
        page.of_connection("tidegate_connection_failures", connection, connection.failures);
    }
}

/// What is told of a connection's newest IKE SA, where it has that.
type OfIkeSa = (&'static str, &'static str, fn(&IkeSaStatus) -> Option<f64>);

const OF_IKE_SAS: [OfIkeSa; 4] = [
    ("tidegate_peer_rtt_seconds", "Round trip time, as the last request measured it.", |sa| {
        sa.rtt_ms.map(|time| time / 1e3)
    }),
    ("tidegate_peer_silence_seconds", "Time since the peer proved to be there.", |sa| sa.silence),
    ("tidegate_ike_sa_age_seconds", "Age of the IKE SA.", |sa| Some(sa.age)),
    ("tidegate_ike_sa_rekey_seconds", "Time until the IKE SA gets new keys.", |sa| sa.rekey_in),
];

fn ike_sas(page: &mut Page, status: &[ConnectionStatus]) {
    page.family("tidegate_ike_sas", "gauge", "IKE SAs by how far they have come.");
    let mut phases = BTreeMap::from([("ESTABLISHED", 0_u64), ("CONNECTING", 0)]);
    for sa in status.iter().flat_map(|connection| &connection.sas) {
        *phases.entry(sa.phase).or_default() += 1;
    }
    for (phase, count) in phases {
        page.sample("tidegate_ike_sas", &[("state", &phase.to_lowercase())], count);
    }
    for (name, help, value) in OF_IKE_SAS {
        page.family(name, "gauge", help);
        for connection in status {
            if let Some(value) = connection.sas.last().and_then(value) {
                page.of_connection(name, connection, value);
            }
        }
    }
}

/// All SAs of a child, by its name.
#[derive(Default)]
struct Carried {
    sas: u64,
    received: Traffic,
    sent: Traffic,
}

fn children(page: &mut Page, status: &[ConnectionStatus]) {
    let all: Vec<_> = status.iter().map(|connection| (connection, by_name(connection))).collect();
    let mut family = |name: &str, help: &str, value: fn(&Carried) -> u64| {
        page.family(name, "gauge", help);
        for (connection, children) in &all {
            for (child, carried) in children {
                let labels = [("connection", connection.name.as_str()), ("child", child)];
                page.sample(name, &labels, value(carried));
            }
        }
    };
    family("tidegate_child_sas", "Child SAs.", |carried| carried.sas);
    family("tidegate_child_received_bytes", "Bytes that its present SAs have received.", |carried| {
        carried.received.bytes
    });
    family("tidegate_child_sent_bytes", "Bytes that its present SAs have sent.", |carried| {
        carried.sent.bytes
    });
}

fn by_name(connection: &ConnectionStatus) -> BTreeMap<&str, Carried> {
    let mut children: BTreeMap<&str, Carried> = BTreeMap::new();
    for configured in &connection.children {
        children.entry(&configured.name).or_default();
    }
    for child in connection.sas.iter().flat_map(|sa| &sa.children) {
        let carried = children.entry(&child.name).or_default();
        carried.sas += 1;
        carried.received.bytes = carried.received.bytes.saturating_add(child.received.bytes);
        carried.sent.bytes = carried.sent.bytes.saturating_add(child.sent.bytes);
    }
    children
}

fn totals(page: &mut Page, counters: &CountersReport) {
    let CountersReport { received, sent, packet_drops, ike_drops, totals, offloads, queues, .. } = counters;
    for (name, help, [inwards, outwards]) in [
        ("tidegate_packets_total", "Packets carried.", [received.packets, sent.packets]),
        ("tidegate_bytes_total", "Bytes of inner packets carried.", [received.bytes, sent.bytes]),
    ] {
        page.family(name, "counter", help);
        page.sample(name, &[("direction", "in")], inwards);
        page.sample(name, &[("direction", "out")], outwards);
    }
    for (name, help, drops) in [
        ("tidegate_packet_drops_total", "Packets that went no further, by reason.", packet_drops),
        ("tidegate_ike_drops_total", "IKE datagrams that went no further, by reason.", ike_drops),
    ] {
        page.family(name, "counter", help);
        for (reason, count) in drops {
            page.sample(name, &[("reason", reason)], count);
        }
    }
    for (name, count) in totals {
        let name = format!("tidegate_{name}_total");
        page.family(&name, "counter", "Since the engine was started.");
        page.sample(&name, &[], count);
    }
    const OFFLOAD: &str = "tidegate_offload";
    page.family(OFFLOAD, "gauge", "Whether an offload of the kernel is in use.");
    for (name, &in_use) in offloads {
        page.sample(OFFLOAD, &[("name", name)], u8::from(in_use));
    }
    const QUEUE: &str = "tidegate_queue_limit";
    page.family(
        QUEUE,
        "gauge",
        "How much waits at most before it is lost, in the unit that the name ends with.",
    );
    for (name, limit) in queues {
        page.sample(QUEUE, &[("name", name)], limit);
    }
}

fn handshakes(page: &mut Page, counters: &CountersReport) {
    const NAME: &str = "tidegate_ike_handshake_seconds";
    let times = &counters.handshakes;
    page.family(NAME, "histogram", "Time from the first message of an IKE SA until it stood.");
    let bucket = format!("{NAME}_bucket");
    for (bound, count) in &times.within_ms {
        page.sample(&bucket, &[("le", &(*bound as f64 / 1e3).to_string())], count);
    }
    page.sample(&bucket, &[("le", "+Inf")], times.count);
    page.sample(&format!("{NAME}_sum"), &[], times.sum_us as f64 / 1e6);
    page.sample(&format!("{NAME}_count"), &[], times.count);
}

#[derive(Default)]
struct Page {
    text: String,
}

// Writing to a string does not fail.
impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn of_connection(&mut self, name: &str, connection: &ConnectionStatus, value: impl Display) {
        self.sample(name, &[("connection", &connection.name)], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(value));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}
