//! The packet side of a simulated node: real ESP over whatever the engine has installed.

use std::collections::{BTreeMap, BTreeSet};
use tidegate_esp::crypto::Backend;
use tidegate_esp::encap::Datagram;
use tidegate_esp::{Direction, Freshness, Inbound, IvSecret, Outbound, Path, SelectorPair, Spi};
use tidegate_ike::output::{Duty, Install};

/// Everything installed on a node.
#[derive(Default)]
pub struct Plane {
    pub inbound: BTreeMap<Spi, Inbound>,
    pub outbound: BTreeMap<Spi, Sending>,
    /// By name of the child, the SA that carries its traffic.
    pub carriers: BTreeMap<String, Spi>,
    heard: BTreeSet<Spi>,
    /// Packets that the other end has got through to us, by name of the child.
    pub received: BTreeMap<String, u64>,
    /// What went wrong that never should.
    pub faults: Vec<String>,
    names: BTreeMap<Spi, String>,
    /// What each standing child carries.
    pub selectors: BTreeMap<Spi, SelectorPair>,
}

/// The outbound half of a child.
pub struct Sending {
    sa: Outbound,
    path: Path,
}

/// What an ESP packet means to the engine.
pub enum Seen {
    Nothing,
    Unknown,
    Packet { child: Spi, first: bool, newest: bool },
}

impl Plane {
    pub fn install(&mut self, install: &Install) {
        let (child, params) = (install.child, &install.params);
        self.names.insert(child, install.name.to_string());
        match params.direction {
            Direction::Inbound => {
                let sa = Inbound::new(Backend::Ring, params).expect("keys of the right length");
                if self.inbound.insert(child, sa).is_some() {
                    self.fault(format!("{child} installed twice"));
                }
                self.selectors.insert(child, (*params.selectors).clone());
            }
            Direction::Outbound => {
                if !self.inbound.contains_key(&child) {
                    self.fault(format!("{child} sends before it can receive"));
                }
                let sa = Outbound::new(Backend::Ring, params, &IvSecret::new([7; 16])).expect("keys");
                self.outbound.insert(child, Sending { sa, path: params.path });
                if install.duty == Duty::Active {
                    self.carriers.insert(install.name.to_string(), child);
                }
            }
        }
    }

    /// The first few are enough.
    pub fn fault(&mut self, fault: String) {
        if self.faults.len() < 3 {
            self.faults.push(fault);
        }
    }

    /// Traffic moves to another child of the same name.
    pub fn move_outbound(&mut self, from: Spi, to: Spi) {
        if !self.outbound.contains_key(&to) {
            self.fault(format!("traffic of {from} moves to {to}, which cannot send"));
        }
        if let Some(name) = self.names.get(&to) {
            self.carriers.insert(name.clone(), to);
        }
    }

    pub fn repath(&mut self, child: Spi, path: Path) {
        if let Some(sending) = self.outbound.get_mut(&child) {
            sending.path = path;
        }
    }

    pub fn remove(&mut self, child: Spi, direction: Direction) {
        match direction {
            Direction::Inbound => {
                self.inbound.remove(&child);
                self.selectors.remove(&child);
                self.names.remove(&child);
                self.heard.remove(&child);
            }
            Direction::Outbound => {
                self.outbound.remove(&child);
                self.carriers.retain(|_, carrier| *carrier != child);
            }
        }
    }

    /// One small packet on every child that carries traffic.
    pub fn send_all(&mut self) -> Vec<(Path, Vec<u8>)> {
        let (mut out, mut faults) = (Vec::new(), Vec::new());
        for carrier in self.carriers.values() {
            let Some(sending) = self.outbound.get(carrier) else {
                faults.push(format!("{carrier} carries traffic and is gone"));
                continue;
            };
            let mut inner = [0_u8; 28];
            inner[0] = 0x45;
            inner[3] = 28;
            let front = sending.sa.front_len();
            let mut buffer = vec![0; sending.sa.sealed_len(inner.len())];
            buffer[front..front + inner.len()].copy_from_slice(&inner);
            let Ok(mut reservation) = sending.sa.reserve(1) else { continue };
            let length = reservation.seal(&mut buffer, inner.len()).expect("a small packet");
            buffer.truncate(length);
            out.push((sending.path, buffer));
        }
        faults.into_iter().for_each(|fault| self.fault(fault));
        out
    }

    pub fn receive(&mut self, bytes: &[u8]) -> Seen {
        let mut bytes = bytes.to_vec();
        let Datagram::Esp(packet) = tidegate_esp::encap::sort(&mut bytes) else { return Seen::Nothing };
        let spi = packet.get(..4).and_then(|spi| spi.try_into().ok()).map(u32::from_be_bytes);
        let Some(spi) = spi.and_then(Spi::new) else { return Seen::Nothing };
        let Some(sa) = self.inbound.get(&spi) else { return Seen::Unknown };
        let Ok(opened) = sa.opener().open(packet) else { return Seen::Nothing };
        let newest = opened.freshness() == Freshness::Newest;
        let first = self.heard.insert(spi);
        if let Some(name) = self.names.get(&spi) {
            *self.received.entry(name.clone()).or_default() += 1;
        }
        Seen::Packet { child: spi, first, newest }
    }

    pub fn is_empty(&self) -> bool {
        self.inbound.is_empty() && self.outbound.is_empty() && self.carriers.is_empty()
    }
}
