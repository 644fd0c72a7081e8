//! What packets that came in tell of their SA and their peer.

use super::Control;
use super::limiter::Limiter;
use crate::io::batch::{Arrival, Channel};
use crate::notice::Notice;
use crate::tables::Opening;
use std::time::Duration;
use tidegate_esp::icmp::Budget;
use tidegate_esp::{Freshness, Spi};
use tidegate_ike::Time;

/// How often control is told that a peer is alive.
const ACTIVITY_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is told that an SA has moved or reached its end.
const TELL_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is told so of any SA.
const TELL_PER_SECOND: u32 = 2000;
/// How often it is told of packets without an SA: each could be a forgery.
const UNKNOWN_PER_SECOND: u32 = 10;

/// Passes on what is worth it.
pub(super) struct Tidings {
    told: Limiter,
    unknown: Budget,
}

impl Tidings {
    pub(super) fn new() -> Self {
        Self {
            told: Limiter::new(TELL_INTERVAL, TELL_PER_SECOND),
            unknown: Budget::new(UNKNOWN_PER_SECOND, UNKNOWN_PER_SECOND),
        }
    }

    /// A packet came that is beyond doubt of this SA, whatever is wrong with it otherwise.
    pub(super) fn authentic(
        &mut self,
        now: Time,
        opening: &Opening,
        arrival: &Arrival,
        freshness: Freshness,
        control: &mut impl Control,
    ) {
        let child = opening.child;
        opening.used.mark(now);
        if freshness == Freshness::First {
            control.notice(Notice::FirstInbound(child));
        }
        if self.has_moved(now, opening, arrival, freshness) {
            control.notice(Notice::PeerMoved { child, remote: arrival.remote });
        }
        if opening.is_news(now.as_nanos(), ACTIVITY_INTERVAL.as_nanos() as u64) {
            control.notice(Notice::Activity { child, remote: arrival.remote });
        }
    }

    /// The SA wants a successor.
    pub(super) fn soft_limit(&self, child: Spi, control: &mut impl Control) {
        control.notice(Notice::SoftLimit(child));
    }

    /// The SA has carried all that it may.
    pub(super) fn hard_limit(&mut self, now: Time, child: Spi, control: &mut impl Control) {
        if self.told.allows(child.value().into(), now) {
            control.notice(Notice::HardLimit(child));
        }
    }

    /// No SA has this index.
    pub(super) fn unknown(&mut self, now: Time, arrival: &Arrival, spi: Spi, control: &mut impl Control) {
        if self.unknown.take(now.as_nanos()) {
            control.notice(Notice::UnknownSpi { local: arrival.local, remote: arrival.remote, spi });
        }
    }

    /// Only the newest packet of all may say where its peer is (RFC 7296 §2.23). Behind a NAT alone do peers
    /// move without saying so, and there is none where ESP comes bare.
    fn has_moved(&mut self, now: Time, opening: &Opening, arrival: &Arrival, freshness: Freshness) -> bool {
        let newest = matches!(freshness, Freshness::First | Freshness::Newest);
        newest
            && arrival.channel != Channel::Esp
            && !opening.expects(arrival.remote)
            && self.told.allows(u64::from(opening.child.value()) | 1 << 32, now)
    }
}
