//! `podseal-verifier`: init, check-config, run.

use std::{error::Error, io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use podseal_verifier::{
    config::{Config, Purpose},
    hardening, init, run,
    telemetry::{self, Format},
};

/// The verifier: challenges, appraises, decides, seals, logs, delivers.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 done, 1 refused or failed (the reason is on standard error), 2 wrong usage.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes what is missing: directories, KEK, database, keys, first administrator. Prints the verifier's identity.
    Init {
        #[command(flatten)]
        config: ConfigFile,
        /// For people, or for programs.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Reads and checks the configuration and everything that it names, without serving.
    CheckConfig {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Serves until SIGTERM or SIGINT.
    Run {
        #[command(flatten)]
        config: ConfigFile,
        /// How log lines look.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        log_format: Format,
        /// error, warn, info, debug or trace.
        #[arg(long, default_value_t = tracing::Level::INFO)]
        log_level: tracing::Level,
    },
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file (docs/OPERATING.md).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("podseal-verifier: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<(), Box<dyn Error>> {
    hardening::harden()?;
    // Two cores' worth of waiting; what blocks (the archive) has its own few threads.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(8).enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Init { config, output } => print_made(&init::init(&Config::load(&config.config, Purpose::Init)?).await?, output),
            Command::CheckConfig { config } => {
                let verifier = run::check(&Config::load(&config.config, Purpose::Run)?).await?;
                writeln!(std::io::stdout(), "verifier {verifier}: the configuration holds")?;
                Ok(())
            }
            Command::Run { config, log_format, log_level } => {
                telemetry::start(log_format, log_level);
                run::run(Config::load(&config.config, Purpose::Run)?).await?;
                Ok(())
            }
        }
    })
}

fn print_made(made: &init::Made, output: Output) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    if output == Output::Json {
        serde_json::to_writer(&mut out, made)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "verifier     {}", made.verifier)?;
    let Some(admin) = &made.admin else { return Ok(()) };
    writeln!(out, "certificate  {}", admin.certificate.display())?;
    writeln!(out, "key          {}", admin.key.display())?;
    writeln!(out, "client       {}", admin.client_config.display())?;
    if !admin.configured {
        writeln!(
            out,
            "\nNobody can administer the verifier yet. Add this to the configuration, and move the key to the operator's machine:\n"
        )?;
        writeln!(out, "[[admin]]\nname = \"admin\"\nspki_sha256 = \"{}\"", admin.spki_sha256)?;
    }
    Ok(())
}
