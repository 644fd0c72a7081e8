//! Waiting for something, never just for time to pass.

use std::thread;
use std::time::{Duration, Instant};

/// Asks until there is an answer.
///
/// # Panics
/// When there is none in time; `what` is what was waited for.
#[track_caller]
pub(crate) fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < limit, "after {limit:?} still not: {what}");
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Asks until it is so, and says how long that took.
#[track_caller]
pub(crate) fn until_true(what: &str, limit: Duration, mut ask: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    until(what, limit, || ask().then_some(()));
    start.elapsed()
}

/// Makes sure that something stays so for a while.
///
/// # Panics
/// When it does not.
#[track_caller]
pub(crate) fn holds(what: &str, span: Duration, mut ask: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < span {
        assert!(ask(), "after {:?} no longer: {what}", start.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
}
