//! The CRI log format: `TIME STREAM P|F TEXT` per line, where P marks a line that goes on in the next one.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::BenchError;

/// Which of a container's streams.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// What one stream has in the log file; empty while there is no file.
pub(super) fn read(path: &Path, stream: Stream) -> Result<String, BenchError> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(BenchError::Io { doing: format!("read {}", path.display()), source: error }),
    };
    let wanted = if stream == Stream::Stdout { "stdout" } else { "stderr" };
    let mut out = String::new();
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let mut fields = line.splitn(4, ' ').skip(1);
        if fields.next() != Some(wanted) {
            continue;
        }
        let whole = fields.next() == Some("F");
        out.push_str(fields.next().unwrap_or_default());
        if whole {
            out.push('\n');
        }
    }
    Ok(out)
}
