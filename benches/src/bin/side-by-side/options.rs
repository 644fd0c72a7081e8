//! What the command line asks for.

use crate::subject::{Kind, Subject};
use crate::tools;
use crate::workload::Plan;
use std::path::PathBuf;

const USAGE: &str = "usage: side-by-side [--quick] [--rounds N] [--json FILE] [--svg FILE] [SUBJECT…]
a SUBJECT is KIND, or LABEL=KIND, or LABEL=KIND:PROGRAM; kinds: tidegate, tidegate-chacha, tidegate-plain,
bare-aead, bare, wireguard-go, strongswan. Without any, all but tidegate-plain are compared. The first tidegate
is held against each of the others.";

const ROUNDS: usize = 7;
const QUICK_ROUNDS: usize = 2;

/// What is measured, and how.
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) plan: Plan,
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    /// None means the usual ones.
    pub(crate) subjects: Vec<Subject>,
    /// How long Tidegate is measured by itself.
    pub(crate) own: Own,
}

/// Workloads for Tidegate alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    Full,
    Quick,
}

impl Options {
    pub(crate) fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut rounds, mut own) = (None, Own::Full);
        let (mut json, mut svg, mut subjects) = (None, None, Vec::new());
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match argument.as_str() {
                "--quick" => own = Own::Quick,
                "--rounds" => rounds = Some(value()?.parse().ok().filter(|n| *n > 0).ok_or(USAGE)?),
                "--json" => json = Some(value()?.into()),
                "--svg" => svg = Some(value()?.into()),
                option if option.starts_with('-') => return Err(USAGE.into()),
                subject => subjects.push(parse(subject)?),
            }
        }
        let (plan, usual) = match own {
            Own::Full => (Plan::FULL, ROUNDS),
            Own::Quick => (Plan::QUICK, QUICK_ROUNDS),
        };
        Ok(Self { rounds: rounds.unwrap_or(usual), plan, json, svg, subjects, own })
    }
}

fn parse(text: &str) -> Result<Subject, String> {
    let (label, rest) = text.split_once('=').map_or((None, text), |(label, rest)| (Some(label), rest));
    let (kind, program) = rest.split_once(':').map_or((rest, None), |(kind, program)| (kind, Some(program)));
    let kind = Kind::ALL.into_iter().find(|known| known.name() == kind).ok_or(USAGE)?;
    let subject = match program {
        Some(program) => {
            let program = std::path::absolute(program).map_err(|error| format!("{program}: {error}"))?;
            Subject { label: kind.title().to_owned(), kind, program, version: None }
        }
        None => tools::find(kind)?,
    };
    Ok(Subject { label: label.map_or(subject.label, str::to_owned), ..subject })
}
