//! Whoever holds the wire: sees every datagram, keeps many, and does with them what it likes. It has no keys.

use crate::forge::{self, Seen};
use crate::node::Shared;
use crate::recipe::{between, happens};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use tidegate_ike::wire::{ExchangeType, Header};
use tidegate_sim::{Chance, Datagram, Forgery, MILLISECOND, SECOND, SimRandom, Verdict};

pub struct Adversary {
    shared: Rc<Shared>,
    random: SimRandom,
    mood: Mood,
    malice: Chance,
    /// Datagrams of all times, of which old ones give way by chance.
    heard: Vec<Datagram>,
    ends: Vec<SocketAddr>,
    known: BTreeSet<SocketAddr>,
    done: BTreeMap<Attack, u64>,
}

/// What it is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Everything.
    Wild,
    /// It takes nothing away and is early with nothing: it adds what it has heard before, and what it makes up.
    Meddling,
    /// It listens.
    Still,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    // What takes something away, or gets ahead of it.
    Swallow,
    Delay,
    Damage,
    Cut,
    Overtake,
    Refuse,
    // What adds something.
    Replay,
    ReplayFromElsewhere,
    Misdeliver,
    Reflect,
    Mutate,
    Lengthen,
    Garbage,
    Keepalive,
    InvalidSpi,
    Delete,
    Fragment,
    ForgedEsp,
    Flood,
}

const TAKING: [Attack; 6] =
    [Attack::Swallow, Attack::Delay, Attack::Damage, Attack::Cut, Attack::Overtake, Attack::Refuse];
const ADDING: [Attack; 13] = [
    Attack::Replay,
    Attack::ReplayFromElsewhere,
    Attack::Misdeliver,
    Attack::Reflect,
    Attack::Mutate,
    Attack::Lengthen,
    Attack::Garbage,
    Attack::Keepalive,
    Attack::InvalidSpi,
    Attack::Delete,
    Attack::Fragment,
    Attack::ForgedEsp,
    Attack::Flood,
];

/// How much it remembers.
const MEMORY: usize = 4096;
const MOST_ENDS: usize = 512;
/// It holds a datagram back for up to so long.
const PATIENCE: u64 = 600 * SECOND;

impl Adversary {
    pub fn new(shared: Rc<Shared>, random: SimRandom, malice: Chance) -> Self {
        Self {
            shared,
            random,
            mood: Mood::Wild,
            malice,
            heard: Vec::new(),
            ends: Vec::new(),
            known: BTreeSet::new(),
            done: BTreeMap::new(),
        }
    }

    pub fn set_mood(&mut self, mood: Mood) {
        self.mood = mood;
    }

    /// How often it has done what.
    pub fn done(&self) -> &BTreeMap<Attack, u64> {
        &self.done
    }

    /// A datagram goes by.
    pub fn see(&mut self, datagram: &Datagram) -> Verdict {
        self.shared.judge.borrow_mut().watch(&datagram.bytes);
        self.remember(datagram);
        if self.mood == Mood::Still || !self.malice.happens(&mut self.random) {
            return Verdict::Pass;
        }
        let attack = match self.mood {
            Mood::Wild if happens(&mut self.random, 40) => self.one_of(&TAKING),
            _ => self.one_of(&ADDING),
        };
        let verdict = self.attack(attack, datagram);
        if verdict != Verdict::Pass {
            *self.done.entry(attack).or_default() += 1;
        }
        verdict
    }

    fn attack(&mut self, attack: Attack, datagram: &Datagram) -> Verdict {
        match attack {
            Attack::Swallow => Verdict::Drop,
            Attack::Delay => {
                let span = between(&mut self.random, (MILLISECOND, PATIENCE));
                Verdict::Instead(vec![Forgery { datagram: datagram.clone(), after: span }])
            }
            Attack::Damage => Verdict::Replace(self.flip(&datagram.bytes)),
            Attack::Cut => {
                let length = self.random.below(datagram.bytes.len() as u64) as usize;
                Verdict::Replace(datagram.bytes[..length].to_vec())
            }
            Attack::Overtake => {
                let first = Forgery { datagram: self.moved_elsewhere(datagram), after: 0 };
                let second = Forgery { datagram: datagram.clone(), after: 5 * MILLISECOND };
                Verdict::Instead(vec![first, second])
            }
            Attack::Refuse => self.refuse(datagram),
            Attack::Flood => self.flood(datagram),
            _ => match self.addition(attack, datagram) {
                Some(addition) => {
                    let after = self.random.below(3 * SECOND);
                    Verdict::Inject(vec![Forgery { datagram: addition, after }])
                }
                None => Verdict::Pass,
            },
        }
    }

    /// One datagram more.
    fn addition(&mut self, attack: Attack, datagram: &Datagram) -> Option<Datagram> {
        let old = self.any_heard();
        let bytes = |bytes| Some(Datagram { bytes, ..datagram.clone() });
        match attack {
            Attack::Replay => Some(old),
            Attack::ReplayFromElsewhere => Some(self.moved_elsewhere(&old)),
            Attack::Misdeliver => Some(Datagram { to: self.any_end(), ..old }),
            Attack::Reflect => Some(Datagram { from: old.to, to: old.from, bytes: old.bytes }),
            Attack::Mutate => Some(Datagram { bytes: self.flip(&old.bytes), ..old }),
            Attack::Lengthen => {
                let length = 1 + self.random.below(64) as usize;
                let more = self.noise(length);
                bytes([datagram.bytes.clone(), more].concat())
            }
            Attack::Garbage => {
                let length = self.random.below(400) as usize;
                bytes(self.noise(length))
            }
            Attack::Keepalive => Some(Datagram { from: self.any_end(), to: datagram.to, bytes: vec![0xff] }),
            Attack::InvalidSpi => match Seen::of(datagram.to.port(), &datagram.bytes) {
                Seen::Esp { spi, .. } => {
                    let bytes = forge::invalid_spi(spi, &mut self.random);
                    Some(Datagram { from: datagram.to, to: datagram.from, bytes })
                }
                _ => None,
            },
            Attack::Delete => self.about_ike(datagram, forge::delete),
            Attack::Fragment => self.about_ike(datagram, forge::fragment),
            Attack::ForgedEsp => match Seen::of(datagram.to.port(), &datagram.bytes) {
                Seen::Esp { spi, sequence } => bytes(forge::esp(spi, sequence, &mut self.random)),
                _ => None,
            },
            _ => None,
        }
    }

    fn about_ike(
        &mut self,
        datagram: &Datagram,
        make: impl FnOnce(&Header, bool, &mut SimRandom) -> Vec<u8>,
    ) -> Option<Datagram> {
        match Seen::of(datagram.to.port(), &datagram.bytes) {
            Seen::Ike { header, marked } => {
                let bytes = make(&header, marked, &mut self.random);
                Some(Datagram { bytes, ..datagram.clone() })
            }
            _ => None,
        }
    }

    /// A request is answered in clear before it has got to whoever could answer it.
    fn refuse(&mut self, datagram: &Datagram) -> Verdict {
        match Seen::of(datagram.to.port(), &datagram.bytes) {
            Seen::Ike { header, marked } if !header.response => {
                let bytes = forge::answer(&header, marked, &mut self.random);
                let answer = Datagram { from: datagram.to, to: datagram.from, bytes };
                Verdict::Inject(vec![Forgery { datagram: answer, after: 0 }])
            }
            _ => Verdict::Pass,
        }
    }

    /// Many begin with one peer at once, each from an address of its own.
    fn flood(&mut self, datagram: &Datagram) -> Verdict {
        match Seen::of(datagram.to.port(), &datagram.bytes) {
            Seen::Ike { header, marked }
                if header.exchange == ExchangeType::IkeSaInit && !header.response =>
            {
                let count = between(&mut self.random, (10, 200));
                let one = |_| {
                    let from = self.stranger();
                    let bytes = forge::another_beginning(&datagram.bytes, marked, &mut self.random);
                    let after = self.random.below(SECOND);
                    Forgery { datagram: Datagram { from, to: datagram.to, bytes }, after }
                };
                Verdict::Inject((0..count).map(one).collect())
            }
            _ => Verdict::Pass,
        }
    }

    fn remember(&mut self, datagram: &Datagram) {
        for end in [datagram.from, datagram.to] {
            if self.ends.len() < MOST_ENDS && self.known.insert(end) {
                self.ends.push(end);
            }
        }
        if self.heard.len() < MEMORY {
            self.heard.push(datagram.clone());
        } else if happens(&mut self.random, 20) {
            let at = self.random.below(MEMORY as u64) as usize;
            self.heard[at].clone_from(datagram);
        }
    }

    fn one_of(&mut self, attacks: &[Attack]) -> Attack {
        attacks[self.random.below(attacks.len() as u64) as usize]
    }

    fn any_heard(&mut self) -> Datagram {
        self.heard[self.random.below(self.heard.len() as u64) as usize].clone()
    }

    fn any_end(&mut self) -> SocketAddr {
        self.ends[self.random.below(self.ends.len() as u64) as usize]
    }

    fn moved_elsewhere(&mut self, datagram: &Datagram) -> Datagram {
        let from = if happens(&mut self.random, 50) { self.any_end() } else { self.stranger() };
        Datagram { from, ..datagram.clone() }
    }

    /// An end that nobody is at.
    fn stranger(&mut self) -> SocketAddr {
        let [.., a, b] = self.random.next_u64().to_be_bytes();
        let port = 1024 + self.random.below(60_000) as u16;
        SocketAddr::new(IpAddr::from([100, 64, a, b]), port)
    }

    fn flip(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.random.below(3) {
            let bit = self.random.below(bytes.len() as u64 * 8) as usize;
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        bytes
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.random.fill(&mut bytes);
        bytes
    }
}
