use super::*;
use tidegate_esp::{SelectorPair, TrafficSelector};

fn selector(text: &str) -> TrafficSelector {
    text.parse().unwrap()
}

fn pair(local: &[&str], remote: &[&str]) -> SelectorPair {
    let side = |side: &[&str]| side.iter().map(|text| selector(text)).collect();
    SelectorPair { local: side(local), remote: side(remote) }
}

fn all(selectors: &SelectorPair) -> BTreeSet<Flow> {
    Flows::of(selectors).all
}

fn flow(local: &str, remote: &str) -> Flow {
    *all(&pair(&[local], &[remote])).first().unwrap()
}

fn plan(hosts: &[&str], captures: &[(&[&str], &[&str])]) -> Plan {
    let mut plan = Plan::default();
    plan.set_hosts(hosts.iter().map(|host| host.parse().unwrap()).collect());
    for (number, (local, remote)) in captures.iter().enumerate() {
        plan.capture(CaptureId(number as u64), all(&pair(local, remote)));
    }
    plan
}

fn unbound_source(plan: &Plan, local: &str, remote: &str) -> Option<String> {
    Some(plan.way(&flow(local, remote).unbound())?.source?.to_string())
}

#[test]
fn a_flow_stays_until_the_last_capture_of_it_is_released() {
    let mut plan = plan(&[], &[(&["10.1.0.0/24"], &["10.2.0.0/24"]), (&["10.1.0.0/24"], &["10.2.0.0/24"])]);
    let flow = flow("10.1.0.0/24", "10.2.0.0/24");
    plan.release(CaptureId(0));
    assert!(plan.way(&flow).is_some());
    assert_eq!(plan.release(CaptureId(1)), [flow]);
    assert!(plan.way(&flow).is_none());
    assert_eq!((plan.flows.len(), plan.locals.len(), plan.captures.len()), (0, 0, 0));
    assert!(plan.classes.is_empty());
}

#[test]
fn a_capture_that_is_named_again_takes_the_place_of_the_earlier() {
    let mut plan = plan(&[], &[(&["10.1.0.0/24"], &["10.2.0.0/24", "10.3.0.0/24"])]);
    let touched = plan.capture(CaptureId(0), all(&pair(&["10.1.0.0/24"], &["10.3.0.0/24", "10.4.0.0/24"])));
    assert_eq!(touched.len(), 3);
    let captured = |remote| plan.way(&flow("10.1.0.0/24", remote)).is_some();
    assert_eq!(["10.2.0.0/24", "10.3.0.0/24", "10.4.0.0/24"].map(captured), [false, true, true]);
}

#[test]
fn the_smallest_limit_of_all_that_claim_a_flow_counts() {
    let mut plan = plan(&[], &[(&["10.1.0.0/24"], &["10.2.0.0/24"]), (&["10.1.0.0/24"], &["10.2.0.0/24"])]);
    let flow = flow("10.1.0.0/24", "10.2.0.0/24");
    assert_eq!(plan.limit(CaptureId(0), Some(1400)), [flow]);
    plan.limit(CaptureId(1), Some(1300));
    assert_eq!(plan.way(&flow).unwrap().mtu, Some(1300));
    plan.release(CaptureId(1));
    assert_eq!(plan.way(&flow).unwrap().mtu, Some(1400));
    assert!(plan.limit(CaptureId(0), Some(1400)).is_empty());
}

#[test]
fn ipv6_is_never_limited_to_less_than_every_link_carries() {
    let mut plan = plan(&[], &[(&["10.1.0.0/24", "fd01::/64"], &["10.2.0.0/24", "fd02::/64"])]);
    plan.limit(CaptureId(0), Some(1206));
    let mtu = |local, remote| plan.way(&flow(local, remote)).unwrap().mtu;
    assert_eq!(mtu("10.1.0.0/24", "10.2.0.0/24"), Some(1206));
    assert_eq!(mtu("fd01::/64", "fd02::/64"), Some(1280));
}

#[test]
fn unbound_sockets_take_the_address_that_a_selector_names() {
    let plan = plan(
        &["10.1.0.1", "192.0.2.1"],
        &[(&["10.1.0.0/24"], &["10.2.0.0/24"]), (&["192.0.2.1"], &["10.2.0.0/24"])],
    );
    assert_eq!(unbound_source(&plan, "10.1.0.0/24", "10.2.0.0/24").as_deref(), Some("192.0.2.1"));
}

#[test]
fn unbound_sockets_take_an_address_inside_the_selector_where_none_is_named() {
    let plan = plan(&["10.1.0.1", "192.0.2.1"], &[(&["10.1.0.0/24"], &["10.2.0.0/24"])]);
    assert_eq!(unbound_source(&plan, "10.1.0.0/24", "10.2.0.0/24").as_deref(), Some("10.1.0.1"));
    let without = Plan::default();
    assert_eq!(unbound_source(&without, "10.1.0.0/24", "10.2.0.0/24"), None);
}

#[test]
fn another_node_is_not_captured_for_the_sake_of_our_address_among_pods() {
    let mut plan = plan(&["10.1.0.1", "192.0.2.1"], &[(&["10.1.0.0/24"], &["192.0.2.2"])]);
    let flow = flow("10.1.0.0/24", "192.0.2.2");
    assert_eq!(plan.question(&flow), Some("192.0.2.2".parse().unwrap()));
    plan.set_natural("192.0.2.2".parse().unwrap(), Some("192.0.2.1".parse().unwrap()));
    assert_eq!(plan.way(&flow.unbound()), None);
    plan.set_natural("192.0.2.2".parse().unwrap(), Some("10.1.0.1".parse().unwrap()));
    assert_eq!(unbound_source(&plan, "10.1.0.0/24", "192.0.2.2").as_deref(), Some("10.1.0.1"));
}

#[test]
fn a_virtual_address_takes_all_that_its_selector_names() {
    let plan = plan(&["10.9.0.7"], &[(&["10.9.0.7"], &["192.0.2.2"])]);
    assert_eq!(unbound_source(&plan, "10.9.0.7", "192.0.2.2").as_deref(), Some("10.9.0.7"));
}

#[test]
fn what_nobody_claims_is_given_up_when_the_start_is_over() {
    let mut plan = Plan::default();
    let (kept, lost) = (flow("10.1.0.0/24", "10.2.0.0/24"), flow("10.1.0.0/24", "10.3.0.0/24"));
    plan.adopt(kept);
    plan.adopt(lost);
    assert!(plan.way(&lost).is_some());
    plan.capture(CaptureId(1), BTreeSet::from([kept]));
    assert_eq!(plan.settle(), [kept, lost]);
    assert!(plan.way(&kept).is_some());
    assert!(plan.way(&lost).is_none());
}

/// A plan with as many single addresses of ours as have tables of their own: the class of sockets without one is one more.
fn full_plan() -> Plan {
    let mut plan = Plan::default();
    for number in 0..MOST_CLASSES as u64 - 1 {
        let local = format!("10.128.{}.{}", number / 256, number % 256);
        let flows = plan.fit(Flows::of(&pair(&[&local], &["10.2.0.0/24"])));
        assert_eq!(flows.grain, Grain::Exact, "{local}");
        plan.capture(CaptureId(number), flows.all);
    }
    plan
}

#[test]
fn what_finds_no_table_is_captured_from_anywhere() {
    let mut plan = full_plan();
    let one_more = plan.fit(Flows::of(&pair(&["10.129.0.1", "10.128.0.7"], &["10.2.0.0/24"])));
    let anywhere = Flow::from_anywhere(Prefix::new("10.2.0.0".parse().unwrap(), 24).unwrap());
    let known = flow("10.128.0.7", "10.2.0.0/24");
    assert_eq!(one_more, Flows { all: BTreeSet::from([anywhere, known]), grain: Grain::Coarse });
    plan.capture(CaptureId(9999), one_more.all);
    assert!(plan.way(&anywhere).is_some());
    assert!(plan.classes.len() <= MOST_TABLES as usize);
    plan.release(CaptureId(9999));
    assert!(plan.way(&anywhere).is_none() && plan.way(&known).is_some());
}

#[test]
fn a_table_that_is_given_back_is_taken_by_the_next() {
    let mut plan = full_plan();
    plan.release(CaptureId(7));
    let next = plan.fit(Flows::of(&pair(&["10.129.0.1"], &["10.2.0.0/24"])));
    assert_eq!(next, Flows { all: BTreeSet::from([flow("10.129.0.1", "10.2.0.0/24")]), grain: Grain::Exact });
}
