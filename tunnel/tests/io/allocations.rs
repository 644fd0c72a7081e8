use crate::wire::{anywhere, anywhere_apart, at, batch, departure};
use tidegate::io::Wire;
use tidegate::io::batch::ReceiveBatch;
use tidegate::io::udp::Sockets;
use tidegate_alloc::{Counting, Usage};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_batch_allocates_nothing() {
    for (one, other) in [(anywhere(), anywhere()), (anywhere_apart(), anywhere_apart())] {
        exchange(&one, &other);
    }
}

fn exchange(one: &Sockets, other: &Sockets) {
    let way = departure(at("127.0.0.1", one), at("127.0.0.1", other));
    let sent = batch((0..64).map(|_| (way, &[7; 1200][..])));
    let mut received = ReceiveBatch::new();

    let mut turn = || {
        assert_eq!(one.send(&sent).unwrap(), 64);
        let mut count = 0;
        while count < 64 {
            received.clear();
            count += other.receive(1, &mut received).unwrap();
        }
        other.path_mtu_errors(1, &mut |_, _| {});
    };
    // Places for what comes in one piece are made when they are needed for the first time.
    turn();

    let before = Usage::now();
    (0..10).for_each(|_| turn());
    assert_eq!(Usage::since(before).allocations, 0);
}
