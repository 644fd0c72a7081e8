//! The demonstration works, and says so.

use std::time::Duration;
use tidegate::demo;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_works_from_end_to_end() {
    let mut account = Vec::new();
    let result = demo::run(&mut account).await;
    let account = String::from_utf8(account).expect("text");
    println!("{account}");
    result.expect("every step works");
    for part in
        ["identities", "negotiate", "edge-1 -> cloud", "edge-1 -> edge-2", "4 rekeys", "first esp", "done"]
    {
        assert!(account.contains(part), "it says nothing of {part}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_sends_its_first_packet_soon_after_it_is_started() {
    let median = demo::first_packet().await.expect("it sends one");
    println!("first packet after {median:?}");
    assert!(median < Duration::from_millis(50), "{median:?}");
}
