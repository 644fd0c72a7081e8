//! Scripts at children's coming and going, as charon runs them.
//!
//! 1. `environment` puts what is known of a child into charon's variables. What a peer says of itself gets there
//!    and nowhere else: the command is the operator's alone.
//! 2. [`Scripts`] keeps what is to be run: one script after the other for a child, few at a time in all, and no
//!    more than so many waiting (`queue`).
//! 3. A small process beside the daemon runs them, so that the daemon itself can give up all that scripts need
//!    and it does not ([`helper`]). The two speak a small protocol of their own (`message`).
//! 4. What a script says goes into the log, and so does how it ends if that is not well. One that takes too long
//!    is ended.

mod environment;
pub mod helper;
mod message;
mod queue;

use crate::event::{ChildFacts, Event};
use crate::io::addresses::interface_of;
use environment::{ChildChange, Verb, environment};
use message::Request;
use queue::Queue;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Scripts that may wait.
const MOST_WAITING: usize = 4096;

/// Runs scripts.
pub struct Scripts {
    orders: mpsc::Sender<Order>,
    /// Of children that are up, by their numbers.
    interfaces: BTreeMap<u32, String>,
    task: JoinHandle<()>,
}

/// One script to be run.
struct Order {
    /// Whose turn it is: scripts of one child do not overtake each other.
    child: Arc<str>,
    request: Request,
}

impl Scripts {
    /// Has this helper run them. To be called within a tokio runtime.
    pub fn start(helper: StdStream) -> io::Result<Self> {
        helper.set_nonblocking(true)?;
        let stream = UnixStream::from_std(helper)?;
        let (orders, inbox) = mpsc::channel(MOST_WAITING);
        let task = tokio::spawn(Queue::new(stream, inbox).run());
        Ok(Self { orders, interfaces: BTreeMap::new(), task })
    }

    /// Has a child's command run if this is about its coming or going, once for each pair of its selectors.
    pub fn heed(&mut self, event: &Event) {
        let (verb, child) = match event {
            Event::ChildUp(child) => (Verb::Up, child),
            Event::ChildDown { child, .. } => (Verb::Down, child),
            Event::Missed(count) => {
                tracing::error!(area = "updown", "scripts may be missing: {count} events were lost");
                return;
            }
            _ => return,
        };
        if let Some(command) = &child.updown {
            let interface = self.interface(verb, child);
            self.run(command, &ChildChange { verb, child: Arc::clone(child), interface });
        }
    }

    fn run(&self, command: &Arc<str>, change: &ChildChange) {
        let child: Arc<str> = format!("{}/{}", change.child.connection, change.child.child).into();
        for environment in environment(change) {
            let request = Request { command: Arc::clone(command), environment };
            if self.orders.try_send(Order { child: Arc::clone(&child), request }).is_err() {
                tracing::error!(area = "updown", %child, "a script is not run: {MOST_WAITING} wait already");
                return;
            }
        }
    }

    /// Where a child has gone, its interface may have gone before it.
    fn interface(&mut self, verb: Verb, child: &ChildFacts) -> Option<String> {
        match verb {
            Verb::Up => {
                let interface = interface_of(child.local.ip())?;
                self.interfaces.insert(child.reqid, interface.clone());
                Some(interface)
            }
            Verb::Down => self.interfaces.remove(&child.reqid),
        }
    }

    /// Ready when all scripts have been run, or after this long.
    pub async fn finish(self, patience: Duration) {
        drop(self.orders);
        if timeout(patience, self.task).await.is_err() {
            tracing::warn!(area = "updown", "some scripts were not waited for");
        }
    }
}
