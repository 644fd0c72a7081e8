//! Real tunnels behind the server: two managers on loopback.

use crate::fake::{Folder, soon};
use crate::support::Node;
use tidegate::connection::Child;
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

    // It is there, with all its parts, and was told.
    let sa = ike_sa(&mut client).await.expect("it stands");
    assert_eq!((sa.text("state"), sa.text("initiator")), (Some("ESTABLISHED"), Some("yes")));
    assert_eq!(sa.text("remote-id"), Some("node-102.example"));
    for key in ["encr-alg", "prf-alg", "dh-group", "initiator-spi", "rekey-time", "tidegate-rtt-ms"] {
        assert!(sa.text(key).is_some(), "{key}");
    }
    let (_, child) = sa.section("child-sas").and_then(|all| all.sections().next()).expect("one child");
    assert_eq!((child.text("name"), child.text("state")), (Some("net"), Some("INSTALLED")));
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
