//! What fails, and whether we say why.

use super::ROLES;
use super::certificates::{OUR_SUBJECT, THEIR_SUBJECT};
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::certificates::{Authority, Key, Validity};
use crate::support::pair::{Behind, CHILD, Initiator, NAME, Outside, Pair, Setup};
use crate::support::swanctl::set;
use crate::support::wait;
use std::time::Duration;

/// What is wrong, how it is made so, and what we have to say about it: when we initiate, and when they do.
struct Mistake {
    name: &'static str,
    make: fn(&Lab, &mut Setup),
    verdicts: [&'static [&'static str]; 2],
}

const MISTAKES: [Mistake; 7] = [
    Mistake { name: "wrong_secret", make: wrong_secret, verdicts: [&["AUTHENTICATION_FAILED"], &["secret"]] },
    Mistake {
        name: "wrong_identity_of_theirs",
        make: wrong_identity_of_theirs,
        verdicts: [&["AUTHENTICATION_FAILED"], &["somebody.example"]],
    },
    Mistake {
        name: "wrong_identity_of_ours",
        make: wrong_identity_of_ours,
        verdicts: [&["AUTHENTICATION_FAILED"], &["AUTHENTICATION_FAILED"]],
    },
    Mistake {
        name: "their_certificate_expired",
        make: theirs_expired,
        verdicts: [&["expired"], &["expired"]],
    },
    Mistake {
        name: "our_certificate_expired",
        make: ours_expired,
        verdicts: [&["AUTHENTICATION_FAILED"], &["AUTHENTICATION_FAILED"]],
    },
    Mistake {
        name: "no_common_ike_proposal",
        make: no_common_ike_proposal,
        verdicts: [&["NO_PROPOSAL_CHOSEN"], &["proposal"]],
    },
    Mistake {
        name: "no_common_esp_proposal",
        make: no_common_esp_proposal,
        verdicts: [&["NO_PROPOSAL_CHOSEN"], &["proposal"]],
    },
];

/// The cases.
pub(super) fn suite() -> Suite {
    let mut cases = Cases::new("strongswan/verdict", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody));
    for Mistake { name, make, verdicts } in MISTAKES {
        for ((role, initiator), words) in ROLES.into_iter().zip(verdicts) {
            cases = cases.case(format!("{name}/{role}"), move |lab, pair: &mut Pair| {
                let mut setup = pair.base(Outside::V4);
                make(lab, &mut setup);
                assert_fails(lab, pair, &setup, initiator, words);
            });
        }
    }
    cases.case("nobody_answers", nobody_answers).suite()
}

#[track_caller]
fn assert_fails(lab: &Lab, pair: &Pair, setup: &Setup, initiator: Initiator, words: &[&str]) {
    let tidegate = pair.start(lab, setup);
    if initiator == Initiator::We {
        let said = tidegate.up_in_vain(NAME);
        assert!(contains(&said, words), "`up` does not say {words:?}: {said}");
    } else {
        pair.charon.initiate_in_vain(CHILD);
    }
    wait::until_true("there is a verdict", Duration::from_secs(5), || {
        !tidegate.last_verdict(NAME).is_empty()
    });
    let verdict = tidegate.last_verdict(NAME);
    lab.say(&verdict);
    assert!(contains(&verdict, words), "the verdict does not say {words:?}: {verdict}");
    let sas = tidegate.connection(NAME)["sas"].clone();
    assert!(sas.as_array().is_none_or(|sas| sas.iter().all(|sa| sa["children"][0].is_null())), "{sas:#}");
    tidegate.stop();
}

fn contains(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(&word.to_lowercase()))
}

fn wrong_secret(_: &Lab, setup: &mut Setup) {
    setup.theirs.secrets = vec![("us.example".into(), "not what we have".into())];
}

fn wrong_identity_of_theirs(_: &Lab, setup: &mut Setup) {
    set(&mut setup.their().local, "id", "somebody.example");
}

fn wrong_identity_of_ours(_: &Lab, setup: &mut Setup) {
    set(&mut setup.their().remote, "id", "somebody.example");
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
    assert!(contains(&said, &["answer"]), "{said}");
}
