//! Class "integer limits": message ids that jump, stand still or come near their end.

use crate::evil::Scene;
use tidegate_ike::counters::Drop;
use tidegate_ike::wire::{ExchangeType, Informational, PayloadChain};

/// RFC 7296 §2.3: with a window of one, only the next id is taken, and only the last repeated.
#[test]
fn only_the_next_message_id_is_taken() {
    let mut scene = Scene::established();
    let sa = scene.victim.standing()[0];
    // 0 and 1 have been used, 1 last of all.
    for id in [0, 3, 4, 1000, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX] {
        let delete =
            Informational { deletes: vec![tidegate_ike::wire::Delete::Ike], ..Informational::default() };
        let before = scene.victim.endpoint.counters().dropped(Drop::OutOfWindow);
        let datagram = scene.evil.seal(ExchangeType::Informational, false, id, &delete.emit());
        scene.victim.sent.clear();
        scene.say(&datagram);
        assert_eq!(scene.victim.endpoint.counters().dropped(Drop::OutOfWindow), before + 1, "{id}");
        assert!(scene.victim.sent.is_empty());
    }
    assert_eq!(scene.victim.standing(), [sa]);
    assert!(scene.ask(ExchangeType::Informational, &PayloadChain::default()).is_some());
}

/// Answers to what was never asked, under every id.
#[test]
fn an_answer_to_nothing_is_dropped_whatever_its_id() {
    let mut scene = Scene::established();
    for id in [0, 1, 2, 3, u32::MAX] {
        let before = scene.victim.endpoint.counters().dropped(Drop::OutOfWindow);
        let datagram = scene.evil.seal(ExchangeType::Informational, true, id, &PayloadChain::default());
        scene.say(&datagram);
        assert_eq!(scene.victim.endpoint.counters().dropped(Drop::OutOfWindow), before + 1, "{id}");
    }
    assert!(scene.ask(ExchangeType::Informational, &PayloadChain::default()).is_some());
}
