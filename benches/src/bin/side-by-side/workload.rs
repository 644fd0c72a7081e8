//! What each subject has to carry in each round.
//!
//! In this order: what leaves something behind, such as packets that wait for a long time, comes last.

use crate::measure::{Figures, Measure};
use crate::subject::Subject;
use std::time::Duration;
use tidegate_benches::lab::{End, Lab, Running};
use tidegate_benches::load::ping;
use tidegate_benches::load::tcp::{self, Flow};
use tidegate_benches::load::udp::{self, Burst};

/// How long each part of a round takes.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Each run of TCP.
    pub(crate) tcp: Duration,
    pub(crate) ping: Duration,
    pub(crate) fixed_rate: Duration,
    pub(crate) overload: Duration,
    /// Each try of the search for the highest rate without loss, and how often it is halved.
    pub(crate) try_rate: Duration,
    pub(crate) steps: u32,
}

impl Plan {
    pub(crate) const FULL: Self = Self {
        tcp: Duration::from_millis(1500),
        ping: Duration::from_millis(700),
        fixed_rate: Duration::from_millis(2000),
        overload: Duration::from_millis(1000),
        try_rate: Duration::from_millis(300),
        steps: 4,
    };

    pub(crate) const QUICK: Self = Self {
        tcp: Duration::from_millis(600),
        ping: Duration::from_millis(300),
        fixed_rate: Duration::from_millis(1000),
        overload: Duration::from_millis(500),
        try_rate: Duration::from_millis(150),
        steps: 3,
    };
}

/// How long a tunnel may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is left of what it took to start is over by then.
const SETTLE: Duration = Duration::from_millis(300);
const FIXED_RATE: f64 = 1e9;
const LARGE: usize = 1300;
const SMALL: usize = 64;

/// Starts a subject, has it carry everything, and ends it.
pub(crate) fn measure(subject: &Subject, plan: &Plan) -> Result<Figures, String> {
    let lab = Lab::new()?;
    let mut running = subject.start(&lab)?;
    await_tunnel(&lab, &mut running)?;
    let mut run = Run { lab: &lab, running: &running, plan, figures: Figures::new() };
    run.idle()?;
    run.tcp()?;
    run.fixed_rate()?;
    run.ping_under_tcp()?;
    run.udp()?;
    Ok(run.figures)
}

/// Waits until something comes through.
pub(crate) fn await_tunnel(lab: &Lab, running: &mut Running) -> Result<(), String> {
    ping::wait(lab, PATIENCE).map_err(|_| {
        let said = running.ended().into_iter().map(|end| lab.last_words(end));
        let said = said.chain(["nothing comes through".to_owned()]).collect::<Vec<_>>();
        format!("it does not come up: {}", said.join("; "))
    })?;
    std::thread::sleep(SETTLE);
    Ok(())
}

struct Run<'a> {
    lab: &'a Lab,
    running: &'a Running,
    plan: &'a Plan,
    figures: Figures,
}

impl Run<'_> {
    fn note(&mut self, measure: Measure, value: f64) {
        self.figures.insert(measure, value);
    }

    fn idle(&mut self) -> Result<(), String> {
        self.note(Measure::MemoryIdle, self.running.memory().now as f64);
        let latency = ping::latency(self.lab, self.plan.ping)?;
        self.note(Measure::PingIdle, latency.median.as_secs_f64());
        self.note(Measure::PingIdleSlow, latency.slow.as_secs_f64());
        Ok(())
    }

    fn tcp(&mut self) -> Result<(), String> {
        let before = self.running.cpu_time()?;
        let mut gigabits = 0.0;
        for (measure, from, streams) in [
            (Measure::TcpOneForth, End::One, 1),
            (Measure::TcpOneBack, End::Other, 1),
            (Measure::TcpFourForth, End::One, 4),
            (Measure::TcpFourBack, End::Other, 4),
        ] {
            let flow = Flow { from, streams, time: self.plan.tcp, rate: None };
            let carried = tcp::carry(self.lab, flow)?;
            self.note(measure, carried.gigabits_per_second());
            gigabits += carried.gigabits();
        }
        let spent = self.running.cpu_time()?.saturating_sub(before);
        self.note(Measure::CpuFullSpeed, spent.as_secs_f64() / gigabits);
        Ok(())
    }

    fn fixed_rate(&mut self) -> Result<(), String> {
        let (before, machine_before) = (self.running.cpu_time()?, machine_time());
        let flow = Flow { from: End::One, streams: 1, time: self.plan.fixed_rate, rate: Some(FIXED_RATE) };
        let carried = tcp::carry(self.lab, flow)?;
        let (after, machine_after) = (self.running.cpu_time()?, machine_time());
        let gigabits = carried.gigabits();
        self.note(Measure::CpuPerGigabit, after.saturating_sub(before).as_secs_f64() / gigabits);
        let machine = machine_after.saturating_sub(machine_before);
        self.note(Measure::MachinePerGigabit, machine.as_secs_f64() / gigabits);
        self.note(Measure::FixedRate, carried.gigabits_per_second());
        Ok(())
    }

    fn ping_under_tcp(&mut self) -> Result<(), String> {
        let flow = Flow { from: End::One, streams: 1, time: self.plan.tcp, rate: None };
        let (carried, latency) = std::thread::scope(|scope| {
            let carrying = scope.spawn(|| tcp::carry(self.lab, flow));
            // It has to have filled the queues, and not to be over.
            let settle = self.plan.tcp / 5;
            std::thread::sleep(settle);
            let latency = ping::latency(self.lab, self.plan.tcp - 2 * settle);
            (carrying.join(), latency)
        });
        carried.unwrap_or_else(|_| Err("a thread of the load has panicked".into()))?;
        let latency = latency?;
        self.note(Measure::PingBusy, latency.median.as_secs_f64());
        self.note(Measure::PingBusySlow, latency.slow.as_secs_f64());
        Ok(())
    }

    fn udp(&mut self) -> Result<(), String> {
        let Plan { try_rate, steps, overload, .. } = *self.plan;
        for (measure, size) in [(Measure::UdpLargeLossless, LARGE), (Measure::UdpSmallLossless, SMALL)] {
            let rate = udp::lossless_rate(self.lab, size, try_rate, steps)?;
            self.note(measure, rate);
        }
        for (measure, size) in [(Measure::UdpLargeOverload, LARGE), (Measure::UdpSmallOverload, SMALL)] {
            let outcome = udp::carry(self.lab, Burst { size, time: overload, rate: None })?;
            self.note(measure, outcome.delivered_rate());
        }
        self.note(Measure::MemoryMost, self.running.memory().most as f64);
        Ok(())
    }
}

/// What all cores have done so far, whatever it was.
fn machine_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    // User, nice, system; then idle and waiting, which are no work; then interrupts.
    let busy: u64 = [0, 1, 2, 5, 6].iter().filter_map(|&place| ticks.get(place)).sum();
    Duration::from_millis(busy * 1000 / rustix::param::clock_ticks_per_second())
}
