//! The injector as it is shipped: what it answers, and how it serves.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, clippy::disallowed_types)]

mod answering;
mod certificates;
mod fixtures;
mod injector;
mod serving;
mod twice;
