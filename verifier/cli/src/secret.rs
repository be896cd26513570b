//! `podseal secret`: values go in and never come out.

mod value;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use podseal_appraisal::policy::SecretMetadata;
use podseal_protocol::{
    Limits,
    leaf::is_secret_name,
    seal::{import_info, seal},
};
use podseal_wire::{Empty, GenerateSecretRequest, Name, PutSecretRequest, Secret, SecretVersion};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    connection::Session,
    context::Context,
    failure::{Failure, Outcome},
    output::{self, ChangeView, Changed, table},
};

/// Secrets: put, generate, list, delete
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Put a new version, from a file or standard input; it is sealed to the verifier before it leaves this machine
    ///
    /// The value is taken byte for byte, 1 to 65536 of them: write it with printf, not echo, unless a line feed belongs to it.
    Put {
        #[command(flatten)]
        metadata: Metadata,
        /// The file that has the value; otherwise standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Have the verifier make a value of A-Z a-z 0-9 that no person has seen
    Generate {
        #[command(flatten)]
        metadata: Metadata,
        /// Number of characters
        #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(16..=1024))]
        length: u32,
    },
    /// List names and versions
    List,
    /// Forget a secret, all its versions included
    Delete {
        /// NAMESPACE/NAME
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Metadata {
    /// NAMESPACE/NAME, as in payments/db
    name: String,
    /// Weaknesses that the secret's owner accepts, by name: host-trusted, interpreter-environment, loader-environment, no-pod-log,
    /// oci-hooks, shared-pid-namespace, test-root. Without any, a new version keeps the words of the one before
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    accept: Vec<String>,
}

impl Metadata {
    /// Name and sorted words.
    fn check(self) -> Result<(String, Vec<String>), Failure> {
        let name = check_name(self.name)?;
        let metadata = SecretMetadata::new(&name, self.accept)?;
        Ok((name, metadata.accepts().iter().cloned().collect()))
    }
}

fn check_name(name: String) -> Result<String, Failure> {
    if is_secret_name(&name, &Limits::DEFAULT) {
        return Ok(name);
    }
    Err(Failure::Option { option: "NAME", found: name, wanted: "NAMESPACE/NAME of a-z, 0-9, '-' and '.', as in payments/db".to_owned() })
}

#[derive(Debug, Serialize)]
struct VersionView {
    name: String,
    version: u64,
    change: ChangeView,
}

#[derive(Debug, Serialize)]
struct SecretView {
    name: String,
    version: u64,
    accepts: Vec<String>,
    changed: Option<String>,
    releases: u64,
}

#[derive(Debug, Serialize)]
struct SecretListView {
    secrets: Vec<SecretView>,
}

impl SecretCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match self {
            Self::Put { metadata, file } => {
                let (name, accepts) = metadata.check()?;
                let value = file.as_deref().map_or_else(value::from_stdin, value::from_file)?;
                let mut session = context.connect().await?;
                let sealed = seal_value(&session, &name, &value)?;
                drop(value);
                let answer = session.client.put_secret(PutSecretRequest { name, sealed, accepts }).await?.into_inner();
                print_version(context, answer, "put; only its sealed form left this machine")
            }
            Self::Generate { metadata, length } => {
                let (name, accepts) = metadata.check()?;
                let mut session = context.connect().await?;
                let answer = session.client.generate_secret(GenerateSecretRequest { name, length, accepts }).await?.into_inner();
                print_version(context, answer, "created; its value was never shown")
            }
            Self::List => list(context).await,
            Self::Delete { name } => {
                let name = check_name(name)?;
                let mut session = context.connect().await?;
                let change = session.client.delete_secret(Name { name: name.clone() }).await?.into_inner();
                let changed = Changed { name, change: change.into() };
                context.format.print(&changed, |c| format!("{} deleted, all its versions included; {}", c.name, c.change))?;
                Ok(Outcome::Holds)
            }
        }
    }
}

/// Seals a value to the import key that the pinned root certifies (HPKE, `podseal.import-info.v1`).
fn seal_value(session: &Session, name: &str, value: &[u8]) -> Result<Vec<u8>, Failure> {
    let key = session.import_key()?;
    let wanted = "a P-256 key";
    let key = key.p256().ok_or_else(|| Failure::Answer { what: "import key", found: "another kind of key".to_owned(), wanted })?;
    let mut ephemeral = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(ephemeral.as_mut_slice()).map_err(|_| Failure::Randomness)?;
    Ok(seal(&key, &import_info(&session.verifier, name), &[], value, &ephemeral)?)
}

fn print_version(context: &Context, answer: SecretVersion, done: &str) -> Result<Outcome, Failure> {
    let view = VersionView { name: answer.name, version: answer.version, change: ChangeView::of(answer.change)? };
    context.format.print(&view, |v| format!("{} v{} {done}; {}", v.name, v.version, v.change))?;
    Ok(Outcome::Holds)
}

async fn list(context: &Context) -> Result<Outcome, Failure> {
    let mut session = context.connect().await?;
    let answer = session.client.list_secrets(Empty {}).await?.into_inner();
    let view = |secret: Secret| SecretView {
        name: secret.name,
        version: secret.version,
        accepts: secret.accepts,
        changed: output::time(secret.changed),
        releases: secret.releases,
    };
    let mut secrets: Vec<SecretView> = answer.secrets.into_iter().map(view).collect();
    secrets.sort_by(|a, b| a.name.cmp(&b.name));
    context.format.print(&SecretListView { secrets }, |list| {
        let row = |s: &SecretView| {
            [s.name.clone(), format!("v{}", s.version), s.changed.clone().unwrap_or_default(), s.releases.to_string(), s.accepts.join(" ")]
        };
        table(["NAME", "VERSION", "CHANGED", "RELEASES", "ACCEPTS"], list.secrets.iter().map(row))
    })?;
    Ok(Outcome::Holds)
}
