//! Real tunnels behind the server: two managers on loopback.

use crate::fake::{Folder, soon};
use crate::support::{Node, packet};
use tidegate::connection::Child;
use tidegate::engine::Target;
use tidegate::vici::{Client, ClientError, Message, Server};

/// What `list-sas` shows of the connection's only IKE SA.
async fn ike_sa(client: &mut Client) -> Option<Message> {
    let mut seen = Vec::new();
    let arguments = Message::new().with("ike", "to-102");
    let answer = client.stream("list-sas", "list-sa", &arguments, |event| seen.push(event));
    soon(answer).await.expect("known");
    assert!(seen.len() < 2, "one SA");
    seen.pop()?.section("to-102").cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_lives_and_dies_by_vici() {
    let (a, b) = (Node::start(101).await, Node::start(102).await);
    b.manager.load(b.connection_with(&a, Child::new)).await.expect("loadable");
    a.manager.load(a.connection_with(&b, Child::new)).await.expect("loadable");
    let folder = Folder::new();
    let path = folder.path().join("vici.sock");
    let _server = Server::start(a.manager.clone(), &path).expect("a fresh folder");
    let mut client = Client::connect(&path).await.expect("it listens");
    let watcher = Client::connect(&path).await.expect("it listens");
    let mut events = watcher.events(&["ike-updown", "child-updown", "child-rekey"]).await.expect("known");

    // Initiate, with its log.
    let mut log = Vec::new();
    let arguments = Message::new().with("child", "net").with("timeout", 10_000).with("loglevel", 1);
    let answer = client.stream("initiate", "control-log", &arguments, |line| log.push(line));
    soon(answer).await.expect("both ends agree");
    assert!(
        log.iter().any(|line| line.text("msg").is_some_and(|text| text.contains("established"))),
        "{log:?}"
    );
    let begun =
        log.iter().position(|line| line.text("msg").is_some_and(|text| text.contains("setting IKE SA")));
    assert_eq!(begun, Some(0), "{log:?}");

    // It is there, with all its parts, and was told.
    let sa = ike_sa(&mut client).await.expect("it stands");
    assert_eq!((sa.text("state"), sa.text("initiator")), (Some("ESTABLISHED"), Some("yes")));
    assert_eq!(sa.text("remote-id"), Some("node-102.example"));
    for key in ["encr-alg", "prf-alg", "dh-group", "initiator-spi", "rekey-time", "tidegate-rtt-ms"] {
        assert!(sa.text(key).is_some(), "{key}");
    }
    let (_, child) = sa.section("child-sas").and_then(|all| all.sections().next()).expect("one child");
    assert_eq!((child.text("name"), child.text("state")), (Some("net"), Some("INSTALLED")));
    assert_eq!((sa.text("uniqueid"), child.text("uniqueid")), (Some("1"), Some("1")));
    assert_eq!((child.text("protocol"), child.text("encap")), (Some("ESP"), Some("yes")));
    assert_eq!(child.list("local-ts").collect::<Vec<_>>(), ["10.101.0.0/16"]);
    for expected in ["ike-updown", "child-updown"] {
        let (name, event) = soon(events.next()).await.expect("no end").expect("no end");
        assert_eq!((name.as_str(), event.text("up")), (expected, Some("yes")));
        let section = event.section("to-102").expect("named after its connection");
        assert_eq!(section.text("initiator-spi"), sa.text("initiator-spi"));
    }

    // Rekey by name: another child, the same IKE SA.
    soon(client.request("rekey", &Message::new().with("child", "net"))).await.expect("both ends agree");
    let (name, event) = soon(events.next()).await.expect("no end").expect("no end");
    assert_eq!(name, "child-rekey");
    let pair =
        event.section("to-102").and_then(|sa| sa.section("child-sas")?.section("net")).expect("one child");
    let spi = |which| pair.section(which).and_then(|child: &Message| child.text("spi-in").map(str::to_owned));
    assert_eq!(spi("old").as_deref(), child.text("spi-in"));
    assert_ne!(spi("new"), spi("old"));

    // Terminate by number, as an operator would; once more there is nothing to terminate.
    let id = sa.text("uniqueid").expect("always there").to_owned();
    let arguments = Message::new().with("ike-id", &id);
    soon(client.request("terminate", &arguments)).await.expect("the peer agrees");
    assert_eq!(ike_sa(&mut client).await, None);
    let again = soon(client.request("terminate", &arguments)).await;
    assert!(matches!(again, Err(ClientError::Refused(_))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_initiated_is_said_with_the_reason() {
    let node = Node::start(103).await;
    let folder = Folder::new();
    let path = folder.path().join("vici.sock");
    let _server = Server::start(node.manager.clone(), &path).expect("a fresh folder");
    let mut client = Client::connect(&path).await.expect("it listens");
    let outcome = soon(client.request("initiate", &Message::new().with("ike", "nowhere"))).await;
    assert!(
        matches!(&outcome, Err(ClientError::Refused(reason)) if reason.contains("nowhere")),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_are_counted_for_the_connection_that_they_are_of() {
    let (a, b) = (Node::start(104).await, Node::start(105).await);
    b.manager.load(b.connection_with(&a, Child::new)).await.expect("loadable");
    a.manager.load(a.connection_with(&b, Child::new)).await.expect("loadable");
    let folder = Folder::new();
    let path = folder.path().join("vici.sock");
    let _server = Server::start(a.manager.clone(), &path).expect("a fresh folder");
    let mut client = Client::connect(&path).await.expect("it listens");
    let child = Message::new().with("child", "net");
    let one = Message::new().with("name", "to-105");
    let nothing = soon(client.request("get-counters", &one)).await;
    assert!(matches!(nothing, Err(ClientError::Refused(_))), "nothing has happened: {nothing:?}");
    soon(client.request("initiate", &child)).await.expect("both ends agree");
    soon(client.request("rekey", &child)).await.expect("both ends agree");
    soon(client.request("rekey", &Message::new().with("ike", "to-105"))).await.expect("both ends agree");

    for (arguments, name) in [(Message::new(), ""), (one.clone(), "to-105")] {
        let answer = soon(client.request("get-counters", &arguments)).await.expect("much has happened");
        let counts = answer.section("counters").and_then(|all| all.section(name)).expect("it is there");
        // Child and IKE SA: two CREATE_CHILD_SA and two Deletes.
        let expected = [
            ("ike-rekey-init", "1"),
            ("ike-rekey-resp", "0"),
            ("child-rekey", "1"),
            ("ike-init-out-req", "1"),
            ("ike-init-in-resp", "1"),
            ("ike-auth-out-req", "1"),
            ("ike-auth-in-resp", "1"),
            ("create-child-out-req", "2"),
            ("create-child-in-resp", "2"),
            ("create-child-in-req", "0"),
        ];
        for (key, count) in expected {
            assert_eq!(counts.text(key), Some(count), "{key} of {name:?}");
        }
    }
    let theirs = b.manager.tallies().await.expect("it runs");
    assert_eq!((theirs.all.init.requests_in, theirs.all.init.answers_out), (1, 1));
    let of_us = theirs.by_connection.get("to-104").expect("it knows us");
    assert_eq!((of_us.ike_rekeys_answered, of_us.create_child.answers_out), (1, 2));

    soon(client.request("reset-counters", &one)).await.expect("there were some");
    let again = soon(client.request("get-counters", &one)).await;
    assert!(matches!(again, Err(ClientError::Refused(_))), "{again:?}");
    assert_eq!(a.manager.tallies().await.expect("it runs").all.child_rekeys, 1, "all together go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_half_of_a_child_says_when_it_was_last_used() {
    let (a, b) = (Node::start(106).await, Node::start(107).await);
    b.manager.load(b.connection_with(&a, Child::new)).await.expect("loadable");
    a.manager.load(a.connection_with(&b, Child::new)).await.expect("loadable");
    soon(a.manager.initiate(Target::Connection("to-107".into()))).await.expect("both ends agree");
    let uses = async |node: &Node| {
        let status = node.manager.status().await.expect("it runs");
        let child = &status[0].sas[0].children[0];
        (child.received_ago.is_some(), child.sent_ago.is_some())
    };
    assert_eq!((uses(&a).await, uses(&b).await), ((false, false), (false, false)));
    let sent = packet(&a, &b, b"one way");
    a.inside.send(&sent).expect("the device takes it");
    assert_eq!(b.receive().await, sent);
    assert_eq!((uses(&a).await, uses(&b).await), ((false, true), (true, false)));
}
