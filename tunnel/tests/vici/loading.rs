//! Connections and pools that clients load and take away.

use crate::fake::{Asked, Fake, House, soon, two_connections};
use std::time::Duration;
use tidegate::connection::Start;
use tidegate::vici::{ClientError, Element, Message};
use tidegate_ike::auth::LocalAuth;
use tidegate_ike::identity::Identity;
use tidegate_ike::pool::PoolReport;

async fn ask(house: &House, command: &str, arguments: Message) -> Result<Message, ClientError> {
    soon(house.client().await.request(command, &arguments)).await
}

async fn done(house: &House, command: &str, arguments: Message) -> Message {
    ask(house, command, arguments).await.expect("it can be done")
}

async fn refusal(house: &House, command: &str, arguments: Message) -> String {
    match ask(house, command, arguments).await {
        Err(ClientError::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

/// A connection by a shared secret, with one child.
fn office(child: Message) -> Message {
    let end = |id: &str| Message::new().with("id", id).with("auth", "psk");
    Message::new()
        .with_list("remote_addrs", ["192.0.2.7"])
        .with_section("local", end("edge"))
        .with_section("remote", end("office"))
        .with_section("children", Message::new().with_section("net", child))
}

fn started() -> Message {
    Message::new().with_list("remote_ts", ["10.2.0.0/16"]).with("start_action", "start")
}

async fn load(house: &House, section: Message) -> Message {
    done(house, "load-conn", Message::new().with_section("office", section)).await
}

async fn share(house: &House, secret: &str) {
    let arguments = Message::new()
        .with("id", "the one")
        .with("type", "IKE")
        .with("data", secret)
        .with_list("owners", ["edge", "office"]);
    done(house, "load-shared", arguments).await;
}

fn secret_of(house: &House) -> Vec<u8> {
    let connection = house.fake.connection("office").expect("it is loaded");
    match &*connection.ike.local.auth {
        LocalAuth::Psk(secret) => secret.to_vec(),
        other => panic!("not by a secret: {other:?}"),
    }
}

/// Waits for what the server does by itself.
async fn until(what: impl Fn() -> bool) {
    let check = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(check).await;
}

#[tokio::test]
async fn a_connection_is_loaded_once_and_updated_when_it_changes() {
    let house = House::open(&Fake::default());
    share(&house, "known to both").await;
    assert_eq!(load(&house, office(started())).await, Message::new().with("success", "yes"));
    assert_eq!(house.fake.asked(), [Asked::Load("office".into())]);
    let connection = house.fake.connection("office").expect("it is loaded");
    assert_eq!(connection.ike.local.identity, Identity::Fqdn("edge".into()));
    assert_eq!(connection.children[0].start, Start::AtOnce);
    assert_eq!(secret_of(&house), b"known to both");

    load(&house, office(started())).await;
    assert_eq!(house.fake.asked().len(), 1, "it has not changed");

    load(&house, office(started()).with("mobike", "no")).await;
    assert_eq!(house.fake.asked()[1..], [Asked::Update("office".into())]);
}

#[tokio::test]
async fn what_lacks_a_secret_is_sealed_until_it_comes() {
    let house = House::open(&Fake::default());
    let answer = load(&house, office(started())).await;
    let complaints: Vec<_> = answer.list("tidegate-warnings").collect();
    assert_eq!(complaints, ["office: not usable yet: no shared secret for edge and office"]);
    let connection = house.fake.connection("office").expect("its traffic is caught all the same");
    assert_eq!(connection.children[0].start, Start::Wait);
    assert!(secret_of(&house).len() == 32, "a secret that nobody knows");

    let initiate = Message::new().with("child", "net").with("timeout", 1000);
    let reason = refusal(&house, "initiate", initiate.clone()).await;
    assert_eq!(reason, "no shared secret for edge and office");

    // A secret that has just come serves at once.
    share(&house, "known to both").await;
    done(&house, "initiate", initiate).await;
    assert_eq!(secret_of(&house), b"known to both");
    let connection = house.fake.connection("office").expect("it is loaded");
    assert_eq!(connection.children[0].start, Start::AtOnce);
    assert_eq!(house.fake.asked()[..2], [Asked::Load("office".into()), Asked::Load("office".into())]);
}

#[tokio::test]
async fn new_credentials_touch_what_they_change_and_nothing_else() {
    let house = House::open(&Fake::default());
    share(&house, "known to both").await;
    load(&house, office(started())).await;
    // As `swanctl --load-creds --clear` does it.
    done(&house, "clear-creds", Message::new()).await;
    share(&house, "known to both").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(house.fake.asked(), [Asked::Load("office".into())]);

    share(&house, "another").await;
    until(|| secret_of(&house) == b"another").await;
    done(&house, "unload-shared", Message::new().with("id", "the one")).await;
    until(|| secret_of(&house).len() == 32).await;
    share(&house, "a third").await;
    until(|| secret_of(&house) == b"a third").await;
    let updates = house.fake.asked().split_off(1);
    assert_eq!(updates, vec![Asked::Update("office".into()); 3], "SAs stay");
}

#[tokio::test]
async fn a_connection_goes_when_it_is_unloaded_and_not_twice() {
    let house = House::open(&Fake::with(two_connections()));
    load(&house, office(started())).await;
    let conns = done(&house, "get-conns", Message::new()).await;
    assert_eq!(conns.list("conns").collect::<Vec<_>>(), ["edge-1", "edge-2", "office"]);
    let name = || Message::new().with("name", "office");
    done(&house, "unload-conn", name()).await;
    assert_eq!(house.fake.asked().last(), Some(&Asked::Unload("office".into())));
    let reason = refusal(&house, "unload-conn", name()).await;
    assert_eq!(reason, "unload: connection 'office' not found");
    let reason = refusal(&house, "unload-conn", Message::new()).await;
    assert_eq!(reason, "unload: missing connection name");
}

#[tokio::test]
async fn what_the_configuration_file_brings_is_its_own() {
    let house = House::open(&Fake::with(two_connections()));
    let reason = refusal(&house, "unload-conn", Message::new().with("name", "edge-1")).await;
    assert!(reason.contains("configuration file"), "{reason}");
    let arguments = Message::new().with_section("edge-1", office(started()));
    let reason = refusal(&house, "load-conn", arguments).await;
    assert!(reason.contains("configuration file"), "{reason}");
    assert_eq!(house.fake.asked(), []);
}

#[tokio::test]
async fn a_mistake_leaves_everything_as_it_was() {
    let house = House::open(&Fake::default());
    share(&house, "known to both").await;
    load(&house, office(started())).await;
    let wrong = Message::new().with_section("office", office(started()).with("bogus", 1));
    assert_eq!(refusal(&house, "load-conn", wrong).await, "unknown option: bogus, config discarded");
    let unloadable = Message::new().with_section("unloadable", office(started()));
    assert_eq!(refusal(&house, "load-conn", unloadable).await, "the engine does not take it");
    let gone = refusal(&house, "unload-conn", Message::new().with("name", "unloadable")).await;
    assert!(gone.contains("not found"), "{gone}");
    assert_eq!(house.fake.connection("office").map(|it| it.ike.mobike), Some(true));
}

#[tokio::test]
async fn list_conns_speaks_as_charon_does() {
    let house = House::open(&Fake::default());
    share(&house, "known to both").await;
    let child = Message::new()
        .with("mode", "pass")
        .with("dpd_action", "restart")
        .with("close_action", "trap")
        .with("rekey_time", "10m")
        .with("rekey_packets", 50)
        .with_list("local_ts", ["10.0.0.0/8", "10.0.0.1-10.0.0.9", "dynamic[udp]"]);
    load(&house, office(child).with("version", 2).with("dpd_delay", "10s").with("reauth_time", "1h")).await;
    let mut seen = Vec::new();
    let mut client = house.client().await;
    let all = Message::new();
    let answer = client.stream("list-conns", "list-conn", &all, |event| seen.push(event));
    soon(answer).await.expect("known");
    let office = seen[0].section("office").expect("named after it");
    let expected = [
        ("version", "IKEv2"),
        ("reauth_time", "3600"),
        ("rekey_time", "0"),
        ("unique", "UNIQUE_NO"),
        ("dpd_delay", "10"),
    ];
    for (key, value) in expected {
        assert_eq!(office.text(key), Some(value), "{key}");
    }
    assert_eq!(office.list("local_addrs").collect::<Vec<_>>(), ["%any"]);
    assert_eq!(office.list("remote_addrs").collect::<Vec<_>>(), ["192.0.2.7"]);
    for (section, id) in [("local-1", "edge"), ("remote-1", "office")] {
        let end = office.section(section).expect("always there");
        assert_eq!((end.text("id"), end.text("class")), (Some(id), Some("pre-shared key")));
        for list in ["groups", "cert_policy", "certs", "cacerts"] {
            assert!(matches!(end.get(list), Some(Element::List(list)) if list.is_empty()), "{list}");
        }
    }
    let net = office.section("children").and_then(|children| children.section("net")).expect("its child");
    let expected = [
        ("mode", "PASS"),
        ("rekey_time", "600"),
        ("rekey_bytes", "0"),
        ("rekey_packets", "50"),
        ("dpd_action", "start"),
        ("close_action", "trap"),
    ];
    for (key, value) in expected {
        assert_eq!(net.text(key), Some(value), "{key}");
    }
    let local: Vec<_> = net.list("local-ts").collect();
    assert_eq!(local, ["10.0.0.0/8", "10.0.0.1..10.0.0.9", "dynamic[udp]"]);
    assert_eq!(net.list("remote-ts").collect::<Vec<_>>(), ["dynamic"]);
}

#[tokio::test]
async fn pools_are_loaded_counted_and_unloaded() {
    let house = House::open(&Fake::default());
    let pools = [
        ("p", "10.3.0.0/24", "10.3.0.0", "254"),
        ("q", "10.3.1.0-10.3.1.9", "10.3.1.0", "10"),
        ("r", "10.3.2.7", "10.3.2.7", "1"),
        ("host", "10.3.0.5/24", "10.3.0.5", "250"),
        ("v6", "fd00::/64", "fd00::", "2147483646"),
    ];
    for (name, addresses, ..) in pools {
        let pool = Message::new().with("addrs", addresses).with_list("dns", ["192.0.2.53", "2001:db8::53"]);
        done(&house, "load-pool", Message::new().with_section(name, pool)).await;
    }
    let shown = done(&house, "get-pools", Message::new()).await;
    for (name, _, base, size) in pools {
        let pool = shown.section(name).expect("it is loaded");
        assert_eq!((pool.text("base"), pool.text("size")), (Some(base), Some(size)), "{name}");
        assert_eq!((pool.text("online"), pool.text("offline")), (Some("0"), Some("0")));
        assert_eq!(pool.get("leases"), None);
    }
    let one = done(&house, "get-pools", Message::new().with("name", "q").with("leases", "yes")).await;
    assert_eq!(one.sections().map(|(name, _)| name).collect::<Vec<_>>(), ["q"]);
    assert_eq!(one.section("q").and_then(|pool| pool.section("leases")), Some(&Message::new()));
    done(&house, "unload-pool", Message::new().with("name", "q")).await;
    assert_eq!(refusal(&house, "unload-pool", Message::new().with("name", "q")).await, "q not found");
    done(&house, "reload-settings", Message::new()).await;
}

#[tokio::test]
async fn attributes_of_pools_are_known_or_refused() {
    let house = House::open(&Fake::default());
    let pool = Message::new()
        .with("addrs", "10.3.0.0/24")
        .with_list("subnet", ["10.0.0.0/8"])
        .with_list("nbns", ["192.0.2.1"])
        .with_list("netmask", ["255.0.0.0"])
        .with_list("split_include", ["10.0.0.0/8"])
        .with_list("25", ["example.org"]);
    done(&house, "load-pool", Message::new().with_section("p", pool)).await;
    use tidegate::vici::Control as _;
    let report: PoolReport = house.fake.pools().await.expect("it answers").remove(0);
    assert_eq!(report.pool.subnets, [([10, 0, 0, 0].into(), 8)]);
    let expected = [
        (4, vec![192, 0, 2, 1]),
        (2, vec![255, 0, 0, 0]),
        (28_676, vec![10, 0, 0, 0, 255, 0, 0, 0]),
        (25, b"example.org".to_vec()),
    ];
    assert_eq!(report.pool.attributes, expected);
    let wrong = [
        (Message::new(), "missing option: addrs"),
        (Message::new().with("addrs", "x"), "invalid value for: addrs"),
        (Message::new().with("addrs", "10.3.0.0/24").with_list("bogus", ["1"]), "unknown option: bogus"),
        (Message::new().with("addrs", "10.3.0.0/24").with_list("dns", ["1"]), "invalid value for: dns"),
        (Message::new().with("addrs", "10.3.0.0/24").with("dns", "192.0.2.1"), "unknown option: dns"),
    ];
    for (pool, expected) in wrong {
        let reason = refusal(&house, "load-pool", Message::new().with_section("w", pool)).await;
        assert!(reason.starts_with(expected), "{reason}");
    }
}

#[tokio::test]
async fn a_pool_in_use_is_neither_unloaded_nor_replaced() {
    let house = House::open(&Fake::default());
    let pool = |addresses: &str| Message::new().with_section("p", Message::new().with("addrs", addresses));
    done(&house, "load-pool", pool("10.3.0.0/24")).await;
    use tidegate::vici::Control as _;
    let mut report = house.fake.pools().await.expect("it answers").remove(0);
    report.held.push(([10, 3, 0, 1].into(), Identity::Fqdn("edge".into())));
    report.remembered.push(([10, 3, 0, 2].into(), Identity::Fqdn("other".into())));
    house.fake.set_pools(vec![report]);

    let shown = done(&house, "get-pools", Message::new().with("leases", "yes")).await;
    let shown = shown.section("p").expect("it is loaded");
    assert_eq!((shown.text("online"), shown.text("offline")), (Some("1"), Some("1")));
    let lease = shown.section("leases").and_then(|leases| leases.section("0")).expect("the first");
    let parts = ["address", "identity", "status"].map(|key| lease.text(key));
    assert_eq!(parts, [Some("10.3.0.1"), Some("edge"), Some("online")]);

    let reason = refusal(&house, "unload-pool", Message::new().with("name", "p")).await;
    assert_eq!(reason, "p has 1 online leases, unable to unload");
    let reason = refusal(&house, "load-pool", pool("10.4.0.0/24")).await;
    assert_eq!(reason, "p has 1 online leases, unable to replace");
    done(&house, "load-pool", pool("10.3.0.0/24")).await;
}
