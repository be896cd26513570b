//! `podseal-node-attester`: runs on each node, as root, beside the container runtime.

use std::{io, io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use podseal_node_attester::{config::Config, daemon, enrol};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Identifies pods by kernel and runtime, and binds them to hardware evidence.
#[derive(Parser)]
#[command(version, after_help = "Exit codes: 0 done, 1 failed (stderr says why and what to do), 2 wrong usage.")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serves the pods of this node until SIGTERM; prints "ready" when launchers can connect.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Makes the attestation key and registers this node with the verifier.
    Enroll {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// File with a one-time join token, or - for stdin; without it an administrator approves the node.
        #[arg(long)]
        token_file: Option<PathBuf>,
    },
    /// Checks a configuration file; opens nothing that it names.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    match act(Arguments::parse().verb) {
        Ok(said) => {
            let _ = writeln!(io::stdout(), "{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "podseal-node-attester: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(verb: Verb) -> Result<String, Box<dyn std::error::Error>> {
    match verb {
        Verb::CheckConfig { config } => {
            Config::load(&config)?;
            Ok(format!("{}: good", config.display()))
        }
        Verb::Enroll { config, token_file } => {
            let config = Config::load(&config)?;
            without_core_dumps()?;
            log(config.log_json);
            let token = token_file.map(|path| enrol::read_token(&path, &config.bounds.limits)).transpose()?;
            let reply = runtime()?.block_on(enrol::enrol(&config, token))?;
            let name = &config.node.name;
            let audit_id = reply.audit_id;
            if reply.approved {
                Ok(format!("{name}: enrolled and approved ({audit_id})"))
            } else {
                Ok(format!("{name}: enrolled, waits for approval ({audit_id}): podseal node approve {name}"))
            }
        }
        Verb::Run { config } => {
            let config = Config::load(&config)?;
            without_core_dumps()?;
            log(config.log_json);
            runtime()?.block_on(daemon::run(config))?;
            Ok("stopped".to_owned())
        }
    }
}

/// One thread is enough: the TPM has its own, and everything else waits most of the time.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Tokens are bearer credentials: the process leaves no image of its memory (prctl(2), setrlimit(2)).
fn without_core_dumps() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

fn log(json: bool) {
    // The TPM libraries log each failed command by themselves; what matters comes back as an error.
    let filter = tracing_subscriber::EnvFilter::new("info,tss_esapi=off");
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    if json { log.json().init() } else { log.with_ansi(false).init() }
}
