//! What ends prove who they are by: found for connections, brought by clients, read from files.

mod any_input;
mod commands;
mod folder;
mod local;
mod material;
mod remote;
mod swanctl;
