//! Name constraints (RFC 5280 §4.2.1.10).

use crate::support::{refused, store, verify, verify_in};
use tidegate_ike::auth::{CertificateCheck, NameForm};

fn excluded(chain: &[&str]) -> (NameForm, String) {
    match refused(verify(chain)).0 {
        CertificateCheck::NameExcluded { form, name } => (form, name),
        other => panic!("{other:?}"),
    }
}

fn not_permitted(chain: &[&str]) -> (NameForm, String) {
    match refused(verify(chain)).0 {
        CertificateCheck::NameNotPermitted { form, name } => (form, name),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_within_the_permitted_subtrees_pass() {
    assert!(verify(&["nc-good", "int-permitted"]).is_ok());
}

#[test]
fn names_beyond_the_permitted_subtrees_are_refused_in_every_form() {
    let cases = [
        ("nc-dns", NameForm::Dns, "moon.example.com"),
        ("nc-dns-suffix", NameForm::Dns, "badexample.org"),
        ("nc-email", NameForm::Email, "a@example.com"),
        ("nc-email-subject", NameForm::Email, "a@example.com"),
        ("nc-ip", NameForm::Address, "192.0.3.1"),
        ("nc-ip6", NameForm::Address, "c000:2ff::1"),
        ("nc-dir", NameForm::Directory, "C=CH, O=Elsewhere, CN=x"),
        ("nc-dir-alt", NameForm::Directory, "O=Elsewhere"),
    ];
    for (name, form, text) in cases {
        assert_eq!(not_permitted(&[name, "int-permitted"]), (form, text.to_owned()), "{name}");
    }
}

#[test]
fn names_outside_the_excluded_subtrees_pass() {
    assert!(verify(&["nx-good", "int-excluded"]).is_ok());
}

#[test]
fn names_in_the_excluded_subtrees_are_refused_in_every_form() {
    let cases = [
        ("nx-dns", NameForm::Dns, "very.BAD.example.org"),
        ("nx-dot", NameForm::Dns, "bad.example.org."),
        ("nx-email", NameForm::Email, "a@very.bad.example.org"),
        ("nx-mailbox", NameForm::Email, "mallory@example.org"),
        ("nx-ip", NameForm::Address, "192.0.2.200"),
        ("nx-dir", NameForm::Directory, "C=CH, O=Tidegate, OU=bad, CN=x"),
    ];
    for (name, form, text) in cases {
        assert_eq!(excluded(&[name, "int-excluded"]), (form, text.to_owned()), "{name}");
    }
}

#[test]
fn a_constraint_that_is_not_understood_refuses_the_names_it_is_about() {
    assert!(verify(&["nu-none", "int-uri"]).is_ok());
    assert_eq!(
        refused(verify(&["nu-uri", "int-uri"])).0,
        CertificateCheck::ConstraintNotUnderstood { form: NameForm::Uri }
    );
}

#[test]
fn an_anchor_constrains_too() {
    let store = store(&["int-permitted"]);
    assert!(verify_in(&store, &["nc-good"]).is_ok());
    assert!(verify_in(&store, &["nc-dns"]).is_err());
}

/// RFC 5280 §6.1.3: a CA's new key goes free, an end entity of the CA's name does not.
#[test]
fn self_issued_cas_go_free_and_self_issued_end_entities_do_not() {
    assert!(verify(&["nc-next", "int-permitted-next", "int-permitted"]).is_ok());
    assert_eq!(
        not_permitted(&["nc-self", "int-permitted"]),
        (NameForm::Dns, "elsewhere.example.com".to_owned())
    );
}

#[test]
fn a_leading_dot_leaves_the_domain_itself_out() {
    assert!(verify(&["nd-good", "int-dotted"]).is_ok());
    assert_eq!(not_permitted(&["nd-itself", "int-dotted"]), (NameForm::Dns, "example.org".to_owned()));
}

#[test]
fn a_minimum_or_a_mask_that_is_none_is_not_understood() {
    for (name, issuer, form) in
        [("under-minimum", "int-minimum", NameForm::Dns), ("under-mask", "int-mask", NameForm::Address)]
    {
        assert_eq!(
            refused(verify(&[name, issuer])).0,
            CertificateCheck::ConstraintNotUnderstood { form },
            "{name}"
        );
    }
}

/// Adversary, amplification and exhaustion: names times constraints.
#[test]
fn many_names_against_many_constraints_are_given_up() {
    assert_eq!(refused(verify(&["under-many", "int-many"])).0, CertificateCheck::TooManyNames);
}
