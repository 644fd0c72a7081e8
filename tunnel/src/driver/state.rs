//! What is kept on disk between runs: the last mesh, so that a node that starts while nobody can tell it about
//! its peers still finds them.

use crate::mesh::Mesh;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MESH: &str = "mesh.json";

/// Keeps a mesh: the old file or the new one is there at any moment, never half of one.
pub(crate) fn keep_mesh(folder: &Path, mesh: &Mesh) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let draft = folder.join(".mesh.json.new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&serde_json::to_vec_pretty(mesh)?)?;
    file.sync_all()?;
    fs::rename(draft, folder.join(MESH))
}

/// The mesh that was applied last by whoever had this folder. A file that is none is set aside, to be looked
/// at, and counts as no mesh.
pub fn last_mesh(folder: &Path) -> io::Result<Option<Mesh>> {
    let path = folder.join(MESH);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match serde_json::from_slice(&bytes) {
        Ok(mesh) => Ok(Some(mesh)),
        Err(error) => {
            let aside = set_aside(&path)?;
            tracing::warn!(area = "state", %error, kept = %aside.display(), "the kept mesh cannot be read");
            Ok(None)
        }
    }
}

fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = path.with_extension("json.broken");
    fs::rename(path, &aside)?;
    Ok(aside)
}
