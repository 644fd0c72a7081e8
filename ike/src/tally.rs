//! Messages and rekeyings, for each connection and for all together.
//!
//! What one step of an IKE SA does is counted apart, and added to its connection when the step is over: only
//! then is it known which connection that is. What happens before anybody can know it, as when a peer begins,
//! belongs to all together and to no connection.

use crate::counters::{Counters, Drop};
use crate::wire::{ExchangeType, Header};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happened how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// IKE SAs that we gave new keys.
    pub ike_rekeys_begun: u64,
    /// IKE SAs that the peer gave new keys.
    pub ike_rekeys_answered: u64,
    /// Children with new keys, whoever began it.
    pub child_rekeys: u64,
    /// Messages that make no sense; of all together alone.
    pub invalid: u64,
    /// Messages for IKE SAs that there are not; of all together alone.
    pub unknown_spi: u64,
    /// IKE_SA_INIT.
    pub init: Messages,
    /// IKE_AUTH.
    pub auth: Messages,
    /// CREATE_CHILD_SA.
    pub create_child: Messages,
    /// INFORMATIONAL.
    pub informational: Messages,
}

/// Messages of one kind of exchange; none that was repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// The peer's requests.
    pub requests_in: u64,
    /// Its answers to ours.
    pub answers_in: u64,
    /// Our requests.
    pub requests_out: u64,
    /// Our answers.
    pub answers_out: u64,
}

/// Which tallies begin anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TallyOf {
    /// That of all together.
    All,
    /// That of one connection.
    Connection(Arc<str>),
    /// Those of each connection.
    EachConnection,
}

/// All tallies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Of all together.
    pub all: Tally,
    /// Of connections by name, those to which something has happened.
    pub by_connection: BTreeMap<Arc<str>, Tally>,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// Where it is counted.
#[derive(Default)]
pub(crate) struct Ledger {
    tallies: Tallies,
    step: Tally,
    /// What other counters stood at when the tally of all together began.
    before: (u64, u64),
}

impl Tallies {
    fn of(&mut self, connection: Arc<str>) -> &mut Tally {
        self.by_connection.entry(connection).or_default()
    }
}

impl Ledger {
    /// A message comes or goes.
    pub(crate) fn message(&mut self, header: &Header, way: Way) {
        let Some(messages) = self.step.messages(header.exchange) else { return };
        let count = match (way, header.response) {
            (Way::In, false) => &mut messages.requests_in,
            (Way::In, true) => &mut messages.answers_in,
            (Way::Out, false) => &mut messages.requests_out,
            (Way::Out, true) => &mut messages.answers_out,
        };
        *count = count.saturating_add(1);
    }

    /// A message of ours goes out; its fragments are one.
    pub(crate) fn sent(&mut self, datagrams: &[Vec<u8>]) {
        if let Some(Ok((header, _))) = datagrams.first().map(|datagram| Header::parse(datagram)) {
            self.message(&header, Way::Out);
        }
    }

    /// A child has new keys.
    pub(crate) fn child_rekeyed(&mut self) {
        self.step.child_rekeys = self.step.child_rekeys.saturating_add(1);
    }

    /// An IKE SA has new keys.
    pub(crate) fn ike_rekeyed(&mut self, ours: bool) {
        let count = if ours { &mut self.step.ike_rekeys_begun } else { &mut self.step.ike_rekeys_answered };
        *count = count.saturating_add(1);
    }

    /// What was counted since belongs to this connection; a name is given where it is loaded.
    pub(crate) fn settle(&mut self, connection: Option<Arc<str>>) {
        if self.step == Tally::default() {
            return;
        }
        let step = std::mem::take(&mut self.step);
        self.tallies.all.add(&step);
        if let Some(connection) = connection {
            self.tallies.of(connection).add(&step);
        }
    }

    /// A connection is no more.
    pub(crate) fn forget(&mut self, connection: &str) {
        self.tallies.by_connection.remove(connection);
    }

    /// What it all stands at.
    pub(crate) fn read(&self, counters: &Counters) -> Tallies {
        let mut tallies = self.tallies.clone();
        let (invalid, unknown_spi) = junk(counters);
        tallies.all.invalid = invalid.saturating_sub(self.before.0);
        tallies.all.unknown_spi = unknown_spi.saturating_sub(self.before.1);
        tallies
    }

    /// Begins some of it anew; true if there was something.
    pub(crate) fn reset(&mut self, which: &TallyOf, counters: &Counters) -> bool {
        match which {
            TallyOf::All => {
                self.tallies.all = Tally::default();
                self.before = junk(counters);
                true
            }
            TallyOf::Connection(name) => self.tallies.by_connection.remove(name).is_some(),
            TallyOf::EachConnection => {
                self.tallies.by_connection.clear();
                true
            }
        }
    }
}

impl Tally {
    fn messages(&mut self, exchange: ExchangeType) -> Option<&mut Messages> {
        match exchange {
            ExchangeType::IkeSaInit => Some(&mut self.init),
            ExchangeType::IkeAuth => Some(&mut self.auth),
            ExchangeType::CreateChildSa => Some(&mut self.create_child),
            ExchangeType::Informational => Some(&mut self.informational),
            ExchangeType::Other(_) => None,
        }
    }

    fn add(&mut self, more: &Self) {
        let pairs = [
            (&mut self.ike_rekeys_begun, more.ike_rekeys_begun),
            (&mut self.ike_rekeys_answered, more.ike_rekeys_answered),
            (&mut self.child_rekeys, more.child_rekeys),
        ];
        pairs.into_iter().for_each(|(count, more)| *count = count.saturating_add(more));
        self.init.add(&more.init);
        self.auth.add(&more.auth);
        self.create_child.add(&more.create_child);
        self.informational.add(&more.informational);
    }
}

impl Messages {
    fn add(&mut self, more: &Self) {
        let pairs = [
            (&mut self.requests_in, more.requests_in),
            (&mut self.answers_in, more.answers_in),
            (&mut self.requests_out, more.requests_out),
            (&mut self.answers_out, more.answers_out),
        ];
        pairs.into_iter().for_each(|(count, more)| *count = count.saturating_add(more));
    }
}

/// Messages that make no sense, and those for IKE SAs that there are not.
fn junk(counters: &Counters) -> (u64, u64) {
    let senseless = [Drop::Malformed, Drop::Integrity, Drop::Version];
    let invalid = senseless.into_iter().fold(0_u64, |sum, why| sum.saturating_add(counters.dropped(why)));
    (invalid, counters.dropped(Drop::UnknownSpi))
}
