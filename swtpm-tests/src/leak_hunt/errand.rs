//! Sending the hunter out: the program `podseal-leak-hunt`, which gets the canary by standard input and ends with its report.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::canary::Canary;
use super::report::Report;
use crate::binaries::program;
use crate::error::BenchError;

/// What the hunter is told.
#[derive(Debug)]
pub struct Errand<'c> {
    canary: &'c Canary,
    words: Vec<String>,
}

impl<'c> Errand<'c> {
    /// To search everything for a canary, which may be nowhere.
    pub fn new(canary: &'c Canary) -> Self {
        let words = ["--output", "json", "--born"].map(str::to_owned).into_iter().chain([canary.born().to_string()]);
        Self { canary, words: words.collect() }
    }

    /// `--expect pid:PID=NAME`.
    #[must_use]
    pub fn expect(self, pid: u32, name: &str) -> Self {
        self.words(["--expect".into(), format!("pid:{pid}={name}")])
    }

    /// `--except pid:PID=WHY`.
    #[must_use]
    pub fn except(self, pid: u32, why: &str) -> Self {
        self.words(["--except".into(), format!("pid:{pid}={why}")])
    }

    fn words(mut self, words: [String; 2]) -> Self {
        self.words.extend(words);
        self
    }

    /// Runs the hunter to its end: its exit code, and its report.
    pub fn run(self) -> Result<(i32, Report), BenchError> {
        let mut hunter = Command::new(program("podseal-leak-hunt")?)
            .args(&self.words)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(BenchError::io("start podseal-leak-hunt"))?;
        if let Some(mut stdin) = hunter.stdin.take() {
            stdin.write_all(&self.canary.reveal()).map_err(BenchError::io("hand the canary to podseal-leak-hunt"))?;
        }
        let output = hunter.wait_with_output().map_err(BenchError::io("wait for podseal-leak-hunt"))?;
        let told = || [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
        let report = serde_json::from_slice(&output.stdout).map_err(|_| BenchError::answer("podseal-leak-hunt", told(), "a report"))?;
        Ok((output.status.code().unwrap_or(-1), report))
    }
}
