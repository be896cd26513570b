//! The TPM, the runtime and the boot log are really asked, and what somebody changes on the way is found. (Enrolment: [`crate::joining`].)

use std::fs;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use podseal_protocol::evidence::{Evidence, Part};
use podseal_protocol::{Digest, Limits, Purpose};
use podseal_swtpm_tests::bootlog;
use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::raw_tpm::{CC_ACTIVATE_CREDENTIAL, CC_QUOTE};
use podseal_swtpm_tests::site::machine::BANKS;
use podseal_swtpm_tests::site::{Counterfeit, Node, NodeOptions, Site, Workload};
use podseal_swtpm_tests::tpm_proxy::{Byte, Flip, TpmProxy};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("activation_and_quote_are_seen", activation_and_quote_are_seen),
    ("tpm_reply_bit_flipped", tpm_reply_bit_flipped),
    ("tpm_reply_bit_flipped_behind_the_attester", tpm_reply_bit_flipped_behind_the_attester),
    ("runtime_is_asked_twice", runtime_is_asked_twice),
    ("log_of_other_boot", log_of_other_boot),
    ("node_whose_boot_log_changed", node_whose_boot_log_changed),
    ("relay_through_other_node", relay_through_other_node),
    ("node_not_enrolled", node_not_enrolled),
    ("ak_self_made_signs_a_quote", ak_self_made_signs_a_quote),
];

type Failure = Box<dyn std::error::Error>;

fn proxied(site: &Site, name: &str) -> Result<Node, Failure> {
    Ok(site.start_node(NodeOptions { proxied: true, ..NodeOptions::new(site, name) })?)
}

fn proxy(node: &Node) -> &TpmProxy {
    node.machine().proxy().expect("the node was asked for with one")
}

fn activation_and_quote_are_seen(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = proxied(site, "seen")?;
    // A TPM may ask to have a command sent again (TPM_RC_RETRY).
    let count = |code: u32| proxy(&node).seen().iter().filter(|seen| **seen == code).count();
    let activations = count(CC_ACTIVATE_CREDENTIAL);
    // It has attested once, at its start.
    assert!(activations > 0 && count(CC_QUOTE) >= 1, "{:x?}", proxy(&node).seen());
    let workload = Workload::new(site, "seen");
    site.entitle(&workload, &node)?;
    for _ in 0..2 {
        let before = count(CC_QUOTE);
        workload.run(site, &node)?.started()?;
        assert!(count(CC_QUOTE) > before && count(CC_ACTIVATE_CREDENTIAL) == activations, "{:x?}", proxy(&node).seen());
    }
    Ok(())
}

/// In the reply to TPM2_Quote: header 10, parameterSize 4, size of TPM2B_ATTEST 2, then TPMS_ATTEST with magic 4, type 2, qualifiedSigner 36, extraData 34 and
/// clockInfo 17 (TPM 2.0 part 2, 10.12.12); at the end the signature's r and s of 32 bytes each, and an HMAC session's nonce 34, attributes 1 and HMAC 34 (part 1, 19.4).
const BEFORE_ATTEST: usize = 16;
const AFTER_SIGNATURE: usize = 69;
/// Bytes in TPMS_ATTEST.
const IN_ATTEST: [(&str, usize); 3] = [("qualifiedSigner", 6 + 20), ("extraData", 42 + 10), ("clock", 76 + 3)];

fn tpm_reply_bit_flipped(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = proxied(site, "flipped")?;
    let workload = Workload::new(site, "flipped");
    site.entitle(&workload, &node)?;
    workload.run(site, &node)?.started()?;
    let attest = IN_ATTEST.iter().map(|(field, at)| (*field, Byte::FromStart(BEFORE_ATTEST + at)));
    for (place, byte) in attest.chain([("signature", Byte::FromEnd(AFTER_SIGNATURE + 20))]) {
        let (flipped, told) = (proxy(&node).flipped(), node.attester().log().len());
        proxy(&node).flip(Some(Flip { command: CC_QUOTE, byte, bit: 2 }));
        let refused = workload.run(site, &node)?.refused();
        proxy(&node).flip(None);
        let refused = refused?;
        assert_eq!((refused.code, refused.reason.as_str()), (77, "tpm.reply_altered"), "{place}: {refused:?}");
        assert!(refused.stderr.contains("TPM2_Quote"), "{place}: {refused:?}");
        assert!(proxy(&node).flipped() > flipped, "{place}: no bit was flipped");
        let told = node.attester().log()[told..].to_owned();
        assert!(told.contains("TPM2_Quote: the reply is not as the TPM sent it"), "{place}: {told}");
        assert!(!told.contains("\"delivered\""), "{place}: {told}");
        // The next start has its answer from the same TPM.
        workload.run(site, &node)?.started()?;
    }
    Ok(())
}

/// The session's key is known to everybody, so whoever alters a reply can make its HMAC anew: then the verifier finds it.
fn tpm_reply_bit_flipped_behind_the_attester(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "flipped-2", "flipped-2")?;
    let places = IN_ATTEST.iter().map(|(field, at)| (*field, *at, true)).chain([("signature", 20, false)]);
    for (place, at, in_attest) in places {
        let mut exchange = fake.collect(fake.plan(&[&fake.claim()?])?)?;
        let mut evidence = Evidence::decode(&exchange.evidence, &Limits::DEFAULT)?;
        for part in &mut evidence.parts {
            if let Part::TpmQuote { attest, signature, .. } = part {
                let bytes = if in_attest { attest } else { signature };
                bytes[at] ^= 1 << 2;
            }
        }
        exchange.evidence = evidence.encode();
        let explained = fake.send(&exchange)?[0].refused(site)?;
        assert_eq!((explained.result(), explained.reason()), ("rejected", "quote.signature"), "{place}: {}", explained.told());
        assert!(explained.check("quote.signature").is_some_and(|check| check.found.contains("not this AK's")), "{}", explained.told());
        fake.ask_one(&fake.claim()?)?.delivered(site)?;
    }
    Ok(())
}

fn runtime_is_asked_twice(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let trace = fixtures.folder("connects");
    let strace = ["-f", "-qq", "-s", "256", "-e", "trace=connect", "-o", &trace.display().to_string()].map(str::to_owned);
    let node = site.start_node(NodeOptions { strace: strace.into(), ..NodeOptions::new(site, "asked") })?;
    let socket = node.runtime().socket();
    let workload = Workload::new(site, "asked");
    site.entitle(&workload, &node)?;
    // One connection stays, for the runtime's events and for what they name.
    let listening = connects(&trace, &socket);
    assert_eq!(listening, 1, "before any session");
    for sessions in 1..=3 {
        let pod = workload.run(site, &node)?;
        pod.started()?;
        pod.released_as()?;
        assert_eq!(connects(&trace, &socket), listening + 2 * sessions, "{}", fs::read_to_string(&trace)?);
    }
    // What is refused is identified once: nothing is handed over.
    workload.account("default").run(site, &node)?.refused()?;
    assert_eq!(connects(&trace, &socket), listening + 2 * 3 + 1);
    Ok(())
}

/// Calls of connect(2) that name the socket; one that another thread interrupts is begun once and resumed without its arguments.
fn connects(trace: &Path, socket: &Path) -> usize {
    let named = format!("sun_path=\"{}\"", socket.display());
    let seen = wait_for("strace writes", Duration::from_secs(5), || fs::read_to_string(trace).map_err(|error| error.to_string()));
    seen.unwrap_or_default().lines().filter(|line| line.contains("connect(") && line.contains(&named)).count()
}

fn log_of_other_boot(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut boot = site.boot().clone();
    boot.command_line.push_str(" init=/bin/sh");
    let mut fake = Counterfeit::enrol_booted(site, "other-boot", "other-boot", &boot)?;
    let own = fs::read(fake.machine().event_log())?;
    fs::write(fake.machine().event_log(), bootlog::encode(&site.boot().events(), &BANKS))?;
    let explained = fake.ask_one(&fake.claim()?)?.refused(site)?;
    assert_eq!((explained.result(), explained.reason()), ("refused", "log.replays"), "{}", explained.told());

    fake.reboot(site.boot())?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;
    fs::write(fake.machine().event_log(), own)?;
    assert_eq!(fake.ask_one(&fake.claim()?)?.reason(), "log.replays", "the log of the boot before");
    Ok(())
}

fn node_whose_boot_log_changed(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = site.start_node(NodeOptions::new(site, "changed"))?;
    let workload = Workload::new(site, "changed");
    site.entitle(&workload, &node)?;
    workload.run(site, &node)?.started()?;

    let mut boot = site.boot().clone();
    boot.command_line = boot.command_line.replace("systemd.verity=yes", "systemd.verity=no");
    let other = site.start_node(NodeOptions { boot: boot.clone(), ..NodeOptions::new(site, "changed-too") })?;
    let nodes = "[\"changed\", \"changed-too\"].contains(context.node)";
    site.allow(&workload.permit(site, &node)?.when("context.node", nodes))?;
    let refused = workload.run(site, &other)?.refused()?;
    assert_eq!((refused.code, refused.reason.as_str()), (77, "reference.kernel"), "{refused:?}");
    let explained = site.explain(&refused.audit_id)?;
    let check = explained.check("reference.kernel").expect("it was owed");
    assert_eq!((explained.result(), check.verdict.as_str(), check.origin.as_str()), ("refused", "fail", "reference set bench-server"));
    for (text, line) in [(&check.expected, &site.boot().command_line), (&check.found, &boot.command_line)] {
        assert!(text.contains("PCR 8") && text.contains(line.as_str()), "{line} is not in\n{text}");
    }
    let shown = site.admin().podseal(&["explain", &refused.audit_id])?.to_string();
    assert!(shown.contains(&boot.command_line) && shown.contains(&site.boot().command_line), "{shown}");
    Ok(())
}

fn relay_through_other_node(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let (one, other) = (Counterfeit::enrol(site, "relay-1", "relay-1")?, Counterfeit::enrol(site, "relay-2", "relay-2")?);
    for fake in [&one, &other] {
        fake.ask_one(&fake.claim()?)?.delivered(site)?;
    }
    // The other node's TPM signs for this one.
    let claim = one.claim()?;
    let mut plan = one.plan(&[&claim])?;
    plan.evidence.parts = other.quote(&plan.signed.binding(), &plan.pcrs)?;
    let exchange = podseal_protocol::exchange::Exchange::new(plan.challenge, plan.evidence.encode(), plan.leaves, plan.attachments);
    let explained = one.send(&exchange)?[0].refused(site)?;
    assert_eq!((explained.result(), explained.reason()), ("rejected", "quote.signature"), "{}", explained.told());

    // The other node uses the challenge that this one got.
    let claim = other.claim()?;
    let mut plan = other.plan(&[&claim])?;
    plan.challenge = one.challenge_for("relay-1", Purpose::Release)?;
    plan.signed.challenge = Digest::of(&plan.challenge);
    let explained = other.send(&other.collect(plan)?)?[0].refused(site)?;
    assert_eq!((explained.result(), explained.obstacles()), ("rejected", vec!["challenge.node"]), "{}", explained.told());

    // The other node speaks for a container of this one.
    let explained = other.ask_one(&one.claim()?)?.refused(site)?;
    assert_eq!(explained.result(), "refused");
    assert!(explained.obstacles().contains(&"leaf.node"), "{}", explained.told());
    Ok(())
}

fn node_not_enrolled(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "enrolled", "enrolled")?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;
    let claim = fake.claim()?;
    let mut plan = fake.plan(&[&claim])?;
    plan.challenge = fake.challenge_for("never-enrolled", Purpose::Release)?;
    plan.signed.challenge = Digest::of(&plan.challenge);
    (plan.signed.node, plan.evidence.node) = ("never-enrolled".into(), "never-enrolled".into());
    let answer = fake.send(&fake.collect(plan)?)?.remove(0);
    let explained = answer.refused(site)?;
    assert_eq!((explained.result(), answer.reason()), ("rejected", "node.enrolled"), "{}", explained.told());
    assert_eq!(explained.0.entry_index, None, "a stranger wrote into the log");
    Ok(())
}

fn ak_self_made_signs_a_quote(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "self-made", "self-made")?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let mut exchange = fake.collect(fake.plan(&[&fake.claim()?])?)?;
    let mut evidence = Evidence::decode(&exchange.evidence, &Limits::DEFAULT)?;
    for part in &mut evidence.parts {
        if let Part::TpmQuote { attest, signature, .. } = part {
            let signed = key.sign(&SystemRandom::new(), attest)?;
            let (r, s) = signed.as_ref().split_at(32);
            // TPMT_SIGNATURE (TPM 2.0 part 2, 11.3.4): TPM_ALG_ECDSA, TPM_ALG_SHA256, r and s behind their lengths.
            let head = [0x00, 0x18, 0x00, 0x0B];
            assert_eq!(signature[..head.len()], head);
            *signature = [&head, &[0, 32][..], r, &[0, 32], s].concat();
        }
    }
    exchange.evidence = evidence.encode();
    let explained = fake.send(&exchange)?[0].refused(site)?;
    assert_eq!((explained.result(), explained.reason()), ("rejected", "quote.signature"), "{}", explained.told());
    Ok(())
}
