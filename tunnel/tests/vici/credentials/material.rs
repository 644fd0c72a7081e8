//! An authority with nodes, and sections that want them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tidegate::io::clock::Clock;
use tidegate::pki::{Authority, KeyChoice, Node, Validity};
use tidegate::vici::Credentials;
use tidegate::vici::credentials::{SharedSecret, StoredCertificate, StoredKey};
use tidegate::vici::sections::{LocalRound, Method, RemoteRound, Revocation};
use tidegate_ike::auth::{
    AuthFailure, Authenticated, LocalAuth, RemoteAuth, SignTask, VerifyTask, accepted_hashes,
};
use tidegate_ike::crypto::{PrfId, RING, Secret, SystemRandom};
use tidegate_ike::identity::{Identity, IdentityPattern};

pub(crate) const CA: &str = "C=CN, O=fabedge.io, CN=Fabedge CA";
pub(crate) const CLOUD: &str = "C=CN, O=fabedge.io, CN=cloud";
pub(crate) const EDGE: &str = "C=CN, O=fabedge.io, CN=edge";

/// A certificate with its key, in DER and PEM.
pub(crate) struct Holder {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Secret,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
}

pub(crate) fn identity(text: &str) -> Identity {
    text.parse().expect(text)
}

pub(crate) fn pattern(text: &str) -> IdentityPattern {
    text.parse().expect(text)
}

pub(crate) fn authority(subject: &str) -> Authority {
    let validity = Validity::days(Clock.now().wall, 3650);
    Authority::create(subject.parse().expect(subject), KeyChoice::EcdsaP256, validity).expect("made").0
}

pub(crate) fn issue(authority: &Authority, subject: &str, names: &[&str]) -> Holder {
    issue_as(authority, subject, names, KeyChoice::EcdsaP256)
}

pub(crate) fn issue_as(authority: &Authority, subject: &str, names: &[&str], kind: KeyChoice) -> Holder {
    issue_for(authority, subject, names, kind, 365)
}

pub(crate) fn issue_for(
    authority: &Authority,
    subject: &str,
    names: &[&str],
    kind: KeyChoice,
    days: u32,
) -> Holder {
    let names = names.iter().map(|name| name.parse().expect(name)).collect();
    let validity = Validity::days(Clock.now().wall, days);
    let node = Node { subject: subject.parse().expect(subject), names, validity };
    let issued = authority.issue(&node, kind).expect("issued");
    Holder {
        pem: issued.pem(),
        key: issued.key.der().clone(),
        key_pem: issued.key.pem().to_string(),
        certificate: issued.certificate,
    }
}

pub(crate) fn certificate_of(authority: &Authority) -> StoredCertificate {
    StoredCertificate::read(authority.pem().as_bytes()).expect("its own")
}

/// Adds what clients bring.
pub(crate) fn bring_certificate(credentials: &mut Credentials, der: &[u8]) {
    let certificate = StoredCertificate::from_der(der).expect("a certificate");
    credentials.change_clients(|shelf| shelf.add_certificate(certificate)).expect("there is room");
}

pub(crate) fn bring_authority(credentials: &mut Credentials, authority: &Authority) {
    let certificate = certificate_of(authority);
    credentials.change_clients(|shelf| shelf.add_certificate(certificate)).expect("there is room");
}

pub(crate) fn bring_key(credentials: &mut Credentials, der: &[u8]) {
    let key = StoredKey::read(der).expect("a key");
    credentials.change_clients(|shelf| shelf.add_key(key)).expect("there is room");
}

pub(crate) fn bring_secret(credentials: &mut Credentials, owners: &[&str], secret: &str) {
    let owners = owners.iter().map(|owner| owner.parse().expect(owner)).collect();
    let secret = SharedSecret::new(None, owners, Secret::new(secret.as_bytes().to_vec()));
    credentials.change_clients(|shelf| shelf.add_secret(secret)).expect("there is room");
}

pub(crate) fn local_round(method: Method, id: Option<&str>) -> LocalRound {
    LocalRound { method, identity: id.map(identity), certificates: Vec::new(), public_keys: Vec::new() }
}

pub(crate) fn remote_round(method: Method, id: &str) -> RemoteRound {
    RemoteRound {
        method,
        identity: pattern(id),
        certificates: Vec::new(),
        authorities: Vec::new(),
        public_keys: Vec::new(),
        revocation: Revocation::Relaxed,
    }
}

/// One end proves to the other who it is.
pub(crate) fn prove(
    local: &Arc<LocalAuth>,
    as_whom: &Identity,
    remote: &Arc<RemoteAuth>,
) -> Result<Authenticated, AuthFailure> {
    let octets = b"what is signed".to_vec();
    let task = SignTask {
        provider: &RING,
        prf: PrfId::HmacSha256,
        local: Arc::clone(local),
        octets: octets.clone(),
        peer_hashes: accepted_hashes().to_vec(),
    };
    let auth = task.run(&mut SystemRandom::new())?;
    let task = VerifyTask {
        provider: &RING,
        prf: PrfId::HmacSha256,
        remote: Arc::clone(remote),
        expected: IdentityPattern::Any,
        id: local.id_payload(as_whom),
        certificates: local.certificates(),
        auth,
        octets,
        wall: Clock.now().wall,
    };
    task.run()
}

/// `None` where there is no such tool.
pub(crate) fn openssl(arguments: &str, input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "openssl is missing");
        return None;
    };
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}
