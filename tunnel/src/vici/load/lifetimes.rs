//! What charon makes of times and volumes that were left out, counted in its whole seconds, packets and bytes.

use std::time::Duration;
use tidegate_esp::Limits;
use tidegate_ike::connection::{ChildLifetimes, IkeLifetimes, Volume};

/// Times of an IKE SA as they were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IkeTimes {
    pub(super) rekey: Option<Duration>,
    pub(super) reauthenticate: Option<Duration>,
    pub(super) over: Option<Duration>,
    pub(super) random: Option<Duration>,
}

/// One kind of limit of a child as it was written: seconds, packets or bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) rekey: Option<u64>,
    pub(super) life: Option<u64>,
    pub(super) random: Option<u64>,
}

/// Limits make no sense together: the end would come before the rekeying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndsFirst;

/// One kind of limit; 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settled {
    rekey: u64,
    life: u64,
    random: u64,
}

const IKE_REKEY: Duration = Duration::from_secs(4 * 3600);
const CHILD_REKEY: u64 = 3600;

impl IkeTimes {
    /// Rekeying is the default as long as nothing else is asked for. Ten percent more time than the longer of
    /// the two before it is over; as much is taken off at random, but no more than half.
    pub(super) fn settle(self) -> IkeLifetimes {
        let (rekey, reauthenticate) = match (self.rekey, self.reauthenticate) {
            (None, None) => (IKE_REKEY, Duration::ZERO),
            (rekey, reauthenticate) => (rekey.unwrap_or_default(), reauthenticate.unwrap_or_default()),
        };
        let longest = rekey.max(reauthenticate);
        let shortest = if rekey.min(reauthenticate).is_zero() { longest } else { rekey.min(reauthenticate) };
        let overtime = self.over.unwrap_or_else(|| Duration::from_secs(longest.as_secs() / 10));
        let half = Duration::from_secs(shortest.as_secs() / 2);
        let jitter = self.random.unwrap_or_else(|| overtime.min(half)).min(shortest);
        IkeLifetimes {
            rekey: some(rekey),
            reauthenticate: some(reauthenticate),
            overtime,
            jitter,
            ..IkeLifetimes::default()
        }
    }
}

/// All limits of a child. Rekeying by time is the default.
pub(super) fn child(time: Written, packets: Written, bytes: Written) -> Result<ChildLifetimes, EndsFirst> {
    let time = Written { rekey: Some(time.rekey.unwrap_or(CHILD_REKEY)), ..time }.settle()?;
    let (packets, bytes) = (packets.settle()?, bytes.settle()?);
    let seconds = Duration::from_secs;
    Ok(ChildLifetimes {
        rekey: some(seconds(time.rekey)),
        overtime: seconds(time.life.saturating_sub(time.rekey)),
        unrenewed: some(seconds(time.life)).filter(|_| time.rekey == 0),
        jitter: seconds(time.random),
        volume: Limits {
            soft_packets: limit(packets.rekey),
            hard_packets: limit(packets.life),
            soft_bytes: limit(bytes.rekey),
            hard_bytes: limit(bytes.life),
        },
        volume_jitter: Volume { packets: packets.random, bytes: bytes.random },
    })
}

impl Written {
    /// Ten percent more until the end; what lies between is what may be taken off at random.
    fn settle(self) -> Result<Settled, EndsFirst> {
        let rekey = self.rekey.unwrap_or(0);
        let life = self.life.unwrap_or_else(|| rekey.saturating_add(rekey / 10));
        if life != 0 && life < rekey {
            return Err(EndsFirst);
        }
        let random = self.random.unwrap_or_else(|| life.saturating_sub(rekey)).min(rekey);
        Ok(Settled { rekey, life, random })
    }
}

fn some(time: Duration) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}

fn limit(number: u64) -> u64 {
    if number == 0 { u64::MAX } else { number }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ike(rekey: Option<u64>, reauth: Option<u64>, over: Option<u64>, random: Option<u64>) -> [u64; 4] {
        let [rekey, reauthenticate, over, random] =
            [rekey, reauth, over, random].map(|seconds| seconds.map(Duration::from_secs));
        let settled = IkeTimes { rekey, reauthenticate, over, random }.settle();
        let times = [settled.rekey, settled.reauthenticate, Some(settled.overtime), Some(settled.jitter)];
        times.map(|time| time.map_or(0, |time| time.as_secs()))
    }

    #[test]
    fn what_is_left_out_of_an_ike_sa_is_as_charon_has_it() {
        assert_eq!(ike(None, None, None, None), [14_400, 0, 1440, 1440]);
        assert_eq!(ike(Some(3600), None, None, None), [3600, 0, 360, 360]);
        assert_eq!(ike(None, Some(3600), None, None), [0, 3600, 360, 360]);
        assert_eq!(ike(Some(0), None, None, None), [0, 0, 0, 0]);
        assert_eq!(ike(Some(3600), Some(7200), None, None), [3600, 7200, 720, 720]);
        assert_eq!(ike(Some(100), Some(7200), None, None), [100, 7200, 720, 50]);
        assert_eq!(ike(Some(3600), None, Some(3000), None), [3600, 0, 3000, 1800]);
        assert_eq!(ike(Some(3600), None, Some(60), Some(0)), [3600, 0, 60, 0]);
        assert_eq!(ike(Some(60), None, None, Some(600)), [60, 0, 6, 60]);
        assert_eq!(ike(Some(19), None, None, None), [19, 0, 1, 1]);
    }

    fn one(rekey: Option<u64>, life: Option<u64>, random: Option<u64>) -> Result<[u64; 3], EndsFirst> {
        Written { rekey, life, random }.settle().map(|it| [it.rekey, it.life, it.random])
    }

    #[test]
    fn what_is_left_out_of_a_child_is_as_charon_has_it() {
        assert_eq!(one(Some(3600), None, None), Ok([3600, 3960, 360]));
        assert_eq!(one(Some(3600), Some(7200), None), Ok([3600, 7200, 3600]));
        assert_eq!(one(Some(3600), Some(7200), Some(10)), Ok([3600, 7200, 10]));
        assert_eq!(one(Some(100), Some(1000), None), Ok([100, 1000, 100]));
        assert_eq!(one(Some(19), None, None), Ok([19, 20, 1]));
        assert_eq!(one(Some(0), None, None), Ok([0, 0, 0]));
        assert_eq!(one(None, Some(50), None), Ok([0, 50, 0]));
        assert_eq!(one(Some(100), Some(50), None), Err(EndsFirst));
    }

    #[test]
    fn a_child_is_rekeyed_every_hour_and_never_by_volume_unless_it_is_said() {
        let none = Written::default();
        let settled = child(none, none, none).unwrap();
        assert_eq!(settled, ChildLifetimes::default());
        let once = Written { rekey: Some(0), life: Some(600), random: None };
        let settled = child(once, none, none).unwrap();
        assert_eq!((settled.rekey, settled.unrenewed), (None, Some(Duration::from_secs(600))));
        let bytes = Written { rekey: Some(1000), ..none };
        let settled = child(none, none, bytes).unwrap();
        assert_eq!((settled.volume.soft_bytes, settled.volume.hard_bytes), (1000, 1100));
        assert_eq!((settled.volume.soft_packets, settled.volume_jitter.bytes), (u64::MAX, 100));
    }
}
