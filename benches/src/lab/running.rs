//! Programs at both ends, and what they take.

use super::cleanup::Leftover;
use super::{End, Lab};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Programs; they end when this is dropped.
#[derive(Default)]
pub struct Running(Vec<(End, Child)>);

/// What one program has taken of the memory, in bytes; of two, the one that has taken more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// At present.
    pub now: u64,
    /// At any time.
    pub most: u64,
}

impl Running {
    /// Starts one more.
    pub fn add(&mut self, lab: &Lab, end: End, command: &Command) -> Result<(), String> {
        self.0.push((end, lab.spawn(end, command)?));
        Ok(())
    }

    /// Starts one in another namespace. It counts as one of the first end.
    pub fn add_in(&mut self, namespace: &super::Namespace, command: &Command) -> Result<(), String> {
        self.0.push((End::One, namespace.spawn(command)?));
        Ok(())
    }

    /// What both ends have used of all cores so far, in user space and in their system calls.
    pub fn cpu_time(&self) -> Result<Duration, String> {
        let times = self.0.iter().map(|(_, child)| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
            // User and system time are the 14th and 15th field; the second one is a name in brackets.
            let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
            Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
        });
        times.sum::<Option<Duration>>().ok_or_else(|| "one of the programs has ended".to_owned())
    }

    /// What they have taken of the memory.
    pub fn memory(&self) -> Memory {
        let each = self.0.iter().map(|(_, child)| Memory::of(child.id()));
        each.fold(Memory::default(), |a, b| Memory { now: a.now.max(b.now), most: a.most.max(b.most) })
    }

    /// Ends that are no more.
    pub fn ended(&mut self) -> Vec<End> {
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        self.0.iter_mut().filter_map(|(end, child)| ended(child).then_some(*end)).collect()
    }

    /// The id of the program at this end.
    pub fn process(&self, end: End) -> Option<u32> {
        self.0.iter().find(|(place, _)| *place == end).map(|(_, child)| child.id())
    }
}

impl Memory {
    /// Of the process with this id; nothing if there is none.
    pub fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
            kilobytes.unwrap_or(0) * 1024
        };
        Self { now: bytes("VmRSS:"), most: bytes("VmHWM:") }
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
pub fn patiently<T>(mut act: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match act() {
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)),
            done => return done,
        }
    }
}
