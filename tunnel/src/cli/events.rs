//! `events`: one line each.

use super::output::{harmless, print};
use super::{Failure, Socket, at_once};
use clap::Args;
use der::DateTime;
use serde_json::{Map, Value};
use std::time::Duration;
use tidegate::vici::{Element, Message};

#[derive(Args)]
pub(super) struct Arguments {
    /// Writes each as an object, for machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: Socket,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let client = arguments.socket.connect().await?;
    let mut events = at_once(client.events(&["tidegate-event"])).await?;
    while let Some((_, event)) = events.next().await? {
        print(&if arguments.json { as_json(&event) } else { as_text(&event) })?;
    }
    Err(Failure::Gone)
}

fn as_text(event: &Message) -> String {
    let part = |name| harmless(event.text(name).unwrap_or_default());
    let connection = event.text("connection").map(|name| format!("{}: ", harmless(name)));
    let time = event.text("time").and_then(date).unwrap_or_else(|| part("time"));
    format!("{time} {:<5} {}{}\n", part("level"), connection.unwrap_or_default(), part("text"))
}

/// Seconds since 1970, with their thousandths, as a date of UTC.
fn date(time: &str) -> Option<String> {
    let (seconds, thousandths) = time.split_once('.')?;
    let date = DateTime::from_unix_duration(Duration::from_secs(seconds.parse().ok()?)).ok()?.to_string();
    let thousandths: u16 = thousandths.parse().ok()?;
    Some(format!("{}.{thousandths:03}Z", date.strip_suffix('Z')?))
}

fn as_json(event: &Message) -> String {
    let values = event.elements().filter_map(|(name, element)| match element {
        Element::Value(value) => Some((name.to_owned(), String::from_utf8_lossy(value).into_owned().into())),
        Element::List(_) | Element::Section(_) => None,
    });
    let mut line = Value::Object(values.collect::<Map<_, _>>()).to_string();
    line.push('\n');
    line
}
