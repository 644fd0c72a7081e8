//! Programs at both ends, and what they take.

use crate::cleanup::Leftover;
use crate::lab::{End, Lab};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Programs; they end when this is dropped.
#[derive(Default)]
pub(crate) struct Running(Vec<(End, Child)>);

/// What one program has taken of the memory, in bytes; of two, the one that has taken more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) most: u64,
}

impl Running {
    pub(crate) fn add(&mut self, lab: &Lab, end: End, command: &Command) -> Result<(), String> {
        self.0.push((end, lab.spawn(end, command)?));
        Ok(())
    }

    /// What both ends have used of all cores so far, in user space and in their system calls.
    pub(crate) fn cpu_time(&self) -> Result<Duration, String> {
        let times = self.0.iter().map(|(_, child)| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
            // User and system time are the 14th and 15th field; the second one is a name in brackets.
            let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
            Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
        });
        times.sum::<Option<Duration>>().ok_or_else(|| "one of the programs has ended".to_owned())
    }

    pub(crate) fn memory(&self) -> Memory {
        let each = self.0.iter().map(|(_, child)| {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let bytes = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
                kilobytes.unwrap_or(0) * 1024
            };
            Memory { now: bytes("VmRSS:"), most: bytes("VmHWM:") }
        });
        each.fold(Memory::default(), |a, b| Memory { now: a.now.max(b.now), most: a.most.max(b.most) })
    }

    /// Ends that are no more.
    pub(crate) fn ended(&mut self) -> Vec<End> {
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        self.0.iter_mut().filter_map(|(end, child)| ended(child).then_some(*end)).collect()
    }

    pub(crate) fn process(&self, end: End) -> Option<u32> {
        self.0.iter().find(|(place, _)| *place == end).map(|(_, child)| child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for (_, child) in &self.0 {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(3);
        for (_, child) in &mut self.0 {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(Duration::from_millis(10));
            }
            Leftover::process(child).forget();
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Tries until it works out or five seconds are over.
pub(super) fn patiently<T>(mut act: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match act() {
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)),
            done => return done,
        }
    }
}
