//! What is asked of Tidegate alone: new keys all the time, and many SAs.

use crate::subject::{Settings, Subject};
use crate::workload::await_tunnel;
use serde_json::Value;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};
use tidegate_benches::lab::programs::order;
use tidegate_benches::lab::{End, Lab};
use tidegate_benches::load::tcp::{self, Flow};
use tidegate_benches::load::udp::{self, Burst};
use tidegate_benches::median;

/// What became of a load while keys changed every second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rekeying {
    /// How often keys were changed.
    pub(crate) rekeys: u32,
    pub(crate) udp_sent: u64,
    pub(crate) udp_lost: u64,
    /// Of these, what the daemons have never seen, as the kernel's queues to them were full: none of it is the keys'.
    pub(crate) udp_missed: u64,
    /// Of as many, with keys that last: what a machine that is busy with other things loses.
    pub(crate) udp_lost_without: u64,
    /// Segments that TCP sent again at the fixed rate, where queues are no reason for it.
    pub(crate) tcp_sent_again: u64,
    /// TCP as fast as it goes.
    pub(crate) gigabits_per_second: f64,
    /// The same with keys that last.
    pub(crate) gigabits_per_second_without: f64,
}

/// How fast one SA is when there are more of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) sas: u32,
    /// Until all were there.
    pub(crate) setup: Duration,
    /// Of the daemon at either end.
    pub(crate) memory: u64,
    pub(crate) gigabits_per_second: f64,
    /// Of 64 B, delivered at overload.
    pub(crate) packets_per_second: f64,
}

impl Rekeying {
    /// How much of TCP's speed is left.
    pub(crate) fn share(&self) -> f64 {
        self.gigabits_per_second / self.gigabits_per_second_without
    }
}

const LIFE: Duration = Duration::from_secs(1);
const FIXED_RATE: f64 = 1e9;
const DATAGRAMS: Burst = Burst { size: 1300, time: Duration::ZERO, rate: Some(10_000.0) };
/// How long many SAs may take to be there.
const PATIENCE: Duration = Duration::from_secs(120);
/// The last ones have only just come.
const SETTLE: Duration = Duration::from_secs(1);
/// TCP and UDP take turns so often while there are many SAs.
const TURNS: usize = 3;

/// Has UDP and TCP go on for so long each while keys are changed.
pub(crate) fn rekeying(subject: &Subject, time: Duration) -> Result<Rekeying, String> {
    let lab = Lab::new()?;
    let mut running = subject.start_tidegate(&lab, &Settings::default())?;
    await_tunnel(&lab, &mut running)?;
    let flow = |rate| Flow { from: End::One, streams: 1, time, rate };
    let steady = || Ok::<_, String>(tcp::carry(&lab, flow(None))?.gigabits_per_second());
    let first = steady()?;
    let alone = udp::carry(&lab, Burst { time, ..DATAGRAMS })?;
    let before = tcp::sent_again(&lab, End::One)?;
    let keys = spis(&lab, subject)?;
    let (stop, rekeyer) = rekey_until_stopped(subject, &lab)?;
    let missed_before = missed(&lab, subject)?;
    let udp = udp::carry(&lab, Burst { time, ..DATAGRAMS })?;
    let udp_missed = missed(&lab, subject)? - missed_before;
    tcp::carry(&lab, flow(Some(FIXED_RATE)))?;
    let after = tcp::sent_again(&lab, End::One)?;
    let carried = tcp::carry(&lab, flow(None))?;
    drop(stop);
    let rekeys = rekeyer.join().unwrap_or_else(|_| Err("the thread that rekeys has panicked".into()))?;
    if spis(&lab, subject)? == keys {
        return Err("keys were to change, and did not".into());
    }
    let last = steady()?;
    Ok(Rekeying {
        rekeys,
        udp_sent: udp.sent,
        udp_lost: udp.lost(),
        udp_missed,
        udp_lost_without: alone.lost(),
        tcp_sent_again: after - before,
        gigabits_per_second: carried.gigabits_per_second(),
        gigabits_per_second_without: f64::midpoint(first, last),
    })
}

type Rekeyer = JoinHandle<Result<u32, String>>;

/// Orders new keys every second for as long as the sender lives; in the end says how often.
fn rekey_until_stopped(subject: &Subject, lab: &Lab) -> Result<(Sender<()>, Rekeyer), String> {
    let (stop, stopped) = channel();
    let (program, socket) = (subject.program.clone(), lab.folder(End::One)?);
    let rekeyer = spawn(move || {
        let mut rekeys = 0;
        while stopped.recv_timeout(LIFE) == Err(RecvTimeoutError::Timeout) {
            order(&program, &socket, &["rekey", "net0"])?;
            rekeys += 1;
        }
        Ok(rekeys)
    });
    Ok((stop, rekeyer))
}

/// Sets up so many SAs, and loads one of them.
pub(crate) fn crowd(subject: &Subject, sas: u32, time: Duration) -> Result<Crowd, String> {
    let lab = Lab::new()?;
    let begun = Instant::now();
    let mut running = subject.start_tidegate(&lab, &Settings { children: sas, ..Settings::default() })?;
    await_tunnel(&lab, &mut running)?;
    loop {
        // With many to load, the control socket comes after the first SA.
        let there = spis(&lab, subject).map_or(0, |spis| spis.len());
        if there >= sas as usize {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{there} of {sas} SAs came up in {} s", PATIENCE.as_secs()));
        }
        sleep(Duration::from_millis(500));
    }
    let setup = begun.elapsed();
    sleep(SETTLE);
    let (mut gigabits, mut packets) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let carried = tcp::carry(&lab, Flow { from: End::One, streams: 1, time, rate: None })?;
        gigabits.push(carried.gigabits_per_second());
        let outcome = udp::carry(&lab, Burst { size: 64, time: time / 2, rate: None })?;
        packets.push(outcome.delivered_rate());
    }
    Ok(Crowd {
        sas,
        setup,
        memory: running.memory().now,
        gigabits_per_second: median(gigabits),
        packets_per_second: median(packets),
    })
}

/// What there was no room for in the kernel's queues to both daemons, as those count it.
fn missed(lab: &Lab, subject: &Subject) -> Result<u64, String> {
    let of = |end| {
        let text = order(&subject.program, &lab.folder(end)?, &["counters", "--json"])?;
        let counters: Value = serde_json::from_str(&text).map_err(|error| format!("counters: {error}"))?;
        // A release that does not count them yet has none.
        let total = |name: &str| counters["totals"][name].as_u64().unwrap_or_default();
        Ok::<_, String>(total("device_missed") + total("datagrams_missed"))
    };
    Ok(of(End::One)? + of(End::Other)?)
}

/// Of all children that count.
fn spis(lab: &Lab, subject: &Subject) -> Result<Vec<u64>, String> {
    let text = order(&subject.program, &lab.folder(End::One)?, &["status", "--json"])?;
    let status: Value = serde_json::from_str(&text).map_err(|error| format!("status: {error}"))?;
    let arrays = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let connections = status.as_array().cloned().unwrap_or_default();
    let sas = connections.iter().flat_map(|connection| arrays(connection, "sas"));
    let children = sas.flat_map(|sa| arrays(&sa, "children"));
    Ok(children
        .filter(|child| child["current"] == true)
        .filter_map(|child| child["spi_in"].as_u64())
        .collect())
}
