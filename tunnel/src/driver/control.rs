//! The control task: everything that happens to the engine happens here, one thing after the other.
//!
//! 1. Wait for a message, a deadline, or the kernel's news.
//! 2. Take what has gathered, IKE of SAs that we know before all else, and never more than a batch.
//! 3. Do what the engine says, until it says nothing more.
//! 4. Wake the packet threads if they have new tables.

use super::StartError;
use super::askers::{Askers, StillWaiting};
use super::host::{Host, News};
use super::hub::Hub;
use super::jobs::Jobs;
use super::links::Links;
use super::lookups::Lookups;
use super::mailbox::{self, Inbox, KnownSpis, Mail, Report, Sizes};
use super::packets::{PacketSettings, PacketThreads, Pinning, Threads};
use crate::action::{Action, Outcome, Ticket};
use crate::connection::Connection;
use crate::engine::{Engine, LoadError, Manner, Selection, Settings, Target};
use crate::event::Event;
use crate::io::clock::Clock;
use crate::io::udp::{Listen, Sockets};
use crate::io::{Device, Wire};
use crate::manager::Error;
use crate::mesh::{Changes, Credentials, Mesh};
use crate::revocation::Fetcher;
use crate::route::RouteSettings;
use crate::status::{ConnectionStatus, CountersReport};
use crate::tables::View;
use crate::worker;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidegate_ike::crypto::{RING, Random, SystemRandom};
use tidegate_ike::keys::KeySink;
use tidegate_ike::pool::{Pool, PoolReport};
use tidegate_ike::tally::{Tallies, TallyOf};
use tidegate_ike::{ApiMisuse, Sources, Transmit};
use tokio::sync::{mpsc, oneshot};

/// Messages that are taken in one turn before the engine's actions are done.
const BATCH: usize = 64;
/// After this long everything that will be claimed of what an earlier run left behind has been.
const ADOPTION: Duration = Duration::from_secs(60);
/// Without a deadline of its own control looks around this often.
const IDLE: Duration = Duration::from_secs(60);

/// What a handle asks for.
pub(crate) enum Command {
    Load { connection: Box<Connection>, reply: Reply<Result<(), LoadError>> },
    Update { connection: Box<Connection>, reply: Reply<Result<(), LoadError>> },
    Unload { name: Arc<str>, reply: Reply<Result<(), ApiMisuse>> },
    LoadPool { pool: Pool, reply: Reply<()> },
    UnloadPool { name: Arc<str>, reply: Reply<bool> },
    Initiate { target: Target, waiting: Option<StillWaiting>, reply: Reply<Result<usize, Error>> },
    Terminate { selection: Selection, manner: Manner, reply: Reply<Result<usize, Error>> },
    Reauthenticate { selection: Selection, reply: Reply<Result<usize, Error>> },
    Install { target: Target, reply: Reply<Result<(), ApiMisuse>> },
    Uninstall { target: Target, reply: Reply<Result<(), ApiMisuse>> },
    Rekey { selection: Selection, reply: Reply<Result<usize, Error>> },
    Apply { mesh: Box<Mesh>, reply: Reply<Result<Changes, Error>> },
    ResetTallies { which: TallyOf, reply: Reply<bool> },
    Shutdown { reply: Reply<()> },
    Ask(Question),
}

/// What a handle wants to know.
pub(crate) enum Question {
    Connections(Reply<Vec<Arc<str>>>),
    IsActive(Arc<str>, Reply<bool>),
    Status(Reply<Vec<ConnectionStatus>>),
    Counters(Reply<CountersReport>),
    Tallies(Reply<Tallies>),
    Pools(Reply<Vec<PoolReport>>),
}

/// The other end of a request. A caller that does not wait any more is no reason to stop what it asked for.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// What control is made of.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) device: Arc<dyn Device>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) listen: Listen,
    pub(crate) state_folder: Option<PathBuf>,
    pub(crate) fetcher: Option<Fetcher>,
    pub(crate) routes: Option<RouteSettings>,
    pub(crate) threads: Threads,
    pub(crate) pinning: Pinning,
    pub(crate) key_sink: Option<Box<dyn KeySink>>,
    pub(crate) requests: mpsc::Receiver<Command>,
    pub(crate) hub: Arc<Hub>,
}

/// The control task.
pub(crate) struct Control {
    engine: Engine,
    clock: Clock,
    device: Arc<dyn Device>,
    sockets: Arc<Sockets>,
    packets: PacketThreads,
    inbox: Inbox,
    spis: Arc<KnownSpis>,
    requests: mpsc::Receiver<Command>,
    jobs: Jobs,
    lookups: Lookups,
    host: Host,
    links: Links,
    hub: Arc<Hub>,
    /// To see whether the engine has published something.
    view: View,
    published: u64,
    waiting: BTreeMap<Ticket, Reply<Result<usize, Error>>>,
    askers: Askers,
    last_ticket: u64,
    ending: Option<Ending>,
}

/// The kernel's routing, asked through a socket that carries our mark.
struct Kernel(Arc<Sockets>);

impl Sources for Kernel {
    fn towards(&self, remote: IpAddr) -> Option<IpAddr> {
        self.0.source_towards(remote)
    }
}

/// An engine on its way out.
struct Ending {
    ticket: Ticket,
    replies: Vec<Reply<()>>,
    over: bool,
}

/// Tells everybody that control has ended, however it has: who waits for events would wait for ever if it
/// were by a panic. Routes then stay as they are, and nothing leaves in clear.
struct End(Arc<Hub>);

impl End {
    fn tell(hub: &Hub) {
        hub.running.store(false, Ordering::Release);
        hub.close();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(area = "engine", "the engine has panicked, and ends");
        }
        Self::tell(&self.0);
    }
}

impl Control {
    /// Starts everything but the task itself; has to be called within a tokio runtime.
    pub(crate) fn start(parts: Parts) -> Result<Self, StartError> {
        let host = Host::open(parts.routes, parts.listen.addresses)?;
        let mut settings = parts.settings;
        (settings.ike.ike_port, settings.ike.nat_port) = parts.sockets.local_ports();
        let mut random = SystemRandom::new();
        let mut seed = [0; 8];
        random.fill(&mut seed);
        let worker = worker::Settings { seed: u64::from_ne_bytes(seed), ..worker::Settings::default() };
        let mut engine = Engine::new(settings, &RING, Box::new(random));
        engine.set_sources(Box::new(Kernel(Arc::clone(&parts.sockets))));
        if let Some(sink) = parts.key_sink {
            engine.set_key_sink(sink);
        }
        let (mailboxes, inbox) = mailbox::mailboxes(Sizes::default());
        let spis = Arc::clone(mailboxes.spis());
        let packets = PacketThreads::start(&PacketSettings {
            device: Arc::clone(&parts.device),
            wire: Arc::clone(&parts.sockets) as Arc<dyn Wire>,
            view: engine.view(),
            mailboxes,
            mtus: Arc::clone(engine.path_mtus()),
            worker,
            threads: parts.threads,
            pinning: parts.pinning,
        })
        .map_err(StartError::Threads)?;
        Ok(Self {
            view: engine.view(),
            engine,
            clock: Clock,
            device: parts.device,
            sockets: parts.sockets,
            packets,
            inbox,
            spis,
            requests: parts.requests,
            jobs: Jobs::new(parts.fetcher),
            lookups: Lookups::new(),
            host,
            links: Links::new(parts.credentials, parts.state_folder),
            hub: parts.hub,
            published: 0,
            waiting: BTreeMap::new(),
            askers: Askers::new(),
            last_ticket: 0,
            ending: None,
        })
    }

    /// Runs until it is told to shut down, or the last handle is gone.
    pub(crate) async fn run(mut self) {
        let _end = End(Arc::clone(&self.hub));
        self.take_addresses();
        let adoption = tokio::time::sleep(ADOPTION);
        tokio::pin!(adoption);
        let mut settled = false;
        while !self.is_over() {
            let deadline = self.until_deadline();
            tokio::select! {
                // Mail comes last, as there may always be more of it: of what has gathered a batch is taken in
                // every turn anyway, and nothing else can be kept waiting by a flood.
                biased;
                // A closed channel would be ready for ever, and nothing below would have its turn.
                request = self.requests.recv(), if self.ending.is_none() => self.take_request(request),
                () = tokio::time::sleep(deadline) => self.engine.handle_timeout(self.clock.now()),
                news = self.host.news() => self.take_news(news),
                Some(done) = self.jobs.next() => self.engine.job_done(self.clock.now(), done),
                Some(ticket) = self.askers.next() => {
                    self.waiting.remove(&ticket);
                    self.engine.cancel(self.clock.now(), ticket);
                }
                Some((lookup, found)) = self.lookups.next() => {
                    self.engine.resolved(self.clock.now(), lookup, found);
                }
                () = &mut adoption, if !settled => {
                    settled = true;
                    let trouble = self.host.settle();
                    self.tell_all(trouble);
                    let troubles = self.host.troubles();
                    self.tell_all(troubles);
                }
                mail = self.inbox.next() => self.take_mail(mail),
            }
            self.take_what_has_gathered();
            self.act();
        }
        self.finish();
    }

    fn is_over(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.over)
    }

    fn finish(self) {
        drop(self.packets);
        self.host.close();
        End::tell(&self.hub);
        for reply in self.ending.into_iter().flat_map(|ending| ending.replies) {
            let _ = reply.send(());
        }
    }

    fn until_deadline(&self) -> Duration {
        let now = self.clock.now().time;
        self.engine.next_deadline().map_or(IDLE, |deadline| deadline.since(now).min(IDLE))
    }

    /// Whatever else has come in the meantime, before anything is sent.
    fn take_what_has_gathered(&mut self) {
        for _ in 0..BATCH {
            if let Some(mail) = self.inbox.try_next() {
                self.take_mail(Some(mail));
            } else if let Some(done) = self.jobs.try_next() {
                self.engine.job_done(self.clock.now(), done);
            } else {
                return;
            }
        }
    }

    fn take_mail(&mut self, mail: Option<Mail>) {
        match mail {
            Some(Mail::Ike(datagram)) => self.engine.handle_datagram(self.clock.now(), &datagram),
            Some(Mail::Report(Report::Notice(notice))) => {
                self.engine.handle_notice(self.clock.now(), notice);
            }
            Some(Mail::Report(Report::Trouble(trouble))) => {
                self.hub.tell(&Event::Trouble { area: "packets", message: trouble.to_string() });
            }
            // The packet threads live as long as this task does.
            None => {}
        }
    }

    fn take_news(&mut self, news: News) {
        if news.addresses {
            self.take_addresses();
        }
        for what in news.repaired {
            let message = format!("somebody had taken away {what}; it is back");
            self.hub.tell(&Event::Trouble { area: "routes", message });
        }
        let troubles = self.host.troubles();
        self.tell_all(troubles);
    }

    fn take_addresses(&mut self) {
        let addresses = self.host.addresses(&self.sockets);
        self.engine.set_local_addresses(self.clock.now(), addresses);
    }

    fn take_request(&mut self, request: Option<Command>) {
        let now = self.clock.now();
        // A caller that does not wait any more is no reason not to do what it asked for.
        match request {
            Some(Command::Load { connection, reply }) => {
                let _ = reply.send(self.engine.load(now, *connection));
            }
            Some(Command::Update { connection, reply }) => {
                let _ = reply.send(self.engine.update(now, *connection));
            }
            Some(Command::Unload { name, reply }) => {
                let _ = reply.send(self.engine.unload(now, &name));
            }
            Some(Command::LoadPool { pool, reply }) => {
                self.engine.load_pool(pool);
                let _ = reply.send(());
            }
            Some(Command::UnloadPool { name, reply }) => {
                let _ = reply.send(self.engine.unload_pool(&name));
            }
            Some(Command::Initiate { target, waiting, reply }) => {
                let ticket = self.ticket(reply);
                if let Some(waiting) = waiting {
                    self.askers.watch(ticket, waiting);
                }
                self.engine.initiate(now, &target, ticket);
            }
            Some(Command::Terminate { selection, manner, reply }) => {
                let ticket = self.ticket(reply);
                self.engine.terminate(now, &selection, manner, ticket);
            }
            Some(Command::Reauthenticate { selection, reply }) => {
                let ticket = self.ticket(reply);
                self.engine.reauthenticate(now, &selection, ticket);
            }
            Some(Command::Install { target, reply }) => {
                let _ = reply.send(self.engine.install(now, &target));
            }
            Some(Command::Uninstall { target, reply }) => {
                let _ = reply.send(self.engine.uninstall(now, &target));
            }
            Some(Command::Rekey { selection, reply }) => {
                let ticket = self.ticket(reply);
                self.engine.rekey(now, &selection, ticket);
            }
            Some(Command::ResetTallies { which, reply }) => {
                let _ = reply.send(self.engine.reset_tallies(&which));
            }
            Some(Command::Apply { mesh, reply }) => self.apply(&mesh, reply),
            Some(Command::Shutdown { reply }) => self.shut_down(Some(reply)),
            Some(Command::Ask(question)) => self.answer(question),
            None => self.shut_down(None),
        }
    }

    fn answer(&self, question: Question) {
        let now = self.clock.now();
        match question {
            Question::Connections(reply) => {
                let _ = reply.send(self.engine.connections().cloned().collect());
            }
            Question::IsActive(name, reply) => {
                let _ = reply.send(self.engine.is_active(&name));
            }
            Question::Status(reply) => {
                let _ = reply.send(self.engine.status(now));
            }
            Question::Tallies(reply) => {
                let _ = reply.send(self.engine.tallies());
            }
            Question::Counters(reply) => {
                let _ = reply.send(self.report());
            }
            Question::Pools(reply) => {
                let _ = reply.send(self.engine.pools());
            }
        }
    }

    fn report(&self) -> CountersReport {
        let mut report =
            CountersReport::new(&self.packets.counters(), self.engine.ike_counters(), &self.inbox.lost());
        report.totals.insert("packet_thread_restarts", self.packets.restarts());
        report.totals.extend(self.host.dropped_in_clear().map(|count| ("dropped_in_clear", count)));
        report.totals.extend(self.sockets.counters().by_name());
        report.totals.extend(self.device.missed().map(|count| ("device_missed", count)));
        let (device, sockets) = (self.packets.device_offloads(), self.sockets.offloads());
        report.offloads.extend([("device_tcp", device.tcp), ("device_udp", device.udp)]);
        report.offloads.extend([("sockets_send", sockets.send), ("sockets_receive", sockets.receive)]);
        let queues = self.sockets.queues();
        report.queues.extend(self.device.queue_length().map(|packets| ("device_packets", packets)));
        report.queues.extend([("socket_receive_bytes", queues.receive), ("socket_send_bytes", queues.send)]);
        report
    }

    fn apply(&mut self, mesh: &Mesh, reply: Reply<Result<Changes, Error>>) {
        let applied = self.links.apply(&mut self.engine, self.clock.now(), mesh);
        if applied.is_ok() {
            let trouble = self.links.keep(mesh);
            self.tell_all(trouble);
        }
        let _ = reply.send(applied);
    }

    fn shut_down(&mut self, reply: Option<Reply<()>>) {
        if let Some(ending) = &mut self.ending {
            ending.replies.extend(reply);
            return;
        }
        // Nobody can ask for anything more.
        self.requests.close();
        let ticket = self.next_ticket();
        self.ending = Some(Ending { ticket, replies: reply.into_iter().collect(), over: false });
        self.engine.shutdown(self.clock.now(), ticket);
    }

    fn ticket(&mut self, reply: Reply<Result<usize, Error>>) -> Ticket {
        let ticket = self.next_ticket();
        self.waiting.insert(ticket, reply);
        ticket
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Does what the engine says.
    fn act(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Transmit(transmit) => self.transmit(&transmit),
                Action::Job(job) => self.jobs.begin(job),
                Action::Resolve { lookup, names } => self.lookups.begin(lookup, names),
                Action::Event(event) => self.hub.tell(&event),
                Action::Capture { capture, selectors } => {
                    let trouble = self.host.capture(capture, &selectors);
                    self.tell_all(trouble);
                }
                Action::LimitMtu { capture, mtu } => {
                    let trouble = self.host.limit(capture, mtu);
                    self.tell_all(trouble);
                }
                Action::Release(capture) => {
                    let trouble = self.host.release(capture);
                    self.tell_all(trouble);
                }
                Action::AddAddress(address) => {
                    if let Err(error) = self.device.assign(address) {
                        let message = format!("{address} cannot be taken: {error}");
                        self.hub.tell(&Event::Trouble { area: "device", message });
                    }
                    let trouble = self.host.add_address(address);
                    self.tell_all(trouble);
                }
                Action::RemoveAddress(address) => {
                    self.device.withdraw(address);
                    let trouble = self.host.remove_address(address);
                    self.tell_all(trouble);
                }
                Action::Done { ticket, outcome } => self.done(ticket, outcome),
            }
        }
        let generation = self.view.current().generation();
        if std::mem::replace(&mut self.published, generation) != generation {
            self.packets.wake();
        }
    }

    fn transmit(&self, transmit: &Transmit) {
        self.spis.note(transmit);
        let path = transmit.path;
        if let Err(error) = self.sockets.send_one(path.local, path.remote, &transmit.bytes, 0) {
            // What got lost here is sent again like what gets lost on the way.
            tracing::debug!(area = "io", %error, local = %path.local, remote = %path.remote, "not sent");
        }
    }

    fn done(&mut self, ticket: Ticket, outcome: Outcome) {
        if let Some(ending) = self.ending.as_mut().filter(|ending| ending.ticket == ticket) {
            ending.over = true;
        }
        let Some(reply) = self.waiting.remove(&ticket) else { return };
        let _ = reply.send(match outcome {
            Outcome::Done(count) => Ok(count),
            Outcome::Failed(verdict) => Err(Error::Failed(verdict)),
            Outcome::Misuse(misuse) => Err(Error::Misuse(misuse)),
        });
    }

    fn tell_all(&self, events: impl IntoIterator<Item = Event>) {
        events.into_iter().for_each(|event| self.hub.tell(&event));
    }
}
