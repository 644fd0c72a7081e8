//! What each command does and answers.

use crate::fake::{Asked, Fake, House, counters, soon, two_connections};
use std::time::{Duration, Instant};
use tidegate::engine::{Selection, Target};
use tidegate::vici::{ClientError, Message};
use tidegate_ike::tally::TallyOf;

async fn ask(house: &House, command: &str, arguments: Message) -> Result<Message, ClientError> {
    soon(house.client().await.request(command, &arguments)).await
}

async fn streamed(house: &House, command: &str, event: &str, arguments: Message) -> Vec<Message> {
    let mut seen = Vec::new();
    let mut client = house.client().await;
    let answer = soon(client.stream(command, event, &arguments, |message| seen.push(message))).await;
    assert_eq!(answer.expect("it is known"), Message::new(), "a stream ends with an empty answer");
    seen
}

fn refusal(outcome: Result<Message, ClientError>) -> String {
    match outcome {
        Err(ClientError::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

fn sections(message: &Message, name: &str) -> Vec<String> {
    let section = message.section(name).expect("it is there");
    section.sections().map(|(name, _)| name.to_owned()).collect()
}

fn names(messages: &[Message]) -> Vec<String> {
    messages.iter().flat_map(|message| message.sections().map(|(name, _)| name.to_owned())).collect()
}

#[tokio::test]
async fn version_says_who_answers() {
    let house = House::open(&Fake::default());
    let answer = ask(&house, "version", Message::new()).await.expect("known");
    assert_eq!(answer.text("daemon"), Some("tidegate"));
    assert_eq!(answer.text("version"), Some(env!("CARGO_PKG_VERSION")));
    assert!(["sysname", "release", "machine"].iter().all(|key| answer.text(key).is_some()));
}

#[tokio::test]
async fn stats_count_ike_sas() {
    let house = House::open(&Fake::with(two_connections()));
    let answer = ask(&house, "stats", Message::new()).await.expect("known");
    let sas = answer.section("ikesas").expect("always there");
    assert_eq!((sas.text("total"), sas.text("half-open")), (Some("1"), Some("0")));
    assert!(answer.section("uptime").and_then(|uptime| uptime.text("since")).is_some());
    let used = answer.section("mallinfo").and_then(|memory| memory.text("used")).expect("always there");
    assert!(used.parse::<u64>().expect("a number") > 1 << 20, "a process has more than {used} bytes");
    assert!(answer.section("queues").and_then(|queues| queues.text("critical")).is_some());
}

#[tokio::test]
async fn get_conns_lists_names_and_has_its_list_when_there_are_none() {
    let house = House::open(&Fake::default());
    let answer = ask(&house, "get-conns", Message::new()).await.expect("known");
    assert!(matches!(answer.get("conns"), Some(tidegate::vici::Element::List(list)) if list.is_empty()));

    house.fake.set(two_connections());
    let answer = ask(&house, "get-conns", Message::new()).await.expect("known");
    assert_eq!(answer.list("conns").collect::<Vec<_>>(), ["edge-1", "edge-2"]);
}

#[tokio::test]
async fn list_sas_speaks_as_charon_does() {
    let house = House::open(&Fake::with(two_connections()));
    let events = streamed(&house, "list-sas", "list-sa", Message::new()).await;

    assert_eq!(names(&events), ["edge-1"]);
    let sa = events[0].section("edge-1").expect("named after its connection");
    let expected = [
        ("uniqueid", "7"),
        ("version", "2"),
        ("state", "ESTABLISHED"),
        ("local-host", "192.0.2.1"),
        ("local-port", "4500"),
        ("local-id", "C=CN, O=fabedge.io, CN=cloud"),
        ("remote-host", "198.51.100.2"),
        ("remote-port", "4500"),
        ("remote-id", "C=CN, O=fabedge.io, CN=edge-1"),
        ("initiator", "yes"),
        ("initiator-spi", "0123456789abcdef"),
        ("responder-spi", "000000000000000f"),
        ("nat-remote", "yes"),
        ("nat-any", "yes"),
        ("encr-alg", "AES_GCM_16"),
        ("encr-keysize", "256"),
        ("prf-alg", "PRF_HMAC_SHA2_256"),
        ("dh-group", "CURVE_25519"),
        ("established", "61"),
        ("rekey-time", "13000"),
    ];
    for (key, value) in expected {
        assert_eq!(sa.text(key), Some(value), "{key}");
    }
    assert_eq!((sa.get("nat-local"), sa.get("integ-alg")), (None, None));

    let children = sa.section("child-sas").expect("always there");
    let (key, child) = children.sections().next().expect("one child");
    assert_eq!(key, "edge-1-p2p-1");
    let expected = [
        ("name", "edge-1-p2p"),
        ("uniqueid", "1"),
        ("reqid", "1"),
        ("state", "INSTALLED"),
        ("mode", "TUNNEL"),
        ("protocol", "ESP"),
        ("encap", "yes"),
        ("spi-in", "c0000001"),
        ("spi-out", "000000d2"),
        ("encr-alg", "AES_GCM_16"),
        ("encr-keysize", "128"),
        ("esn", "1"),
        ("bytes-in", "252"),
        ("packets-in", "3"),
        ("use-in", "2"),
        ("bytes-out", "336"),
        ("packets-out", "4"),
        ("rekey-time", "3000"),
        ("life-time", "3960"),
        ("install-time", "60"),
    ];
    for (key, value) in expected {
        assert_eq!(child.text(key), Some(value), "{key}");
    }
    assert_eq!(child.get("use-out"), None, "nothing was sent");
    assert_eq!(child.list("local-ts").collect::<Vec<_>>(), ["10.1.0.0/24"]);
    assert_eq!(child.list("remote-ts").collect::<Vec<_>>(), ["10.2.0.0/24"]);
}

#[tokio::test]
async fn a_nat_that_we_claim_is_told_apart_from_one_that_is_there() {
    let mut status = two_connections();
    (status[0].sas[0].nat, status[0].sas[0].claims_nat) = ((false, false), true);
    let house = House::open(&Fake::with(status));
    let events = streamed(&house, "list-sas", "list-sa", Message::new()).await;
    let sa = events[0].section("edge-1").expect("named after its connection");
    let nats = ["nat-local", "nat-remote", "nat-fake", "nat-any"].map(|key| sa.text(key));
    assert_eq!(nats, [None, None, Some("yes"), Some("yes")]);
}

#[tokio::test]
async fn list_sas_shows_what_the_filter_admits() {
    let house = House::open(&Fake::with(two_connections()));
    // How many IKE SAs, and how many children.
    let admitted = async |key: &str, value: &str| {
        let events = streamed(&house, "list-sas", "list-sa", Message::new().with(key, value)).await;
        let sas = events.iter().flat_map(Message::sections);
        let children = sas.filter_map(|(_, sa)| sa.section("child-sas")).flat_map(Message::sections);
        (events.len(), children.count())
    };
    for (key, value) in [
        ("ike", "edge-1"),
        ("ike-id", "7"),
        ("child", "edge-1-p2p"),
        ("child-id", "1"),
        ("reqid", "1"),
        ("noblock", "yes"),
    ] {
        assert_eq!(admitted(key, value).await, (1, 1), "{key}={value}");
    }
    for (key, value) in [("ike", "edge-2"), ("ike-id", "8")] {
        assert_eq!(admitted(key, value).await, (0, 0), "{key}={value}");
    }
    // An IKE SA is there, whatever is asked of its children.
    for (key, value) in [("child", "edge-1-n2p"), ("child-id", "2"), ("reqid", "9")] {
        assert_eq!(admitted(key, value).await, (1, 0), "{key}={value}");
    }
    let arguments = Message::new().with("ike-id", "seven");
    assert!(refusal(ask(&house, "list-sas", arguments).await).contains("ike-id"));
}

#[tokio::test]
async fn list_policies_shows_what_is_installed_of_the_kinds_that_are_asked_for() {
    let mut status = two_connections();
    let mut child = status[0].children[0].clone();
    status[0].children.clear();
    for (name, mode) in [("waits", "TUNNEL"), ("passes", "PASS"), ("drops", "DROP")] {
        (child.name, child.mode, child.installed) = (name.to_owned(), mode, true);
        status[0].children.push(child.clone());
    }
    let house = House::open(&Fake::with(status));
    let shown = async |arguments| names(&streamed(&house, "list-policies", "list-policy", arguments).await);
    let all = || Message::new().with("trap", "yes").with("pass", "yes").with("drop", "yes");

    assert_eq!(shown(Message::new()).await, Vec::<String>::new());
    assert_eq!(shown(all()).await, ["edge-1/waits", "edge-1/passes", "edge-1/drops"]);
    assert_eq!(shown(Message::new().with("drop", "yes")).await, ["edge-1/drops"]);
    assert_eq!(shown(all().with("child", "waits")).await, ["edge-1/waits"]);
    assert_eq!(shown(all().with("ike", "edge-2")).await, Vec::<String>::new());

    let events = streamed(&house, "list-policies", "list-policy", Message::new().with("pass", "yes")).await;
    let policy = events[0].section("edge-1/passes").expect("named after both");
    let texts = ["child", "ike", "mode"].map(|key| policy.text(key));
    assert_eq!(texts, [Some("passes"), Some("edge-1"), Some("PASS")]);
    assert_eq!(policy.list("remote-ts").collect::<Vec<_>>(), ["10.2.0.0/24"]);
}

#[tokio::test]
async fn counters_are_those_of_all_of_one_or_of_each() {
    let house = House::open(&Fake::default());
    let shown = async |arguments| ask(&house, "get-counters", arguments).await.expect("there are some");
    let all = shown(Message::new()).await;
    let counts = all.section("counters").and_then(|all| all.section("")).expect("they have no name");
    let expected = [
        ("ike-rekey-init", "1"),
        ("ike-rekey-resp", "0"),
        ("child-rekey", "4"),
        ("invalid", "9"),
        ("invalid-spi", "0"),
        ("ike-init-in-resp", "2"),
        ("ike-init-out-req", "3"),
        ("ike-auth-in-req", "0"),
        ("create-child-out-resp", "0"),
        ("info-out-resp", "0"),
    ];
    for (key, value) in expected {
        assert_eq!(counts.text(key), Some(value), "{key}");
    }
    assert_eq!(counts.elements().count(), 21);
    for arguments in [Message::new().with("all", "yes"), Message::new().with("name", "edge-1")] {
        let answer = shown(arguments).await;
        assert_eq!(sections(&answer, "counters"), ["edge-1"]);
    }
    assert!(
        refusal(ask(&house, "get-counters", Message::new().with("name", "x")).await).contains("no counters")
    );
}

#[tokio::test]
async fn counters_begin_anew() {
    let house = House::open(&Fake::default());
    let one = |name: &str| Message::new().with("name", name);
    for arguments in [Message::new(), one("edge-1"), Message::new().with("all", "yes"), one("x")] {
        assert!(ask(&house, "reset-counters", arguments).await.is_ok());
    }
    let one = |name: &str| TallyOf::Connection(name.into());
    let expected = [TallyOf::All, one("edge-1"), TallyOf::EachConnection, one("x")];
    assert_eq!(house.fake.asked(), expected.map(Asked::Reset));
}

#[tokio::test]
async fn list_conns_shows_the_configuration_and_what_became_of_it() {
    let house = House::open(&Fake::with(two_connections()));
    let events = streamed(&house, "list-conns", "list-conn", Message::new()).await;
    assert_eq!(names(&events), ["edge-1", "edge-2"]);

    let events = streamed(&house, "list-conns", "list-conn", Message::new().with("ike", "edge-2")).await;
    let connection = events[0].section("edge-2").expect("named after the connection");
    assert_eq!(connection.text("version"), Some("IKEv2"));
    assert_eq!(connection.list("remote_addrs").collect::<Vec<_>>(), ["%any"]);
    assert_eq!(connection.section("remote-1").and_then(|remote| remote.text("id")), Some("edge-2"));
    assert_eq!(connection.text("tidegate-verdict"), Some("no answer for 30.0 s (the network)"));
    let child = connection.section("children").and_then(|children| children.section("edge-2-p2p"));
    assert_eq!(child.expect("configured").list("remote-ts").collect::<Vec<_>>(), ["10.3.0.0/24"]);
}

#[tokio::test]
async fn our_own_status_has_all_that_there_is_however_long() {
    let mut status = two_connections();
    let child = status[0].children[0].clone();
    status[0].children.resize(3000, child);
    let house = House::open(&Fake::with(status.clone()));
    let events = streamed(&house, "tidegate-status", "tidegate-connection", Message::new()).await;
    let texts: Vec<String> = events.iter().map(|event| event.list("json").collect()).collect();
    assert!(texts[0].len() > 200_000, "it does not fit one value");
    for (text, connection) in texts.iter().zip(&status) {
        let read: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
        assert_eq!(read, serde_json::to_value(connection).expect("plain data"));
    }
}

#[tokio::test]
async fn our_own_counters_are_json() {
    let house = House::open(&Fake::default());
    let answer = ask(&house, "tidegate-counters", Message::new()).await.expect("known");
    let text: String = answer.list("json").collect();
    let read: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(read, serde_json::to_value(counters()).expect("plain data"));
}

#[tokio::test]
async fn initiate_brings_up_a_child_or_a_connection() {
    let house = House::open(&Fake::default());
    let arguments = [
        Message::new().with("child", "net"),
        Message::new().with("child", "net").with("ike", "office"),
        Message::new().with("ike", "office"),
    ];
    for arguments in arguments {
        let answer = ask(&house, "initiate", arguments).await.expect("it is done");
        assert_eq!(answer.text("success"), Some("yes"));
    }
    let child = |connection: Option<&str>| {
        Asked::Initiate(Target::Child { connection: connection.map(Into::into), child: "net".into() })
    };
    let whole = Asked::Initiate(Target::Connection("office".into()));
    assert_eq!(house.fake.asked(), [child(None), child(Some("office")), whole]);
}

#[tokio::test]
async fn initiate_says_why_it_failed() {
    let house = House::open(&Fake::default());
    let outcome = ask(&house, "initiate", Message::new().with("ike", "broken")).await;
    assert_eq!(refusal(outcome), "establishing IKE_SA 'broken' failed: no answer for 30.0 s (the network)");
    let outcome = ask(&house, "initiate", Message::new().with("child", "broken")).await;
    assert!(refusal(outcome).starts_with("establishing CHILD_SA 'broken' failed: "));
    let outcome = ask(&house, "initiate", Message::new().with("child", "unknown")).await;
    assert_eq!(refusal(outcome), "CHILD_SA config 'unknown' not found");
    let outcome = ask(&house, "initiate", Message::new().with("ike", "unknown")).await;
    assert_eq!(refusal(outcome), "IKE_SA config 'unknown' not found");
    assert!(refusal(ask(&house, "initiate", Message::new()).await).contains("missing configuration name"));
    let arguments = Message::new().with("ike", "office").with("timeout", "soon");
    assert!(refusal(ask(&house, "initiate", arguments).await).contains("timeout"));
    let arguments = Message::new().with("ike", "office").with("loglevel", "loud");
    assert!(refusal(ask(&house, "initiate", arguments).await).contains("loglevel"));
}

#[tokio::test]
async fn initiate_waits_no_longer_than_asked() {
    let house = House::open(&Fake::default());
    let begun = Instant::now();
    let outcome = ask(&house, "initiate", Message::new().with("ike", "slow").with("timeout", 200)).await;
    assert_eq!(refusal(outcome), "IKE_SA 'slow' not established after 200ms");
    assert!(begun.elapsed() >= Duration::from_millis(200));

    let answer = ask(&house, "initiate", Message::new().with("ike", "slow").with("timeout", -1)).await;
    assert_eq!(answer.expect("nobody waits").text("success"), Some("yes"));
    assert_eq!(house.fake.asked().len(), 2);
}

#[tokio::test]
async fn terminate_and_rekey_take_the_closest_description() {
    let house = House::open(&Fake::default());
    let child = |connection: Option<&str>| Selection::Child {
        connection: connection.map(Into::into),
        child: "net".into(),
    };
    let cases = [
        (Message::new().with("ike", "office"), Selection::Connection("office".into())),
        (Message::new().with("child", "net"), child(None)),
        (Message::new().with("child", "net").with("ike", "office"), child(Some("office"))),
        (Message::new().with("ike-id", 7), Selection::IkeSa(7)),
        (Message::new().with("ike_id", 7), Selection::IkeSa(7)),
        (Message::new().with("child-id", 5), Selection::ChildNumber(5)),
        (Message::new().with("child_id", 5), Selection::ChildNumber(5)),
        (Message::new().with("reqid", 4), Selection::Reqid(4)),
    ];
    for (arguments, selection) in cases {
        let fake = Fake::default();
        let house = House::open(&fake);
        for command in ["terminate", "rekey"] {
            let outcome = ask(&house, command, arguments.clone()).await;
            assert_eq!(outcome.expect("done").text("matches"), Some("2"));
        }
        assert_eq!(fake.asked(), [Asked::Terminate(selection.clone()), Asked::Rekey(selection)]);
    }
    for command in ["terminate", "rekey"] {
        let expected = format!("missing {command} selector");
        assert_eq!(refusal(ask(&house, command, Message::new()).await), expected);
        let expected = format!("no matching SAs to {command} found");
        for arguments in [Message::new().with("ike", "absent"), Message::new().with("ike", "unknown")] {
            assert_eq!(refusal(ask(&house, command, arguments).await), expected);
        }
    }
}

#[tokio::test]
async fn all_that_a_client_says_of_sas_has_to_fit() {
    let cases = [
        (Message::new().with("child", "edge-1-p2p").with("ike-id", 7), vec![Selection::ChildNumber(1)]),
        (Message::new().with("child", "edge-1-p2p").with("reqid", 1), vec![Selection::ChildNumber(1)]),
        (Message::new().with("ike", "edge-1").with("ike-id", 7), vec![Selection::IkeSa(7)]),
        (Message::new().with("ike", "edge-2").with("ike-id", 7), vec![]),
        (Message::new().with("child", "edge-1-n2p").with("ike-id", 7), vec![]),
        (Message::new().with("child-id", 1).with("ike-id", 8), vec![]),
    ];
    for (arguments, expected) in cases {
        let house = House::open(&Fake::with(two_connections()));
        let outcome = ask(&house, "terminate", arguments.clone()).await;
        assert_eq!(outcome.is_ok(), !expected.is_empty(), "{arguments:?}");
        let expected: Vec<_> = expected.into_iter().map(Asked::Terminate).collect();
        assert_eq!(house.fake.asked(), expected, "{arguments:?}");
    }
}

#[tokio::test]
async fn redirection_is_refused_by_name() {
    let house = House::open(&Fake::default());
    let arguments = || Message::new().with("gateway", "192.0.2.9");
    let outcome = ask(&house, "redirect", arguments().with("ike", "office")).await;
    assert!(refusal(outcome).contains("not supported"));
    assert_eq!(refusal(ask(&house, "redirect", arguments()).await), "missing redirect selector");
    let outcome = ask(&house, "redirect", Message::new().with("ike-id", 7)).await;
    assert_eq!(refusal(outcome), "missing target gateway");
}

#[tokio::test]
async fn a_forced_terminate_asks_peers_for_as_long_as_somebody_says() {
    let slow = || Selection::Connection("slow".into());
    let arguments = || Message::new().with("ike", "slow").with("force", "yes");
    let house = House::open(&Fake::default());
    assert!(ask(&house, "terminate", arguments()).await.is_ok());
    assert_eq!(house.fake.asked(), [Asked::Force(slow())]);

    let house = House::open(&Fake::default());
    let begun = Instant::now();
    let answer = ask(&house, "terminate", arguments().with("timeout", 100)).await.expect("it is gone");
    assert_eq!(answer.text("terminated"), Some("1"));
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(house.fake.asked(), [Asked::Terminate(slow()), Asked::Force(slow())]);

    let outcome = ask(&house, "terminate", Message::new().with("ike", "slow").with("timeout", 100)).await;
    assert!(refusal(outcome).contains("100ms"));
}

#[tokio::test]
async fn rekey_may_mean_to_authenticate_anew() {
    let house = House::open(&Fake::default());
    let arguments = Message::new().with("ike", "office").with("reauth", "yes");
    assert_eq!(ask(&house, "rekey", arguments).await.expect("done").text("matches"), Some("2"));
    assert_eq!(house.fake.asked(), [Asked::Reauthenticate(Selection::Connection("office".into()))]);
}

#[tokio::test]
async fn children_are_installed_and_uninstalled_by_name() {
    let house = House::open(&Fake::default());
    let net = || Message::new().with("child", "net");
    assert!(ask(&house, "install", net()).await.is_ok());
    assert!(ask(&house, "uninstall", net().with("ike", "office")).await.is_ok());
    let target = |connection: Option<&str>| Target::Child {
        connection: connection.map(Into::into),
        child: "net".into(),
    };
    assert_eq!(house.fake.asked(), [Asked::Install(target(None)), Asked::Uninstall(target(Some("office")))]);
    for (command, expected) in
        [("install", "configuration name not found"), ("uninstall", "policy 'unknown' not found")]
    {
        assert_eq!(refusal(ask(&house, command, Message::new().with("child", "unknown")).await), expected);
        assert_eq!(refusal(ask(&house, command, Message::new()).await), "missing configuration name");
    }
}

#[tokio::test]
async fn algorithms_are_listed_by_kind() {
    let house = House::open(&Fake::default());
    let answer = ask(&house, "get-algorithms", Message::new()).await.expect("known");
    for (kind, name) in [("aead", "AES_GCM_16"), ("encryption", "AES_CBC"), ("dh", "CURVE_25519")] {
        assert!(answer.section(kind).and_then(|section| section.text(name)).is_some(), "{kind} {name}");
    }
}
