//! Runs cases and reports them as libtest does, with fixtures that several cases share.

mod options;
mod outcome;

pub(crate) use outcome::catch_panics;

use crate::support::{Lab, namespace, prerequisites};
use options::Options;
use outcome::{Outcome, Report};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// What a suite cannot do without.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// Root, namespaces, TUN, and the tools that make networks.
    Network,
    /// The same, and strongSwan.
    StrongSwan,
    /// The same, and strongSwan's library for Python.
    Python,
    /// The same, and `swanctl` of a newer Debian.
    NewestTool,
}

/// Whether other suites may run at the same time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    /// They may.
    Welcome,
    /// They would disturb what is measured.
    Unwanted,
}

/// Cases over one fixture, which is made for the first of them and again after each that fails.
pub(crate) struct Cases<F> {
    name: &'static str,
    needs: Needs,
    company: Company,
    prepare: fn(&Lab) -> F,
    cases: Vec<(String, Case<F>)>,
}

type Case<F> = Box<dyn Fn(&Lab, &mut F) + Send>;

impl<F: 'static> Cases<F> {
    /// No cases yet. `prepare` makes the fixture.
    pub(crate) fn new(name: &'static str, needs: Needs, prepare: fn(&Lab) -> F) -> Self {
        Self { name, needs, company: Company::Welcome, prepare, cases: Vec::new() }
    }

    /// Has them run while nothing else does.
    pub(crate) fn alone(mut self) -> Self {
        self.company = Company::Unwanted;
        self
    }

    /// Adds a case.
    pub(crate) fn case(
        mut self,
        name: impl Into<String>,
        run: impl Fn(&Lab, &mut F) + Send + 'static,
    ) -> Self {
        self.cases.push((format!("{}/{}", self.name, name.into()), Box::new(run)));
        self
    }

    /// Forgets what kind of fixture it is.
    pub(crate) fn suite(self) -> Suite {
        let Self { name, needs, company, prepare, cases } = self;
        let names = cases.iter().map(|(name, _)| name.clone()).collect();
        let run = Box::new(move |options: &Options, report: &Report| {
            let lab = Lab::new(name);
            let mut fixture = None;
            for (name, case) in cases.iter().filter(|(name, _)| options.selects(name)) {
                let outcome = run_case(&lab, prepare, &mut fixture, case);
                report.add(name, outcome);
            }
        });
        Suite { names, needs, company, run }
    }
}

/// Cases that run one after another.
pub(crate) struct Suite {
    names: Vec<String>,
    needs: Needs,
    company: Company,
    run: Run,
}

type Run = Box<dyn FnOnce(&Options, &Report) + Send>;

fn run_case<F>(lab: &Lab, prepare: fn(&Lab) -> F, fixture: &mut Option<F>, case: &Case<F>) -> Outcome {
    lab.begin_case();
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| {
        case(lab, fixture.get_or_insert_with(|| prepare(lab)));
    }));
    let mut outcome = Outcome { took: start.elapsed(), said: lab.take_said(), failure: None };
    if result.is_err() {
        outcome.failure = Some(format!("{}{}", outcome::take_panics(), lab.tails_of_logs()));
        // What is left of it is in no known state; even its removal may fail.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(fixture.take())));
        lab.keep();
    }
    outcome
}

/// Runs what the command line selects.
pub(crate) fn run(suites: Vec<Suite>) -> ExitCode {
    let options = Options::from_command_line();
    if options.list {
        return options.print_list(suites.iter().flat_map(|suite| &suite.names));
    }
    let suites: Vec<_> =
        suites.into_iter().filter(|suite| suite.names.iter().any(|name| options.selects(name))).collect();
    let needs = suites.iter().map(|suite| suite.needs).max().unwrap_or(Needs::Network);
    let missing = prerequisites::missing(needs);
    let (suites, left_out): (Vec<_>, Vec<_>) = suites
        .into_iter()
        .partition(|suite| !missing.iter().any(|missing| missing.needed_for <= suite.needs));
    let report = Report::default();
    for suite in &left_out {
        report.leave_out(suite.names.iter().filter(|name| options.selects(name)).count());
    }
    if !suites.is_empty() {
        namespace::remove_leftovers();
        Lab::remove_leftovers();
        catch_panics();
        let (together, alone): (Vec<_>, Vec<_>) =
            suites.into_iter().partition(|suite| suite.company == Company::Welcome);
        run_side_by_side(together, options.lanes, &options, &report);
        run_side_by_side(alone, 1, &options, &report);
    }
    report.finish(&missing)
}

fn run_side_by_side(suites: Vec<Suite>, lanes: usize, options: &Options, report: &Report) {
    let queue = Arc::new(Mutex::new(VecDeque::from(suites)));
    thread::scope(|scope| {
        for _ in 0..lanes {
            let queue = Arc::clone(&queue);
            scope.spawn(move || {
                while let Some(suite) = next(&queue) {
                    // Panics that end up with nobody are told apart by the thread's name.
                    let name = suite.names.first().cloned().unwrap_or_default();
                    let run = move || (suite.run)(options, report);
                    thread::scope(|scope| {
                        let builder = thread::Builder::new().name(name);
                        let handle = builder.spawn_scoped(scope, run).expect("a thread for the suite");
                        handle.join().expect("a suite catches the panics of its cases");
                    });
                }
            });
        }
    });
}

fn next(queue: &Mutex<VecDeque<Suite>>) -> Option<Suite> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}
