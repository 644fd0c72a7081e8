use crate::support::{Folder, KINDS, NOW, authority, node};
use std::fs;
use std::path::Path;
use std::process::Command;
use tidegate::pki::{Existing, write_certificate, write_key};

fn openssl(folder: &Path, arguments: &str) -> Option<String> {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let Ok(output) = output else {
        eprintln!("left out: openssl is not installed (apt-get install openssl)");
        return None;
    };
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "openssl {arguments}: {out}{error}");
    Some(out.into_owned())
}

#[test]
fn openssl_agrees_with_every_kind() {
    for authority_kind in KINDS {
        for kind in KINDS {
            let folder = Folder::new();
            let authority = authority(authority_kind);
            let issued =
                authority.issue(&node("C=CN, O=fabedge.io, CN=edge", &["edge.example"]), kind).unwrap();
            write_certificate(&folder.0.join("ca.pem"), &authority.pem(), Existing::Keep).unwrap();
            write_certificate(&folder.0.join("edge.pem"), &issued.pem(), Existing::Keep).unwrap();
            write_key(&folder.0.join("edge.key"), &issued.key.pem(), Existing::Keep).unwrap();

            let verify = format!(
                "verify -x509_strict -attime {} -purpose sslserver -verify_hostname edge.example -CAfile ca.pem edge.pem",
                NOW.0
            );
            if openssl(&folder.0, &verify).is_none() {
                return;
            }
            openssl(&folder.0, "pkey -in edge.key -check -noout").unwrap();
            let ours = openssl(&folder.0, "pkey -in edge.key -pubout").unwrap();
            assert_eq!(ours, openssl(&folder.0, "x509 -in edge.pem -noout -pubkey").unwrap());
            let text = openssl(&folder.0, "x509 -in edge.pem -noout -text").unwrap();
            assert!(text.contains("TLS Web Server Authentication, TLS Web Client Authentication"), "{text}");
            assert!(
                text.contains("1.3.6.1.5.5.8.2.2") || text.contains("ipsec Internet Key Exchange"),
                "{text}"
            );
        }
    }
}

#[test]
fn an_authority_that_openssl_made_can_issue() {
    let folder = Folder::new();
    let request =
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3000 -subj /O=example/CN=CA";
    if openssl(&folder.0, request).is_none() {
        return;
    }
    let read = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap();
    let authority = tidegate::pki::Authority::load(&read("ca.pem"), &read("ca.key")).unwrap();
    let mut node = node("CN=edge", &[]);
    let now = tidegate::io::clock::Clock.now().wall;
    node.validity = tidegate::pki::Validity::days(now, 10);
    let issued = authority.issue(&node, KINDS[0]).unwrap();
    write_certificate(&folder.0.join("edge.pem"), &issued.pem(), Existing::Keep).unwrap();
    openssl(&folder.0, &format!("verify -attime {} -CAfile ca.pem edge.pem", now.0)).unwrap();
}
