//! `CONFORMANCE.md` says the truth: what it names exists, and it leaves no section out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The sections in which an RFC demands something in capitals.
const DEMANDING: &[(u16, &str)] = &[
    (
        7296,
        "1 1.2 1.3 1.3.1 1.3.2 1.3.3 1.4 1.4.1 1.5 1.6 1.7 2 2.1 2.2 2.3 2.4 2.5 2.6 2.6.1 2.7 2.8 2.8.1 2.8.2 \
         2.9 2.9.2 2.10 2.11 2.12 2.13 2.14 2.15 2.16 2.17 2.18 2.19 2.20 2.21.2 2.21.3 2.21.4 2.22 2.23 \
         2.23.1 2.24 2.25 3.1 3.2 3.3 3.3.1 3.3.2 3.3.3 3.3.4 3.3.5 3.3.6 3.4 3.5 3.6 3.8 3.9 3.10 3.10.1 \
         3.11 3.12 3.13 3.13.1 3.14 3.15 3.15.1 3.16 4 5",
    ),
    (7383, "1.3 2.3 2.4 2.5 2.5.2 2.5.3 2.6 2.6.1 3"),
    (7427, "2 3 4"),
    (4555, "1.3 3.2 3.3 3.6 3.7 3.8 3.9 4.2.1 4.2.5"),
];

/// Why a row may name no test.
const EXCUSES: [&str; 3] = ["*left out*", "*no duty*", "*gap*"];

struct Row {
    rfc: u16,
    section: String,
    demand: String,
    code: String,
    test: String,
}

impl Row {
    fn place(&self) -> String {
        format!("RFC {} §{}: {}", self.rfc, self.section, self.demand)
    }

    fn is_excused(&self) -> bool {
        EXCUSES.iter().any(|excuse| self.test.starts_with(excuse))
    }
}

fn crate_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(crate_root().join("CONFORMANCE.md")).unwrap();
    let mut rfc = 0;
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(number) = line.strip_prefix("## RFC ") {
            rfc = number.parse().unwrap();
        }
        let Some(row) = line.strip_prefix("| §").filter(|row| !row.starts_with(" |")) else { continue };
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        let [section, demand, code, test] = cells[..] else { panic!("not four columns: {line}") };
        let [section, demand, code, test] = [section, demand, code, test].map(str::to_owned);
        rows.push(Row { rfc, section, demand, code, test });
    }
    rows
}

/// File and item of a reference.
fn reference(cell: &str) -> Option<(String, &str)> {
    let (file, item) = cell.strip_prefix('`')?.strip_suffix('`')?.split_once("::")?;
    Some((fs::read_to_string(crate_root().join(file)).ok()?, item))
}

/// The lines that define an item of this name in one of these ways.
fn definitions(source: &str, ways: &[&str], item: &str) -> Vec<usize> {
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let defines = |line: &str| {
        ways.iter().any(|way| {
            let wanted = format!("{way} {item}");
            line.find(&wanted).is_some_and(|at| ends(&line[at + wanted.len()..]))
        })
    };
    source.lines().enumerate().filter(|(_, line)| defines(line)).map(|(at, _)| at).collect()
}

fn has_item(source: &str, item: &str) -> bool {
    let listed = source.lines().any(|line| line.trim_start().starts_with(&format!("{item} = ")));
    listed || !definitions(source, &["fn", "struct", "enum", "const", "type", "trait"], item).is_empty()
}

fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    definitions(source, &["fn"], name).into_iter().any(|at| {
        let attributes =
            lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        attributes.into_iter().any(|line| *line == "#[test]")
    })
}

#[test]
fn every_section_that_demands_something_has_a_row() {
    let rows = rows();
    let covered: BTreeSet<_> = rows.iter().map(|row| (row.rfc, row.section.as_str())).collect();
    let demanding: BTreeSet<_> = DEMANDING
        .iter()
        .flat_map(|(rfc, sections)| sections.split_whitespace().map(|section| (*rfc, section)))
        .collect();
    let only =
        |one: &BTreeSet<(u16, &str)>, other| one.difference(other).map(|it| format!("{it:?}")).collect();
    let (unanswered, unasked): (Vec<String>, Vec<String>) =
        (only(&demanding, &covered), only(&covered, &demanding));
    assert!(
        unanswered.is_empty() && unasked.is_empty(),
        "without a row: {unanswered:?}; without a demand: {unasked:?}"
    );
}

#[test]
fn every_test_that_is_named_exists() {
    let named = rows().into_iter().filter(|row| !row.is_excused());
    let missing: Vec<_> = named
        .filter(|row| !reference(&row.test).is_some_and(|(source, name)| has_test(&source, name)))
        .map(|row| format!("{}: {}", row.place(), row.test))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn all_code_that_is_named_exists() {
    let named = rows().into_iter().filter(|row| !(row.is_excused() && row.code == "—"));
    let missing: Vec<_> = named
        .filter(|row| !reference(&row.code).is_some_and(|(source, item)| has_item(&source, item)))
        .map(|row| format!("{}: {}", row.place(), row.code))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn an_excuse_has_a_reason() {
    for row in rows().iter().filter(|row| row.is_excused()) {
        assert!(row.test.split_once(' ').is_some_and(|(_, reason)| reason.len() > 10), "{}", row.place());
    }
}
