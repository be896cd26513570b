//! `make demo`: one attested workload gets its password on two nodes, six other requests get nothing, every decision can be taken again from the archive, and
//! the password is in that container and nowhere else.
//!
//! Everything shown is read from processes and files of this run. It exits 0 only if all of it held.

mod hunting;
mod stage;
mod steps;

use std::process::ExitCode;

use podseal_swtpm_tests::sandbox::{self, Scratch};
use stage::{DemoError, Stage};

fn main() -> ExitCode {
    if !sandbox::inside() {
        if let Some(obstacle) = sandbox::obstacle() {
            eprintln!("demo: {obstacle}");
            return ExitCode::FAILURE;
        }
        return sandbox::enter().unwrap_or_else(|error| {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        });
    }
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: this did not hold: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<(), DemoError> {
    let scratch = Scratch::new()?;
    let stage = Stage::set(&scratch.path().join("d"))?;
    let mut second = stage.second_node()?;
    let application = steps::the_attested_container_gets_its_password(&stage)?;
    steps::the_second_node_is_answered_the_same(&stage, &second)?;
    steps::another_service_account_gets_nothing(&stage)?;
    steps::a_preloaded_library_gets_nothing(&stage)?;
    steps::a_copy_executed_in_the_container_gets_nothing(&stage)?;
    steps::a_node_that_booted_something_else_gets_nothing(&stage, &mut second)?;
    steps::a_copied_tpm_puts_its_node_in_quarantine(&stage, &mut second, &scratch.path().join("copy"))?;
    drop(second);
    steps::a_recorded_request_gets_nothing(&stage)?;
    steps::every_decision_can_be_taken_again(&stage)?;
    hunting::crashes_leave_no_core_dump(&stage)?;
    hunting::the_password_is_in_one_place(&stage, &application)?;
    println!("\nAll of it held: one container has the password, six requests got nothing.");
    Ok(())
}
