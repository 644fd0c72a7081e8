//! Changes to the packet filter that are made all at once or not at all.

use super::expression::{Base, Meta, Register, Steps, Test};
use super::{FilterSettings, Shape, hosts_of};
use crate::route::netlink::{APPEND, CREATE, Request};
use crate::route::prefix::{Family, Prefix, octets};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Length of the fixed part of a message.
pub(super) const FIXED: usize = 4;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;
const DELETE_ELEMENTS: u16 = 14;
const NEW_OBJECT: u16 = 18;
const GET_OBJECT: u16 = 19;

const ANY_FAMILY: u8 = 0;
const INET: u8 = 1;

/// Ahead of connection tracking, address translation and others' filters.
const EARLY: i32 = -300;
const INTERFACE_NAME: usize = 16;
/// Elements in one message: its list is an attribute, whose length has 16 bits.
const CHUNK: usize = 512;

/// The chain that all packets come by, and the one that those go to which must not come.
const ARRIVALS: &str = "arrivals";
const IN_CLEAR: &str = "in-clear";
const DROPPED: &str = "dropped";
const COUNTER: u32 = 1;

pub(super) struct Script<'a> {
    settings: &'a FilterSettings,
    requests: Vec<Request>,
    added: BTreeMap<String, Vec<Vec<u8>>>,
    removed: BTreeMap<String, Vec<Vec<u8>>>,
    sets: u32,
}

/// Asks for the counter of dropped packets.
pub(super) fn read_counter(table: &str) -> Request {
    message(GET_OBJECT, 0).with_name(1, table).with_name(2, DROPPED).with_be32(3, COUNTER)
}

fn message(kind: u16, flags: u16) -> Request {
    Request::new(SUBSYSTEM << 8 | kind, flags, &[INET, 0, 0, 0])
}

impl<'a> Script<'a> {
    pub(super) fn new(settings: &'a FilterSettings) -> Self {
        let (added, removed) = (BTreeMap::new(), BTreeMap::new());
        Self { settings, requests: Vec::new(), added, removed, sets: 0 }
    }

    /// The table anew, with all that does not depend on what is captured.
    pub(super) fn base(&mut self, hosts: &BTreeSet<IpAddr>) {
        self.end();
        self.requests.push(message(NEW_TABLE, CREATE).with_name(1, &self.settings.name));
        let counter = message(NEW_OBJECT, CREATE).with_name(1, &self.settings.name).with_name(2, DROPPED);
        self.requests.push(counter.with_be32(3, COUNTER).with_nested(4, |data| data));
        self.chains();
        self.exceptions();
        for address in hosts {
            self.add(hosts_of(Family::of(*address)), &octets(*address));
        }
    }

    /// Takes the table away, whether or not it is there.
    pub(super) fn end(&mut self) {
        self.requests.push(message(NEW_TABLE, CREATE).with_name(1, &self.settings.name));
        self.requests.push(message(DELETE_TABLE, 0).with_name(1, &self.settings.name));
    }

    /// A set for pairs of this shape, and a rule that looks into it.
    pub(super) fn shape(&mut self, shape: &Shape) {
        let width = u32::from(shape.family.width() / 8);
        let kind = address_kind(shape.family);
        self.set(&shape.name(), kind << 6 | kind, 2 * width);
        let name = shape.name();
        let (source, registers) = match shape.family {
            Family::V4 => (12, [Register::FirstWord, Register::SecondWord]),
            Family::V6 => (8, [Register::First, Register::Second]),
        };
        let lengths = [shape.remote, shape.local];
        self.rule(ARRIVALS, |mut steps| {
            steps = narrow(of_family(steps, shape.family), shape);
            for (at, (register, length)) in (0..).zip(registers.into_iter().zip(lengths)) {
                steps = steps.payload(register, Base::Network, source + at * width, width);
                let mask = Prefix { address: shape.family.unspecified(), length }.mask();
                steps = if length < shape.family.width() { steps.mask(register, &mask) } else { steps };
            }
            steps.lookup(&name).go_to(IN_CLEAR)
        });
    }

    pub(super) fn add(&mut self, set: &str, key: &[u8]) {
        self.added.entry(set.to_owned()).or_default().push(key.to_vec());
    }

    pub(super) fn remove(&mut self, set: &str, key: &[u8]) {
        self.removed.entry(set.to_owned()).or_default().push(key.to_vec());
    }

    /// The messages, framed as the packet filter wants them.
    pub(super) fn finish(self) -> Vec<Request> {
        let frame = |kind| Request::new(kind, 0, &[ANY_FAMILY, 0, 0, SUBSYSTEM as u8]);
        let mut requests = vec![frame(BATCH_BEGIN)];
        requests.extend(self.requests);
        for (kind, flags, sets) in [(DELETE_ELEMENTS, 0, &self.removed), (NEW_ELEMENTS, CREATE, &self.added)]
        {
            for (set, keys) in sets {
                let chunks = keys.chunks(CHUNK);
                requests.extend(chunks.map(|keys| elements(&self.settings.name, kind, flags, set, keys)));
            }
        }
        requests.push(frame(BATCH_END));
        requests
    }

    fn chains(&mut self) {
        const PREROUTING: u32 = 0;
        let chain = |name| message(NEW_CHAIN, CREATE).with_name(1, &self.settings.name).with_name(3, name);
        let hook = |hook: Request| hook.with_be32(1, PREROUTING).with(2, &EARLY.to_be_bytes());
        let arrivals = chain(ARRIVALS).with_nested(4, hook).with_name(7, "filter");
        let in_clear = chain(IN_CLEAR);
        self.requests.extend([arrivals, in_clear]);
        self.rule(IN_CLEAR, |steps| steps.count(DROPPED).drop());
    }

    /// What comes out of the device, and what this host says to itself. Then outer packets to us: they matter
    /// only where selectors hold both nodes' own addresses, but there without them nothing would come up.
    fn exceptions(&mut self) {
        const ESP: u8 = 50;
        const UDP: u8 = 17;
        for name in [&self.settings.interface, "lo"] {
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(INTERFACE_NAME, 0);
            self.rule(ARRIVALS, |steps| steps.meta(Meta::InputName).compare(Test::Equal, &bytes).accept());
        }
        for family in Family::ALL {
            self.set(hosts_of(family), address_kind(family), u32::from(family.width() / 8));
            self.rule(ARRIVALS, |steps| to_us(protocol(of_family(steps, family), ESP), family).accept());
            for port in &self.settings.ports {
                self.rule(ARRIVALS, |steps| {
                    let steps = protocol(of_family(steps, family), UDP);
                    let steps = steps.payload(Register::First, Base::Transport, 2, 2);
                    to_us(steps.compare(Test::Equal, &port.to_be_bytes()), family).accept()
                });
            }
        }
        // Further fragments of such packets do not show a port; without their first one they come to nothing.
        self.rule(ARRIVALS, |steps| {
            let steps = protocol(of_family(steps, Family::V4), UDP);
            let offset =
                steps.payload(Register::First, Base::Network, 6, 2).mask(Register::First, &[0x1f, 0xff]);
            to_us(offset.compare(Test::Unequal, &[0, 0]), Family::V4).accept()
        });
    }

    fn set(&mut self, name: &str, kind: u32, length: u32) {
        self.sets += 1;
        let set = message(NEW_SET, CREATE).with_name(1, &self.settings.name).with_name(2, name);
        let set = set.with_be32(3, 0).with_be32(4, kind).with_be32(5, length).with_be32(10, self.sets);
        self.requests.push(set);
    }

    fn rule(&mut self, chain: &str, steps: impl FnOnce(Steps) -> Steps) {
        let rule = message(NEW_RULE, CREATE | APPEND).with_name(1, &self.settings.name).with_name(2, chain);
        self.requests.push(rule.with_nested(4, |list| steps(Steps(list)).0));
    }
}

fn of_family(steps: Steps, family: Family) -> Steps {
    steps.meta(Meta::Family).compare(Test::Equal, &[family.number()])
}

fn protocol(steps: Steps, protocol: u8) -> Steps {
    steps.meta(Meta::Protocol).compare(Test::Equal, &[protocol])
}

fn to_us(steps: Steps, family: Family) -> Steps {
    let (register, at) = match family {
        Family::V4 => (Register::FirstWord, 16),
        Family::V6 => (Register::First, 24),
    };
    steps.payload(register, Base::Network, at, u32::from(family.width() / 8)).lookup(hosts_of(family))
}

fn narrow(mut steps: Steps, shape: &Shape) -> Steps {
    if shape.narrow.protocol != 0 {
        steps = protocol(steps, shape.narrow.protocol);
    }
    for (at, ports) in [(0, shape.narrow.remote), (2, shape.narrow.local)] {
        if let Some((first, last)) = ports {
            let port = steps.payload(Register::First, Base::Transport, at, 2);
            steps = port.range(&first.to_be_bytes(), &last.to_be_bytes());
        }
    }
    steps
}

fn elements(table: &str, kind: u16, flags: u16, set: &str, keys: &[Vec<u8>]) -> Request {
    const ELEMENT: u16 = 1;
    const KEY: u16 = 1;
    const VALUE: u16 = 1;
    message(kind, flags).with_name(1, table).with_name(2, set).with_nested(3, |list| {
        let element = |list: Request, key: &Vec<u8>| {
            list.with_nested(ELEMENT, |inner| inner.with_nested(KEY, |inner| inner.with(VALUE, key)))
        };
        keys.iter().fold(list, element)
    })
}

/// As the packet filter's own tools name kinds of data, so that they can show our sets.
fn address_kind(family: Family) -> u32 {
    match family {
        Family::V4 => 7,
        Family::V6 => 8,
    }
}
