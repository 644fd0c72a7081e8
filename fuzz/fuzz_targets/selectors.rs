//! Selectors as text, packets against them, and tables of rules against a search from end to end.
//!
//! The input is text up to the first zero byte, a selector a line, and packets behind it, each after a byte
//! with its length. Two lines make a rule.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::flow::{End, Flow, Inner, Transport};
use tidegate_esp::policy::{Action, FlowCache, Owner, Refusal, Rule, admit};
use tidegate_esp::snapshot::{Decision, Publisher};
use tidegate_esp::{AddressRange, Ports, SelectorPair, TrafficSelector};

/// More would only make the search from end to end slow.
const SELECTORS_MAX: usize = 8;
/// A range of many prefixes fills a table with what is all alike.
const PREFIXES_MAX: usize = 20;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let (text, packets) = input.split_at(end);
    let selectors: Vec<TrafficSelector> = String::from_utf8_lossy(text)
        .lines()
        .filter_map(read)
        .filter(is_simple)
        .take(SELECTORS_MAX)
        .collect();
    let rules: Vec<Rule> = selectors.chunks_exact(2).zip(0..).map(rule).collect();
    let mut flows = edges(&selectors);
    for packet in chunks(packets.get(1..).unwrap_or_default()) {
        let parsed = Inner::parse(packet);
        flows.extend(parsed.map(|inner| inner.flow));
        for rule in &rules {
            match admit(&rule.selectors, packet) {
                Ok(inner) => {
                    assert_eq!(parsed, Ok(inner));
                    assert!(admits(&rule.selectors, &inner.flow));
                    assert!(inner.network_length <= inner.total_length && inner.total_length <= packet.len());
                }
                Err(Refusal::Malformed(error)) => assert_eq!(parsed, Err(error)),
                Err(Refusal::Selector(flow)) => assert!(!admits(&rule.selectors, &flow)),
            }
        }
    }
    sets(&rules);
    lookups(rules, &flows);
});

/// A selector that must be read again from how it is written.
fn read(line: &str) -> Option<TrafficSelector> {
    match line.parse::<TrafficSelector>() {
        Ok(selector) => {
            assert_eq!(selector.to_string().parse(), Ok(selector));
            Some(selector)
        }
        Err(error) => {
            assert!(line.contains(&error.word));
            None
        }
    }
}

fn is_simple(selector: &TrafficSelector) -> bool {
    selector.addresses.to_prefixes().nth(PREFIXES_MAX).is_none()
}

fn rule((pair, number): (&[TrafficSelector], u64)) -> Rule {
    let selectors = Arc::new(SelectorPair { local: vec![pair[0]], remote: vec![pair[1]] });
    let action = match number % 3 {
        0 => Action::Protect(Owner(number)),
        1 => Action::Bypass,
        _ => Action::Drop,
    };
    Rule { selectors, action }
}

fn chunks(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (chunk, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks
}

/// Flows between the corners of all selectors.
fn edges(selectors: &[TrafficSelector]) -> Vec<Flow> {
    let corners = |selector: &TrafficSelector| {
        let port = match selector.ports {
            Ports::Range(first, last) => [first, last],
            Ports::Opaque => [0, u16::MAX],
        };
        [(selector.addresses.start(), port[0]), (selector.addresses.end(), port[1])]
    };
    let ends: Vec<(IpAddr, u16)> = selectors.iter().flat_map(corners).collect();
    let flow = |(source, source_port), (destination, destination_port), protocol, seen| {
        let [kind, code] = u16::to_be_bytes(source_port);
        let transport = match (seen, protocol) {
            (false, _) => Transport::Opaque,
            (true, 1 | 58) => Transport::Icmp { kind, code },
            (true, _) => Transport::Ports { source: source_port, destination: destination_port },
        };
        Flow { source, destination, protocol, transport }
    };
    let pairs = ends
        .iter()
        .flat_map(|a| ends.iter().map(move |b| (*a, *b)))
        .filter(|(a, b)| a.0.is_ipv4() == b.0.is_ipv4());
    let protocols = [6, 17, 1, 60].map(|protocol| [(protocol, true), (protocol, false)]);
    pairs.flat_map(|(a, b)| protocols.iter().flatten().map(move |(p, seen)| flow(a, b, *p, *seen))).collect()
}

fn fits(selector: &TrafficSelector, end: End) -> bool {
    selector.matches(end.address, end.protocol, end.port)
}

fn admits(pair: &SelectorPair, flow: &Flow) -> bool {
    let [source, destination] = [flow.source_end(), flow.destination_end()];
    pair.remote.iter().any(|selector| fits(selector, source))
        && pair.local.iter().any(|selector| fits(selector, destination))
}

/// What holds for any two pairs.
fn sets(rules: &[Rule]) {
    for (a, b) in rules.iter().flat_map(|a| rules.iter().map(move |b| (&a.selectors, &b.selectors))) {
        assert!(a.contains(a));
        assert_eq!(a.overlaps(b), b.overlaps(a));
        assert_eq!(a.contains(b), a.reversed().contains(&b.reversed()));
        assert_eq!(a.overlaps(b), a.reversed().overlaps(&b.reversed()));
    }
}

fn lookups(rules: Vec<Rule>, flows: &[Flow]) {
    let mut tables: Publisher<(), ()> = Publisher::new();
    let rules: Vec<Rule> = rules.into_iter().filter(|rule| tables.add_rule(rule.clone()).is_ok()).collect();
    tables.publish();
    let mut reader = tables.reader();
    let mut cache = FlowCache::new(16, 5);
    for flow in flows.iter().chain(flows) {
        let expected = linear(&rules, flow);
        let snapshot = reader.current();
        assert_eq!(snapshot.policy().action(flow), expected);
        let decision = match expected {
            Some(Action::Protect(owner)) => Decision::Acquire(owner),
            Some(Action::Bypass) => Decision::Bypass,
            Some(Action::Drop) => Decision::Drop,
            None => Decision::NoRule,
        };
        assert_eq!(snapshot.decide_cached(&mut cache, flow), decision);
    }
}

fn linear(rules: &[Rule], flow: &Flow) -> Option<Action> {
    let [source, destination] = [flow.source_end(), flow.destination_end()];
    // A later fragment: with what it hides it may match more than it does.
    let hidden_protocol = flow.transport == Transport::Opaque && [0, 43, 44, 60].contains(&flow.protocol);
    let hidden_ports =
        flow.transport == Transport::Opaque && [1, 6, 17, 33, 58, 132, 135, 136].contains(&flow.protocol);
    let found = |(number, rule): (usize, &Rule)| {
        let (local, remote) = (rule.selectors.local[0], rule.selectors.remote[0]);
        let v4 = local.addresses.is_v4();
        let protocols = (local.protocol, remote.protocol);
        let meaningful = v4 == remote.addresses.is_v4()
            && (protocols.0 == protocols.1 || protocols.0 == 0 || protocols.1 == 0);
        if !meaningful || v4 != flow.is_v4() {
            return None;
        }
        let addresses =
            local.addresses.contains(source.address) && remote.addresses.contains(destination.address);
        let protocol = [protocols.0, protocols.1].iter().all(|p| [0, flow.protocol].contains(p));
        let certain = fits(&local, source) && fits(&remote, destination);
        let possible = addresses && (hidden_protocol || hidden_ports && protocol);
        let rank = (
            prefix_length(&remote, destination.address),
            prefix_length(&local, source.address),
            local.protocol != 0 || remote.protocol != 0,
            Reverse(width(remote.ports)),
            Reverse(width(local.ports)),
            number,
        );
        (certain || possible).then_some((rank, certain, rule.action))
    };
    let mut found: Vec<_> = rules.iter().enumerate().filter_map(found).collect();
    found.sort_by_key(|(rank, ..)| Reverse(*rank));
    let best = found.iter().position(|(_, certain, _)| *certain)?;
    let protected = |(_, _, action): &(_, bool, Action)| matches!(action, Action::Protect(_));
    match found[best].2 {
        Action::Bypass if found[..best].iter().any(protected) => Some(Action::Drop),
        action => Some(action),
    }
}

/// How long the prefix is, of those a selector is made of, that holds the address.
fn prefix_length(selector: &TrafficSelector, address: IpAddr) -> u8 {
    let holds = |(prefix, length): &(IpAddr, u8)| {
        AddressRange::from_prefix(*prefix, *length).is_some_and(|range| range.contains(address))
    };
    selector.addresses.to_prefixes().find(holds).map_or(0, |(_, length)| length)
}

fn width(ports: Ports) -> u32 {
    match ports {
        Ports::ANY => u32::MAX,
        Ports::Range(first, last) => u32::from(last - first) + 1,
        Ports::Opaque => 1,
    }
}
