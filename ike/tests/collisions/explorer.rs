//! Every schedule of a crossing, up to a depth: which datagram arrives next, which is lost, which job is done
//! next, when a retransmission overtakes an answer.
//!
//! A schedule is a row of choices; after the last one everything is delivered in order. The rows are gone
//! through like the digits of a counter, each from a fresh start, so a failing one can be replayed alone.

use crate::support::End;
use crate::world::{Act, Pfs, World, outcome};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What two ends begin, and what may happen on the way.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Decides, among other things, whose nonces are lower.
    pub seed: u64,
    pub a: Act,
    pub b: Act,
    /// B begins at any moment, instead of before anything has arrived.
    pub late: bool,
    pub pfs: Pfs,
    /// Packets flow, so that the first on a new child is noticed.
    pub talking: bool,
    /// Datagrams that may be lost.
    pub losses: usize,
    /// Times that a deadline may pass while something is still on its way.
    pub waits: usize,
    /// Choices in a schedule.
    pub depth: usize,
}

/// How much deeper than usual to look.
#[expect(clippy::disallowed_methods, reason = "a test is told its depth by the environment")]
pub fn extra_depth() -> usize {
    std::env::var("TIDEGATE_DEPTH").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

enum Step {
    Deliver(End, usize),
    Work(End, usize),
    Begin,
    Lose(End, usize),
    Wait,
}

/// The row of choices: at each place which one was taken, of how many.
#[derive(Default)]
struct Schedule {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Schedule {
    fn choose(&mut self, options: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, options));
        }
        let (choice, known) = self.taken[self.at];
        assert_eq!(known, options, "a replay differs");
        self.at += 1;
        choice
    }

    /// The next row; false after the last.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, options)) = self.taken.pop() {
            if choice + 1 < options {
                self.taken.push((choice + 1, options));
                return true;
            }
        }
        false
    }
}

impl Scenario {
    /// Both ends begin at once; with loss, and without data to help.
    pub fn crossing(a: Act, b: Act) -> Self {
        Self {
            seed: 7,
            a,
            b,
            late: false,
            pfs: Pfs::Without,
            talking: false,
            losses: 1,
            waits: 1,
            depth: 4 + extra_depth(),
        }
    }

    /// Goes through all schedules; gives their number, or the first that fails.
    pub fn explore(&self) -> Result<usize, String> {
        let mut schedule = Schedule::default();
        let mut count = 0;
        loop {
            let run = catch_unwind(AssertUnwindSafe(|| self.run(&mut schedule)));
            if let Err(panic) = run {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let row: Vec<_> = schedule.taken.iter().map(|(choice, _)| choice).collect();
                return Err(format!("{} by schedule {row:?} of {self:?}", said.unwrap_or_default()));
            }
            count += 1;
            if !schedule.advance() {
                return Ok(count);
            }
        }
    }

    fn run(&self, schedule: &mut Schedule) {
        let mut world = World::new(self.seed, self.pfs);
        world.talking = self.talking;
        for host in [&mut world.pair.a, &mut world.pair.b] {
            host.hold_jobs = true;
        }
        world.begin(End::A, self.a);
        let mut waiting = self.late;
        if !waiting {
            world.begin(End::B, self.b);
        }
        let (mut losses, mut waits) = (self.losses, self.waits);
        while schedule.at < self.depth {
            let mut steps = steps(&world, losses, waits);
            if waiting {
                steps.insert(steps.len().min(1), Step::Begin);
            }
            if steps.is_empty() {
                break;
            }
            let choice = schedule.choose(steps.len());
            match steps.swap_remove(choice) {
                Step::Deliver(from, index) => world.deliver(from, index),
                Step::Work(end, index) => world.work(end, index),
                Step::Begin => {
                    waiting = false;
                    world.begin(End::B, self.b);
                }
                Step::Lose(from, index) => {
                    losses -= 1;
                    world.pair.host(from).sent.remove(index);
                }
                Step::Wait => {
                    waits -= 1;
                    world.wait();
                }
            }
        }
        if waiting {
            world.begin(End::B, self.b);
        }
        world.settle();
        world.assert_outcome(&outcome(&[self.a, self.b]));
        world.assert_clean_end();
    }
}

/// Both ends begin at once, and of everything that they say a part is lost: datagrams by the order in which
/// they were first sent, each as often as stated. Everything else arrives in order.
pub fn with_losses(a: Act, b: Act, losses: &[(usize, usize)]) -> Result<usize, String> {
    let run = catch_unwind(|| {
        let mut world = World::new(11, Pfs::Without);
        world.begin(End::A, a);
        world.begin(End::B, b);
        let mut seen: Vec<(Vec<u8>, usize)> = Vec::new();
        for _ in 0..200 {
            let Some(from) = [End::A, End::B].into_iter().find(|end| !world.pair.host(*end).sent.is_empty())
            else {
                if losses.iter().all(|(index, times)| seen.get(*index).is_none_or(|(_, sent)| sent >= times))
                {
                    break;
                }
                world.wait();
                continue;
            };
            let bytes = world.pair.host(from).sent[0].bytes.clone();
            let index = seen.iter().position(|(known, _)| *known == bytes).unwrap_or_else(|| {
                seen.push((bytes, 0));
                seen.len() - 1
            });
            seen[index].1 += 1;
            if losses.iter().any(|&(lost, times)| lost == index && seen[index].1 <= times) {
                world.lose(from);
            } else {
                world.pass(from);
            }
        }
        world.settle();
        world.assert_outcome(&outcome(&[a, b]));
        world.assert_clean_end();
        seen.len()
    });
    run.map_err(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("{} with {a:?} against {b:?}, losing {losses:?}", said.unwrap_or_default())
    })
}

fn steps(world: &World, losses: usize, waits: usize) -> Vec<Step> {
    let sent = [(End::A, world.pair.a.sent.len()), (End::B, world.pair.b.sent.len())];
    let jobs = [(End::A, world.pair.a.jobs.len()), (End::B, world.pair.b.jobs.len())];
    let each = |counts: [(End, usize); 2]| {
        counts.into_iter().flat_map(|(end, count)| (0..count).map(move |index| (end, index)))
    };
    let mut steps: Vec<Step> = each(sent).map(|(end, index)| Step::Deliver(end, index)).collect();
    steps.extend(each(jobs).map(|(end, index)| Step::Work(end, index)));
    if losses > 0 {
        steps.extend(each(sent).map(|(end, index)| Step::Lose(end, index)));
    }
    // Long enough for any retransmission that a delay can provoke; nothing is on its way for longer.
    let soon = |at| at <= world.pair.now + Duration::from_secs(10);
    if waits > 0 && !steps.is_empty() && world.next_deadline().is_some_and(soon) {
        steps.push(Step::Wait);
    }
    steps
}
