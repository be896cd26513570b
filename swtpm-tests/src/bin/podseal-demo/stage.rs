//! The stage: verifier, issuer, node and secret, and how the demo speaks.

use std::path::Path;

use podseal_protocol::Digest;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::leak_hunt::Canary;
use podseal_swtpm_tests::site::{ACCEPTED, Node, NodeOptions, Refused, Site, Workload};

/// The namespace of the demo's pods.
pub(crate) const NAMESPACE: &str = "payments";

/// The node that boots something else, and is copied.
pub(crate) const SECOND: &str = "node-b";

/// Why the demo ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// A part did not do what it was asked.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// What the demo is there to show is not so.
    #[error("{what}: found {found}, wanted {wanted}")]
    DidNotHold {
        /// Of what.
        what: &'static str,
        /// What was there.
        found: String,
        /// What would have held.
        wanted: String,
    },
}

/// What the demo plays on.
pub(crate) struct Stage {
    /// Verifier, cluster and nodes.
    pub(crate) site: Site,
    /// `payments/payment-api`, as the policy permits it.
    pub(crate) workload: Workload,
    /// The password, in two shares of which neither is it.
    pub(crate) password: Canary,
    /// Its SHA-256.
    pub(crate) digest: Digest,
}

impl Stage {
    /// Starts everything, puts a random password, and applies the policy.
    pub(crate) fn set(dir: &Path) -> Result<Self, DemoError> {
        heading(
            "Starting a verifier, a token issuer, and two nodes: each a software TPM with a boot log in its registers, containerd, attester",
        );
        let site = Site::start(dir)?;
        let node = site.node()?;
        say(&format!("verifier    {}", site.verifier().id()));
        introduce(node);
        let password = Canary::new()?;
        let secret = format!("{NAMESPACE}/db");
        say(&format!("A random password becomes {secret}; it enters by standard input, sealed before it leaves the CLI."));
        say(&format!("Its owner accepts by name: {ACCEPTED}."));
        say("  host-trusted  nothing here measures the attester, so root on the node could forge what is said about its pods;");
        say("  test-root     a software TPM vouches for nothing. On real hardware neither word is needed for memory and boot claims.");
        site.put_secret(&secret, &password.reveal())?;
        let workload = Workload::new(&site, NAMESPACE);
        let permit = workload.permit(&site, node)?.without("principal.pod").without("principal.env");
        let permit = permit.when("context.node", &format!("[\"{}\", \"{SECOND}\"].contains(context.node)", node.name()));
        site.allow(&permit)?;
        Ok(Self { workload, digest: Digest::of(&password.reveal()), password, site })
    }

    /// Starts the second node, of which the demo goes on to do bad things.
    pub(crate) fn second_node(&self) -> Result<Node, DemoError> {
        let node = self.site.start_node(NodeOptions::new(&self.site, SECOND))?;
        introduce(&node);
        say("Both were enrolled by credential activation, and have attested:");
        quote(&self.site.admin().show(&["node", "list"])?.stdout);
        Ok(node)
    }

    /// The honest node.
    pub(crate) fn node(&self) -> Result<&Node, BenchError> {
        self.site.node()
    }

    /// Shows a refusal as the developer and as the operator see it, and insists on what it names.
    pub(crate) fn refused(&self, refused: &Refused, code: i32, names: &str) -> Result<(), DemoError> {
        quote(&refused.stderr);
        let explained = if refused.audit_id.is_empty() { String::new() } else { self.explain(&refused.audit_id)? };
        insist(refused.code == code, "the launcher's exit code", &refused.code.to_string(), &code.to_string())?;
        let told = format!("{}{explained}", refused.stderr);
        insist(told.contains(names), "what is said about the refusal", &told, names)
    }

    /// Shows `podseal explain`, and returns it.
    pub(crate) fn explain(&self, audit_id: &str) -> Result<String, DemoError> {
        say(&format!("$ podseal explain {audit_id}"));
        let explained = self.site.admin().show(&["explain", audit_id])?.stdout;
        quote(&explained);
        Ok(explained)
    }
}

fn introduce(node: &Node) {
    let (runtime, tpm) = (node.runtime(), node.machine().tpm());
    say(&format!("{}      swtpm pid {}, containerd pid {} at {}", node.name(), tpm.pid(), runtime.pid(), runtime.socket().display()));
}

/// What must hold for the demo to go on.
pub(crate) fn insist(holds: bool, what: &'static str, found: &str, wanted: &str) -> Result<(), DemoError> {
    if holds { Ok(()) } else { Err(DemoError::DidNotHold { what, found: found.to_owned(), wanted: wanted.to_owned() }) }
}

pub(crate) fn heading(text: &str) {
    println!("\n== {text}");
}

pub(crate) fn say(text: &str) {
    println!("   {text}");
}

/// Shows what a program wrote.
pub(crate) fn quote(text: &str) {
    text.lines().for_each(|line| println!("   | {line}"));
}
