//! The whole exchange on each platform: freshly made hardware evidence, from the kernel's or device's own interface to the secret.

use std::process::Command;

use podseal_protocol::evidence::Part;
use podseal_protocol::{Profile, Purpose};
use podseal_swtpm_tests::error::{BenchError, run};
use podseal_swtpm_tests::hardware::amd::SnpGuest;
use podseal_swtpm_tests::hardware::intel::{Collateral, Td};
use podseal_swtpm_tests::hardware::kernel::{Reply, Reporter};
use podseal_swtpm_tests::site::forger::Asked;
use podseal_swtpm_tests::site::makers;
use podseal_swtpm_tests::site::workload::file_digest;
use podseal_swtpm_tests::site::{Explained, Fitted, Forger, Makers, NodeOptions, Permit, Site, Workload};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("secret_on_an_snp_guest", |fixtures| secret_on(fixtures, Profile::Snp)),
    ("secret_on_a_td", |fixtures| secret_on(fixtures, Profile::Tdx)),
    ("secret_on_an_azure_vm", |fixtures| secret_on(fixtures, Profile::AzureSnp)),
    ("secret_on_a_nitro_tpm_instance", |fixtures| secret_on(fixtures, Profile::NitroTpm)),
    ("test_evidence_under_production_roots", test_evidence_under_production_roots),
    ("genuine_node_of_another_tenant", genuine_node_of_another_tenant),
    ("hcl_report_of_previous_boot", hcl_report_of_previous_boot),
    ("quote_by_shared_ak", quote_by_shared_ak),
    ("snp_of_a_quote_of_b_same_nonce", snp_of_a_quote_of_b_same_nonce),
    ("parts_of_two_profiles", parts_of_two_profiles),
    ("distrust_from_the_next_request_on", distrust_from_the_next_request_on),
    ("collateral_goes_out_of_date", collateral_goes_out_of_date),
    ("authority_that_amd_withdrew", authority_that_amd_withdrew),
    ("strangers_make_nobody_ask", strangers_make_nobody_ask),
    ("another_launch_of_the_same_hardware", another_launch_of_the_same_hardware),
    ("launch_that_nobody_knows", launch_that_nobody_knows),
];

/// The shipped attester asks the hardware, the shipped verifier believes it, and the application finds its secret; decided anew from the archive alone,
/// everything comes out the same.
fn secret_on(fixtures: &Fixtures, profile: Profile) -> Outcome {
    let site = fixtures.makers()?;
    let node = site.start_node(NodeOptions::of(site, profile, &format!("{profile}-1")))?;
    let workload = Workload::new(site, &format!("on-{profile}"));
    let value = site.entitle(&workload, &node)?;
    let pod = workload.run(site, &node)?;
    let portrait = pod.started()?;
    assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(value), "{portrait}");

    let audit_id = pod.released_as()?;
    let explained = site.explain(&audit_id)?;
    assert_eq!((explained.result(), explained.obstacles()), ("released", Vec::new()), "{}", explained.told());
    let rechecked = site.admin().run(&["audit", "recheck", &audit_id], b"")?;
    assert_eq!(rechecked.code, Some(0), "{rechecked:?}");
    let shown = site.admin().podseal(&["node", "show", node.name()])?;
    assert_eq!((&shown["profile"], &shown["root_kind"]), (&profile.as_str().into(), &"test".into()), "{shown}");
    // Another container of the same namespace gets nothing here either.
    let refused = workload.clone().named("report-0").account("report").run(site, &node)?.refused()?;
    assert_eq!(refused.code, 77, "{refused:?}");
    Ok(())
}

/// The same machines, once their verifier believes the makers' roots that are built in and no others.
fn test_evidence_under_production_roots(fixtures: &Fixtures) -> Outcome {
    let mut site = Site::start_with_makers(&fixtures.folder("roots"))?;
    let chains = [
        (Profile::Snp, "snp.chain"),
        (Profile::Tdx, "tdx.pck_chain"),
        (Profile::AzureSnp, "snp.chain"),
        (Profile::NitroTpm, "nitro.chain"),
    ];
    let forgers = chains.map(|(profile, _)| Forger::enrolled(&site, &NodeOptions::of(&site, profile, profile.as_str())));
    let forgers = forgers.into_iter().collect::<Result<Vec<_>, _>>()?;
    for forger in &forgers {
        assert_eq!(attest(forger)?, None);
    }
    let config = std::fs::read_to_string(site.verifier().config())?;
    let folder = site.makers()?.roots().display().to_string();
    let roots = format!("roots = \"{folder}\"\n");
    assert!(config.contains(&format!("[hardware]\n{roots}")), "{config}");
    // Without the section nobody's hardware counts, and with an empty one the makers'.
    for (config, whose) in [(config.replace(&format!("[hardware]\n{roots}"), ""), "nobody"), (config.replace(&roots, ""), "makers")] {
        std::fs::write(site.verifier().config(), config)?;
        site.verifier_mut().restart()?;
        for (forger, (profile, chain)) in forgers.iter().zip(chains) {
            let (_, audit_id) = attest(forger)?.ok_or(format!("{profile} still attests"))?;
            let explained = site.explain(&audit_id)?;
            assert!(explained.check(chain).is_some_and(|check| check.verdict == "fail"), "{profile}: {}", explained.told());
            let again = Forger::new(&site, &NodeOptions::of(&site, profile, &format!("{profile}-{whose}")))?;
            assert_eq!(joining(&site, &again, chain)?, "refused", "{profile}");
        }
    }
    Ok(())
}

/// Honest evidence of a node alone: `None` where it holds.
fn attest(forger: &Forger) -> Result<Option<(String, String)>, BenchError> {
    let asked = forger.ask(Purpose::Release)?;
    forger.send(&asked, forger.collect(&asked.binding)?)
}

/// Joins honestly: `joined`, or `refused` if this check failed, or else the reason.
fn joining(site: &Site, forger: &Forger, check: &str) -> Result<String, BenchError> {
    let key = forger.key()?;
    let asked = forger.ask(Purpose::Join)?;
    let parts = forger.collect(&asked.binding)?;
    join(site, forger, check, (&asked, key, parts))
}

type Request<'a> = (&'a Asked, Vec<u8>, Vec<Part>);

fn join(site: &Site, forger: &Forger, check: &str, (asked, key, parts): Request<'_>) -> Result<String, BenchError> {
    let token = site.join_token(forger.machine().name())?;
    match forger.join(asked, &token, key, parts) {
        Ok(_) => Ok("joined".into()),
        Err(BenchError::Runtime { status, .. }) => {
            let header = |name: &str| status.metadata().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            let explained = site.explain(&header("podseal-audit-id"))?;
            let failed = explained.check(check).is_some_and(|found| found.verdict == "fail");
            Ok(if failed { "refused".into() } else { format!("{}: {}", header("podseal-reason"), explained.told()) })
        }
        Err(error) => Err(error),
    }
}

/// Sends parts, and says whether the reason of the refusal is this check.
fn refused_for(site: &Site, forger: &Forger, asked: &Asked, parts: Vec<Part>, check: &str) -> Outcome {
    let (reason, audit_id) = forger.send(asked, parts)?.ok_or(format!("{check}: the evidence holds"))?;
    let explained = site.explain(&audit_id)?;
    assert_eq!(reason, check, "{}", explained.told());
    Ok(())
}

/// Genuine hardware under the same root, which nobody here enrolled: it has neither the node's key nor its name.
fn genuine_node_of_another_tenant(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.makers()?;
    for (profile, check) in [
        (Profile::Snp, "node.key_signature"),
        (Profile::Tdx, "node.key_signature"),
        (Profile::AzureSnp, "quote.signature"),
        (Profile::NitroTpm, "node.machine"),
    ] {
        let ours = Forger::enrolled(site, &NodeOptions::of(site, profile, &format!("ours-{profile}")))?;
        let theirs = Forger::new(site, &NodeOptions::of(site, profile, &format!("theirs-{profile}")))?;
        theirs.key()?;
        let asked = ours.ask(Purpose::Release)?;
        // The other tenant's hardware signs whatever it is asked for, our node's binding too.
        refused_for(site, &ours, &asked, theirs.collect(&asked.binding)?, check)?;
        assert_eq!(attest(&ours)?, None, "{profile}");
        let asked = theirs.ask(Purpose::Release)?;
        refused_for(site, &theirs, &asked, theirs.collect(&asked.binding)?, "node.enrolled")?;
    }
    Ok(())
}

fn of_boot(parts: &[Part], proof: &[Part]) -> Vec<Part> {
    let is_proof = |part: &&Part| matches!(part, Part::HclReport(_) | Part::AkCertification { .. });
    parts.iter().filter(|part| !is_proof(part)).chain(proof.iter().filter(is_proof)).cloned().collect()
}

fn hcl_report_of_previous_boot(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.makers()?;
    let mut forger = Forger::enrolled(site, &NodeOptions::of(site, Profile::AzureSnp, "rebooted"))?;
    let first = forger.ask(Purpose::Release)?;
    let before = forger.collect(&first.binding)?;
    assert_eq!(forger.send(&first, before.clone())?, None);
    // In the same boot what proved it goes on doing so.
    let second = forger.ask(Purpose::Release)?;
    let now = forger.collect(&second.binding)?;
    assert_eq!(forger.send(&second, of_boot(&now, &before))?, None);

    let boot = site.boot().clone();
    forger.machine_mut().reboot(&boot)?;
    let third = forger.ask(Purpose::Release)?;
    let after = forger.collect(&third.binding)?;
    refused_for(site, &forger, &third, of_boot(&after, &before), "azure.boot_proved")?;
    let fourth = forger.ask(Purpose::Release)?;
    let parts = forger.collect(&fourth.binding)?;
    assert_eq!(forger.send(&fourth, parts)?, None);
    Ok(())
}

/// Whoever is on the VM can have the HCL's own key sign; it is neither quoted by nor enrolled.
fn quote_by_shared_ak(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.makers()?;
    let options = NodeOptions::of(site, Profile::AzureSnp, "shared-ak");
    let forger = Forger::enrolled(site, &options)?;
    let asked = forger.ask(Purpose::Release)?;
    let mut parts = forger.collect(&asked.binding)?;
    parts[0] = forger.quote_by_shared_ak(&asked.binding)?;
    refused_for(site, &forger, &asked, parts, "quote.signature")?;
    assert_eq!(attest(&forger)?, None);

    let other = Forger::new(site, &NodeOptions::of(site, Profile::AzureSnp, "shared-ak-2"))?;
    let own = other.key()?;
    let (name, public) = shared_ak(&other)?;
    let asked = other.ask_as(Purpose::Join, &name)?;
    let mut parts = other.collect(&asked.binding)?;
    parts[0] = other.quote_by_shared_ak(&asked.binding)?;
    let proof = parts.iter_mut().find(|part| matches!(part, Part::AkCertification { .. })).expect("a certification");
    *proof = certified_by_itself(&other)?;
    assert_eq!(join(site, &other, "azure.own_ak", (&asked, public, parts))?, "refused");
    let asked = other.ask(Purpose::Join)?;
    let parts = other.collect(&asked.binding)?;
    assert_eq!(join(site, &other, "azure.own_ak", (&asked, own, parts))?, "joined");
    Ok(())
}

/// Runs a tool on the TPM of a VM, in its folder.
fn tool(vm: &Forger, name: &str, words: &[&str]) -> Result<(), BenchError> {
    run(Command::new(name).args(words).env("TPM2TOOLS_TCTI", vm.tcti()).current_dir(vm.machine().dir())).map(drop)
}

fn made(vm: &Forger, file: &str) -> Result<Vec<u8>, BenchError> {
    std::fs::read(vm.machine().dir().join(file)).map_err(BenchError::io(format!("read {file}")))
}

/// Name and public area of the HCL's own key.
fn shared_ak(vm: &Forger) -> Result<(Vec<u8>, Vec<u8>), BenchError> {
    tool(vm, "tpm2_readpublic", &["-Q", "-c", "0x81000003", "-o", "shared.pub", "-n", "shared.name"])?;
    // The tool writes the size before the area.
    Ok((made(vm, "shared.name")?, made(vm, "shared.pub")?.split_off(2)))
}

/// The key's statement about itself; over what, the tool decides.
fn certified_by_itself(vm: &Forger) -> Result<Part, BenchError> {
    let words = ["-Q", "-c", "0x81000003", "-C", "0x81000003", "-g", "sha256", "-f", "tss", "-o", "attest", "-s", "signature"];
    tool(vm, "tpm2_certify", &words)?;
    Ok(Part::AkCertification { attest: made(vm, "attest")?, signature: made(vm, "signature")? })
}

/// The report of one VM and the quote of another, over the same binding.
fn snp_of_a_quote_of_b_same_nonce(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.makers()?;
    let one = Forger::enrolled(site, &NodeOptions::of(site, Profile::AzureSnp, "report-of"))?;
    let other = Forger::enrolled(site, &NodeOptions::of(site, Profile::AzureSnp, "quote-of"))?;
    let asked = other.ask(Purpose::Release)?;
    let (reports, quotes) = (one.collect(&asked.binding)?, other.collect(&asked.binding)?);
    refused_for(site, &other, &asked, of_boot(&quotes, &reports), "azure.ak_certified")?;
    assert_eq!(attest(&other)?, None);
    assert_eq!(attest(&one)?, None);
    Ok(())
}

/// SEV-SNP beside NitroTPM is two facts about perhaps two machines.
fn parts_of_two_profiles(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.makers()?;
    let instance = Forger::enrolled(site, &NodeOptions::of(site, Profile::NitroTpm, "two-profiles"))?;
    let guest = Forger::new(site, &NodeOptions::of(site, Profile::Snp, "two-profiles-snp"))?;
    guest.key()?;
    let asked = instance.ask(Purpose::Release)?;
    let report = guest.collect(&asked.binding)?.into_iter().find(|part| matches!(part, Part::SnpReport { .. }));
    let mut parts = instance.collect(&asked.binding)?;
    parts.extend(report);
    parts.sort_by_key(Part::tag);
    refused_for(site, &instance, &asked, parts, "evidence.parts")?;
    assert_eq!(attest(&instance)?, None);
    Ok(())
}

/// A list of distrust is in force from the next request on, and so is its end.
fn distrust_from_the_next_request_on(fixtures: &Fixtures) -> Outcome {
    let site = Site::start_with_makers(&fixtures.folder("distrust"))?;
    let makers = site.makers()?;
    let snp = Forger::enrolled(&site, &NodeOptions::of(&site, Profile::Snp, "distrusted-snp"))?;
    let td = Forger::enrolled(&site, &NodeOptions::of(&site, Profile::Tdx, "distrusted-td"))?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let product = makers.amd.product().as_str().to_lowercase();
    let cases = [
        (&snp, "snp.distrust_chip", format!("chips = [\"{}\"]", hex(&makers.chip.id))),
        (&snp, "snp.distrust_generation", format!("generations = [\"{product}\"]")),
        (&td, "tdx.chip_distrusted", format!("chips = [\"{}\"]", hex(&makers.platform.ppid))),
    ];
    let file = fixtures.folder("distrust").join("hardware.toml");
    for (forger, check, line) in cases {
        assert_eq!(attest(forger)?, None, "{check}");
        std::fs::write(&file, format!("[distrust]\n{line}\n"))?;
        site.admin().podseal(&["hardware", "apply", &file.display().to_string()])?;
        let (reason, audit_id) = attest(forger)?.ok_or(format!("{check}: it still attests"))?;
        assert_eq!(reason, check, "{}", site.explain(&audit_id)?.told());
        assert!(site.admin().show(&["hardware", "show"])?.stdout.contains(&line));
        std::fs::write(&file, "")?;
        site.admin().podseal(&["hardware", "apply", &file.display().to_string()])?;
        assert_eq!(attest(forger)?, None, "{check}");
    }
    Ok(())
}

/// What Intel says of a platform is asked for by the verifier, and believed no longer than it says.
fn collateral_goes_out_of_date(fixtures: &Fixtures) -> Outcome {
    for (collateral, check) in [(Collateral::out_of_date(), "tdx.tcb_out_of_date"), (Collateral::expired(), "evidence.endorsed")] {
        let site = Site::start_with_makers(&fixtures.folder(check))?;
        let makers: &Makers = site.makers()?;
        let td = Forger::new(&site, &NodeOptions::of(&site, Profile::Tdx, "td"))?;
        makers.services.publish_intel(&makers.intel, collateral);
        let found = joining(&site, &td, check)?;
        assert!(found == "refused" || found.contains(check), "{found}");
        let other = Site::start_with_makers(&fixtures.folder(&format!("{check}-twin")))?;
        let td = Forger::new(&other, &NodeOptions::of(&other, Profile::Tdx, "td"))?;
        assert_eq!(joining(&other, &td, check)?, "joined");
    }
    Ok(())
}

/// AMD's list is asked for, and what it says counts.
fn authority_that_amd_withdrew(fixtures: &Fixtures) -> Outcome {
    for (revoked, outcome) in [(false, "joined"), (true, "refused")] {
        let site = Site::start_with_makers(&fixtures.folder(&format!("amd-{outcome}")))?;
        site.makers()?.services.publish_amd_list(7, revoked);
        for profile in [Profile::Snp, Profile::AzureSnp] {
            let guest = Forger::new(&site, &NodeOptions::of(&site, profile, profile.as_str()))?;
            assert_eq!(joining(&site, &guest, "snp.revoked")?, outcome, "{profile}");
        }
    }
    Ok(())
}

/// Whom no token lets in, and whom nobody enrolled, is judged by what is at hand: makers are asked for nobody else.
fn strangers_make_nobody_ask(fixtures: &Fixtures) -> Outcome {
    let site = Site::start_with_makers(&fixtures.folder("strangers"))?;
    let makers = site.makers()?;
    for profile in [Profile::Snp, Profile::Tdx] {
        let before = makers.services.asked();
        let stranger = Forger::new(&site, &NodeOptions::of(&site, profile, &format!("stranger-{profile}")))?;
        let (key, asked) = (stranger.key()?, stranger.ask(Purpose::Join)?);
        let refused = stranger.join(&asked, "", key, stranger.collect(&asked.binding)?);
        assert!(matches!(refused, Err(BenchError::Runtime { .. })), "{profile}: {refused:?}");
        let asked = stranger.ask(Purpose::Release)?;
        refused_for(&site, &stranger, &asked, stranger.collect(&asked.binding)?, "node.enrolled")?;
        assert_eq!(makers.services.asked(), before, "{profile}");
        assert_eq!(joining(&site, &stranger, "evidence.endorsed")?, "joined", "{profile}");
        assert!(makers.services.asked().len() > before.len(), "{profile}");
    }
    Ok(())
}

/// Any guest of genuine hardware could state what this one states of itself: without a set of its launch it is believed nothing of it.
fn launch_that_nobody_knows(fixtures: &Fixtures) -> Outcome {
    let site = Site::start_with_makers(&fixtures.folder("unknown-launch"))?;
    let node = site.start_node(NodeOptions::of(&site, Profile::AzureSnp, "azure"))?;
    let workload = Workload::new(&site, "launched");
    site.entitle(&workload, &node)?;
    workload.run(&site, &node)?.started()?;
    let attributes = ["context.tpm_in_tee", "context.secure_boot", "context.pod_log"];
    let permit = Permit::new("launched/db").is("context.pod_log", "observed");
    site.allow(&attributes[..2].iter().fold(permit, |permit, attribute| permit.when(attribute, attribute)))?;
    workload.clone().named("any-0").run(&site, &node)?.started()?;
    // A set of another kind of machine, in the place of the one that fits.
    let other = format!(
        "name = \"{}-server\"\nexpires = 2099-01-01T00:00:00Z\n[launch]\nmeasurement = [\"{}\"]\n",
        Profile::AzureSnp,
        "77".repeat(48)
    );
    let file = fixtures.folder("unknown-launch").join("other.toml");
    std::fs::write(&file, other)?;
    site.admin().podseal(&["reference", "apply", &file.display().to_string()])?;
    let refused = workload.named("again-0").run(&site, &node)?.refused()?;
    let explained = site.explain(&refused.audit_id)?;
    let told = explained.told();
    for attribute in attributes {
        assert!(told.contains(&format!("{attribute} is not appraised: no reference set says what was launched")), "{attribute}: {told}");
    }
    Ok(())
}

/// Genuine hardware, our node's key, and something else in the guest.
fn another_launch_of_the_same_hardware(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.makers()?;
    let makers = site.makers()?;
    let boot = |explained: &Explained| explained.check("reference.launch").map(|check| check.verdict.clone());
    let guest = Forger::enrolled(site, &NodeOptions::of(site, Profile::Snp, "launched-snp"))?;
    let td = Forger::enrolled(site, &NodeOptions::of(site, Profile::Tdx, "launched-td"))?;
    for (forger, debuggable) in [(&guest, "snp.debug"), (&td, "tdx.debug_td")] {
        let Fitted::Guest(kernel) = forger.machine().fitted() else { panic!("a guest") };
        assert_eq!(attest(forger)?, None);
        let (td, _) = makers::td(site.boot());
        if forger.machine().profile() == Profile::Snp {
            kernel.answer_by(with_table(makers, SnpGuest { measurement: [0x77; 48], ..SnpGuest::honest() }));
        } else {
            kernel.answer_by(makers.platform.reporter(&Td { mr_td: [0x77; 48], ..td.clone() }));
        }
        let (_, audit_id) = attest(forger)?.ok_or("another launch attests")?;
        assert_eq!(boot(&site.explain(&audit_id)?).as_deref(), Some("fail"));
        if forger.machine().profile() == Profile::Snp {
            kernel.answer_by(with_table(makers, SnpGuest::debuggable()));
        } else {
            kernel.answer_by(makers.platform.reporter(&Td { rtmrs: td.rtmrs, ..Td::debuggable() }));
        }
        let (reason, _) = attest(forger)?.ok_or("a debuggable guest attests")?;
        assert_eq!(reason, debuggable);
    }
    Ok(())
}

fn with_table(makers: &Makers, guest: SnpGuest) -> Reporter {
    let (mut reporter, table) = (makers.chip.reporter(&guest), makers.chip.table());
    Box::new(move |asked| {
        let reply = reporter(asked)?;
        Ok(Reply { auxiliary: Some(table.clone()), ..reply })
    })
}
