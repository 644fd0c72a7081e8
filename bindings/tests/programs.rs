//! Programs in C and Python that use the library as any other would.

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use support::daemon::Daemon;
use support::loopback::Loopback;
use support::{Folder, Linked, can_do, is_on_path, library, memcheck, succeed};
use tidegate_ike::WallTime;
use tunnel::pki::{Authority, KeyChoice, Node, Validity};

/// Two nodes that know a secret.
const SECRET: Loopback = Loopback {
    network: 92,
    node: |_| String::new(),
    remote: |peer| format!("id = \"{peer}\"\npsk_file = \"secret\""),
};

fn has_memcheck() -> bool {
    can_do("memcheck", &[("valgrind", is_on_path("valgrind"))])
}

/// Runs a program, under memcheck where that is there; it says so when all is well.
fn run(program: &Path, words: &[&str]) {
    let mut command = if has_memcheck() { memcheck(program) } else { Command::new(program) };
    let said = succeed(command.args(words));
    assert!(said.ends_with("done\n"), "{said}");
}

#[test]
fn two_engines_without_threads_talk_by_a_shared_secret() {
    let folder = Folder::new();
    run(&folder.build("tests/c/pair.c", Linked::Shared, &["-lcrypto"]), &["psk"]);
}

#[test]
fn a_key_that_is_elsewhere_signs_by_a_call() {
    let folder = Folder::new();
    certificates(&folder);
    let pair = folder.build("tests/c/pair.c", Linked::Shared, &["-lcrypto"]);
    run(&pair, &["signer", folder.path("").to_str().expect("a path")]);
}

fn certificates(folder: &Folder) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let now = WallTime(now);
    let name = |name: &str| format!("O=test, CN={name}").parse().expect("a name");
    let made = Authority::create(name("CA"), KeyChoice::EcdsaP256, Validity::days(now, 2));
    let (authority, _) = made.expect("an authority");
    folder.write("ca.pem", &authority.pem());
    for who in ["a", "b"] {
        let node = Node { subject: name(who), names: Vec::new(), validity: Validity::days(now, 1) };
        let issued = authority.issue(&node, KeyChoice::EcdsaP256).expect("a certificate");
        folder.write(&format!("{who}.pem"), &issued.pem());
        folder.write(&format!("{who}.key"), &issued.key.pem());
    }
}

#[test]
fn every_mistake_of_a_caller_is_answered() {
    let folder = Folder::new();
    run(&folder.build("tests/c/misuse.c", Linked::Shared, &[]), &[]);
}

#[test]
fn the_library_can_be_a_part_of_the_program() {
    let folder = Folder::new();
    let program = folder.build("tests/c/misuse.c", Linked::Static, &[]);
    assert!(succeed(&mut Command::new(program)).ends_with("done\n"));
}

#[test]
fn tunnels_fit_into_the_event_loop_of_a_daemon() {
    let folder = Folder::new();
    let program = folder.build("examples/daemon.c", Linked::Shared, &[]);
    folder.write("secret", "known to both\n");
    let start = |number: u8, port: u16| {
        let config = folder.path(&format!("{number}.toml"));
        folder.write(&format!("{number}.toml"), &SECRET.configuration(number, port));
        let mut command = if has_memcheck() { memcheck(&program) } else { Command::new(&program) };
        command.arg(config).current_dir(folder.path(""));
        Daemon::start(command)
    };
    let port = SECRET.free_port();
    let (mut one, mut two) = (start(1, port), start(2, port));
    two.line("ready");
    one.line("ready");
    one.tell("up peer");
    one.line("request 1 begun");
    assert_eq!(one.line("event done"), "event done : done");
    one.tell("send 10.1.0.1 10.2.0.1 through the tunnel");
    assert_eq!(two.line("packet"), "packet through the tunnel");
    two.tell("send 10.2.0.1 10.1.0.1 and back");
    assert_eq!(one.line("packet"), "packet and back");
    one.tell("status");
    let status = one.line("status");
    assert!(status.contains(r#""state":"up""#) && status.contains(r#""peer":"b""#), "{status}");
    one.tell("nonsense");
    one.line("error: no such command");
    one.tell("down peer");
    two.line("event down peer");
    for mut daemon in [one, two] {
        daemon.tell("quit");
        daemon.line("event stopped");
        daemon.line("left");
        daemon.wait();
    }
}

#[test]
fn what_is_installed_is_found_by_pkg_config() {
    if !can_do("pkg-config", &[("pkg-config", is_on_path("pkg-config"))]) {
        return;
    }
    let folder = Folder::new();
    let prefix = folder.path("usr");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = library("libtidegate_ffi.so");
    let from = built.parent().expect("it is in a folder");
    succeed(Command::new("sh").arg(here.join("install.sh")).env("PREFIX", &prefix).env("FROM", from));
    let mut ask = Command::new("pkg-config");
    ask.args(["--cflags", "--libs", "tidegate"]).env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    let flags = succeed(&mut ask);
    let program = folder.path("misuse");
    let mut compile = Command::new("gcc");
    compile.args(["-D_GNU_SOURCE", "-pthread"]).arg(here.join("tests/c/misuse.c")).arg("-o").arg(&program);
    succeed(compile.args(flags.split_whitespace()));
    let said = succeed(Command::new(&program).env("LD_LIBRARY_PATH", prefix.join("lib")));
    assert!(said.ends_with("done\n"), "{said}");
}

#[test]
fn python_uses_the_library_by_its_foreign_functions() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tidegate.py");
    let mut command = Command::new("python3");
    let said = succeed(command.arg(example).env("TIDEGATE_LIBRARY", library("libtidegate_ffi.so")));
    assert!(said.ends_with("through the tunnel: hello\n"), "{said}");
}

#[test]
fn the_shared_library_has_its_name_and_shows_nothing_but_its_own() {
    let symbols =
        succeed(Command::new("nm").args(["-D", "--defined-only"]).arg(library("libtidegate_ffi.so")));
    let names: Vec<_> = symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert!(names.contains(&"tidegate_manager_new"), "{names:?}");
    let others: Vec<_> = names.iter().filter(|name| !name.starts_with("tidegate_")).collect();
    assert!(others.is_empty(), "{others:?}");
    let dynamic = succeed(Command::new("readelf").arg("-d").arg(library("libtidegate_ffi.so")));
    assert!(dynamic.contains("Library soname: [libtidegate.so.1]"), "{dynamic}");
}
