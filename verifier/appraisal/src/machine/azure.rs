//! An Azure confidential VM on SEV-SNP: hardware report → runtime data → the HCL's attestation key → this node's → quote.
//!
//! Any program of the VM may have the HCL's key sign, so a key that only the attester uses quotes. Report and certification are made over
//! the binding once a boot; after that the quote's count of resets says that it is still the same boot.

use podseal_protocol::{
    Digest, Profile,
    binding::report_data,
    evidence::{Evidence, Part},
};

use super::{Machine, Question, formed, is_known, part, rules, snp, tpm};
use crate::{
    azure::{ATTESTATION_KEY, Hardware as HclHardware, HclReport, RUNTIME_DATA, RuntimeData, appraise_binding},
    check::Checks,
    claims::Memory,
    continuity::Counters,
    hex,
    snp::{CertificateTable, Facts},
    tpm::{
        HashAlgorithm,
        ak::AkPublic,
        signer::Signer,
        structures::{Attest, Attested, Signature},
    },
};

pub(super) fn prove(evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> Option<Machine> {
    checks.also_owing(&[&RUNTIME_DATA, &ATTESTATION_KEY, &rules::AK_CERTIFIED, &rules::OWN_AK, &rules::BOOT_PROVED]);
    let quoted = tpm::quoted(evidence, question, checks);
    let Some(report) = part(evidence, |part| if let Part::HclReport(report) = part { Some(report) } else { None }) else {
        checks.not_appraised(&rules::FORM, "the evidence has no HCL report");
        return None;
    };
    let hcl = formed("HCL report", HclReport::parse(report), checks)?;
    let runtime = formed("document of runtime data", RuntimeData::parse(hcl.runtime_data), checks)?;
    let facts = hardware(&hcl, question, checks);
    let hcl_key = runtime.attestation_key(checks)?;
    let certification = part(evidence, |part| match part {
        Part::AkCertification { attest, signature } => Some((attest.as_slice(), signature.as_slice())),
        _ => None,
    });
    let certified = certified(certification, hcl_key, question.key.ak()?, checks)?;
    let quoted = quoted?;
    let counters = Counters::of(&quoted);
    let proof = digest(report, certification);
    let proved = boot_proved(&runtime, certified, proof, &counters, question, checks);
    let facts = facts.filter(|_| proved)?;
    let Some(vm_id) = runtime.vm_id() else {
        checks.not_appraised(&rules::MACHINE, "the runtime data does not name the VM");
        return None;
    };
    let identity = identity(vm_id, hcl_key);
    let known = is_known(identity, question, checks);
    let root = facts.root();
    known.then(|| Machine {
        root: Some((root.0.to_owned(), root.1)),
        memory: Memory::Snp,
        tpm_in_tee: true,
        registers: Some(quoted.pcrs().clone()),
        launch: Some(snp::launch(facts.body())),
        counters: Some(counters),
        start: Digest([0; 32]),
        report: proof,
        identity: Some(identity),
    })
}

/// The hardware's report, and that it is over the runtime data. The paravisor asks from VMPL 0.
fn hardware(hcl: &HclReport<'_>, question: &Question<'_>, checks: &mut Checks) -> Option<Facts> {
    let HclHardware::Snp(report) = hcl.hardware else {
        checks.record(&rules::FORM, false, "an HCL report with an SEV-SNP report", "one with a TDREPORT");
        return None;
    };
    let bound = hcl.report_data().is_some_and(|data| appraise_binding(hcl.runtime_data, data, checks));
    let policy = question.hardware.policy().azure();
    snp::appraise(report, None, &CertificateTable { entries: Vec::new() }, &policy, question, checks).filter(|_| bound)
}

/// Whether the HCL's key says that `ak` is in its TPM; what the statement is over.
fn certified<'c>(certification: Option<(&'c [u8], &[u8])>, hcl_key: &Signer, ak: &AkPublic, checks: &mut Checks) -> Option<&'c [u8]> {
    let Some((attest, signature)) = certification else {
        checks.not_appraised(&rules::AK_CERTIFIED, "the evidence has no certification of the AK");
        return None;
    };
    let strong = |signature: &Signature<'_>| signature.hash() != HashAlgorithm::Sha1;
    let signed = Signature::parse(signature).is_ok_and(|signature| strong(&signature) && hcl_key.verifies(attest, &signature));
    let attested = Attest::parse(attest);
    let (names, found) = match &attested {
        Err(error) => (false, error.to_string()),
        Ok(_) if !signed => (false, "a signature that is not that key's".to_owned()),
        Ok(Attest { attested: Attested::Certify { name }, .. }) => {
            (*name == ak.name().as_ref(), format!("a certification of {}", hex::encode(name)))
        }
        Ok(_) => (false, "another attestation".to_owned()),
    };
    let holds = checks.record(&rules::AK_CERTIFIED, signed && names, format!("HCLAkPub certifies {}", ak.name()), found);
    let other = ak.is_other_than(hcl_key);
    let found = if other { "another key" } else { "HCLAkPub" };
    let holds = checks.record(&rules::OWN_AK, other, "a key other than HCLAkPub", found) && holds;
    attested.ok().filter(|_| holds).map(|attest| attest.extra_data)
}

/// Made for this exchange, or the proof of this boot.
fn boot_proved(
    runtime: &RuntimeData,
    certified: &[u8],
    proof: Digest,
    counters: &Counters,
    question: &Question<'_>,
    checks: &mut Checks,
) -> bool {
    let wanted = hex::encode(&report_data(&question.binding, Profile::AzureSnp));
    let user_data = runtime.user_data().unwrap_or_default();
    let fresh = user_data.eq_ignore_ascii_case(&wanted) && certified == question.binding.as_ref();
    let known = question.report == Some((counters.reset_count, proof));
    let found = match (fresh, known) {
        (true, _) => "both are over it".to_owned(),
        (false, true) => "those that proved this boot".to_owned(),
        _ => format!("user data {user_data}, certified with {}", hex::encode(certified)),
    };
    checks.record(&rules::BOOT_PROVED, fresh || known, format!("{wanted}, or what proved this boot"), found)
}

/// What proved a boot.
fn digest(report: &[u8], certification: Option<(&[u8], &[u8])>) -> Digest {
    let (attest, signature) = certification.unwrap_or_default();
    Digest::of([report, attest, signature].map(|part| Digest::of(part).0).as_flattened())
}

/// The VM by its name, and by the key that its virtual TPM keeps for its whole life.
fn identity(vm_id: &str, key: &Signer) -> Digest {
    Digest::of([vm_id.as_bytes(), key.spki()].map(|part| Digest::of(part).0).as_flattened())
}
