//! Class "lengths", and forgery in general: real messages with a bit turned over or an end cut off, delivered
//! to whoever expects the real one.

use crate::support::{End, Pair};
use std::time::Duration;
use tidegate_ike::Transmit;
use tidegate_ike::wire::{ExchangeType, Header};

/// What must not change when something false arrives.
fn shape(pair: &mut Pair, end: End) -> (usize, usize, usize, [usize; 3], usize, usize) {
    let host = pair.host(end);
    (
        host.endpoint.len(),
        host.standing().len(),
        host.children().len(),
        host.endpoint.resources(),
        host.installed.len(),
        host.events.len(),
    )
}

/// Every exchange there is, each message shown to `meddle` before it is delivered: set-up, a new key for the
/// child, for the IKE SA, a liveness check, and the end.
fn whole_life(mut meddle: impl FnMut(&mut Pair, End, &Transmit)) {
    let mut pair = Pair::psk(21);
    pair.initiate(End::A);
    deliver_all(&mut pair, &mut meddle);
    for end in [End::A, End::B] {
        let child = pair.child(end);
        pair.with(end, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
        deliver_all(&mut pair, &mut meddle);
        let sa = pair.sa(end);
        pair.with(end, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
        deliver_all(&mut pair, &mut meddle);
        pair.sleep(Duration::from_secs(12));
        deliver_all(&mut pair, &mut meddle);
    }
    pair.assert_agree();
    assert_eq!(pair.a.standing().len(), 1);
    assert_eq!(pair.a.children().len(), 1);
    let sa = pair.sa(End::B);
    pair.with(End::B, |endpoint, now| endpoint.terminate(now, sa)).unwrap();
    deliver_all(&mut pair, &mut meddle);
    pair.run(Duration::from_secs(60));
    for host in [&pair.a, &pair.b] {
        assert!(host.endpoint.is_empty());
        assert_eq!(host.endpoint.resources(), [0, 0, 0]);
    }
}

fn deliver_all(pair: &mut Pair, meddle: &mut impl FnMut(&mut Pair, End, &Transmit)) {
    loop {
        let Some(from) = [End::A, End::B].into_iter().find(|end| !pair.host(*end).sent.is_empty()) else {
            return;
        };
        let transmit = pair.take(from);
        // What the false ones provoke goes nowhere; the real exchange goes on.
        let waiting = [End::A, End::B].map(|end| std::mem::take(&mut pair.host(end).sent));
        meddle(pair, from.other(), &transmit);
        for (end, sent) in [End::A, End::B].into_iter().zip(waiting) {
            pair.host(end).sent = sent;
        }
        pair.deliver(from.other(), &transmit);
    }
}

/// Behind the marker, if there is one.
fn message(transmit: &Transmit) -> &[u8] {
    transmit.bytes.strip_prefix(&[0; 4]).unwrap_or(&transmit.bytes)
}

fn is_protected(transmit: &Transmit) -> bool {
    Header::parse(message(transmit)).unwrap().0.exchange != ExchangeType::IkeSaInit
}

#[test]
fn a_protected_message_with_any_bit_turned_over_changes_nothing() {
    let mut tried = 0;
    whole_life(|pair, to, real| {
        if !is_protected(real) {
            return;
        }
        let before = shape(pair, to);
        for at in 0..real.bytes.len() {
            let mut false_one = real.clone();
            false_one.bytes[at] ^= 1 << (at % 8);
            pair.deliver(to, &false_one);
            assert_eq!(shape(pair, to), before, "byte {at} of {}", real.bytes.len());
            tried += 1;
        }
    });
    assert!(tried > 3000, "{tried}");
}

#[test]
fn a_message_cut_at_any_length_changes_nothing() {
    whole_life(|pair, to, real| {
        let before = shape(pair, to);
        for length in 0..real.bytes.len() {
            let mut false_one = real.clone();
            false_one.bytes.truncate(length);
            pair.deliver(to, &false_one);
            // The length in the header made to fit, too.
            let marker = real.bytes.len() - message(real).len();
            if length >= marker + Header::LEN {
                let field = u32::try_from(length - marker).unwrap().to_be_bytes();
                false_one.bytes[marker + 24..marker + 28].copy_from_slice(&field);
                pair.deliver(to, &false_one);
            }
            assert_eq!(shape(pair, to), before, "{length} of {}", real.bytes.len());
        }
    });
}

#[test]
fn a_message_with_something_behind_it_changes_nothing() {
    whole_life(|pair, to, real| {
        let before = shape(pair, to);
        for extra in [1, 4, 16, 1000] {
            let mut false_one = real.clone();
            false_one.bytes.extend(std::iter::repeat_n(0, extra));
            pair.deliver(to, &false_one);
            assert_eq!(shape(pair, to), before);
        }
    });
}

/// IKE_SA_INIT is not protected: a changed request is another request, and a changed answer may look like
/// one. Neither keeps the real ones from each other, and what is left of the false ones goes in time.
#[test]
fn an_ike_sa_init_with_any_bit_turned_over_does_not_keep_the_real_one_out() {
    for message in 0..2 {
        let mut at = 0;
        loop {
            let mut pair = Pair::psk(22);
            pair.initiate(End::A);
            if message == 1 {
                pair.pass(End::A);
            }
            let from = if message == 0 { End::A } else { End::B };
            let real = pair.take(from);
            if at == real.bytes.len() {
                break;
            }
            let mut false_one = real.clone();
            false_one.bytes[at] ^= 1 << (at % 8);
            pair.deliver(from.other(), &false_one);
            pair.deliver(from.other(), &real);
            pair.run(Duration::from_secs(25));
            assert_eq!(pair.a.standing().len(), 1, "byte {at} of message {message}: {:?}", pair.a.events);
            pair.run(Duration::from_secs(60));
            pair.assert_agree();
            assert_eq!(pair.b.endpoint.len(), 1, "byte {at} of message {message}");
            assert_eq!(pair.b.endpoint.resources()[2], 0);
            at += 1;
        }
    }
}
