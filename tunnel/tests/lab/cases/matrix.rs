//! The matrix: who reaches whom, of pods and host-network pods in the cloud and on edges, by address and by ClusterIP.

mod checks;
mod cluster;

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::capture::Capture;
use crate::support::network::Prefix;
use checks::{Check, Table};
use cluster::Cluster;
use std::time::Duration;

/// The cases.
pub(crate) fn suite() -> Suite {
    Cases::new("matrix", Needs::StrongSwan, Cluster::new)
        .case("all_48_checks_pass", all_48_checks_pass)
        .suite()
}

fn all_48_checks_pass(lab: &Lab, cluster: &mut Cluster) {
    let inner = [Prefix::new("10.233.0.0/16"), Prefix::new("10.234.0.0/16")];
    let capture = Capture::start(&cluster.internet.router, &inner);
    cluster.wait_until_up(Duration::from_secs(15));
    let tables = checks::tables();
    assert_eq!(tables.iter().map(|table| table.checks.len()).collect::<Vec<_>>(), [18, 18, 12]);
    let mut failures = 0;
    for table in &tables {
        failures += run(lab, cluster, table);
    }
    assert_eq!(failures, 0, "of 48 checks failed; the table is above");
    capture.assert_sealed();
}

fn run(lab: &Lab, cluster: &Cluster, Table { name, called, calling, checks }: &Table) -> usize {
    lab.say(format!("{name}\n     | {called:22} | {calling:22} | {:24} | result |", "check"));
    let results = checks.iter().map(|check| {
        let Check { target, source, from, to } = check;
        let result = cluster.check(check);
        let word = result.as_ref().map_or_else(Clone::clone, |()| "passed".to_owned());
        let (target, source) = (target.to_string(), source.to_string());
        lab.say(format!("| {target:22} | {source:22} | {:24} | {word} |", format!("{from} to {to}")));
        result
    });
    results.filter(Result::is_err).count()
}
