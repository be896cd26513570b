//! `podseal policy`: which workload gets which secret.

mod draft;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use podseal_appraisal::policy::{Case, CaseResult, Policy, PolicyLimits, Wanted, run_cases};
use podseal_protocol::{Digest, hex};
use podseal_wire::{Document, Empty};
use serde::Serialize;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    files,
    output::{self, AppliedView, ChangeView, DocumentView},
};

/// The policy: draft, test, apply, show
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print a permit for what asked under an audit id and was refused, to review and to append to a policy
    Draft {
        /// As the refusal or `podseal log list` has it
        #[arg(value_name = "AUDIT-ID")]
        audit_id: String,
    },
    /// Put a policy in force in the place of the whole one before; a folder's cases are run first, and must all hold
    Apply {
        /// A policy, or a folder with policy.cedar, allow/ and deny/
        #[arg(value_name = "FILE|DIR")]
        path: PathBuf,
    },
    /// Run the cases of a folder, without a verifier
    Test {
        /// A folder with policy.cedar, allow/*.json and deny/*.json
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Print the policy in force, byte for byte
    Show,
}

#[derive(Debug, Serialize)]
struct CaseView {
    name: String,
    about: String,
    wanted: String,
    found: String,
    holds: bool,
}

#[derive(Debug, Serialize)]
struct TestView {
    passed: usize,
    total: usize,
    /// Secrets that the policy can release.
    secrets: Vec<String>,
    cases: Vec<CaseView>,
}

impl TestView {
    fn holds(&self) -> bool {
        self.passed == self.total
    }
}

impl PolicyCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match self {
            Self::Draft { audit_id } => draft::run(context, audit_id).await,
            Self::Apply { path } => apply(context, &path).await,
            Self::Test { folder } => {
                let view = test(&folder)?;
                context.format.print(&view, test_text)?;
                Ok(Outcome::of(view.holds()))
            }
            Self::Show => show(context).await,
        }
    }
}

/// Reads and compiles a policy.
fn read(path: &Path) -> Result<(String, Policy), Failure> {
    let text = files::read_text(path, PolicyLimits::DEFAULT.text as u64)?;
    let policy = Policy::parse(&text, &PolicyLimits::DEFAULT).map_err(|error| Failure::Policy { path: path.to_owned(), error })?;
    Ok((text, policy))
}

fn test(folder: &Path) -> Result<TestView, Failure> {
    let (_, policy) = read(&folder.join("policy.cedar"))?;
    let mut cases = cases(folder, Wanted::Allow, "allow")?;
    cases.extend(self::cases(folder, Wanted::Deny, "deny")?);
    let cases: Vec<CaseView> = cases.iter().zip(run_cases(&policy, &cases)).map(|(case, result)| case_view(case, result)).collect();
    Ok(TestView {
        passed: cases.iter().filter(|case| case.holds).count(),
        total: cases.len(),
        secrets: policy.secrets().into_iter().map(str::to_owned).collect(),
        cases,
    })
}

/// The cases of one sub-folder. None at all is no test.
fn cases(folder: &Path, wanted: Wanted, name: &str) -> Result<Vec<Case>, Failure> {
    let files = files::json_files(&folder.join(name))?;
    if files.is_empty() {
        return Err(Failure::NoCases { folder: folder.join(name) });
    }
    let parse = |path: PathBuf| {
        let text = files::read_text(&path, Case::LIMIT as u64)?;
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        Ok(Case::parse(&name, wanted, &text)?)
    };
    files.into_iter().map(parse).collect()
}

fn case_view(case: &Case, result: CaseResult) -> CaseView {
    let wanted = case.expect.as_ref().map_or_else(|| "released".to_owned(), |obstacle| format!("refused: {obstacle}"));
    CaseView { name: result.name, about: case.about.clone(), wanted, found: result.found, holds: result.holds }
}

fn test_text(view: &TestView) -> String {
    let mut text = String::new();
    for case in view.cases.iter().filter(|case| !case.holds) {
        let line = |text: &str| output::escaped(text, false);
        text.push_str(&format!("x   {}   {}\n", line(&case.name), line(&case.about)));
        text.push_str(&format!("      expected  {}\n      found     {}\n", line(&case.wanted), line(&case.found)));
        text.push_str("      next      correct the policy, or the case when it asks for the wrong thing\n");
    }
    text + &format!("{}/{} pass; releases {}", view.passed, view.total, list(&view.secrets))
}

fn list(secrets: &[String]) -> String {
    if secrets.is_empty() { "nothing".to_owned() } else { secrets.join(", ") }
}

async fn apply(context: &Context, path: &Path) -> Result<Outcome, Failure> {
    let file = if path.is_dir() {
        let view = test(path)?;
        if !view.holds() {
            context.format.print(&view, |view| test_text(view) + "\nnot applied")?;
            return Ok(Outcome::DoesNotHold);
        }
        path.join("policy.cedar")
    } else {
        path.to_owned()
    };
    let (text, policy) = read(&file)?;
    let secrets: Vec<String> = policy.secrets().into_iter().map(str::to_owned).collect();
    let digest = policy.head();
    let mut session = context.connect().await?;
    let answer = session.client.apply_policy(Document { name: String::new(), text, digest: Vec::new() }).await?.into_inner();
    if answer.digest != digest.0 {
        return Err(Failure::Answer { what: "policy digest", found: hex::encode(&answer.digest), wanted: "that of the text sent" });
    }
    let view = AppliedView { digest: digest.to_string(), change: ChangeView::of(answer.change)? };
    context.format.print(&view, |v| format!("policy {} in force; releases {}; {}", output::short(&v.digest), list(&secrets), v.change))?;
    Ok(Outcome::Holds)
}

async fn show(context: &Context) -> Result<Outcome, Failure> {
    let mut session = context.connect().await?;
    let document = session.client.get_policy(Empty {}).await?.into_inner();
    let digest = Digest::of(document.text.as_bytes());
    let view = DocumentView { digest: digest.to_string(), text: document.text };
    context.format.print_document(&view, &view.text)?;
    Ok(Outcome::Holds)
}
