//! `podseal-launch`: a container's first process. It gets the container's secrets, places them in memory, and becomes the application.
//!
//! Blocking, one thread, and nothing of it is left: `execve` replaces the process, and what the application inherits (environment,
//! descriptors, signal mask and dispositions, limits, working directory) is what the container runtime gave.

use std::{convert::Infallible, env, process::ExitCode, time::Instant};

use podseal_protocol::{Limits, delivery::Session};
use zeroize::Zeroizing;

mod arguments;
mod asking;
mod connection;
mod failure;
#[allow(unsafe_code)]
mod kernel;
mod placement;
mod program;
mod random;
mod report;
mod signals;

use arguments::{Options, Task};
use failure::Failure;
use kernel::{Held, Page};
use placement::Placed;
use program::Program;
use report::say;
use signals::StopSignals;

fn main() -> ExitCode {
    let done = match arguments::parse(env::args_os().skip(1)) {
        Ok(Task::Print(text)) => report::print(&text).map_err(Failure::Output),
        Ok(Task::Launch(options)) => launch(&options).map(|never| match never {}),
        Err(e) => Err(Failure::Usage(e)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Returns only when there is no application to become. Whatever was placed or held until then is wiped as it goes out of scope.
fn launch(options: &Options) -> Result<Infallible, Failure> {
    let signals = StopSignals::hold()?;
    let deadline = Instant::now() + options.wait;
    let mut session = begin_session(options)?;

    if let Some(words) = options.command.known() {
        Program::find(words)?;
    }
    let answer = asking::ask(options, &session, &signals, deadline)?;
    let program = Program::find(&options.command.words(answer.image))?;

    let taken = session.take(&answer.leaf, &answer.delivery, &Limits::DEFAULT).map_err(Failure::NotAcceptable)?;
    let placed = Placed::place(&options.secrets, &taken.files)?;
    drop(taken);
    drop(session);

    signals.release()?;
    let failed = program.become_it();
    drop(placed);
    Err(failed.into())
}

/// The workload key is born here, in a page that is neither swapped nor dumped.
fn begin_session(options: &Options) -> Result<Held<Session>, Failure> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // No core dump, whatever the pattern, and no tracer of the same user. The kernel turns it back with execve (prctl(2)).
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|e| Failure::System { step: "turn core dumps off", error: e })?;
    let page = match Page::locked() {
        Ok(page) => page,
        Err(refused) if options.allow_unlocked_memory => {
            say(&format_args!("warning: {refused}; the workload key lies in memory that may be swapped, as --allow-unlocked-memory says"));
            Page::unlocked().map_err(|e| Failure::System { step: "map a page for the workload key", error: e })?
        }
        Err(refused) => return Err(Failure::MemoryNotLocked(refused)),
    };
    let mut seed = Zeroizing::new([0; 32]);
    random::fill(seed.as_mut_slice())?;
    let mut salt = [0; 32];
    random::fill(&mut salt)?;
    Ok(page.hold(Session::new(options.verifier, seed, salt)))
}
