//! The lock around a stack, and its clock.

use super::NetstackSettings;
use super::outbox::Outbox;
use super::stack::{SEED, Stack};
use smoltcp::time::Instant;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// What all handles of a stack have in common.
pub(super) struct Shared {
    stack: Mutex<Stack>,
    pub(super) outbox: Outbox,
    pub(super) settings: NetstackSettings,
    clock: Clock,
    alarm: Arc<Notify>,
}

/// Time as the stack counts it, from when it was made. It is the runtime's, which can be stopped.
#[derive(Clone, Copy, Debug)]
struct Clock(tokio::time::Instant);

impl Shared {
    /// Has to be called on a runtime, as the timer is a task of it.
    pub(super) fn new(settings: NetstackSettings, seed: [u8; SEED]) -> io::Result<Arc<Self>> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let outbox = Outbox::new(settings.queue)?;
        let stack = Mutex::new(Stack::new(settings.clone(), seed, &outbox)?);
        let clock = Clock(tokio::time::Instant::now());
        let shared = Arc::new(Self { stack, outbox, settings, clock, alarm: Arc::default() });
        runtime.spawn(run_timer(Arc::downgrade(&shared), clock, shared.alarm.clone()));
        Ok(shared)
    }

    /// A turn of the stack: does something to it, and then lets everything happen that follows from it.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Stack, Instant) -> R) -> R {
        let mut stack = self.lock();
        let now = self.clock.now();
        let result = act(&mut stack, now);
        stack.turn(now, &self.outbox);
        if stack.must_rearm() {
            self.alarm.notify_one();
        }
        result
    }

    /// Lets what is due happen, and says when to come back.
    fn on_timer(&self) -> Option<Instant> {
        let mut stack = self.lock();
        stack.turn(self.clock.now(), &self.outbox);
        stack.arm()
    }

    fn lock(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    /// Lets the timer see that it is over.
    fn drop(&mut self) {
        self.alarm.notify_one();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Clock {
    fn now(self) -> Instant {
        Instant::from_micros(i64::try_from(self.0.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    fn wall(self, time: Instant) -> tokio::time::Instant {
        self.0 + Duration::from_micros(u64::try_from(time.total_micros()).unwrap_or(0))
    }
}

/// Sleeps until the stack has something to do, for as long as there is a stack.
async fn run_timer(shared: Weak<Shared>, clock: Clock, alarm: Arc<Notify>) {
    loop {
        let Some(due) = shared.upgrade().map(|shared| shared.on_timer()) else { return };
        match due {
            None => alarm.notified().await,
            Some(due) => {
                let sleep = tokio::time::sleep_until(clock.wall(due));
                tokio::select! {
                    () = sleep => {}
                    () = alarm.notified() => {}
                }
            }
        }
    }
}
