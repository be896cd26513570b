//! `podseal status` and `podseal verifier show`: who answers, and how far its log is.

use clap::Subcommand;
use podseal_appraisal::{
    check::{Checks, first_obstacle},
    checkpoint::{self, Checkpoint},
};
use podseal_wire::Empty;
use serde::Serialize;

use crate::{
    connection::Session,
    context::Context,
    failure::{Failure, Outcome},
    output,
};

/// The verifier itself
#[derive(Debug, Subcommand)]
pub(crate) enum VerifierCommand {
    /// Show identity, version and newest checkpoint
    Show,
}

#[derive(Debug, Serialize)]
struct VerifierView {
    id: String,
    address: String,
    version: String,
    log: LogView,
}

/// The newest signed head: `init` signs that of the empty log.
#[derive(Debug, Serialize)]
struct LogView {
    size: u64,
    root: String,
    /// The signed note, as the verifier sent it.
    checkpoint: String,
}

#[derive(Debug, Serialize)]
struct StatusView {
    #[serde(flatten)]
    verifier: VerifierView,
    nodes_approved: usize,
    nodes_pending: usize,
}

impl VerifierCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let Self::Show = self;
        let session = context.connect().await?;
        context.format.print(&view(session)?, |v| {
            output::pairs(&[
                ("verifier", v.id.clone()),
                ("address", v.address.clone()),
                ("version", v.version.clone()),
                ("log", format!("{} entries, root {}", v.log.size, v.log.root)),
            ])
        })?;
        Ok(Outcome::Holds)
    }
}

/// One line about the verifier and its nodes.
///
/// # Errors
/// [`Failure`].
pub(crate) async fn status(context: &Context) -> Result<Outcome, Failure> {
    let mut session = context.connect().await?;
    let nodes = session.client.list_nodes(Empty {}).await?.into_inner().nodes;
    let verifier = view(session)?;
    let count = |state| nodes.iter().filter(|node| node.state == state).count();
    let view = StatusView { verifier, nodes_approved: count("approved"), nodes_pending: count("pending") };
    context.format.print(&view, |view| {
        let v = &view.verifier;
        let id = output::short(&v.id);
        let nodes = format!("{} approved, {} pending", view.nodes_approved, view.nodes_pending);
        output::escaped(&format!("verifier {id} {} | log {} entries | nodes {nodes}", v.version, v.log.size), false)
    })?;
    Ok(Outcome::Holds)
}

fn view(session: Session) -> Result<VerifierView, Failure> {
    let log = verified_head(&session)?;
    Ok(VerifierView { id: session.verifier.to_string(), address: session.address, version: session.about.version, log })
}

/// The head that a note signs, under the log key that the pinned root certifies.
fn verified_head(session: &Session) -> Result<LogView, Failure> {
    let (key, checkpoint) = (session.log_key()?, session.about.checkpoint.clone());
    let mut checks = Checks::owing(&[&checkpoint::SIGNATURE, &checkpoint::ORIGIN, &checkpoint::FORM]);
    let head = Checkpoint::verify(&checkpoint, &session.verifier, key.as_bytes(), &mut checks);
    let checks = checks.finish();
    let wrong = |found: String| Failure::Answer { what: "checkpoint", found, wanted: "a note that its log key signed" };
    match (head, first_obstacle(&checks)) {
        (Some(head), None) => Ok(LogView { size: head.size, root: head.root.to_string(), checkpoint }),
        (_, obstacle) => Err(wrong(obstacle.map_or_else(|| "none".to_owned(), |check| format!("{} ({})", check.found, check.rule.name)))),
    }
}
