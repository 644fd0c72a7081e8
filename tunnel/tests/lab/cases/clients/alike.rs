//! Where it is charon's habits that clients rely on: the same is asked of both daemons, and the answers compared.

use super::office::Office;
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::network::Prefix;
use crate::support::pair::{Behind, Initiator, Pair};
use crate::support::tool::Tool;
use crate::support::wait;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The cases.
pub(super) fn suite() -> Suite {
    Cases::new("clients/alike", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody))
        .case("scripts_are_told_the_same", scripts)
        .case("scripts_are_told_the_same_of_leased_addresses", leases)
        .case("counters_begin_anew_at_the_same_words", counters)
        .case("of_several_secrets_the_same_is_taken", secrets)
        .case("of_several_secrets_the_same_is_taken_for_whoever_calls", secrets_for_callers)
        .suite()
}

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

fn scripts(lab: &Lab, pair: &mut Pair) {
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
fn leases(lab: &Lab, pair: &mut Pair) {
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

const PLAIN: &str = r"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = THERE.office }
        children {
            net { local_ts = HERE_PODS
                  remote_ts = THERE_PODS }
        }
    }";

/// In this order.
const COUNTING: [&str; 9] = [
    "--counters --all",
    "--counters",
    "--counters --name office",
    "--counters --name nobody",
    "--counters --reset --name nobody",
    "--counters --reset --all",
    "--counters",
    "--counters --all",
    "--counters --name office",
];

/// The same, when there is something to count once more.
const ONCE_MORE: [&str; 6] = [
    "--counters --reset",
    "--counters",
    "--counters --all",
    "--counters --reset --name office",
    "--counters --all",
    "--counters --reset --name office",
];

fn counters(lab: &Lab, pair: &mut Pair) {
    let office = Office::open(lab, pair, PLAIN);
    office.load();
    for tool in [&office.ours, &office.theirs] {
        tool.run("--counters --reset");
        tool.run("--counters --reset --all");
    }
    for words in [&COUNTING[..], &ONCE_MORE] {
        office.ours.run("--initiate --child net --timeout 10");
        office.theirs.run("--terminate --ike office --timeout 5");
        for words in words {
            let [ours, theirs] = [&office.ours, &office.theirs].map(|tool| counted(tool.try_to(words)));
            assert_eq!(ours, theirs, "{words}");
        }
    }
    office.tidegate.stop();
}

/// Sections, and whether anything was counted in each; or the complaint.
fn counted(outcome: Result<String, String>) -> Result<Vec<(String, bool)>, String> {
    let mut sections: Vec<(String, bool)> = Vec::new();
    for line in outcome?.lines() {
        match (line.split_once(" : "), sections.last_mut()) {
            (Some((_, count)), Some((_, any))) => *any |= count.trim() != "0",
            _ if !line.starts_with('[') => sections.push((line.to_owned(), false)),
            _ => {}
        }
    }
    Ok(sections)
}

/// Secrets as an end may hold them, with whose they are: `ME` is the end itself, `PEER` the other one.
const HELD: [(&str, &str); 7] = [
    ("any", ""),
    ("any-too", ""),
    ("us", "id-1 = ME"),
    ("peer", "id-1 = PEER"),
    ("both", "id-1 = ME\nid-2 = PEER"),
    ("pattern", "id-1 = *.office"),
    ("other", "id-1 = somebody.else"),
];

const SETS: [[&str; 2]; 9] = [
    ["any", "us"],
    ["any", "peer"],
    ["any", "both"],
    ["any", "any-too"],
    ["us", "peer"],
    ["us", "both"],
    ["us", "pattern"],
    ["peer", "pattern"],
    ["us", "other"],
];

/// The secret of the end that does not choose.
const KNOWN: &str = "the one that the other end has";

/// An end that has to choose.
struct Holder<'a> {
    tool: &'a Tool,
    me: &'static str,
    peer: &'static str,
}

type Names = Vec<&'static str>;

/// Each end in turn is called by one of whom it knows nothing before. Whoever calls says whom: without that
/// strongSwan passes over secrets that name itself.
fn secrets_for_callers(lab: &Lab, pair: &mut Pair) {
    let office = Office::open(lab, pair, PLAIN);
    office.load();
    let [we, they] = ends(&office);
    they.expect_anybody(pair.them.subnet_v4, pair.us.subnet_v4);
    let taken = SETS.map(|held| {
        they.hold(&held, "");
        match held.map(|known| we.reaches(known)) {
            [true, false] => held,
            [false, true] => [held[1], held[0]],
            both => panic!("strongSwan takes one of {held:?}, and not {both:?}"),
        }
    });
    office.tidegate.stop();

    let office = Office::open(lab, pair, PLAIN);
    office.load();
    let [we, they] = ends(&office);
    we.expect_anybody(pair.us.subnet_v4, pair.them.subnet_v4);
    for (held, [taken, other]) in SETS.into_iter().zip(taken) {
        we.hold(&held, "");
        // Whoever is called needs a moment to take up what it was told; what it refuses then it refuses for good.
        let what = format!("of {held:?} {taken} is taken");
        wait::until_true(&what, Duration::from_secs(5), || they.reaches(taken));
        assert!(!they.reaches(other), "of {held:?} {other} is taken");
    }
    let shown = SETS.iter().zip(taken).map(|(held, [taken, _])| format!("{}: {taken}", held.join(", ")));
    lab.say(shown.collect::<Vec<_>>().join("; "));
    office.tidegate.stop();
}

/// Each end in turn holds two secrets, of which the other one knows first one and then the other.
fn secrets(lab: &Lab, pair: &mut Pair) {
    let office = Office::open(lab, pair, PLAIN);
    office.load();
    let [we, they] = ends(&office);
    let [ours, theirs] = [(&we, &they), (&they, &we)].map(|(holder, knower)| {
        knower.hold(&["any"], "any");
        // Whoever is called needs a moment to take up what it was told.
        wait::until_true("the other end knows its secret", Duration::from_secs(5), || {
            holder.uses(&["any"], "any")
        });
        holder.choices()
    });
    assert_eq!(ours, theirs);
    let shown = ours.iter().map(|(held, used)| format!("{}: {}", held.join(", "), used.join(" and ")));
    lab.say(shown.collect::<Vec<_>>().join("; "));
    office.tidegate.stop();
}

fn ends(office: &Office) -> [Holder<'_>; 2] {
    [
        Holder { tool: &office.ours, me: "us.office", peer: "them.office" },
        Holder { tool: &office.theirs, me: "them.office", peer: "us.office" },
    ]
}

impl Holder<'_> {
    /// Has its connection be for whoever calls.
    fn expect_anybody(&self, ours: Prefix, theirs: Prefix) {
        self.tool.configure(&format!(
            "connections {{ office {{
                 encap = yes
                 local {{ auth = psk
                          id = {} }}
                 remote {{ auth = psk
                           id = %any }}
                 children {{ net {{ local_ts = {ours}
                                    remote_ts = {theirs} }} }}
             }} }}
             secrets {{ }}",
            self.me
        ));
        self.tool.run("--load-conns");
    }

    /// Which of two is used, in both orders.
    fn choices(&self) -> Vec<(Names, Names)> {
        let orders = SETS.into_iter().flat_map(|[a, b]| [vec![a, b], vec![b, a]]);
        let choose = |held: Names| {
            let used = held.iter().copied().filter(|known| self.uses(&held, known)).collect();
            (held, used)
        };
        orders.map(choose).collect()
    }

    /// Has it hold these and no others; the other end knows one of them.
    fn hold(&self, held: &[&str], known: &str) {
        let owners = |name: &str| {
            let found = HELD.iter().find(|(other, _)| *other == name);
            let (_, owners) = found.expect("one that may be held");
            owners.replace("ME", self.me).replace("PEER", self.peer)
        };
        let section = |name: &&str| {
            let secret = if *name == known { KNOWN } else { name };
            format!("ike-{name} {{\n{}\nsecret = \"{secret}\"\n}}\n", owners(name))
        };
        let sections: String = held.iter().map(section).collect();
        self.tool.configure(&format!("secrets {{\n{sections}}}\n"));
        self.tool.run("--load-creds --clear");
    }

    /// Whether the other end is content with a secret of this name.
    fn reaches(&self, known: &str) -> bool {
        self.tool.configure(&format!("secrets {{\nike-one {{ secret = \"{known}\" }}\n}}\n"));
        self.tool.run("--load-creds --clear");
        self.comes_to_terms()
    }

    /// Whether it comes to terms with the other end, which knows this one.
    fn uses(&self, held: &[&str], known: &str) -> bool {
        self.hold(held, known);
        self.comes_to_terms()
    }

    fn comes_to_terms(&self) -> bool {
        let outcome = self.tool.try_to("--initiate --child net --timeout 10");
        if outcome.is_ok() {
            self.tool.run("--terminate --ike office --timeout 5");
        }
        outcome.is_ok()
    }
}
