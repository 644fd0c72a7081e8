//! A daemon in C whose peers are looked up in a list that their authority publishes by HTTP.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::daemon::Daemon;
use support::loopback::Loopback;
use support::{Folder, Linked, can_do, is_on_path, succeed};

#[test]
fn a_peer_that_the_fetched_list_does_not_name_is_let_in() {
    let Some(authority) = Authority::new() else { return };
    let answer = authority.attempt();
    assert_eq!(answer, "event done : done");
    assert!(authority.asked.load(Ordering::Relaxed) > 0, "nobody has asked for the list");
}

#[test]
fn a_peer_that_the_fetched_list_names_is_not() {
    let Some(authority) = Authority::new() else { return };
    authority.openssl(&["ca", "-config", "ca.cnf", "-revoke", "b.pem"]);
    authority.publish();
    let answer = authority.attempt();
    assert!(answer.contains("revoked"), "{answer}");
}

/// Two nodes with certificates. Whom no list speaks of is not let in.
const CERTIFIED: Loopback = Loopback {
    network: 93,
    node: |name| {
        format!(
            "certificate = \"{name}.pem\"\nkey = \"{name}.key\"\ntrust = [\"ca.pem\"]\nrevocation = \"strict\""
        )
    },
    remote: |peer| format!("id = \"CN={peer}\""),
};

/// Its list is at an address of loopback, which certificates name.
struct Authority {
    folder: Folder,
    asked: Arc<AtomicUsize>,
}

impl Authority {
    fn new() -> Option<Self> {
        if !can_do("revocation", &[("openssl", is_on_path("openssl"))]) {
            return None;
        }
        let folder = Folder::new();
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let place = format!("http://{}/ca.crl", listener.local_addr().expect("it listens"));
        folder.write("ca.cnf", &settings(&place));
        folder.write("index.txt", "");
        folder.write("number.txt", "01");
        let authority = Self { folder, asked: Arc::default() };
        let make =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        let whose = ["-subj", "/CN=CA", "-config", "ca.cnf", "-extensions", "authority"];
        authority.openssl(&[&make[..], &whose, &["-keyout", "ca.key", "-out", "ca.pem"]].concat());
        ["a", "b"].iter().for_each(|who| authority.issue(who));
        authority.publish();
        authority.serve(listener);
        Some(authority)
    }

    fn openssl(&self, words: &[&str]) {
        succeed(Command::new("openssl").args(words).current_dir(self.folder.path("")));
    }

    fn issue(&self, who: &str) {
        let [key, request, certificate] = ["key", "csr", "pem"].map(|end| format!("{who}.{end}"));
        let (name, make) =
            (format!("/CN={who}"), ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        self.openssl(&[&make[..], &["-nodes", "-subj", &name, "-keyout", &key, "-out", &request]].concat());
        let sign = ["x509", "-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        let how = ["-days", "1", "-extfile", "ca.cnf", "-extensions", "node", "-out", &certificate];
        self.openssl(&[&sign[..], &how].concat());
        // Keys that others may read are refused.
        let key_text = std::fs::read_to_string(self.folder.path(&key)).expect("openssl has written it");
        self.folder.write(&key, &key_text);
    }

    fn publish(&self) {
        self.openssl(&["ca", "-config", "ca.cnf", "-gencrl", "-out", "list.pem"]);
        self.openssl(&["crl", "-in", "list.pem", "-outform", "DER", "-out", "ca.crl"]);
    }

    /// Gives the list as it is to whoever asks for it.
    fn serve(&self, listener: TcpListener) {
        let (path, asked) = (self.folder.path("ca.crl"), Arc::clone(&self.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), Ok(list)) = (stream, std::fs::read(&path)) else { return };
                let mut request = [0; 2048];
                let length = stream.read(&mut request).unwrap_or(0);
                assert!(
                    request[..length].starts_with(b"GET /ca.crl "),
                    "{:?}",
                    request[..length].escape_ascii()
                );
                asked.fetch_add(1, Ordering::Relaxed);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", list.len());
                let _ = stream.write_all(&[head.as_bytes(), &list].concat());
            }
        });
    }

    /// What one daemon says of its attempt to reach another.
    fn attempt(&self) -> String {
        let program = self.folder.build("examples/daemon.c", Linked::Shared, &[]);
        let port = CERTIFIED.free_port();
        let [mut called, mut caller] = [2_u8, 1].map(|number| {
            let config = format!("{number}.toml");
            self.folder.write(&config, &CERTIFIED.configuration(number, port));
            let mut command = Command::new(&program);
            command.arg(&config).current_dir(self.folder.path(""));
            Daemon::start(command)
        });
        called.line("ready");
        caller.line("ready");
        caller.tell("up peer");
        let answer = caller.line("event done");
        for mut daemon in [caller, called] {
            daemon.tell("quit");
            daemon.line("left");
            daemon.wait();
        }
        answer
    }
}

fn settings(place: &str) -> String {
    format!(
        "[req]\ndistinguished_name = name\n[name]\n\
         [authority]\nbasicConstraints = critical, CA:true\nkeyUsage = critical, keyCertSign, cRLSign\n\
         subjectKeyIdentifier = hash\n\
         [node]\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n\
         crlDistributionPoints = URI:{place}\n\
         [ca]\ndefault_ca = here\n\
         [here]\ndatabase = index.txt\ncertificate = ca.pem\nprivate_key = ca.key\n\
         default_md = sha256\ndefault_crl_days = 1\n\
         crlnumber = number.txt\ncrl_extensions = list\n[list]\nauthorityKeyIdentifier = keyid\n"
    )
}
