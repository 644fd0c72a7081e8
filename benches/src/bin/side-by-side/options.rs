//! What the command line asks for.

use crate::subject::{Kind, Subject};
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str =
    "usage: side-by-side [--rounds N] [--seconds N] [--streams N] [--json FILE] LABEL=KIND:PROGRAM…
kinds: bare, bare-aead, tidegate, tidegate-plain; the first is what the others are compared with";

/// What is measured, and how.
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) streams: usize,
    pub(crate) json: Option<PathBuf>,
    pub(crate) subjects: Vec<Subject>,
}

impl Options {
    pub(crate) fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let time = Duration::from_secs(3);
        let mut options = Self { rounds: 7, time, streams: 1, json: None, subjects: Vec::new() };
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next()?.parse::<u32>().ok().filter(|number| *number > 0);
            match argument.as_str() {
                "--rounds" => options.rounds = number().ok_or(USAGE)? as usize,
                "--seconds" => options.time = Duration::from_secs(number().ok_or(USAGE)?.into()),
                "--streams" => options.streams = number().ok_or(USAGE)? as usize,
                "--json" => options.json = Some(arguments.next().ok_or(USAGE)?.into()),
                subject => options.subjects.push(parse(subject).ok_or(USAGE)?),
            }
        }
        if options.subjects.is_empty() {
            return Err(USAGE.into());
        }
        Ok(options)
    }
}

fn parse(text: &str) -> Option<Subject> {
    let (label, rest) = text.split_once('=')?;
    let (kind, program) = rest.split_once(':')?;
    let kind = match kind {
        "bare" => Kind::Bare,
        "bare-aead" => Kind::BareAead,
        "tidegate" => Kind::Tidegate,
        "tidegate-plain" => Kind::TidegatePlain,
        _ => return None,
    };
    Some(Subject { label: label.into(), kind, program: std::path::absolute(program).ok()? })
}
