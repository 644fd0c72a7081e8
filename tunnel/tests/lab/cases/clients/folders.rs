//! A daemon that is driven by `swanctl` alone, with folders of certificates, keys and secrets.

use super::office::Office;
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::pair::{Behind, Pair};
use crate::support::tidegate::Tidegate;
use crate::support::tool::Release;
use crate::support::wait;
use std::time::Duration;

/// The cases that do with what is installed.
pub(super) fn suite() -> Suite {
    cases("clients/folders", Needs::StrongSwan, Release::Installed)
        .case("twice_in_a_row_and_after_a_restart", twice)
        .suite()
}

/// The cases with the newest `swanctl`.
pub(super) fn suite_of_newest() -> Suite {
    cases("clients/newest", Needs::NewestTool, Release::Newest).suite()
}

fn cases(name: &'static str, needs: Needs, release: Release) -> Cases<Pair> {
    Cases::new(name, needs, |lab| Pair::new(lab, Behind::Nobody))
        .case("all_is_loaded_and_shown", move |lab, pair| shown(lab, pair, release))
        .case("orders_are_followed_and_told", move |lab, pair| orders(lab, pair, release))
}

const CONNECTIONS: &str = r#"
    branch {
        version = 2
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        dpd_delay = 30s
        rekey_time = 30m
        local  { auth = pubkey
                 certs = HERE.crt
                 id = "C=CN, O=Office, CN=HERE" }
        remote { auth = pubkey
                 cacerts = ca.crt
                 id = "C=CN, O=Office, CN=THERE" }
        children {
            v4 { local_ts = HERE_PODS
                 remote_ts = THERE_PODS
                 rekey_bytes = 500000000 }
            v6 { local_ts = HERE_PODS_V6
                 remote_ts = THERE_PODS_V6 }
        }
    }
    guests {
        version = 2
        remote_addrs = %any
        pools = pool-HERE
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = guest.office }
        children {
            guest { local_ts = HERE_PODS }
        }
    }
}
authorities {
    office { cacert = ca.crt
             crl_uris = http://192.0.2.1/office.crl }
"#;

fn open(lab: &Lab, pair: &Pair, release: Release) -> Office {
    let mut office = Office::open(lab, pair, CONNECTIONS);
    office.equip(lab);
    office.ours.become_of(release);
    office
}

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

fn shown(lab: &Lab, pair: &Pair, release: Release) {
    let office = open(lab, pair, release);
    let said = office.ours.run("--load-all");
    assert_has(
        &said,
        &[
            "loaded certificate from",
            "us.crt",
            "ca.crt",
            "authority.crl",
            "loaded RSA key from",
            "us.p8",
            "loaded ike secret 'ike-any'",
            "loaded authority 'office'",
            "loaded pool 'pool-us'",
            "successfully loaded 2 connections, 0 unloaded",
        ],
    );
    let tool = &office.ours;
    assert_has(
        &tool.run("--list-conns"),
        &[
            "branch: IKEv2, no reauthentication, rekeying every 1800s, dpd delay 30s",
            "local public key authentication:",
            "id: C=CN, O=Office, CN=us",
            "certs: C=CN, O=Office, CN=us",
            "v4: TUNNEL, rekeying every 3600s or 500000000 bytes",
            "guests: IKEv2",
            "remote: %any",
            "remote pre-shared key authentication:",
        ],
    );
    assert_has(
        &tool.run("--list-certs"),
        &["RSA 2048 bits, has private key", "C=CN, O=Office, CN=us", "List of X.509 CRLs"],
    );
    assert_has(&tool.run("--list-authorities"), &["office:", "http://192.0.2.1/office.crl", "CN=authority"]);
    assert_has(&tool.run("--list-pools"), &["pool-us", "10.71.0.0", "0 / 0 / 254"]);
    assert_has(&tool.run("--list-algs"), &["AES_GCM_16", "CURVE_25519"]);
    assert_has(&tool.run("--stats"), &["uptime: ", "IKE_SAs: 0 total, 0 half-open"]);
    assert_has(&tool.run("--counters"), &["ike-init-out-req", "invalid-spi"]);
    assert_has(&tool.run("--version --daemon"), &["tidegate"]);
    lab.say(tool.run("--version").trim());
    assert_has(&tool.fail("--initiate --child nothing"), &["CHILD_SA config 'nothing' not found"]);
    assert_has(&tool.fail("--terminate --ike nothing"), &["no matching SAs to terminate found"]);
    office.tidegate.stop();
}

fn orders(lab: &Lab, pair: &Pair, release: Release) {
    let office = open(lab, pair, release);
    office.load();
    let tool = &office.ours;
    let (monitor_log, log_log) = (lab.fresh("monitor.log"), lab.fresh("said.log"));
    let monitor = tool.listen(&pair.us.node, "--monitor-sa", &monitor_log);
    let log = tool.listen(&pair.us.node, "--log", &log_log);
    wait::until_true("the log is heard", Duration::from_secs(5), || {
        let _ = tool.fail("--initiate --child nothing");
        tool.run("--initiate --child v4 --timeout 10");
        tool.run("--terminate --ike branch --timeout 5");
        log.log().contains("[IKE]") && monitor.log().contains("branch: #")
    });
    let said = tool.run("--initiate --child v4 --timeout 10");
    assert_has(&said, &["[IKE]", "initiate completed successfully"]);
    pair.assert_pods_talk();
    let plain = tool.run("--list-sas");
    assert_has(
        &plain,
        &["ESTABLISHED, IKEv2", "INSTALLED, TUNNEL-in-UDP", "AES_GCM_16", "established ", "installed "],
    );
    let raw = tool.run("--list-sas --raw");
    assert_has(
        &raw,
        &[
            "list-sa event {branch {uniqueid=",
            "state=ESTABLISHED",
            "child-sas {v4-",
            "bytes-in=",
            "list-sas reply {}",
        ],
    );
    assert_has(
        &tool.run("--list-sas --pretty"),
        &["list-sa event {\n  branch {\n", "    state = ESTABLISHED\n"],
    );
    assert_has(&tool.run("--stats"), &["IKE_SAs: 1 total, 0 half-open"]);
    assert_has(&tool.run("--rekey --child v4"), &["rekey completed successfully"]);
    assert_has(&tool.run("--rekey --ike branch"), &["rekey completed successfully"]);
    wait::until_true("both are counted", Duration::from_secs(3), || {
        let counters = tool.run("--counters");
        counters.contains("ike-rekey-init        : 1") && counters.contains("child-rekey           : 1")
    });
    pair.assert_pods_talk();
    assert_has(&tool.run("--terminate --ike branch --timeout 5"), &["terminate completed successfully"]);
    assert_has(&tool.run("--stats"), &["IKE_SAs: 0 total, 0 half-open"]);
    tool.run("--counters --reset");
    assert_has(&tool.run("--counters"), &["child-rekey           : 0"]);
    drop((monitor, log));
    office.tidegate.stop();
}

fn twice(lab: &Lab, pair: &mut Pair) {
    let mut office = open(lab, pair, Release::Installed);
    office.load();
    office.ours.run("--initiate --child v4 --timeout 10");
    let numbers = |office: &Office| {
        let sas = office.ours.run("--list-sas --raw");
        let spis = sas.split("spi-in=").skip(1).filter_map(|rest| rest.split(' ').next());
        spis.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = numbers(&office);
    assert_eq!(before.len(), 1);
    let flows = pair.flows();
    for words in ["--load-all", "--load-all --clear", "--load-conns", "--load-all"] {
        office.ours.run(words);
    }
    assert_eq!(numbers(&office), before, "loading again what was there has made another SA");
    for (flow, way) in flows.into_iter().zip(["from us", "to us"]) {
        flow.finish().assert_whole(way);
    }
    let left = office.tidegate.kill();
    let tidegate = Tidegate::start_again(lab, &pair.us.node, &left);
    office.ours.talk_to(tidegate.socket());
    assert!(!office.ours.run("--list-conns").contains("branch"));
    office.ours.run("--load-all");
    office.ours.run("--initiate --child v4 --timeout 10");
    pair.assert_pods_talk();
    wait::until_true("the peer has one SA", Duration::from_secs(5), || pair.charon.established() == 1);
    tidegate.stop();
}
