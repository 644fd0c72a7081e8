//! Metrics over HTTP.

use crate::fake::{Fake, counters, soon, two_connections};
use std::net::SocketAddr;
use std::time::Duration;
use tidegate::metrics::{CLIENTS, LONGEST_REQUEST, Server, render};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn server(fake: &Fake) -> Server {
    Server::start(fake.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("any port")
}

async fn ask(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.expect("it listens");
    stream.write_all(request).await.expect("it is open");
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.expect("text");
    answer
}

#[tokio::test]
async fn the_page_is_read_by_get() {
    let server = server(&Fake::with(two_connections())).await;
    for path in ["/metrics", "/metrics?name=x"] {
        let answer = ask(&server, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        assert_eq!(body, render(&two_connections(), &counters()));
    }
}

#[tokio::test]
async fn whatever_else_is_refused() {
    let server = server(&Fake::default()).await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("GET /metrics/ HTTP/1.0\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("GET /metrics\r\n\r\n", "400"),
        ("\r\n\r\n", "400"),
        ("GET /metrics SPDY/1\r\n\r\n", "400"),
    ] {
        let answer = ask(&server, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
    let answer = ask(&server, &[b"GET \xff HTTP/1.1\r\n\r\n".as_slice()].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_request_has_its_limit() {
    let server = server(&Fake::default()).await;
    let mut stream = TcpStream::connect(server.address()).await.expect("it listens");
    // What is too long is not read to its end, so that writing may fail.
    let _ = stream.write_all(&vec![b'x'; LONGEST_REQUEST * 2]).await;
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "));
}

#[tokio::test]
async fn silent_clients_give_their_places_back() {
    let server = server(&Fake::default()).await;
    let mut silent = Vec::new();
    for _ in 0..CLIENTS {
        silent.push(TcpStream::connect(server.address()).await.expect("it listens"));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = ask(&server, b"GET /metrics HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "));
}

#[test]
fn all_that_matters_is_on_the_page() {
    let page = render(&two_connections(), &counters());
    for line in [
        r#"tidegate_connection_up{connection="edge-1"} 1"#,
        r#"tidegate_connection_up{connection="edge-2"} 0"#,
        "tidegate_connections_down 1",
        r#"tidegate_connection_failures{connection="edge-2"} 4"#,
        r#"tidegate_ike_sas{state="established"} 1"#,
        r#"tidegate_ike_sas{state="connecting"} 0"#,
        r#"tidegate_peer_rtt_seconds{connection="edge-1"} 0.0015"#,
        r#"tidegate_peer_silence_seconds{connection="edge-1"} 2"#,
        r#"tidegate_child_sas{connection="edge-1",child="edge-1-p2p"} 1"#,
        r#"tidegate_child_sas{connection="edge-1",child="edge-1-n2p"} 0"#,
        r#"tidegate_child_received_bytes{connection="edge-1",child="edge-1-p2p"} 252"#,
        r#"tidegate_bytes_total{direction="out"} 336"#,
        r#"tidegate_packet_drops_total{reason="replayed"} 3"#,
        r#"tidegate_ike_drops_total{reason="malformed"} 2"#,
        "tidegate_ike_failed_total 6",
        r#"tidegate_offload{name="device_tcp"} 1"#,
        "# TYPE tidegate_ike_handshake_seconds histogram",
        r#"tidegate_ike_handshake_seconds_bucket{le="0.005"} 1"#,
        r#"tidegate_ike_handshake_seconds_bucket{le="+Inf"} 3"#,
        "tidegate_ike_handshake_seconds_sum 0.25",
        "tidegate_ike_handshake_seconds_count 3",
    ] {
        assert!(page.lines().any(|candidate| candidate == line), "no {line} in\n{page}");
    }
}

#[test]
fn every_sample_belongs_to_the_family_before_it() {
    let page = render(&two_connections(), &counters());
    let mut family = "";
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix("# TYPE ") {
            family = comment.split(' ').next().expect("a name");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(family), "{line}");
            assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
        }
    }
}

#[test]
fn names_cannot_break_out_of_their_labels() {
    let mut status = two_connections();
    status[1].name = "a\"} 1\nb\\".to_owned();
    let page = render(&status, &counters());
    assert!(page.contains(r#"tidegate_connection_up{connection="a\"} 1\nb\\"} 0"#));
}
