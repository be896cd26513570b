//! `podseal policy draft`: a permit for what asked, to begin from.

use std::collections::BTreeMap;

use podseal_appraisal::{policy::draft, recheck};
use podseal_protocol::{Digest, Limits};
use podseal_wire::AuditId;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    log,
    output::DocumentView,
};

/// Prints permits for the secrets that were asked for under an audit id.
pub(super) async fn run(context: &Context, audit_id: String) -> Result<Outcome, Failure> {
    let mut session = context.connect().await?;
    let archive = session.client.get_archive(AuditId { audit_id: audit_id.clone() }).await?.into_inner();
    let entry = log::decode(&archive.entry)?;
    if entry.audit_id != audit_id {
        return Err(Failure::Answer { what: "archived entry", found: entry.audit_id, wanted: "the one that was asked for" });
    }
    let objects: BTreeMap<String, Vec<u8>> = archive.objects.into_iter().map(|object| (object.role, object.content)).collect();
    let asked = recheck::asked(&entry, &objects, &Limits::DEFAULT).map_err(|error| Failure::NoDraft { audit_id, error })?;
    let heading = format!(
        "// Drafted from entry {} of the log: what {}/{} asked with. Review each line, and take out what may differ.\n",
        archive.entry_index,
        asked.workload.namespace.escape_debug(),
        asked.workload.container.escape_debug()
    );
    let text = heading + &draft(&asked.secrets, &asked.node, &asked.workload);
    let view = DocumentView { digest: Digest::of(text.as_bytes()).to_string(), text };
    context.format.print_document(&view, &view.text)?;
    Ok(Outcome::Holds)
}
