//! The examples do what they say.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use tidegate::TunnelManager;
use tidegate::connection::{Child, Connection};
use tidegate::io::netstack::{Netstack, NetstackSettings};
use tidegate::io::udp::Listen;
use tidegate_esp::{AddressRange, Ports};
use tidegate_ike::ChildConfig;
use tidegate_ike::crypto::Secret;
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::pool::Pool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SECRET: &str = "known to both";
const PAGE: &str = "from behind the connector";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_brings_a_page_from_behind_a_connector_without_root() {
    let (connector, stack) = connector("127.0.83.1").await;
    let service = stack.listen("10.83.0.1:80".parse().unwrap(), 1).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = service.accept().await.unwrap();
        let mut request = [0; 64];
        let read = stream.read(&mut request).await.unwrap();
        assert!(request[..read].starts_with(b"GET /page HTTP/1.0\r\n"));
        stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{PAGE}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });

    let output = fetch("127.0.83.1", connector.ports().1).await;

    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with(PAGE), "{said}");
    connector.shutdown().await;
}

/// It serves whoever knows the secret, with an address of a pool.
async fn connector(outside: &str) -> (TunnelManager, Netstack) {
    let settings = NetstackSettings::new(vec![("10.83.0.1".parse().unwrap(), 24)]);
    let (stack, device) = Netstack::new(settings).unwrap();
    let listen =
        Listen { addresses: vec![outside.parse().unwrap()], ike_port: 0, nat_port: 0, ..Listen::default() };
    let manager = TunnelManager::builder().device(Arc::new(device)).listen(listen).start().await.unwrap();
    let addresses = AddressRange::from_prefix("10.83.1.0".parse().unwrap(), 24).unwrap();
    let pool = Pool { name: "guests".into(), addresses, dns: Vec::new(), subnets: Vec::new() };
    manager.load_pool(pool).await.unwrap();
    let secret = Secret::new(SECRET.as_bytes().to_vec());
    let (us, guest) = ("cloud.example".parse().unwrap(), "guest.example".parse().unwrap());
    let mut ike = tidegate_ike::Connection::psk("guests", us, guest, secret);
    ike.pools = vec!["guests".into()];
    let any = "10.83.0.0/24".parse().unwrap();
    let mut net = ChildConfig::new("net", any, any);
    net.remote = vec![ConfiguredSelector::Dynamic { protocol: 0, ports: Ports::ANY }];
    manager.load(Connection::new(ike).with_child(Child::new(net))).await.unwrap();
    (manager, stack)
}

async fn fetch(connector: &str, port: u16) -> Output {
    let secret = std::env::temp_dir().join(format!("tidegate-fetch-{}", std::process::id()));
    std::fs::File::create(&secret).unwrap().write_all(SECRET.as_bytes()).unwrap();
    let mut command = Command::new(example("fetch"));
    command.args([&format!("{connector}:{port}"), "guest.example", "cloud.example"]);
    command.arg(&secret).arg("http://10.83.0.1/page");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    std::fs::remove_file(&secret).unwrap();
    output
}

/// Cargo builds examples along with tests, into a folder beside that of the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    assert!(path.exists(), "where one test alone is run, `cargo build --examples` has to come before it");
    path
}
