//! `swanctl.conf` as it is written for charon, loaded by charon's own tool into engines that run.

use crate::fake::Folder;
use crate::support::Node;
use std::path::PathBuf;
use std::process::{Command, Output};
use tidegate::vici::Server;

/// A node that takes commands, with a folder as `swanctl` knows it.
struct Site {
    node: Node,
    folder: Folder,
    _server: Server,
}

impl Site {
    async fn open(octet: u8) -> Self {
        let node = Node::start(octet).await;
        let folder = Folder::new();
        let server =
            Server::start(node.manager.clone(), &folder.path().join("vici")).expect("a fresh folder");
        Self { node, folder, _server: server }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("swanctl.conf"), text).expect("a folder of our own");
    }

    /// What the tool says; `None` where there is none.
    async fn swanctl(&self, arguments: &[&str]) -> Option<Output> {
        let mut command = Command::new("swanctl");
        command.args(arguments).env("SWANCTL_DIR", self.folder.path());
        command.arg("--uri").arg(format!("unix://{}", self.socket().display()));
        match tokio::task::spawn_blocking(move || command.output()).await.expect("no panic") {
            Ok(output) => Some(output),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                assert!(std::env::var_os("CI").is_none(), "swanctl is missing");
                None
            }
            Err(error) => panic!("swanctl: {error}"),
        }
    }

    async fn text(&self, arguments: &[&str]) -> Option<String> {
        let output = self.swanctl(arguments).await?;
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}");
        Some(text.into_owned())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("vici")
    }
}

/// What one end of a tunnel by a shared secret is told.
fn conf(us: &Site, peer: &Site, more: &str) -> String {
    let octet = |site: &Site| site.node.address.to_string().rsplit('.').next().unwrap_or_default().to_owned();
    let (ours, its) = (octet(us), octet(peer));
    format!(
        "connections {{
            to-{its} {{
                version = 2
                local_addrs = {}
                remote_addrs = {}
                remote_port = {}
                dpd_delay = 10s
                {more}
                local {{
                    auth = psk
                    id = node-{ours}.example
                }}
                remote {{
                    auth = psk
                    id = node-{its}.example
                }}
                children {{
                    net {{
                        local_ts = 10.{ours}.0.0/16
                        remote_ts = 10.{its}.0.0/16, 10.9.{its}.0/24[tcp/443]
                        dpd_action = trap
                    }}
                }}
            }}
        }}
        secrets {{
            ike-both {{
                id-1 = node-{ours}.example
                id-2 = node-{its}.example
                secret = \"known to both\"
            }}
        }}
        pools {{
            here {{
                addrs = 10.77.0.0/24
                dns = 192.0.2.53, 2001:db8::53
            }}
        }}
        ",
        us.node.address,
        peer.node.address,
        peer.node.manager.ports().1,
    )
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ends_are_set_up_from_files_alone() {
    let (a, b) = (Site::open(111).await, Site::open(112).await);
    a.write(&conf(&a, &b, ""));
    b.write(&conf(&b, &a, ""));
    for site in [&a, &b] {
        let Some(said) = site.text(&["--load-all"]).await else { return };
        let expected = [
            "loaded ike secret 'ike-both'",
            "successfully loaded 1 connections",
            "successfully loaded 1 pools",
        ];
        assert_contains(&said, &expected);
    }
    let Some(listed) = a.text(&["--list-conns"]).await else { return };
    let expected = [
        "to-112: IKEv2, no reauthentication, rekeying every 14400s, dpd delay 10s",
        "local:  127.0.77.111",
        "remote: 127.0.77.112",
        "local pre-shared key authentication:",
        "id: node-111.example",
        "net: TUNNEL, rekeying every 3600s, dpd action is trap",
        "local:  10.111.0.0/16",
    ];
    assert_contains(&listed, &expected);
    let Some(pools) = a.text(&["--list-pools", "--leases"]).await else { return };
    assert_contains(&pools, &["here", "10.77.0.0", "0 / 0 / 254"]);

    let Some(said) = a.text(&["--initiate", "--child", "net", "--timeout", "10"]).await else { return };
    assert_contains(&said, &["initiate completed successfully"]);
    let Some(before) = b.text(&["--list-sas"]).await else { return };
    assert_contains(&before, &["ESTABLISHED", "net: #", "node-111.example"]);

    // Once more changes nothing; a change keeps the SAs.
    let Some(said) = b.text(&["--load-all"]).await else { return };
    assert_contains(&said, &["successfully loaded 1 connections"]);
    b.write(&conf(&b, &a, "rekey_time = 3h"));
    b.text(&["--load-conns"]).await;
    let spis =
        |text: &str| text.lines().next().map(|line| line.split_once(", IKEv2").map(|it| it.1.to_owned()));
    let Some(after) = b.text(&["--list-sas"]).await else { return };
    assert_eq!(spis(&after), spis(&before));
    assert_contains(&after, &["ESTABLISHED", "net: #"]);
    let Some(listed) = b.text(&["--list-conns"]).await else { return };
    assert_contains(&listed, &["rekeying every 10800s"]);

    // What the file has no more is unloaded.
    b.write("");
    b.text(&["--load-conns"]).await;
    b.text(&["--load-pools"]).await;
    let Some(listed) = b.text(&["--list-conns"]).await else { return };
    assert_eq!(listed, "");
    let Some(sas) = b.text(&["--list-sas"]).await else { return };
    assert!(!sas.contains("ESTABLISHED"), "{sas}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_a_file_is_said_with_its_place() {
    let (a, b) = (Site::open(113).await, Site::open(114).await);
    a.write(&conf(&a, &b, "mobike = maybe"));
    let Some(output) = a.swanctl(&["--load-conns"]).await else { return };
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let expected = r#"loading connection 'to-114' failed: invalid value for: mobike, config discarded: "maybe" is neither yes nor no"#;
    assert_contains(&said, &[expected]);

    // Without its secret it is listed, and says what it lacks when it is asked for.
    a.write(&conf(&a, &b, ""));
    let Some(said) = a.text(&["--load-conns"]).await else { return };
    assert_contains(&said, &["successfully loaded 1 connections"]);
    let Some(output) = a.swanctl(&["--initiate", "--child", "net"]).await else { return };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_contains(&said, &["no shared secret for node-113.example and node-114.example"]);
}
