//! What can go wrong on the bench: its tools, its daemons, their answers.

use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Why a part of the bench cannot do what was asked. A test that meets one fails: it says nothing about Podseal.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file, socket or process of the bench.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, with the path or program.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program that the bench runs ended with a failure.
    #[error("`{command}` ended with {status}; it wrote:\n{output}")]
    Tool {
        /// The program and its arguments.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// Both its streams.
        output: String,
    },
    /// A daemon did not come up, or a state did not come about, in time.
    #[error("{what}: not within {} ms; last seen: {last}", .waited.as_millis())]
    NotInTime {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// What was there instead.
        last: String,
    },
    /// The TPM refused a command (response code of TPM 2.0 part 2, section 6.6).
    #[error("TPM command {command:#x} was answered with response code {code:#x}")]
    Tpm {
        /// The command code.
        command: u32,
        /// The response code.
        code: u32,
    },
    /// The container runtime refused a call.
    #[error("the runtime's {call}: {status}")]
    Runtime {
        /// The CRI call.
        call: &'static str,
        /// Its gRPC status.
        status: Box<tonic::Status>,
    },
    /// Something answered what the bench cannot use.
    #[error("{from} gave {found}, wanted {wanted}")]
    Answer {
        /// Who.
        from: String,
        /// What it gave.
        found: String,
        /// What was wanted.
        wanted: &'static str,
    },
}

impl BenchError {
    /// For `map_err` on I/O: names what was being done.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// An answer that the bench cannot use.
    pub fn answer(from: impl Into<String>, found: impl Into<String>, wanted: &'static str) -> Self {
        Self::Answer { from: from.into(), found: found.into(), wanted }
    }
}

/// Runs a program to its end and returns its standard output; its failure is an error that carries both streams.
pub fn run(command: &mut Command) -> Result<String, BenchError> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(BenchError::io(format!("run {shown}")))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    Err(BenchError::Tool { command: shown, status: output.status, output: stdout + &String::from_utf8_lossy(&output.stderr) })
}

/// Polls until `probe` gives a value; an `Err` of the probe says what is there instead, and ends up in the error.
pub fn wait_for<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Result<T, String>) -> Result<T, BenchError> {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(last) if start.elapsed() >= within => return Err(BenchError::NotInTime { what: what.into(), waited: within, last }),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
