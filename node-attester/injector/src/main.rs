//! `podseal-injector`: run, check-config, review, certificate.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use podseal_injector::{
    admission,
    certificate::{self, Wanted},
    config::Config,
    serve,
};
use podseal_protocol::{Digest, Limits};

/// The admission webhook: gives pods that ask for secrets the launcher as their first process.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 done, 1 failed (stderr says why and what to do), 2 wrong usage.")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serves until SIGTERM or SIGINT; says "ready" when API servers can connect.
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Checks a configuration file, and the certificate and key that it names.
    CheckConfig {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Answers one AdmissionReview, from standard input to standard output, without a server.
    Review {
        #[command(flatten)]
        verifier: Verifier,
    },
    /// Makes a serving certificate, and its CA where the folder has none: ca.crt, ca.key, tls.crt, tls.key.
    Certificate {
        /// The Service by which the API server calls the webhook.
        #[arg(long, value_name = "NAME")]
        service: String,
        /// Its namespace.
        #[arg(long, value_name = "NS")]
        namespace: String,
        /// The folder.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Lifetime of the serving certificate.
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Lifetime of a CA that has to be made.
        #[arg(long, default_value_t = 3_650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        ca_days: u32,
    },
}

/// Which verifier launchers pin.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Verifier {
    /// The configuration file, for its verifier.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The verifier's identity: 64 hexadecimal digits.
    #[arg(long, value_name = "ID", value_parser = identity)]
    verifier: Option<Digest>,
}

fn identity(text: &str) -> Result<Digest, &'static str> {
    Some(text).filter(|text| text.len() == 64).and_then(Digest::from_hex).ok_or("wanted 64 hexadecimal digits")
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Run { config } => run(&config),
        Verb::CheckConfig { config } => check_config(&config),
        Verb::Review { verifier } => review(&verifier),
        Verb::Certificate { service, namespace, out, days, ca_days } => {
            make_certificate(&Wanted { service, namespace, directory: out, days, ca_days })
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "podseal-injector: {error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn Error>>;

fn run(file: &std::path::Path) -> Done {
    let config = Config::load(file)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("warn,podseal_injector=info"))
        .with_writer(io::stderr)
        .with_target(false);
    if config.log_json {
        log.json().flatten_event(true).init()
    } else {
        log.with_ansi(false).init()
    }
    // Two cores' worth of patching; certificate and key are read by a thread of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(2).enable_all().build()?;
    Ok(runtime.block_on(serve::run(config))?)
}

fn check_config(file: &std::path::Path) -> Done {
    serve::check(&Config::load(file)?)?;
    writeln!(io::stdout(), "{}: good", file.display())?;
    Ok(())
}

fn review(verifier: &Verifier) -> Done {
    let verifier = match (&verifier.config, verifier.verifier) {
        (Some(file), _) => Config::load(file)?.verifier,
        (None, Some(identity)) => identity,
        (None, None) => return Err("name the verifier: --verifier ID, or --config FILE".into()),
    };
    let mut request = Vec::new();
    io::stdin().lock().read_to_end(&mut request)?;
    let reviewed = admission::review(&request, &verifier, &Limits::DEFAULT)?;
    let mut out = io::stdout().lock();
    out.write_all(&reviewed.body)?;
    writeln!(out)?;
    Ok(())
}

fn make_certificate(wanted: &Wanted) -> Done {
    let made = certificate::make(wanted)?;
    let mut out = io::stdout().lock();
    writeln!(out, "certificate  {}", wanted.directory.join("tls.crt").display())?;
    writeln!(out, "for          {}", made.name)?;
    let ca = if made.ca_is_new { "new: put it into the webhook's caBundle" } else { "as before" };
    writeln!(out, "CA           {ca}")?;
    writeln!(out, "caBundle     {}", made.ca_bundle)?;
    Ok(())
}
