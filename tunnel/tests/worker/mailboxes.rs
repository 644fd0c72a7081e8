//! From packet threads to control.

use crate::world::outer;
use std::time::Duration;
use tidegate::driver::mailbox::{Inbox, KnownSpis, LostMail, Mail, Rates, Report, Sizes, mailboxes};
use tidegate::driver::packets::Trouble;
use tidegate::notice::Notice;
use tidegate::worker::Control;
use tidegate_esp::Spi;
use tidegate_ike::{Framing, Path, Time, Transmit};

const OURS: u64 = 0x0102_0304_0506_0708;
const THEIRS: u64 = 0xa1a2_a3a4_a5a6_a7a8;

#[derive(Clone, Copy)]
enum Sender {
    Initiator,
    Responder,
}

fn path(framing: Framing) -> Path {
    Path { local: outer(1), remote: outer(2), framing }
}

/// The beginning of an IKE message, behind a marker if that is the framing.
fn message(framing: Framing, initiator: u64, responder: u64, sender: Sender) -> Vec<u8> {
    let flags = match sender {
        Sender::Initiator => 0x08,
        Sender::Responder => 0x20,
    };
    let marker: &[u8] = if framing == Framing::Marked { &[0; 4] } else { &[] };
    let rest = [46, 0x20, 37, flags, 0, 0, 0, 1, 0, 0, 0, 28];
    [marker, &initiator.to_be_bytes(), &responder.to_be_bytes(), &rest].concat()
}

fn transmitted(framing: Framing, initiator: u64, responder: u64, sender: Sender) -> Transmit {
    Transmit { path: path(framing), bytes: message(framing, initiator, responder, sender) }
}

fn small() -> Sizes {
    Sizes { known: 4, unknown: 4, reports: 8, spis: 64, rates: Rates::small() }
}

/// First byte of the responder's SPI or the name of what is there.
fn all(inbox: &mut Inbox) -> Vec<String> {
    std::iter::from_fn(|| inbox.try_next())
        .map(|mail| match mail {
            Mail::Ike(datagram) => format!("ike {:02x}", datagram.bytes[0]),
            Mail::Report(report) => format!("{report:?}"),
        })
        .collect()
}

#[test]
fn ike_of_spis_we_know_comes_before_all_else() {
    let (mut boxes, mut inbox) = mailboxes(small());
    boxes.spis().note(&transmitted(Framing::Bare, OURS, 0, Sender::Initiator));
    boxes.ike(path(Framing::Bare), &message(Framing::Bare, THEIRS, 0, Sender::Initiator));
    boxes.notice(Notice::FirstInbound(Spi::new(0x1000).unwrap()));
    boxes.ike(path(Framing::Bare), &message(Framing::Bare, OURS, THEIRS, Sender::Responder));
    assert_eq!(all(&mut inbox), ["ike 01", "Notice(FirstInbound(Spi(00001000)))", "ike a1"]);
}

#[test]
fn a_flood_of_strangers_takes_no_room_from_those_we_know() {
    let (mut boxes, mut inbox) = mailboxes(small());
    boxes.spis().note(&transmitted(Framing::Bare, OURS, 0, Sender::Initiator));
    for stranger in 0..1000 {
        boxes.ike(path(Framing::Bare), &message(Framing::Bare, THEIRS + stranger, 0, Sender::Initiator));
    }
    boxes.ike(path(Framing::Bare), &message(Framing::Bare, OURS, THEIRS, Sender::Responder));
    assert_eq!(inbox.lost(), LostMail { known: 0, unknown: 996, reports: 0 });
    assert_eq!(all(&mut inbox).len(), 5);
}

#[test]
fn a_flood_of_one_spi_takes_no_time_from_others_we_know() {
    let rates = Rates { known: 20, ..Rates::default() };
    let (boxes, inbox) = mailboxes(Sizes { known: 1024, rates, ..small() });
    let named = |spi| message(Framing::Bare, spi, THEIRS, Sender::Responder);
    for spi in [OURS, OURS + 1] {
        boxes.spis().note(&transmitted(Framing::Bare, spi, 0, Sender::Initiator));
    }
    for _ in 0..1000 {
        boxes.ike_at(Time::ZERO, path(Framing::Bare), &named(OURS));
    }
    assert_eq!(inbox.lost().known, 998);
    boxes.ike_at(Time::ZERO, path(Framing::Bare), &named(OURS + 1));
    assert_eq!(inbox.lost().known, 998, "another one");
    boxes.ike_at(Time::ZERO + Duration::from_secs(1), path(Framing::Bare), &named(OURS));
    assert_eq!(inbox.lost().known, 998, "later on");
}

#[test]
fn a_stranger_who_comes_again_gets_in_while_there_is_a_flood() {
    let (boxes, mut inbox) = mailboxes(Sizes { unknown: 8192, ..small() });
    for stranger in 1..5000 {
        boxes.ike_at(
            Time::ZERO,
            path(Framing::Bare),
            &message(Framing::Bare, stranger, 0, Sender::Initiator),
        );
    }
    let let_in = all(&mut inbox).len();
    assert!((1..1000).contains(&let_in), "{let_in}");
    let honest = message(Framing::Bare, THEIRS, 0, Sender::Initiator);
    boxes.ike_at(Time::ZERO, path(Framing::Bare), &honest);
    assert_eq!(all(&mut inbox).len(), 0, "at first");
    boxes.ike_at(Time::ZERO, path(Framing::Bare), &honest);
    assert_eq!(all(&mut inbox), ["ike a1"], "again");
}

#[test]
fn a_stranger_with_a_very_long_message_is_not_listened_to() {
    let (mut boxes, mut inbox) = mailboxes(small());
    boxes.spis().note(&transmitted(Framing::Bare, OURS, 0, Sender::Initiator));
    for initiator in [OURS, THEIRS] {
        let mut long = message(Framing::Bare, initiator, 1, Sender::Responder);
        long.resize(20_000, 0);
        boxes.ike(path(Framing::Bare), &long);
    }
    assert_eq!(inbox.lost().unknown, 1);
    assert_eq!(all(&mut inbox), ["ike 01"]);
}

#[test]
fn both_ends_of_an_sa_know_their_own_spi_in_either_framing() {
    for framing in [Framing::Bare, Framing::Marked] {
        let spis = KnownSpis::new(64, 1000);
        // We began one SA and were asked for another.
        spis.note(&transmitted(framing, OURS, 0, Sender::Initiator));
        spis.note(&transmitted(framing, THEIRS, OURS + 1, Sender::Responder));
        assert!(spis.knows(framing, &message(framing, OURS, THEIRS, Sender::Responder)));
        assert!(spis.knows(framing, &message(framing, THEIRS, OURS + 1, Sender::Initiator)));
        assert!(!spis.knows(framing, &message(framing, THEIRS, OURS, Sender::Responder)), "theirs");
        assert!(!spis.knows(framing, &message(framing, THEIRS, 0, Sender::Initiator)), "none yet");
    }
}

#[test]
fn what_is_no_message_is_of_nobody_we_know() {
    let spis = KnownSpis::new(64, 1000);
    spis.note(&Transmit { path: path(Framing::Marked), bytes: vec![0xff] });
    spis.note(&transmitted(Framing::Bare, THEIRS, 0, Sender::Responder));
    for length in 0..20 {
        assert!(!spis.knows(Framing::Bare, &vec![0; length]));
        assert!(!spis.knows(Framing::Marked, &vec![0; length]));
    }
}

#[test]
fn thousands_of_spis_are_known_at_a_time() {
    let spis = KnownSpis::new(4096, 1000);
    let spi = |index: u64| (index + 1).wrapping_mul(0xd134_2543_de82_ef95);
    for index in 0..1000 {
        spis.note(&transmitted(Framing::Bare, spi(index), 0, Sender::Initiator));
    }
    let known =
        |index: &u64| spis.knows(Framing::Bare, &message(Framing::Bare, spi(*index), 5, Sender::Responder));
    assert!((0..1000).filter(known).count() > 800);
    assert!(known(&999), "the last one always");
}

#[test]
fn a_part_of_the_queue_is_kept_for_what_is_said_once() {
    let (mut boxes, mut inbox) = mailboxes(small());
    let spi = Spi::new(0x1000).unwrap();
    for _ in 0..100 {
        boxes.notice(Notice::Activity { child: spi, remote: outer(2) });
    }
    boxes.notice(Notice::FirstInbound(spi));
    boxes.notice(Notice::SoftLimit(spi));
    assert_eq!(inbox.lost().reports, 96);
    let mail = all(&mut inbox);
    assert_eq!(mail.len(), 6);
    assert_eq!(mail[4..], ["Notice(FirstInbound(Spi(00001000)))", "Notice(SoftLimit(Spi(00001000)))"]);
}

#[tokio::test]
async fn control_waits_for_mail_and_learns_when_there_will_be_none() {
    let (boxes, mut inbox) = mailboxes(small());
    let thread = std::thread::spawn(move || boxes.trouble(Trouble::Poll(std::io::ErrorKind::OutOfMemory)));
    let Some(Mail::Report(Report::Trouble(trouble))) = inbox.next().await else { panic!("trouble") };
    assert_eq!(trouble, Trouble::Poll(std::io::ErrorKind::OutOfMemory));
    thread.join().unwrap();
    assert!(inbox.next().await.is_none());
}
