//! Keys of IKE SAs, from endpoints that set one up.

#![allow(clippy::unwrap_used)]

use crate::{ipv4, pcap, tshark};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tidegate::keylog::ike_line;
use tidegate_esp::{AddressRange, Direction, Params, Spi};
use tidegate_ike::crypto::{SEEDED, Secret, SeededRandom};
use tidegate_ike::keys::{Disclosed, KeySink};
use tidegate_ike::proposal::IkeProposal;
use tidegate_ike::{
    ChildConfig, Config, Connection, Endpoint, Event, Initiate, Now, Output, Path, SaId, Time, WallTime,
};

const NOW: Now = Now { time: Time::ZERO, wall: WallTime(1_767_225_600) };

/// What one end was told.
#[derive(Default)]
struct Told {
    ike: Vec<Option<String>>,
    children: Vec<(Direction, Spi)>,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Told>>);

impl KeySink for Sink {
    fn ike(&mut self, keys: Disclosed<'_>) {
        self.0.lock().unwrap().ike.push(ike_line(&keys).map(|line| line.to_string()));
    }

    fn child(&mut self, params: &Params) {
        self.0.lock().unwrap().children.push((params.direction, params.spi));
    }
}

/// Two ends and all datagrams between them, as IP packets.
struct Pair {
    ends: [Endpoint; 2],
    sinks: [Sink; 2],
    packets: Vec<Vec<u8>>,
    sa: Option<SaId>,
}

impl Pair {
    fn new(suite: &str) -> Self {
        let sinks = [Sink::default(), Sink::default()];
        let ends = [0, 1].map(|at: u8| end(at, suite, &sinks[usize::from(at)]));
        let mut pair = Self { ends, sinks, packets: Vec::new(), sa: None };
        let wish = Initiate { connection: "peer", child: None, local: None, remote: None };
        pair.ends[0].initiate(NOW, &wish).unwrap();
        pair.run();
        pair
    }

    fn run(&mut self) {
        let mut todo = VecDeque::from([0, 1]);
        while let Some(at) = todo.pop_front() {
            while let Some(output) = self.ends[at].poll_output() {
                match output {
                    Output::Transmit(datagram) => {
                        let Path { local, remote, framing } = datagram.path;
                        self.packets.push(packet(local, remote, &datagram.bytes));
                        let seen = Path { local: remote, remote: local, framing };
                        self.ends[1 - at].handle_datagram(NOW, seen, &datagram.bytes);
                        todo.push_back(1 - at);
                    }
                    Output::Job(job) => {
                        let done = job.run(&mut SeededRandom::new(9));
                        self.ends[at].job_done(NOW, done);
                    }
                    Output::Event(Event::IkeEstablished { sa, .. }) if at == 0 => self.sa = Some(sa),
                    _ => {}
                }
            }
        }
    }

    fn told(&self, at: usize) -> Vec<Option<String>> {
        self.sinks[at].0.lock().unwrap().ike.clone()
    }
}

fn end(at: u8, suite: &str, sink: &Sink) -> Endpoint {
    let name = |n: u8| format!("{n}.example");
    let net = |n: u8| format!("10.{n}.0.0/16").parse().unwrap();
    let address = |n: u8| IpAddr::from([192, 0, 2, n]);
    let secret = Secret::new(b"known to both".to_vec());
    let (us, them) = (at + 1, 2 - at);
    let mut connection =
        Connection::psk("peer", name(us).parse().unwrap(), name(them).parse().unwrap(), secret);
    connection.proposals = IkeProposal::parse_list(suite).unwrap();
    connection.remote.addresses = vec![AddressRange::host(address(them))];
    connection.children = vec![Arc::new(ChildConfig::new("net", net(us), net(them)))];
    let mut endpoint = Endpoint::new(Config::default(), &SEEDED, Box::new(SeededRandom::new(at.into())));
    endpoint.set_local_addresses(NOW, vec![address(us)]);
    endpoint.set_key_sink(Box::new(sink.clone()));
    endpoint.load(connection);
    endpoint
}

fn packet(from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (from.ip(), to.ip()) else { panic!("IPv4 alone") };
    let length = u16::try_from(8 + bytes.len()).unwrap();
    let header = [from.port(), to.port(), length, 0].map(u16::to_be_bytes).concat();
    ipv4(source.octets(), destination.octets(), 17, &[&header, bytes].concat())
}

#[test]
fn both_ends_are_told_the_same_keys_when_an_sa_begins_and_when_it_gets_new_ones() {
    let mut pair = Pair::new("aes256gcm16-prfsha384-x25519");
    assert_eq!((pair.told(0).len(), pair.told(0)), (1, pair.told(1)));
    let sa = pair.sa.expect("it stands");
    pair.ends[0].rekey(NOW, sa).unwrap();
    pair.run();
    let [told, other] = [0, 1].map(|at| pair.told(at));
    assert_eq!((told.len(), &told), (2, &other));
    assert_ne!(told[0], told[1]);
}

#[test]
fn a_child_is_told_of_in_both_directions() {
    let pair = Pair::new("aes256gcm16-prfsha384-x25519");
    let [one, two] = [0, 1].map(|at: usize| pair.sinks[at].0.lock().unwrap().children.clone());
    let spi =
        |told: &[(Direction, Spi)], way| told.iter().find(|(other, _)| *other == way).map(|(_, spi)| *spi);
    assert_eq!((one.len(), two.len()), (2, 2));
    assert!(spi(&one, Direction::Inbound).is_some());
    assert_eq!(spi(&one, Direction::Inbound), spi(&two, Direction::Outbound));
    assert_eq!(spi(&one, Direction::Outbound), spi(&two, Direction::Inbound));
}

#[test]
fn a_suite_that_wireshark_does_not_know_does_not_spoil_the_file() {
    let pair = Pair::new("chacha20poly1305-prfsha256-x25519");
    assert_eq!(pair.told(0), [None]);
}

#[test]
fn wireshark_reads_messages_with_what_is_written() {
    for suite in [
        "aes128gcm16-prfsha256-x25519",
        "aes256gcm16-prfsha384-x25519",
        "aes128-sha1-modp2048",
        "aes192-sha256-x25519",
        "aes256-sha384-x25519",
        "aes256-sha512-x25519",
    ] {
        let mut pair = Pair::new(suite);
        let sa = pair.sa.expect(suite);
        pair.ends[0].rekey(NOW, sa).unwrap();
        pair.run();
        let lines = pair.told(0).into_iter().flatten();
        let preferences: Vec<_> = lines.map(|line| format!("uat:ikev2_decryption_table:{line}")).collect();
        let preferences: Vec<_> = preferences.iter().map(String::as_str).collect();
        // Both ends say in protected messages who they are; selectors are there as well.
        let Some(found) = tshark(&pcap(&pair.packets), &preferences, "isakmp.id.data.fqdn") else { return };
        for name in ["1.example", "2.example"] {
            assert!(found.contains(name), "{suite}: {found}");
        }
    }
}
