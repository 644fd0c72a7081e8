//! How SAs end: deleted by one side or the other, or because one side is gone.

use super::ROLES;
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::pair::{Behind, CHILD, Initiator, NAME, Outside, Pair};
use crate::support::tidegate::Tidegate;
use crate::support::tidegate::config::{After, Start};
use crate::support::wait;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

/// The cases.
pub(super) fn suite() -> Suite {
    let mut cases = Cases::new("strongswan/end", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody));
    for (role, initiator) in ROLES {
        cases = cases
            .case(format!("we_delete/{role}"), move |lab, pair: &mut Pair| {
                let tidegate = pair.connect(lab, &pair.base(Outside::V4), initiator);
                tidegate.down(NAME);
                assert!(!tidegate.is_up(NAME), "{:#}", tidegate.connection(NAME));
                assert_eq!(pair.charon.established(), 0, "{}", pair.charon.sas());
                tidegate.up(NAME);
                pair.assert_pods_talk();
            })
            .case(format!("they_delete/{role}"), move |lab, pair: &mut Pair| {
                let tidegate = pair.connect(lab, &pair.base(Outside::V4), initiator);
                pair.charon.terminate(NAME);
                wait::until_true("we are down", SOON, || !tidegate.is_up(NAME));
                pair.charon.initiate(CHILD);
                pair.assert_pods_talk();
            })
            .case(format!("they_delete_the_child/{role}"), move |lab, pair: &mut Pair| {
                let tidegate = pair.connect(lab, &pair.base(Outside::V4), initiator);
                pair.charon.terminate_child(CHILD);
                wait::until_true("the child is gone", SOON, || tidegate.current_children(NAME) == 0);
                pair.charon.initiate(CHILD);
                pair.assert_pods_talk();
            });
    }
    cases
        .case("what_they_delete_comes_back_if_it_should", comes_back_after_delete)
        .case("a_dead_peer_is_noticed", dead_peer_is_noticed)
        .case("a_peer_that_comes_back_is_found", peer_that_comes_back)
        .case("our_own_crash_leaves_one_sa_at_the_peer", own_crash)
        .suite()
}

fn comes_back_after_delete(lab: &Lab, pair: &mut Pair) {
    let mut setup = pair.base(Outside::V4);
    setup.our_child().on_close = After::Restart;
    setup.our_child().start = Start::AtOnce;
    let tidegate = pair.start(lab, &setup);
    tidegate.wait_until_up(NAME, SOON);
    pair.charon.terminate(NAME);
    wait::until_true("strongSwan has it again", SOON, || pair.charon.established() == 1);
    tidegate.wait_until_up(NAME, SOON);
    pair.assert_pods_talk();
}

fn dead_peer_is_noticed(lab: &Lab, pair: &mut Pair) {
    let mut setup = pair.base(Outside::V4);
    setup.our().be_impatient();
    let tidegate = pair.connect(lab, &setup, Initiator::We);
    pair.restart_charon(lab);
    wait::until_true("we notice", Duration::from_secs(15), || !tidegate.is_up(NAME));
    let verdict = tidegate.last_verdict(NAME);
    assert!(verdict.contains("answer"), "{verdict}");
}

fn peer_that_comes_back(lab: &Lab, pair: &mut Pair) {
    let mut setup = pair.base(Outside::V4);
    setup.our().be_impatient();
    setup.our_child().start = Start::AtOnce;
    setup.our_child().on_death = After::Restart;
    let tidegate = pair.start(lab, &setup);
    tidegate.wait_until_up(NAME, SOON);
    pair.restart_charon(lab);
    pair.charon.load(&setup.theirs);
    let took = wait::until_true("it is back", Duration::from_secs(15), || pair.charon.established() == 1);
    lab.say(format!("back after {:.1} s", took.as_secs_f64()));
    pair.assert_pods_talk();
}

fn own_crash(lab: &Lab, pair: &mut Pair) {
    let setup = pair.base(Outside::V4);
    let tidegate = pair.connect(lab, &setup, Initiator::We);
    tidegate.kill();
    let tidegate = Tidegate::start(lab, &pair.us.node, &setup.ours);
    tidegate.up(NAME);
    // INITIAL_CONTACT tells strongSwan to forget the SA of the life before (RFC 7296 §2.4).
    wait::until_true("one SA is left", SOON, || pair.charon.established() == 1);
    pair.assert_pods_talk();
}
