//! `podseal-node-attester`: runs on each node, as root, beside the container runtime.

use std::{
    env, io,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::{Parser, Subcommand};
use podseal_node_attester::{
    config::{Config, Tcti},
    daemon,
    doctor::{self, Diagnosis, Questions},
    enrol, hardening,
    network::{self, Keeper},
};

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
    /// Keeps a network process running: started by `run` and `enroll`, over a socket.
    #[command(hide = true)]
    Keeper,
    /// Talks to the verifier: started by `keeper`, over a socket.
    #[command(hide = true)]
    Network,
    /// Checks a configuration file; opens nothing that it names.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Asks each source of hardware evidence on this machine, says what came, and saves it for `podseal report verify`.
    Doctor {
        /// Asks for evidence over random report data.
        #[arg(long, required = true)]
        evidence: bool,
        /// The configuration file; without it the kernel's own paths and /dev/tpmrm0 are looked at.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Saves the evidence to this folder, each kind in a folder of its own.
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
        /// Says it as JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Keeper => return child(network::keeper::run(log)),
        Verb::Network => return child(network::process::run(log).map(|()| true)),
        Verb::CheckConfig { config } => check_config(&config),
        Verb::Doctor { evidence: _, config, save, json } => match quiet().and_then(|()| diagnose(config.as_deref(), save.as_deref())) {
            Ok(diagnosis) => {
                let _ = writeln!(io::stdout(), "{}", if json { diagnosis.json() } else { diagnosis.text() });
                return if diagnosis.works() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            }
            Err(error) => Err(error),
        },
        Verb::Enroll { config, token_file } => quiet().and_then(|()| enroll(&config, token_file.as_deref())),
        Verb::Run { config } => quiet().and_then(|()| run(&config)),
    };
    match done {
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

/// The exit code of a child; its parent starts it again unless it must not run here.
fn child(ended: Result<bool, network::process::ProcessError>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(network::REFUSED),
        Err(error) => {
            let _ = writeln!(io::stderr(), "podseal-node-attester: {error}");
            ExitCode::from(network::REFUSED)
        }
    }
}

type Done = Result<String, Box<dyn std::error::Error>>;

fn check_config(file: &Path) -> Done {
    Config::load(file)?;
    Ok(format!("{}: good", file.display()))
}

fn diagnose(config: Option<&Path>, save: Option<&Path>) -> Result<Diagnosis, Box<dyn std::error::Error>> {
    let questions = config.map(Config::load).transpose()?.map_or_else(Questions::unconfigured, |config| Questions::of(&config));
    Ok(doctor::diagnose(&questions, save)?)
}

fn enroll(file: &Path, token_file: Option<&Path>) -> Done {
    let config = Config::load(file)?;
    let token = token_file.map(|path| enrol::read_token(path, &config.bounds.limits)).transpose()?;
    let keeper = split(&config)?;
    let reply = runtime()?.block_on(enrol::enrol(&config, token, keeper.control()?))?;
    keeper.end();
    let (name, audit_id) = (&config.node.name, reply.audit_id);
    if reply.approved {
        Ok(format!("{name}: enrolled and approved ({audit_id})"))
    } else {
        Ok(format!("{name}: enrolled, waits for approval ({audit_id}): podseal node approve {name}"))
    }
}

fn run(file: &Path) -> Done {
    let config = Config::load(file)?;
    let keeper = split(&config)?;
    runtime()?.block_on(daemon::run(config, keeper.control()?))?;
    keeper.end();
    Ok("stopped".to_owned())
}

/// Two processes: the network goes to the other, and this one gives up what it does not need.
fn split(config: &Config) -> Result<Keeper, Box<dyn std::error::Error>> {
    log(config.log_json);
    for exception in config.exceptions.names() {
        tracing::warn!(exception, "hardening.exceptions names it: this attester does without");
    }
    let tpm_needs_network = matches!(config.tpm.tcti, Tcti::Swtpm { .. });
    hardening::can_do_without_network(&config.exceptions, tpm_needs_network)?;
    let keeper = Keeper::start(config)?;
    hardening::privileged(&config.exceptions, tpm_needs_network)?;
    Ok(keeper)
}

/// The TPM libraries write each failure to standard error by themselves, unless the environment that they start in says otherwise. What
/// matters comes back as an error.
fn quiet() -> Result<(), Box<dyn std::error::Error>> {
    const VARIABLE: &str = "TSS2_LOG";
    if env::var_os(VARIABLE).is_some() {
        return Ok(());
    }
    Err(Command::new(env::current_exe()?).args(env::args_os().skip(1)).env(VARIABLE, "all+none").exec().into())
}

/// One thread is enough: the TPM has its own, and everything else waits most of the time.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn log(json: bool) {
    // The TPM libraries log each failed command by themselves; what matters comes back as an error.
    let filter = tracing_subscriber::EnvFilter::new("info,tss_esapi=off");
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    if json { log.json().init() } else { log.with_ansi(false).init() }
}
