//! From the configuration that is followed to the one that is in the file.

use super::{Daemon, Stamps, Watch};
use crate::TunnelManager;
use crate::config::{Configuration, Mistakes, NamedConnection, NodeSettings, Update};
use crate::mesh::Named;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Daemon {
    /// Reads the configuration again and does what it changes. With a mistake in it everything stays as it is.
    pub async fn reload(&mut self) -> Result<Update, Mistakes> {
        let before = Stamps::of(&self.configuration.files);
        let mut new = match self.options.configuration() {
            Ok(new) => new,
            Err(mistakes) => {
                // Any of them may be the one to be put right.
                let files: BTreeSet<_> = self.configuration.files.union(&mistakes.files).cloned().collect();
                self.watch = Watch::new(&files).since(&before);
                return Err(mistakes);
            }
        };
        self.watch = Watch::new(&new.files).since(&before);
        self.options.overrule(&mut new.node);
        let update = new.changes_since(&self.configuration);
        if new.node.port == self.configuration.node.port {
            self.follow(new, &update).await;
        }
        Ok(update)
    }

    async fn follow(&mut self, mut new: Configuration, update: &Update) {
        let manager = &self.manager;
        for pool in &update.pools {
            let _ = manager.load_pool(pool.clone()).await;
        }
        for name in &update.connections.removed {
            // One that an operator has unloaded already is no less gone.
            let _ = manager.unload(name).await;
        }
        let touched: BTreeSet<&Arc<str>> =
            update.connections.added.iter().chain(&update.connections.changed).collect();
        let mut left_out = of_clients(manager, &update.connections.added).await;
        let ours = |it: &&NamedConnection| touched.contains(it.name()) && !left_out.contains(it.name());
        let failed = load(manager, new.connections.iter().filter(ours)).await;
        left_out.extend(failed);
        new.connections.retain(|connection| !left_out.contains(connection.name()));
        for name in &update.unpooled {
            let _ = manager.unload_pool(name).await;
        }
        if let (Some(settings), Some(log)) = (&update.log, &self.log) {
            log.change(settings);
        }
        // What has no effect before a restart goes on being told at each reload.
        let log = new.node.log;
        new.node = NodeSettings { log, ..self.configuration.node.clone() };
        self.configuration = new;
    }
}

/// Which of these names are there already: clients of the control socket have loaded them. They stay as they are.
async fn of_clients(manager: &TunnelManager, added: &[Arc<str>]) -> BTreeSet<Arc<str>> {
    let there = manager.connections().await.unwrap_or_default();
    let taken: BTreeSet<_> = added.iter().filter(|name| there.contains(name)).cloned().collect();
    for name in &taken {
        tracing::error!(
            connection = %name,
            "not loaded: a client of the control socket has loaded a connection of this name, which stays as it is; \
             unload it there and reload, or give this one another name"
        );
    }
    taken
}

/// Loads all connections; those that cannot be are left out, to be tried again at the next reload.
pub(super) async fn load_all(manager: &TunnelManager, configuration: &mut Configuration) {
    let failed = load(manager, configuration.connections.iter()).await;
    configuration.connections.retain(|connection| !failed.contains(connection.name()));
}

async fn load<'a>(
    manager: &TunnelManager,
    connections: impl Iterator<Item = &'a NamedConnection>,
) -> BTreeSet<Arc<str>> {
    let mut failed = BTreeSet::new();
    for connection in connections {
        if let Err(error) = manager.load(connection.connection()).await {
            tracing::error!(connection = %connection.name(), "cannot be loaded: {error}");
            failed.insert(Arc::clone(connection.name()));
        }
    }
    failed
}

/// What a reload has done.
pub(super) fn tell(update: &Update) {
    let changes = &update.connections;
    let list = |names: &[Arc<str>]| names.join(", ");
    if update.is_empty() {
        tracing::info!("the configuration says what it said before");
        return;
    }
    tracing::info!(
        added = list(&changes.added),
        changed = list(&changes.changed),
        removed = list(&changes.removed),
        "the configuration was reloaded"
    );
    if !update.restart.is_empty() {
        tracing::warn!("to change {}, restart tidegate", update.restart.join(", "));
    }
}
