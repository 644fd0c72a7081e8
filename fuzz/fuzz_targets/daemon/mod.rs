//! A daemon that does nothing, and says so in many ways: what becomes of an order depends on the name in it, and
//! each brings the next of a row of events about.

use crate::fake;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate::connection::{ChildMode, Connection, HostAccess};
use tidegate::engine::{Manner, Selection, Target};
use tidegate::event::{ChildFacts, Event, IkeFacts};
use tidegate::io::udp::RawEsp;
use tidegate::status::{ConfiguredChild, ConnectionStatus, CountersReport};
use tidegate::vici::{Control, Refusal};
use tidegate_esp::{AddressRange, Encapsulation, SelectorPair, Spi};
use tidegate_ike::auth::{AuthFailure, CertificateCheck, CertificateVerdict, WhichCertificate};
use tidegate_ike::crypto::pem;
use tidegate_ike::identity::Identity;
use tidegate_ike::pool::{Pool, PoolReport};
use tidegate_ike::tally::{Tallies, TallyOf};
use tidegate_ike::wire::NotifyType;
use tidegate_ike::{Cause, Culprit, Event as Ike, Framing, Path, SaId, Verdict};
use tokio::sync::mpsc;

#[derive(Clone)]
pub(crate) struct Daemon(Arc<Mutex<State>>);

struct State {
    status: Vec<ConnectionStatus>,
    pools: Vec<PoolReport>,
    lists: Vec<Vec<u8>>,
    listeners: Vec<mpsc::UnboundedSender<Event>>,
    /// How much has happened.
    events: usize,
}

#[derive(Debug)]
pub(crate) struct No {
    unknown: bool,
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

impl Refusal for No {
    fn is_about_nothing(&self) -> bool {
        self.unknown
    }
}

pub(crate) struct Listener(mpsc::UnboundedReceiver<Event>);

impl futures_core::Stream for Listener {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(context)
    }
}

/// What the daemon begins with. To name an SA takes an engine, so it is made once.
static STATUS: LazyLock<Vec<ConnectionStatus>> = LazyLock::new(|| {
    let mut status = fake::two_connections();
    let shunt = |name: &str, mode| ConfiguredChild {
        name: name.to_owned(),
        mode,
        installed: true,
        ..ConfiguredChild::default()
    };
    if let Some(down) = status.last_mut() {
        down.children.extend([shunt("trap", "TUNNEL"), shunt("pass", "PASS"), shunt("drop", "DROP")]);
    }
    status
});

static LIST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let text = include_str!("../../../ike/tests/data/certs/crl-int1.pem");
    pem::revocation_lists(text).expect("a list").remove(0)
});

static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(events);

impl Default for Daemon {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            status: STATUS.clone(),
            pools: vec![leased("from-a-file")],
            lists: vec![b"none that can be read".to_vec(), LIST.clone()],
            listeners: Vec::new(),
            events: 0,
        })))
    }
}

impl Daemon {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("not poisoned")
    }

    /// What becomes of an order depends on the name, and what happens on what has happened before.
    async fn outcome(&self, name: &str) -> Result<usize, No> {
        let trouble = Event::Trouble { area: "fuzz", message: name.to_owned() };
        {
            let state = &mut *self.state();
            let at = name.len() + state.events;
            state.events += 1;
            for event in [&trouble].into_iter().chain(EVENTS.get(at % EVENTS.len())) {
                state.listeners.retain(|listener| listener.send(event.clone()).is_ok());
            }
            // An SA that was there is gone, and the other way round.
            if at % 3 == 0
                && let Some(connection) = state.status.first_mut()
            {
                let gone = std::mem::take(&mut connection.sas);
                connection.sas = if gone.is_empty() { STATUS[0].sas.clone() } else { Vec::new() };
            }
        }
        match name.len() % 5 {
            0 => Err(No { unknown: true }),
            1 => Err(No { unknown: false }),
            2 => Ok(0),
            3 => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(1)
            }
            _ => Ok(2),
        }
    }

    async fn of(&self, selection: Selection) -> Result<usize, No> {
        match selection {
            Selection::Connection(name) | Selection::Child { child: name, .. } => self.outcome(&name).await,
            _ => self.outcome("four").await,
        }
    }

    async fn take(&self, connection: &Connection) -> Result<(), No> {
        let name: &str = connection.name();
        self.outcome(name).await?;
        let status = &mut self.state().status;
        if status.iter().all(|known| known.name != name) {
            status.push(ConnectionStatus { name: name.to_owned(), ..ConnectionStatus::default() });
        }
        Ok(())
    }
}

impl Control for Daemon {
    type Error = No;
    type Events = Listener;

    async fn initiate(&self, target: Target) -> Result<(), No> {
        let (Target::Connection(name) | Target::Child { child: name, .. }) = target;
        self.outcome(&name).await.map(drop)
    }

    async fn terminate(&self, selection: Selection, _: Manner) -> Result<usize, No> {
        self.of(selection).await
    }

    async fn reauthenticate(&self, selection: Selection) -> Result<usize, No> {
        self.of(selection).await
    }

    async fn install(&self, target: Target) -> Result<(), No> {
        self.initiate(target).await
    }

    async fn uninstall(&self, target: Target) -> Result<(), No> {
        self.initiate(target).await
    }

    async fn rekey(&self, selection: Selection) -> Result<usize, No> {
        self.of(selection).await
    }

    async fn status(&self) -> Result<Vec<ConnectionStatus>, No> {
        Ok(self.state().status.clone())
    }

    async fn counters(&self) -> Result<CountersReport, No> {
        Ok(fake::counters())
    }

    async fn connections(&self) -> Result<Vec<Arc<str>>, No> {
        Ok(self.state().status.iter().map(|connection| connection.name.as_str().into()).collect())
    }

    async fn load(&self, connection: Connection) -> Result<(), No> {
        self.take(&connection).await
    }

    async fn update(&self, connection: Connection) -> Result<(), No> {
        self.take(&connection).await
    }

    async fn unload(&self, name: &str) -> Result<(), No> {
        self.outcome(name).await?;
        self.state().status.retain(|connection| connection.name != name);
        Ok(())
    }

    async fn load_pool(&self, pool: Pool) -> Result<(), No> {
        let pools = &mut self.state().pools;
        pools.retain(|report| report.pool.name != pool.name);
        // Somebody has an address of every other one at once.
        let PoolReport { held, remembered, .. } = leased("");
        let held = if pool.name.len() % 2 == 0 { Vec::new() } else { held };
        pools.push(PoolReport { pool, held, remembered });
        Ok(())
    }

    async fn unload_pool(&self, name: &str) -> Result<bool, No> {
        let pools = &mut self.state().pools;
        let before = pools.len();
        pools.retain(|report| *report.pool.name != *name);
        Ok(pools.len() < before)
    }

    async fn pools(&self) -> Result<Vec<PoolReport>, No> {
        Ok(self.state().pools.clone())
    }

    async fn tallies(&self) -> Result<Tallies, No> {
        Ok(fake::tallies())
    }

    async fn reset_tallies(&self, which: TallyOf) -> Result<bool, No> {
        Ok(which == TallyOf::All)
    }

    async fn revocation_lists(&self) -> Vec<Vec<u8>> {
        self.state().lists.clone()
    }

    async fn forget_revocation_lists(&self) {
        self.state().lists.clear();
    }

    fn raw_esp(&self) -> RawEsp {
        RawEsp::On
    }

    fn events(&self) -> Listener {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state().listeners.push(sender);
        Listener(receiver)
    }
}

/// One of each kind that clients are told of as more than a line: of SAs that they see, and of such as were gone
/// before anybody could look.
fn events() -> Vec<Event> {
    let seen = STATUS[0].sas[0].handle;
    let children = [Spi::new(0xc000_0001), Spi::new(0xc000_0777)].map(|spi| spi.expect("not reserved"));
    let path = Path { local: end(1), remote: end(2), framing: Framing::Marked };
    let verdict = |cause| Verdict { culprit: Culprit::Peer, cause };
    let connection: Arc<str> = "edge-1".into();
    let expired = CertificateCheck::Missing;
    let certificate = CertificateVerdict { check: expired, certificate: WhichCertificate::None };
    let certificate = Cause::Authentication(Box::new(AuthFailure::Certificate(Box::new(certificate))));
    let refused = Cause::Refused(NotifyType::TS_UNACCEPTABLE);
    vec![
        Event::Up { connection: connection.clone(), peer: end(2) },
        Event::Down { connection: connection.clone(), verdict: verdict(Cause::ClosedByPeer) },
        Event::IkeUp(ike_facts(seen)),
        Event::ChildUp(child_facts(seen, children[0])),
        Event::ChildUp(child_facts(seen, children[1])),
        Event::Ike(Ike::IkeRekeyed { old: seen, new: seen }),
        Event::Ike(Ike::ChildRekeyed { sa: seen, old: children[1], new: children[0] }),
        Event::Ike(Ike::PeerMoved { sa: seen, path }),
        Event::ChildDown { child: child_facts(seen, children[0]), verdict: verdict(Cause::ClosedByPeer) },
        Event::ChildDown { child: child_facts(seen, children[1]), verdict: verdict(Cause::ClosedByPeer) },
        Event::IkeDown(ike_facts(seen)),
        Event::Ike(Ike::IkeFailed {
            sa: seen,
            connection: Some(connection.clone()),
            path,
            verdict: verdict(certificate),
        }),
        Event::Ike(Ike::ChildFailed { sa: seen, name: None, verdict: verdict(refused) }),
        Event::Ike(Ike::Refused { path, verdict: verdict(Cause::PoolExhausted) }),
        Event::Retry { connection: connection.clone(), after_ms: 500, verdict: verdict(Cause::Unresolved) },
        Event::PrefixTaken {
            sa: seen,
            connection,
            selectors: selectors(),
            holder: "edge-2".into(),
            child: children[0],
        },
        Event::Missed(3),
    ]
}

/// A pool that somebody has an address of, and somebody had.
fn leased(name: &str) -> PoolReport {
    let pool = Pool {
        name: name.into(),
        addresses: AddressRange::host([10, 8, 0, 1].into()),
        dns: Vec::new(),
        subnets: Vec::new(),
        attributes: Vec::new(),
    };
    let lease = |last: u8| ([10, 8, 0, last].into(), Identity::Fqdn(format!("peer-{last}")));
    PoolReport { pool, held: vec![lease(1)], remembered: vec![lease(2)] }
}

fn end(number: u8) -> std::net::SocketAddr {
    ([192, 0, 2, number], 4500).into()
}

fn selectors() -> Arc<SelectorPair> {
    let net = |text: &str| vec![text.parse().expect("a selector")];
    Arc::new(SelectorPair { local: net("10.1.0.0/24"), remote: net("10.2.0.0/24") })
}

fn ike_facts(sa: SaId) -> Arc<IkeFacts> {
    Arc::new(IkeFacts {
        connection: "edge-1".into(),
        sa,
        number: 7,
        initiator: true,
        spis: (0x0123_4567_89ab_cdef, 0xf),
        local_id: Identity::Fqdn("cloud".into()),
        remote_id: Identity::Fqdn("edge-1".into()),
        local: end(1),
        remote: end(2),
    })
}

fn child_facts(sa: SaId, spi_in: Spi) -> Arc<ChildFacts> {
    let IkeFacts { connection, number, local_id, remote_id, local, remote, .. } = (*ike_facts(sa)).clone();
    Arc::new(ChildFacts {
        connection,
        child: "edge-1-p2p".into(),
        updown: None,
        host_access: HostAccess::Untold,
        reqid: 3,
        mode: ChildMode::Tunnel,
        ike_sa: number,
        number: 1,
        spi_in,
        spi_out: spi_in,
        local_id,
        remote_id,
        local,
        remote,
        encapsulation: Encapsulation::Udp,
        selectors: selectors(),
        addresses: Vec::new(),
        dns: Vec::new(),
        peer_addresses: Vec::new(),
    })
}
