//! charon's own tool as client, where it is installed.

use crate::fake::{Asked, Fake, House, two_connections};
use std::process::{Command, Output};
use tidegate::engine::{Selection, Target};

/// `None` where there is no such tool.
async fn swanctl(house: &House, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("swanctl");
    command.args(arguments).arg("--uri").arg(format!("unix://{}", house.path.display()));
    match tokio::task::spawn_blocking(move || command.output()).await.expect("no panic") {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none(), "swanctl is missing");
            report_missing();
            None
        }
        Err(error) => panic!("swanctl: {error}"),
    }
}

fn report_missing() {
    use std::io::Write;
    let advice = "left out: there is no swanctl (Debian has it in strongswan-swanctl)";
    let _ = writeln!(std::io::stderr().lock(), "{advice}");
}

async fn text(house: &House, arguments: &[&str]) -> Option<String> {
    let output = swanctl(house, arguments).await?;
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swanctl_lists_sas_and_connections() {
    let house = House::open(&Fake::with(two_connections()));
    let Some(sas) = text(&house, &["--list-sas"]).await else { return };
    assert_contains(
        &sas,
        &[
            "edge-1: #7, ESTABLISHED, IKEv2, 0123456789abcdef_i* 000000000000000f_r",
            "local  'C=CN, O=fabedge.io, CN=cloud' @ 192.0.2.1[4500]",
            "remote 'C=CN, O=fabedge.io, CN=edge-1' @ 198.51.100.2[4500]",
            "AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519",
            "established 61s ago, rekeying in 13000s",
            "edge-1-p2p: #1, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-128",
            "installed 60s ago, rekeying in 3000s",
            "in  c0000001,    252 bytes,     3 packets",
            "out 000000d2,    336 bytes,     4 packets",
            "local  10.1.0.0/24",
            "remote 10.2.0.0/24",
        ],
    );
    let Some(none) = text(&house, &["--list-sas", "--ike", "edge-2"]).await else { return };
    assert_eq!(none, "");
    let Some(connections) = text(&house, &["--list-conns"]).await else { return };
    assert_contains(
        &connections,
        &["edge-1: IKEv2", "edge-2: IKEv2", "edge-1-p2p: TUNNEL", "10.3.0.0/24", "%any"],
    );
    for form in ["--raw", "--pretty"] {
        let Some(raw) = text(&house, &["--list-sas", form]).await else { return };
        assert_contains(&raw, &["list-sa event", "ESTABLISHED", "list-sas reply"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swanctl_asks_who_we_are() {
    let house = House::open(&Fake::with(two_connections()));
    let Some(stats) = text(&house, &["--stats"]).await else { return };
    assert_contains(&stats, &["uptime:", "IKE_SAs: 1 total, 0 half-open"]);
    let Some(version) = text(&house, &["--version", "--daemon"]).await else { return };
    assert_contains(&version, &["tidegate", env!("CARGO_PKG_VERSION"), "Linux"]);
    let Some(algorithms) = text(&house, &["--list-algs"]).await else { return };
    assert_contains(&algorithms, &["AES_GCM_16[tidegate]", "CURVE_25519[tidegate]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn swanctl_initiates_rekeys_and_terminates() {
    let house = House::open(&Fake::default());
    let Some(done) = text(&house, &["--initiate", "--child", "net"]).await else { return };
    assert_contains(&done, &["initiate completed successfully"]);
    text(&house, &["--initiate", "--ike", "office", "--timeout", "5"]).await;
    text(&house, &["--rekey", "--child", "net"]).await;
    text(&house, &["--terminate", "--ike", "office"]).await;
    text(&house, &["--terminate", "--ike-id", "7"]).await;
    text(&house, &["--terminate", "--child-id", "5"]).await;
    let child = || "net".into();
    let expected = [
        Asked::Initiate(Target::Child { connection: None, child: child() }),
        Asked::Initiate(Target::Connection("office".into())),
        Asked::Rekey(Selection::Child { connection: None, child: child() }),
        Asked::Terminate(Selection::Connection("office".into())),
        Asked::Terminate(Selection::IkeSa(7)),
        Asked::Terminate(Selection::ChildNumber(5)),
    ];
    assert_eq!(house.fake.asked(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn swanctl_shows_why_it_failed() {
    let house = House::open(&Fake::default());
    let Some(output) = swanctl(&house, &["--initiate", "--ike", "broken"]).await else { return };
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_contains(
        &text,
        &["initiate failed: establishing IKE_SA 'broken' failed: no answer for 30.0 s (the network)"],
    );
    let Some(output) = swanctl(&house, &["--terminate", "--ike", "absent"]).await else { return };
    assert!(!output.status.success());
}
