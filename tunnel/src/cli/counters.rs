//! `counters`: what happened how often.

use super::output::{harmless, print};
use super::{Failure, Socket, at_once};
use clap::Args;
use serde_json::Value;
use std::fmt::Write;
use tidegate::vici::Message;

#[derive(Args)]
pub(super) struct Arguments {
    /// Writes them as they are, for machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: Socket,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut client = arguments.socket.connect().await?;
    let answer = at_once(client.request("tidegate-counters", &Message::new())).await?;
    let mut text: String = answer.list("json").collect();
    if arguments.json {
        text.push('\n');
        return print(&text);
    }
    let mut lines = String::new();
    flatten("", &serde_json::from_str(&text)?, &mut lines);
    print(&lines)
}

/// One line each: the way there, and the number.
fn flatten(path: &str, value: &Value, lines: &mut String) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, member, lines);
            }
        }
        other => {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{:<40} {}", harmless(path), harmless(&other.to_string()));
        }
    }
}
