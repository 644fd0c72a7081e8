//! Certificates of every kind, and chains that take several fragments.

use super::{ROLES, Suites, connect_and_talk};
use crate::harness::{Cases, Needs, Suite};
use crate::support::certificates::{Authority, Credentials, Key};
use crate::support::pair::{Behind, Outside, Pair};

pub(super) const OUR_SUBJECT: &str = "C=CN, O=StrongSwan, CN=us";
pub(super) const THEIR_SUBJECT: &str = "C=CN, O=StrongSwan, CN=them";

const KINDS: [(&str, Key); 5] = [
    ("rsa2048", Key::Rsa(2048)),
    ("rsa3072", Key::Rsa(3072)),
    ("ecdsa256", Key::Ecdsa(256)),
    ("ecdsa384", Key::Ecdsa(384)),
    ("ed25519", Key::Ed25519),
];

const BASE: Suites<'static> = Suites { ike: "aes128gcm16-prfsha256-x25519", esp: "aes128gcm16" };

/// The cases.
pub(super) fn suite() -> Suite {
    let mut cases =
        Cases::new("strongswan/certificates", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody));
    for (role, initiator) in ROLES {
        for (name, kind) in KINDS {
            cases = cases.case(format!("{name}/{role}"), move |lab, pair: &mut Pair| {
                let authority = Authority::new(lab.folder(), "authority", Key::Ecdsa(256));
                let (ours, theirs) =
                    (authority.issue(OUR_SUBJECT, kind), authority.issue(THEIR_SUBJECT, kind));
                let mut setup = pair.base(Outside::V4);
                setup.prove(&authority, &ours, &theirs);
                connect_and_talk(lab, pair, &setup, initiator, &BASE);
            });
        }
        cases = cases.case(format!("made_by_us/{role}"), move |lab, pair: &mut Pair| {
            let authority = Authority::made_by_us(lab.folder(), "own");
            let ours = authority.issue(OUR_SUBJECT, Key::Ecdsa(256));
            let theirs = authority.issue(THEIR_SUBJECT, Key::Ed25519);
            let mut setup = pair.base(Outside::V4);
            setup.prove(&authority, &ours, &theirs);
            connect_and_talk(lab, pair, &setup, initiator, &BASE);
        });
        cases = cases.case(format!("fragments_with_rsa4096_chain/{role}"), move |lab, pair: &mut Pair| {
            let (root, between) = long_chain(lab.folder());
            let long = |subject| -> Credentials {
                between.issue(subject, Key::Rsa(4096)).with_intermediate(&between)
            };
            let mut setup = pair.base(Outside::V4);
            setup.prove(&root, &long(OUR_SUBJECT), &long(THEIR_SUBJECT));
            connect_and_talk(lab, pair, &setup, initiator, &BASE);
            let log = pair.charon.log();
            assert!(log.contains("EF(1/"), "no fragments in strongSwan's log");
        });
    }
    cases.suite()
}

fn long_chain(folder: &std::path::Path) -> (Authority, Authority) {
    let root = Authority::new(folder, "root", Key::Rsa(4096));
    let between = root.intermediate("between", Key::Rsa(4096));
    (root, between)
}
