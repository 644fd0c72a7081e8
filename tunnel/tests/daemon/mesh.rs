//! Daemons that find each other by their configurations.

use super::support::{Folder, Running, ports};
use std::time::{Duration, Instant};

/// A node of a mesh of two, which go by a shared secret.
fn node(folder: &Folder, name: &str, role: &str, (port, nat_port): (u16, u16), peer: &str) {
    folder.write(
        "tidegate.toml",
        &format!(
            "[node]\nname = \"{name}\"\nrole = \"{role}\"\nlisten = [\"127.0.0.1\"]\nport = {port}\n\
             nat_port = {nat_port}\nsubnets = [\"10.{}.0.0/16\"]\nstate = \"state\"\nvici = \"vici.sock\"\n\
             [node.device]\nkind = \"none\"\n{peer}psk_file = \"peer.psk\"\n",
            name.len()
        ),
    );
}

fn peer(name: &str, role: &str, place: &str) -> String {
    format!(
        "[[peer]]\nname = \"{name}\"\nid = \"{name}\"\nrole = \"{role}\"\nsubnets = [\"10.{}.0.0/16\"]\n{place}",
        name.len()
    )
}

async fn expect_active(running: &Running, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !running.manager.is_active(name).await.expect("it runs") {
        assert!(Instant::now() < deadline, "{name}: {:#?}", running.manager.status().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_edge_and_its_connector_come_up_and_a_new_secret_is_followed_by_both() {
    let (edge, cloud) = (Folder::new(), Folder::new());
    let (edge_ports, cloud_ports) = (ports(), ports());
    let place = format!("addresses = [\"127.0.0.1\"]\nport = {}\n", cloud_ports.1);
    node(&edge, "edge", "edge", edge_ports, &peer("cloud", "connector", &place));
    node(&cloud, "cloud", "connector", cloud_ports, &peer("edge", "edge", ""));
    let cloud_runs = Running::start(&cloud.path("tidegate.toml")).await;
    let edge_runs = Running::start(&edge.path("tidegate.toml")).await;
    expect_active(&edge_runs, "cloud").await;
    let status = cloud_runs.manager.status().await.expect("it runs");
    assert_eq!((status[0].name.as_str(), status[0].sas.len()), ("edge", 1));
    let before = status[0].sas[0].id;

    edge.secret("peer.psk", "another secret");
    cloud.secret("peer.psk", "another secret");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = cloud_runs.manager.status().await.expect("it runs");
        if status[0].sas.iter().any(|sa| sa.id != before && sa.phase == "ESTABLISHED") {
            break;
        }
        assert!(Instant::now() < deadline, "{status:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    edge_runs.stop().await;
    cloud_runs.stop().await;
}
