//! Clients that hurt themselves alone.

use crate::fake::{Fake, House, soon, two_connections};
use std::time::{Duration, Instant};
use tidegate::event::Event;
use tidegate::vici::packet::{self, MAX_PACKET};
use tidegate::vici::{Client, Element, MAX_CLIENTS, Message, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

async fn raw(house: &House) -> UnixStream {
    UnixStream::connect(&house.path).await.expect("the server listens")
}

async fn assert_well(house: &House) {
    let mut client = house.client().await;
    assert!(soon(client.request("version", &Message::new())).await.is_ok());
}

async fn assert_dropped(stream: &mut UnixStream) {
    let mut rest = Vec::new();
    // A reset is an end as well: there was something that nobody has read.
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty(), "there is no answer to that");
}

#[tokio::test]
async fn what_is_no_packet_ends_the_session() {
    let house = House::open(&Fake::default());
    let long = u32::try_from(MAX_PACKET + 1).expect("small").to_be_bytes();
    let cases: [&[u8]; 8] = [
        &[0, 0, 0, 0],
        &[0, 0, 0, 1, 9],
        &[0, 0, 0, 1, 1],
        &[0, 0, 0, 1, 5],
        &[0, 0, 0, 3, 7, 1, b'a'],
        &[0, 0, 0, 4, 0, 9, b'a', b'b'],
        &[0xff; 64],
        &long,
    ];
    for bytes in cases {
        let mut stream = raw(&house).await;
        stream.write_all(bytes).await.expect("it is open");
        assert_dropped(&mut stream).await;
    }
    assert_well(&house).await;
}

#[tokio::test]
async fn a_message_that_makes_no_sense_is_answered() {
    let house = House::open(&Fake::default());
    let mut stream = raw(&house).await;
    for _ in 0..2 {
        stream.write_all(&[0, 0, 0, 10, 0, 7]).await.expect("it is open");
        stream.write_all(b"version\x02").await.expect("it is open");
        let mut length = [0; 4];
        soon(stream.read_exact(&mut length)).await.expect("an answer");
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        soon(stream.read_exact(&mut body)).await.expect("an answer");
        assert_eq!(body.first(), Some(&1));
        let answer = tidegate::vici::codec::decode(&body[1..]).expect("ours makes sense");
        assert_eq!(answer.text("success"), Some("no"));
    }
}

#[tokio::test]
async fn a_packet_that_does_not_end_is_not_waited_for_longer_than_patience() {
    let house = House::open(&Fake::default());
    let begun = Instant::now();
    let mut streams = Vec::new();
    for bytes in [&[0][..], &[0, 0, 0, 9], &[0, 0, 0, 9, 0, 7, b'v']] {
        let mut stream = raw(&house).await;
        stream.write_all(bytes).await.expect("it is open");
        streams.push(stream);
    }
    for stream in &mut streams {
        assert_dropped(stream).await;
    }
    assert!(begun.elapsed() >= PATIENCE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn commands_may_be_sent_ahead_and_are_answered_in_order() {
    let house = House::open(&Fake::default());
    let mut stream = raw(&house).await;
    let all: Vec<u8> = ["version", "dance", "get-conns", "version", "dance", "stats", "get-conns"]
        .into_iter()
        .flat_map(|name| packet::request(name, &Message::new()).expect("short"))
        .collect();
    stream.write_all(&all).await.expect("it is open");
    let mut kinds = Vec::new();
    for _ in 0..7 {
        let mut length = [0; 4];
        soon(stream.read_exact(&mut length)).await.expect("an answer");
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        soon(stream.read_exact(&mut body)).await.expect("an answer");
        kinds.push(body[0]);
    }
    assert_eq!(kinds, [1, 2, 1, 1, 2, 1, 1]);
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_events_and_delays_nobody() {
    let house = House::open(&Fake::default());
    let mut deaf = raw(&house).await;
    deaf.write_all(&packet::register("tidegate-event").expect("short")).await.expect("it is open");
    let mut confirmed = [0; 5];
    soon(deaf.read_exact(&mut confirmed)).await.expect("an answer");
    let mut keen = house.client().await.events(&["tidegate-event"]).await.expect("known");

    // Some tens of megabytes, of which neither the socket nor any queue of ours holds a tenth.
    let rounds = 60;
    let text = "x".repeat(1000);
    let begun = Instant::now();
    for round in 0..rounds {
        for _ in 0..500 {
            house.fake.raise(&Event::Trouble { area: "test", message: text.clone() });
        }
        for _ in 0..500 {
            let seen = soon(keen.next()).await.expect("the daemon is there");
            assert!(seen.is_some(), "round {round}");
        }
    }
    assert_well(&house).await;
    let taken = begun.elapsed();
    drop(deaf);
    assert!(taken < Duration::from_secs(60), "{taken:?}");
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_command_with_it() {
    let house = House::open(&Fake::default());
    let mut stream = raw(&house).await;
    let request = packet::request("initiate", &Message::new().with("ike", "slow")).expect("short");
    stream.write_all(&request).await.expect("it is open");
    while house.fake.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stream);
    // Nobody waits for `slow` any more, so that the release stays for whoever comes next.
    tokio::time::sleep(Duration::from_millis(100)).await;
    house.fake.release.notify_one();
    let mut client = house.client().await;
    assert!(soon(client.request("initiate", &Message::new().with("ike", "slow"))).await.is_ok());
}

#[tokio::test]
async fn a_thousand_connections_leave_room_for_one_more() {
    let house = House::open(&Fake::with(two_connections()));
    let mut crowd = Vec::new();
    for number in 0..1000 {
        let mut stream = raw(&house).await;
        if number % 2 == 0 {
            // Half of them begin something.
            let _ = stream.write_all(&[0, 0]).await;
        }
        crowd.push(stream);
    }
    assert_well(&house).await;
}

#[tokio::test]
async fn those_who_wait_for_something_keep_their_seats() {
    let house = House::open(&Fake::default());
    let mut listener = house.client().await.events(&["tidegate-event"]).await.expect("known");
    let mut waiting = house.client().await;
    let arguments = Message::new().with("ike", "slow");
    let mut initiate = std::pin::pin!(waiting.request("initiate", &arguments));
    let _ = tokio::time::timeout(Duration::from_millis(50), &mut initiate).await;

    let mut crowd = Vec::new();
    for _ in 0..MAX_CLIENTS * 2 {
        crowd.push(raw(&house).await);
    }
    assert_well(&house).await;

    house.fake.release.notify_one();
    assert!(soon(initiate).await.is_ok());
    house.fake.raise(&Event::Trouble { area: "test", message: String::new() });
    assert!(soon(listener.next()).await.expect("still there").is_some());
}

#[tokio::test]
async fn where_all_wait_for_something_one_more_is_turned_away() {
    let house = House::open(&Fake::default());
    let mut listeners = Vec::new();
    for _ in 0..MAX_CLIENTS {
        let client = Client::connect(&house.path).await.expect("the server listens");
        listeners.push(client.events(&["log"]).await.expect("known"));
    }
    let mut late = raw(&house).await;
    assert_dropped(&mut late).await;
    listeners.pop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_well(&house).await;
}

#[tokio::test]
async fn a_command_takes_arguments_of_any_kind_and_size() {
    let house = House::open(&Fake::default());
    let mut client = house.client().await;
    let mut strange = Message::new();
    strange.push("ike".to_owned(), Element::Value(vec![0xff; 60_000]));
    strange.push("child".to_owned(), Element::List(vec![vec![0]; 1000]));
    strange.put_section("timeout", Message::new());
    for command in ["initiate", "terminate", "rekey", "list-sas", "list-conns", "tidegate-status", "version"]
    {
        // Whatever it answers, it answers.
        match soon(client.request(command, &strange)).await {
            Ok(_) | Err(tidegate::vici::ClientError::Refused(_)) => {}
            Err(other) => panic!("{command}: {other}"),
        }
    }
}
