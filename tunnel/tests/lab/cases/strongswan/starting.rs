//! What brings a tunnel up.

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::capture::Capture;
use crate::support::pair::{Behind, NAME, Outside, Pair};
use crate::support::tidegate::config::Start;
use crate::support::{flow, wait};
use std::time::Duration;

/// The cases.
pub(super) fn suite() -> Suite {
    Cases::new("strongswan/start", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody))
        // First, as connections of pods that talked before would be traffic.
        .case("on_traffic_which_is_held_until_then", on_traffic)
        .case("at_once", at_once)
        .case("both_at_once_end_with_one_sa", both_at_once)
        .suite()
}

fn at_once(lab: &Lab, pair: &mut Pair) {
    let mut setup = pair.base(Outside::V4);
    setup.our_child().start = Start::AtOnce;
    let tidegate = pair.start(lab, &setup);
    tidegate.wait_until_up(NAME, Duration::from_secs(3));
    pair.assert_pods_talk();
    tidegate.stop();
}

fn on_traffic(lab: &Lab, pair: &mut Pair) {
    let mut setup = pair.base(Outside::V4);
    setup.our_child().start = Start::OnTraffic;
    let tidegate = pair.start(lab, &setup);
    let capture = Capture::start(&pair.internet.router, &pair.inner());
    let nothing_yet = || capture.seen().ike == 0;
    wait::holds("nothing is sent while there is no traffic", Duration::from_millis(300), nothing_yet);
    pair.assert_pods_talk();
    assert!(tidegate.is_up(NAME));
    capture.assert_sealed();
    tidegate.stop();
}

fn both_at_once(lab: &Lab, pair: &mut Pair) {
    let mut setup = pair.base(Outside::V4);
    setup.our_child().start = Start::AtOnce;
    setup.their().child().set("start_action", "start");
    let tidegate = pair.start(lab, &setup);
    tidegate.wait_until_up(NAME, Duration::from_secs(5));
    let one_each = || pair.charon.established() == 1 && tidegate.current_children(NAME) == 1;
    wait::until_true("one SA is left at each side", Duration::from_secs(10), one_each);
    flow::arrive(&pair.flows(), 300);
    pair.assert_pods_talk();
    assert!(one_each(), "{}", pair.charon.sas());
    tidegate.stop();
}
