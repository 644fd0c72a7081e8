//! `tidegate demo`.

use super::failure::Failure;

/// Runs it, and writes its account as it goes.
pub(super) async fn run() -> Result<(), Failure> {
    Ok(tidegate::demo::run(&mut std::io::stdout()).await?)
}
