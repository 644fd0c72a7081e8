use crate::support::Folder;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tidegate::pki::{Existing, PkiError, write_key};

#[test]
fn a_key_is_for_its_owner_alone_and_not_written_over() {
    let folder = Folder::new();
    let path = folder.0.join("edge.key");
    write_key(&path, "first", Existing::Keep).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(write_key(&path, "second", Existing::Keep), Err(PkiError::Exists(at)) if at == path));
    assert_eq!(fs::read_to_string(&path).unwrap(), "first");
}

#[test]
fn a_key_that_is_replaced_takes_nothing_over_from_the_old_file() {
    let folder = Folder::new();
    let (path, elsewhere) = (folder.0.join("edge.key"), folder.0.join("elsewhere"));
    fs::write(&elsewhere, "not ours").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    write_key(&path, "second", Existing::Replace).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "second");
    assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "not ours");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2, "nothing is left lying about");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = Folder::new();
    let path = folder.0.join("missing/edge.key");
    let error = write_key(&path, "key", Existing::Keep).unwrap_err();
    assert!(error.to_string().contains("missing/edge.key"), "{error}");
}
