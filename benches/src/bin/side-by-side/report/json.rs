//! For machines, every round included.

use super::{Report, Verdict};
use crate::measure::Measure;
use serde_json::{Map, Value, json};

impl Report {
    pub(crate) fn to_json(&self) -> String {
        let subjects: Vec<_> = (0..self.subjects.len()).map(|place| self.subject(place)).collect();
        let reaches: Vec<_> = Measure::ALL
            .into_iter()
            .flat_map(|measure| self.verdicts(measure).into_iter().map(move |it| reach(measure, &it)))
            .collect();
        let rekeying = self.rekeying.map(|it| {
            json!({
                "rekeys": it.rekeys,
                "udp_sent": it.udp_sent,
                "udp_lost": it.udp_lost,
                "udp_missed": it.udp_missed,
                "udp_lost_without": it.udp_lost_without,
                "tcp_sent_again_at_fixed_rate": it.tcp_sent_again,
                "tcp_gigabits_per_second": it.gigabits_per_second,
                "tcp_gigabits_per_second_without": it.gigabits_per_second_without,
            })
        });
        let crowds: Vec<_> = self
            .crowds
            .values()
            .flat_map(|rounds| rounds.iter())
            .map(|(round, it)| {
                json!({
                    "round": round,
                    "sas": it.sas,
                    "setup_seconds": it.setup.as_secs_f64(),
                    "memory": it.memory,
                    "tcp_gigabits_per_second": it.gigabits_per_second,
                    "udp_64_packets_per_second": it.packets_per_second,
                })
            })
            .collect();
        let machine = &self.machine;
        let report = json!({
            "machine": {
                "kernel": machine.kernel,
                "processor": machine.processor,
                "cores": machine.cores,
                "memory": machine.memory,
                "load": machine.load,
            },
            "seconds": self.took.as_secs(),
            "left_out": self.missing,
            "subjects": subjects,
            "reaches": reaches,
            "rekeying": rekeying,
            "sas": crowds,
        });
        format!("{report:#}\n")
    }

    fn subject(&self, place: usize) -> Value {
        let Some(subject) = self.subjects.get(place) else { return Value::Null };
        let mut measures = Map::new();
        for measure in Measure::ALL {
            let ratio = self.ours().map(|ours| self.ratio(ours, place, measure));
            let figures = json!({
                "unit": measure.unit().base(),
                "median": self.median(place, measure),
                "ratio_of_ours_to_it": ratio,
                "rounds": self.values(place, measure),
            });
            measures.insert(measure.name().to_owned(), figures);
        }
        json!({
            "label": subject.label,
            "kind": subject.kind.name(),
            "version": subject.version,
            "measures": measures,
        })
    }
}

fn reach(measure: Measure, verdict: &Verdict) -> Value {
    json!({
        "measure": measure.name(),
        "to": verdict.to.map(crate::subject::Kind::name),
        "bound": verdict.bound,
        "value": verdict.value,
        "reached": verdict.reached,
    })
}
