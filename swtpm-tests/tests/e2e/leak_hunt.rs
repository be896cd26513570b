//! Where a secret is after a release, a refusal and crashes: in the application, and nowhere else on the machine.

use podseal_swtpm_tests::leak_hunt::{Canary, Errand, Kind, Report, Verdict};
use podseal_swtpm_tests::site::{Launched, Node, NodeOptions, Site, Workload};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("leak_hunt", leak_hunt)];

const FILE: &str = "/podseal/secrets/db";

/// Puts a canary as the secret of a workload, and permits it on any node of the site.
pub(crate) fn entitle(site: &Site, node: &Node, workload: &Workload) -> Result<Canary, Box<dyn std::error::Error>> {
    let canary = Canary::new()?;
    site.put_secret(&format!("{}/db", workload.namespace), &canary.reveal())?;
    site.allow(&workload.permit(site, node)?.without("principal.pod").without("principal.env").without("context.node"))?;
    Ok(canary)
}

fn leak_hunt(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.own_site("hunt")?;
    let node = site.start_node(NodeOptions::new(&site, "hunt-1"))?;
    let workload = Workload::new(&site, "hunted");
    let canary = entitle(&site, &node, &workload)?;

    let application = workload.run(&site, &node)?;
    application.started()?;
    let refused = workload.clone().named("payment-api-1").account("default").run(&site, &node)?.refused()?;
    assert_eq!(site.explain(&refused.audit_id)?.result(), "refused");
    only_in(&canary, &application)?;

    for crashed in [site.verifier().crash()?, node.crash_attester()?] {
        use std::os::unix::process::ExitStatusExt as _;
        assert_eq!((crashed.signal(), crashed.core_dumped()), (Some(SIGSEGV), false), "{crashed:?}");
    }
    workload.clone().named("payment-api-2").run(&site, &node)?.started()?;
    only_in(&canary, &application)
}

const SIGSEGV: i32 = 11;

/// It is in the application, as its file and in its memory, and in no other place.
fn only_in(canary: &Canary, application: &Launched<'_>) -> Outcome {
    let pid = u32::try_from(application.container.status()?.pid())?;
    let (code, report) = Errand::new(canary).expect(pid, "payment-api").run()?;
    assert_eq!((code, report.verdict, report.places()), (0, Some(Verdict::Holds), 1), "{}", report.told());
    assert!(has(&report, Kind::File, FILE) && report.hits.iter().any(|hit| hit.kind == Kind::Memory), "{}", report.told());
    Ok(())
}

/// Whether it was found in such a place.
pub(crate) fn has(report: &Report, kind: Kind, path: &str) -> bool {
    report.hits.iter().any(|hit| hit.kind == kind && hit.path == path)
}
