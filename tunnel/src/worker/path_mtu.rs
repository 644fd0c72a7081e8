//! What is known of the MTU of paths, by the peer's address.
//!
//! Read for each packet and by several threads, written now and then: entries are pairs of atomics, found by a
//! hash of a number that stands for the address. Two words may be read of two writes; then a packet is measured by another path's
//! MTU once. Where nothing was learned, a look costs one load.

use crate::stand_in;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate_ike::Time;

/// No path is taken to carry less: who says so wants to do harm, or would have us send crumbs.
const FLOOR_V4: usize = 576;
/// What every IPv6 link carries (RFC 8200 §5).
const FLOOR_V6: usize = 1280;
/// A path may have got better meanwhile (RFC 8201 §4).
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// How many places an address has.
const WAYS: usize = 4;
const SETS: usize = 128;
/// In a second.
const NANOS: u64 = 1_000_000_000;

/// What is known of the MTU of paths.
#[derive(Debug)]
pub struct PathMtus {
    /// Where nothing was learned.
    link: usize,
    sets: Box<[[Entry; WAYS]]>,
    /// When the last of all entries is forgotten, in nanoseconds.
    latest: AtomicU64,
}

/// An MTU in the low 16 bits, the second in which it is forgotten above.
#[derive(Debug, Default)]
struct Entry {
    address: AtomicU64,
    mtu: AtomicU64,
}

impl PathMtus {
    /// Every path carries packets of `link` bytes, as far as is known.
    pub fn new(link: usize) -> Self {
        let sets = (0..SETS).map(|_| Default::default()).collect();
        Self { link, sets, latest: AtomicU64::new(0) }
    }

    /// What the path to a peer carries.
    pub fn mtu(&self, remote: IpAddr, now: Time) -> usize {
        if self.latest.load(Ordering::Relaxed) <= now.as_nanos() {
            return self.link;
        }
        let stand_in = stand_in::address(remote);
        let learned = self.set(stand_in).iter().find(|entry| entry.is_of(stand_in));
        learned.and_then(|entry| entry.valid_at(now)).map_or(self.link, |mtu| mtu.min(self.link))
    }

    /// The network says that the path to a peer carries no more than `mtu` bytes. Believed for ten minutes,
    /// and within reason. Returns whether that was not known.
    pub fn learned(&self, remote: IpAddr, mtu: usize, now: Time) -> bool {
        let floor = if remote.is_ipv4() { FLOOR_V4 } else { FLOOR_V6 };
        let mtu = mtu.max(floor);
        if mtu >= self.link {
            return false;
        }
        let stand_in = stand_in::address(remote);
        let set = self.set(stand_in);
        let known = set.iter().find(|entry| entry.is_of(stand_in));
        let is_news = known.and_then(|entry| entry.valid_at(now)) != Some(mtu);
        let Some(entry) = known.or_else(|| set.iter().min_by_key(|entry| entry.until())) else {
            return false;
        };
        let until = now + FORGOTTEN_AFTER;
        entry.mtu.store(seconds(until) << 16 | mtu as u64, Ordering::Relaxed);
        entry.address.store(stand_in, Ordering::Relaxed);
        self.latest.fetch_max(until.as_nanos(), Ordering::Relaxed);
        is_news
    }

    /// When what is known of the path to a peer will be forgotten; `None` where nothing is.
    pub fn forgotten_at(&self, remote: IpAddr, now: Time) -> Option<Time> {
        let stand_in = stand_in::address(remote);
        let entry = self.set(stand_in).iter().find(|entry| entry.is_of(stand_in))?;
        entry.valid_at(now)?;
        Some(Time::from_nanos(entry.until().saturating_mul(NANOS)))
    }

    fn set(&self, stand_in: u64) -> &[Entry] {
        // An odd number with bits all over; the upper ones of the product depend on all of the address.
        let hash = stand_in.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.sets.get(hash as usize % SETS).map_or(&[], <[Entry; WAYS]>::as_slice)
    }
}

impl Entry {
    fn is_of(&self, stand_in: u64) -> bool {
        self.address.load(Ordering::Relaxed) == stand_in
    }

    fn until(&self) -> u64 {
        self.mtu.load(Ordering::Relaxed) >> 16
    }

    fn valid_at(&self, now: Time) -> Option<usize> {
        let word = self.mtu.load(Ordering::Relaxed);
        (seconds(now) < word >> 16).then_some(usize::from(word as u16))
    }
}

fn seconds(time: Time) -> u64 {
    time.as_nanos() / NANOS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_nanos(5_000_000_000);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn what_is_learned_of_one_path_says_nothing_of_another() {
        let mtus = PathMtus::new(1500);
        mtus.learned(address(1), 1400, NOW);
        assert_eq!(mtus.mtu(address(1), NOW), 1400);
        assert_eq!(mtus.mtu(address(2), NOW), 1500);
    }

    #[test]
    fn less_than_any_link_carries_is_not_believed() {
        let mtus = PathMtus::new(1500);
        let six = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        mtus.learned(address(1), 68, NOW);
        mtus.learned(six, 600, NOW);
        assert_eq!((mtus.mtu(address(1), NOW), mtus.mtu(six, NOW)), (576, 1280));
    }

    #[test]
    fn more_than_the_link_carries_is_not_believed() {
        let mtus = PathMtus::new(1500);
        mtus.learned(address(1), 9000, NOW);
        assert_eq!(mtus.mtu(address(1), NOW), 1500);
    }

    #[test]
    fn it_is_forgotten_after_ten_minutes() {
        let mtus = PathMtus::new(1500);
        mtus.learned(address(1), 1400, NOW);
        assert_eq!(mtus.mtu(address(1), NOW + Duration::from_secs(599)), 1400);
        assert_eq!(mtus.mtu(address(1), NOW + Duration::from_secs(600)), 1500);
        mtus.learned(address(2), 1300, NOW + Duration::from_secs(300));
        assert_eq!(mtus.mtu(address(1), NOW + Duration::from_secs(600)), 1500, "though another is not yet");
    }

    #[test]
    fn it_says_when_it_will_have_forgotten() {
        let mtus = PathMtus::new(1500);
        assert_eq!(mtus.forgotten_at(address(1), NOW), None);
        mtus.learned(address(1), 1400, NOW + Duration::from_millis(700));
        let Some(at) = mtus.forgotten_at(address(1), NOW + Duration::from_secs(1)) else {
            panic!("it was learned")
        };
        let just_before = Time::from_nanos(at.as_nanos() - 1);
        assert_eq!([just_before, at].map(|now| mtus.mtu(address(1), now)), [1400, 1500]);
        assert_eq!(mtus.forgotten_at(address(1), at), None);
    }

    #[test]
    fn what_is_known_already_is_no_news() {
        let mtus = PathMtus::new(1500);
        let learned = [1400, 1400, 1300, 9000].map(|mtu| mtus.learned(address(1), mtu, NOW));
        assert_eq!(learned, [true, false, true, false]);
        let forgotten = NOW + Duration::from_secs(700);
        assert!(mtus.learned(address(1), 1300, forgotten));
    }

    #[test]
    fn any_number_of_peers_takes_the_same_room_and_the_last_one_is_known() {
        let mtus = PathMtus::new(1500);
        for peer in 0..100_000_u32 {
            let peer = IpAddr::from(peer.to_be_bytes());
            mtus.learned(peer, 1400, NOW);
            assert_eq!(mtus.mtu(peer, NOW), 1400);
        }
    }
}
