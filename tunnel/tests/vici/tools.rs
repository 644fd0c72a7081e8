//! The binary's tools, which are clients.

use crate::fake::{Asked, Fake, Folder, House, counters, two_connections};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tidegate::engine::{Selection, Target};
use tidegate::event::Event;
use tokio::sync::mpsc;

fn command(path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).arg("--vici").arg(path);
    command
}

async fn output(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.expect("no panic").expect("it was built")
}

/// A process that is ended with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::piped()).spawn().expect("it was built"))
    }

    /// Its output, line by line.
    fn lines(&mut self) -> mpsc::UnboundedReceiver<String> {
        let (sender, lines) = mpsc::unbounded_channel();
        let output = BufReader::new(self.0.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        lines
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child of ours")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn run(house: &House, arguments: &[&str]) -> Output {
    output(command(&house.path, arguments)).await
}

async fn text(house: &House, arguments: &[&str]) -> String {
    let output = run(house, arguments).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn status_is_a_table_that_people_can_read() {
    let house = House::open(&Fake::with(two_connections()));
    let expected = "\
CONNECTION    STATE     PEER                           ADDRESS            SUITE                         AGE    REKEY   IN     OUT    RTT    SEEN
edge-1        up        C=CN, O=fabedge.io, CN=edge-1  198.51.100.2:4500  aes256gcm16-prfsha256-x25519  1m01s  3h36m   252 B  336 B  1.5ms  2s
  edge-1-p2p            10.1.0.0/24 - 10.2.0.0/24                         aes128gcm16-esn               1m00s  50m00s  252 B  336 B
edge-2        retrying  edge-2
  no answer for 30.0 s (the network); again in 12s
";
    assert_eq!(text(&house, &["status"]).await, expected);
    let one = text(&house, &["status", "edge-2"]).await;
    assert!(one.contains("edge-2") && !one.contains("edge-1"));
    house.fake.set(Vec::new());
    assert_eq!(text(&house, &["status"]).await, "There are no connections.\n");
}

#[tokio::test]
async fn a_peer_cannot_play_tricks_on_the_terminal() {
    let mut status = two_connections();
    status[0].sas[0].peer = Some("\x1b]0;owned\x07\nedge-9".to_owned());
    let house = House::open(&Fake::with(status));
    let table = text(&house, &["status"]).await;
    assert!(table.chars().all(|c| c == '\n' || !c.is_control()));
    assert_eq!(table.lines().count(), 5);
}

#[tokio::test]
async fn status_and_counters_have_all_of_it_for_machines() {
    let house = House::open(&Fake::with(two_connections()));
    let read: serde_json::Value =
        serde_json::from_str(&text(&house, &["status", "--json"]).await).expect("JSON");
    assert_eq!(read, serde_json::to_value(two_connections()).expect("plain data"));
    let read: serde_json::Value =
        serde_json::from_str(&text(&house, &["counters", "--json"]).await).expect("JSON");
    assert_eq!(read, serde_json::to_value(counters()).expect("plain data"));
    let lines = text(&house, &["counters"]).await;
    let drops = lines.lines().find(|line| line.starts_with("packet_drops.replayed")).expect("it is there");
    assert_eq!(drops.split_whitespace().last(), Some("3"));
}

#[tokio::test]
async fn orders_go_to_a_connection_or_else_to_a_child() {
    let house = House::open(&Fake::with(two_connections()));
    assert_eq!(text(&house, &["up", "edge-1"]).await, "edge-1 is up\n");
    assert_eq!(text(&house, &["up", "edge-1-p2p"]).await, "edge-1-p2p is up\n");
    assert_eq!(text(&house, &["down", "edge-1"]).await, "edge-1 is down: 2 SAs closed\n");
    assert_eq!(text(&house, &["rekey", "edge-1"]).await, "edge-1 has new keys: 2 SAs rekeyed\n");
    let expected = [
        Asked::Initiate(Target::Connection("edge-1".into())),
        Asked::Initiate(Target::Child { connection: None, child: "edge-1-p2p".into() }),
        Asked::Terminate(Selection::Connection("edge-1".into())),
        Asked::Rekey(Selection::Connection("edge-1".into())),
    ];
    assert_eq!(house.fake.asked(), expected);
}

#[tokio::test]
async fn an_order_that_fails_says_why() {
    let house = House::open(&Fake::default());
    let output = run(&house, &["up", "broken"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "tidegate: establishing CHILD_SA 'broken' failed: no answer for 30.0 s (the network)\n"
    );
    let output = run(&house, &["up", "slow", "--timeout", "1"]).await;
    assert_eq!(output.status.code(), Some(1));
    let output = run(&house, &["down", "absent"]).await;
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn where_there_is_no_daemon_help_is_given() {
    let folder = Folder::new();
    let path = folder.path().join("vici.sock");
    for (prepare, expected) in [(false, "tidegate run --config"), (true, "is gone")] {
        if prepare {
            drop(std::os::unix::net::UnixListener::bind(&path).expect("a fresh folder"));
        }
        let output = output(command(&path, &["status"])).await;
        assert_eq!(output.status.code(), Some(3));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.contains(expected) && complaint.contains(&*path.to_string_lossy()), "{complaint}");
    }
}

#[tokio::test]
async fn a_wrong_command_line_has_a_code_of_its_own() {
    let folder = Folder::new();
    for arguments in [&["dance"][..], &["up"], &["status", "--yaml"]] {
        let output = output(command(&folder.path().join("x"), arguments)).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn the_environment_says_where_the_daemon_is() {
    let house = House::open(&Fake::default());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.arg("counters").env("TIDEGATE_VICI", &house.path);
    let output = output(command).await;
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn events_are_shown_as_they_come_until_the_daemon_goes() {
    for (arguments, expected) in [
        (&["events"][..], " info  edge-1: up, the peer is at 198.51.100.2:4500"),
        (&["events", "--json"], r#""connection":"edge-1","kind":"up","level":"info""#),
    ] {
        let mut house = House::open(&Fake::default());
        let mut process = Running::start(&mut command(&house.path, arguments));
        let mut lines = process.lines();
        let event =
            Event::Up { connection: "edge-1".into(), peer: "198.51.100.2:4500".parse().expect("one") };
        let line = loop {
            // It may not have registered yet.
            house.fake.raise(&event);
            match tokio::time::timeout(Duration::from_millis(100), lines.recv()).await {
                Ok(line) => break line.expect("it goes on"),
                Err(_) => continue,
            }
        };
        assert!(line.contains(expected), "{line}");
        drop(house.server.take());
        let status = loop {
            match process.ended() {
                Some(status) => break status,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        assert_eq!(status.code(), Some(3));
    }
}

#[tokio::test]
async fn a_closed_pipe_is_no_failure() {
    let house = House::open(&Fake::default());
    let mut process = Running::start(&mut command(&house.path, &["events"]));
    drop(process.0.stdout.take());
    let status = loop {
        house.fake.raise(&Event::Trouble { area: "test", message: String::new() });
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(status) = process.ended() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(0));
}
