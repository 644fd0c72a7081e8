//! How subjects compare.

mod chart;
mod json;
mod text;

use crate::measure::{Figures, Measure, Reach};
use crate::own::{Crowd, Rekeying};
use crate::subject::{Kind, Subject};
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_benches::lab::Machine;
use tidegate_benches::median;

/// All that was measured.
pub(crate) struct Report {
    machine: Machine,
    subjects: Vec<Subject>,
    /// By the subjects' places, then by round.
    rounds: Vec<BTreeMap<usize, Figures>>,
    missing: Vec<String>,
    pub(crate) rekeying: Option<Rekeying>,
    /// With how many SAs the one is how fast, by round.
    crowds: BTreeMap<u32, BTreeMap<usize, Crowd>>,
    pub(crate) took: Duration,
}

/// What is to be reached, and what is.
struct Verdict {
    /// None where the figure counts by itself.
    to: Option<Kind>,
    bound: f64,
    value: f64,
    reached: bool,
}

impl Report {
    pub(crate) fn new(subjects: Vec<Subject>, missing: Vec<String>) -> Self {
        Self {
            machine: Machine::this(),
            rounds: vec![BTreeMap::new(); subjects.len()],
            subjects,
            missing,
            rekeying: None,
            crowds: BTreeMap::new(),
            took: Duration::ZERO,
        }
    }

    pub(crate) fn add(&mut self, place: usize, round: usize, figures: Figures) {
        if let Some(rounds) = self.rounds.get_mut(place) {
            rounds.insert(round, figures);
        }
    }

    pub(crate) fn add_crowd(&mut self, round: usize, crowd: Crowd) {
        self.crowds.entry(crowd.sas).or_default().insert(round, crowd);
    }

    /// Of the rounds with so many SAs; and to those with one.
    fn crowd(&self, sas: u32, value: fn(&Crowd) -> f64) -> (f64, f64) {
        let (Some(rounds), Some((_, alone))) = (self.crowds.get(&sas), self.crowds.first_key_value()) else {
            return (f64::NAN, f64::NAN);
        };
        let ratio = |(round, crowd): (&usize, &Crowd)| Some(value(crowd) / value(alone.get(round)?));
        (median(rounds.values().map(value).collect()), median(rounds.iter().filter_map(ratio).collect()))
    }

    /// The subject that is held against the others: Tidegate, where it is among them.
    fn ours(&self) -> Option<usize> {
        let ours = self.subjects.iter().position(|subject| subject.kind.is_tidegate());
        ours.or_else(|| (!self.subjects.is_empty()).then_some(0))
    }

    fn place(&self, kind: Kind) -> Option<usize> {
        self.subjects.iter().position(|subject| subject.kind == kind)
    }

    fn round_count(&self) -> usize {
        self.rounds.iter().map(BTreeMap::len).max().unwrap_or(0)
    }

    fn values(&self, place: usize, measure: Measure) -> Vec<f64> {
        let rounds = self.rounds.get(place).into_iter().flat_map(BTreeMap::values);
        rounds.filter_map(|figures| figures.get(&measure).copied()).collect()
    }

    /// Not a number where nothing was measured.
    fn median(&self, place: usize, measure: Measure) -> f64 {
        median(self.values(place, measure))
    }

    /// One to another, round by round, where both were measured.
    fn ratio(&self, place: usize, other: usize, measure: Measure) -> f64 {
        let (Some(rounds), Some(others)) = (self.rounds.get(place), self.rounds.get(other)) else {
            return f64::NAN;
        };
        let ratio = |(round, figures): (&usize, &Figures)| {
            Some(figures.get(&measure)? / others.get(round)?.get(&measure)?)
        };
        median(rounds.iter().filter_map(ratio).collect())
    }

    fn verdicts(&self, measure: Measure) -> Vec<Verdict> {
        let ours =
            self.ours().filter(|&ours| self.subjects.get(ours).is_some_and(|it| it.kind.is_tidegate()));
        let Some(ours) = ours else { return Vec::new() };
        let verdict = |reach: &Reach| {
            let (to, bound, value) = match *reach {
                Reach::Of(kind, bound) => (Some(kind), bound, self.ratio(ours, self.place(kind)?, measure)),
                Reach::Absolute(bound) => (None, bound, self.median(ours, measure)),
            };
            value.is_finite().then(|| Verdict { to, bound, value, reached: measure.reached(value, bound) })
        };
        measure.reaches().iter().filter_map(verdict).collect()
    }
}

/// Of one round, in short.
pub(crate) fn line(figures: &Figures) -> String {
    let mut words = Vec::new();
    for (measure, value) in figures {
        words.push(format!("{} {}", measure.unit().write(*value), measure.unit().name()));
    }
    words.join(", ")
}
