//! A program in a container that talks to the node attester by itself: whoever is not the launcher, or is a launcher that lies.
//!
//! It prints what it was answered as one line of JSON. The words before `--` are those of a launcher, so that it can stand in one's place.

use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use podseal_protocol::Digest;
use serde_json::{Value, json};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

mod asking;
mod crowd;

const USAGE: &str = "\
usage: stranger [--verifier ID --] COMMAND
  ask              asks as a launcher does, with a key of its own
  send HEX         sends this message in the place of a request
  twice            asks over two connections at a time
  run COMMAND…     has a child run a command, and says how it ended
  crowd N          has N children connect and end, then asks over each of their connections
  wait             does nothing until SIGTERM";

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (verifier, words) = match words.as_slice() {
        ["--verifier", id, "--", words @ ..] => (Digest::from_hex(id), words),
        words => (None, words),
    };
    match words {
        ["ask"] => print(&asking::ask(verifier)?),
        ["send", message] => print(&asking::send(message)?),
        ["twice"] => print(&asking::ask_twice(verifier)?),
        ["run", program, arguments @ ..] => print(&run(program, arguments)?),
        ["crowd", count] => crowd::gather(count.parse().map_err(invalid)?, verifier),
        ["connect"] => crowd::connect(),
        ["wait"] => wait(),
        _ => Err(invalid(USAGE)),
    }
}

fn print(value: &Value) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{value}")?;
    out.flush()
}

fn run(program: &str, arguments: &[&str]) -> io::Result<Value> {
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    Ok(json!({
        "code": child.status.code(),
        "stdout": String::from_utf8_lossy(&child.stdout),
        "stderr": String::from_utf8_lossy(&child.stderr),
    }))
}

fn wait() -> io::Result<()> {
    Signals::new([SIGTERM])?.forever().next();
    Ok(())
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
