//! Events, and the log of a command under way.

use crate::fake::{Fake, House, child_sa, handle, soon, two_connections};
use std::sync::Arc;
use std::time::Duration;
use tidegate::event::Event;
use tidegate::vici::packet::{self, Packet};
use tidegate::vici::{Message, Subscription};
use tidegate_esp::{SelectorPair, Spi};
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
    house.fake.raise(&Event::Ike(tidegate_ike::Event::ChildEstablished {
        sa,
        child: old,
        name: "edge-1-p2p".into(),
        selectors: Arc::new(SelectorPair { local: Vec::new(), remote: Vec::new() }),
    }));
    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("child-updown", Some("yes")));
    let children = message.section("edge-1").and_then(|sa| sa.section("child-sas")).expect("its IKE SA");
    assert_eq!(
        children.section("edge-1-p2p-3221225473").and_then(|child| child.text("spi-in")),
        Some("c0000001")
    );

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
    let name: Arc<str> = "edge-1-p2p".into();
    house.fake.raise(&Event::Ike(tidegate_ike::Event::ChildClosed { sa, child: new, name, verdict }));
    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("child-updown", None));
    assert!(message.section("edge-1").is_some());
}

#[tokio::test]
async fn an_ike_sa_that_comes_is_shown() {
    let sa = handle();
    let house = House::open(&Fake::with(two_connections()));
    let mut events = house.client().await.events(&["ike-updown"]).await.expect("known");
    house.fake.raise(&Event::Ike(tidegate_ike::Event::IkeEstablished {
        sa,
        connection: "edge-1".into(),
        peer: Identity::Fqdn("edge-1".into()),
        path: Path {
            local: "192.0.2.1:4500".parse().expect("an address"),
            remote: "198.51.100.2:4500".parse().expect("an address"),
            framing: tidegate_ike::Framing::Marked,
        },
    }));
    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("ike-updown", Some("yes")));
    let section = message.section("edge-1").expect("named after its connection");
    assert_eq!(section.text("state"), Some("ESTABLISHED"));
    assert_eq!(section.get("child-sas"), None);
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
async fn with_an_ike_sa_its_children_are_told_to_be_down() {
    let house = House::open(&Fake::with(two_connections()));
    let mut events = house.client().await.events(&["ike-updown", "child-updown"]).await.expect("known");
    let verdict = Verdict { culprit: Culprit::Network, cause: Cause::ClosedByPeer };
    let (sa, connection) = (handle(), "edge-1".into());
    house.fake.raise(&Event::Ike(tidegate_ike::Event::IkeClosed { sa, connection, verdict }));

    let (name, message) = next(&mut events).await;
    assert_eq!((name.as_str(), message.text("up")), ("child-updown", None));
    let children = message.section("edge-1").and_then(|sa| sa.section("child-sas")).expect("its IKE SA");
    let (_, child) = children.sections().next().expect("it had one");
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
