//! Where the programs under test lie once cargo has built them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{BenchError, run};

/// The repository's root, known at build time; a bench runs from a checkout.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Builds the static programs of `packages` (`podseal-launcher`, `podseal-test-workload`); quick when nothing changed.
pub fn build_static(packages: &[&str]) -> Result<(), BenchError> {
    run(Command::new(repository().join("scripts/static-build")).args(packages)).map(drop)
}

/// A static program built by [`build_static`]: `payment-api`, `pause`, `podseal-launch`.
pub fn static_program(name: &str) -> PathBuf {
    repository().join("target/static/x86_64-unknown-linux-gnu/launcher").join(name)
}

/// A program of this workspace beside the running one (`target/debug`), such as a daemon or the token issuer.
///
/// # Errors
/// It is not built: says which cargo call builds it.
pub fn program(name: &str) -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().map_err(BenchError::io("find the own program"))?;
    let found = own.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| {
        BenchError::answer(
            own.display().to_string(),
            format!("no {name} beside it"),
            "the workspace's programs: run `cargo build --workspace`",
        )
    })
}
