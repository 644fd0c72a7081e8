//! Names to addresses, beside control.

use crate::action::LookupId;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// A resolver that takes longer has failed; the attempt is made again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// Questions that are on their way, and answers.
pub(crate) struct Lookups {
    sender: mpsc::UnboundedSender<Answer>,
    answers: mpsc::UnboundedReceiver<Answer>,
}

type Answer = (LookupId, Vec<IpAddr>);

impl Lookups {
    pub(crate) fn new() -> Self {
        // Each entry answers a question of the engine, which bounds them: one a connection.
        let (sender, answers) = mpsc::unbounded_channel();
        Self { sender, answers }
    }

    /// Begins to look these names up.
    pub(crate) fn begin(&self, lookup: LookupId, names: Vec<String>) {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let _ = sender.send((lookup, addresses(&names).await));
        });
    }

    /// The next answer; an empty one when there is none to be had.
    pub(crate) async fn next(&mut self) -> Option<Answer> {
        self.answers.recv().await
    }
}

/// The addresses of all names, in the order of the names, each once.
async fn addresses(names: &[String]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for name in names {
        let answer = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name.as_str(), 0))).await;
        let Ok(Ok(addresses)) = answer else { continue };
        for address in addresses.map(|address| address.ip()) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    found
}
