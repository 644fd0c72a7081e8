//! Deadlines of one IKE SA. There are few at a time, so a small sorted list serves.

use crate::time::Time;
use tidegate_esp::Spi;

/// Why an SA wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A request has no answer yet.
    Retransmit,
    /// An SA that is being set up, or that only lingers to repeat its last answer, has had its time.
    GiveUp,
    /// Some fragments of a message have not come.
    Reassembly,
    /// The peer has been silent.
    Liveness,
    /// The NAT in front of us forgets.
    Keepalive,
    /// The IKE SA wants new keys.
    RekeyIke,
    /// The peers want to see each other's credentials again.
    Reauthenticate,
    /// The IKE SA has outlived its time.
    ExpireIke,
    /// The peers have not seen each other's credentials again in time.
    ExpireAuthentication,
    /// Another has taken its place, or should have.
    Displaced,
    /// Work that the peer put off may be tried again.
    Retry,
    /// A child, named by its inbound SPI, wants new keys.
    RekeyChild(Spi),
    /// A child has outlived its time.
    ExpireChild(Spi),
    /// The inbound half of a deleted child has seen its last straggler.
    Linger(Spi),
}

/// The deadlines, the earliest last.
#[derive(Debug, Default)]
pub(crate) struct Timers(Vec<(Time, Timer)>);

impl Timers {
    /// Sets or moves a deadline.
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        self.clear(timer);
        let position = self.0.partition_point(|&(other, _)| other > at);
        self.0.insert(position, (at, timer));
    }

    /// Sets a deadline unless it is set for an earlier time already.
    pub(crate) fn set_earlier(&mut self, timer: Timer, at: Time) {
        let known = self.0.iter().find(|&&(_, other)| other == timer);
        if known.is_none_or(|&(known, _)| at < known) {
            self.set(timer, at);
        }
    }

    /// Takes a deadline away.
    pub(crate) fn clear(&mut self, timer: Timer) {
        self.0.retain(|&(_, other)| other != timer);
    }

    /// When a deadline is.
    pub(crate) fn at(&self, timer: Timer) -> Option<Time> {
        self.0.iter().find(|&&(_, other)| other == timer).map(|&(at, _)| at)
    }

    /// The earliest one.
    pub(crate) fn next(&self) -> Option<(Time, Timer)> {
        self.0.last().copied()
    }

    /// Takes out one that is due.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        match self.0.last() {
            Some(&(at, timer)) if at <= now => {
                self.0.pop();
                Some(timer)
            }
            _ => None,
        }
    }

    /// Takes out one, with its time.
    pub(crate) fn take(&mut self, timer: Timer) -> Option<(Time, Timer)> {
        let position = self.0.iter().position(|&(_, other)| other == timer)?;
        Some(self.0.remove(position))
    }

    /// Takes out those of all children, to go with them to another IKE SA.
    pub(crate) fn take_children(&mut self) -> Vec<(Time, Timer)> {
        self.0.extract_if(.., |(_, timer)| timer.child().is_some()).collect()
    }

    /// Takes away those of one child, except for the lingering of its inbound half.
    pub(crate) fn clear_child(&mut self, child: Spi) {
        self.clear(Timer::RekeyChild(child));
        self.clear(Timer::ExpireChild(child));
    }
}

impl Timer {
    /// The child it is about.
    pub fn child(self) -> Option<Spi> {
        match self {
            Self::RekeyChild(spi) | Self::ExpireChild(spi) | Self::Linger(spi) => Some(spi),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Time {
        Time::from_nanos(n)
    }

    #[test]
    fn the_earliest_deadline_comes_first_and_only_when_due() {
        let mut timers = Timers::default();
        timers.set(Timer::Liveness, at(30));
        timers.set(Timer::Retransmit, at(10));
        timers.set(Timer::RekeyIke, at(20));
        assert_eq!(timers.next(), Some((at(10), Timer::Retransmit)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(20)), Some(Timer::Retransmit));
        assert_eq!(timers.pop_due(at(20)), Some(Timer::RekeyIke));
        assert_eq!(timers.pop_due(at(20)), None);
    }

    #[test]
    fn setting_a_deadline_again_moves_it() {
        let mut timers = Timers::default();
        timers.set(Timer::Liveness, at(30));
        timers.set(Timer::Liveness, at(40));
        assert_eq!(timers.pop_due(at(35)), None);
        assert_eq!(timers.pop_due(at(40)), Some(Timer::Liveness));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn deadlines_of_children_leave_together() {
        let spi = Spi::new(1000).expect("not reserved");
        let mut timers = Timers::default();
        timers.set(Timer::Liveness, at(1));
        timers.set(Timer::RekeyChild(spi), at(2));
        assert_eq!(timers.take_children(), vec![(at(2), Timer::RekeyChild(spi))]);
        assert_eq!(timers.next(), Some((at(1), Timer::Liveness)));
    }
}
