//! What two ends agree on by a `swanctl.conf` beyond one proof each and a child at once: several rounds of proof
//! (RFC 4739), IKE SAs without children (RFC 6023), and two ends that begin at the same time.

use super::office::Office;
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::namespace::like_this_thread;
use crate::support::pair::{Behind, Initiator, Pair};
use crate::support::tool::Tool;
use crate::support::wait;
use std::thread;
use std::time::Duration;

/// The cases.
pub(super) fn suite() -> Suite {
    let mut cases = Cases::new("clients/rounds", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody));
    for (role, initiator) in [("we_initiate", Initiator::We), ("they_initiate", Initiator::They)] {
        cases = cases
            .case(format!("certificate_and_then_secret/{role}"), move |lab, pair: &mut Pair| {
                two_rounds(lab, pair, initiator);
            })
            .case(format!("a_wrong_second_proof_is_refused/{role}"), move |lab, pair: &mut Pair| {
                wrong_second(lab, pair, initiator);
            })
            .case(format!("no_child_at_first/{role}"), move |lab, pair: &mut Pair| {
                childless(lab, pair, initiator);
            });
    }
    cases.case("both_initiate_at_once", both_at_once).suite()
}

const ROUNDS: &str = r#"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        local-1 { round = 1
                  auth = pubkey
                  certs = HERE.crt
                  id = "C=CN, O=Office, CN=HERE" }
        local-2 { round = 2
                  auth = psk
                  id = HERE.office }
        remote-1 { round = 1
                   auth = pubkey
                   cacerts = ca.crt
                   id = "C=CN, O=Office, CN=THERE" }
        remote-2 { round = 2
                   auth = psk
                   id = THERE.office }
        children {
            net { local_ts = HERE_PODS
                  remote_ts = THERE_PODS }
        }
    }"#;

fn two_rounds(lab: &Lab, pair: &Pair, initiator: Initiator) {
    let office = Office::open(lab, pair, ROUNDS);
    office.equip(lab);
    office.load();
    office.of(initiator).run("--initiate --child net --timeout 10");
    pair.assert_pods_talk();
    for tool in [&office.ours, &office.theirs] {
        let conns = tool.run("--list-conns");
        for part in ["local public key", "local pre-shared key", "remote public key", "remote pre-shared key"]
        {
            assert!(conns.contains(&format!("{part} authentication:")), "no {part} in\n{conns}");
        }
    }
    // Keys are made anew without proving anything anew, and after that both prove all of it again.
    office.of(initiator).run("--rekey --ike office");
    pair.assert_pods_talk();
    office.of(initiator).run("--rekey --ike office --reauth");
    wait::until_true("there is one SA again", Duration::from_secs(8), || {
        [&office.ours, &office.theirs]
            .iter()
            .all(|tool| tool.run("--list-sas").matches("office: #").count() == 1)
    });
    pair.assert_pods_talk();
    office.tidegate.stop();
}

fn wrong_second(lab: &Lab, pair: &Pair, initiator: Initiator) {
    let office = Office::open(lab, pair, ROUNDS);
    office.equip(lab);
    office.load();
    // Whoever begins takes it up at once.
    let tool = office.of(initiator);
    tool.configure("secrets { ike-any { secret = \"another than the other end has\" } }");
    tool.run("--load-creds");
    let said = tool.fail("--initiate --child net --timeout 10");
    assert!(said.contains("AUTHENTICATION_FAILED") || said.contains("shared secret"), "{said}");
    for tool in [&office.ours, &office.theirs] {
        assert!(!tool.run("--list-sas").contains("ESTABLISHED"));
    }
    office.tidegate.stop();
}

const CHILDLESS: &str = r"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        childless = force
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = THERE.office }
        children {
            net { local_ts = HERE_PODS
                  remote_ts = THERE_PODS }
        }
    }";

fn childless(lab: &Lab, pair: &Pair, initiator: Initiator) {
    let office = Office::open(lab, pair, CHILDLESS);
    office.load();
    let tool = office.of(initiator);
    tool.run("--initiate --child net --timeout 10");
    pair.assert_pods_talk();
    let log = pair.charon.log();
    let request = log.lines().rev().find(|line| line.contains("IKE_AUTH request 1 ["));
    let request = request.expect("strongSwan says what is in messages");
    assert!(!request.contains(" SA "), "the child has come with the IKE SA: {request}");
    for tool in [&office.ours, &office.theirs] {
        let sas = tool.run("--list-sas");
        assert_eq!(sas.matches("office: #").count(), 1, "the child has come with another IKE SA:\n{sas}");
    }
    office.theirs.run("--terminate --ike office --timeout 5");
    tool.run("--initiate --child net --timeout 10");
    pair.assert_pods_talk();
    office.tidegate.stop();
}

const TWO: &str = r"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = THERE.office }
        children {
            v4 { local_ts = HERE_PODS
                 remote_ts = THERE_PODS }
            v6 { local_ts = HERE_PODS_V6
                 remote_ts = THERE_PODS_V6 }
        }
    }";

/// strongSwan takes it for a failure that the other end has been faster.
#[track_caller]
fn bring_up(tool: &Tool, child: &str) {
    if let Err(said) = tool.try_to(&format!("--initiate --child {child} --timeout 10")) {
        assert!(said.contains("due to existing duplicate"), "{said}");
    }
}

/// As two connectors do. It is not said which SA is used then, but that there is one.
fn both_at_once(lab: &Lab, pair: &mut Pair) {
    let office = Office::open(lab, pair, TWO);
    office.load();
    for round in 0..5 {
        thread::scope(|scope| {
            for tool in [&office.ours, &office.theirs] {
                let work = || ["v4", "v6"].map(|child| bring_up(tool, child));
                like_this_thread().spawn_scoped(scope, work).expect("a thread");
            }
        });
        pair.assert_pods_talk();
        pair.assert_pods_talk_v6();
        let count = |tool: &Tool| {
            let sas = tool.run("--list-sas");
            (sas.matches("ESTABLISHED").count(), sas.matches("INSTALLED").count())
        };
        // Of two children that are alike we close one; strongSwan hears of it in its time.
        let sas = wait::until("both ends have the same", Duration::from_secs(8), || {
            let (ours, theirs) = (count(&office.ours), count(&office.theirs));
            (ours == theirs).then_some(ours)
        });
        lab.say(format!("round {round}: IKE SAs and children {sas:?}"));
        assert!((1..=2).contains(&sas.0) && (2..=4).contains(&sas.1), "{sas:?}");
        pair.assert_pods_talk();
        pair.assert_pods_talk_v6();
        for _ in 0..sas.0 {
            let _ = office.ours.try_to("--terminate --ike office --timeout 5");
        }
        wait::until_true("nothing is left", Duration::from_secs(5), || {
            [&office.ours, &office.theirs].iter().all(|tool| !tool.run("--list-sas").contains("office: #"))
        });
    }
    office.tidegate.stop();
}
