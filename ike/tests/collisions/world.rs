//! Two ends with several children, what either may begin, and what must hold at every instant.

use crate::support::{End, Pair, child, connection, fixed};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::{Direction, Spi};
use tidegate_ike::connection::{ChildConfig, ChildStart, Connection};
use tidegate_ike::endpoint::Phase;
use tidegate_ike::proposal::EspProposal;
use tidegate_ike::{DataEvent, Endpoint, Event, SaId, Time, Timer};

/// Something that one end begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// A new child of this name.
    Create(&'static str),
    /// New keys for the child of this name.
    Rekey(&'static str),
    /// The end of the child of this name.
    Delete(&'static str),
    /// New keys for the IKE SA.
    RekeyIke,
    /// The end of the IKE SA.
    DeleteIke,
    /// A sign of life is asked for.
    Liveness,
}

/// How the children are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pfs {
    /// Each with a key exchange of its own.
    With,
    /// From the keys of the IKE SA alone.
    Without,
}

/// Children that stand when a test begins.
pub const STANDING: [&str; 2] = ["net", "two"];
/// Longer than every patience and every retransmission.
const LONG: Duration = Duration::from_secs(150);

/// Two ends and what is expected of them.
pub struct World {
    pub pair: Pair,
    /// Packets go both ways all the time.
    pub talking: bool,
    /// Children that must carry traffic without a break.
    unbroken: BTreeSet<&'static str>,
    heard: BTreeSet<(Spi, bool)>,
}

/// What should be there in the end: how many children of each name, or nothing at all.
pub type Outcome = Option<BTreeMap<&'static str, usize>>;

impl World {
    /// An IKE SA with two children. Nobody asks for signs of life, so that nothing happens by itself.
    pub fn new(seed: u64, pfs: Pfs) -> Self {
        let mut pair = Pair::new(seed, ends_of(End::A, pfs), ends_of(End::B, pfs));
        pair.set_up();
        assert_eq!(pair.a.children().len(), STANDING.len());
        pair.a.events.clear();
        pair.b.events.clear();
        Self { pair, talking: false, unbroken: STANDING.into(), heard: BTreeSet::new() }
    }

    /// The child of this name that counts.
    pub fn child(&mut self, end: End, name: &str) -> Option<Spi> {
        self.pair
            .host(end)
            .endpoint
            .sas()
            .flat_map(|sa| sa.children().collect::<Vec<_>>())
            .find(|child| **child.name() == *name && child.is_current())
            .map(|child| child.inbound())
    }

    pub fn ike(&mut self, end: End) -> Option<SaId> {
        self.pair.host(end).standing().first().copied()
    }

    /// Lets one end begin something; what it would act on may be gone already.
    pub fn begin(&mut self, end: End, act: Act) {
        let child = match act {
            Act::Rekey(name) | Act::Delete(name) => self.child(end, name),
            _ => None,
        };
        let sa = self.ike(end);
        match act {
            Act::Create(_) | Act::Rekey(_) | Act::RekeyIke | Act::Liveness => {}
            Act::Delete(name) => {
                self.unbroken.remove(name);
            }
            Act::DeleteIke => self.unbroken.clear(),
        }
        self.pair.with(end, |endpoint, now| match (act, child, sa) {
            (Act::Create(name), _, Some(sa)) => endpoint.create_child(now, sa, name).unwrap(),
            (Act::Rekey(_), Some(child), _) => endpoint.rekey_child(now, child).unwrap(),
            (Act::Delete(_), Some(child), _) => endpoint.terminate_child(now, child).unwrap(),
            (Act::RekeyIke, _, Some(sa)) => endpoint.rekey(now, sa).unwrap(),
            (Act::DeleteIke, _, Some(sa)) => endpoint.terminate(now, sa).unwrap(),
            (Act::Liveness, _, Some(sa)) => {
                let remote = endpoint.status(sa).unwrap().path().remote;
                endpoint.handle_data(now, DataEvent::UnknownSpi(remote));
            }
            _ => {}
        });
        self.check();
    }

    /// No child is expected to carry traffic all the time.
    pub fn may_break(&mut self) {
        self.unbroken.clear();
    }

    /// Delivers the datagram at this place of what an end has sent.
    pub fn deliver(&mut self, from: End, index: usize) {
        let transmit = self.pair.host(from).sent.remove(index).expect("it is in flight");
        self.pair.deliver(from.other(), &transmit);
        self.check();
    }

    /// Delivers the oldest datagram of one end.
    #[track_caller]
    pub fn pass(&mut self, from: End) {
        assert!(!self.pair.host(from).sent.is_empty(), "{from:?} has nothing to say");
        self.deliver(from, 0);
    }

    /// Loses the oldest datagram of one end.
    #[track_caller]
    pub fn lose(&mut self, from: End) {
        assert!(self.pair.host(from).sent.pop_front().is_some(), "{from:?} has nothing to say");
    }

    /// Does the job at this place.
    pub fn work(&mut self, end: End, index: usize) {
        let (now, time) = (self.pair.now(), self.pair.now);
        let host = self.pair.host(end);
        let job = host.jobs.remove(index).expect("it waits");
        let done = job.run(&mut host.random);
        host.endpoint.job_done(now, done);
        host.drain(time);
        self.check();
    }

    /// When something is due at either end.
    pub fn next_deadline(&self) -> Option<Time> {
        let ends = [&self.pair.a, &self.pair.b].into_iter();
        ends.filter_map(|host| host.endpoint.next_deadline().map(|(at, ..)| at)).min()
    }

    /// Lets time pass until something is due.
    pub fn wait(&mut self) {
        if let Some(at) = self.next_deadline() {
            self.pair.now = self.pair.now.max(at);
            for end in [End::A, End::B] {
                self.pair.with(end, Endpoint::handle_timeout);
            }
            self.check();
        }
    }

    /// No more is lost or held back: everything comes to its end.
    pub fn settle(&mut self) {
        for end in [End::A, End::B] {
            let now = self.pair.now;
            self.pair.host(end).run_jobs(now);
        }
        let until = self.pair.now + LONG;
        for _ in 0..10_000 {
            if !self.pair.a.sent.is_empty() {
                self.pass(End::A);
            } else if !self.pair.b.sent.is_empty() {
                self.pass(End::B);
            } else {
                let next = self.next_deadline();
                if next.is_none_or(|at| at > until) {
                    self.pair.now = until;
                    return;
                }
                self.wait();
            }
        }
        panic!("the two ends never come to rest");
    }

    /// What one end sends, the other can open, whatever is under way.
    #[track_caller]
    pub fn check(&mut self) {
        for (one, other) in [(&self.pair.a, &self.pair.b), (&self.pair.b, &self.pair.a)] {
            for name in &self.unbroken {
                let carrier = one.carries.get(*name);
                let carrier =
                    carrier.unwrap_or_else(|| panic!("{name} carries no traffic at {}", one.address));
                let out = one.installed.get(&(*carrier, Direction::Outbound));
                let out =
                    out.unwrap_or_else(|| panic!("{name} has lost its outbound half at {}", one.address));
                assert!(
                    other.installed.contains_key(&(out.spi, Direction::Inbound)),
                    "{} cannot open what {} sends on {name}",
                    other.address,
                    one.address
                );
            }
        }
        if self.talking {
            self.talk();
        }
    }

    /// A packet of every child goes each way.
    fn talk(&mut self) {
        for end in [End::A, End::B] {
            let host = self.pair.host(end);
            let sent: Vec<Spi> = host
                .carries
                .values()
                .filter_map(|carrier| host.installed.get(&(*carrier, Direction::Outbound)))
                .map(|params| params.spi)
                .collect();
            for spi in sent {
                let other = end.other();
                let here = self.pair.host(other).installed.contains_key(&(spi, Direction::Inbound));
                if here && self.heard.insert((spi, other == End::A)) {
                    let event = DataEvent::FirstInbound(spi);
                    self.pair.with(other, |endpoint, now| endpoint.handle_data(now, event));
                }
            }
        }
    }

    /// Everything is at rest, both ends agree, and nothing is there that should not be.
    #[track_caller]
    pub fn assert_outcome(&self, outcome: &Outcome) {
        self.pair.assert_agree();
        for host in [&self.pair.a, &self.pair.b] {
            let mut found: BTreeMap<String, usize> = BTreeMap::new();
            for sa in host.endpoint.sas() {
                assert_eq!(sa.phase(), Phase::Established, "a half-dead IKE SA");
                assert!(sa.is_quiet(), "something is never done");
                for child in sa.children() {
                    assert!(child.is_current(), "a half-dead child");
                    *found.entry(child.name().to_string()).or_default() += 1;
                }
            }
            let wanted: BTreeMap<String, usize> = outcome
                .iter()
                .flatten()
                .filter(|(_, count)| **count > 0)
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect();
            assert_eq!(found, wanted);
            assert_eq!(host.endpoint.len(), usize::from(outcome.is_some()));
            let children: usize = wanted.values().sum();
            assert_eq!(host.installed.len(), 2 * children, "the packet side holds something else");
            assert_eq!(host.carries.len(), wanted.len(), "a child carries nothing");
            assert_eq!(host.endpoint.resources()[0], children, "an SPI leaks");
        }
    }

    /// After the end of every IKE SA nothing is left.
    #[track_caller]
    pub fn assert_clean_end(&mut self) {
        self.unbroken.clear();
        for end in [End::A, End::B] {
            while let Some(sa) = self.ike(end) {
                self.pair.with(end, |endpoint, now| endpoint.terminate(now, sa)).unwrap();
                self.settle();
            }
        }
        for host in [&self.pair.a, &self.pair.b] {
            assert!(host.endpoint.is_empty(), "an IKE SA is left");
            assert!(host.installed.is_empty(), "a child is left");
            assert_eq!(host.endpoint.resources(), [0, 0, 0], "something leaks");
        }
    }

    /// Both ends have begun something, and nothing has arrived.
    pub fn crossed(a: Act, b: Act) -> Self {
        let mut world = Self::new(7, Pfs::Without);
        world.begin(End::A, a);
        world.begin(End::B, b);
        world
    }

    /// Everything comes to rest, the outcome is this, and the end is clean.
    #[track_caller]
    pub fn assert_settles(&mut self, acts: &[Act]) {
        self.settle();
        self.assert_outcome(&outcome(acts));
        self.assert_clean_end();
    }

    /// Whether one end has been told to try again later (TEMPORARY_FAILURE), and will.
    pub fn retries(&mut self, end: End) -> bool {
        let host = self.pair.host(end);
        host.endpoint.next_deadline().is_some_and(|(.., timer)| timer == Timer::Retry)
    }

    /// How many of these events one end has had.
    pub fn told(&mut self, end: End, kind: fn(&Event) -> bool) -> usize {
        self.pair.host(end).events.iter().filter(|event| kind(event)).count()
    }
}

/// What is there when both ends have done what they began.
pub fn outcome(acts: &[Act]) -> Outcome {
    let mut children: BTreeMap<_, _> = STANDING.into_iter().map(|name| (name, 1)).collect();
    for act in acts {
        match *act {
            Act::Create(name) => *children.entry(name).or_default() += 1,
            Act::DeleteIke => return None,
            _ => {}
        }
    }
    for act in acts {
        if let Act::Delete(name) = *act {
            children.insert(name, 0);
        }
    }
    Some(children)
}

fn ends_of(end: End, pfs: Pfs) -> Connection {
    let names = ["net", "two", "three", "four"];
    let children = names.into_iter().enumerate().map(|(index, name)| {
        let subnet = |end| match end {
            End::A => format!("10.{}.0.0/16", 10 + index),
            End::B => format!("10.{}.0.0/16", 20 + index),
        };
        let proposals = match pfs {
            Pfs::With => "aes128gcm16-x25519,aes128gcm16",
            Pfs::Without => "aes128gcm16",
        };
        Arc::new(ChildConfig {
            name: name.into(),
            local: fixed(&[&subnet(end)]),
            remote: fixed(&[&subnet(end.other())]),
            proposals: EspProposal::parse_list(proposals).unwrap(),
            start: if STANDING.contains(&name) { ChildStart::WithIke } else { ChildStart::OnDemand },
            ..child(end)
        })
    });
    Connection { children: children.collect(), liveness: None, ..connection(end) }
}
