//! Scripts at children's coming and going, run by the process that runs them for the daemon.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tidegate::connection::{Child as ConnectionChild, ChildMode, Connection};
use tidegate::engine::Target;
use tidegate::event::ChildFacts;
use tidegate::io::netstack::{Netstack, NetstackSettings};
use tidegate::io::udp::Listen;
use tidegate::updown::{Scripts, helper};
use tidegate::{Event, TunnelManager};
use tidegate_esp::{Encapsulation, SelectorPair, Spi};
use tidegate_ike::crypto::Secret;
use tidegate_ike::{Cause, ChildConfig, Culprit, Verdict};

const PATIENCE: Duration = Duration::from_secs(20);

/// The helper's process, ended with the test at the latest.
struct Helper(Child);

impl Helper {
    fn start() -> (Self, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg(helper::COMMAND).stdin(OwnedFd::from(theirs)).env("SECRET", "of the daemon's");
        (Self(command.spawn().unwrap()), ours)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tidegate-updown-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn child(name: &str, command: &str, identity: &str) -> Arc<ChildFacts> {
    let side = |text: &str| vec![text.parse().unwrap()];
    Arc::new(ChildFacts {
        connection: "gateway".into(),
        child: name.into(),
        updown: (!command.is_empty()).then(|| command.into()),
        reqid: 7,
        mode: ChildMode::Tunnel,
        ike_sa: 3,
        number: 2,
        host_access: tidegate::connection::HostAccess::Untold,
        spi_in: Spi::new(4096).unwrap(),
        spi_out: Spi::new(4097).unwrap(),
        local_id: "edge-1.example".parse().unwrap(),
        remote_id: identity.parse().unwrap(),
        local: "127.0.0.1:4500".parse().unwrap(),
        remote: "198.51.100.9:4500".parse().unwrap(),
        encapsulation: Encapsulation::Udp,
        selectors: Arc::new(SelectorPair { local: side("10.1.0.0/24"), remote: side("10.2.0.0/24") }),
        addresses: Vec::new(),
        dns: Vec::new(),
        peer_addresses: Vec::new(),
    })
}

fn up(child: &Arc<ChildFacts>) -> Event {
    Event::ChildUp(Arc::clone(child))
}

fn down(child: &Arc<ChildFacts>) -> Event {
    let verdict = Verdict { culprit: Culprit::Us, cause: Cause::ClosedByUs };
    Event::ChildDown { child: Arc::clone(child), verdict }
}

#[tokio::test]
async fn a_script_runs_when_a_child_comes_and_when_it_goes() {
    let (folder, (_helper, stream)) = (Folder::new(), Helper::start());
    let mut scripts = Scripts::start(stream).unwrap();
    let log = folder.0.join("log");
    let command =
        format!("echo $PLUTO_VERB $PLUTO_INTERFACE $PLUTO_PEER_CLIENT $SECRET. >>{}", log.display());
    let net = child("net", &command, "gateway.example");
    scripts.heed(&up(&net));
    scripts.heed(&up(&child("other", "", "gateway.example")));
    scripts.heed(&down(&net));
    scripts.finish(PATIENCE).await;
    assert_eq!(folder.read("log"), "up-client lo 10.2.0.0/24 .\ndown-client lo 10.2.0.0/24 .\n");
}

#[tokio::test]
async fn scripts_of_a_child_take_turns_and_those_of_others_do_not_wait_for_them() {
    let (folder, (_helper, stream)) = (Folder::new(), Helper::start());
    let mut scripts = Scripts::start(stream).unwrap();
    let log = folder.0.display();
    let slow = child("slow", &format!("sleep 1; echo $PLUTO_VERB >>{log}/slow"), "a.example");
    let quick = child("quick", &format!("cat {log}/slow >{log}/seen; echo done >>{log}/quick"), "b.example");
    let start = Instant::now();
    scripts.heed(&up(&slow));
    scripts.heed(&down(&slow));
    scripts.heed(&up(&quick));
    scripts.finish(PATIENCE).await;
    assert_eq!(folder.read("slow"), "up-client\ndown-client\n");
    assert_eq!((folder.read("quick").as_str(), folder.read("seen").as_str()), ("done\n", ""));
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
}

/// What a peer calls itself is data to a script's environment and nothing else.
#[tokio::test]
async fn a_peer_has_no_say_in_what_is_run() {
    let (folder, (_helper, stream)) = (Folder::new(), Helper::start());
    let mut scripts = Scripts::start(stream).unwrap();
    let mark = folder.0.join("mark");
    let log = folder.0.join("log");
    let identity = format!("keyid:$(touch {0});`touch {0}`\n;touch {0}", mark.display());
    let evil = child("net", &format!("printf '%s' \"$PLUTO_PEER_ID\" >{}", log.display()), &identity);
    scripts.heed(&up(&evil));
    scripts.finish(PATIENCE).await;
    assert!(!folder.read("log").is_empty() && !folder.read("log").contains('\n'), "{}", folder.read("log"));
    assert!(!mark.exists());
}

#[tokio::test]
async fn many_children_come_at_once_and_each_has_its_script_run() {
    let (folder, (_helper, stream)) = (Folder::new(), Helper::start());
    let mut scripts = Scripts::start(stream).unwrap();
    for number in 0..200 {
        let command = format!("mkdir {}/{number}", folder.0.display());
        scripts.heed(&up(&child(&number.to_string(), &command, "a.example")));
    }
    scripts.finish(PATIENCE).await;
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 200);
}

async fn node(address: &str, inside: &str) -> (TunnelManager, Netstack) {
    let (stack, device) = Netstack::new(NetstackSettings::new(vec![(inside.parse().unwrap(), 24)])).unwrap();
    let addresses = vec![address.parse().unwrap()];
    let listen = Listen { addresses, ike_port: 0, nat_port: 0, ..Listen::default() };
    let builder = TunnelManager::builder().device(Arc::new(device)).listen(listen);
    (builder.start().await.unwrap(), stack)
}

fn connection(us: &str, peer: &str, nets: [&str; 2], updown: &str) -> Connection {
    let secret = Secret::new(b"known to both".to_vec());
    let ike = tidegate_ike::Connection::psk("peer", us.parse().unwrap(), peer.parse().unwrap(), secret);
    let config = ChildConfig::new("net", nets[0].parse().unwrap(), nets[1].parse().unwrap());
    Connection::new(ike)
        .with_child(ConnectionChild { updown: Some(updown.into()), ..ConnectionChild::new(config) })
}

/// Two engines in this process, each with a script of its own.
#[tokio::test]
async fn children_that_peers_agree_on_have_their_scripts_run_at_both_ends() {
    let (folder, (_helper, stream)) = (Folder::new(), Helper::start());
    let mut scripts = Scripts::start(stream).unwrap();
    let (edge, _edge_stack) = node("127.0.78.1", "10.1.0.1").await;
    let (cloud, _cloud_stack) = node("127.0.78.2", "10.2.0.1").await;
    let nets = ["10.1.0.0/24", "10.2.0.0/24"];
    let script = |name: &str| {
        let log = folder.0.join(name);
        format!("echo $PLUTO_VERB $PLUTO_PEER_ID $PLUTO_MY_CLIENT $PLUTO_UDP_ENC >>{}", log.display())
    };
    let theirs = connection("cloud.example", "edge.example", [nets[1], nets[0]], &script("cloud"));
    cloud.load(theirs).await.unwrap();
    let mut ours = connection("edge.example", "cloud.example", nets, &script("edge"));
    ours.ike.remote.port = cloud.ports().1;
    edge.load(ours.with_peer_address("127.0.78.2".parse().unwrap())).await.unwrap();
    let (mut edge_events, mut cloud_events) = (edge.events(), cloud.events());
    edge.initiate(Target::Connection("peer".into())).await.unwrap();
    edge.shutdown().await;
    cloud.shutdown().await;
    for events in [&mut edge_events, &mut cloud_events] {
        while let Some(event) = events.next().await {
            scripts.heed(&event);
        }
    }
    scripts.finish(PATIENCE).await;
    let ports = [cloud.ports().1, edge.ports().1].map(|port| port.to_string());
    let of = |peer: &str, net: &str, port: &str| {
        format!("up-client {peer} {net} {port}\ndown-client {peer} {net} {port}\n")
    };
    assert_eq!(folder.read("edge"), of("cloud.example", nets[0], &ports[0]));
    assert_eq!(folder.read("cloud"), of("edge.example", nets[1], &ports[1]));
}

#[tokio::test]
async fn without_the_helper_nothing_hangs() {
    let (mut helper, stream) = Helper::start();
    let mut scripts = Scripts::start(stream).unwrap();
    helper.0.kill().unwrap();
    helper.0.wait().unwrap();
    scripts.heed(&up(&child("net", "true", "a.example")));
    let start = Instant::now();
    scripts.finish(PATIENCE).await;
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_helper_ends_with_its_daemon() {
    let (mut helper, stream) = Helper::start();
    drop(stream);
    let deadline = Instant::now() + PATIENCE;
    while helper.0.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}
