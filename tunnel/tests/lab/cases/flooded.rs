//! Floods of all kinds at a connector with a tunnel: the tunnel goes on, somebody new gets in, memory does not
//! grow, and the log does not either.
//!
//! The rate is one that any machine can give and take. How it is at the rates that hurt is for `overload` among the
//! benchmarks to say.

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::certificates::{Authority, Key};
use crate::support::flood::{Draft, Flood, Heard, IKE, MARKER, NAT, overhear};
use crate::support::flow::Flow;
use crate::support::member::Mesh;
use crate::support::network::{Internet, Site, Uplink};
use crate::support::tidegate::Tidegate;
use crate::support::wait;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;

/// The cases.
pub(crate) fn suite() -> Suite {
    let cases = Cases::new("flooded", Needs::Network, Gate::new);
    let cases = cases.case("by_first_messages", |lab, gate| gate.withstand(lab, gate.first_messages()));
    let cases = cases.case("by_malformed_messages", |lab, gate| gate.withstand(lab, gate.malformed()));
    let cases = cases.case("by_fragments_of_nobody", |lab, gate| gate.withstand(lab, gate.fragments(None)));
    let cases =
        cases.case("by_forged_fragments", |lab, gate| gate.withstand(lab, gate.fragments(Some(gate.peer()))));
    let cases = cases.case("by_esp_of_nobody", |lab, gate| gate.withstand(lab, gate.esp_of_nobody()));
    let cases = cases.case("by_forged_esp", |lab, gate| gate.withstand(lab, gate.forged_esp()));
    let cases = cases.case("by_esp_once_more", |lab, gate| gate.withstand(lab, gate.once_more(Gate::esp)));
    let cases = cases.case("by_ike_once_more", |lab, gate| gate.withstand(lab, gate.once_more(Gate::ike)));
    cases.suite()
}

const RATE: u32 = 5000;
/// As many packets as there are in two seconds.
const PACKETS: u64 = 2 * RATE as u64;
/// A busy machine may take its time.
const PATIENCE: Duration = Duration::from_secs(40);
/// What is taken once, and once for each who is let in before he has to show a cookie.
const GROWTH: u64 = 8 << 20;
/// A few for each who comes and goes, and what is told so many times a second.
const LINES: usize = 200;

const PEER: &str = "edge-1";
const CONNECTOR: &str = "cloud-1";
const NEWCOMER: &str = "edge-3";
const IKE_HEADER: usize = 28;
const INITIATOR_SPI: Range<usize> = 0..8;
/// All but the first byte, so that it is no number that is kept for other things.
const NOBODYS_ESP: Range<usize> = 1..200;
const SKF: u8 = 53;
const INFORMATIONAL: u8 = 37;
const FROM_INITIATOR: u8 = 0x08;

/// A connector with a tunnel to one edge, and another edge that is not there yet.
struct Gate {
    internet: Internet,
    sites: [Site; 3],
    uplinks: [Uplink; 3],
    mesh: Mesh,
    connector: Tidegate,
    _edge: Tidegate,
    heard: Heard,
}

impl Gate {
    fn new(lab: &Lab) -> Self {
        let internet = Internet::new();
        let mut mesh =
            Mesh::new(Authority::made_by_us(lab.folder(), "authority"), "fabedge.io", Key::Ecdsa(256));
        let names = [(PEER, "edge", 1), (CONNECTOR, "connector", 2), (NEWCOMER, "edge", 3)];
        let sites = names.map(|(name, _, number)| Site::new(name, number));
        let uplinks: [Uplink; 3] = std::array::from_fn(|index| {
            let (name, role, number) = names[index];
            let uplink = internet.attach(&sites[index].node, number);
            let subnets = sites[index].subnets().map(|subnet| subnet.to_string());
            mesh.add(name, role, uplink.v4.into(), &subnets.each_ref().map(String::as_str));
            uplink
        });
        let [edge, cloud, _] = &sites;
        let connector = Tidegate::start(lab, &cloud.node, &mesh.config(CONNECTOR));
        let (edge, heard) = overhear(&cloud.node, uplinks[0].v4, || {
            let daemon = Tidegate::start(lab, &edge.node, &mesh.config(PEER));
            daemon.wait_until_all_up(PATIENCE);
            Flow::start(&edge.pod, &cloud.pod, cloud.pod_v4.into(), 1000).wait_for(100, PATIENCE);
            daemon
        });
        Self { internet, sites, uplinks, mesh, connector, _edge: edge, heard }
    }

    /// Has a flood come, and everything go on.
    #[track_caller]
    fn withstand(&self, lab: &Lab, drafts: Vec<Draft>) {
        let [edge, cloud, newcomer] = &self.sites;
        let (memory, lines) = (self.connector.resident_memory(), self.lines());
        let flows = [
            Flow::start(&edge.pod, &cloud.pod, cloud.pod_v4.into(), 1000),
            Flow::start(&cloud.pod, &edge.pod, edge.pod_v4.into(), 1000),
        ];
        let flood = Flood::start(&self.internet.router, self.uplinks[1].v4, drafts, RATE);
        let new = Tidegate::start(lab, &newcomer.node, &self.mesh.config(NEWCOMER));
        let took = wait::until_true("somebody new is in", PATIENCE, || new.is_up(CONNECTOR));
        wait::until_true("the flood has come", PATIENCE, || flood.sent() >= PACKETS);
        for flow in &flows {
            flow.wait_for(500, PATIENCE);
        }
        drop(flood);
        new.stop();
        let (more, said) = (self.connector.resident_memory().saturating_sub(memory), self.lines() - lines);
        lab.say(format!(
            "somebody new is in after {} ms, {more} bytes and {said} lines more",
            took.as_millis()
        ));
        assert!(more < GROWTH, "it takes {more} bytes more than before");
        assert!(said < LINES, "it has logged {said} lines");
    }

    fn lines(&self) -> usize {
        self.connector.log().lines().count()
    }

    fn peer(&self) -> Ipv4Addr {
        self.uplinks[0].v4
    }

    /// What began the IKE SA, with an SPI of its own each.
    fn first_messages(&self) -> Vec<Draft> {
        vec![Draft { from: None, port: IKE, payload: self.first_message(), random: vec![INITIATOR_SPI] }]
    }

    /// Cut short; with a length of a payload that is not so; with noise instead of payloads.
    fn malformed(&self) -> Vec<Draft> {
        let whole = self.first_message();
        let mut short = whole[..whole.len() / 2].to_vec();
        let length = (short.len() as u32).to_be_bytes();
        short[24..IKE_HEADER].copy_from_slice(&length);
        let draft = |payload: &[u8], random| Draft {
            from: None,
            port: IKE,
            payload: payload.to_vec(),
            random: vec![INITIATOR_SPI, random],
        };
        vec![
            draft(&short, 0..0),
            draft(&whole, IKE_HEADER + 2..IKE_HEADER + 4),
            draft(&whole, IKE_HEADER..whole.len()),
        ]
    }

    /// The first of two, of the message that is to come next.
    fn fragments(&self, from: Option<Ipv4Addr>) -> Vec<Draft> {
        const BODY: u16 = 300;
        let (port, last) = self.heard.iter().rev().find(|it| Self::ike(it)).expect("it was heard").clone();
        let marker = if port == NAT { MARKER.len() } else { 0 };
        let mut message = last[marker..marker + IKE_HEADER].to_vec();
        let number = u32::from_be_bytes([message[20], message[21], message[22], message[23]]) + 1;
        message[16] = SKF;
        message[18] = INFORMATIONAL;
        message[19] = FROM_INITIATOR;
        message[20..24].copy_from_slice(&number.to_be_bytes());
        let length = IKE_HEADER as u32 + 8 + u32::from(BODY);
        message[24..28].copy_from_slice(&length.to_be_bytes());
        let [high, low] = (8 + BODY).to_be_bytes();
        message.extend([0, 0, high, low, 0, 1, 0, 2]);
        let payload = [&MARKER[..], &message, &[0; BODY as usize]].concat();
        let body = MARKER.len() + message.len()..payload.len();
        let random = if from.is_none() { vec![MARKER.len()..MARKER.len() + 16, body] } else { vec![body] };
        vec![Draft { from, port: NAT, payload, random }]
    }

    fn esp_of_nobody(&self) -> Vec<Draft> {
        vec![Draft { from: None, port: NAT, payload: vec![0xff; NOBODYS_ESP.end], random: vec![NOBODYS_ESP] }]
    }

    /// With numbers that may come, and another end.
    fn forged_esp(&self) -> Vec<Draft> {
        let (port, packet) = self.heard.iter().rev().find(|it| Self::esp(it)).expect("it was heard").clone();
        let end = packet.len() - 16..packet.len();
        vec![Draft { from: Some(self.peer()), port, payload: packet, random: vec![4..8, end] }]
    }

    fn once_more(&self, which: fn(&(u16, Vec<u8>)) -> bool) -> Vec<Draft> {
        let again = |(port, payload): &(u16, Vec<u8>)| Draft {
            from: Some(self.peer()),
            port: *port,
            payload: payload.clone(),
            random: vec![],
        };
        self.heard.iter().filter(|it| which(it)).map(again).collect()
    }

    fn first_message(&self) -> Vec<u8> {
        let (_, message) = self.heard.iter().find(|(port, _)| *port == IKE).expect("it was heard");
        message.clone()
    }

    fn ike((port, payload): &(u16, Vec<u8>)) -> bool {
        *port == IKE || *port == NAT && payload.len() > IKE_HEADER && payload.starts_with(&MARKER)
    }

    fn esp((port, payload): &(u16, Vec<u8>)) -> bool {
        *port == NAT && (40..1400).contains(&payload.len()) && !payload.starts_with(&MARKER)
    }
}
