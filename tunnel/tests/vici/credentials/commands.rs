//! What clients bring, take and see.

use super::material::{CA, CLOUD, EDGE, authority, issue, local_round, openssl};
use crate::fake::{Fake, House, soon};
use tidegate::vici::sections::Method;
use tidegate::vici::{ClientError, Element, Message};
use tidegate_ike::identity::IdentityPattern;

async fn ask(house: &House, command: &str, arguments: Message) -> Result<Message, String> {
    match soon(house.client().await.request(command, &arguments)).await {
        Ok(answer) => Ok(answer),
        Err(ClientError::Refused(reason)) => Err(reason),
        Err(other) => panic!("{command}: {other:?}"),
    }
}

async fn streamed(house: &House, command: &str, event: &str, arguments: Message) -> Vec<Message> {
    let mut seen = Vec::new();
    let mut client = house.client().await;
    let answer = soon(client.stream(command, event, &arguments, |message| seen.push(message))).await;
    assert_eq!(answer.expect("it is known"), Message::new());
    seen
}

fn data(mut message: Message, data: &[u8]) -> Message {
    message.push("data".to_owned(), Element::Value(data.to_vec()));
    message
}

fn house() -> House {
    House::open(&Fake::default())
}

#[tokio::test]
async fn certificates_come_as_pem_or_der_and_are_listed() {
    let house = house();
    let ca = authority(CA);
    let cloud = issue(&ca, CLOUD, &[]);
    let x509 = |flag: &str, bytes: &[u8]| data(Message::new().with("type", "X509").with("flag", flag), bytes);
    ask(&house, "load-cert", x509("CA", ca.pem().as_bytes())).await.expect("an authority");
    ask(&house, "load-cert", x509("NONE", &cloud.certificate)).await.expect("a certificate");
    ask(&house, "load-cert", x509("NONE", &cloud.certificate)).await.expect("the same again");
    ask(&house, "load-key", data(Message::new().with("type", "any"), &cloud.key)).await.expect("its key");

    let all = streamed(&house, "list-certs", "list-cert", Message::new()).await;
    let shown: Vec<_> =
        all.iter().map(|it| (it.text("type"), it.text("flag"), it.text("has_privkey"))).collect();
    assert_eq!(shown, [(Some("X509"), Some("NONE"), Some("yes")), (Some("X509"), Some("CA"), None)]);
    assert_eq!(all[0].get("data"), Some(&Element::Value(cloud.certificate)));
    for (filter, count) in [
        (Message::new().with("type", "x509").with("flag", "CA"), 1),
        (Message::new().with("type", "ANY").with("flag", "ANY"), 2),
        (Message::new().with("subject", CLOUD), 1),
        (Message::new().with("subject", "CN=nobody"), 0),
        (Message::new().with("type", "X509_CRL"), 0),
        (Message::new().with("type", "nonsense"), 0),
    ] {
        assert_eq!(
            streamed(&house, "list-certs", "list-cert", filter.clone()).await.len(),
            count,
            "{filter:?}"
        );
    }
}

/// As clients bring them, they stay; as they were fetched, they are forgotten.
#[tokio::test]
async fn lists_that_were_fetched_are_listed_and_flushed() {
    const ROOT: &[u8] = include_bytes!("../../../../ike/tests/data/certs/crl-root.pem");
    const INTERMEDIATE: &[u8] = include_bytes!("../../../../ike/tests/data/certs/crl-int1.pem");
    let house = house();
    let list = |kind: &str| streamed(&house, "list-certs", "list-cert", Message::new().with("type", kind));
    ask(&house, "load-cert", data(Message::new().with("type", "X509_CRL"), ROOT)).await.expect("a list");
    house.fake.set_lists(vec![ROOT.to_vec(), INTERMEDIATE.to_vec(), b"no list".to_vec()]);

    let lists = list("X509_CRL").await;
    let kinds: Vec<_> = lists.iter().map(|it| it.text("type")).collect();
    assert_eq!(kinds, [Some("X509_CRL"); 2], "each once");
    assert_ne!(lists[0].get("data"), lists[1].get("data"));
    let of_root = Message::new().with("subject", "C=CH, O=Tidegate, CN=Root");
    assert_eq!(streamed(&house, "list-certs", "list-cert", of_root).await, lists[..1]);

    ask(&house, "flush-certs", Message::new().with("type", "X509")).await.expect("another kind");
    assert_eq!(list("ANY").await.len(), 2);
    ask(&house, "flush-certs", Message::new().with("type", "x509_crl")).await.expect("done");
    assert_eq!(list("ANY").await, lists[..1]);
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_in_charons_words() {
    let house = house();
    let cloud = issue(&authority(CA), CLOUD, &[]);
    let of = |kind: &str| Message::new().with("type", kind);
    for (arguments, reason) in [
        (Message::new(), "certificate type missing"),
        (of("nonsense"), "invalid certificate type 'nonsense'"),
        (of("X509"), "certificate data missing"),
        (data(of("X509").with("flag", "nonsense"), b"x"), "invalid certificate flag 'nonsense'"),
        (data(of("X509"), b"garbage"), "parsing X509 certificate failed: neither PEM nor DER"),
        (data(of("X509_CRL"), &cloud.certificate), "parsing X509_CRL certificate failed"),
        (data(of("x509ca"), &cloud.certificate), "ca certificate lacks CA basic constraint, rejected"),
        (data(of("X509").with("flag", "OCSP"), &cloud.certificate), "flag OCSP are not supported"),
        (data(of("X509_AC"), &cloud.certificate), "type X509_AC are not supported"),
    ] {
        let refusal = ask(&house, "load-cert", arguments).await.expect_err(reason);
        assert!(refusal.contains(reason), "{refusal}");
    }
    assert!(streamed(&house, "list-certs", "list-cert", Message::new()).await.is_empty());
}

#[tokio::test]
async fn keys_are_called_by_the_digest_of_their_public_half() {
    let house = house();
    let cloud = issue(&authority(CA), CLOUD, &[]);
    let load = data(Message::new().with("type", "ECDSA"), cloud.key_pem.as_bytes());
    let id = ask(&house, "load-key", load).await.expect("a key").text("id").expect("its name").to_owned();
    if let Some(public) = openssl("pkey -pubout -outform DER", cloud.key_pem.as_bytes()) {
        // The point of a key on P-256 is the last 65 bytes.
        let point = &public[public.len() - 65..];
        let digest = String::from_utf8(openssl("dgst -sha1 -r", point).expect("as before")).expect("text");
        assert_eq!(digest.split(' ').next(), Some(id.as_str()));
    }
    let keys = ask(&house, "get-keys", Message::new()).await.expect("known");
    assert_eq!(keys.list("keys").collect::<Vec<_>>(), [id.as_str()]);

    ask(&house, "unload-key", Message::new().with("id", &id)).await.expect("it was there");
    for (arguments, reason) in [
        (Message::new(), "key id missing"),
        (Message::new().with("id", &id), "key not found"),
        (Message::new().with("id", "zz"), "key not found"),
    ] {
        assert_eq!(ask(&house, "unload-key", arguments).await, Err(reason.to_owned()));
    }
    let keys = ask(&house, "get-keys", Message::new()).await.expect("known");
    assert!(matches!(keys.get("keys"), Some(Element::List(list)) if list.is_empty()));
}

#[tokio::test]
async fn keys_come_in_every_form() {
    let forms = [
        ("genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048", "rsa", "rsa -traditional"),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", "ecdsa", "ec"),
    ];
    for (make, kind, older) in forms {
        let Some(pkcs8) = openssl(make, b"") else { return };
        let house = house();
        let mut ids = Vec::new();
        for form in [
            "pkey".to_owned(),
            "pkey -outform DER".to_owned(),
            older.to_owned(),
            format!("{older} -outform DER"),
        ] {
            let key = openssl(&form, &pkcs8).expect("as before");
            let load = data(Message::new().with("type", kind), &key);
            let answer = ask(&house, "load-key", load).await.expect(&form);
            ids.push(answer.text("id").expect("its name").to_owned());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "it is one key");
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused_in_charons_words() {
    let house = house();
    let cloud = issue(&authority(CA), CLOUD, &[]);
    let of = |kind: &str| Message::new().with("type", kind);
    let mut cases = vec![
        (Message::new(), "key type missing".to_owned()),
        (of("rsa"), "key data missing".to_owned()),
        (data(of("nonsense"), b"x"), "invalid key type: nonsense".to_owned()),
        (data(of("rsa"), &cloud.key), "parsing RSA private key failed: the key is ECDSA, not RSA".to_owned()),
        (data(of("any"), b"garbage"), "parsing ANY private key failed: neither PEM nor DER".to_owned()),
        (data(of("any"), cloud.pem.as_bytes()), "parsing ANY private key failed".to_owned()),
    ];
    if let Some(weak) = openssl("genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024", b"") {
        cases.push((data(of("rsa"), &weak), "1024 bits".to_owned()));
        let sealed = openssl("pkcs8 -topk8 -v2 aes256 -passout pass:secret", cloud.key_pem.as_bytes());
        cases.push((data(of("any"), &sealed.expect("as before")), "private key is encrypted".to_owned()));
    }
    for (arguments, reason) in cases {
        let refusal = ask(&house, "load-key", arguments).await.expect_err(&reason);
        assert!(refusal.contains(&reason), "{refusal}");
    }
    let refusal =
        ask(&house, "load-token", Message::new().with("handle", "01")).await.expect_err("no tokens");
    assert!(refusal.contains("tokens are not supported"));
}

#[tokio::test]
async fn secrets_have_owners_and_names() {
    let house = house();
    let secret = |id: &str, text: &str, owners: &[&str]| {
        data(Message::new().with("type", "ike").with("id", id).with_list("owners", owners), text.as_bytes())
    };
    for arguments in [
        secret("ike-1", "first", &["cloud", "edge"]),
        secret("ike-2", "anybody's", &[]),
        secret("ike-1", "second", &["cloud", "edge"]),
        data(Message::new().with("type", "IKE"), b"without a name"),
    ] {
        ask(&house, "load-shared", arguments).await.expect("taken");
    }
    let names = ask(&house, "get-shared", Message::new()).await.expect("known");
    assert_eq!(names.list("keys").collect::<Vec<_>>(), ["ike-1", "ike-2"]);
    let secret_of_edge = || {
        let credentials = house.credentials.lock().expect("not poisoned");
        let round = local_round(Method::Psk, Some("cloud"));
        credentials
            .local(&round, &IdentityPattern::Exact("edge".parse().expect("a name")))
            .expect("one")
            .1
            .auth
    };
    assert!(
        matches!(&*secret_of_edge(), tidegate_ike::auth::LocalAuth::Psk(secret) if ***secret == *b"second")
    );

    // One that is not there is no less gone.
    for id in ["ike-1", "ike-1", "nobody"] {
        ask(&house, "unload-shared", Message::new().with("id", id)).await.expect("gone");
    }
    assert_eq!(
        ask(&house, "unload-shared", Message::new()).await,
        Err("unique identifier missing".to_owned())
    );
    let names = ask(&house, "get-shared", Message::new()).await.expect("known");
    assert_eq!(names.list("keys").collect::<Vec<_>>(), ["ike-2"]);
}

#[tokio::test]
async fn secrets_that_are_of_no_use_are_refused_by_name() {
    let house = house();
    let of = |kind: &str| data(Message::new().with("type", kind), b"secret");
    for (arguments, reason) in [
        (Message::new(), "shared key type missing"),
        (Message::new().with("type", "IKE"), "shared key data missing"),
        (of("nonsense"), "invalid shared key type: nonsense"),
        (of("EAP"), "secrets of type EAP are not supported"),
        (of("xauth"), "secrets of type XAUTH are not supported"),
        (of("NTLM"), "secrets of type NTLM are not supported"),
        (of("PPK"), "secrets of type PPK are not supported"),
        (of("IKE").with_list("owners", ["CN=edge, unknown=x"]), "owner \"CN=edge, unknown=x\""),
        (of("IKE").with_list("owners", ["a"; 65]), "no more than 64 owners"),
    ] {
        let refusal = ask(&house, "load-shared", arguments).await.expect_err(reason);
        assert!(refusal.starts_with(reason) || refusal.contains(reason), "{refusal}");
    }
}

#[tokio::test]
async fn authorities_say_where_their_lists_are() {
    let house = house();
    let ca = authority(CA);
    let with = |section: Message| Message::new().with_section("ca", section);
    let section = || {
        let mut section = Message::new();
        section.push("cacert".to_owned(), Element::Value(ca.pem().into_bytes()));
        section
    };
    let whole =
        section().with_list("crl_uris", ["http://crl.example/ca.crl"]).with("cert_uri_base", "http://x/");
    ask(&house, "load-authority", with(whole)).await.expect("taken");
    let names = ask(&house, "get-authorities", Message::new()).await.expect("known");
    assert_eq!(names.list("authorities").collect::<Vec<_>>(), ["ca"]);
    for (filter, count) in [(Message::new(), 1), (Message::new().with("name", "other"), 0)] {
        let listed = streamed(&house, "list-authorities", "list-authority", filter).await;
        assert_eq!(listed.len(), count);
        if let Some(ca) = listed.first().and_then(|message| message.section("ca")) {
            assert_eq!(ca.text("cacert"), Some(CA));
            assert_eq!(ca.list("crl_uris").collect::<Vec<_>>(), ["http://crl.example/ca.crl"]);
        }
    }
    assert_eq!(streamed(&house, "list-certs", "list-cert", Message::new()).await.len(), 1);
    ask(&house, "clear-creds", Message::new()).await.expect("cleared");
    let names = ask(&house, "get-authorities", Message::new()).await.expect("known");
    assert_eq!(names.list("authorities").count(), 1, "authorities stay");

    let edge = issue(&ca, EDGE, &[]);
    for (section, reason) in [
        (Message::new(), "CA certificate missing: ca"),
        (Message::new().with("cacert", &edge.pem), "CA certificate missing: ca: ca certificate lacks"),
        (section().with("colour", "blue"), "unknown option: colour, authority discarded"),
        (section().with_list("ocsp_uris", ["http://ocsp.example"]), "ocsp_uris is not supported"),
        (
            section().with_list("crl_uris", ["ldap://crl.example"]),
            "\"ldap://crl.example\" is no http:// address",
        ),
        (section().with("handle", "01"), "tokens are not supported"),
    ] {
        let refusal = ask(&house, "load-authority", with(section)).await.expect_err(reason);
        assert!(refusal.contains(reason), "{refusal}");
    }
    let unload = |name: &str| Message::new().with("name", name);
    ask(&house, "unload-authority", unload("ca")).await.expect("it was there");
    assert_eq!(
        ask(&house, "unload-authority", unload("ca")).await,
        Err("unload: authority 'ca' not found".to_owned())
    );
    assert_eq!(
        ask(&house, "unload-authority", Message::new()).await,
        Err("unload: missing authority name".to_owned())
    );
}

#[tokio::test]
async fn clear_creds_takes_what_clients_have_brought() {
    let house = house();
    let cloud = issue(&authority(CA), CLOUD, &[]);
    ask(&house, "load-cert", data(Message::new().with("type", "X509"), &cloud.certificate))
        .await
        .expect("taken");
    ask(&house, "load-key", data(Message::new().with("type", "any"), &cloud.key)).await.expect("taken");
    ask(&house, "load-shared", data(Message::new().with("type", "IKE").with("id", "a"), b"x"))
        .await
        .expect("taken");
    ask(&house, "clear-creds", Message::new()).await.expect("cleared");
    for command in ["get-keys", "get-shared"] {
        assert_eq!(ask(&house, command, Message::new()).await.expect("known").list("keys").count(), 0);
    }
    assert!(streamed(&house, "list-certs", "list-cert", Message::new()).await.is_empty());
    ask(&house, "flush-certs", Message::new().with("type", "X509_CRL")).await.expect("nothing to do");
    ask(&house, "flush-certs", Message::new()).await.expect("nothing to do");
    let refusal = ask(&house, "flush-certs", Message::new().with("type", "foo")).await;
    assert_eq!(refusal, Err("invalid certificate type 'foo'".to_owned()));
}
