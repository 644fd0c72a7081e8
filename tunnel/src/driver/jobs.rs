//! Slow arithmetic, done beside control: as many jobs at once as there are cores.

use std::sync::Arc;
use tidegate_ike::crypto::SystemRandom;
use tidegate_ike::{Job, JobDone};
use tokio::sync::{Semaphore, mpsc};

/// Jobs that run or wait, and those that are done.
pub(crate) struct Jobs {
    cores: Arc<Semaphore>,
    sender: mpsc::UnboundedSender<JobDone>,
    done: mpsc::UnboundedReceiver<JobDone>,
}

impl Jobs {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Each entry answers a job that the engine has given out, which bounds them: one an IKE SA.
        let (sender, done) = mpsc::unbounded_channel();
        Self { cores: Arc::new(Semaphore::new(cores)), sender, done }
    }

    /// Begins a job as soon as a core is free for it.
    pub(crate) fn begin(&self, job: Job) {
        let (cores, sender) = (Arc::clone(&self.cores), self.sender.clone());
        tokio::spawn(async move {
            let Ok(_core) = cores.acquire_owned().await else { return };
            let run = tokio::task::spawn_blocking(move || job.run(&mut SystemRandom::new()));
            // A job that does not end well leaves its attempt to time out.
            if let Ok(done) = run.await {
                let _ = sender.send(done);
            }
        });
    }

    /// The next one that is done.
    pub(crate) async fn next(&mut self) -> Option<JobDone> {
        self.done.recv().await
    }

    /// The next one, if it is done already.
    pub(crate) fn try_next(&mut self) -> Option<JobDone> {
        self.done.try_recv().ok()
    }
}
