//! Slow arithmetic, done beside control: as many jobs at once as there are cores.
//!
//! A job that checks a peer may lack revocation lists. Where there is somebody to get them, it waits a little for
//! them, without a core.

use crate::io::clock::Clock;
use crate::revocation::Fetcher;
use std::sync::Arc;
use tidegate_ike::auth::{RevocationList, WantedList};
use tidegate_ike::crypto::SystemRandom;
use tidegate_ike::{Job, JobDone};
use tokio::sync::{Semaphore, mpsc};

/// Jobs that run or wait, and those that are done.
pub(crate) struct Jobs {
    doing: Doing,
    done: mpsc::UnboundedReceiver<JobDone>,
}

/// What it takes to do a job.
#[derive(Clone)]
struct Doing {
    cores: Arc<Semaphore>,
    fetcher: Option<Fetcher>,
    sender: mpsc::UnboundedSender<JobDone>,
}

/// How far a job has come.
enum Step {
    Done(JobDone),
    Lacks(Job, Vec<WantedList>),
}

impl Jobs {
    pub(crate) fn new(fetcher: Option<Fetcher>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Each entry answers a job that the engine has given out, which bounds them: one an IKE SA.
        let (sender, done) = mpsc::unbounded_channel();
        Self { doing: Doing { cores: Arc::new(Semaphore::new(cores)), fetcher, sender }, done }
    }

    /// Begins a job as soon as a core is free for it. One that does not end well leaves its attempt to time out.
    pub(crate) fn begin(&self, job: Job) {
        let doing = self.doing.clone();
        tokio::spawn(async move {
            if let Some(done) = doing.all_of(job).await {
                let _ = doing.sender.send(done);
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

impl Doing {
    async fn all_of(&self, job: Job) -> Option<JobDone> {
        let Some(fetcher) = &self.fetcher else {
            return self.on_a_core(move || run(job, &[])).await;
        };
        match self.on_a_core(move || first_step(job)).await? {
            Step::Done(done) => Some(done),
            Step::Lacks(job, wanted) => {
                let lists = fetcher.gather(wanted, Clock.now().wall).await;
                self.on_a_core(move || run(job, &lists)).await
            }
        }
    }

    async fn on_a_core<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _core = self.cores.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

fn first_step(job: Job) -> Step {
    let wanted = job.wanted_lists();
    if wanted.is_empty() { Step::Done(run(job, &[])) } else { Step::Lacks(job, wanted) }
}

fn run(job: Job, lists: &[Arc<RevocationList>]) -> JobDone {
    job.run_with(&mut SystemRandom::new(), lists)
}
