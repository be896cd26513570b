//! End-to-end tests on real parts: a software TPM, a container runtime, the programs as shipped. One binary, so that tests share what is slow to start.
//!
//! The program runs itself again in namespaces of its own ([`sandbox`]); needs root and the tools that `scripts/setup` installs. Without them it is
//! skipped, and says why; where `CI` is set that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use podseal_swtpm_tests::binaries::build_static;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::sandbox;

use crate::fixtures::Fixtures;

mod ak_kinds;
mod at_once;
mod audit;
mod bench;
mod crash;
mod decisive;
mod first_secret;
mod fixtures;
mod hardware;
mod in_between;
mod init_only;
mod joining;
mod leak_hunt;
mod logs;
mod machines;
mod parts;
mod planted;
mod pod_log;
mod pod_log_forged;
mod refusals;
mod registry;
mod replay;
mod runtime_away;
mod same_digest;
mod tpm_away;
mod two_processes;
mod who_asks;

/// What a test returns: `?` on any error fails it.
type Outcome = Result<(), Failed>;

/// A test and its name, which is that of its promise.
type Test = (&'static str, fn(&Fixtures) -> Outcome);

const THREADS: usize = 2;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let list_only = arguments.list;
    if !list_only && !sandbox::inside() {
        return match sandbox::obstacle() {
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
    let tests = [
        bench::TESTS,
        parts::TESTS,
        first_secret::TESTS,
        who_asks::TESTS,
        in_between::TESTS,
        init_only::TESTS,
        same_digest::TESTS,
        hardware::TESTS,
        pod_log::TESTS,
        pod_log_forged::TESTS,
        at_once::TESTS,
        tpm_away::TESTS,
        runtime_away::TESTS,
        joining::TESTS,
        registry::TESTS,
        ak_kinds::TESTS,
        replay::TESTS,
        decisive::TESTS,
        audit::TESTS,
        crash::TESTS,
        two_processes::TESTS,
        leak_hunt::TESTS,
        planted::TESTS,
        logs::TESTS,
        machines::TESTS,
    ]
    .into_iter()
    .flatten();
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
