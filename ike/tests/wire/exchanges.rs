//! What each message may, must and must not hold (RFC 7296 §1.2 to §1.5, appendix C), and which of its
//! meanings a response has.

use crate::build::*;
use tidegate_ike::wire::*;

/// Reads a message, as text, so that all kinds fit into one table.
type Read = fn(&[Piece]) -> Result<String, MessageError>;

macro_rules! read {
    ($message:ident) => {
        |pieces| {
            let (first, bytes) = chain(pieces);
            $message::parse(first, &bytes).map(|message| format!("{message:?}"))
        }
    };
}

const SA_INIT_REQUEST: Read = read!(SaInitRequest);
const SA_INIT_RESPONSE: Read = read!(SaInitResponse);
const AUTH_REQUEST: Read = read!(AuthRequest);
const AUTH_RESPONSE: Read = read!(AuthResponse);
const FURTHER_REQUEST: Read = read!(FurtherRequest);
const CREATE_REQUEST: Read = read!(CreateChildRequest);
const CREATE_RESPONSE: Read = read!(CreateChildResponse);
const INFORMATIONAL: Read = read!(Informational);

/// A message with the payloads it must hold, those it may hold beside them, and some that have no place.
struct Row {
    read: Read,
    whole: Vec<Piece>,
    required: &'static [u8],
    once: &'static [u8],
    allowed: Vec<Piece>,
    misplaced: &'static [u8],
}

fn rows() -> Vec<Row> {
    let cp = || piece(CP, [1, 0, 0, 0]);
    let cert = || piece(CERT, [4, 1, 2, 3]);
    let certreq = || piece(CERTREQ, [4]);
    vec![
        Row {
            read: SA_INIT_REQUEST,
            whole: sa_init_request(),
            required: &[SA, KE, NONCE],
            once: &[SA, KE, NONCE],
            allowed: vec![notify(16385, &[]), certreq(), piece(V, [])],
            misplaced: &[IDI, IDR, CERT, AUTH, D, TSI, TSR, SK, CP, EAP, SKF],
        },
        Row {
            read: SA_INIT_RESPONSE,
            whole: sa_init_response(),
            required: &[SA, KE, NONCE],
            once: &[SA, KE, NONCE],
            allowed: vec![notify(16385, &[]), certreq(), piece(V, [])],
            misplaced: &[IDI, IDR, CERT, AUTH, D, TSI, TSR, SK, CP, EAP, SKF],
        },
        Row {
            read: AUTH_REQUEST,
            whole: auth_request(),
            required: &[IDI],
            once: &[IDI, AUTH, SA, TSI, TSR],
            allowed: vec![id(IDR), cert(), certreq(), cp(), notify(16385, &[]), piece(V, []), piece(EAP, [])],
            misplaced: &[KE, NONCE, D, SK, SKF],
        },
        Row {
            read: AUTH_RESPONSE,
            whole: auth_response(),
            required: &[IDR, AUTH],
            once: &[IDR, AUTH, SA, TSI, TSR],
            allowed: vec![cert(), certreq(), cp(), notify(16385, &[]), piece(V, []), piece(EAP, [])],
            misplaced: &[KE, NONCE, IDI, D, SK, SKF],
        },
        // RFC 4739 §2; strongSwan says in each round again whom it calls.
        Row {
            read: FURTHER_REQUEST,
            whole: auth_request().into_iter().filter(|piece| [IDI, AUTH].contains(&piece.kind)).collect(),
            required: &[IDI, AUTH],
            once: &[IDI, AUTH],
            allowed: vec![
                cert(),
                certreq(),
                piece(IDR, [2, 0, 0, 0, b'a']),
                notify(16404, &[]),
                piece(V, []),
            ],
            misplaced: &[SA, KE, CP, D, NONCE, TSI, TSR, SK, EAP, SKF],
        },
        Row {
            read: CREATE_REQUEST,
            whole: create_child(),
            required: &[SA, NONCE, TSI, TSR],
            once: &[SA, NONCE, TSI, TSR],
            allowed: vec![ke(), cp(), notify(16385, &[]), piece(V, [])],
            misplaced: &[IDI, IDR, CERT, CERTREQ, AUTH, D, SK, EAP, SKF],
        },
        Row {
            read: CREATE_RESPONSE,
            whole: create_child(),
            required: &[SA, NONCE, TSI, TSR],
            once: &[SA, NONCE, TSI, TSR],
            allowed: vec![ke(), cp(), notify(16385, &[]), piece(V, [])],
            misplaced: &[IDI, IDR, CERT, CERTREQ, AUTH, D, SK, EAP, SKF],
        },
        Row {
            read: CREATE_REQUEST,
            whole: rekey_ike(),
            required: &[SA, NONCE, KE],
            once: &[SA, NONCE, KE],
            allowed: vec![cp(), notify(16385, &[]), piece(V, [])],
            misplaced: &[TSI, TSR, IDI, IDR, CERT, CERTREQ, AUTH, D, SK, EAP, SKF],
        },
        Row {
            read: CREATE_RESPONSE,
            whole: rekey_ike(),
            required: &[SA, NONCE, KE],
            once: &[SA, NONCE, KE],
            allowed: vec![cp(), notify(16385, &[]), piece(V, [])],
            misplaced: &[TSI, TSR, IDI, IDR, CERT, CERTREQ, AUTH, D, SK, EAP, SKF],
        },
        Row {
            read: INFORMATIONAL,
            whole: vec![],
            required: &[],
            once: &[],
            allowed: vec![cp(), notify(16385, &[]), piece(V, []), piece(D, [1, 0, 0, 0])],
            misplaced: &[SA, KE, IDI, IDR, CERT, CERTREQ, AUTH, NONCE, TSI, TSR, SK, EAP, SKF],
        },
    ]
}

#[test]
fn each_message_is_read_with_what_it_must_hold() {
    for row in rows() {
        (row.read)(&row.whole).unwrap();
    }
}

#[test]
fn each_message_is_read_with_what_it_may_hold() {
    for row in rows() {
        for allowed in &row.allowed {
            (row.read)(&with(row.whole.clone(), allowed.clone())).unwrap();
        }
    }
}

#[test]
fn a_missing_payload_is_named() {
    for row in rows() {
        for kind in row.required {
            let error = (row.read)(&without(row.whole.clone(), *kind)).unwrap_err();
            assert_eq!(error, MessageError::Missing(PayloadType(*kind)));
        }
    }
}

#[test]
fn a_payload_that_comes_once_is_refused_twice() {
    for row in rows() {
        for kind in row.once {
            let again = row.whole.iter().find(|piece| piece.kind == *kind).unwrap().clone();
            let error = (row.read)(&with(row.whole.clone(), again)).unwrap_err();
            assert_eq!(error, MessageError::Repeated(PayloadType(*kind)));
        }
    }
}

#[test]
fn a_known_payload_in_the_wrong_message_is_refused() {
    for row in rows() {
        for kind in row.misplaced {
            let pieces = [row.whole.clone(), vec![piece(*kind, [0; 8])]].concat();
            let error = (row.read)(&pieces).unwrap_err();
            assert_eq!(error, MessageError::Misplaced(PayloadType(*kind)));
        }
    }
}

/// RFC 7296 §1.2 and RFC 6023 §3: a child is all of SA, TSi and TSr, or it is not asked for.
#[test]
fn a_child_in_ike_auth_is_whole_or_absent() {
    for (read, whole) in [(AUTH_REQUEST, auth_request()), (AUTH_RESPONSE, auth_response())] {
        for kind in [SA, TSI, TSR] {
            let error = read(&without(whole.clone(), kind)).unwrap_err();
            assert_eq!(error, MessageError::IncompleteChild(PayloadType(kind)));
        }
        let childless = [SA, TSI, TSR].into_iter().fold(whole, without);
        read(&childless).unwrap();
    }
}

fn sa_init_response_of(pieces: &[Piece]) -> Result<SaInitResponse, MessageError> {
    let (first, bytes) = chain(pieces);
    SaInitResponse::parse(first, &bytes)
}

fn auth_response_of(pieces: &[Piece]) -> Result<AuthResponse, MessageError> {
    let (first, bytes) = chain(pieces);
    AuthResponse::parse(first, &bytes)
}

fn create_response_of(pieces: &[Piece]) -> Result<CreateChildResponse, MessageError> {
    let (first, bytes) = chain(pieces);
    CreateChildResponse::parse(first, &bytes)
}

const INVALID_KE: u16 = 17;
const COOKIE: u16 = 16390;

/// RFC 7296 §2.6.
#[test]
fn a_cookie_in_the_place_of_an_sa_asks_for_it_back() {
    let both = [notify(INVALID_KE, &[0, 19]), notify(COOKIE, b"cookie")];
    assert_eq!(sa_init_response_of(&both), Ok(SaInitResponse::Cookie(b"cookie".to_vec())));
}

#[test]
fn a_cookie_beside_an_sa_asks_for_nothing() {
    let pieces = with(sa_init_response(), notify(COOKIE, b"cookie"));
    let Ok(SaInitResponse::Accepted(accepted)) = sa_init_response_of(&pieces) else { panic!() };
    assert_eq!(accepted.notifies[0].kind, NotifyType::COOKIE);
}

/// RFC 7296 §1.2.
#[test]
fn an_invalid_ke_payload_in_the_place_of_an_sa_names_the_wanted_group() {
    let pieces = [notify(24, &[]), notify(INVALID_KE, &[0, 19])];
    assert_eq!(sa_init_response_of(&pieces), Ok(SaInitResponse::InvalidKe(19)));
    assert_eq!(create_response_of(&pieces), Ok(CreateChildResponse::InvalidKe(19)));
}

#[test]
fn an_invalid_ke_payload_beside_an_sa_is_a_contradiction() {
    let wanted = notify(INVALID_KE, &[0, 19]);
    let misplaced = MessageError::Misplaced(PayloadType::SECURITY_ASSOCIATION);
    let pieces = with(sa_init_response(), wanted.clone());
    assert_eq!(sa_init_response_of(&pieces), Err(misplaced));
    assert_eq!(create_response_of(&with(create_child(), wanted)), Err(misplaced));
}

#[test]
fn an_invalid_ke_payload_without_a_group_is_refused() {
    for data in [&[][..], &[19], &[0, 0, 19]] {
        let error = sa_init_response_of(&[notify(INVALID_KE, data)]).unwrap_err();
        let fault = Fault::Length(data.len());
        assert_eq!(error, MessageError::Notify { kind: NotifyType::INVALID_KE_PAYLOAD, fault });
    }
}

/// RFC 7296 §2.21.1, §3.10.1: an error that we do not know counts like one that we know.
#[test]
fn an_error_fails_ike_sa_init_with_or_without_an_sa() {
    for kind in [14, 7, 9999] {
        let failed = Ok(SaInitResponse::Failed(Notify::new(NotifyType(kind))));
        assert_eq!(sa_init_response_of(&[notify(kind, &[])]), failed);
        let beside = with(sa_init_response(), notify(kind, &[]));
        assert_eq!(sa_init_response_of(&beside), failed);
    }
}

#[test]
fn a_response_that_says_nothing_lacks_its_main_payload() {
    let sa = MessageError::Missing(PayloadType::SECURITY_ASSOCIATION);
    let status = [notify(16385, &[])];
    assert_eq!(sa_init_response_of(&status), Err(sa));
    assert_eq!(create_response_of(&status), Err(sa));
    let auth = MessageError::Missing(PayloadType::AUTHENTICATION);
    assert_eq!(auth_response_of(&status), Err(auth));
}

/// RFC 7296 §2.21.2.
#[test]
fn an_ike_auth_response_without_auth_fails_with_its_error() {
    let failed = AuthResponse::Failed(Notify::new(NotifyType::AUTHENTICATION_FAILED));
    assert_eq!(auth_response_of(&[notify(24, &[])]), Ok(failed.clone()));
    assert_eq!(auth_response_of(&[id(IDR), notify(24, &[])]), Ok(failed));
}

/// RFC 7296 §2.21.2: the IKE SA stands without its child.
#[test]
fn an_ike_auth_response_with_auth_and_a_child_error_keeps_the_ike_sa() {
    let childless = [SA, TSI, TSR].into_iter().fold(auth_response(), without);
    for kind in [14, 34, 35, 36, 37, 38] {
        let read = auth_response_of(&with(childless.clone(), notify(kind, &[])));
        let Ok(AuthResponse::Accepted(accepted)) = read else { panic!("{kind}: {read:?}") };
        assert_eq!(accepted.child, ChildOutcome::Refused(Notify::new(NotifyType(kind))));
    }
}

#[test]
fn a_child_error_outweighs_a_child_beside_it() {
    let read = auth_response_of(&with(auth_response(), notify(38, &[])));
    let Ok(AuthResponse::Accepted(accepted)) = read else { panic!("{read:?}") };
    let refusal = Notify::new(NotifyType::TS_UNACCEPTABLE);
    assert_eq!(accepted.child, ChildOutcome::Refused(refusal));
}

/// RFC 7296 §2.21.2 and §3.10.1: fatal errors, and unknown ones, fail the whole exchange.
#[test]
fn an_ike_auth_response_with_auth_and_a_fatal_error_fails() {
    for kind in [1, 7, 24, 41, 9999] {
        let pieces = with(with(auth_response(), notify(kind, &[])), notify(14, &[]));
        let failed = AuthResponse::Failed(Notify::new(NotifyType(kind)));
        assert_eq!(auth_response_of(&pieces), Ok(failed));
    }
}

/// RFC 7296 §3.10.1.
#[test]
fn an_unknown_error_in_a_request_is_left_to_be_ignored() {
    let (first, bytes) = chain(&with(auth_request(), notify(9999, &[])));
    let request = AuthRequest::parse(first, &bytes).unwrap();
    assert_eq!(request.notifies, [Notify::new(NotifyType(9999))]);
}

/// RFC 7296 §1.3.
#[test]
fn any_error_fails_create_child_sa() {
    for kind in [14, 35, 43, 44, 9999] {
        let failed = Ok(CreateChildResponse::Failed(Notify::new(NotifyType(kind))));
        assert_eq!(create_response_of(&[notify(kind, &[])]), failed);
        assert_eq!(create_response_of(&with(create_child(), notify(kind, &[]))), failed);
        assert_eq!(create_response_of(&with(rekey_ike(), notify(kind, &[]))), failed);
    }
}

#[test]
fn ike_proposals_make_a_rekey_of_the_ike_sa() {
    let (first, bytes) = chain(&rekey_ike());
    let Ok(CreateChildRequest::RekeyIke(rekey)) = CreateChildRequest::parse(first, &bytes) else { panic!() };
    assert_eq!(rekey.proposals[0].spi, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_configuration_payload_in_create_child_sa_is_ignored_even_if_broken() {
    let plain = create_response_of(&create_child());
    assert!(plain.is_ok());
    assert_eq!(create_response_of(&with(create_child(), piece(CP, [1]))), plain);
}
