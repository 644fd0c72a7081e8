//! Changes of the configuration and of what it names.

use super::support::{Folder, Running, connection};
use rustix::process::{Signal, getpid, kill_process};
use std::fs;
use std::os::unix::fs::symlink;
use tidegate::daemon::{Daemon, RunError, RunOptions};
use tidegate::vici::{Client, Message};

#[tokio::test]
async fn a_file_that_is_written_anew_is_followed() {
    let folder = Folder::new();
    let text = folder.configuration(&["one"]);
    folder.write("tidegate.toml", &text);
    let running = Running::start(&folder.path("tidegate.toml")).await;
    running.expect(&["one"]).await;
    folder.write("tidegate.toml", &format!("{text}{}", connection("two")));
    running.expect(&["one", "two"]).await;
    folder.write("tidegate.toml", &text);
    running.expect(&["one"]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_file_that_an_editor_replaces_is_followed_again_and_again() {
    let folder = Folder::new();
    let text = folder.configuration(&[]);
    folder.write("tidegate.toml", &text);
    let running = Running::start(&folder.path("tidegate.toml")).await;
    for name in ["one", "two", "three"] {
        folder.replace("tidegate.toml", &format!("{text}{}", connection(name)));
        running.expect(&[name]).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn links_that_kubernetes_exchanges_are_followed() {
    let folder = Folder::new();
    let text = folder.configuration(&["one"]);
    let version = |name: &str, text: &str| {
        fs::create_dir(folder.path(name)).expect(name);
        fs::copy(folder.path("peer.psk"), folder.path(&format!("{name}/peer.psk"))).expect("a secret");
        folder.write(&format!("{name}/tidegate.toml"), text);
    };
    let mount = |name: &str| {
        symlink(name, folder.path("..data_tmp")).expect("a link");
        fs::rename(folder.path("..data_tmp"), folder.path("..data")).expect("it takes the other's place");
    };
    version("..2026_1", &text);
    mount("..2026_1");
    symlink("..data/tidegate.toml", folder.path("tidegate.toml")).expect("a link");
    let running = Running::start(&folder.path("tidegate.toml")).await;
    running.expect(&["one"]).await;
    for (at, name) in ["two", "three"].iter().enumerate() {
        let folder_of = format!("..2026_{}", at + 2);
        version(&folder_of, &format!("{text}{}", connection(name)));
        mount(&folder_of);
        fs::remove_dir_all(folder.path(&format!("..2026_{}", at + 1))).expect("the old one goes");
        let mut wanted = vec!["one", name];
        wanted.sort_unstable();
        running.expect(&wanted).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_mistake_leaves_everything_as_it_is_until_it_is_put_right() {
    let folder = Folder::new();
    let text = folder.configuration(&["one"]);
    folder.write("tidegate.toml", &text);
    let running = Running::start(&folder.path("tidegate.toml")).await;
    folder.replace("tidegate.toml", &format!("{text}{}", connection("two").replace("psk_file", "pks_file")));
    running.expect_still(&["one"]).await;
    folder.replace("tidegate.toml", &format!("{text}{}", connection("two")));
    running.expect(&["one", "two"]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_connection_that_a_client_has_loaded_is_not_replaced() {
    let folder = Folder::new();
    let text = folder.configuration(&["one"]);
    folder.write("tidegate.toml", &text);
    let running = Running::start(&folder.path("tidegate.toml")).await;
    let mut client = Client::connect(&folder.path("vici.sock")).await.expect("it listens");
    let ends = |id: &str| Message::new().with("id", id).with("auth", "psk");
    let loaded = Message::new()
        .with_section("local", ends("us.example"))
        .with_section("remote", ends("of-a-client.example"));
    let loaded = Message::new().with_section("two", loaded);
    client.request("load-conn", &loaded).await.expect("loadable");
    let peer = async || {
        let status = running.manager.status().await.expect("it runs");
        status.into_iter().find(|it| it.name == "two").map(|it| it.remote_id)
    };
    folder.write("tidegate.toml", &format!("{text}{}{}", connection("two"), connection("three")));
    running.expect(&["one", "three", "two"]).await;
    assert_eq!(peer().await.as_deref(), Some("of-a-client.example"));

    // Its name is free again with the next reload after the client has let go of it.
    client.request("unload-conn", &Message::new().with("name", "two")).await.expect("it was the client's");
    folder.replace("tidegate.toml", &format!("{text}{}", connection("two")));
    running.expect(&["one", "two"]).await;
    assert_eq!(peer().await.as_deref(), Some("two.example"));
    running.stop().await;
}

#[tokio::test]
async fn a_file_whose_want_was_the_mistake_is_seen_when_it_comes() {
    let folder = Folder::new();
    let text = folder.configuration(&["one"]);
    folder.write("tidegate.toml", &text);
    let elsewhere = Folder::new();
    let running = Running::start(&folder.path("tidegate.toml")).await;
    let secret = elsewhere.path("late.psk");
    let late = connection("two").replace("peer.psk", &secret.display().to_string());
    folder.replace("tidegate.toml", &format!("{text}{late}"));
    running.expect_still(&["one"]).await;
    elsewhere.secret("late.psk", "better than never");
    running.expect(&["one", "two"]).await;
    running.stop().await;
}

#[tokio::test]
async fn other_files_in_the_folder_are_nobodys_business() {
    let folder = Folder::new();
    let text = folder.configuration(&["one"]);
    folder.write("tidegate.toml", &text);
    let running = Running::start(&folder.path("tidegate.toml")).await;
    // Taken away behind the daemon's back: a reload without a change does not bring it back.
    running.manager.unload("one").await.expect("it is there");
    folder.write("notes.txt", "nothing to do with it");
    running.expect_still(&[]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_hangup_reads_it_again() {
    let folder = Folder::new();
    let text = folder.configuration(&["one"]);
    folder.write("tidegate.toml", &text);
    let options = RunOptions { config: Some(folder.path("tidegate.toml")), vici: None, charon_compat: None };
    let configuration = options.configuration().expect("it makes sense");
    let mut daemon = Daemon::start(options, configuration).await.expect("it starts");
    folder.write("tidegate.toml", &format!("{text}{}", connection("two")));
    let manager = daemon.manager().clone();
    kill_process(getpid(), Signal::HUP).expect("it is us");
    // Sooner than what the kernel tells of the file is believed.
    daemon.serve(tokio::time::sleep(std::time::Duration::from_millis(150))).await.expect("it serves");
    assert_eq!(manager.connections().await.expect("it runs").len(), 2);
    daemon.shut_down().await;
}

#[tokio::test]
async fn a_reload_says_what_it_has_done() {
    let folder = Folder::new();
    let text = folder.configuration(&["one", "two"]);
    folder.write("tidegate.toml", &text);
    let options = RunOptions {
        config: Some(folder.path("tidegate.toml")),
        vici: Some(folder.path("other.sock")),
        charon_compat: None,
    };
    let configuration = options.configuration().expect("it makes sense");
    let mut daemon = Daemon::start(options, configuration).await.expect("it starts");
    assert!(folder.path("other.sock").exists() && !folder.path("vici.sock").exists());
    let changed = text.replace("[connection.remote]\nid = \"two", "[connection.remote]\nid = \"deux");
    folder.write("tidegate.toml", &changed);
    let update = daemon.reload().await.expect("no mistake");
    assert_eq!(update.connections.changed, ["two".into()]);
    assert_eq!(update.connections.added.len() + update.connections.removed.len(), 0);
    assert!(update.restart.is_empty(), "the command line has the last word on the control socket");
    assert!(daemon.reload().await.expect("no mistake").is_empty());
    daemon.shut_down().await;
}

/// However it has come to its end: whoever starts daemons is to start another one.
#[tokio::test]
async fn a_daemon_whose_engine_has_ended_ends_with_an_error() {
    let folder = Folder::new();
    folder.write("tidegate.toml", &folder.configuration(&["one"]));
    let options = RunOptions { config: Some(folder.path("tidegate.toml")), vici: None, charon_compat: None };
    let configuration = options.configuration().expect("it makes sense");
    let mut daemon = Daemon::start(options, configuration).await.expect("it starts");
    daemon.manager().clone().shutdown().await;
    let patience = std::time::Duration::from_secs(10);
    let served = tokio::time::timeout(patience, daemon.serve(std::future::pending())).await;
    let error = served.expect("it does not hang").expect_err("nothing has told it to stop");
    assert!(matches!(error, RunError::Stopped), "{error}");
    tokio::time::timeout(patience, daemon.shut_down()).await.expect("nor does its end");
}

#[tokio::test]
async fn a_control_socket_that_cannot_be_had_is_told() {
    let folder = Folder::new();
    folder.write("tidegate.toml", &folder.configuration(&[]));
    let vici = Some(folder.path("peer.psk/vici.sock"));
    let options =
        RunOptions { config: Some(folder.path("tidegate.toml")), vici: vici.clone(), charon_compat: None };
    let configuration = options.configuration().expect("it makes sense");
    match Daemon::start(options, configuration).await.err().expect("a file is no folder") {
        RunError::Vici { path, .. } => assert_eq!(Some(path), vici),
        other => panic!("{other}"),
    }
}
