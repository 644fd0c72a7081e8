//! A program that is spoken to by its standard streams, a line each.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Under memcheck everything takes its time, and more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// It is ended with this value.
pub(crate) struct Daemon {
    child: Child,
    commands: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Daemon {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = channel();
        let commands = child.stdin.take();
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("it is piped")),
            Box::new(child.stderr.take().expect("it is piped")),
        ];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(output).lines().map_while(Result::ok);
                lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
            });
        }
        Self { child, commands, lines, seen: Vec::new() }
    }

    pub(crate) fn tell(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("it still listens");
        writeln!(commands, "{command}").expect("it listens");
    }

    /// The next line that begins so; what comes before it is passed over.
    #[track_caller]
    pub(crate) fn line(&mut self, beginning: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.starts_with(beginning) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {beginning:?} in {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it has ended without {beginning:?}: {:#?}", self.seen)
                }
            }
        }
    }

    /// Waits for its end, which has to be a good one.
    #[track_caller]
    pub(crate) fn wait(mut self) {
        drop(self.commands.take());
        let status = self.child.wait().expect("it was started");
        self.seen.extend(self.lines.iter());
        assert!(status.success(), "{status}: {:#?}", self.seen);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
