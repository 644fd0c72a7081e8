//! The connections of a mesh that are loaded, and the mesh as it is kept for a start without whoever made it.

use super::state;
use crate::engine::Engine;
use crate::event::Event;
use crate::manager::Error;
use crate::mesh::{self, Changes, Credentials, Link, Mesh};
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_ike::Now;

/// What was applied last.
pub(crate) struct Links {
    credentials: Option<Credentials>,
    loaded: Vec<Link>,
    folder: Option<PathBuf>,
}

impl Links {
    pub(crate) fn new(credentials: Option<Credentials>, folder: Option<PathBuf>) -> Self {
        Self { credentials, loaded: Vec::new(), folder }
    }

    /// Makes the engine have the connections of this mesh. One that contradicts itself changes nothing.
    pub(crate) fn apply(&mut self, engine: &mut Engine, now: Now, mesh: &Mesh) -> Result<Changes, Error> {
        let credentials = self.credentials.as_ref().ok_or(Error::NoIdentity)?;
        let links = mesh.plan().map_err(Error::Mesh)?;
        let changes = mesh::diff(&self.loaded, &links);
        for name in &changes.removed {
            // It may have been unloaded by hand; then it is gone already.
            let _ = engine.unload(now, name);
        }
        let within = |names: &[Arc<str>], link: &Link| names.binary_search(&link.name).is_ok();
        let differs = |link: &&Link| within(&changes.added, link) || within(&changes.changed, link);
        for link in links.iter().filter(differs) {
            engine.load(now, link.connection(credentials)).map_err(Error::Load)?;
        }
        self.loaded = links;
        Ok(changes)
    }

    /// Keeps a mesh that was applied. What goes wrong is no reason not to use it.
    pub(crate) fn keep(&self, mesh: &Mesh) -> Option<Event> {
        let folder = self.folder.as_deref()?;
        let error = state::keep_mesh(folder, mesh).err()?;
        Some(Event::Trouble { area: "state", message: format!("{}: {error}", folder.display()) })
    }
}
