//! What is kept between runs.

use super::support::Folder;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tidegate::TunnelManager;
use tidegate::driver::state::last_mesh;
use tidegate::io::netstack::{Netstack, NetstackSettings};
use tidegate::io::udp::Listen;
use tidegate::mesh::{Endpoint, Mesh, Role};
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::crypto::Secret;

fn mesh() -> Mesh {
    let node = Endpoint::new("a", "a.example".parse().expect("an identity"), Role::Edge);
    Mesh { node, peers: Vec::new(), communities: Vec::new() }
}

async fn apply(folder: &Folder) {
    let (_stack, device) = Netstack::new(NetstackSettings::new(Vec::new())).expect("a stack");
    let address = "127.0.0.1".parse().expect("an address");
    let listen = Listen { addresses: vec![address], ike_port: 0, nat_port: 0, ..Listen::default() };
    let secret = || Secret::new(b"known to all".to_vec());
    let builder = TunnelManager::builder().device(Arc::new(device)).listen(listen);
    let builder =
        builder.identity(Arc::new(LocalAuth::Psk(secret()))).trust(Arc::new(RemoteAuth::Psk(secret())));
    let manager = builder.state_folder(folder.path("state")).start().await.expect("it starts");
    manager.apply(mesh()).await.expect("a sound mesh");
    manager.shutdown().await;
}

#[tokio::test]
async fn the_last_mesh_is_there_for_the_next_run_and_for_nobody_else() {
    let folder = Folder::new();
    assert_eq!(last_mesh(&folder.path("state")).expect("readable"), None);
    apply(&folder).await;
    assert_eq!(last_mesh(&folder.path("state")).expect("readable"), Some(mesh()));
    let mode = |name: &str| fs::metadata(folder.path(name)).expect(name).permissions().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/mesh.json")), (0o700, 0o600));
    let files = fs::read_dir(folder.path("state")).expect("a folder").count();
    assert_eq!(files, 1, "no draft is left");
}

#[tokio::test]
async fn what_is_damaged_or_foreign_is_set_aside_and_a_new_one_takes_its_place() {
    let folder = Folder::new();
    apply(&folder).await;
    let whole = fs::read(folder.path("state/mesh.json")).expect("a file");
    for damaged in [&whole[..whole.len() / 2], b"", b"\xff\xfe", b"[]"] {
        fs::write(folder.path("state/mesh.json"), damaged).expect("writable");
        assert_eq!(last_mesh(&folder.path("state")).expect("not fatal"), None);
        assert_eq!(fs::read(folder.path("state/mesh.json.bad")).expect("set aside"), damaged);
        assert!(!folder.path("state/mesh.json").exists());
    }
    fs::remove_file(folder.path("state/mesh.json.bad")).expect("ours");
    fs::create_dir(folder.path("state/mesh.json")).expect("writable");
    assert_eq!(last_mesh(&folder.path("state")).expect("not fatal"), None);
    // What an earlier run has left half done, and what others have put there, is in nobody's way.
    fs::write(folder.path("state/.mesh.json.new"), "half").expect("writable");
    fs::write(folder.path("state/notes"), "of somebody else").expect("writable");
    apply(&folder).await;
    assert_eq!(last_mesh(&folder.path("state")).expect("readable"), Some(mesh()));
    assert!(folder.path("state/notes").exists());
}
