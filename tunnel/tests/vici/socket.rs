//! The socket: whose it is, and where.

use crate::fake::{Fake, Folder, House, soon};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use tidegate::vici::{Client, Message, Server};

#[tokio::test]
async fn the_socket_and_a_new_folder_are_for_their_owner_alone() {
    let folder = Folder::new();
    let path = folder.path().join("new/vici.sock");
    let _server = Server::start(Fake::default(), &path).expect("a fresh folder");
    let mode = |path: &std::path::Path| path.metadata().expect("it is there").mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("it has one")), 0o700);
}

#[tokio::test]
async fn a_folder_that_everybody_may_write_into_is_refused() {
    let folder = Folder::new();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o1777)).expect("ours");
    let error = Server::start(Fake::default(), &folder.path().join("vici.sock")).expect_err("unsafe");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains(&*folder.path().to_string_lossy()), "{error}");
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let folder = Folder::new();
    let path = folder.path().join("vici.sock");
    drop(UnixListener::bind(&path).expect("a fresh folder"));
    assert!(path.exists(), "it outlives its listener");
    let _server = Server::start(Fake::default(), &path).expect("nobody listens");
    let mut client = Client::connect(&path).await.expect("we listen");
    assert!(soon(client.request("version", &Message::new())).await.is_ok());
}

#[tokio::test]
async fn a_live_socket_is_left_alone() {
    let house = House::open(&Fake::default());
    let error = Server::start(Fake::default(), &house.path).expect_err("somebody listens");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let mut client = house.client().await;
    assert!(soon(client.request("version", &Message::new())).await.is_ok());
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let folder = Folder::new();
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").expect("ours");
    let link = folder.path().join("link");
    symlink(&file, &link).expect("ours");
    for path in [&file, &link] {
        let error = Server::start(Fake::default(), path).expect_err("no socket");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    }
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), "precious");
}

#[tokio::test]
async fn the_socket_goes_with_its_server_but_not_another_in_its_place() {
    let mut house = House::open(&Fake::default());
    drop(house.server.take());
    soon(async {
        while house.path.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let server = Server::start(Fake::default(), &house.path).expect("nobody listens");
    std::fs::remove_file(&house.path).expect("ours");
    let _other = UnixListener::bind(&house.path).expect("free");
    drop(server);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(house.path.exists());
}
