//! `podseal`: the command line of operators, approvers and auditors.

mod audit;
mod checks;
mod cluster;
mod connection;
mod context;
mod endorsements;
mod explain;
mod failure;
mod files;
mod hardware;
mod log;
mod node;
mod output;
mod policy;
mod reference;
mod report;
mod secret;
mod verifier;

use std::{
    env,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args as _, Command, FromArgMatches as _, Parser, Subcommand};

use connection::{ConnectionFlags, Environment};
use context::Context;
use failure::{EXIT_CODES, Failure, Outcome};
use output::Format;

/// Secrets sealed to attested pods: the command line of operators, approvers and auditors
#[derive(Debug, Parser)]
#[command(name = "podseal", version)]
struct Arguments {
    #[command(subcommand)]
    command: Commands,
    #[command(flatten)]
    connection: ConnectionFlags,
    /// For people, or for programs
    #[arg(long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Commands {
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    #[command(subcommand)]
    Node(node::NodeCommand),
    #[command(subcommand)]
    Reference(reference::ReferenceCommand),
    #[command(subcommand)]
    Hardware(hardware::HardwareCommand),
    #[command(subcommand)]
    Report(report::ReportCommand),
    #[command(subcommand)]
    Endorsements(endorsements::EndorsementsCommand),
    Explain(explain::ExplainCommand),
    #[command(subcommand)]
    Log(log::LogCommand),
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    #[command(subcommand)]
    Verifier(verifier::VerifierCommand),
    /// One line about the verifier, its log and its nodes
    Status,
    /// Print the completion script of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let arguments = match command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let in_home = || Some(PathBuf::from(env::var_os("HOME")?).join(".config"));
    let environment = Environment {
        config: env::var_os("PODSEAL_CONFIG").map(PathBuf::from),
        config_home: env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(in_home),
    };
    match run(arguments, environment) {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(failure) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "podseal: {}", output::escaped(&failure.to_string(), true));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// A command line that says nothing sensible. Verdicts of reports take the code that usage has elsewhere.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when standard error is closed.
    let _ = error.print();
    let command = env::args_os().skip(1).find(|argument| !argument.to_string_lossy().starts_with('-'));
    let of_report = command.is_some_and(|command| command == "report");
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if of_report => ExitCode::from(1),
        _ => ExitCode::from(2),
    }
}

/// The whole command line; every help ends with the exit codes.
fn command() -> Command {
    fn with_exit_codes(command: Command) -> Command {
        match command.get_name() {
            "report" => command.mut_subcommands(|command| command.after_help(report::help())),
            _ => command.after_help(EXIT_CODES).mut_subcommands(with_exit_codes),
        }
    }
    with_exit_codes(Arguments::augment_args(Command::new("podseal")))
}

fn run(arguments: Arguments, environment: Environment) -> Result<Outcome, Failure> {
    let context = Context { format: arguments.output, connection: arguments.connection, environment };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        match arguments.command {
            Commands::Secret(command) => command.run(&context).await,
            Commands::Policy(command) => command.run(&context).await,
            Commands::Cluster(command) => command.run(&context).await,
            Commands::Node(command) => command.run(&context).await,
            Commands::Reference(command) => command.run(&context).await,
            Commands::Hardware(command) => command.run(&context).await,
            Commands::Report(command) => command.run(&context),
            Commands::Endorsements(command) => command.run(&context).await,
            Commands::Explain(command) => command.run(&context).await,
            Commands::Log(command) => command.run(&context).await,
            Commands::Audit(command) => command.run(&context).await,
            Commands::Verifier(command) => command.run(&context).await,
            Commands::Status => verifier::status(&context).await,
            Commands::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command(), "podseal", &mut script);
                output::write_bytes(&script)?;
                Ok(Outcome::Holds)
            }
        }
    })
}
