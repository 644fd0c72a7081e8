//! Children that nobody uses.

use super::Engine;
use super::link::Want;
use super::timers::Due;
use crate::connection::Start;
use std::time::Duration;
use tidegate_esp::Spi;
use tidegate_ike::Time;

/// How often in its time a child is looked at. It goes that share of its time late at the most.
const LOOKS: u32 = 8;

/// Nor is it looked at more often than this.
const SELDOM: Duration = Duration::from_millis(250);

/// When a child was last used, as far as that was seen.
#[derive(Clone, Copy)]
pub(super) struct Idle {
    /// What it had carried by then, both ways. A successor's first packet may be one that only shows that it is
    /// in use, and counts for nothing.
    packets: u64,
    pub(super) since: Time,
}

impl Engine {
    /// Sees to it that a child is closed when it is not used for as long as its configuration says. So many
    /// packets are no use.
    pub(super) fn watch_idle(&mut self, child: Spi, since: Time, free: u64) {
        let Some(limit) = self.inactivity(child) else { return };
        if let Some(known) = self.children.get_mut(&child) {
            known.idle = Some(Idle { packets: free, since });
            self.timers.set(self.now.time + look(limit), Due::Idle(child));
        }
    }

    /// It is time to look at a child again.
    pub(super) fn idle_due(&mut self, child: Spi) {
        let now = self.now.time;
        let Some(limit) = self.inactivity(child) else { return };
        let Some(known) = self.children.get_mut(&child) else { return };
        let received = known.opening.as_ref().map_or(0, |half| half.esp.packets());
        let sent = known.sealing.as_ref().map_or(0, |(_, half)| half.esp.packets());
        let packets = received.saturating_add(sent);
        let Some(idle) = &mut known.idle else { return };
        if packets > idle.packets {
            *idle = Idle { packets, since: now };
        }
        let end = idle.since + limit;
        match end <= now {
            true => self.close_idle(child),
            false => self.timers.set(end.min(now + look(limit)), Due::Idle(child)),
        }
    }

    /// What is kept up would come back at once, and for nothing.
    fn close_idle(&mut self, child: Spi) {
        let Some(known) = self.children.get(&child) else { return };
        let wish = self.links.get_mut(&known.link).and_then(|link| link.wish_mut(&known.name));
        let Some(wish) = wish.filter(|wish| wish.standing.contains(&child)) else { return };
        match wish.start {
            Start::AtOnce | Start::Wait => wish.rest(),
            Start::OnTraffic | Start::Trap => wish.want = Want::Traffic,
        }
        self.close_child(child);
    }

    fn inactivity(&self, child: Spi) -> Option<Duration> {
        let known = self.children.get(&child)?;
        self.links.get(&known.link)?.child(&known.name)?.inactivity
    }
}

fn look(limit: Duration) -> Duration {
    (limit / LOOKS).max(SELDOM)
}
