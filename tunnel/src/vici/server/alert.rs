//! What an operator should look at, under the names by which charon knows such things.

use super::album::Album;
use crate::event::Event;
use crate::log::Line;
use crate::vici::message::Message;
use tidegate_ike::auth::{AuthFailure, CertificateCheck};
use tidegate_ike::wire::NotifyType;
use tidegate_ike::{Cause, Culprit, Event as Ike, SaId, Verdict};

/// The alert that an event is, if it is one.
pub(super) fn describe(event: &Event, line: &Line, album: &Album) -> Option<Message> {
    let Alarm { name, verdict, sa } = alarm(event)?;
    let mut message = Message::new().with("alert", name);
    message.put_some("ikesa-name", line.connection.as_ref());
    message.put("msg", &line.text);
    message.put_some("tidegate-culprit", verdict.map(|verdict| culprit(verdict.culprit)));
    if let Some((connection, section)) = sa.and_then(|sa| album.sa(sa)) {
        message.put_section(connection, section);
    }
    Some(message)
}

struct Alarm<'a> {
    name: &'static str,
    verdict: Option<&'a Verdict>,
    sa: Option<SaId>,
}

/// What was under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    IkeSa,
    Child,
    /// Nothing: something that stood has ended.
    Over,
}

fn alarm(event: &Event) -> Option<Alarm<'_>> {
    let of =
        |sa: &SaId, verdict, attempt| name(verdict, attempt).map(|name| (name, Some(verdict), Some(*sa)));
    let (name, verdict, sa) = match event {
        Event::Ike(Ike::IkeFailed { sa, verdict, .. }) => of(sa, verdict, Attempt::IkeSa),
        Event::Ike(Ike::ChildFailed { sa, verdict, .. }) => of(sa, verdict, Attempt::Child),
        Event::Ike(Ike::IkeClosed { sa, verdict, .. }) => of(sa, verdict, Attempt::Over),
        Event::Ike(Ike::Warning { sa, verdict }) => of(sa, verdict, Attempt::Over),
        Event::Ike(Ike::Refused { verdict, .. }) => {
            name(verdict, Attempt::IkeSa).map(|name| (name, Some(verdict), None))
        }
        // The attempt before it has had an alarm of its own, unless it had not even an address to go to.
        Event::Retry { verdict, .. } if verdict.cause == Cause::Unresolved => {
            Some(("peer-addr-failed", Some(verdict), None))
        }
        Event::PrefixTaken { sa, .. } => Some(("install-child-policy-failed", None, Some(*sa))),
        _ => None,
    }?;
    Some(Alarm { name, verdict, sa })
}

fn name(verdict: &Verdict, attempt: Attempt) -> Option<&'static str> {
    Some(match &verdict.cause {
        Cause::Proposals(_) | Cause::Refused(NotifyType::NO_PROPOSAL_CHOSEN) => match attempt {
            Attempt::Child => "proposal-mismatch-child",
            Attempt::IkeSa | Attempt::Over => "proposal-mismatch-ike",
        },
        Cause::Pfs(_) | Cause::PfsRefused { .. } => "proposal-mismatch-child",
        Cause::Authentication(failure) => of_authentication(failure, verdict.culprit),
        Cause::NoConnection { .. } => "peer-auth-failed",
        Cause::Refused(NotifyType::AUTHENTICATION_FAILED) => "local-auth-failed",
        Cause::Selectors { .. } | Cause::Refused(NotifyType::TS_UNACCEPTABLE) => "ts-mismatch",
        Cause::PoolExhausted | Cause::Refused(NotifyType::INTERNAL_ADDRESS_FAILURE) => "vip-failure",
        Cause::Unanswered { .. } if attempt == Attempt::IkeSa => "peer-init-unreachable",
        Cause::Unanswered { .. } => "retransmit-send-timeout",
        Cause::Unresolved => "peer-addr-failed",
        Cause::Malformed(_) => "parse-error-body",
        Cause::Expired => "ike-sa-expired",
        Cause::Replaced if attempt == Attempt::Over => "unique-replace",
        _ => return None,
    })
}

fn of_authentication(failure: &AuthFailure, culprit: Culprit) -> &'static str {
    match failure {
        AuthFailure::Certificate(verdict) => match verdict.check {
            CertificateCheck::Expired { .. } | CertificateCheck::NotYetValid { .. } => "cert-expired",
            CertificateCheck::Revoked => "cert-revoked",
            CertificateCheck::NoTrustedIssuer => "cert-no-issuer",
            CertificateCheck::PathTooLong { .. } | CertificateCheck::PathLength { .. } => {
                "cert-exceeded-path-len"
            }
            _ => "cert-validation-failed",
        },
        _ if culprit == Culprit::Us => "local-auth-failed",
        _ => "peer-auth-failed",
    }
}

fn culprit(culprit: Culprit) -> &'static str {
    match culprit {
        Culprit::Us => "us",
        Culprit::Peer => "peer",
        Culprit::Mismatch => "mismatch",
        Culprit::Misbehaviour => "misbehaviour",
        Culprit::Network => "network",
    }
}
