//! What it was measured on.

use std::fmt;
use std::fs::read_to_string;

/// The machine, as far as figures depend on it.
pub struct Machine {
    /// Its release.
    pub kernel: String,
    /// Its model.
    pub processor: String,
    /// How many may be used.
    pub cores: usize,
    /// In bytes.
    pub memory: u64,
    /// Of the last minute, before we began.
    pub load: f64,
}

impl Machine {
    /// The one we are on.
    pub fn this() -> Self {
        let read = |path: &str| read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = read("/proc/meminfo");
        let kilobytes =
            memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
        let load = read("/proc/loadavg");
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: model.map_or("unknown processor", |(_, model)| model).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: kilobytes.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024,
            load: load.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(f64::NAN),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, processor, cores, memory, load } = self;
        let gigabytes = memory >> 30;
        write!(
            f,
            "Linux {kernel}, {cores} cores of {processor}, {gigabytes} GiB, load {load:.1} at the start"
        )
    }
}
