//! How the demo ends: what crashes leave, and in how many places the password is.

use podseal_swtpm_tests::leak_hunt::{Errand, Kind};
use podseal_swtpm_tests::site::Launched;

use crate::stage::{DemoError, Stage, heading, insist, quote, say};

pub(crate) fn crashes_leave_no_core_dump(stage: &Stage) -> Result<(), DemoError> {
    heading("Verifier and attester crash, with core dumps of any size allowed, and start again");
    let node = stage.node()?;
    for (name, status) in [("verifier", stage.site.verifier().crash()?), ("attester", node.crash_attester()?)] {
        say(&format!("{name}  {status}"));
        insist(!status.to_string().contains("core dumped"), "how it ended", &status.to_string(), "no core dump")?;
    }
    // The verifier that is searched has opened the password since it started.
    stage.workload.clone().named("payment-api-4").run(&stage.site, node)?.started()?;
    say("One more approved pod gets the password, and ends.");
    Ok(())
}

pub(crate) fn the_password_is_in_one_place(stage: &Stage, application: &Launched<'_>) -> Result<(), DemoError> {
    heading("In how many places on this machine can the password be read?");
    say("$ podseal-leak-hunt --expect pid:PAYMENT-API    the password comes by standard input; raw, hex, base64, UTF-16 and decimal");
    let status = application.container.status()?;
    let pid = u32::try_from(status.pid()).unwrap_or_default();
    let (code, report) = Errand::new(&stage.password).expect(pid, "payments/payment-api").run()?;
    quote(&report.told());
    insist(code == 0, "the exit code of podseal-leak-hunt", &code.to_string(), "0: nowhere but in the application")?;
    let file = report.hits.iter().any(|hit| hit.kind == Kind::File);
    insist(file && report.places() == 1, "where it is", &report.told(), "its file, in one place")?;
    let what = &report.searched;
    say(&format!(
        "Of {} files and {} processes, in plaintext it is in {} place now: the application, as its file in memory and in its own memory.",
        what.files + what.unchanged,
        what.processes,
        report.places()
    ));
    Ok(())
}
