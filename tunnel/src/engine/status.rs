//! What is there to be seen.

use super::Engine;
use super::link::{Link, Phase, Want, Wish};
use crate::connection::{ChildMode, Start};
use crate::last_use::LastUse;
use crate::status::{Algorithms, ChildSaStatus, ConfiguredChild, ConnectionStatus, IkeSaStatus, Traffic};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_esp::{Encapsulation, SequenceNumbers, TrafficSelector};
use tidegate_ike::crypto::GroupId;
use tidegate_ike::endpoint::{
    ChildAlgorithms, ChildStatus, IkeAlgorithms, Phase as SaPhase, SaStatus, SuiteIds,
};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::{Now, Role, Time};

impl Engine {
    /// All connections and their SAs.
    pub fn status(&self, now: Now) -> Vec<ConnectionStatus> {
        let mut sas: BTreeMap<&str, Vec<IkeSaStatus>> = BTreeMap::new();
        for sa in self.ike.sas() {
            let name = sa.connection().map(|connection| &connection.name);
            if let Some((name, _)) = name.and_then(|name| self.links.get_key_value(name)) {
                sas.entry(name).or_default().push(self.ike_sa(&sa, now.time));
            }
        }
        let one = |(name, link): (&Arc<str>, &Link)| {
            let mut sas = sas.remove(&**name).unwrap_or_default();
            sas.sort_by_key(|sa| sa.id);
            connection(link, sas, now.time)
        };
        self.links.iter().map(one).collect()
    }

    fn ike_sa(&self, sa: &SaStatus<'_>, now: Time) -> IkeSaStatus {
        let path = sa.path();
        let nat = sa.nat();
        let ours = sa.role() == Role::Initiator;
        let stands = sa.nat().is_some();
        IkeSaStatus {
            id: self.numbers.get(&sa.id()).copied().unwrap_or(0),
            handle: sa.id(),
            phase: match sa.phase() {
                SaPhase::Connecting | SaPhase::HalfOpen => "CONNECTING",
                SaPhase::Established => "ESTABLISHED",
                SaPhase::Rekeyed => "REKEYED",
                SaPhase::Deleting => "DELETING",
            },
            initiator: ours,
            spis: (sa.spis().initiator.0, sa.spis().responder.0),
            local: path.local,
            remote: path.remote,
            nat: nat.map_or((false, false), |nat| (nat.local_behind_nat, nat.remote_behind_nat)),
            claims_nat: sa.claims_nat(),
            peer: sa.peer().map(ToString::to_string),
            suite: sa.algorithms().map(|algorithms| algorithms.to_string()),
            algorithms: sa.algorithms().map(of_ike),
            age: now.since(sa.opened()).as_secs_f64(),
            rekey_in: sa.rekey_at().map(|at| at.since(now).as_secs_f64()),
            reauthentication_in: sa.reauthentication_at().map(|at| at.since(now).as_secs_f64()),
            silence: sa.silence().map(|span| span.as_secs_f64()),
            handshake_ms: (ours && stands).then(|| sa.opened().since(sa.began()).as_secs_f64() * 1e3),
            rtt_ms: sa.round_trip().map(|span| span.as_secs_f64() * 1e3),
            virtual_addresses: sa.virtual_addresses().to_vec(),
            children: sa.children().map(|child| self.child_sa(&child, now)).collect(),
        }
    }

    fn child_sa(&self, child: &ChildStatus<'_>, now: Time) -> ChildSaStatus {
        let known = self.children.get(&child.inbound());
        let opening = known.and_then(|known| known.opening.as_ref());
        let sealing = known.and_then(|known| known.sealing.as_ref());
        let traffic = |packets, bytes| Traffic { packets, bytes };
        ChildSaStatus {
            id: known.map_or(0, |known| known.number),
            name: child.name().to_string(),
            reqid: known.map_or(0, |known| known.reqid),
            current: child.is_current(),
            spi_in: child.inbound().value(),
            spi_out: child.outbound().value(),
            suite: child.algorithms().to_string(),
            algorithms: of_child(child.algorithms()),
            udp: known.is_some_and(|known| known.path.encapsulation == Encapsulation::Udp),
            local: texts(&child.selectors().local),
            remote: texts(&child.selectors().remote),
            received: opening.map(|half| traffic(half.esp.packets(), half.esp.bytes())).unwrap_or_default(),
            sent: sealing.map(|(_, half)| traffic(half.esp.packets(), half.esp.bytes())).unwrap_or_default(),
            received_ago: opening.and_then(|half| ago(&half.used, now)),
            sent_ago: sealing.and_then(|(_, half)| ago(&half.used, now)),
            age: child.age().as_secs_f64(),
            rekey_in: child.rekey_at().map(|at| at.since(now).as_secs_f64()),
            expires_in: child.expires_at().map(|at| at.since(now).as_secs_f64()),
        }
    }
}

fn ago(used: &LastUse, now: Time) -> Option<f64> {
    used.at().map(|at| now.since(at).as_secs_f64())
}

fn connection(link: &Link, sas: Vec<IkeSaStatus>, now: Time) -> ConnectionStatus {
    let ike = &link.connection.ike;
    let ranges = ike.remote.addresses.iter().map(|range| TrafficSelector::for_addresses(*range).to_string());
    ConnectionStatus {
        name: ike.name.to_string(),
        state: state(link),
        local_id: ike.local.identity.to_string(),
        remote_id: ike.remote.identity.to_string(),
        local_addresses: ike.local.addresses.iter().map(ToString::to_string).collect(),
        remote_addresses: ranges.chain(link.connection.names.iter().cloned()).collect(),
        children: link.connection.children.iter().zip(&link.wishes).map(configured).collect(),
        failures: link.failures,
        retry_in: link.retry_at.filter(|at| *at > now).map(|at| at.since(now).as_secs_f64()),
        last_verdict: link.verdict.as_ref().map(ToString::to_string),
        sas,
    }
}

fn state(link: &Link) -> &'static str {
    let under_way = link.phase != Phase::Idle || link.wishes.iter().any(|wish| wish.asked.is_some());
    match (link.is_active() && link.is_complete(), under_way) {
        (true, _) => "up",
        (false, true) => "connecting",
        (false, false) if link.retry_at.is_some() => "retrying",
        (false, false) if link.is_waiting() => "waiting",
        (false, false) => "down",
    }
}

fn configured((child, wish): (&crate::connection::Child, &Wish)) -> ConfiguredChild {
    let side = |side: &[ConfiguredSelector]| {
        side.iter()
            .map(|selector| match selector {
                ConfiguredSelector::Fixed(selector) => selector.to_string(),
                ConfiguredSelector::Dynamic { .. } => "dynamic".to_owned(),
            })
            .collect()
    };
    ConfiguredChild {
        name: child.config.name.to_string(),
        local: side(&child.config.local),
        remote: side(&child.config.remote),
        start: match child.start {
            Start::Wait => "wait",
            Start::OnTraffic | Start::Trap => "traffic",
            Start::AtOnce => "start",
        },
        mode: match child.mode {
            ChildMode::Tunnel => "TUNNEL",
            ChildMode::Pass => "PASS",
            ChildMode::Drop => "DROP",
        },
        reqid: wish.reqid,
        installed: wish.trapped || wish.want == Want::Traffic,
    }
}

fn of_ike(algorithms: IkeAlgorithms) -> Algorithms {
    Algorithms {
        prf: Some(algorithms.prf.transform_id()),
        group: Some(algorithms.group.transform_id()),
        ..of_suite(SuiteIds::of(algorithms.suite))
    }
}

fn of_child(algorithms: ChildAlgorithms) -> Algorithms {
    Algorithms {
        group: algorithms.group.map(GroupId::transform_id),
        extended_sequence: algorithms.sequence_numbers == SequenceNumbers::Extended,
        ..of_suite(SuiteIds::of(algorithms.suite))
    }
}

fn of_suite(SuiteIds { encryption, key_bits, integrity }: SuiteIds) -> Algorithms {
    Algorithms { encryption, key_bits, integrity, ..Algorithms::default() }
}

fn texts(selectors: &[TrafficSelector]) -> Vec<String> {
    selectors.iter().map(ToString::to_string).collect()
}
