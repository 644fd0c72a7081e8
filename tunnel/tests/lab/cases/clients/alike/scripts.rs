//! What scripts are told at children's coming and going.

use super::super::office::Office;
use crate::support::Lab;
use crate::support::pair::{Initiator, Pair};
use crate::support::wait;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SCRIPTS: &str = r"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = THERE.office }
        children {
            nets { local_ts = HERE_PODS,10.8HERE_NUMBER.0.0/16,HERE_PODS_V6
                   remote_ts = THERE_PODS,10.8THERE_NUMBER.0.0/16,THERE_PODS_V6
                   updown = FOLDER/HERE.sh }
            ports { local_ts = 10.9HERE_NUMBER.0.0/24[tcp/4242]
                    remote_ts = 10.9THERE_NUMBER.0.0/24[tcp/4242]
                    updown = FOLDER/HERE.sh }
            narrowed { local_ts = 10.10HERE_NUMBER.0.7
                       remote_ts = 10.10THERE_NUMBER.0.0/24[udp]
                       updown = FOLDER/HERE.sh }
            hosts { local_ts = HERE_ADDRESS,10.11HERE_NUMBER.0.0/24
                    remote_ts = THERE_ADDRESS,10.11THERE_NUMBER.0.0/24
                    updown = FOLDER/HERE.sh }
        }
    }";

/// What a script was told in each of its runs.
type Runs = Vec<BTreeSet<String>>;

/// Writes the scripts of both sides, each of which notes down what it is told.
fn write_scripts(lab: &Lab) -> PathBuf {
    let folder = lab.fresh("scripts");
    fs::create_dir_all(&folder).expect("a folder");
    for side in ["us", "them"] {
        let (script, notes) = (folder.join(format!("{side}.sh")), folder.join(format!("{side}.env")));
        // A run is whole when it has its name.
        let text =
            format!("#!/bin/sh\nenv | grep ^PLUTO_ >{0}.$$ && mv {0}.$$ {0}.$$.run\n", notes.display());
        fs::write(&script, text).expect("a file");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    folder
}

fn runs(folder: &Path, side: &str) -> Runs {
    let entries = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let ended = entries.filter(|path| path.extension().is_some_and(|extension| extension == "run"));
    let own = ended.filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{side}.env")))
    });
    let read = |path: PathBuf| fs::read_to_string(path).expect("a file").lines().map(str::to_owned).collect();
    let mut all: Runs = own.map(read).collect();
    all.sort();
    all
}

/// Waits until both have run as often as is awaited, and compares what they were told, each from its own side.
#[track_caller]
fn assert_alike(lab: &Lab, ours: &dyn Fn() -> Runs, theirs: &dyn Fn() -> Runs, number: usize) {
    let (ours, theirs) = wait::until("all scripts have run", Duration::from_secs(5), || {
        let found = (ours(), theirs());
        (found.0.len() >= number && found.1.len() >= number).then_some(found)
    });
    assert_eq!((ours.len(), theirs.len()), (number, number), "{ours:#?}\n{theirs:#?}");
    let (ours, theirs) = (leveled(&ours, str::to_owned), leveled(&theirs, swapped));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
        assert_eq!(
            ours,
            theirs,
            "only ours: {:#?}, only theirs: {:#?}",
            only(ours, theirs),
            only(theirs, ours)
        );
    }
    let names: BTreeSet<_> = ours.iter().flatten().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    lab.say(format!("{number} runs are alike in {} variables", names.len()));
}

/// Without the numbers that a daemon gives.
fn leveled(runs: &Runs, end: fn(&str) -> String) -> Runs {
    let level = |line: &String| match line.split_once('=') {
        Some((name @ ("PLUTO_UNIQUEID" | "PLUTO_REQID"), value)) => {
            assert!(value.parse::<u32>().is_ok_and(|number| number > 0), "{line}");
            format!("{name}=a number")
        }
        _ => end(line),
    };
    let mut all: Runs = runs.iter().map(|run| run.iter().map(level).collect()).collect();
    all.sort();
    all
}

/// What one end says as the other one would say it.
fn swapped(line: &str) -> String {
    let pairs = [("us.office", "them.office"), ("198.18.1.", "198.18.2."), ("fd00:1:", "fd00:2:")];
    let tens = [("10.1.", "10.2."), ("10.71.", "10.72."), ("10.81.", "10.82."), ("10.91.", "10.92.")];
    let hundreds = [("10.101.", "10.102."), ("10.111.", "10.112.")];
    let swap = |line: String, (a, b): (&str, &str)| line.replace(a, "\0").replace(b, a).replace('\0', b);
    pairs.into_iter().chain(tens).chain(hundreds).fold(line.to_owned(), swap)
}

pub(super) fn of_children(lab: &Lab, pair: &mut Pair) {
    let folder = write_scripts(lab);
    // strongSwan takes a child in userspace only where it has an address that the child carries.
    for address in ["10.82.0.1/16", "10.92.0.1/24", "10.102.0.7/32", "10.112.0.1/24"] {
        pair.them.node.ip(&format!("addr replace {address} dev lo"));
    }
    let office = Office::open(lab, pair, &SCRIPTS.replace("FOLDER", &folder.display().to_string()));
    office.load();
    for (child, by) in [
        ("nets", Initiator::We),
        ("ports", Initiator::They),
        ("narrowed", Initiator::We),
        ("hosts", Initiator::They),
    ] {
        office.of(by).run(&format!("--initiate --child {child} --timeout 10"));
    }
    office.theirs.run("--terminate --child ports --timeout 5");
    office.ours.run("--terminate --ike office --timeout 5");
    // Four pairs and one, one, one, and four; each at its coming and its going.
    assert_alike(lab, &|| runs(&folder, "us"), &|| runs(&folder, "them"), 22);
    office.tidegate.stop();
}

const LEASES: &str = r"
    road {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        vips = 0.0.0.0
        local  { auth = psk
                 id = road.HERE.office }
        remote { auth = psk
                 id = gate.THERE.office }
        children {
            road { remote_ts = THERE_PODS
                   updown = FOLDER/HERE.sh }
        }
    }
    gate {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        pools = pool-HERE
        local  { auth = psk
                 id = gate.HERE.office }
        remote { auth = psk
                 id = road.THERE.office }
        children {
            gate { local_ts = HERE_PODS
                   updown = FOLDER/HERE.sh }
        }
    }";

/// Each is once the one that is given an address, and once the one that gives it.
pub(super) fn of_leases(lab: &Lab, pair: &mut Pair) {
    let folder = write_scripts(lab);
    let office = Office::open(lab, pair, &LEASES.replace("FOLDER", &folder.display().to_string()));
    office.load();
    for by in [Initiator::We, Initiator::They] {
        office.of(by).run("--initiate --child road --timeout 10");
        office.of(by).run("--terminate --ike road --timeout 5");
    }
    assert_alike(lab, &|| runs(&folder, "us"), &|| runs(&folder, "them"), 4);
    office.tidegate.stop();
}
