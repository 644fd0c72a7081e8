//! The client, and what a session lets it do.

use crate::fake::{Fake, House, soon, two_connections};
use std::path::Path;
use std::time::Duration;
use tidegate::vici::{Client, ClientError, Message};
use tokio::time::timeout;

#[tokio::test]
async fn one_connection_serves_many_commands() {
    let house = House::open(&Fake::with(two_connections()));
    let mut client = house.client().await;
    for _ in 0..3 {
        let mut count = 0;
        let arguments = Message::new();
        let answer = client.stream("list-conns", "list-conn", &arguments, |_| count += 1);
        soon(answer).await.expect("known");
        assert_eq!(count, 2);
        assert!(soon(client.request("version", &Message::new())).await.is_ok());
    }
}

#[tokio::test]
async fn what_is_unknown_is_told_and_the_connection_stays() {
    let house = House::open(&Fake::default());
    let mut client = house.client().await;
    let command = soon(client.request("dance", &Message::new())).await;
    assert!(matches!(command, Err(ClientError::UnknownCommand(name)) if name == "dance"));
    let event = soon(client.stream("list-sas", "song", &Message::new(), |_| {})).await;
    assert!(matches!(event, Err(ClientError::UnknownEvent(name)) if name == "song"));
    assert!(soon(client.request("version", &Message::new())).await.is_ok());
}

#[tokio::test]
async fn a_command_that_waits_delays_no_other_client() {
    let house = House::open(&Fake::default());
    let mut slow = house.client().await;
    let arguments = Message::new().with("ike", "slow");
    let mut waiting = std::pin::pin!(slow.request("initiate", &arguments));
    assert!(timeout(Duration::from_millis(100), &mut waiting).await.is_err(), "it is under way");

    let mut quick = house.client().await;
    assert!(soon(quick.request("version", &Message::new())).await.is_ok());

    house.fake.release.notify_one();
    assert!(soon(waiting).await.is_ok());
}

#[tokio::test]
async fn a_client_learns_that_the_daemon_is_gone() {
    let mut house = House::open(&Fake::default());
    let client = house.client().await;
    let mut events = client.events(&["log"]).await.expect("known");
    drop(house.server.take());
    assert!(matches!(soon(events.next()).await, Ok(None)));
    assert!(Client::connect(&house.path).await.is_err());
}

#[tokio::test]
async fn nobody_listens_where_there_is_no_daemon() {
    let error = Client::connect(Path::new("/nonexistent/vici.sock")).await.expect_err("no such folder");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
