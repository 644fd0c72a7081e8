//! What happened how often, in the words of charon's `counters` plugin.

use super::Hall;
use super::command::{failure, success};
use crate::vici::control::Control;
use crate::vici::message::Message;
use std::sync::Arc;
use tidegate_ike::tally::{Messages, Tallies, Tally, TallyOf};

/// Shows them: of all connections together, of one, or of each.
pub(super) async fn get<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let tallies = match hall.control.tallies().await {
        Ok(tallies) => tallies,
        Err(error) => return failure(error),
    };
    match sections(&tallies, &which(arguments)) {
        Some(sections) => Message::new().with_section("counters", sections).with("success", "yes"),
        None => Message::new()
            .with_section("counters", Message::new())
            .with("success", "no")
            .with("errmsg", NOTHING),
    }
}

/// Begins them anew. What was never counted is no less at its beginning.
pub(super) async fn reset<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    match hall.control.reset_tallies(which(arguments)).await {
        Ok(_) => success(),
        Err(error) => failure(error),
    }
}

fn which(arguments: &Message) -> TallyOf {
    match (arguments.text("all"), arguments.text("name")) {
        (Some("yes"), _) => TallyOf::EachConnection,
        (_, Some(name)) => TallyOf::Connection(name.into()),
        (_, None) => TallyOf::All,
    }
}

/// By connection; those of all together have no name.
fn sections(tallies: &Tallies, which: &TallyOf) -> Option<Message> {
    let with =
        |message: Message, (name, tally): (&Arc<str>, &Tally)| message.with_section(name, section(tally));
    match which {
        TallyOf::All => Some(Message::new().with_section("", section(&tallies.all))),
        TallyOf::Connection(name) => Some(with(Message::new(), tallies.by_connection.get_key_value(name)?)),
        TallyOf::EachConnection => Some(tallies.by_connection.iter().fold(Message::new(), with)),
    }
}

fn section(tally: &Tally) -> Message {
    let counts = Message::new()
        .with("ike-rekey-init", tally.ike_rekeys_begun)
        .with("ike-rekey-resp", tally.ike_rekeys_answered)
        .with("child-rekey", tally.child_rekeys)
        .with("invalid", tally.invalid)
        .with("invalid-spi", tally.unknown_spi);
    let exchanges = [
        ("ike-init", tally.init),
        ("ike-auth", tally.auth),
        ("create-child", tally.create_child),
        ("info", tally.informational),
    ];
    exchanges.into_iter().fold(counts, |counts, (exchange, messages)| {
        let Messages { requests_in, answers_in, requests_out, answers_out } = messages;
        counts
            .with(&format!("{exchange}-in-req"), requests_in)
            .with(&format!("{exchange}-in-resp"), answers_in)
            .with(&format!("{exchange}-out-req"), requests_out)
            .with(&format!("{exchange}-out-resp"), answers_out)
    })
}

const NOTHING: &str = "no counters found for this connection";
