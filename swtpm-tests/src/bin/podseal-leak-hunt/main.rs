//! `podseal-leak-hunt`: in how many places on this machine is a secret?

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use podseal_swtpm_tests::leak_hunt::{Exemption, Expectation, NotOneProcess, Patterns, Plan, Report, Verdict, hunt, patterns};
use zeroize::Zeroizing;

const INCOMPLETE: u8 = 2;
const EXIT_CODES: &str = "Exit codes: 0 it is where it is expected and nowhere else, 1 it is elsewhere, \
    2 something could not be searched, or it was not found where it is expected; also for wrong usage.";

/// Searches this machine for a secret: files and what gzip files unpack to, what processes hold open, their arguments, environments and memory, in each mount
/// namespace of the processes it sees; raw, in hexadecimal or decimal digits, in base64 and in UTF-16. Run it as root.
#[derive(Debug, Parser)]
#[command(name = "podseal-leak-hunt", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The secret's file, which then is one place too; default: standard input. 24 to 256 printable ASCII characters; a line end behind them does not count
    #[arg(long, value_name = "FILE")]
    canary_file: Option<PathBuf>,
    /// When the secret was made, in seconds since 1970: files on disks that did not change since are not read. Default: every file is
    #[arg(long, value_name = "SECONDS")]
    born: Option<u64>,
    /// A process that may have it, in its memory and in files that it sees below /podseal/secrets
    #[arg(long = "expect", value_name = "pid:N=NAME", value_parser = expectation)]
    expected: Vec<Expectation>,
    /// A process that has it in its memory for a reason, which the report shows
    #[arg(long = "except", value_name = "pid:N=WHY", value_parser = exemption)]
    exempt: Vec<Exemption>,
    /// Only files below this folder, and every process; repeatable. Default: all files that any process sees
    #[arg(long = "root", value_name = "FOLDER")]
    roots: Vec<PathBuf>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

fn expectation(text: &str) -> Result<Expectation, NotOneProcess> {
    text.parse()
}

fn exemption(text: &str) -> Result<Exemption, NotOneProcess> {
    text.parse()
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = arguments.output;
    match searched(arguments).and_then(|report| print(&report, output).map(|()| report)) {
        Ok(report) => match report.verdict {
            Some(Verdict::Holds) => ExitCode::SUCCESS,
            Some(Verdict::Leaks) => ExitCode::FAILURE,
            Some(Verdict::Incomplete) | None => ExitCode::from(INCOMPLETE),
        },
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "podseal-leak-hunt: {error}");
            ExitCode::from(INCOMPLETE)
        }
    }
}

fn searched(arguments: Arguments) -> io::Result<Report> {
    let canary = match &arguments.canary_file {
        Some(path) => read(File::open(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?)?,
        None => read(io::stdin().lock())?,
    };
    let patterns = Patterns::new(canary.trim_ascii_end()).map_err(io::Error::other)?;
    let Arguments { born, expected, exempt, roots, .. } = arguments;
    Ok(hunt(&patterns, &Plan { roots, born, expected, exempt }))
}

/// Up to one byte more than a canary and its line end have.
fn read(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let most = *patterns::LENGTHS.end() + 3;
    let mut canary = Zeroizing::new(Vec::with_capacity(most));
    source.take(most as u64).read_to_end(&mut canary)?;
    Ok(canary)
}

fn print(report: &Report, format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Table => write!(out, "{}", report.told()),
        Format::Json => serde_json::to_writer(&mut out, report).map_err(io::Error::other).and_then(|()| writeln!(out)),
    }?;
    out.flush()
}
