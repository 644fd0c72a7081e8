//! More than one proof of who the ends are (RFC 4739), and secrets for peers that only a pattern is known of.

use crate::bench::{closings, kind, pair_with, run_by, secs, verdict};
use crate::pki::{certificates, local, remote};
use crate::support::{End, Pair, connection, identity, mirrored};
use std::sync::Arc;
use tidegate_ike::auth::{AuthFailure, LocalAuth, PskBook, PskEntry, RemoteAuth};
use tidegate_ike::connection::{Connection, LocalIdentity, RemoteIdentity};
use tidegate_ike::crypto::Secret;
use tidegate_ike::identity::IdentityPattern;
use tidegate_ike::wire::{ExchangeType, NotifyType};
use tidegate_ike::{Cause, Verdict};

const MOON: &str = "C=CH, O=Tidegate, CN=moon.example.net";

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// One more proof of an end, which knows a word, and what the other end makes of it.
fn word(name: &str, ours: &str, theirs: &str) -> (LocalIdentity, RemoteIdentity) {
    let local = LocalIdentity { identity: identity(name), auth: Arc::new(LocalAuth::Psk(secret(ours))) };
    let pattern = IdentityPattern::Exact(identity(name));
    (local, RemoteIdentity { identity: pattern, auth: Arc::new(RemoteAuth::Psk(secret(theirs))) })
}

fn machine() -> (LocalIdentity, RemoteIdentity) {
    let local = LocalIdentity { identity: identity(MOON), auth: Arc::new(local(&["moon"], "moon")) };
    let pattern = IdentityPattern::Exact(identity(MOON));
    (local, RemoteIdentity { identity: pattern, auth: Arc::new(remote(certificates(&["root"]))) })
}

/// Two ends, of which each proves this much after the first.
fn ends(a: &[(LocalIdentity, RemoteIdentity)], b: &[(LocalIdentity, RemoteIdentity)]) -> [Connection; 2] {
    let [mut one, mut two] = [connection(End::A), connection(End::B)];
    one.local.further = a.iter().map(|(local, _)| local.clone()).collect();
    two.remote.further = a.iter().map(|(_, remote)| remote.clone()).collect();
    two.local.further = b.iter().map(|(local, _)| local.clone()).collect();
    one.remote.further = b.iter().map(|(_, remote)| remote.clone()).collect();
    [one, two]
}

fn pair([one, two]: [Connection; 2]) -> Pair {
    Pair::new(3, one, two)
}

/// How many IKE_AUTH requests A sends until both ends are satisfied.
fn requests(mut pair: Pair) -> usize {
    pair.initiate(End::A);
    let mut count = 0;
    for _ in 0..20 {
        let auth = |pair: &Pair| {
            pair.a.sent.iter().filter(|sent| kind(sent) == (ExchangeType::IkeAuth, false)).count()
        };
        count += auth(&pair);
        pair.pass(End::A);
        pair.pass(End::B);
    }
    pair.settle();
    assert_eq!((pair.a.standing().len(), pair.b.standing().len()), (1, 1), "{:?}", pair.b.events);
    assert_eq!(pair.a.children().len(), 1);
    pair.assert_agree();
    count
}

#[test]
fn either_end_or_both_may_prove_more_than_one_thing() {
    let user = || word("user@example", "sesame", "sesame");
    assert_eq!(requests(pair(ends(&[], &[]))), 1);
    assert_eq!(requests(pair(ends(&[machine()], &[]))), 2);
    assert_eq!(requests(pair(ends(&[], &[machine()]))), 2);
    assert_eq!(requests(pair(ends(&[machine()], &[user()]))), 2);
    assert_eq!(requests(pair(ends(&[machine(), user()], &[user()]))), 3);
    assert_eq!(requests(pair(ends(&[user()], &[machine(), user(), user()]))), 4);
}

#[test]
fn rounds_survive_loss_and_duplicates() {
    let user = || word("user@example", "sesame", "sesame");
    for seed in 0_u32..12 {
        let mut pair = pair(ends(&[machine(), user()], &[user(), machine()]));
        pair.initiate(End::A);
        let mut count = seed;
        run_by(&mut pair, secs(60), &mut |_, sent| {
            count = count.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            ((count >> 16) % 6 > 0).then(|| mirrored(&sent.path))
        });
        pair.settle();
        assert_eq!((pair.a.standing().len(), pair.b.standing().len()), (1, 1), "{seed}");
        assert_eq!(pair.a.children().len(), 1);
        pair.assert_agree();
    }
}

/// What the two ends make of an attempt that comes to nothing; of which nothing is left.
fn failure(mut pair: Pair) -> [Verdict; 2] {
    pair.initiate(End::A);
    pair.settle();
    let told = [&pair.a, &pair.b].map(|host| {
        let closed = closings(host);
        if closed.is_empty() { verdict(host) } else { closed[0].clone() }
    });
    pair.run(secs(40));
    for host in [&pair.a, &pair.b] {
        assert!(host.endpoint.is_empty());
        assert_eq!(host.endpoint.resources(), [0, 0, 0]);
        assert!(host.installed.is_empty());
    }
    told
}

fn authentication(verdict: &Verdict) -> AuthFailure {
    match &verdict.cause {
        Cause::Authentication(failure) => (**failure).clone(),
        other => panic!("{other}"),
    }
}

fn refused(verdict: &Verdict) -> bool {
    verdict.cause == Cause::Refused(NotifyType::AUTHENTICATION_FAILED)
}

#[test]
fn every_proof_has_to_hold() {
    let lies = || word("user@example", "sesame", "open");
    let [a, b] = failure(pair(ends(&[machine(), lies()], &[])));
    assert!(refused(&a), "{a}");
    assert_eq!(authentication(&b), AuthFailure::WrongPsk);
    let [a, b] = failure(pair(ends(&[machine()], &[machine(), lies()])));
    assert_eq!(authentication(&a), AuthFailure::WrongPsk);
    assert!(refused(&b), "{b}");
    // The right word of somebody else.
    let [mut one, two] = ends(&[word("user@example", "sesame", "sesame")], &[]);
    one.local.further[0].identity = identity("other@example");
    let [a, b] = failure(pair([one, two]));
    assert!(refused(&a), "{a}");
    assert!(matches!(authentication(&b), AuthFailure::IdentityMismatch { .. }), "{b}");
}

#[test]
fn a_peer_that_can_do_one_round_is_found_out_before_anything_is_said_to_it() {
    let [one, _] = ends(&[machine()], &[]);
    let mut plain = pair([one, connection(End::B)]);
    plain.initiate(End::A);
    plain.pass(End::A);
    plain.pass(End::B);
    assert!(plain.a.sent.is_empty(), "no word of who it is");
    assert_eq!(authentication(&verdict(&plain.a)), AuthFailure::Rounds { expected: 2, actual: 1 });
    let [_, two] = ends(&[machine()], &[]);
    let [a, b] = failure(pair([connection(End::A), two]));
    assert!(refused(&a), "{a}");
    assert_eq!(authentication(&b), AuthFailure::Rounds { expected: 2, actual: 1 });
}

#[test]
fn a_peer_that_proves_more_or_less_than_it_has_to_is_refused() {
    let user = || word("user@example", "sesame", "sesame");
    let mixed = |a: &[_], b: &[_]| {
        let ([one, _], [_, two]) = (ends(a, b), ends(b, a));
        [one, two]
    };
    // A has two more where B expects one, and the other way about.
    let [one, _] = ends(&[machine(), user()], &[]);
    let [_, two] = ends(&[machine()], &[]);
    let [a, b] = failure(pair([one, two]));
    assert!(refused(&a), "{a}");
    assert_eq!(authentication(&b), AuthFailure::Rounds { expected: 2, actual: 3 });
    let [one, _] = ends(&[machine()], &[]);
    let [_, two] = ends(&[machine(), user()], &[]);
    let [a, b] = failure(pair([one, two]));
    assert!(refused(&a), "{a}");
    assert_eq!(authentication(&b), AuthFailure::Rounds { expected: 3, actual: 2 });
    // The same at the other end.
    let [one, two] = mixed(&[user()], &[user()]);
    let more = Connection {
        local: {
            let mut it = two.local.clone();
            it.further.push(machine().0);
            it
        },
        ..two
    };
    let [a, b] = failure(pair([one, more]));
    assert_eq!(authentication(&a), AuthFailure::Rounds { expected: 2, actual: 3 });
    assert!(refused(&b), "{b}");
}

fn book(ours: &str, entries: &[(&[&str], &str)]) -> PskBook {
    let entries = entries.iter().map(|(owners, word)| PskEntry {
        owners: owners.iter().map(|owner| owner.parse().unwrap()).collect(),
        secret: secret(word),
    });
    PskBook::new(identity(ours), entries.collect())
}

#[test]
fn the_secret_that_fits_the_two_best_is_taken() {
    let book = book(
        "b.example",
        &[
            (&[], "everybody's"),
            (&["b.example"], "ours"),
            (&["*.example"], "the domain's"),
            (&["b.example", "a.example"], "a's with us"),
            (&["c.example"], "c's"),
            (&["c.example", "*.example"], "c's with the domain"),
        ],
    );
    let of = |name: &str| {
        book.secret(Some(&identity(name))).map(|secret| String::from_utf8(secret.to_vec()).unwrap())
    };
    assert_eq!(of("a.example").as_deref(), Some("a's with us"));
    assert_eq!(of("c.example").as_deref(), Some("c's with the domain"), "it says more of us");
    assert_eq!(of("d.example").as_deref(), Some("the domain's"));
    assert_eq!(of("elsewhere.org").as_deref(), Some("everybody's"));
    assert_eq!(book.secret(None).map(|secret| secret.to_vec()), Some(b"everybody's".to_vec()));
    let ours = self::book("b.example", &[(&["a.example"], "a's"), (&["b.example"], "ours")]);
    assert_eq!(ours.secret(None).map(|secret| secret.to_vec()), Some(b"ours".to_vec()));
}

/// B knows peers by a pattern, each by a word of its own; A says this.
fn with_book(name: &'static str, says: &'static str) -> Pair {
    pair_with(4, |end, connection| match end {
        End::A => {
            connection.local.identity = identity(name);
            connection.local.auth = Arc::new(LocalAuth::Psk(secret(says)));
            connection.remote.auth = Arc::new(RemoteAuth::Psk(secret(says)));
        }
        End::B => {
            let entries: [(&[&str], &str); 2] = [(&["a.example"], "a's word"), (&["c.example"], "c's word")];
            connection.remote.identity = "*.example".parse().unwrap();
            connection.remote.addresses.clear();
            connection.local.auth = Arc::new(LocalAuth::Psks(book("b.example", &entries)));
            connection.remote.auth = Arc::new(RemoteAuth::Psks(book("b.example", &entries)));
        }
    })
}

#[test]
fn each_peer_of_a_pattern_has_a_secret_of_its_own() {
    for (name, says) in [("a.example", "a's word"), ("c.example", "c's word")] {
        let mut pair = with_book(name, says);
        pair.set_up();
        pair.assert_agree();
    }
    let [a, b] = failure(with_book("a.example", "c's word"));
    assert!(refused(&a), "{a}");
    assert_eq!(authentication(&b), AuthFailure::WrongPsk);
}

#[test]
fn a_peer_without_a_secret_is_told_nothing_that_one_with_the_wrong_one_is_not() {
    let answers = ["d.example", "a.example"].map(|name| {
        let mut pair = with_book(name, "a guess");
        pair.initiate(End::A);
        pair.pass(End::A);
        pair.pass(End::B);
        pair.pass(End::A);
        let answer = pair.take(End::B);
        let expected = if name == "a.example" { "WrongPsk" } else { "NoPsk" };
        assert!(format!("{:?}", authentication(&verdict(&pair.b))).starts_with(expected));
        (answer.bytes.len(), kind(&answer))
    });
    assert_eq!(answers[0], answers[1]);
}
