//! Which lists are got, how often, and what is kept.

use crate::support::{Folder, MOON, NOW, POINTED, Server, check, list, wanted};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tidegate::revocation::{Fetcher, PATIENCE};
use tidegate_ike::auth::{AuthFailure, CertificateCheck, Revocation};

#[tokio::test]
async fn a_list_that_is_fetched_decides() {
    let server = Server::with_file(list("crl-root")).await;
    let fetcher = Fetcher::new(None);
    let moon = check("moon", MOON, Revocation::Strict, &server.uri);
    assert!(moon.run().is_err(), "strict wants a list");
    let lists = fetcher.gather(moon.wanted_lists(), NOW).await;
    assert!(moon.run_with(&lists).is_ok());

    let pointed = check("pointed", POINTED, Revocation::Relaxed, &server.uri);
    assert!(pointed.run().is_ok(), "relaxed knows no better");
    let lists = fetcher.gather(pointed.wanted_lists(), NOW).await;
    match pointed.run_with(&lists) {
        Err(AuthFailure::Certificate(verdict)) => assert_eq!(verdict.check, CertificateCheck::Revoked),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_others_have_signed_or_nobody_is_not_taken() {
    for file in [list("crl-impostor"), list("crl-int1"), b"<html>".to_vec(), Vec::new()] {
        let server = Server::with_file(file).await;
        assert!(Fetcher::new(None).gather(wanted(&server.uri), NOW).await.is_empty());
        assert_eq!(server.asked(), 1);
    }
}

#[tokio::test]
async fn a_list_is_fetched_once_however_many_want_it() {
    let server = Server::with_file(list("crl-root")).await;
    let fetcher = Fetcher::new(None);
    let wish = || fetcher.gather(wanted(&server.uri), NOW);
    let (one, other) = tokio::join!(wish(), wish());
    assert_eq!((one.len(), other.len(), wish().await.len()), (1, 1, 1));
    assert_eq!(server.asked(), 1);
}

/// One that is out of date still tells what was revoked, and its server is not asked again at once.
#[tokio::test]
async fn a_stale_list_is_better_than_none() {
    let server = Server::with_file(list("crl-stale")).await;
    let fetcher = Fetcher::new(None);
    for _ in 0..3 {
        let lists = fetcher.gather(wanted(&server.uri), NOW).await;
        assert_eq!(lists.len(), 1);
        assert!(!lists[0].is_fresh(NOW));
    }
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn nobody_waits_long_for_a_silent_server_nor_twice() {
    let server = Server::silent().await;
    let fetcher = Fetcher::new(None);
    let start = Instant::now();
    assert!(fetcher.gather(wanted(&server.uri), NOW).await.is_empty());
    let first = start.elapsed();
    assert!(first >= PATIENCE && first < PATIENCE + Duration::from_secs(2), "{first:?}");
    tokio::time::sleep(Duration::from_secs(8)).await;
    let again = Instant::now();
    assert!(fetcher.gather(wanted(&server.uri), NOW).await.is_empty());
    assert!(again.elapsed() < Duration::from_secs(1));
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn the_next_run_has_what_this_one_has_fetched() {
    let folder = Folder::new();
    let server = Server::with_file(list("crl-root")).await;
    let uri = server.uri.clone();
    assert_eq!(Fetcher::new(Some(folder.0.clone())).gather(wanted(&uri), NOW).await.len(), 1);
    drop(server);
    let files = folder.files();
    assert_eq!(files.len(), 1, "{files:?}");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.0), mode(&folder.0.join(&files[0]))), (0o700, 0o600));
    assert_eq!(Fetcher::new(Some(folder.0.clone())).gather(wanted(&uri), NOW).await.len(), 1);
}

#[tokio::test]
async fn what_is_kept_in_memory_and_on_disk_can_be_seen_and_forgotten() {
    let folder = Folder::new();
    let server = Server::with_file(list("crl-root")).await;
    let fetcher = || Fetcher::new(Some(folder.0.clone()));
    let first = fetcher();
    assert!(first.kept().await.is_empty());
    first.gather(wanted(&server.uri), NOW).await;
    assert_eq!(first.kept().await, [list("crl-root")], "once, though it is in both places");

    let next = fetcher();
    assert_eq!(next.kept().await, [list("crl-root")], "the next run has it before anybody wants it");
    std::fs::write(folder.0.join("notes.crl"), "of somebody else").unwrap();
    next.forget().await;
    assert!(next.kept().await.is_empty());
    assert_eq!(folder.files(), ["notes.crl"]);
    assert_eq!(next.gather(wanted(&server.uri), NOW).await.len(), 1);
    assert_eq!(server.asked(), 2, "it was fetched anew");
    next.forget().await;
    assert_eq!(next.gather(wanted(&server.uri), NOW).await.len(), 1);
    assert_eq!(server.asked(), 3, "at once, as somebody wants it so");
}

#[tokio::test]
async fn what_is_damaged_or_forged_on_disk_is_set_aside_and_fetched_anew() {
    let whole = list("crl-root");
    for damaged in [whole[..whole.len() / 2].to_vec(), list("crl-impostor"), vec![0; 5 << 20]] {
        let folder = Folder::new();
        let server = Server::with_file(whole.clone()).await;
        Fetcher::new(Some(folder.0.clone())).gather(wanted(&server.uri), NOW).await;
        let file = folder.files().remove(0);
        std::fs::write(folder.0.join(&file), &damaged).unwrap();
        std::fs::write(folder.0.join("notes"), "of somebody else").unwrap();
        let lists = Fetcher::new(Some(folder.0.clone())).gather(wanted(&server.uri), NOW).await;
        assert_eq!(lists.len(), 1);
        assert_eq!(server.asked(), 2);
        assert_eq!(folder.files(), [file.clone(), format!("{file}.bad"), "notes".into()]);
        assert_eq!(std::fs::read(folder.0.join(&file)).unwrap(), whole);
    }
}

#[tokio::test]
async fn a_server_may_send_on_to_another_but_not_in_circles() {
    let there = Server::with_file(list("crl-root")).await;
    let moved = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n").into_bytes();
    let here = Server::start(Some(moved(&there.uri))).await;
    assert_eq!(Fetcher::new(None).gather(wanted(&here.uri), NOW).await.len(), 1);
    assert_eq!((here.asked(), there.asked()), (1, 1));
    let circle = Server::start(Some(moved("/a.crl"))).await;
    assert!(Fetcher::new(None).gather(wanted(&circle.uri), NOW).await.is_empty());
    assert!(circle.asked() <= 4, "{}", circle.asked());
}
