//! What an engine without threads is made of.

use crate::callback;
use crate::credentials::tidegate_credentials;
use crate::error::Failure;
use crate::sized::growing;
use crate::text::tidegate_text;
use std::ffi::c_void;
use tidegate_ike::crypto::{Random, SystemRandom};
use tidegate_ike::{Now, Time, WallTime};

/// The present by two clocks, as the caller reads them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_time {
    /// Nanoseconds from an origin of the caller's choosing, by a clock that is never set and goes on while the
    /// machine sleeps (CLOCK_BOOTTIME). It must not go back.
    pub nanoseconds: u64,
    /// Seconds since 1970-01-01 UTC. Certificates alone are judged by it.
    pub wall_seconds: u64,
}

/// Fills `bytes` with `length` random ones. Whoever predicts them knows keys. It must not end by a C++ exception or
/// longjmp.
pub type tidegate_random_function =
    Option<unsafe extern "C" fn(context: *mut c_void, bytes: *mut u8, length: usize)>;

/// Who does the arithmetic of key exchanges and signatures.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_jobs {
    /// The call that they come up in; a signer is called within it.
    AtOnce = 0,
    /// Whoever takes them by `tidegate_engine_next_job`, on any thread.
    Polled = 1,
}

/// What an engine without threads is made of. A field that is 0 or empty leaves it to the configuration.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_engine_options {
    /// sizeof(struct tidegate_engine_options)
    pub size: usize,
    /// The text of a tidegate.toml. Of [node], only what concerns peers and ports means something here.
    pub config: tidegate_text,
    /// The folder that files named in texts are looked for in; empty for the current one.
    pub folder: tidegate_text,
    /// What texts name and is in no file; may be NULL. They may be freed once the engine is there.
    pub credentials: *const tidegate_credentials,
    /// In place of [node] port.
    pub ike_port: u16,
    /// In place of [node] nat_port.
    pub nat_port: u16,
    /// TIDEGATE_JOBS
    pub jobs: u32,
    /// The present.
    pub now: tidegate_time,
    /// Handed to the function.
    pub context: *mut c_void,
    /// Where SPIs, nonces, initialization vectors' secrets and all else that is drawn here come from; NULL for the
    /// system. Private values of key exchanges and what signatures need are always the system's. It is called by
    /// the threads that call the engine and run its jobs.
    pub random: tidegate_random_function,
}

growing!(tidegate_engine_options);

/// A source of random bytes.
#[derive(Clone)]
pub(super) enum Source {
    System(SystemRandom),
    Caller { context: *mut c_void, function: unsafe extern "C" fn(*mut c_void, *mut u8, usize) },
}

// SAFETY: whoever gave the function promises that it may be called with its context on any thread that calls the
// engine or runs its jobs.
unsafe impl Send for Source {}

impl Source {
    pub(super) fn of(options: &tidegate_engine_options) -> Self {
        match options.random {
            Some(function) => Self::Caller { context: options.context, function },
            None => Self::System(SystemRandom::new()),
        }
    }
}

impl Random for Source {
    fn fill(&mut self, out: &mut [u8]) {
        match self {
            Self::System(random) => random.fill(out),
            // SAFETY: the function was given for this, with its context; there is as much room as is said.
            Self::Caller { context, function } => {
                callback::call(|| unsafe { function(*context, out.as_mut_ptr(), out.len()) });
            }
        }
    }
}

impl From<tidegate_time> for Now {
    fn from(now: tidegate_time) -> Self {
        Self { time: Time::from_nanos(now.nanoseconds), wall: WallTime(now.wall_seconds) }
    }
}

/// Whether jobs wait to be taken.
pub(super) fn polls_jobs(options: &tidegate_engine_options) -> Result<bool, Failure> {
    match options.jobs {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Failure::argument(format_args!("there is no way {other} of doing jobs"))),
    }
}
