//! A daemon without tunnels, whose state is what a test makes it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate::connection::Connection as Loaded;
use tidegate::engine::{Manner, Selection, Target};
use tidegate::event::Event;
use tidegate::io::udp::RawEsp;
use tidegate::status::{
    Algorithms, ChildSaStatus, ConfiguredChild, ConnectionStatus, CountersReport, IkeSaStatus, TimesReport,
    Traffic,
};
use tidegate::vici::{Client, Control, Credentials, Server};
use tidegate_esp::AddressRange;
use tidegate_ike::crypto::{RING, Secret, SystemRandom};
use tidegate_ike::identity::{Identity, IdentityPattern};
use tidegate_ike::pool::{Pool, PoolReport};
use tidegate_ike::tally::{Messages, Tallies, Tally, TallyOf};
use tidegate_ike::{Config, Connection, Endpoint, Initiate, Now, SaId, Time, WallTime};
use tokio::sync::{Notify, mpsc};

/// What it has been asked for, and what it answers.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    /// Lets those go that wait for something named `slow`.
    pub(crate) release: Arc<Notify>,
}

#[derive(Default)]
struct State {
    status: Vec<ConnectionStatus>,
    asked: Vec<Asked>,
    connections: BTreeMap<String, Loaded>,
    pools: Vec<PoolReport>,
    lists: Vec<Vec<u8>>,
    listeners: Vec<mpsc::UnboundedSender<Event>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Initiate(Target),
    Terminate(Selection),
    Force(Selection),
    Rekey(Selection),
    Reauthenticate(Selection),
    Install(Target),
    Uninstall(Target),
    Reset(TallyOf),
    Load(Arc<str>),
    Update(Arc<str>),
    Unload(Arc<str>),
}

#[derive(Debug)]
pub(crate) struct Refusal(&'static str);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl tidegate::vici::Refusal for Refusal {
    fn is_about_nothing(&self) -> bool {
        self.0 == UNKNOWN.0
    }
}

const UNKNOWN: Refusal = Refusal("there is no such thing");

pub(crate) struct Listener(mpsc::UnboundedReceiver<Event>);

impl futures_core::Stream for Listener {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(context)
    }
}

impl Fake {
    pub(crate) fn with(status: Vec<ConnectionStatus>) -> Self {
        let fake = Self::default();
        fake.set(status);
        fake
    }

    pub(crate) fn set(&self, status: Vec<ConnectionStatus>) {
        self.state.lock().expect("not poisoned").status = status;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().expect("not poisoned").asked.clone()
    }

    pub(crate) fn raise(&self, event: &Event) {
        self.state
            .lock()
            .expect("not poisoned")
            .listeners
            .retain(|listener| listener.send(event.clone()).is_ok());
    }

    /// The connection of this name as it was loaded last.
    pub(crate) fn connection(&self, name: &str) -> Option<Loaded> {
        self.state.lock().expect("not poisoned").connections.get(name).cloned()
    }

    pub(crate) fn set_pools(&self, pools: Vec<PoolReport>) {
        self.state.lock().expect("not poisoned").pools = pools;
    }

    pub(crate) fn set_lists(&self, lists: Vec<Vec<u8>>) {
        self.state.lock().expect("not poisoned").lists = lists;
    }

    fn take(&self, connection: Loaded, asked: fn(Arc<str>) -> Asked) -> Result<(), Refusal> {
        let name = Arc::clone(connection.name());
        self.note(asked(Arc::clone(&name)));
        if &*name == "unloadable" {
            return Err(Refusal("the engine does not take it"));
        }
        let mut state = self.state.lock().expect("not poisoned");
        if state.status.iter().all(|known| known.name != *name) {
            state.status.push(ConnectionStatus { name: name.to_string(), ..ConnectionStatus::default() });
        }
        state.connections.insert(name.to_string(), connection);
        Ok(())
    }

    fn note(&self, asked: Asked) {
        self.state.lock().expect("not poisoned").asked.push(asked);
    }

    async fn outcome(&self, name: &str) -> Result<usize, Refusal> {
        match name {
            "slow" => {
                self.release.notified().await;
                Ok(1)
            }
            "broken" => Err(Refusal("no answer for 30.0 s (the network)")),
            "absent" => Ok(0),
            "loud" => {
                self.raise(&Event::Trouble { area: "test", message: "it is done".to_owned() });
                Ok(1)
            }
            "unknown" => Err(UNKNOWN),
            _ => Ok(2),
        }
    }
}

impl Control for Fake {
    type Error = Refusal;
    type Events = Listener;

    async fn initiate(&self, target: Target) -> Result<(), Refusal> {
        self.note(Asked::Initiate(target.clone()));
        let (Target::Connection(name) | Target::Child { child: name, .. }) = target;
        self.outcome(&name).await.map(drop)
    }

    async fn terminate(&self, selection: Selection, manner: Manner) -> Result<usize, Refusal> {
        if manner == Manner::Force {
            self.note(Asked::Force(selection));
            return Ok(1);
        }
        self.note(Asked::Terminate(selection.clone()));
        self.outcome(&name_of(selection)).await
    }

    async fn reauthenticate(&self, selection: Selection) -> Result<usize, Refusal> {
        self.note(Asked::Reauthenticate(selection.clone()));
        self.outcome(&name_of(selection)).await
    }

    async fn install(&self, target: Target) -> Result<(), Refusal> {
        self.note(Asked::Install(target.clone()));
        self.outcome(&name_of_target(target)).await.map(drop)
    }

    async fn uninstall(&self, target: Target) -> Result<(), Refusal> {
        self.note(Asked::Uninstall(target.clone()));
        self.outcome(&name_of_target(target)).await.map(drop)
    }

    async fn rekey(&self, selection: Selection) -> Result<usize, Refusal> {
        self.note(Asked::Rekey(selection.clone()));
        self.outcome(&name_of(selection)).await
    }

    async fn status(&self) -> Result<Vec<ConnectionStatus>, Refusal> {
        Ok(self.state.lock().expect("not poisoned").status.clone())
    }

    async fn connections(&self) -> Result<Vec<Arc<str>>, Refusal> {
        let state = self.state.lock().expect("not poisoned");
        Ok(state.status.iter().map(|connection| connection.name.as_str().into()).collect())
    }

    async fn load(&self, connection: Loaded) -> Result<(), Refusal> {
        self.take(connection, Asked::Load)
    }

    async fn update(&self, connection: Loaded) -> Result<(), Refusal> {
        self.take(connection, Asked::Update)
    }

    async fn unload(&self, name: &str) -> Result<(), Refusal> {
        self.note(Asked::Unload(name.into()));
        let mut state = self.state.lock().expect("not poisoned");
        state.status.retain(|connection| connection.name != name);
        state.connections.remove(name);
        Ok(())
    }

    async fn load_pool(&self, pool: Pool) -> Result<(), Refusal> {
        let mut state = self.state.lock().expect("not poisoned");
        state.pools.retain(|report| report.pool.name != pool.name);
        state.pools.push(PoolReport { pool, held: Vec::new(), remembered: Vec::new() });
        Ok(())
    }

    async fn unload_pool(&self, name: &str) -> Result<bool, Refusal> {
        let mut state = self.state.lock().expect("not poisoned");
        let before = state.pools.len();
        state.pools.retain(|report| *report.pool.name != *name);
        Ok(state.pools.len() < before)
    }

    async fn pools(&self) -> Result<Vec<PoolReport>, Refusal> {
        Ok(self.state.lock().expect("not poisoned").pools.clone())
    }

    async fn counters(&self) -> Result<CountersReport, Refusal> {
        Ok(counters())
    }

    async fn tallies(&self) -> Result<Tallies, Refusal> {
        Ok(tallies())
    }

    async fn reset_tallies(&self, which: TallyOf) -> Result<bool, Refusal> {
        let known = !matches!(&which, TallyOf::Connection(name) if &**name != "edge-1");
        self.note(Asked::Reset(which));
        Ok(known)
    }

    async fn revocation_lists(&self) -> Vec<Vec<u8>> {
        self.state.lock().expect("not poisoned").lists.clone()
    }

    async fn forget_revocation_lists(&self) {
        self.state.lock().expect("not poisoned").lists.clear();
    }

    fn raw_esp(&self) -> RawEsp {
        RawEsp::On
    }

    fn events(&self) -> Listener {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state.lock().expect("not poisoned").listeners.push(sender);
        Listener(receiver)
    }
}

fn name_of_target(target: Target) -> Arc<str> {
    let (Target::Connection(name) | Target::Child { child: name, .. }) = target;
    name
}

fn name_of(selection: Selection) -> Arc<str> {
    match selection {
        Selection::Connection(name) | Selection::Child { child: name, .. } => name,
        Selection::IkeSa(_)
        | Selection::ChildSa(_)
        | Selection::ChildNumber(_)
        | Selection::Reqid(_)
        | Selection::All => "".into(),
    }
}

/// A server with its folder, which is removed in the end.
pub(crate) struct House {
    pub(crate) fake: Fake,
    pub(crate) path: PathBuf,
    pub(crate) server: Option<Server>,
    pub(crate) credentials: Arc<Mutex<Credentials>>,
    _folder: Folder,
}

impl House {
    pub(crate) fn open(fake: &Fake) -> Self {
        let folder = Folder::new();
        let path = folder.path().join("vici.sock");
        let credentials = Arc::new(Mutex::new(Credentials::new()));
        let server = Server::with_credentials(fake.clone(), Arc::clone(&credentials), &path);
        let server = Some(server.expect("a fresh folder"));
        Self { fake: fake.clone(), path, server, credentials, _folder: folder }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.path).await.expect("the server listens")
    }
}

/// A folder of our own.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidegate-vici-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a name that nobody else has");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What must be soon, or never is.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it should not take that long")
}

/// A connection with one IKE SA that has one child, and one that is down.
pub(crate) fn two_connections() -> Vec<ConnectionStatus> {
    let up = ConnectionStatus {
        name: "edge-1".to_owned(),
        state: "up",
        local_id: "C=CN, O=fabedge.io, CN=cloud".to_owned(),
        remote_id: "C=CN, O=fabedge.io, CN=edge-1".to_owned(),
        remote_addresses: vec!["198.51.100.2".to_owned()],
        children: vec![
            configured("edge-1-p2p", "10.1.0.0/24", "10.2.0.0/24"),
            configured("edge-1-n2p", "192.0.2.1/32", "10.2.0.0/24"),
        ],
        sas: vec![ike_sa()],
        ..ConnectionStatus::default()
    };
    let down = ConnectionStatus {
        name: "edge-2".to_owned(),
        state: "retrying",
        local_id: "cloud".to_owned(),
        remote_id: "edge-2".to_owned(),
        children: vec![configured("edge-2-p2p", "10.1.0.0/24", "10.3.0.0/24")],
        failures: 4,
        retry_in: Some(12.5),
        last_verdict: Some("no answer for 30.0 s (the network)".to_owned()),
        ..ConnectionStatus::default()
    };
    vec![up, down]
}

fn configured(name: &str, local: &str, remote: &str) -> ConfiguredChild {
    ConfiguredChild {
        name: name.to_owned(),
        local: vec![local.to_owned()],
        remote: vec![remote.to_owned()],
        start: "start",
        mode: "TUNNEL",
        reqid: 1,
        installed: false,
    }
}

pub(crate) fn counters() -> CountersReport {
    CountersReport {
        sent: Traffic { packets: 4, bytes: 336 },
        received: Traffic { packets: 3, bytes: 252 },
        packet_drops: [("no_sa", 1), ("replayed", 3)].into(),
        ike_drops: [("malformed", 2)].into(),
        totals: [("ike_established", 5), ("ike_failed", 6)].into(),
        handshakes: TimesReport { count: 3, sum_us: 250_000, within_ms: vec![(5, 1), (10, 2)] },
        offloads: [("device_tcp", true)].into(),
        queues: [("device_packets", 1000)].into(),
    }
}

pub(crate) fn tallies() -> Tallies {
    let init = Messages { requests_out: 3, answers_in: 2, ..Messages::default() };
    let one = Tally { ike_rekeys_begun: 1, child_rekeys: 4, init, ..Tally::default() };
    Tallies { all: Tally { invalid: 9, ..one }, by_connection: [("edge-1".into(), one)].into() }
}

/// A name of an IKE SA; an endpoint alone can make one.
pub(crate) fn handle() -> SaId {
    let secret = Secret::new(vec![7; 32]);
    let local = Identity::Fqdn("cloud".into());
    let mut connection = Connection::psk("edge-1", local, IdentityPattern::Any, secret);
    connection.remote.addresses.push(AddressRange::host([198, 51, 100, 2].into()));
    let mut endpoint = Endpoint::new(Config::default(), &RING, Box::new(SystemRandom::new()));
    endpoint.set_local_addresses(NOW, vec![[192, 0, 2, 1].into()]);
    endpoint.load(connection);
    let wish = Initiate { connection: "edge-1", child: None, local: None, remote: None };
    endpoint.initiate(NOW, &wish).expect("nothing stands against it")
}

const NOW: Now = Now { time: Time::ZERO, wall: WallTime(1_767_225_600) };

pub(crate) fn ike_sa() -> IkeSaStatus {
    IkeSaStatus {
        id: 7,
        handle: handle(),
        phase: "ESTABLISHED",
        initiator: true,
        spis: (0x0123_4567_89ab_cdef, 0xf),
        local: "192.0.2.1:4500".parse().expect("an address"),
        remote: "198.51.100.2:4500".parse().expect("an address"),
        nat: (false, true),
        claims_nat: false,
        peer: Some("C=CN, O=fabedge.io, CN=edge-1".to_owned()),
        suite: Some("aes256gcm16-prfsha256-x25519".to_owned()),
        algorithms: Some(Algorithms {
            encryption: 20,
            key_bits: Some(256),
            prf: Some(5),
            group: Some(31),
            ..Algorithms::default()
        }),
        age: 61.9,
        rekey_in: Some(13_000.0),
        reauthentication_in: None,
        silence: Some(2.0),
        handshake_ms: Some(8.25),
        rtt_ms: Some(1.5),
        virtual_addresses: Vec::new(),
        children: vec![child_sa("edge-1-p2p", 0xc000_0001)],
    }
}

pub(crate) fn child_sa(name: &str, spi_in: u32) -> ChildSaStatus {
    ChildSaStatus {
        id: u64::from(spi_in & 0xff),
        name: name.to_owned(),
        reqid: 1,
        current: true,
        spi_in,
        spi_out: 0xd2,
        suite: "aes128gcm16-esn".to_owned(),
        algorithms: Algorithms {
            encryption: 20,
            key_bits: Some(128),
            extended_sequence: true,
            ..Algorithms::default()
        },
        udp: true,
        local: vec!["10.1.0.0/24".to_owned()],
        remote: vec!["10.2.0.0/24".to_owned()],
        received: Traffic { packets: 3, bytes: 252 },
        sent: Traffic { packets: 4, bytes: 336 },
        received_ago: Some(2.5),
        sent_ago: None,
        age: 60.0,
        rekey_in: Some(3000.0),
        expires_in: Some(3960.0),
    }
}
