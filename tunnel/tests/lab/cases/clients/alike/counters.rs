//! At which words counters begin anew.

use super::super::office::Office;
use super::PLAIN;
use crate::support::Lab;
use crate::support::pair::Pair;

/// In this order.
const COUNTING: [&str; 9] = [
    "--counters --all",
    "--counters",
    "--counters --name office",
    "--counters --name nobody",
    "--counters --reset --name nobody",
    "--counters --reset --all",
    "--counters",
    "--counters --all",
    "--counters --name office",
];

/// The same, when there is something to count once more.
const ONCE_MORE: [&str; 6] = [
    "--counters --reset",
    "--counters",
    "--counters --all",
    "--counters --reset --name office",
    "--counters --all",
    "--counters --reset --name office",
];

pub(super) fn begin_anew(lab: &Lab, pair: &mut Pair) {
    let office = Office::open(lab, pair, PLAIN);
    office.load();
    for tool in [&office.ours, &office.theirs] {
        tool.run("--counters --reset");
        tool.run("--counters --reset --all");
    }
    for words in [&COUNTING[..], &ONCE_MORE] {
        office.ours.run("--initiate --child net --timeout 10");
        office.theirs.run("--terminate --ike office --timeout 5");
        for words in words {
            let [ours, theirs] = [&office.ours, &office.theirs].map(|tool| counted(tool.try_to(words)));
            assert_eq!(ours, theirs, "{words}");
        }
    }
    office.tidegate.stop();
}

/// Sections, and whether anything was counted in each; or the complaint.
fn counted(outcome: Result<String, String>) -> Result<Vec<(String, bool)>, String> {
    let mut sections: Vec<(String, bool)> = Vec::new();
    for line in outcome?.lines() {
        match (line.split_once(" : "), sections.last_mut()) {
            (Some((_, count)), Some((_, any))) => *any |= count.trim() != "0",
            _ if !line.starts_with('[') => sections.push((line.to_owned(), false)),
            _ => {}
        }
    }
    Ok(sections)
}
