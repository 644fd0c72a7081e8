//! Tidegate against strongSwan. One thing at a time varies from a base case, in both roles.

mod algorithms;
mod certificates;
mod ending;
mod fabedge;
mod moving;
mod rekeying;
mod revocation;
mod selectors;
mod starting;
mod verdicts;

use crate::harness::Suite;
use crate::support::Lab;
use crate::support::pair::{Initiator, NAME, Pair, Setup};
use crate::support::wait;
use std::time::Duration;

/// All suites against strongSwan.
pub(crate) fn suites() -> Vec<Suite> {
    let mut suites = vec![
        ending::suite(),
        moving::suite(),
        verdicts::suite(),
        algorithms::suite(),
        certificates::suite(),
        revocation::suite(),
        selectors::suite(),
        starting::suite(),
        fabedge::suite(),
        rekeying::suite(),
    ];
    suites.extend(algorithms::suites_behind_nats());
    suites
}

/// Both roles, with what they add to a case's name.
const ROLES: [(&str, Initiator); 2] = [("we_initiate", Initiator::We), ("they_initiate", Initiator::They)];

/// The suite of an IKE SA and of its child that both sides are left with.
struct Suites<'a> {
    ike: &'a str,
    esp: &'a str,
}

/// Connects, has pods talk, and shuts down, which closes the SA at strongSwan as well.
#[track_caller]
fn connect_and_talk(lab: &Lab, pair: &Pair, setup: &Setup, initiator: Initiator, expected: &Suites<'_>) {
    let tidegate = pair.connect(lab, setup, initiator);
    let connection = tidegate.connection(NAME);
    let sa = &connection["sas"][0];
    assert_eq!(sa["suite"], expected.ike, "{connection:#}");
    assert_eq!(sa["children"][0]["suite"], expected.esp, "{connection:#}");
    assert_eq!(sa["initiator"], initiator == Initiator::We);
    assert_eq!(pair.charon.established(), 1, "{}", pair.charon.sas());
    pair.assert_pods_talk_as(setup);
    tidegate.stop();
    wait::until_true("strongSwan has heard of the end", Duration::from_secs(3), || {
        pair.charon.established() == 0
    });
}
