//! Which of several secrets is taken that fit.

use super::super::office::Office;
use super::PLAIN;
use crate::support::Lab;
use crate::support::network::Prefix;
use crate::support::pair::Pair;
use crate::support::tool::Tool;
use crate::support::wait;
use std::time::Duration;

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
pub(super) fn of_called(lab: &Lab, pair: &mut Pair) {
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
pub(super) fn of_callers(lab: &Lab, pair: &mut Pair) {
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
