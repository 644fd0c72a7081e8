//! What is kept on disk between runs: the last mesh, so that a node that starts while nobody can tell it about
//! its peers still finds them; and how such files are written and, where they are damaged, put out of the way.

use crate::mesh::Mesh;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MESH: &str = "mesh.json";

/// Nothing of ours is longer.
const LONGEST: u64 = 64 << 20;

/// Keeps a mesh.
pub(crate) fn keep_mesh(folder: &Path, mesh: &Mesh) -> io::Result<()> {
    write_whole(folder, MESH, &serde_json::to_vec_pretty(mesh)?)
}

/// The mesh that was applied last by whoever had this folder. What is there in place of a mesh is set aside, to
/// be looked at, and counts as none.
pub fn last_mesh(folder: &Path) -> io::Result<Option<Mesh>> {
    let path = folder.join(MESH);
    let Some(bytes) = read_file(&path, LONGEST)? else { return Ok(None) };
    match serde_json::from_slice(&bytes) {
        Ok(mesh) => Ok(Some(mesh)),
        Err(error) => {
            set_aside(&path, &error)?;
            Ok(None)
        }
    }
}

/// Writes a file for ourselves alone: the old one or the new one is there at any moment, never half of one.
pub(crate) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = folder.join(format!(".{name}.new"));
    // What was left of an earlier attempt may be a link, or not ours to write to.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(draft, folder.join(name))
}

/// What is in a file of ours. Something else of that name, or a file that is too long, is set aside: it counts
/// as not there.
pub(crate) fn read_file(path: &Path, longest: u64) -> io::Result<Option<Vec<u8>>> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return set_aside(path, &"it is no file").map(|_| None);
    }
    if metadata.len() > longest {
        return set_aside(path, &"it is too long").map(|_| None);
    }
    fs::read(path).map(Some)
}

/// Puts what cannot be used out of the way, under a name that says so.
pub(crate) fn set_aside(path: &Path, why: &dyn std::fmt::Display) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".bad");
    let aside = PathBuf::from(name);
    fs::rename(path, &aside)?;
    tracing::warn!(area = "state", kept = %aside.display(), "what was kept cannot be used: {why}");
    Ok(aside)
}
