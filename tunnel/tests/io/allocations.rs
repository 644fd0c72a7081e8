use crate::wire::{anywhere, at, batch, departure};
use tidegate::io::Wire;
use tidegate::io::batch::ReceiveBatch;
use tidegate_alloc::{Counting, Usage};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_batch_allocates_nothing() {
    let (one, other) = (anywhere(), anywhere());
    let way = departure(at("127.0.0.1", &one), at("127.0.0.1", &other));
    let sent = batch((0..64).map(|_| (way, &[7; 1200][..])));
    let mut received = ReceiveBatch::new();

    let before = Usage::now();
    for _ in 0..10 {
        assert_eq!(one.send(&sent).unwrap(), 64);
        for _ in 0..64 / received.slot_count() {
            received.clear();
            assert_eq!(other.receive(1, &mut received).unwrap(), received.slot_count());
        }
        other.path_mtu_errors(1, &mut |_, _| {});
    }
    assert_eq!(Usage::since(before).allocations, 0);
}
