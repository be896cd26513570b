//! An application that knows nothing of Podseal: it reads its secrets from files, prints what it sees of itself as one line of JSON, and serves until SIGTERM.
//!
//! The files are those named by its arguments, or all of `/podseal/secrets` when there are none. It prints digests, never contents.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::hint::black_box;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

const SECRETS: &str = "/podseal/secrets";

fn main() -> io::Result<()> {
    let started = SystemTime::now();
    let mut stop = Signals::new([SIGTERM])?;
    let mut out = io::stdout();
    let files: Vec<File> = secret_files().into_iter().map(File::read).collect();
    writeln!(out, "{}", self_portrait(started, &files))?;
    out.flush()?;
    stop.forever().next();
    // Held until here, as an application does that connects anew with its password.
    black_box(&files);
    Ok(())
}

/// `started` is in nanoseconds since the Unix epoch, read before anything else was done.
fn self_portrait(started: SystemTime, files: &[File]) -> Value {
    json!({
        "started": started.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_nanos()).ok()),
        "pid": std::process::id(),
        "uid": fs::metadata("/proc/self").map(|own| own.uid()).ok(),
        "args": std::env::args_os().map(text).collect::<Vec<_>>(),
        "cwd": std::env::current_dir().ok(),
        "files": files.iter().map(File::describe).collect::<Vec<_>>(),
        "environ_names": std::env::vars_os().map(|(name, _)| text(name)).collect::<Vec<_>>(),
    })
}

fn text(value: OsString) -> String {
    value.to_string_lossy().into_owned()
}

fn secret_files() -> Vec<PathBuf> {
    let named: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if !named.is_empty() {
        return named;
    }
    let mut found: Vec<PathBuf> = fs::read_dir(SECRETS).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// A file, and what was in it.
struct File {
    path: PathBuf,
    read: io::Result<(Metadata, Vec<u8>)>,
}

impl File {
    fn read(path: PathBuf) -> Self {
        let read = fs::metadata(&path).and_then(|found| Ok((found, fs::read(&path)?)));
        Self { path, read }
    }

    fn describe(&self) -> Value {
        let path = &self.path;
        match &self.read {
            Ok((found, contents)) => json!({
                "path": path,
                "mode": format!("{:04o}", found.mode() & 0o7777),
                "owner": found.uid(),
                "length": contents.len(),
                "sha256": hex(&Sha256::digest(contents)),
            }),
            Err(error) => json!({ "path": path, "error": error.to_string() }),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
