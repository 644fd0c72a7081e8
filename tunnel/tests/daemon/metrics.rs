//! Metrics as Prometheus reads them.

use super::support::{Folder, Running};
use std::net::SocketAddr;
use tidegate::metrics::Server;
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
