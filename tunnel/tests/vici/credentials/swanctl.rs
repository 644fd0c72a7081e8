//! charon's own tool loads its folders into us.

use super::material::{CA, CLOUD, authority, issue, issue_as, local_round, openssl, pattern};
use crate::fake::{Fake, Folder, House};
use std::fs;
use std::process::Command;
use tidegate::pki::{KeyChoice, RsaBits};
use tidegate::vici::sections::Method;
use tidegate_ike::identity::IdentityPattern;

/// `None` where there is no such tool.
async fn swanctl(house: &House, folder: &Folder, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("swanctl");
    command.args(arguments).arg("--uri").arg(format!("unix://{}", house.path.display()));
    command.env("SWANCTL_DIR", folder.path());
    let output = match tokio::task::spawn_blocking(move || command.output()).await.expect("no panic") {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none(), "swanctl is missing");
            return None;
        }
        Err(error) => panic!("swanctl: {error}"),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}

fn write(folder: &Folder, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("it is ours");
    fs::write(path, content).expect(name);
}

#[tokio::test(flavor = "multi_thread")]
async fn swanctl_loads_every_folder_and_takes_back_what_is_gone() {
    let (house, folder) = (House::open(&Fake::default()), Folder::new());
    let ca = authority(CA);
    let cloud = issue(&ca, CLOUD, &[]);
    let rsa = issue_as(&ca, "C=CN, O=fabedge.io, CN=rsa", &[], KeyChoice::Rsa(RsaBits::Bits2048));
    let pkcs8 = issue_as(&ca, "C=CN, O=fabedge.io, CN=pkcs8", &[], KeyChoice::Ed25519);
    let (Some(sec1), Some(pkcs1)) =
        (openssl("ec", cloud.key_pem.as_bytes()), openssl("rsa -traditional", rsa.key_pem.as_bytes()))
    else {
        return;
    };
    write(&folder, "x509ca/ca.pem", ca.pem());
    for (name, holder) in [("cloud", &cloud), ("rsa", &rsa), ("pkcs8", &pkcs8)] {
        write(&folder, &format!("x509/{name}.pem"), &holder.pem);
    }
    write(&folder, "ecdsa/cloud.pem", sec1);
    write(&folder, "rsa/rsa.pem", pkcs1);
    write(&folder, "pkcs8/pkcs8.pem", &pkcs8.key_pem);
    let secrets = "secrets { ike-edge { id-1 = cloud\n id-2 = edge\n secret = \"known to both\" }\n\
                   ike-all { secret = 0x616e79 } }\n\
                   authorities { home { cacert = ca.pem\n crl_uris = http://crl.example/ca.crl } }";
    write(&folder, "swanctl.conf", secrets);

    for clear in [&["--load-creds", "--noprompt"][..], &["--load-creds", "--noprompt", "--clear"][..]] {
        let Some(said) = swanctl(&house, &folder, clear).await else { return };
        for part in [
            "loaded certificate from",
            "loaded ECDSA key from",
            "loaded RSA key from",
            "loaded PKCS8 key from",
            "loaded ike secret 'ike-edge'",
        ] {
            assert!(said.to_lowercase().contains(&part.to_lowercase()), "no {part:?} in:\n{said}");
        }
        let credentials = house.credentials.lock().expect("not poisoned");
        assert_eq!(credentials.certificates().count(), 4);
        assert_eq!(credentials.clients().keys().len(), 3);
        assert_eq!(credentials.clients().secrets().len(), 2);
        for id in [CLOUD, "C=CN, O=fabedge.io, CN=rsa", "C=CN, O=fabedge.io, CN=pkcs8"] {
            assert!(
                credentials.local(&local_round(Method::SIGNATURE, Some(id)), &IdentityPattern::Any).is_ok()
            );
        }
        assert!(credentials.local(&local_round(Method::Psk, Some("cloud")), &pattern("edge")).is_ok());
    }

    fs::remove_file(folder.path().join("rsa/rsa.pem")).expect("it was there");
    write(&folder, "swanctl.conf", secrets.replace("ike-all", "ike-other"));
    swanctl(&house, &folder, &["--load-creds", "--noprompt"]).await;
    let credentials = house.credentials.lock().expect("not poisoned");
    assert_eq!(credentials.clients().keys().len(), 2);
    let mut names: Vec<_> = credentials.clients().secrets().iter().filter_map(|it| it.id()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ike-edge", "ike-other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn swanctl_lists_certificates_and_authorities() {
    let (house, folder) = (House::open(&Fake::default()), Folder::new());
    let ca = authority(CA);
    let cloud = issue(&ca, CLOUD, &["cloud.example"]);
    write(&folder, "x509ca/ca.pem", ca.pem());
    write(&folder, "x509/cloud.pem", &cloud.pem);
    write(&folder, "ecdsa/cloud.pem", &cloud.key_pem);
    let conf = "authorities { home { cacert = ca.pem\n crl_uris = http://crl.example/ca.crl } }";
    write(&folder, "swanctl.conf", conf);
    if swanctl(&house, &folder, &["--load-creds", "--noprompt"]).await.is_none() {
        return;
    }
    let said = swanctl(&house, &folder, &["--load-authorities"]).await.expect("as before");
    assert!(said.contains("loaded authority 'home'"), "{said}");
    let listed = swanctl(&house, &folder, &["--list-authorities"]).await.expect("as before");
    for part in ["home:", CA, "http://crl.example/ca.crl"] {
        assert!(listed.contains(part), "no {part:?} in:\n{listed}");
    }
    let listed = swanctl(&house, &folder, &["--list-certs"]).await.expect("as before");
    for part in [
        "List of X.509 End Entity Certificates",
        CLOUD,
        "cloud.example",
        "has private key",
        "CA Certificates",
    ] {
        assert!(listed.contains(part), "no {part:?} in:\n{listed}");
    }
    let flushed = swanctl(&house, &folder, &["--flush-certs"]).await;
    assert!(flushed.is_some());
}
