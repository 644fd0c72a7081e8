//! Datagrams that go in one piece: the kernel takes a run of equal ones as one and cuts it as late as it can
//! (UDP_SEGMENT), and hands several that came together out as one (UDP_GRO).

use super::calls::set_option;
use crate::io::batch::{Departure, Fragmentation, SendFrame};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tidegate_esp::Encapsulation;
use tidegate_ike::Time;

/// The most datagrams that every kernel takes in one piece.
const SEGMENTS_MAX: usize = 64;
/// The most bytes: what fits behind the headers of IPv4 and UDP.
const BYTES_MAX: usize = 65_507;

/// How long a kernel that refused a piece is not asked again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Whether datagrams are handed over in one piece, where the kernel can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Joining {
    /// As far as the kernel can.
    #[default]
    Probed,
    /// Each alone.
    Off,
}

/// What goes in one piece at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct UdpOffloads {
    /// What is sent (UDP_SEGMENT).
    pub send: bool,
    /// What is received (UDP_GRO).
    pub receive: bool,
}

/// What the kernel can do, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Segments {
    send: AtomicBool,
    /// When the kernel is asked again, in nanoseconds; 0 for never.
    again: AtomicU64,
    receive: bool,
}

impl Segments {
    /// Asks the kernel of each socket that ESP in UDP comes to; all have to be able.
    pub(super) fn probe<'a>(sockets: impl Iterator<Item = BorrowedFd<'a>>, joining: Joining) -> Self {
        if joining == Joining::Off {
            return Self::default();
        }
        let (mut send, mut receive) = (true, true);
        for socket in sockets {
            // No length for all datagrams is what there is anyway, unless the kernel knows of none.
            send &= set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
            receive &= set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1).is_ok();
        }
        Self { send: send.into(), again: AtomicU64::new(0), receive }
    }

    pub(super) fn in_use(&self) -> UdpOffloads {
        UdpOffloads { send: self.send.load(Ordering::Relaxed), receive: self.receive }
    }

    /// How many frames at the front go in one piece: the same way, one behind the other, and all as long as
    /// the first but the last, which may be shorter.
    pub(super) fn run(&self, frames: &[SendFrame]) -> usize {
        match frames.first() {
            Some(first) if is_joinable(&first.departure) && self.send.load(Ordering::Relaxed) => {
                run_behind(first, frames)
            }
            _ => frames.len().min(1),
        }
    }

    /// The kernel has refused in one piece what it took apart. That may be for the way that datagrams go just
    /// now, and another one may come: it is asked again after a while.
    pub(super) fn refused(&self, error: &io::Error, now: Time) {
        let before = self.again.swap((now + ASK_AGAIN).as_nanos(), Ordering::Relaxed);
        if self.send.swap(false, Ordering::Relaxed) && before == 0 {
            tracing::warn!(area = "io", %error, "datagrams are sent one by one: the kernel takes no more at once");
        }
    }

    /// Asks the kernel again, if it is time.
    pub(super) fn reconsider(&self, now: impl FnOnce() -> Time) {
        if self.send.load(Ordering::Relaxed) {
            return;
        }
        let again = self.again.load(Ordering::Relaxed);
        if again != 0 && now().as_nanos() >= again {
            self.send.store(true, Ordering::Relaxed);
        }
    }

    /// The kernel has taken a piece: if it had refused one before, that is over.
    pub(super) fn taken(&self) {
        if self.again.load(Ordering::Relaxed) != 0 && self.again.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!(area = "io", "datagrams are sent in one piece again");
        }
    }
}

/// What may be fragmented is a matter of its own.
fn is_joinable(departure: &Departure) -> bool {
    departure.encapsulation == Encapsulation::Udp && departure.fragmentation == Fragmentation::Forbidden
}

fn run_behind(first: &SendFrame, frames: &[SendFrame]) -> usize {
    let size = first.range.len();
    let most = BYTES_MAX.checked_div(size).unwrap_or(1).clamp(1, SEGMENTS_MAX);
    let continues = |pair: &[SendFrame]| match pair {
        [before, next] => {
            before.range.len() == size
                && next.range.start == before.range.end
                && (1..=size).contains(&next.range.len())
                && next.departure == first.departure
        }
        _ => false,
    };
    1 + frames.windows(2).take(most - 1).take_while(|pair| continues(pair)).count()
}

/// Whether the kernel may have refused a piece for being one: it cannot send such, or what it holds is longer
/// than the path takes.
pub(super) fn is_about_joining(error: &io::Error) -> bool {
    is_refusal(error) || Errno::from_io_error(error) == Some(Errno::MSGSIZE)
}

/// Whether the kernel may have refused a piece because it cannot send any: no sums are made below, or what
/// comes out is to be transformed.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::INVAL | Errno::OPNOTSUPP))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    static ALL: Segments = Segments { send: AtomicBool::new(true), again: AtomicU64::new(0), receive: true };

    fn departure(remote: &str) -> Departure {
        let local: SocketAddr = "192.0.2.1:4500".parse().unwrap();
        Departure {
            local,
            remote: remote.parse().unwrap(),
            encapsulation: Encapsulation::Udp,
            traffic_class: 0,
            fragmentation: Fragmentation::Forbidden,
        }
    }

    fn frames(lengths: &[usize]) -> Vec<SendFrame> {
        let departure = departure("192.0.2.2:4500");
        let mut start = 0;
        let frame = |&length: &usize| {
            start += length;
            SendFrame { range: start - length..start, departure }
        };
        lengths.iter().map(frame).collect()
    }

    #[test]
    fn equal_ones_go_together_and_a_shorter_one_ends_the_run() {
        assert_eq!(ALL.run(&frames(&[9, 9, 9])), 3);
        assert_eq!(ALL.run(&frames(&[9, 9, 5, 5])), 3);
        assert_eq!(ALL.run(&frames(&[9, 9, 10])), 2);
        assert_eq!(ALL.run(&frames(&[9])), 1);
        assert_eq!(ALL.run(&[]), 0);
    }

    #[test]
    fn empty_ones_go_alone() {
        assert_eq!(ALL.run(&frames(&[0, 0])), 1);
        assert_eq!(ALL.run(&frames(&[9, 0])), 1);
    }

    #[test]
    fn no_more_go_together_than_any_kernel_takes() {
        assert_eq!(ALL.run(&frames(&[100; 100])), 64);
        assert_eq!(ALL.run(&frames(&[1400; 100])), 46);
        assert_eq!(ALL.run(&frames(&[65_507, 1])), 1);
    }

    #[test]
    fn what_goes_another_way_does_not_go_along() {
        let mut other = frames(&[9, 9, 9]);
        other[1].departure = departure("192.0.2.3:4500");
        assert_eq!(ALL.run(&other), 1);
        let mut marked = frames(&[9, 9, 9]);
        marked[2].departure.traffic_class = 1;
        assert_eq!(ALL.run(&marked), 2);
        for frame in &mut marked {
            frame.departure.fragmentation = Fragmentation::Allowed;
        }
        assert_eq!(ALL.run(&marked), 1);
    }

    #[test]
    fn a_kernel_that_has_refused_is_asked_again_a_minute_later_and_not_before() {
        let segments = Segments { send: true.into(), again: 0.into(), receive: true };
        let at = |seconds: u64| Time::from_nanos(seconds * 1_000_000_000);
        let pieces = |segments: &Segments, now| {
            segments.reconsider(|| now);
            segments.run(&frames(&[9, 9]))
        };
        for start in [100, 1000] {
            segments.refused(&Errno::IO.into(), at(start));
            assert_eq!(pieces(&segments, at(start + 59)), 1);
            assert_eq!(pieces(&segments, at(start + 60)), 2);
        }
        segments.taken();
        assert_eq!(pieces(&segments, at(2000)), 2);
    }

    #[test]
    fn who_wants_no_pieces_never_gets_any() {
        let segments = Segments::default();
        segments.reconsider(|| Time::from_nanos(u64::MAX));
        assert_eq!(segments.run(&frames(&[9, 9])), 1);
    }

    #[test]
    fn frames_with_a_gap_between_them_go_apart() {
        let mut apart = frames(&[9, 9]);
        apart[1].range = 10..19;
        assert_eq!(ALL.run(&apart), 1);
    }
}
