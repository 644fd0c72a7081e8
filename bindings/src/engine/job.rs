//! What an engine without threads has others do: arithmetic, and questions to a resolver.

use super::options::{Source, tidegate_time};
use super::{Driver, ips, tidegate_engine, with};
use crate::address::tidegate_address;
use crate::code::tidegate_code;
use crate::error::{Failure, guard, tidegate_error};
use crate::handle::{borrow, clear, free, give};
use crate::text::tidegate_text;
use std::sync::Mutex;
use tidegate_ike::{Job, JobDone};

/// Some arithmetic: a key exchange, a signature to make or to check.
pub struct tidegate_job {
    state: Mutex<State>,
}

enum State {
    Waiting(Job, Source),
    Done(JobDone),
    Gone,
}

/// A question for a resolver of names.
pub struct tidegate_lookup {
    number: u64,
    names: Vec<String>,
}

/// The next job, of an engine with TIDEGATE_JOBS_POLLED; `*job` is NULL if there is none. Run it, on any thread, and
/// give it back by `tidegate_engine_finish_job`; or free it, and its attempt times out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_next_job(
    engine: *const tidegate_engine,
    job: *mut *mut tidegate_job,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or the caller's room for a pointer.
        unsafe { clear(job) }?;
        let Some((next, random)) = driver.next_job() else { return Ok(()) };
        // SAFETY: the caller's room for a pointer.
        unsafe { give(job, tidegate_job { state: Mutex::new(State::Waiting(next, random)) }) }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// Does a job, which takes milliseconds, or as long as a signer takes. The engine may be called meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_job_run(
    job: *const tidegate_job,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or the caller's.
        let job = unsafe { borrow(job, "the job") }?;
        match job.replace(State::Gone)? {
            State::Waiting(todo, mut random) => {
                let done = todo.run(&mut random);
                job.replace(State::Done(done)).map(drop)
            }
            State::Done(done) => job.replace(State::Done(done)).map(drop),
            State::Gone => Err(Failure::misuse("the job is being done")),
        }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// Gives a job back to its engine and frees it. One that was not run is run first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_finish_job(
    engine: *const tidegate_engine,
    now: tidegate_time,
    job: *mut tidegate_job,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or the caller's.
        let held = unsafe { borrow(job, "the job") }?;
        let done = match held.replace(State::Gone)? {
            State::Waiting(todo, mut random) => todo.run(&mut random),
            State::Done(done) => done,
            State::Gone => return Err(Failure::misuse("the job is being done, or has failed")),
        };
        // SAFETY: the caller gives it away, and nothing borrows it any more.
        unsafe { free(job) };
        driver.job_done(now.into(), done);
        Ok(())
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// Frees a job that was not given back. NULL is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_job_free(job: *mut tidegate_job) {
    // SAFETY: null, or the caller's, who gives it away here.
    unsafe { free(job) }
}

/// The next names that somebody has to look up; `*lookup` is NULL if there are none. Answer it by
/// `tidegate_engine_finish_lookup`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_next_lookup(
    engine: *const tidegate_engine,
    lookup: *mut *mut tidegate_lookup,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or the caller's room for a pointer.
        unsafe { clear(lookup) }?;
        let Some((id, names)) = driver.next_lookup() else { return Ok(()) };
        // SAFETY: the caller's room for a pointer.
        unsafe { give(lookup, tidegate_lookup { number: id.0, names }) }
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// A name to look up by its place, counted from 0; empty behind the last one. It lives as long as the lookup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_lookup_name(lookup: *const tidegate_lookup, name: usize) -> tidegate_text {
    // SAFETY: null, or a lookup that the caller owns.
    let name = unsafe { lookup.as_ref() }.and_then(|lookup| lookup.names.get(name));
    name.map_or(tidegate_text::EMPTY, |name| tidegate_text::of(name))
}

/// Answers a lookup and frees it: the addresses of its names, in the order of the names; none if there are none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_engine_finish_lookup(
    engine: *const tidegate_engine,
    now: tidegate_time,
    lookup: *mut tidegate_lookup,
    addresses: *const tidegate_address,
    count: usize,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = |driver: &mut Driver| {
        // SAFETY: null, or the caller's.
        let number = unsafe { borrow(lookup, "the lookup") }?.number;
        // SAFETY: null, or so many addresses that are there during this call.
        let addresses = unsafe { ips(addresses, count) }?;
        // SAFETY: the caller gives it away, and nothing borrows it any more.
        unsafe { free(lookup) };
        driver.resolved(now.into(), number, addresses);
        Ok(())
    };
    // SAFETY: null or the caller's, and null or the caller's room for a pointer.
    unsafe { with(engine, error, act) }
}

/// Frees a lookup that was not answered. NULL is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_lookup_free(lookup: *mut tidegate_lookup) {
    // SAFETY: null, or the caller's, who gives it away here.
    unsafe { free(lookup) }
}

impl tidegate_job {
    fn replace(&self, state: State) -> Result<State, Failure> {
        let mut held = self.state.lock().map_err(|_| Failure::misuse("the job has failed"))?;
        Ok(std::mem::replace(&mut held, state))
    }
}
