//! Events, and the log of a command under way.

use crate::fake::{Fake, House, child_sa, handle, soon, two_connections};
use std::sync::Arc;
use std::time::Duration;
use tidegate::connection::ChildMode;
use tidegate::event::{ChildFacts, Event, IkeFacts};
use tidegate::vici::packet::{self, Packet};
use tidegate::vici::{Message, Subscription};
use tidegate_esp::{Encapsulation, SelectorPair, Spi};
use tidegate_ike::identity::Identity;
use tidegate_ike::wire::NotifyType;
use tidegate_ike::{Cause, Culprit, Path, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

fn up(connection: &str) -> Event {
    Event::Up { connection: connection.into(), peer: "198.51.100.2:4500".parse().expect("an address") }
}

fn down(connection: &str) -> Event {
    let verdict = Verdict { culprit: Culprit::Network, cause: Cause::ClosedByPeer };
    Event::Down { connection: connection.into(), verdict }
}

fn ike_facts() -> Arc<IkeFacts> {
    Arc::new(IkeFacts {
        connection: "edge-1".into(),
        sa: handle(),
        number: 7,
        initiator: true,
        spis: (0x0123_4567_89ab_cdef, 0xf),
        local_id: Identity::Fqdn("cloud".into()),
        remote_id: Identity::Fqdn("edge-1".into()),
        local: "192.0.2.1:4500".parse().expect("an address"),
        remote: "198.51.100.2:4500".parse().expect("an address"),
    })
}

fn child_facts(spi_in: Spi) -> Arc<ChildFacts> {
    let list = |text: &str| vec![text.parse().expect("a selector")];
    let IkeFacts { connection, number: ike_sa, local_id, remote_id, local, remote, .. } =
        (*ike_facts()).clone();
    Arc::new(ChildFacts {
        connection,
        child: "edge-1-p2p".into(),
        updown: None,
        reqid: 3,
        mode: ChildMode::Tunnel,
        ike_sa,
        number: 1,
        host_access: tidegate::connection::HostAccess::Untold,
        spi_in,
        spi_out: Spi::new(0x1d2).expect("not reserved"),
        local_id,
        remote_id,
        local,
        remote,
        encapsulation: Encapsulation::Udp,
        selectors: Arc::new(SelectorPair { local: list("10.1.0.0/24"), remote: list("10.2.0.0/24") }),
        addresses: Vec::new(),
        dns: Vec::new(),
        peer_addresses: Vec::new(),
    })
}

/// The child that an event is about, with what it goes by.
fn child_of(message: &Message) -> (&str, &Message) {
    let children = message.section("edge-1").and_then(|sa| sa.section("child-sas")).expect("its IKE SA");
    children.sections().next().expect("it has one")
}

async fn next(events: &mut Subscription) -> (String, Message) {
    soon(events.next()).await.expect("the daemon is there").expect("and stays")
}

#[tokio::test]
async fn events_reach_all_that_have_registered_and_nobody_else() {
    let house = House::open(&Fake::default());
    let mut first = house.client().await.events(&["tidegate-event"]).await.expect("known");
    let mut second = house.client().await.events(&["log"]).await.expect("known");
    house.fake.raise(&up("edge-1"));
    house.fake.raise(&down("edge-1"));

    let (name, message) = next(&mut first).await;
    assert_eq!((name.as_str(), message.text("kind")), ("tidegate-event", Some("up")));
    assert_eq!(message.text("connection"), Some("edge-1"));
    assert_eq!(message.text("text"), Some("up, the peer is at 198.51.100.2:4500"));
    assert_eq!(next(&mut first).await.1.text("kind"), Some("down"));

    let (name, message) = next(&mut second).await;
    assert_eq!((name.as_str(), message.text("level")), ("log", Some("1")));
    assert_eq!(message.text("ikesa-name"), Some("edge-1"));
    assert_eq!(message.text("msg"), Some("up, the peer is at 198.51.100.2:4500"));
}

#[tokio::test]
async fn a_command_under_way_shows_the_log_of_its_connection() {
    let house = House::open(&Fake::default());
    let fake = house.fake.clone();
    let raising = tokio::spawn(async move {
        while fake.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fake.raise(&up("other"));
        fake.raise(&up("slow"));
        fake.release.notify_one();
    });
    let mut lines = Vec::new();
    let mut client = house.client().await;
    let arguments = Message::new().with("ike", "slow").with("loglevel", 1);
    let answer = client.stream("initiate", "control-log", &arguments, |message| lines.push(message));
    assert_eq!(soon(answer).await.expect("it is up").text("success"), Some("yes"));
    raising.await.expect("no panic");
    let names: Vec<_> = lines.iter().map(|line| line.text("ikesa-name")).collect();
    assert_eq!(names, [Some("slow")]);
}

#[tokio::test]
async fn limits_that_are_not_kept_are_said_not_to_be() {
    let house = House::open(&Fake::default());
    let mut lines = Vec::new();
    let mut client = house.client().await;
    let arguments = Message::new().with("ike", "office").with("init-limits", "yes");
    let answer = client.stream("initiate", "control-log", &arguments, |message| lines.push(message));
    soon(answer).await.expect("it is up");
    let told = lines.iter().filter_map(|line| line.text("msg")).filter(|text| text.contains("init-limits"));
    assert_eq!(told.count(), 1, "{lines:?}");
}

#[tokio::test]
async fn a_quiet_command_shows_none() {
    let house = House::open(&Fake::default());
    let fake = house.fake.clone();
    let raising = tokio::spawn(async move {
        while fake.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fake.raise(&up("slow"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        fake.release.notify_one();
    });
    let mut lines = 0;
    let mut client = house.client().await;
    let arguments = Message::new().with("ike", "slow").with("loglevel", -1);
    let answer = client.stream("initiate", "control-log", &arguments, |_| lines += 1);
    assert!(soon(answer).await.is_ok());
    raising.await.expect("no panic");
    assert_eq!(lines, 0);
}

#[tokio::test]
async fn a_child_that_comes_is_shown_with_its_ike_sa() {
    let house = House::open(&Fake::with(two_connections()));
    let mut events = house.client().await.events(&["child-updown", "child-rekey"]).await.expect("known");
    let sa = handle();
    let old = Spi::new(0xc000_0001).expect("not reserved");
    let new = Spi::new(0xc000_0002).expect("not reserved");
    house.fake.raise(&Event::ChildUp(child_facts(old)));
    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("child-updown", Some("yes")));
    let children = message.section("edge-1").and_then(|sa| sa.section("child-sas")).expect("its IKE SA");
    assert_eq!(children.section("edge-1-p2p-1").and_then(|child| child.text("spi-in")), Some("c0000001"));

    let mut status = two_connections();
    status[0].sas[0].children = vec![child_sa("edge-1-p2p", 0xc000_0002)];
    house.fake.set(status);
    house.fake.raise(&Event::Ike(tidegate_ike::Event::ChildRekeyed { sa, old, new }));
    let (name, message) = next(&mut events).await;
    assert_eq!(name, "child-rekey");
    let children = message.section("edge-1").and_then(|sa| sa.section("child-sas")).expect("its IKE SA");
    let pair = children.section("edge-1-p2p").expect("one child");
    let spi = |which| pair.section(which).and_then(|child: &Message| child.text("spi-in"));
    assert_eq!((spi("old"), spi("new")), (Some("c0000001"), Some("c0000002")));

    // It is gone from the status when its end is told; clients want to know what it was all the same.
    house.fake.set(Vec::new());
    let verdict = Verdict { culprit: Culprit::Peer, cause: Cause::ClosedByPeer };
    house.fake.raise(&Event::ChildDown { child: child_facts(new), verdict });
    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("child-updown", None));
    let (_, child) = child_of(&message);
    assert_eq!((child.text("state"), child.text("bytes-in")), (Some("DELETED"), Some("252")));
}

#[tokio::test]
async fn an_ike_sa_that_comes_is_shown() {
    let house = House::open(&Fake::with(two_connections()));
    let mut events = house.client().await.events(&["ike-updown"]).await.expect("known");
    house.fake.raise(&Event::IkeUp(ike_facts()));
    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("ike-updown", Some("yes")));
    let section = message.section("edge-1").expect("named after its connection");
    assert_eq!((section.text("state"), section.text("encr-alg")), (Some("ESTABLISHED"), Some("AES_GCM_16")));
    assert_eq!(section.get("child-sas"), None);
}

/// A look at what there is comes after the event, and finds nothing any more.
#[tokio::test]
async fn sas_that_nobody_could_look_at_are_shown_as_their_events_tell_them() {
    let house = House::open(&Fake::default());
    let mut events = house.client().await.events(&["ike-updown", "child-updown"]).await.expect("known");
    let child = child_facts(Spi::new(0xc000_0001).expect("not reserved"));
    let verdict = Verdict { culprit: Culprit::Peer, cause: Cause::ClosedByPeer };
    house.fake.raise(&Event::IkeUp(ike_facts()));
    house.fake.raise(&Event::ChildUp(Arc::clone(&child)));
    house.fake.raise(&Event::ChildDown { child, verdict });
    house.fake.raise(&Event::IkeDown(ike_facts()));

    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("ike-updown", Some("yes")));
    let sa = message.section("edge-1").expect("named after its connection");
    for (key, value) in [
        ("uniqueid", "7"),
        ("version", "2"),
        ("state", "ESTABLISHED"),
        ("local-host", "192.0.2.1"),
        ("local-port", "4500"),
        ("local-id", "cloud"),
        ("remote-host", "198.51.100.2"),
        ("remote-id", "edge-1"),
        ("initiator", "yes"),
        ("initiator-spi", "0123456789abcdef"),
        ("responder-spi", "000000000000000f"),
    ] {
        assert_eq!(sa.text(key), Some(value), "{key}");
    }
    for (up, state) in [(Some("yes"), "INSTALLED"), (None, "DELETED")] {
        let (name, message) = next(&mut events).await;
        assert_eq!((name.as_str(), message.text("up")), ("child-updown", up));
        assert_eq!(message.section("edge-1").and_then(|sa| sa.text("uniqueid")), Some("7"));
        let (key, child) = child_of(&message);
        assert_eq!((key, child.text("state"), child.text("reqid")), ("edge-1-p2p-1", Some(state), Some("3")));
        let ids = ["uniqueid", "spi-in", "spi-out", "encap"].map(|key| child.text(key));
        assert_eq!(ids, [Some("1"), Some("c0000001"), Some("000001d2"), Some("yes")]);
        let of = |key| child.list(key).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            (of("local-ts"), of("remote-ts")),
            (vec!["10.1.0.0/24".into()], vec!["10.2.0.0/24".into()])
        );
    }
    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("ike-updown", None));
    let sa = message.section("edge-1").expect("named after its connection");
    assert_eq!((sa.text("state"), sa.text("uniqueid")), (Some("DELETING"), Some("7")));
}

/// The next packet of a raw stream.
async fn packet(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    soon(stream.read_exact(&mut length)).await.expect("it goes on");
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    soon(stream.read_exact(&mut body)).await.expect("it goes on");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_order_brings_about_is_told_before_its_answer() {
    let house = House::open(&Fake::default());
    let mut stream = UnixStream::connect(&house.path).await.expect("the server listens");
    stream.write_all(&packet::register("log").expect("short")).await.expect("it is open");
    assert_eq!(packet(&mut stream).await, [5]);
    let order = |command| packet::request(command, &Message::new().with("ike", "loud")).expect("short");
    for _ in 0..100 {
        for command in ["initiate", "terminate", "rekey"] {
            stream.write_all(&order(command)).await.expect("it is open");
            let (event, answer) = (packet(&mut stream).await, packet(&mut stream).await);
            assert!(matches!(Packet::parse(&event), Ok(Packet::Event { name: "log", .. })), "{command}");
            assert!(matches!(Packet::parse(&answer), Ok(Packet::Response { .. })), "{command}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_a_command_is_missing_from_its_log() {
    let house = House::open(&Fake::default());
    let mut client = house.client().await;
    for round in 0..200 {
        let mut lines = Vec::new();
        let arguments = Message::new().with("ike", "loud").with("loglevel", 1);
        let answer = client.stream("initiate", "control-log", &arguments, |line| lines.push(line));
        soon(answer).await.expect("it is done");
        let texts: Vec<_> = lines.iter().filter_map(|line| line.text("msg")).collect();
        assert_eq!(texts, ["test: it is done"], "round {round}");
    }
}

#[tokio::test]
async fn sas_that_go_are_shown_as_they_were() {
    let house = House::open(&Fake::with(two_connections()));
    let mut events = house.client().await.events(&["ike-updown", "child-updown"]).await.expect("known");
    let verdict = Verdict { culprit: Culprit::Network, cause: Cause::ClosedByPeer };
    let child = child_facts(Spi::new(0xc000_0001).expect("not reserved"));
    house.fake.raise(&Event::ChildDown { child, verdict });
    house.fake.raise(&Event::IkeDown(ike_facts()));

    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("child-updown", None));
    let (_, child) = child_of(&message);
    assert_eq!((child.text("name"), child.text("state")), (Some("edge-1-p2p"), Some("DELETED")));

    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("ike-updown", None));
    let sa = message.section("edge-1").expect("named after its connection");
    assert_eq!((sa.text("state"), sa.get("child-sas")), (Some("DELETING"), None));
}

#[tokio::test]
async fn a_peer_that_moves_is_told_with_where_it_is_now() {
    let house = House::open(&Fake::with(two_connections()));
    let mut events = house.client().await.events(&["ike-update"]).await.expect("known");
    let path = Path {
        local: "192.0.2.1:4500".parse().expect("an address"),
        remote: "203.0.113.9:40000".parse().expect("an address"),
        framing: tidegate_ike::Framing::Marked,
    };
    house.fake.raise(&Event::Ike(tidegate_ike::Event::PeerMoved { sa: handle(), path }));
    let (name, message) = next(&mut events).await;
    assert_eq!(name, "ike-update");
    let told = ["local-host", "local-port", "remote-host", "remote-port"].map(|key| message.text(key));
    assert_eq!(told, [Some("192.0.2.1"), Some("4500"), Some("203.0.113.9"), Some("40000")]);
    assert!(message.section("edge-1").is_some());
}

#[tokio::test]
async fn what_somebody_should_look_at_is_an_alert_with_its_name() {
    let house = House::open(&Fake::with(two_connections()));
    let mut events = house.client().await.events(&["alert"]).await.expect("known");
    let failed = |culprit, cause| {
        let verdict = Verdict { culprit, cause };
        let name = Some("edge-1-p2p".into());
        Event::Ike(tidegate_ike::Event::ChildFailed { sa: handle(), name, verdict })
    };
    let closed = |cause| {
        let verdict = Verdict { culprit: Culprit::Network, cause };
        Event::Ike(tidegate_ike::Event::IkeClosed { sa: handle(), connection: "edge-1".into(), verdict })
    };
    let waited = Duration::from_secs(30);
    // An end that somebody wanted is none.
    house.fake.raise(&closed(Cause::ClosedByUs));
    let cases = [
        (failed(Culprit::Mismatch, Cause::Refused(NotifyType::TS_UNACCEPTABLE)), "ts-mismatch", "mismatch"),
        (
            failed(Culprit::Mismatch, Cause::Refused(NotifyType::NO_PROPOSAL_CHOSEN)),
            "proposal-mismatch-child",
            "mismatch",
        ),
        (failed(Culprit::Us, Cause::PoolExhausted), "vip-failure", "us"),
        (closed(Cause::Unanswered { waited }), "retransmit-send-timeout", "network"),
        (closed(Cause::Replaced), "unique-replace", "network"),
    ];
    for (event, expected, culprit) in cases {
        house.fake.raise(&event);
        let (name, message) = next(&mut events).await;
        assert_eq!((name.as_str(), message.text("alert")), ("alert", Some(expected)));
        assert_eq!(message.text("tidegate-culprit"), Some(culprit));
        assert!(message.text("msg").is_some(), "{expected} says what it is");
        assert!(message.section("edge-1").is_some(), "{expected} shows its IKE SA");
    }
}
