//! How many instructions a packet takes on its way through a worker, held against what is written down in
//! `instructions.json`. Clocks are too noisy to notice a few percent; this is not.
//!
//! ```sh
//! export CARGO_INCREMENTAL=0
//! cargo test --workspace --test instructions -- --ignored --nocapture
//! TIDEGATE_UPDATE=1 cargo test --workspace --test instructions -- --ignored --nocapture    # writes it down
//! ```
//!
//! callgrind counts what happens in our own code. What it does not count differs from one processor to the
//! next: the cipher, whose assembly is chosen by what the processor can do, and the C library, whose copying is.
//! How often the C library is called is counted in their place, so that another copy or an allocation shows.
//! The code is built as the gate builds tests, so that nothing has to be built for this alone; `Cargo.toml` has
//! the crates that matter optimised in full. An incremental build cuts them into more pieces, which costs a few
//! hundred instructions. Another compiler makes other code, too: there, differences are told of, and are no
//! failure.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a table is printed, and a test may fail")]

use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const CASES: [&str; 6] = ["out-64", "out-1400", "out-super", "in-64", "in-1400", "in-super"];
const TURNS: u32 = 20;
/// How much more or less is no difference.
const TOLERANCE: f64 = 0.05;
/// The provider of the cipher. Its assembly has names without paths, which no code of Rust has.
const PROVIDER: &str = "ring::";

/// For each packet on the wire.
#[derive(Clone, Copy, Debug)]
struct Count {
    instructions: f64,
    /// Into the C library.
    calls: f64,
}

#[test]
#[ignore = "takes valgrind; the file says how it is run"]
fn a_packet_takes_as_many_instructions_as_is_written_down() {
    assert_eq!(option_env!("CARGO_INCREMENTAL"), Some("0"), "incremental builds have counts of their own");
    let counts = CASES.map(|case| (case, count(case)));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    if std::env::var_os("TIDEGATE_UPDATE").is_some() {
        std::fs::write(&file, to_json(&counts)).unwrap();
    }
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let (table, worse) = compare(&counts, &written);
    println!("{table}");
    if written["compiler"] == compiler() {
        assert!(worse.is_empty(), "more than is written down, by more than {TOLERANCE}: {worse:?}\n{table}");
    } else {
        println!("nothing follows from that: it was written down with {}", written["compiler"]);
    }
}

/// A table of all, and the names of those that have become worse.
fn compare(counts: &[(&'static str, Count)], written: &Value) -> (String, Vec<&'static str>) {
    let mut table = format!("{:<10}{:>14}{:>14}{:>9}\n", "", "instructions", "written down", "calls");
    let mut worse = Vec::new();
    for (case, count) in counts {
        let known = |what: &str| written["packets"][case][what].as_f64().unwrap_or(0.0);
        let (instructions, calls) = (known("instructions"), known("calls"));
        let is_more = |now: f64, then: f64| now > then * (1.0 + TOLERANCE);
        let is_worse = is_more(count.instructions, instructions) || is_more(count.calls, calls);
        let is_better = is_more(instructions, count.instructions) || is_more(calls, count.calls);
        let verdict = match (is_worse, is_better) {
            (true, _) => "MORE",
            (false, true) => "fewer: to be written down, with TIDEGATE_UPDATE=1",
            (false, false) => "",
        };
        let Count { instructions: now, calls: calls_now } = count;
        writeln!(table, "{case:<10}{now:>14.0}{instructions:>14.0}{calls_now:>5.1}/{calls:<4.1}{verdict}")
            .unwrap();
        worse.extend(is_worse.then_some(*case));
    }
    (table, worse)
}

fn to_json(counts: &[(&str, Count)]) -> String {
    let tenths = |value: f64| (value * 10.0).round() / 10.0;
    let packets = counts.iter().map(|(case, Count { instructions, calls })| {
        ((*case).to_owned(), json!({ "instructions": tenths(*instructions), "calls": tenths(*calls) }))
    });
    let packets: Map<String, Value> = packets.collect();
    format!("{:#}\n", json!({ "compiler": compiler(), "packets": packets }))
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Has callgrind watch a case.
fn count(case: &str) -> Count {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{case}.callgrind"));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=*watched*"])
        // Names and places in full are easier to read.
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .args([env!("CARGO_BIN_EXE_one-packet"), case, &TURNS.to_string()])
        .output()
        .expect("valgrind is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let packets: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    let profile = std::fs::read_to_string(&out).unwrap();
    let total = sum_up(&profile, env!("CARGO_BIN_EXE_one-packet"));
    Count { instructions: total.instructions / packets, calls: total.calls / packets }
}

/// Sums up our own part of a profile, which says by line of code what it has cost itself, and behind each
/// `calls=` what the called one has cost.
fn sum_up(profile: &str, program: &str) -> Count {
    let mut sum = Count { instructions: 0.0, calls: 0.0 };
    let (mut object, mut function) = (program, "");
    let mut called_object = None;
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        match line.split_once('=') {
            Some(("ob", name)) => object = name,
            Some(("fn", name)) => function = name,
            Some(("cob", name)) => called_object = Some(name),
            Some(("calls", calls)) => {
                lines.next();
                let into = called_object.take().unwrap_or(object);
                if is_ours(object, function, program) && into.contains("libc") {
                    sum.calls += first_number(calls);
                }
            }
            None if is_ours(object, function, program) => sum.instructions += cost(line),
            _ => {}
        }
    }
    assert!(sum.instructions > 0.0, "the profile is empty");
    sum
}

fn is_ours(object: &str, function: &str, program: &str) -> bool {
    object == program && function.contains("::") && !function.contains(PROVIDER)
}

/// A line of the profile is a line of code, and what it has cost.
fn cost(line: &str) -> f64 {
    let mut words = line.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(_)), Some(Ok(cost)), None) = (words.next(), words.next(), words.next()) else { return 0.0 };
    cost
}

fn first_number(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
