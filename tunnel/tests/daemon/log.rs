//! What a daemon says on standard error.

use crate::support::Folder;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// A daemon as a process, killed when dropped.
struct Process(Child);

impl Process {
    /// With a configuration that says this of the node and of its log.
    fn start(folder: &Folder, node: &str, log: &str, environment: Option<&str>) -> Self {
        let text = folder.configuration(&[]).replace("[node]\n", &format!("[node]\n{node}\n"));
        folder.write("tidegate.toml", &format!("{text}[node.log]\n{log}\n"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(["run", "--config"]).arg(folder.path("tidegate.toml")).env_remove("TIDEGATE_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.envs(environment.map(|levels| ("TIDEGATE_LOG", levels)));
        Self(command.spawn().expect("it is built"))
    }

    /// All that it says up to a line with these words.
    fn says(&mut self, last: &str) -> String {
        let mut said = String::new();
        let mut lines = BufReader::new(self.0.stderr.take().expect("it is piped"));
        while !said.contains(last) {
            assert_ne!(lines.read_line(&mut said).expect("text"), 0, "it ended: {said}");
        }
        said
    }

    fn ends_saying(mut self) -> String {
        let mut said = String::new();
        self.0.stderr.take().expect("it is piped").read_to_string(&mut said).expect("text");
        assert!(!self.0.wait().expect("a child of ours").success());
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_environment_counts_more_than_the_configuration() {
    let folder = Folder::new();
    let mut process = Process::start(&folder, "", "level = \"off\"", Some("info"));
    process.says("edge-1 runs with");
}

#[test]
fn levels_in_the_environment_that_make_no_sense_are_named() {
    let folder = Folder::new();
    let said = Process::start(&folder, "", "level = \"info\"", Some("tidegate=loud")).ends_saying();
    assert!(said.contains("TIDEGATE_LOG"), "{said}");
}

#[test]
fn a_key_log_is_loud_and_for_its_owner_alone() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    let mut process = Process::start(&folder, "key_log = \"keys\"", "level = \"warn\"", None);
    let said = process.says("ALL KEYS ARE WRITTEN");
    assert!(said.contains(&folder.path("keys").display().to_string()), "{said}");
    for file in ["esp_sa", "ikev2_decryption_table"] {
        let mode = folder.path("keys").join(file).metadata().expect(file).mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
