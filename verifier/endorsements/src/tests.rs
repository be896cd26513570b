#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod archives;
mod fetching;
mod folders;
mod gathering;
mod maker;
mod server;
