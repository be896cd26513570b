//! What the demo shows, one function a step.

use std::path::Path;
use std::time::Duration;

use podseal_swtpm_tests::error::{BenchError, wait_for};
use podseal_swtpm_tests::site::workload::file_digest;
use podseal_swtpm_tests::site::{Counterfeit, Launched, Node, Refused};

use crate::stage::{DemoError, NAMESPACE, SECOND, Stage, heading, insist, quote, say};

/// EX_NOPERM: how the launcher ends when it is refused.
const REFUSED: i32 = 77;
/// How long a second copy may take to be refused.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn the_attested_container_gets_its_password(stage: &Stage) -> Result<Launched<'_>, DemoError> {
    heading("payments/payment-api starts: the unchanged image finds its password as a file in memory");
    let pod = stage.workload.run(&stage.site, stage.node()?)?;
    let portrait = pod.started()?;
    quote(&portrait.to_string());
    let found = file_digest(&portrait, "/podseal/secrets/db");
    insist(found == Some(stage.digest), "the file /podseal/secrets/db", &format!("{found:?}"), &format!("{:?}", stage.digest))?;
    say("The file has the digest of the password that was put. The verifier says why it was released:");
    let explained = stage.explain(&pod.released_as()?)?;
    insist(explained.starts_with("RELEASED"), "the explanation", &explained, "RELEASED")?;
    Ok(pod)
}

pub(crate) fn another_service_account_gets_nothing(stage: &Stage) -> Result<(), DemoError> {
    heading("A pod of the same namespace and the same image, under another service account");
    let neighbour = stage.workload.clone().named("payment-api-1").account("default");
    let refused = neighbour.run(&stage.site, stage.node()?)?.refused()?;
    stage.refused(&refused, REFUSED, "principal.service_account")
}

pub(crate) fn a_preloaded_library_gets_nothing(stage: &Stage) -> Result<(), DemoError> {
    heading("The approved pod once more, with LD_PRELOAD in its environment");
    let preloaded = stage.workload.clone().named("payment-api-2").container(|c| c.env("LD_PRELOAD", "/tmp/listen.so"));
    let refused = preloaded.run(&stage.site, stage.node()?)?.refused()?;
    stage.refused(&refused, REFUSED, "principal.env_names")
}

pub(crate) fn a_copy_executed_in_the_container_gets_nothing(stage: &Stage) -> Result<(), DemoError> {
    heading("A second copy, started by `ctr task exec` in the approved container");
    let node = stage.node()?;
    let pod = stage.workload.clone().named("payment-api-3").run(&stage.site, node)?;
    pod.started()?;
    let words: Vec<&str> = stage.workload.command.iter().map(String::as_str).collect();
    let executed = node.runtime().exec(pod.container.id(), &words, PATIENCE)?;
    insist(executed.stdout.is_empty(), "the output of the second copy", &executed.stdout, "none")?;
    // The attester refuses by itself: only the container's init process may ask, so the verifier never hears of it.
    let refused = Refused { code: executed.code.unwrap_or(-1), reason: String::new(), audit_id: String::new(), stderr: executed.stderr };
    stage.refused(&refused, REFUSED, "peer.not_init")
}

pub(crate) fn the_second_node_is_answered_the_same(stage: &Stage, second: &Node) -> Result<(), DemoError> {
    heading("The approved pod on the second node: another TPM, another runtime, the same answer");
    let pod = stage.workload.clone().named("payment-api-5").run(&stage.site, second)?;
    let found = file_digest(&pod.started()?, "/podseal/secrets/db");
    insist(found == Some(stage.digest), "the file /podseal/secrets/db", &format!("{found:?}"), &format!("{:?}", stage.digest))?;
    say("It has the password, and ends.");
    Ok(())
}

pub(crate) fn a_node_that_booted_something_else_gets_nothing(stage: &Stage, second: &mut Node) -> Result<(), DemoError> {
    heading("The second node boots again, with one more word on its kernel's command line, and attests");
    let mut boot = stage.site.boot().clone();
    boot.command_line += " init=/bin/sh";
    second.reboot(&boot)?;
    shown(stage, "failing")?;
    let refused = stage.workload.run(&stage.site, second)?.refused()?;
    stage.refused(&refused, REFUSED, "init=/bin/sh")?;
    insist(refused.reason == "reference.kernel", "the reason", &refused.reason, "reference.kernel")
}

pub(crate) fn a_copied_tpm_puts_its_node_in_quarantine(stage: &Stage, second: &mut Node, copy: &Path) -> Result<(), DemoError> {
    heading("Somebody copies the state of the second node's TPM; later the copy answers for the node");
    second.power_off();
    second.machine().tpm().copy_state(copy)?;
    second.reboot(stage.site.boot())?;
    stage.workload.clone().named("payment-api-6").run(&stage.site, second)?.started()?;
    say("The node is itself again: one more pod had the password there. Now the copy.");
    second.power_off();
    second.machine().tpm().restore_state(copy)?;
    second.reboot(stage.site.boot())?;
    shown(stage, "quarantined")?;
    let refused = stage.workload.run(&stage.site, second)?.refused()?;
    stage.refused(&refused, REFUSED, "node.quarantine")
}

/// `podseal node show` of the second node, once it is in this state.
fn shown(stage: &Stage, state: &str) -> Result<(), DemoError> {
    wait_for("the verifier hears of it", PATIENCE, || {
        let node = stage.site.admin().podseal(&["node", "show", SECOND]).map_err(|error| error.to_string())?;
        if node.get("state").is_some_and(|found| found == state) { Ok(()) } else { Err(node.to_string()) }
    })?;
    say(&format!("$ podseal node show {SECOND}"));
    quote(&stage.site.admin().show(&["node", "show", SECOND])?.stdout);
    Ok(())
}

pub(crate) fn a_recorded_request_gets_nothing(stage: &Stage) -> Result<(), DemoError> {
    heading("A request that was answered is recorded on the node, and sent again");
    let node = Counterfeit::enrol(&stage.site, "node-c", "recorded")?;
    let claim = node.claim()?;
    let recorded = node.collect(node.plan(&[&claim])?)?;
    let nothing = || BenchError::answer("the verifier", "no outcome", "one for the leaf");
    let first = node.send(&recorded)?.pop().ok_or_else(nothing)?;
    say(&format!(
        "first  {} bytes sent, {} bytes of sealed secret come back",
        recorded.encode().len(),
        first.delivered(&stage.site)?.len()
    ));
    let second = node.send(&recorded)?.pop().ok_or_else(nothing)?;
    say(&format!("again  the same bytes: {}", second.reason()));
    let explained = second.refused(&stage.site)?;
    quote(&explained.told());
    insist(second.reason() == "challenge.replayed", "the reason", second.reason(), "challenge.replayed")
}

pub(crate) fn every_decision_can_be_taken_again(stage: &Stage) -> Result<(), DemoError> {
    heading("The log verifies, and every entry is decided anew from the archive alone");
    for words in [&["log", "verify"][..], &["audit", "recheck", "--all"]] {
        say(&format!("$ podseal {}", words.join(" ")));
        let ran = stage.site.admin().show(words)?;
        quote(&ran.stdout);
        quote(&ran.stderr);
        insist(ran.code == Some(0), "its exit code", &format!("{:?}", ran.code), "0")?;
    }
    let holders = stage.site.admin().show(&["secret", "list"])?;
    say("$ podseal secret list");
    quote(&holders.stdout);
    insist(holders.stdout.contains(&format!("{NAMESPACE}/db")), "the list of secrets", &holders.stdout, "payments/db")
}
