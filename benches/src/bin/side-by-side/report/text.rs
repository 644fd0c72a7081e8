//! For people, in a terminal.

use super::{Report, Verdict};
use crate::measure::{Better, Measure};
use crate::own::Rekeying;
use std::fmt::Write;

/// Widths of the first column and of all others.
const FIRST: usize = 25;
const COLUMN: usize = 21;

impl Report {
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        let versions = self.subjects.iter().filter_map(|subject| {
            let version = subject.version.as_ref()?;
            Some(format!("{} {version}\n", subject.label))
        });
        text.extend(versions);
        self.missing.iter().for_each(|reason| text.extend([reason, "\n"]));
        self.write_figures(&mut text);
        self.write_ratios(&mut text);
        self.write_rekeying(&mut text);
        self.write_crowds(&mut text);
        text
    }

    fn write_figures(&self, text: &mut String) {
        let minutes = self.took.as_secs_f64() / 60.0;
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "\nmedians of {} interleaved rounds; {minutes:.0} minutes\n", self.round_count());
        let _ = write!(text, "{:<FIRST$}{:>9}", "", "");
        for subject in &self.subjects {
            let _ = write!(text, "{:>COLUMN$}", subject.label);
        }
        text.push('\n');
        for measure in Measure::ALL {
            let _ = write!(text, "{:<FIRST$}{:>9}", measure.title(), measure.unit().name());
            for place in 0..self.subjects.len() {
                let _ = write!(text, "{:>COLUMN$}", measure.unit().write(self.median(place, measure)));
            }
            text.push('\n');
        }
    }

    fn write_ratios(&self, text: &mut String) {
        let Some(ours) = self.ours() else { return };
        let label = self.subjects.get(ours).map_or("", |subject| subject.label.as_str());
        let _ = writeln!(
            text,
            "\n{label} to each of the others: medians of the ratios within rounds, and what is to be reached\n"
        );
        let _ = write!(text, "{:<FIRST$}{:>9}", "", "better");
        for (_, subject) in self.others(ours) {
            let _ = write!(text, "{:>COLUMN$}", subject.label);
        }
        text.push('\n');
        for measure in Measure::ALL {
            let better = if measure.better() == Better::More { "more" } else { "less" };
            let _ = write!(text, "{:<FIRST$}{better:>9}", measure.title());
            let verdicts = self.verdicts(measure);
            for (place, subject) in self.others(ours) {
                let ratio = self.ratio(ours, place, measure);
                let verdict = verdicts.iter().find(|verdict| verdict.to == Some(subject.kind));
                let mark = verdict.map(mark).unwrap_or_default();
                let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "-".to_owned() };
                let _ = write!(text, "{:>COLUMN$}", format!("{ratio}{mark:<9}"));
            }
            for verdict in verdicts.iter().filter(|verdict| verdict.to.is_none()) {
                let unit = measure.unit();
                let (value, bound) = (unit.write(verdict.value), unit.write(verdict.bound));
                let outcome = if verdict.reached { "reached" } else { "SHORT" };
                let _ = write!(text, "   itself {value} of {bound} {}: {outcome}", unit.name());
            }
            text.push('\n');
        }
    }

    fn others(&self, ours: usize) -> impl Iterator<Item = (usize, &crate::subject::Subject)> {
        self.subjects.iter().enumerate().filter(move |(place, _)| *place != ours)
    }

    fn write_rekeying(&self, text: &mut String) {
        let Some(it) = &self.rekeying else { return };
        let Rekeying { rekeys, udp_sent, udp_lost, udp_missed, udp_lost_without, tcp_sent_again, .. } = it;
        let _ = writeln!(
            text,
            "\nnew keys every second, {rekeys} times: of {udp_sent} datagrams {udp_lost} were lost, {udp_missed} of \
             them in the kernel's queues, and {udp_lost_without} with keys that last; TCP at 1 Gb/s sent {tcp_sent_again} segments again; as fast as \
             it goes {:.2} of what it is without",
            it.share(),
        );
    }

    fn write_crowds(&self, text: &mut String) {
        if self.crowds.is_empty() {
            return;
        }
        text.push_str("\none SA of many: medians, and ratios to one that is alone\n\n");
        for &sas in self.crowds.keys() {
            let (tcp, tcp_ratio) = self.crowd(sas, |it| it.gigabits_per_second);
            let (udp, udp_ratio) = self.crowd(sas, |it| it.packets_per_second / 1e3);
            let (memory, _) = self.crowd(sas, |it| it.memory as f64 / f64::from(1 << 20));
            let (setup, _) = self.crowd(sas, |it| it.setup.as_secs_f64());
            let _ = writeln!(
                text,
                "{sas:>8} SAs  TCP {tcp:>6.2} Gb/s x{tcp_ratio:.2}  UDP 64 B, overload {udp:>4.0} kp/s x{udp_ratio:.2}  \
                 {memory:>6.1} MiB, there in {setup:.1} s",
            );
        }
    }
}

fn mark(verdict: &Verdict) -> String {
    let bound = verdict.bound;
    if verdict.reached { format!(" ({bound})") } else { format!(" (!{bound})") }
}
