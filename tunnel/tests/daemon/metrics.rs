//! Metrics as Prometheus reads them.

use super::support::{Folder, Running};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tidegate::metrics::{Server, render};
use tidegate::status::{ConnectionStatus, CountersReport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn fetch(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

#[tokio::test]
async fn a_configured_connection_that_is_down_is_shown_as_such() {
    let folder = Folder::new();
    folder.write("tidegate.toml", &folder.configuration(&["one"]));
    let running = Running::start(&folder.path("tidegate.toml")).await;
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    let server = Server::start(running.manager.clone(), anywhere).await.expect("a port is free");
    let answer = fetch(server.address(), "GET /metrics HTTP/1.1\r\nHost: tidegate\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\ntidegate_connection_up{connection=\"one\"} 0\n"), "{answer}");
    let missing = fetch(server.address(), "GET / HTTP/1.1\r\n\r\n").await;
    assert!(missing.starts_with("HTTP/1.1 404 "), "{missing}");
    let posted = fetch(server.address(), "POST /metrics HTTP/1.1\r\n\r\n").await;
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    running.stop().await;
}

#[test]
fn each_family_is_declared_once_and_labels_are_quoted() {
    let status = ["plain", "odd \"name\" \\"].map(|name| ConnectionStatus {
        name: name.to_owned(),
        state: "up",
        ..ConnectionStatus::default()
    });
    let counters =
        CountersReport { packet_drops: BTreeMap::from([("no-policy", 7)]), ..CountersReport::default() };
    let text = render(&status, &counters);
    assert!(text.contains("tidegate_connection_up{connection=\"odd \\\"name\\\" \\\\\"} 1\n"), "{text}");
    assert!(text.contains("tidegate_packet_drops_total{reason=\"no-policy\"} 7\n"), "{text}");
    let mut declared: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let all = declared.len();
    declared.sort_unstable();
    declared.dedup();
    assert_eq!(declared.len(), all);
    assert!(text.lines().all(|line| line.starts_with('#') || line.rsplit_once(' ').is_some()));
}
