//! As much of HTTP/1.1 as these services need: one request of GET on each connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A client that sends nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most of a request that is read.
const LONGEST: u64 = 16 << 10;

/// A request.
#[derive(Debug)]
pub(super) struct Question {
    /// Path and parameters.
    pub(super) target: String,
    /// Whether it has the header field that Azure's metadata service wants.
    pub(super) metadata: bool,
}

impl Question {
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, parameters) = self.target.split_once('?')?;
        parameters.split('&').filter_map(|one| one.split_once('=')).find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    status: String,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { status: "200 OK".to_owned(), headers: String::new(), body: body.into() }
    }

    pub(super) fn status(status: &str) -> Self {
        Self { status: status.replace(['\r', '\n'], " "), ..Self::new([]) }
    }

    pub(super) fn with(mut self, header: &str, value: &str) -> Self {
        self.headers += &format!("{header}: {value}\r\n");
        self
    }
}

/// Answers one request.
pub(super) fn serve(client: TcpStream, answer: impl FnOnce(&Question) -> Answer) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(client.try_clone()?.take(LONGEST)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut metadata = false;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        metadata |= line.split_once(':').is_some_and(|(name, value)| name == "metadata" && value.trim() == "true");
    }
    let answer = match first.split(' ').collect::<Vec<_>>().as_slice() {
        ["GET", target, _] => answer(&Question { target: (*target).to_owned(), metadata }),
        _ => Answer::status("405 Method Not Allowed"),
    };
    let Answer { status, headers, body } = answer;
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    (&client).write_all(&[head.as_bytes(), &body].concat())
}

/// RFC 3986, 2.1.
pub(super) fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
