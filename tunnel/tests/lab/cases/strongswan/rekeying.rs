//! New keys under running traffic, from both sides. Nothing may be lost that the kernel hands to
//! those who carry it.

use super::ROLES;
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::flow::{self, Flow};
use crate::support::pair::{Behind, CHILD, Initiator, NAME, Outside, Pair};
use crate::support::tidegate::{Losses, Tidegate};
use crate::support::wait;
use serde_json::Value;
use std::thread;
use std::time::Duration;

/// The cases. Datagrams are paced by the clock, so nothing else may hog the processor.
pub(super) fn suite() -> Suite {
    let mut cases =
        Cases::new("strongswan/rekey", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody)).alone();
    for (role, initiator) in ROLES {
        cases = cases
            .case(format!("child_by_us/{role}"), rolls(initiator, Keys::Child, &[Initiator::We]))
            .case(format!("child_by_them/{role}"), rolls(initiator, Keys::Child, &[Initiator::They]))
            .case(
                format!("child_by_both_at_once/{role}"),
                rolls(initiator, Keys::Child, &[Initiator::We, Initiator::They]),
            )
            .case(format!("ike_by_us/{role}"), rolls(initiator, Keys::Ike, &[Initiator::We]))
            .case(format!("ike_by_them/{role}"), rolls(initiator, Keys::Ike, &[Initiator::They]))
            .case(
                format!("ike_by_both_at_once/{role}"),
                rolls(initiator, Keys::Ike, &[Initiator::We, Initiator::They]),
            );
    }
    cases
        .case("child_with_a_key_exchange_of_its_own", |lab, pair: &mut Pair| {
            let mut setup = pair.base(Outside::V4);
            setup.propose("aes128gcm16-prfsha256-x25519", "aes128gcm16-x25519");
            let tidegate = pair.connect(lab, &setup, Initiator::We);
            roll(lab, pair, &tidegate, Keys::Child, &[Initiator::We]);
            roll(lab, pair, &tidegate, Keys::Child, &[Initiator::They]);
            tidegate.stop();
        })
        .suite()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Child,
    Ike,
}

fn rolls(initiator: Initiator, keys: Keys, by: &'static [Initiator]) -> impl Fn(&Lab, &mut Pair) + Send {
    move |lab, pair| {
        let tidegate = pair.connect(lab, &pair.base(Outside::V4), initiator);
        roll(lab, pair, &tidegate, keys, by);
        tidegate.stop();
    }
}

#[track_caller]
fn roll(lab: &Lab, pair: &Pair, tidegate: &Tidegate, keys: Keys, by: &[Initiator]) {
    // strongSwan's ESP is in userspace too, and waits for a processor as ours does.
    let theirs = || Losses { missed: pair.them.node.overruns(), ..Losses::default() };
    let losses = || tidegate.losses().and(theirs());
    let earlier = losses();
    let flows = pair.flows();
    flow::arrive(&flows, 300);
    let before = current(tidegate, keys);
    thread::scope(|scope| {
        for side in by {
            scope.spawn(move || ask(pair, tidegate, keys, *side));
        }
    });
    wait::until_true("there are other keys", Duration::from_secs(5), || current(tidegate, keys) != before);
    flow::arrive(&flows, 1500);
    let (tallies, lost) = (flows.map(Flow::finish), losses().since(&earlier));
    let [ours, from_them] = tallies.each_ref().map(|tally| (tally.sent, tally.lost.len()));
    lab.say(format!("sent and lost: from us {ours:?}, from them {from_them:?}; {lost:?}"));
    flow::assert_carried(&tallies, &lost);
    wait::until_true("one IKE SA is left", Duration::from_secs(5), || pair.charon.established() == 1);
}

fn ask(pair: &Pair, tidegate: &Tidegate, keys: Keys, side: Initiator) {
    match (side, keys) {
        (Initiator::We, Keys::Child) => tidegate.rekey(CHILD),
        (Initiator::We, Keys::Ike) => tidegate.rekey(NAME),
        (Initiator::They, Keys::Child) => pair.charon.rekey_child(CHILD),
        (Initiator::They, Keys::Ike) => pair.charon.rekey_ike(NAME),
    }
}

/// SPIs of what carries now.
fn current(tidegate: &Tidegate, keys: Keys) -> Option<Value> {
    let connection = tidegate.connection(NAME);
    let sas = connection["sas"].as_array().cloned().unwrap_or_default();
    let sa = sas.into_iter().rfind(|sa| sa["phase"] == "ESTABLISHED")?;
    match keys {
        Keys::Ike => Some(sa["spis"].clone()),
        Keys::Child => {
            let child = sa["children"].as_array()?.iter().rfind(|child| child["current"] == true)?;
            Some(child["spi_in"].clone())
        }
    }
}
