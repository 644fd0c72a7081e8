//! strongSwan's own library for Python as client, where it is installed: `pip install vici`. Where another Python
//! than `python3` has it, `TIDEGATE_TEST_PYTHON` says which.

use crate::fake::{Asked, Fake, House, two_connections};
use std::process::{Command, Output};
use tidegate::engine::{Selection, Target};

/// `None` where there is no such library.
async fn python(house: &House, script: &'static str) -> Option<Output> {
    let python = std::env::var("TIDEGATE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_library = Command::new(&python).args(["-c", "import vici"]).output();
    if !has_library.is_ok_and(|output| output.status.success()) {
        use std::io::Write;
        let _ =
            writeln!(std::io::stderr().lock(), "left out: {python} has no library `vici` (pip install vici)");
        return None;
    }
    let mut command = Command::new(python);
    command.args(["-c", &[OPEN, script].concat()]).arg(&house.path);
    Some(tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it is there"))
}

const OPEN: &str = "
import socket, sys, vici
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
v = vici.Session(s)
";

async fn run(house: &House, script: &'static str) -> Option<String> {
    let output = python(house, script).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_library_reads_all_that_is_shown() {
    let house = House::open(&Fake::with(two_connections()));
    let script = "
print(v.version()['daemon'].decode())
print(v.stats()['ikesas']['total'].decode())
for sas in v.list_sas():
    for name, sa in sas.items():
        child = next(iter(sa['child-sas'].values()))
        print(name, sa['state'].decode(), child['name'].decode(), child['use-in'].decode(), child['local-ts'])
for sas in v.list_sas({'ike': 'edge-2'}):
    print('nothing is up there')
print(sum(1 for conns in v.list_conns()), list(v.get_conns()['conns']))
print(sum(1 for policies in v.list_policies({'trap': 'yes'})))
print(v.get_algorithms()['aead']['AES_GCM_16'].decode())
print(v.get_counters()['counters']['']['child-rekey'].decode())
v.reset_counters()
";
    let Some(text) = run(&house, script).await else { return };
    let expected = "\
tidegate
1
edge-1 ESTABLISHED edge-1-p2p 2 [b'10.1.0.0/24']
2 [b'edge-1', b'edge-2']
0
tidegate
4
";
    assert_eq!(text, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_library_gives_orders_and_hears_why_they_fail() {
    let house = House::open(&Fake::default());
    let script = "
for line in v.initiate({'child': 'net', 'ike': 'loud', 'timeout': '1000'}): print(line['msg'].decode())
for line in v.terminate({'ike': 'loud'}): print(line['msg'].decode())
v.rekey({'child': 'net'})
try:
    list(v.initiate({'ike': 'broken'}))
except vici.exception.CommandException as failure:
    print(failure)
";
    let Some(text) = run(&house, script).await else { return };
    assert!(text.starts_with("test: it is done\n"), "{text}");
    assert!(text.contains("establishing IKE_SA 'broken' failed: no answer for 30.0 s"), "{text}");
    let child = |connection: Option<&str>| (connection.map(Into::into), "net".into());
    let (connection, net) = child(Some("loud"));
    let (none, same) = child(None);
    let expected = [
        Asked::Initiate(Target::Child { connection, child: net }),
        Asked::Terminate(Selection::Connection("loud".into())),
        Asked::Rekey(Selection::Child { connection: none, child: same }),
        Asked::Initiate(Target::Connection("broken".into())),
    ];
    assert_eq!(house.fake.asked(), expected);
}
