//! What goes through a tunnel.

pub mod ping;
pub mod tcp;
pub mod udp;

use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a thread of a load has come to.
pub fn join<T>(thread: JoinHandle<io::Result<T>>) -> Result<T, String> {
    match thread.join() {
        Ok(done) => done.map_err(|error| format!("nothing goes through: {error}")),
        Err(_) => Err("a thread of the load has panicked".into()),
    }
}

/// Says when how much of something is due, so that it comes at an even rate.
pub struct Pace {
    begin: Instant,
    per_second: f64,
    done: u64,
}

/// How long to sleep when nothing is due: often enough that no burst is long, seldom enough that a core is
/// left to the tunnel.
const NAP: Duration = Duration::from_micros(100);
/// No more at once than queues have room for, however late it is.
pub const BURST: u64 = 64;

impl Pace {
    /// So much a second, from now on.
    pub fn new(per_second: f64) -> Self {
        // The kernel would wake us later than asked, to save power.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZero::new(1));
        Self { begin: Instant::now(), per_second, done: 0 }
    }

    /// Waits until something is due, and says how much.
    pub fn due(&mut self) -> u64 {
        loop {
            let due = (self.begin.elapsed().as_secs_f64() * self.per_second) as u64;
            if due > self.done {
                let burst = (due - self.done).min(BURST);
                self.done += burst;
                return burst;
            }
            std::thread::sleep(NAP);
        }
    }
}
