//! The process beside the daemon that runs scripts: `tidegate updown-helper`.
//!
//! It is started before the daemon gives anything up, does what the socket on its standard input says, and ends
//! when that is closed. It reads nothing of the network's, and has no secrets.

use super::message::{self, Answer, MOST_SAID, Outcome, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Scripts that run at a time.
pub(super) const AT_ONCE: usize = 8;

/// How long a script may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long we listen on when a script has ended and left something behind that could still speak.
const AFTERWARDS: Duration = Duration::from_millis(200);
/// How often we look whether a silent script has ended.
const GLANCE: Duration = Duration::from_millis(20);

/// The name of the command that a daemon starts itself with.
pub const COMMAND: &str = "updown-helper";

/// Starts a helper, which is this program under another command, and returns the way to it.
pub fn start() -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new("/proc/self/exe")
        .arg(COMMAND)
        .stdin(OwnedFd::from(theirs))
        // What is meant for the daemon, from a terminal for one, is not meant for scripts that end its work.
        .process_group(0)
        .spawn()?;
    // It ends when we do, and then nobody waits for it.
    drop(child);
    Ok(ours)
}

/// Runs what comes on this stream until it is closed, and waits for what was begun.
pub fn serve(mut stream: UnixStream) -> io::Result<()> {
    let answers = Arc::new(Mutex::new(stream.try_clone()?));
    let running = Arc::new(());
    thread::scope(|scope| {
        while let Some((number, request)) = next(&mut stream) {
            let (answers, place) = (Arc::clone(&answers), Arc::clone(&running));
            // One for us, one for each that runs.
            if Arc::strong_count(&running) > AT_ONCE + 1 {
                answer(&answers, number, (Outcome::NotBegun, "too many scripts at a time".to_owned()));
                continue;
            }
            scope.spawn(move || {
                let done = run(&request, PATIENCE);
                // There is room for the next as soon as the daemon knows of this one.
                drop(place);
                answer(&answers, number, done);
            });
        }
    });
    Ok(())
}

fn next(stream: &mut UnixStream) -> Option<(u64, Request)> {
    Request::decode(&message::read(stream)?)
}

/// A daemon that is gone does not want to know.
fn answer(answers: &Mutex<UnixStream>, number: u64, (outcome, said): (Outcome, String)) {
    let Some(bytes) = (Answer { number, outcome, said }).encode() else { return };
    let _ = answers.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes);
}

/// Runs a script to its end, or to the end of its time.
fn run(request: &Request, patience: Duration) -> (Outcome, String) {
    match begin(request) {
        Ok((child, output)) => watch(child, output, patience),
        Err(error) => (Outcome::NotBegun, error.to_string()),
    }
}

fn begin(request: &Request) -> io::Result<(Child, PipeReader)> {
    let (output, input) = io::pipe()?;
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(&*request.command).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()));
    command.envs(request.environment.iter().filter_map(|variable| variable.split_once('=')));
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input).process_group(0).current_dir("/");
    Ok((command.spawn()?, output))
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn watch(mut child: Child, mut output: PipeReader, patience: Duration) -> (Outcome, String) {
    let mut said = Vec::new();
    let mut end = Instant::now() + patience;
    let mut ended: Option<ExitStatus> = None;
    let mut silent = false;
    while Instant::now() < end && !(ended.is_some() && silent) {
        silent = silent || !listen(&mut output, &mut said);
        if silent {
            thread::sleep(GLANCE);
        }
        if ended.is_none()
            && let Ok(Some(status)) = child.try_wait()
        {
            ended = Some(status);
            end = end.min(Instant::now() + AFTERWARDS);
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    match ended {
        Some(status) => (outcome(status), said),
        None => {
            // All of it, and what it has begun.
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
            (Outcome::TooLong, said)
        }
    }
}

/// Hears a script for a moment; false if it will say nothing more.
fn listen(output: &mut PipeReader, said: &mut Vec<u8>) -> bool {
    let wait = Timespec::try_from(GLANCE).ok();
    match poll(&mut [PollFd::new(&*output, PollFlags::IN)], wait.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => true,
        Ok(_) => {
            let mut buffer = [0; 4096];
            let Ok(length) = output.read(&mut buffer) else { return false };
            let room = MOST_SAID.saturating_sub(said.len());
            said.extend(buffer.iter().take(length.min(room)));
            length > 0
        }
        Err(_) => false,
    }
}

fn outcome(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exit(code),
        (None, Some(signal)) => Outcome::Signal(signal),
        (None, None) => Outcome::NotBegun,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(command: &str, environment: &[&str]) -> Request {
        let environment = environment.iter().map(|variable| (*variable).to_owned()).collect();
        Request { command: command.into(), environment }
    }

    fn outcome_of(command: &str) -> (Outcome, String) {
        run(&request(command, &["PLUTO_VERB=up-client"]), Duration::from_secs(10))
    }

    #[test]
    fn a_script_has_its_variables_and_nothing_else() {
        let (outcome, said) = outcome_of("env | sort");
        assert_eq!(outcome, Outcome::Exit(0));
        let names: Vec<&str> = said.lines().filter_map(|line| line.split('=').next()).collect();
        // The last two the shell makes itself.
        assert!(
            names.iter().all(|name| ["PATH", "PLUTO_VERB", "PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        );
        assert!(said.contains("PLUTO_VERB=up-client\n"));
    }

    #[test]
    fn what_it_says_and_how_it_ends_is_told() {
        assert_eq!(outcome_of("echo out; echo err >&2; exit 3"), (Outcome::Exit(3), "out\nerr\n".into()));
        assert_eq!(outcome_of("kill -9 $$"), (Outcome::Signal(9), String::new()));
        assert_eq!(outcome_of("cat").0, Outcome::Exit(0), "there is nothing to read");
        assert_eq!(outcome_of("/nowhere/script").0, Outcome::Exit(127));
    }

    #[test]
    fn what_it_says_is_bounded() {
        let (outcome, said) = outcome_of("head -c 1000000 /dev/zero | tr '\\0' x");
        assert_eq!((outcome, said.len()), (Outcome::Exit(0), MOST_SAID));
    }

    #[test]
    fn one_that_takes_too_long_is_ended_with_all_it_has_begun() {
        let start = Instant::now();
        let (outcome, said) =
            run(&request("sleep 600 & echo $!; sleep 600", &[]), Duration::from_millis(300));
        assert_eq!(outcome, Outcome::TooLong);
        assert!(start.elapsed() < Duration::from_secs(5));
        let left: i32 = said.trim().parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while is_running(left) {
            assert!(Instant::now() < deadline, "process {left} goes on");
            thread::sleep(GLANCE);
        }
    }

    /// One that has ended may not have been waited for yet.
    fn is_running(process: i32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn one_that_leaves_something_running_is_not_waited_for_longer() {
        let start = Instant::now();
        let (outcome, said) = outcome_of("sleep 3 & echo begun");
        assert_eq!((outcome, said.as_str()), (Outcome::Exit(0), "begun\n"));
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
