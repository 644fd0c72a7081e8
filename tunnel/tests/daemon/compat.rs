//! A daemon that proves who it is by charon's files.

use super::support::Folder;
use std::fs;
use std::time::{Duration, Instant};
use tidegate::config::Configuration;
use tidegate::daemon::{Daemon, RunOptions};
use tidegate::vici::{Client, Element, Message};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of charon's with an authority, and a node's certificate and key.
fn charon(folder: &Folder) {
    for name in ["charon", "charon/ipsec.d", "charon/ipsec.d/cacerts", "charon/ipsec.d/private"] {
        fs::create_dir(folder.path(name)).expect(name);
    }
    let certs = concat!(env!("CARGO_MANIFEST_DIR"), "/../ike/tests/data/certs");
    let copy = |from: &str, to: &str| {
        let text = fs::read_to_string(format!("{certs}/{from}")).expect(from);
        folder.secret(&format!("charon/{to}"), &text);
    };
    copy("root.pem", "ipsec.d/cacerts/root.pem");
    copy("moon.key", "ipsec.d/private/moon.key");
    copy("moon-rsa.key", "ipsec.d/private/rsa.key");
    folder.secret("charon/ipsec.secrets", ": ECDSA moon.key\n");
}

async fn shown(client: &mut Client) -> Vec<String> {
    let mut seen = Vec::new();
    let see = |message: Message| {
        seen.push(message.text("has_privkey").or(message.text("flag")).unwrap_or_default().to_owned());
    };
    client.stream("list-certs", "list-cert", &Message::new(), see).await.expect("it is known");
    seen
}

/// Waits until the certificates look like this.
async fn expect(client: &mut Client, wanted: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = shown(client).await;
        if seen == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{seen:?} where {wanted:?} are wanted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn charons_files_are_read_and_followed() {
    let folder = Folder::new();
    charon(&folder);
    folder.write("tidegate.toml", &folder.configuration(&["one"]));
    let options = RunOptions {
        config: Some(folder.path("tidegate.toml")),
        vici: None,
        charon_compat: Some(folder.path("charon")),
    };
    let configuration = Configuration::load(&folder.path("tidegate.toml")).expect("it makes sense");
    let mut daemon = Daemon::start(options, configuration).await.expect("it starts");
    let manager = daemon.manager().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stop = async {
            let _ = stopped.await;
        };
        daemon.serve(stop).await.expect("it runs until it is told to stop");
        daemon.shut_down().await;
    });
    let mut client = Client::connect(&folder.path("vici.sock")).await.expect("it listens");
    expect(&mut client, &["CA"]).await;

    // A client brings the certificate of which a file has the key.
    let certs = concat!(env!("CARGO_MANIFEST_DIR"), "/../ike/tests/data/certs");
    let mut bring = Message::new().with("type", "X509");
    bring.push("data".to_owned(), Element::Value(fs::read(format!("{certs}/moon.pem")).expect("moon")));
    client.request("load-cert", &bring).await.expect("taken");
    expect(&mut client, &["yes", "CA"]).await;

    // The key that the file names is another one now, and then what it was.
    folder.replace("charon/ipsec.secrets", ": RSA rsa.key\n");
    expect(&mut client, &["NONE", "CA"]).await;
    folder.replace("charon/ipsec.secrets", ": ECDSA moon.key\n");
    expect(&mut client, &["yes", "CA"]).await;

    // One that is not whole leaves what was there.
    folder.write("charon/ipsec.d/private/moon.key", "-----BEGIN PRIVATE KEY-----\nMIGH");
    folder.write("charon/ipsec.d/cacerts/other.pem", "-----BEGIN CERTIFICATE-----\n");
    tokio::time::sleep(Duration::from_millis(700)).await;
    expect(&mut client, &["yes", "CA"]).await;

    // What files have brought is not a client's to take.
    client.request("clear-creds", &Message::new()).await.expect("cleared");
    expect(&mut client, &["CA"]).await;
    fs::remove_file(folder.path("charon/ipsec.d/cacerts/root.pem")).expect("it was there");
    expect(&mut client, &[]).await;

    assert_eq!(manager.connections().await.expect("it runs"), ["one".into()], "nothing else has happened");
    stop.send(()).expect("it serves");
    task.await.expect("it ends");
}

#[test]
fn without_a_configuration_it_takes_charons_place() {
    let options = RunOptions { config: None, vici: None, charon_compat: Some("/etc".into()) };
    let configuration = options.configuration().expect("it makes sense");
    assert_eq!(configuration.node.vici.to_str(), Some("/var/run/charon.vici"));
    assert!(configuration.connections.is_empty() && configuration.files.is_empty());
    assert!(!configuration.mesh.node.name.is_empty());
    let (port, nat_port) = (configuration.node.port, configuration.node.nat_port);
    assert_eq!((port, nat_port), (500, 4500));
}
