//! End-to-end tests on a real Kubernetes cluster: API server, controllers, scheduler and kubelet as released, around a container runtime.
//!
//! The program runs itself again in namespaces of its own ([`sandbox`]); needs root, the tools that `scripts/setup` installs, and the cluster that
//! `scripts/kubernetes` builds. Without them it is skipped, and says why; where `CI` is set that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use podseal_swtpm_tests::binaries::build_static;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::kubernetes::programs;
use podseal_swtpm_tests::sandbox;

use crate::fixtures::Fixtures;

mod fixtures;
mod leaks;
mod secrets;
mod token;
mod workloads;

/// What a test returns: `?` on any error fails it.
type Outcome = Result<(), Failed>;

/// A test and its name.
type Test = (&'static str, fn(&Fixtures) -> Outcome);

const THREADS: usize = 2;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    if !arguments.list && !sandbox::inside() {
        return match sandbox::obstacle().or_else(programs::obstacle) {
            Some(reason) => skip(&reason),
            None => build_static(&["podseal-launcher", "podseal-test-workload"])
                .and_then(|()| sandbox::enter())
                .unwrap_or_else(|error| broken(&error)),
        };
    }
    let fixtures = match Fixtures::new() {
        Ok(fixtures) => Arc::new(fixtures),
        Err(error) => return broken(&error),
    };
    let conclusion = libtest_mimic::run(&arguments, trials(&fixtures));
    drop(fixtures);
    conclusion.exit_code()
}

/// Each module's tests.
fn trials(fixtures: &Arc<Fixtures>) -> Vec<Trial> {
    let tests = [workloads::TESTS, token::TESTS, secrets::TESTS, leaks::TESTS].into_iter().flatten();
    tests
        .map(|(name, test)| {
            let fixtures = Arc::clone(fixtures);
            Trial::test(*name, move || test(&fixtures))
        })
        .collect()
}

fn skip(reason: &str) -> ExitCode {
    println!("skipped: {reason}");
    ExitCode::from(u8::from(std::env::var_os("CI").is_some()))
}

fn broken(error: &BenchError) -> ExitCode {
    eprintln!("the bench did not come up: {error}");
    ExitCode::FAILURE
}
