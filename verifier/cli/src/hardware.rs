//! `podseal hardware`: what of genuine hardware is good enough, and what is distrusted.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use podseal_appraisal::machine::Hardware;
use podseal_protocol::{Digest, hex};
use podseal_wire::{Document, Empty};

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    files,
    output::{AppliedView, ChangeView, DocumentView},
};

/// Hardware: floors and distrust, in force from the next request on
#[derive(Debug, Subcommand)]
pub(crate) enum HardwareCommand {
    /// Put a policy of hardware in force, in the place of the whole one before
    Apply {
        /// The policy (TOML); an empty file is the shipped policy
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the policy of hardware in force, byte for byte; nothing where the shipped one is
    Show,
}

impl HardwareCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match self {
            Self::Apply { file } => apply(context, &file).await,
            Self::Show => show(context).await,
        }
    }
}

async fn apply(context: &Context, path: &Path) -> Result<Outcome, Failure> {
    let text = files::read_text(path, files::CONFIGURATION)?;
    Hardware::none().under(&text).map_err(|error| Failure::Hardware { path: path.to_owned(), error })?;
    let digest = Digest::of(text.as_bytes());
    let mut session = context.connect().await?;
    let answer = session.client.apply_hardware(Document { name: String::new(), text, digest: Vec::new() }).await?.into_inner();
    if answer.digest != digest.0 {
        return Err(Failure::Answer { what: "hardware digest", found: hex::encode(&answer.digest), wanted: "that of the text sent" });
    }
    let view = AppliedView { digest: digest.to_string(), change: ChangeView::of(answer.change)? };
    context.format.print(&view, |v| format!("hardware policy in force; {}", v.change))?;
    Ok(Outcome::Holds)
}

async fn show(context: &Context) -> Result<Outcome, Failure> {
    let mut session = context.connect().await?;
    let document = session.client.get_hardware(Empty {}).await?.into_inner();
    let view = DocumentView { digest: Digest::of(document.text.as_bytes()).to_string(), text: document.text };
    context.format.print_document(&view, &view.text)?;
    Ok(Outcome::Holds)
}
