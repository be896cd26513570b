//! Log lines, on standard error: for people, or one JSON object a line.

use std::io;

use tracing_subscriber::{EnvFilter, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Starts logging; `level` is one of error, warn, info, debug, trace, for this program alone.
pub fn start(format: Format, level: tracing::Level) {
    let filter = EnvFilter::new(format!("warn,podseal_verifier={}", level.as_str().to_lowercase()));
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    match format {
        Format::Text => lines.with_ansi(false).init(),
        Format::Json => lines.json().flatten_event(true).init(),
    }
}
