//! What waits for its turn, and what the helper has at hand.

use super::helper::AT_ONCE;
use super::message::{self, Answer, Outcome};
use super::{MOST_WAITING, Order};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Lines of a script that get into the log.
const MOST_LINES: usize = 64;

pub(super) struct Queue {
    inbox: mpsc::Receiver<Order>,
    waiting: VecDeque<Order>,
    busy: HashSet<Arc<str>>,
    running: BTreeMap<u64, Arc<str>>,
    last: u64,
    to_helper: OwnedWriteHalf,
    answers: mpsc::Receiver<Answer>,
    reading: JoinHandle<()>,
}

impl Queue {
    /// Has to be called within a tokio runtime.
    pub(super) fn new(helper: UnixStream, inbox: mpsc::Receiver<Order>) -> Self {
        let (from_helper, to_helper) = helper.into_split();
        let (sender, answers) = mpsc::channel(AT_ONCE);
        let reading = tokio::spawn(read(from_helper, sender));
        let (waiting, busy) = (VecDeque::new(), HashSet::new());
        Self { inbox, waiting, busy, running: BTreeMap::new(), last: 0, to_helper, answers, reading }
    }

    /// Until there are no more orders and all are done, or the helper is gone.
    pub(super) async fn run(mut self) {
        let mut over = false;
        while !(over && self.waiting.is_empty() && self.running.is_empty()) {
            tokio::select! {
                order = self.inbox.recv(), if !over && self.waiting.len() < MOST_WAITING => match order {
                    Some(order) => self.waiting.push_back(order),
                    None => over = true,
                },
                answer = self.answers.recv() => match answer {
                    Some(answer) => self.done(&answer),
                    None => return self.lost().await,
                },
            }
            if self.begin().await.is_err() {
                return self.lost().await;
            }
        }
    }

    /// Begins what may begin, the longest waiting first.
    async fn begin(&mut self) -> io::Result<()> {
        while self.running.len() < AT_ONCE {
            let free = self.waiting.iter().position(|order| !self.busy.contains(&order.child));
            let Some(order) = free.and_then(|at| self.waiting.remove(at)) else { return Ok(()) };
            self.last += 1;
            let Some(bytes) = order.request.encode(self.last) else {
                tracing::error!(area = "updown", child = %order.child, "a script is not run: it is too long");
                continue;
            };
            self.busy.insert(Arc::clone(&order.child));
            self.running.insert(self.last, order.child);
            self.to_helper.write_all(&bytes).await?;
        }
        Ok(())
    }

    fn done(&mut self, answer: &Answer) {
        let Some(child) = self.running.remove(&answer.number) else { return };
        self.busy.remove(&child);
        for line in answer.said.lines().take(MOST_LINES) {
            let line = line.escape_debug();
            tracing::info!(area = "updown", %child, "{line}");
        }
        match answer.outcome {
            Outcome::Exit(0) => {}
            Outcome::Exit(code) => tracing::warn!(area = "updown", %child, "the script ends with {code}"),
            Outcome::Signal(signal) => {
                tracing::warn!(area = "updown", %child, "the script was ended by signal {signal}");
            }
            Outcome::TooLong => {
                tracing::warn!(area = "updown", %child, "the script took too long, and was ended");
            }
            Outcome::NotBegun => tracing::error!(area = "updown", %child, "the script cannot be run"),
        }
    }

    /// Nobody runs scripts any more; each that should be is told of.
    async fn lost(mut self) {
        tracing::error!(area = "updown", "the helper that runs scripts is gone; restart tidegate");
        while let Some(order) = self.inbox.recv().await {
            tracing::error!(area = "updown", child = %order.child, "a script is not run: the helper is gone");
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(mut stream: OwnedReadHalf, answers: mpsc::Sender<Answer>) {
    // What is no answer ends it: the two have lost each other.
    while let Ok(Some(answer)) = next(&mut stream).await {
        if answers.send(answer).await.is_err() {
            return;
        }
    }
}

async fn next(stream: &mut OwnedReadHalf) -> io::Result<Option<Answer>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let mut text = vec![0; message::checked(length)?];
    stream.read_exact(&mut text).await?;
    Ok(std::str::from_utf8(&text).ok().and_then(Answer::decode))
}
