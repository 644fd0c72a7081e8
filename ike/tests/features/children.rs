//! Children: which come up, what they carry, how they are handed to the packet side and how they end.

use crate::bench::{
    child_closings, established_with, named_children, outbound, pair_with, refused_with, secs, verdict,
};
use crate::support::{A, B, End, Host, Pair, child, fixed, selector};
use std::sync::Arc;
use tidegate_esp::{Direction, Ports, SelectorPair, Spi};
use tidegate_ike::connection::{ChildConfig, ChildStart, Connection};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::output::Duty;
use tidegate_ike::proposal::EspProposal;
use tidegate_ike::wire::NotifyType;
use tidegate_ike::{Cause, Culprit, DataEvent, Event, Now, Output};

const PODS: [&[&str]; 2] =
    [&["10.233.0.0/18", "fd00:a::/64"], &["10.233.64.0/18", "10.234.0.0/24", "fd00:b::/64"]];
const NODES: [&[&str]; 2] = [&["10.22.45.16", "fd01::16"], &["10.22.46.1", "10.22.46.2", "fd01::46"]];

/// Pods to pods, our nodes to their pods, our pods to their nodes, each end in its own words.
fn edge_children(end: End) -> Vec<Arc<ChildConfig>> {
    let (ours, theirs) = if end == End::A { (0, 1) } else { (1, 0) };
    let child = |name: &str, local: &[&str], remote: &[&str]| {
        Arc::new(ChildConfig { name: name.into(), local: fixed(local), remote: fixed(remote), ..child(end) })
    };
    vec![
        child("p2p", PODS[ours], PODS[theirs]),
        child("n2p", NODES[ours], PODS[theirs]),
        child("p2n", PODS[ours], NODES[theirs]),
    ]
}

/// Changes the one child of a connection.
fn change_child(connection: &mut Connection, change: impl FnOnce(&mut ChildConfig)) {
    change(Arc::make_mut(&mut connection.children[0]));
}

fn selectors(host: &Host) -> SelectorPair {
    (*outbound(host).selectors).clone()
}

fn create(pair: &mut Pair, end: End, name: &str) {
    let sa = pair.sa(end);
    pair.with(end, |endpoint, now| endpoint.create_child(now, sa, name)).unwrap();
}

fn acquire(pair: &mut Pair, packet: (&str, &str)) {
    let packet = (selector(packet.0), selector(packet.1));
    let event = DataEvent::Acquire { connection: "peer".into(), child: "net".into(), packet };
    pair.with(End::A, |endpoint, now| endpoint.handle_data(now, event));
}

#[test]
fn three_children_a_peer_come_up_with_mixed_ranges() {
    let pair = established_with(1, |end, connection| connection.children = edge_children(end));
    pair.assert_agree();
    let names = |host| named_children(host).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&pair.a), ["n2p", "p2n", "p2p"]);
    // What A calls nodes to pods is pods to nodes for B.
    assert_eq!(names(&pair.b), ["n2p", "p2n", "p2p"]);
    let of = |host: &Host, name: &str| {
        let (_, spi) = named_children(host).into_iter().find(|(other, _)| other == name).unwrap();
        (*host.installed[&(spi, Direction::Inbound)].selectors).clone()
    };
    let selectors = |list: &[&str]| list.iter().map(|text| selector(text)).collect::<Vec<_>>();
    assert_eq!(of(&pair.a, "n2p"), SelectorPair { local: selectors(NODES[0]), remote: selectors(PODS[1]) });
    assert_eq!(of(&pair.b, "p2n"), SelectorPair { local: selectors(PODS[1]), remote: selectors(NODES[0]) });
}

#[test]
fn only_children_that_start_with_the_ike_sa_do() {
    let mut pair = established_with(2, |end, connection| {
        connection.children = edge_children(end);
        for child in &mut connection.children[1..] {
            Arc::make_mut(child).start = ChildStart::OnDemand;
        }
    });
    assert_eq!(named_children(&pair.a).len(), 1);
    create(&mut pair, End::A, "p2n");
    pair.settle();
    assert_eq!(named_children(&pair.a).len(), 2);
    pair.assert_agree();
}

#[test]
fn a_further_child_has_a_key_exchange_of_its_own_only_with_pfs() {
    for (esp, jobs) in [("aes128gcm16-x25519", 1), ("aes128gcm16", 0)] {
        let mut pair = established_with(3, |_, connection| {
            change_child(connection, |child| child.proposals = EspProposal::parse_list(esp).unwrap());
        });
        create(&mut pair, End::A, "net");
        pair.b.hold_jobs = true;
        pair.pass(End::A);
        assert_eq!(pair.b.jobs.len(), jobs, "{esp}");
        let now = pair.now;
        pair.b.run_jobs(now);
        pair.settle();
        pair.assert_agree();
        assert_eq!(pair.a.children().len(), 2);
    }
}

#[test]
fn the_responder_too_may_ask_for_a_child() {
    let mut pair = Pair::established(4);
    create(&mut pair, End::B, "net");
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.b.children().len(), 2);
}

#[test]
fn what_one_end_has_more_is_narrowed_away() {
    // RFC 7296 §2.9
    let pair = established_with(5, |end, connection| {
        if end == End::B {
            change_child(connection, |child| {
                child.local = fixed(&["10.2.3.0/24", "10.2.7.0/24[tcp/443]", "10.9.0.0/16"]);
            });
        }
    });
    pair.assert_agree();
    let remote = vec![selector("10.2.3.0/24"), selector("10.2.7.0/24[tcp/443]")];
    assert_eq!(selectors(&pair.a), SelectorPair { local: vec![selector("10.1.0.0/16")], remote });
}

#[test]
fn nothing_in_common_leaves_the_ike_sa_and_names_both_sides() {
    let pair = established_with(6, |end, connection| {
        if end == End::B {
            change_child(connection, |child| child.local = fixed(&["10.3.0.0/16"]));
        }
    });
    assert!(pair.a.children().is_empty());
    assert!(refused_with(&verdict(&pair.a), NotifyType::TS_UNACCEPTABLE), "{:?}", pair.a.events);
    assert_eq!(verdict(&pair.a).culprit, Culprit::Mismatch);
    let expected = Cause::Selectors {
        ours: (vec![selector("10.3.0.0/16")], vec![selector("10.1.0.0/16")]),
        theirs: (vec![selector("10.2.0.0/16")], vec![selector("10.1.0.0/16")]),
    };
    assert_eq!(verdict(&pair.b).cause, expected);
    assert_eq!(pair.a.endpoint.resources()[0], 0, "the SPI is given back");
    pair.assert_agree();
}

#[test]
fn esp_proposals_that_differ_leave_the_ike_sa_and_a_verdict() {
    let pair = established_with(7, |end, connection| {
        if end == End::B {
            change_child(connection, |child| {
                child.proposals = EspProposal::parse_list("aes256gcm16").unwrap();
            });
        }
    });
    assert!(refused_with(&verdict(&pair.a), NotifyType::NO_PROPOSAL_CHOSEN));
    let Cause::Proposals(mismatch) = verdict(&pair.b).cause else { panic!("{:?}", pair.b.events) };
    assert!(!mismatch.ours.is_empty() && !mismatch.theirs.is_empty());
    pair.assert_agree();
}

#[test]
fn a_packet_that_wants_a_child_is_within_what_comes_up() {
    // RFC 7296 §2.9: the packet's own selector goes first, and the responder's answer holds it.
    let mut pair = pair_with(8, |end, connection| {
        change_child(connection, |child| {
            child.start = ChildStart::OnDemand;
            if end == End::B {
                child.local = fixed(&["10.2.1.0/24", "10.2.2.0/24"]);
            }
        });
    });
    let packet = ("10.1.0.5[tcp/5000]", "10.2.2.9[tcp/80]");
    acquire(&mut pair, packet);
    pair.settle();
    pair.assert_agree();
    let agreed = selectors(&pair.a);
    assert!(agreed.local[0].contains_selector(&selector(packet.0)), "{agreed:?}");
    assert!(agreed.remote[0].contains_selector(&selector(packet.1)), "{agreed:?}");
    assert_eq!(agreed.remote.len(), 2, "the rest of what both allow comes along");
}

#[test]
fn a_packet_uses_the_ike_sa_that_stands() {
    let mut pair = established_with(9, |_, connection| {
        change_child(connection, |child| child.start = ChildStart::OnDemand);
    });
    let first = pair.a.children().len();
    acquire(&mut pair, ("10.1.0.5[udp/53]", "10.2.2.9[udp/53]"));
    acquire(&mut pair, ("10.1.0.6[udp/53]", "10.2.2.9[udp/53]"));
    pair.settle();
    acquire(&mut pair, ("10.1.0.7[udp/53]", "10.2.2.9[udp/53]"));
    pair.settle();
    pair.assert_agree();
    assert_eq!((pair.a.endpoint.len(), pair.a.children().len()), (1, 1.max(first)));
}

#[test]
fn packets_that_come_while_an_ike_sa_is_set_up_begin_no_other() {
    let mut pair = pair_with(10, |_, connection| {
        change_child(connection, |child| child.start = ChildStart::OnDemand);
    });
    for port in ["1", "2", "3"] {
        acquire(&mut pair, (&format!("10.1.0.5[tcp/{port}]"), "10.2.0.9[tcp/80]"));
    }
    assert_eq!(pair.a.endpoint.len(), 1);
    pair.settle();
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
}

#[test]
fn dynamic_selectors_stand_for_the_addresses_of_the_ends() {
    let pair = established_with(11, |_, connection| {
        change_child(connection, |child| {
            let dynamic = |protocol| ConfiguredSelector::Dynamic { protocol, ports: Ports::Range(0, 65_535) };
            child.local = vec![dynamic(17)];
            child.remote = vec![dynamic(17)];
        });
    });
    pair.assert_agree();
    let host = |address| vec![selector(&format!("{address}[udp]"))];
    assert_eq!(selectors(&pair.a), SelectorPair { local: host(A), remote: host(B) });
}

#[test]
fn inbound_is_installed_before_outbound_and_before_the_answer() {
    let mut pair = Pair::psk(12);
    pair.initiate(End::A);
    pair.pass(End::A);
    pair.pass(End::B);
    let auth = pair.take(End::A);
    let path = crate::support::mirrored(&auth.path);
    let now = pair.now();
    pair.b.endpoint.handle_datagram(now, path, &auth.bytes);
    let order: Vec<_> = outputs(&mut pair.b, now)
        .into_iter()
        .filter_map(|output| match output {
            Output::Install(install) => Some((Some(install.params.direction), install.duty)),
            Output::Transmit(_) => Some((None, Duty::Active)),
            _ => None,
        })
        .collect();
    let expected = [
        (Some(Direction::Inbound), Duty::Active),
        (Some(Direction::Outbound), Duty::Active),
        (None, Duty::Active),
    ];
    assert_eq!(order, expected);
}

/// Everything that an endpoint has to say, its jobs done.
fn outputs(host: &mut Host, now: Now) -> Vec<Output> {
    let mut all = Vec::new();
    while let Some(output) = host.endpoint.poll_output() {
        match output {
            Output::Job(job) => {
                let done = job.run(&mut host.random);
                host.endpoint.job_done(now, done);
            }
            other => all.push(other),
        }
    }
    all
}

#[test]
fn after_a_rekey_the_responder_sends_on_the_old_child_until_the_new_one_is_heard() {
    // RFC 7296 §2.8
    let mut pair = Pair::established(13);
    let (old_a, old_b) = (pair.child(End::A), pair.child(End::B));
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, old_a)).unwrap();
    pair.pass(End::A);
    let new_b = pair.child(End::B);
    assert_ne!(new_b, old_b);
    assert!(pair.b.installed.contains_key(&(new_b, Direction::Inbound)), "ready to receive");
    assert_eq!(pair.b.carries["net"], old_b, "and not yet to send");
    // The initiator moves with the answer; its first packet moves the responder.
    pair.pass(End::B);
    let new_a = pair.a.carries["net"];
    assert_ne!(new_a, old_a);
    pair.with(End::B, |endpoint, now| endpoint.handle_data(now, DataEvent::FirstInbound(new_b)));
    assert_eq!(pair.b.carries["net"], new_b);
    pair.settle();
    pair.assert_agree();
}

#[test]
fn a_delete_of_the_old_child_moves_a_responder_that_has_heard_nothing_on_the_new() {
    let mut pair = Pair::established(14);
    let old = pair.child(End::A);
    let old_b = pair.child(End::B);
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, old)).unwrap();
    pair.pass(End::A);
    assert_eq!(pair.b.carries["net"], old_b);
    pair.settle();
    assert_eq!(pair.b.carries["net"], pair.b.children()[0]);
}

#[test]
fn the_old_inbound_half_waits_five_seconds_for_stragglers() {
    let mut pair = Pair::established(15);
    let olds = [(End::A, pair.child(End::A)), (End::B, pair.child(End::B))];
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, olds[0].1)).unwrap();
    pair.settle();
    let halves = |pair: &mut Pair, end, spi| {
        let installed = &pair.host(end).installed;
        [Direction::Inbound, Direction::Outbound].map(|direction| installed.contains_key(&(spi, direction)))
    };
    pair.sleep(std::time::Duration::from_millis(4_990));
    for (end, old) in olds {
        assert_eq!(halves(&mut pair, end, old), [true, false]);
    }
    pair.sleep(std::time::Duration::from_millis(20));
    for (end, old) in olds {
        assert_eq!(halves(&mut pair, end, old), [false, false]);
    }
}

#[test]
fn a_rekey_carries_all_that_is_in_use_whoever_begins_it() {
    // RFC 7296 §2.9.2: the offer was narrowed by both ends when the child came up.
    for end in [End::A, End::B] {
        let mut pair = established_with(16, |end, connection| {
            change_child(connection, |child| match end {
                End::A => child.local = fixed(&["10.1.0.0/17", "10.7.0.0/16"]),
                End::B => child.local = fixed(&["10.2.3.0/24", "10.2.4.0/24"]),
            });
        });
        let before = selectors(&pair.a);
        let child = pair.child(end);
        pair.with(end, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
        pair.run(secs(6));
        pair.assert_agree();
        assert!(selectors(&pair.a).contains(&before));
    }
}

#[test]
fn more_children_than_an_ike_sa_holds_are_refused() {
    let mut pair = Pair::established(17);
    for _ in 1..256 {
        create(&mut pair, End::A, "net");
        pair.settle();
    }
    assert_eq!(pair.b.children().len(), 256);
    create(&mut pair, End::A, "net");
    pair.settle();
    assert!(refused_with(&verdict(&pair.a), NotifyType::NO_ADDITIONAL_SAS));
    pair.assert_agree();
    // A full house may still change its sheets.
    let old = pair.a.children()[0];
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, old)).unwrap();
    pair.settle();
    assert!(!pair.a.children().contains(&old), "{:?}", pair.a.failures());
    assert_eq!(pair.a.children().len(), 256);
}

#[test]
fn a_soft_limit_renews_the_child_and_a_hard_limit_ends_it() {
    let mut pair = Pair::established(18);
    let old = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.handle_data(now, DataEvent::SoftLimit(old)));
    pair.settle();
    let renewed = pair.child(End::B);
    assert_ne!(renewed, old);
    pair.with(End::B, |endpoint, now| endpoint.handle_data(now, DataEvent::HardLimit(renewed)));
    pair.run(secs(6));
    assert!(!pair.b.children().contains(&renewed));
    assert_eq!(child_closings(&pair.b)[0].cause, Cause::Exhausted);
    assert_eq!(child_closings(&pair.a)[0].cause, Cause::ClosedByPeer);
    pair.assert_agree();
}

#[test]
fn a_child_that_should_always_stand_comes_back_after_its_hard_limit() {
    let mut pair = Pair::established(19);
    let old: Spi = pair.child(End::A);
    pair.with(End::A, |endpoint, now| endpoint.handle_data(now, DataEvent::HardLimit(old)));
    pair.run(secs(6));
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
    assert_ne!(pair.child(End::A), old);
    assert_eq!(pair.a.installed.len(), 2);
}

#[test]
fn a_child_that_the_operator_ends_stays_away() {
    for end in [End::A, End::B] {
        let mut pair = Pair::established(20);
        let child = pair.child(end);
        pair.with(end, |endpoint, now| endpoint.terminate_child(now, child)).unwrap();
        pair.run(secs(6));
        assert!(pair.a.children().is_empty() && pair.b.children().is_empty());
        assert!(pair.a.installed.is_empty() && pair.b.installed.is_empty());
        assert_eq!(child_closings(pair.host(end))[0].cause, Cause::ClosedByUs);
        assert_eq!(child_closings(pair.host(end.other()))[0].cause, Cause::ClosedByPeer);
        pair.assert_agree();
        assert_eq!(pair.a.endpoint.resources()[0], 0);
    }
}

#[test]
fn every_child_is_announced_with_its_selectors() {
    let pair = Pair::established(21);
    for host in [&pair.a, &pair.b] {
        let told = host.events.iter().find_map(|event| match event {
            Event::ChildEstablished { child, name, selectors, .. } => {
                Some((*child, name.to_string(), (**selectors).clone()))
            }
            _ => None,
        });
        assert_eq!(told, Some((host.children()[0], "net".to_owned(), selectors(host))));
    }
}
