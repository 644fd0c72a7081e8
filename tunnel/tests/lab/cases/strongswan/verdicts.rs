//! What fails, and whether we say why.

use super::certificates::{OUR_SUBJECT, THEIR_SUBJECT};
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::certificates::{Authority, Key, Validity};
use crate::support::pair::{Behind, CHILD, NAME, Outside, Pair, Setup};
use crate::support::swanctl::set;
use crate::support::tidegate::Tidegate;
use crate::support::wait;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(3);

/// What is wrong, how it is made so, and what we have to say about it: when we initiate, and when they do.
struct Mistake {
    name: &'static str,
    make: fn(&Lab, &mut Setup),
    when_we_initiate: &'static str,
    when_they_initiate: Told,
}

/// Where we say it. A peer that no connection is meant for has no status to show it in.
#[derive(Clone, Copy)]
enum Told {
    InStatus(&'static str),
    InLog(&'static str),
}

const MISTAKES: [Mistake; 7] = [
    Mistake {
        name: "wrong_secret",
        make: wrong_secret,
        when_we_initiate: "AUTHENTICATION_FAILED",
        when_they_initiate: Told::InStatus("different shared secrets"),
    },
    Mistake {
        name: "wrong_identity_of_theirs",
        make: wrong_identity_of_theirs,
        when_we_initiate: "AUTHENTICATION_FAILED",
        when_they_initiate: Told::InLog("no connection for peer somebody.example that wants us.example"),
    },
    Mistake {
        name: "wrong_identity_of_ours",
        make: wrong_identity_of_ours,
        when_we_initiate: "AUTHENTICATION_FAILED",
        when_they_initiate: Told::InLog("no connection for peer them.example that wants somebody.example"),
    },
    Mistake {
        name: "their_certificate_expired",
        make: theirs_expired,
        when_we_initiate: "expired on 2021-01-01",
        when_they_initiate: Told::InStatus("expired on 2021-01-01"),
    },
    Mistake {
        name: "our_certificate_expired",
        make: ours_expired,
        when_we_initiate: "AUTHENTICATION_FAILED",
        when_they_initiate: Told::InStatus("AUTHENTICATION_FAILED"),
    },
    Mistake {
        name: "no_common_ike_proposal",
        make: no_common_ike_proposal,
        when_we_initiate: "NO_PROPOSAL_CHOSEN",
        when_they_initiate: Told::InLog("encryption differs, ours aes128gcm16, theirs aes256"),
    },
    Mistake {
        name: "no_common_esp_proposal",
        make: no_common_esp_proposal,
        when_we_initiate: "NO_PROPOSAL_CHOSEN",
        when_they_initiate: Told::InStatus("encryption differs, ours aes128gcm16, theirs aes256"),
    },
];

/// The cases.
pub(super) fn suite() -> Suite {
    let mut cases = Cases::new("strongswan/verdict", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody));
    for Mistake { name, make, when_we_initiate, when_they_initiate } in MISTAKES {
        cases = cases
            .case(format!("{name}/we_initiate"), move |lab, pair: &mut Pair| {
                let tidegate = start(lab, pair, make);
                let said = tidegate.up_in_vain(NAME);
                assert!(said.contains(when_we_initiate), "`up` says {said}");
                assert_told(lab, &tidegate, Told::InStatus(when_we_initiate));
                tidegate.stop();
            })
            .case(format!("{name}/they_initiate"), move |lab, pair: &mut Pair| {
                let tidegate = start(lab, pair, make);
                pair.charon.initiate_in_vain(CHILD);
                assert_told(lab, &tidegate, when_they_initiate);
                tidegate.stop();
            });
    }
    cases.case("nobody_answers", nobody_answers).suite()
}

fn start(lab: &Lab, pair: &Pair, make: fn(&Lab, &mut Setup)) -> Tidegate {
    let mut setup = pair.base(Outside::V4);
    make(lab, &mut setup);
    pair.start(lab, &setup)
}

#[track_caller]
fn assert_told(lab: &Lab, tidegate: &Tidegate, told: Told) {
    let text = match told {
        Told::InStatus(words) => wait::until(&format!("the status says {words:?}"), SOON, || {
            Some(tidegate.last_verdict(NAME)).filter(|verdict| verdict.contains(words))
        }),
        Told::InLog(words) => wait::until(&format!("the log says {words:?}"), SOON, || {
            tidegate.log().lines().find(|line| line.contains(words)).map(str::to_owned)
        }),
    };
    lab.say(text);
    assert_eq!(tidegate.current_children(NAME), 0, "{:#}", tidegate.connection(NAME));
}

fn wrong_secret(_: &Lab, setup: &mut Setup) {
    setup.theirs.secrets = vec![("us.example".into(), "not what we have".into())];
}

fn wrong_identity_of_theirs(_: &Lab, setup: &mut Setup) {
    set(&mut setup.their().local, "id", "somebody.example");
}

fn wrong_identity_of_ours(_: &Lab, setup: &mut Setup) {
    set(&mut setup.their().remote, "id", "somebody.example");
    setup.theirs.give_secret_to("somebody.example");
}

fn certificates(lab: &Lab, setup: &mut Setup, ours: Validity, theirs: Validity) {
    let authority = Authority::new(lab.folder(), "authority", Key::Ecdsa(256));
    let ours = authority.issue_as(OUR_SUBJECT, Key::Ecdsa(256), ours);
    let theirs = authority.issue_as(THEIR_SUBJECT, Key::Ecdsa(256), theirs);
    setup.prove(&authority, &ours, &theirs);
}

fn theirs_expired(lab: &Lab, setup: &mut Setup) {
    certificates(lab, setup, Validity::Current, Validity::Expired);
}

fn ours_expired(lab: &Lab, setup: &mut Setup) {
    certificates(lab, setup, Validity::Expired, Validity::Current);
}

fn no_common_ike_proposal(_: &Lab, setup: &mut Setup) {
    setup.their().set("proposals", "aes256-sha512-modp4096");
}

fn no_common_esp_proposal(_: &Lab, setup: &mut Setup) {
    setup.their().child().set("esp_proposals", "aes256-sha512");
}

fn nobody_answers(lab: &Lab, pair: &mut Pair) {
    let mut setup = pair.base(Outside::V4);
    setup.our().be_impatient();
    setup.our().remote.addresses = vec!["198.18.77.77".into()];
    let tidegate = pair.start(lab, &setup);
    let said = tidegate.up_in_vain(NAME);
    assert!(said.contains("answer"), "{said}");
}
