//! The command line: strict, so that a typing error never becomes another meaning.

use core::fmt;
use std::{ffi::OsString, path::PathBuf, time::Duration};

use podseal_protocol::Digest;

const HELP: &str = "\
podseal-launch: gets this container's secrets, then becomes the application

usage: podseal-launch --verifier ID [OPTION…] [-- COMMAND [ARG…]]

  --verifier ID            identity of the verifier: 64 hexadecimal digits, as `podseal-verifier init` prints it
  --socket PATH            the node attester's socket               [/podseal/attester.sock]
  --token PATH             service-account token; absent = none     [/podseal/token]
  --secrets DIR            where the attester mounts the tmpfs      [/podseal/secrets]
  --wait SECONDS           how long to wait for attester and verifier, 1 to 86400   [300]
  --image-entrypoint       the words after -- are arguments of the image's own Entrypoint
  --allow-unlocked-memory  go on where RLIMIT_MEMLOCK leaves no page for the key; it may then be swapped
  --help, --version

Without COMMAND the image's own Entrypoint and Cmd run. COMMAND is looked up as a container runtime does: a name in the absolute folders
of PATH, anything with a slash from the working directory; a script needs its #! line. The key lies in one locked page (memfd_secret,
else mlock), well within the usual limit of 64 KiB. Environment, descriptors, signals and limits reach the application unchanged.

exit codes, when there is no application:
   64  usage: correct the arguments, or name a command where the image has none
   71  the system refused (locked memory, socket, token): see the message
   73  the secrets could not be placed; nothing is left behind
   75  attester or verifier away for longer than --wait: start again later
   76  the reply or the delivery was not acceptable: forged, altered, or for another container
   77  refused: the message has the reason and the audit id
  126  the command was found and cannot be executed
  127  the command was not found
  130  stopped by SIGINT while waiting;  143  by SIGTERM
";

/// What one run does.
#[derive(Debug)]
pub(crate) enum Task {
    /// Answers `--help` or `--version`.
    Print(String),
    /// Gets secrets and becomes the application.
    Launch(Options),
}

/// Checked options.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pinned identity.
    pub(crate) verifier: Digest,
    /// The attester's socket.
    pub(crate) socket: PathBuf,
    /// The token; the file may be absent.
    pub(crate) token: PathBuf,
    /// The tmpfs.
    pub(crate) secrets: PathBuf,
    /// How long to wait for an answer.
    pub(crate) wait: Duration,
    /// Whether the key may lie in memory that is not locked.
    pub(crate) allow_unlocked_memory: bool,
    /// What to become.
    pub(crate) command: Command,
}

/// What to become.
#[derive(Debug)]
pub(crate) enum Command {
    /// These words.
    Words(Vec<OsString>),
    /// The image's Entrypoint, then its Cmd.
    Image,
    /// The image's Entrypoint, then these words.
    ImageEntrypoint(Vec<OsString>),
}

/// The image's own command, as the attester knows it.
#[derive(Debug, Default)]
pub(crate) struct Image {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
}

impl Command {
    /// The words, where they don't depend on the image.
    pub(crate) fn known(&self) -> Option<&[OsString]> {
        match self {
            Self::Words(words) => Some(words),
            Self::Image | Self::ImageEntrypoint(_) => None,
        }
    }

    /// All words.
    pub(crate) fn words(&self, image: Image) -> Vec<OsString> {
        let entrypoint = image.entrypoint.into_iter().map(OsString::from);
        match self {
            Self::Words(words) => words.clone(),
            Self::Image => entrypoint.chain(image.cmd.into_iter().map(OsString::from)).collect(),
            Self::ImageEntrypoint(words) => entrypoint.chain(words.iter().cloned()).collect(),
        }
    }
}

/// Why the arguments are not understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// No such option, or a word before `--`.
    Unknown(OsString),
    /// An option came twice.
    Twice(&'static str),
    /// An option's value is missing.
    NoValue(&'static str),
    /// A value is not what the option takes.
    BadValue { option: &'static str, found: OsString, wanted: &'static str },
    /// `--verifier` is missing.
    NoVerifier,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(found) => {
                write!(f, "{:?} is no option: the command and its arguments stand after --", found.to_string_lossy())
            }
            Self::Twice(option) => write!(f, "{option} came twice: give it once"),
            Self::NoValue(option) => write!(f, "{option} needs a value"),
            Self::BadValue { option, found, wanted } => write!(f, "{option} {:?}: wanted {wanted}", found.to_string_lossy()),
            Self::NoVerifier => f.write_str("--verifier ID is required: it says whose secrets this container takes"),
        }
    }
}

/// Options as they were given.
#[derive(Default)]
struct Given {
    verifier: Option<OsString>,
    socket: Option<OsString>,
    token: Option<OsString>,
    secrets: Option<OsString>,
    wait: Option<OsString>,
    image_entrypoint: Option<()>,
    allow_unlocked_memory: Option<()>,
}

/// Reads the words after the program's own name.
pub(crate) fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Task, UsageError> {
    let mut given = Given::default();
    while let Some(word) = words.next() {
        let mut value = |option| words.next().ok_or(UsageError::NoValue(option));
        match word.to_str() {
            Some("--help") => return Ok(Task::Print(HELP.to_owned())),
            Some("--version") => return Ok(Task::Print(format!("podseal-launch {}\n", env!("CARGO_PKG_VERSION")))),
            Some("--verifier") => set(&mut given.verifier, "--verifier", value("--verifier")?)?,
            Some("--socket") => set(&mut given.socket, "--socket", value("--socket")?)?,
            Some("--token") => set(&mut given.token, "--token", value("--token")?)?,
            Some("--secrets") => set(&mut given.secrets, "--secrets", value("--secrets")?)?,
            Some("--wait") => set(&mut given.wait, "--wait", value("--wait")?)?,
            Some("--image-entrypoint") => set(&mut given.image_entrypoint, "--image-entrypoint", ())?,
            Some("--allow-unlocked-memory") => set(&mut given.allow_unlocked_memory, "--allow-unlocked-memory", ())?,
            Some("--") => break,
            _ => return Err(UsageError::Unknown(word)),
        }
    }
    given.check(words.collect()).map(Task::Launch)
}

fn set<T>(slot: &mut Option<T>, option: &'static str, value: T) -> Result<(), UsageError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(UsageError::Twice(option)),
    }
}

impl Given {
    fn check(self, words: Vec<OsString>) -> Result<Options, UsageError> {
        Ok(Options {
            verifier: verifier(self.verifier.ok_or(UsageError::NoVerifier)?)?,
            socket: path("--socket", self.socket, "/podseal/attester.sock")?,
            token: path("--token", self.token, "/podseal/token")?,
            secrets: path("--secrets", self.secrets, "/podseal/secrets")?,
            wait: self.wait.map_or(Ok(Duration::from_secs(300)), seconds)?,
            allow_unlocked_memory: self.allow_unlocked_memory.is_some(),
            command: match (self.image_entrypoint, words.is_empty()) {
                (Some(()), _) => Command::ImageEntrypoint(words),
                (None, true) => Command::Image,
                (None, false) => Command::Words(words),
            },
        })
    }
}

fn verifier(found: OsString) -> Result<Digest, UsageError> {
    let digest = found.to_str().filter(|text| text.len() == 64).and_then(Digest::from_hex);
    digest.ok_or(UsageError::BadValue { option: "--verifier", found, wanted: "64 hexadecimal digits" })
}

fn seconds(found: OsString) -> Result<Duration, UsageError> {
    let digits = found.to_str().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let seconds = digits.and_then(|text| text.parse().ok()).filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or(UsageError::BadValue { option: "--wait", found, wanted: "seconds, 1 to 86400" })
}

fn path(option: &'static str, found: Option<OsString>, default: &str) -> Result<PathBuf, UsageError> {
    match found {
        None => Ok(PathBuf::from(default)),
        Some(found) if found.is_empty() => Err(UsageError::BadValue { option, found, wanted: "a path" }),
        Some(found) => Ok(PathBuf::from(found)),
    }
}
