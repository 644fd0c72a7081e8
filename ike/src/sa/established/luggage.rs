//! What an IKE SA hands to the one that takes its place.

use super::{Established, Standing, Task};
use crate::core::{Core, Effect};
use crate::output::Output;
use crate::sa::Frame;
use crate::sa::child::{Child, bury_inbound};
use crate::sa::timers::Timer;
use crate::time::Time;
use std::net::IpAddr;
use tidegate_esp::Spi;

/// What moves from an IKE SA to its successor.
pub(crate) struct Luggage {
    children: Vec<Child>,
    orphans: Vec<Spi>,
    timers: Vec<(Time, Timer)>,
    tasks: Vec<Task>,
    virtual_addresses: Vec<IpAddr>,
    pub(crate) replaces: Option<crate::SaId>,
    pub(crate) replaced_by: Option<crate::SaId>,
}

impl Luggage {
    /// Takes everything that a successor must have.
    pub(crate) fn pack(sa: &mut Established, frame: &mut Frame) -> Self {
        let mut timers = frame.timers.take_children();
        timers.extend(frame.timers.take(Timer::Reauthenticate));
        timers.extend(frame.timers.take(Timer::ExpireAuthentication));
        Self {
            children: std::mem::take(&mut sa.children),
            orphans: std::mem::take(&mut sa.orphans),
            timers,
            tasks: sa.tasks.drain(..).chain(sa.deferred.drain(..)).filter(Task::outlives_rekey).collect(),
            virtual_addresses: std::mem::take(&mut sa.virtual_addresses),
            replaces: sa.replaces.take(),
            replaced_by: sa.replaced_by.take(),
        }
    }

    /// The inbound SPIs in it, lingering ones included.
    pub(crate) fn spis(&self) -> impl Iterator<Item = Spi> {
        let lingering = self.timers.iter().filter_map(|(_, timer)| match timer {
            Timer::Linger(spi) => Some(*spi),
            _ => None,
        });
        self.children.iter().map(|child| child.inbound).chain(lingering)
    }

    /// There is nobody to give it to.
    pub(crate) fn discard(self, core: &mut Core) {
        for spi in self.spis() {
            core.outputs
                .push_back(Output::Remove { child: spi, direction: tidegate_esp::Direction::Outbound });
            bury_inbound(spi, core);
        }
        for spi in self.orphans {
            core.give_back_spi(spi);
        }
    }
}

impl Established {
    /// Becomes the one that counts.
    pub(crate) fn adopt(&mut self, frame: &mut Frame, core: &mut Core, luggage: Luggage) {
        self.standing = Standing::Active;
        self.begin(frame, core);
        for (at, timer) in luggage.timers {
            frame.timers.set(timer, at);
        }
        for spi in luggage.children.iter().map(|child| child.inbound) {
            core.effects.push_back(Effect::ChildAdded(spi, frame.id));
        }
        self.children.extend(luggage.children);
        self.orphans.extend(luggage.orphans);
        self.virtual_addresses = luggage.virtual_addresses;
        self.replaces = luggage.replaces;
        self.replaced_by = luggage.replaced_by;
        for task in luggage.tasks {
            self.want(task);
        }
    }
}
