//! Policy: what it decides, compared with a list that is searched from end to end.
#![allow(clippy::unwrap_used)]

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use tidegate_esp::policy::{Action, FlowCache, Owner, Rule, TooManyPieces};
use tidegate_esp::snapshot::{Decision, Publisher};
use tidegate_esp::{AddressRange, Flow, Ports, SelectorPair, TrafficSelector, Transport};

type Tables = Publisher<(), ()>;

fn pair(local: &str, remote: &str) -> Arc<SelectorPair> {
    let list = |text: &str| text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    Arc::new(SelectorPair { local: list(local), remote: list(remote) })
}

fn flow(source: &str, destination: &str, protocol: u8, ports: (u16, u16)) -> Flow {
    Flow {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        protocol,
        transport: Transport::Ports { source: ports.0, destination: ports.1 },
    }
}

fn tables(rules: &[(&str, &str, Action)]) -> Tables {
    let mut tables = Tables::new();
    for (local, remote, action) in rules {
        tables.add_rule(Rule { selectors: pair(local, remote), action: *action }).unwrap();
    }
    tables
}

const A: Owner = Owner(1);
const B: Owner = Owner(2);

#[test]
fn the_most_specific_rule_counts() {
    let tables = tables(&[
        ("10.0.0.0/8", "0.0.0.0/0", Action::Bypass),
        ("10.0.0.0/8", "10.1.0.0/16", Action::Protect(A)),
        ("10.0.0.0/8", "10.1.9.0/24", Action::Protect(B)),
        ("10.0.0.0/8", "10.1.0.0/16[tcp/22]", Action::Drop),
        ("10.0.0.7", "10.1.0.0/16", Action::Bypass),
        ("0.0.0.0/0", "10.1.9.0-10.1.9.4", Action::Drop),
    ]);
    let action =
        |source, destination, port| tables.draft().policy().action(&flow(source, destination, 6, (9, port)));
    assert_eq!(action("10.0.0.1", "192.0.2.1", 80), Some(Action::Bypass));
    assert_eq!(action("10.0.0.1", "10.1.0.1", 80), Some(Action::Protect(A)));
    assert_eq!(action("10.0.0.1", "10.1.9.9", 80), Some(Action::Protect(B)));
    assert_eq!(
        action("10.0.0.1", "10.1.9.9", 22),
        Some(Action::Protect(B)),
        "the prefix counts before the port"
    );
    assert_eq!(action("10.0.0.1", "10.1.0.1", 22), Some(Action::Drop));
    assert_eq!(action("10.0.0.7", "10.1.0.1", 22), Some(Action::Bypass));
    assert_eq!(action("10.0.0.1", "10.1.9.4", 80), Some(Action::Drop));
    assert_eq!(action("192.0.2.1", "192.0.2.2", 80), None);
    assert_eq!(action("fd00::1", "fd00::2", 80), None);
}

#[test]
fn remote_ports_count_before_local_ones() {
    let tables = tables(&[
        ("10.0.0.0/8[tcp/80]", "10.1.0.0/16[tcp]", Action::Drop),
        ("10.0.0.0/8[tcp]", "10.1.0.0/16[tcp/22-23]", Action::Bypass),
        ("10.0.0.0/8[tcp/80]", "10.1.0.0/16[tcp/23]", Action::Protect(A)),
    ]);
    let decide = |port| tables.draft().policy().action(&flow("10.0.0.1", "10.1.0.1", 6, (80, port)));
    assert_eq!(decide(22), Some(Action::Bypass));
    assert_eq!(decide(23), Some(Action::Protect(A)));
    assert_eq!(decide(24), Some(Action::Drop));
}

#[test]
fn what_no_rule_names_is_dropped() {
    // RFC 4301 §5.1
    let empty = Tables::new();
    assert_eq!(empty.draft().decide(&flow("10.0.0.1", "10.1.0.1", 6, (1, 2))), Decision::NoRule);
}

#[test]
fn icmp_is_told_apart_by_type() {
    let tables = tables(&[
        ("0.0.0.0/0", "0.0.0.0/0", Action::Drop),
        ("0.0.0.0/0[icmp/8]", "0.0.0.0/0[icmp/8]", Action::Bypass),
    ]);
    let echo = |kind| Flow {
        protocol: 1,
        transport: Transport::Icmp { kind, code: 0 },
        ..flow("10.0.0.1", "10.0.0.2", 1, (0, 0))
    };
    assert_eq!(tables.draft().decide(&echo(8)), Decision::Bypass);
    assert_eq!(tables.draft().decide(&echo(5)), Decision::Drop);
}

#[test]
fn clear_packets_that_should_have_come_protected_are_found() {
    // RFC 4301 §5.2
    let tables = tables(&[("10.0.0.0/16", "10.1.0.0/16", Action::Protect(A))]);
    let policy = tables.draft().policy();
    assert!(policy.demands_protection(&flow("10.1.0.1", "10.0.0.1", 6, (1, 2))));
    assert!(!policy.demands_protection(&flow("10.0.0.1", "10.1.0.1", 6, (1, 2))));
    assert!(!policy.demands_protection(&flow("192.0.2.1", "10.0.0.1", 6, (1, 2))));
}

// RFC 4301 §7.4: rules that go by ports do not see those of a later fragment.
#[test]
fn a_fragment_that_may_have_to_be_protected_does_not_pass_in_clear() {
    let tables = tables(&[
        ("10.1.0.0/16", "10.2.0.0/16[tcp/23]", Action::Protect(Owner(1))),
        ("0.0.0.0/0", "0.0.0.0/0", Action::Bypass),
        ("10.1.0.0/16", "10.2.9.0/24", Action::Bypass),
    ]);
    let policy = tables.draft().policy();
    let fragment = |destination, protocol| Flow {
        transport: Transport::Opaque,
        ..flow("10.1.0.1", destination, protocol, (0, 0))
    };
    assert_eq!(policy.action(&flow("10.1.0.1", "10.2.0.1", 6, (9, 80))), Some(Action::Bypass));
    for (protocol, action) in
        [(6, Action::Drop), (60, Action::Drop), (17, Action::Bypass), (47, Action::Bypass)]
    {
        let fragment = fragment("10.2.0.1", protocol);
        assert_eq!(policy.action(&fragment), Some(action), "{protocol}");
        let came_in = fragment.reversed();
        assert_eq!(policy.demands_protection(&came_in), action == Action::Drop, "{protocol}");
    }
    // What comes before the rule that protects is not its affair.
    assert_eq!(policy.action(&fragment("10.2.9.1", 6)), Some(Action::Bypass));
}

#[test]
fn a_removed_rule_uncovers_the_one_below() {
    let mut tables = tables(&[("10.0.0.0/8", "10.1.0.0/16", Action::Bypass)]);
    let selectors = pair("10.0.0.0/8", "10.1.0.0/16");
    let newer = tables.add_rule(Rule { selectors, action: Action::Drop }).unwrap();
    let decide = |tables: &Tables| tables.draft().decide(&flow("10.0.0.1", "10.1.0.1", 6, (1, 2)));
    assert_eq!(decide(&tables), Decision::Drop);
    assert!(tables.remove_rule(newer).is_some());
    assert!(tables.remove_rule(newer).is_none());
    assert_eq!(decide(&tables), Decision::Bypass);
}

#[test]
fn selectors_without_end_are_refused() {
    let crooked = |start, end| format!("{start}-{end}");
    let v6 = crooked("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
    let rule = |selectors| Rule { selectors, action: Action::Drop };
    let mut tables = Tables::new();
    assert_eq!(tables.add_rule(rule(pair(&v6, &v6))), Err(TooManyPieces));
    assert!(tables.add_rule(rule(pair("::/0", &v6))).is_ok());
}

#[test]
fn a_cache_never_answers_for_other_tables() {
    let mut tables = tables(&[("10.0.0.0/8", "10.1.0.0/16", Action::Bypass)]);
    let mut reader = tables.reader();
    let mut cache = FlowCache::new(4, 99);
    let asked = flow("10.0.0.1", "10.1.0.1", 6, (1, 2));
    tables.publish();
    assert_eq!(reader.current().decide_cached(&mut cache, &asked), Decision::Bypass);
    tables.add_rule(Rule { selectors: pair("10.0.0.0/8", "10.1.0.0/24"), action: Action::Drop }).unwrap();
    assert_eq!(reader.current().decide_cached(&mut cache, &asked), Decision::Bypass);
    tables.publish();
    assert_eq!(reader.current().decide_cached(&mut cache, &asked), Decision::Drop);
}

// Few addresses, so that rules meet.
fn address(v4: bool, number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    if v4 {
        IpAddr::from([10, 0, high & 3, low])
    } else {
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, number & 0x3ff, 0])
    }
}

fn selector(v4: bool) -> impl Strategy<Value = TrafficSelector> {
    let prefix = (any::<u16>(), 20..=32_u8).prop_map(move |(number, length)| {
        AddressRange::from_prefix(address(v4, number), if v4 { length } else { length + 82 }).unwrap()
    });
    let range = (any::<u16>(), any::<u16>()).prop_map(move |(a, b)| {
        let (a, b) = (address(v4, a), address(v4, b));
        AddressRange::new(a.min(b), a.max(b)).unwrap()
    });
    let ports = prop_oneof![
        3 => Just(Ports::ANY),
        1 => Just(Ports::Opaque),
        2 => (0..4_u16, 0..4_u16).prop_map(|(a, b)| Ports::Range(a.min(b), a.max(b))),
    ];
    let protocol = prop_oneof![2 => Just(0), 1 => Just(6), 1 => Just(17)];
    (prop_oneof![4 => prefix, 1 => range], protocol, ports)
        .prop_map(|(addresses, protocol, ports)| TrafficSelector { addresses, protocol, ports })
}

fn rule() -> impl Strategy<Value = (SelectorPair, Action)> {
    let action = prop_oneof![
        Just(Action::Bypass),
        Just(Action::Drop),
        (0..9_u64).prop_map(|n| Action::Protect(Owner(n)))
    ];
    let lists = any::<bool>().prop_flat_map(|v4| (vec(selector(v4), 1..3), vec(selector(v4), 1..3)));
    (lists, action).prop_map(|((local, remote), action)| (SelectorPair { local, remote }, action))
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let transport = prop_oneof![
        Just(Transport::Opaque),
        (0..4_u16, 0..4_u16).prop_map(|(source, destination)| Transport::Ports { source, destination }),
    ];
    (any::<bool>(), any::<u16>(), any::<u16>(), prop_oneof![Just(6), Just(17), Just(47)], transport).prop_map(
        |(v4, source, destination, protocol, transport)| Flow {
            source: address(v4, source),
            destination: address(v4, destination),
            protocol,
            transport,
        },
    )
}

/// How long a prefix of the selector's cover holds the address.
fn prefix_length(selector: &TrafficSelector, address: IpAddr) -> u8 {
    let holds = |(prefix, length): &(IpAddr, u8)| {
        AddressRange::from_prefix(*prefix, *length).unwrap().contains(address)
    };
    selector.addresses.to_prefixes().find(holds).unwrap().1
}

fn width(ports: Ports) -> u32 {
    match ports {
        Ports::ANY => u32::MAX,
        Ports::Range(first, last) => u32::from(last - first) + 1,
        Ports::Opaque => 1,
    }
}

fn linear(rules: &[(SelectorPair, Action)], flow: &Flow) -> Option<Action> {
    let (source, destination) = (flow.source_end(), flow.destination_end());
    // Of the protocols asked for, those with ports.
    let fragment = flow.transport == Transport::Opaque && flow.protocol != 47;
    let concerns = |selector: &TrafficSelector, address| {
        selector.addresses.contains(address) && [0, flow.protocol].contains(&selector.protocol)
    };
    let mut found = Vec::new();
    for (number, (pair, action)) in rules.iter().enumerate() {
        for local in pair.local.iter().filter(|local| concerns(local, source.address)) {
            for remote in pair.remote.iter().filter(|remote| concerns(remote, destination.address)) {
                let certain = local.ports.contains(source.port) && remote.ports.contains(destination.port);
                let rank = (
                    prefix_length(remote, destination.address),
                    prefix_length(local, source.address),
                    local.protocol != 0 || remote.protocol != 0,
                    Reverse(width(remote.ports)),
                    Reverse(width(local.ports)),
                    number,
                );
                if certain || fragment {
                    found.push((rank, certain, *action));
                }
            }
        }
    }
    found.sort_by_key(|(rank, ..)| Reverse(*rank));
    let best = found.iter().position(|(_, certain, _)| *certain)?;
    let protected = |(_, _, action): &(_, bool, Action)| matches!(action, Action::Protect(_));
    match found[best].2 {
        Action::Bypass if found[..best].iter().any(protected) => Some(Action::Drop),
        action => Some(action),
    }
}

proptest! {
    #[test]
    fn lookup_agrees_with_a_linear_search(
        rules in vec(rule(), 0..30),
        removed in vec(any::<proptest::sample::Index>(), 0..8),
        flows in vec(any_flow(), 50),
    ) {
        let mut tables = Tables::new();
        let mut kept = Vec::new();
        for (selectors, action) in rules {
            let rule = Rule { selectors: Arc::new(selectors.clone()), action };
            kept.push((tables.add_rule(rule).unwrap(), (selectors, action)));
        }
        for index in removed {
            if !kept.is_empty() {
                let (id, _) = kept.remove(index.index(kept.len()));
                tables.remove_rule(id).unwrap();
            }
        }
        let rules: Vec<_> = kept.into_iter().map(|(_, rule)| rule).collect();
        let mut cache = FlowCache::new(16, 5);
        let mut reader = tables.reader();
        tables.publish();
        for flow in flows.iter().chain(&flows) {
            let expected = linear(&rules, flow);
            prop_assert_eq!(tables.draft().policy().action(flow), expected);
            let decision = match expected {
                Some(Action::Protect(owner)) => Decision::Acquire(owner),
                Some(Action::Bypass) => Decision::Bypass,
                Some(Action::Drop) => Decision::Drop,
                None => Decision::NoRule,
            };
            prop_assert_eq!(reader.current().decide_cached(&mut cache, flow), decision);
        }
    }
}
