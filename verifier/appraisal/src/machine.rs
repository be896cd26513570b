//! The machine below a node: what each evidence profile has to bring, and the same facts from all of them.
//!
//! Parts combine only along a link that hardware signed. What an exchange is bound to (the binding, with challenge, node and leaves) is
//! in what the hardware signs: a quote's qualifying data, a report's data, a document's nonce.

mod azure;
mod endorsed;
mod hardware;
mod key;
mod nitro;
pub mod rules;
mod snp;
mod tdx;
#[cfg(test)]
mod tests;
mod tpm;

use podseal_protocol::{
    Digest, Profile,
    evidence::{Evidence, Part},
};

use crate::{
    azure::{Hardware as Hcl, HclReport},
    check::{Check, Checks, Rule, Verdict},
    claims::{Memory, RootKind},
    continuity::Counters,
    layout::Layout,
    nitro::rules as nitro_rules,
    rules::ATTRIBUTION,
    snp::Report,
    tdx::Quote,
    tpm::{
        PcrValues,
        quote::{QUOTE_QUALIFYING_DATA, QUOTE_SIGNATURE},
    },
};
pub use endorsed::{Gathered, needs};
pub use hardware::{Hardware, HardwareError, PolicyError};
pub use key::NodeKey;

/// Registers that a profile with a TPM brings: firmware, boot loader, kernel. With a pod log also its register.
pub const QUOTED_REGISTERS: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// What evidence is held against. All of it is looked up by the caller, none of it comes from the node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// What the hardware has to have signed.
    pub(crate) binding: Digest,
    /// The key that the node is known by, or wants to be.
    pub(crate) key: &'a NodeKey,
    /// The machine that it is known on; `None` while it joins.
    pub(crate) machine: Option<Digest>,
    /// The HCL report that this boot was proved with, and the resets when it was.
    pub(crate) report: Option<(u32, Digest)>,
    /// Whose hardware counts, and what is good enough.
    pub(crate) hardware: &'a Hardware,
    /// What makers say of it.
    pub(crate) endorsements: &'a Gathered,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// What hardware says about a machine. There is one only where every rule of its profile held.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Kind of the root that the evidence ends at; `None` where that was seen at enrolment.
    pub(crate) root: Option<(String, RootKind)>,
    /// Memory that the host cannot read.
    pub(crate) memory: Memory,
    /// Whether hardware vouches that the TPM is within that memory.
    pub(crate) tpm_in_tee: bool,
    /// What the registers hold.
    pub(crate) registers: Option<PcrValues>,
    /// What the hardware measured before anything of the guest ran.
    pub(crate) launch: Option<Launch>,
    /// Where the TPM stands.
    pub(crate) counters: Option<Counters>,
    /// What tells this start of the machine from others, where no counter does; zeros where one does.
    pub(crate) start: Digest,
    /// What proved this boot for the exchanges to come; zeros where each proves itself.
    pub(crate) report: Digest,
    /// Which machine it is; `None` where enrolment alone sees that.
    pub(crate) identity: Option<Digest>,
}

/// What the hardware measured of a guest at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// `MEASUREMENT` of an SEV-SNP guest, `MRTD` of a TD: SHA-384.
    pub measurement: [u8; 48],
    /// Who signed that this may start, and with which version: `ID_KEY_DIGEST` and `GUEST_SVN`.
    pub signer: Option<([u8; 48], u32)>,
}

impl Launch {
    /// What an SEV-SNP report, a TDX quote or an HCL report says of a launch, true or not; `None` for bytes that are none of these.
    #[must_use]
    pub fn of_evidence(bytes: &[u8]) -> Option<Self> {
        let inside = HclReport::parse(bytes).ok().map(|hcl| hcl.hardware);
        let report = if let Some(Hcl::Snp(report)) = inside { report } else { bytes };
        let snp = || Report::parse(report).ok().map(|report| snp::launch(&report.body));
        snp().or_else(|| Quote::parse(bytes).ok().map(|quote| Self { measurement: quote.body.mrtd, signer: None }))
    }
}

/// What the registers of a profile are for; `None` where it has none.
#[must_use]
pub fn layout(profile: Profile) -> Option<Layout> {
    match profile {
        Profile::Tpm | Profile::AzureSnp | Profile::NitroTpm => Some(Layout::Tpm),
        Profile::Tdx => Some(Layout::Td),
        Profile::Snp => None,
    }
}

/// What has to hold for evidence to be a registered node's own, besides [`ATTRIBUTION`].
fn own(profile: Profile) -> &'static [&'static Rule] {
    static BY_AK: &[&Rule] = &[&QUOTE_SIGNATURE, &QUOTE_QUALIFYING_DATA];
    static BY_NODE_KEY: &[&Rule] = &[&rules::KEY_SIGNATURE];
    static BY_HYPERVISOR: &[&Rule] = &[&nitro_rules::SIGNATURE, &nitro_rules::CHAIN, &nitro_rules::NONCE, &rules::MACHINE];
    match profile {
        Profile::Tpm | Profile::AzureSnp => BY_AK,
        Profile::Snp | Profile::Tdx => BY_NODE_KEY,
        Profile::NitroTpm => BY_HYPERVISOR,
    }
}

/// Whether evidence of `profile` is a registered node's own, made for this challenge, by the checks that were recorded.
pub(crate) fn attributable(profile: Option<Profile>, checks: &[Check]) -> bool {
    let passed = |rule: &'static Rule| {
        let mut recorded = checks.iter().filter(|check| std::ptr::eq(check.rule, rule)).peekable();
        recorded.peek().is_some() && recorded.all(|check| check.verdict == Verdict::Pass)
    };
    profile.is_some_and(|profile| ATTRIBUTION.iter().chain(own(profile)).all(|rule| passed(rule)))
}

/// Appraises the parts of `profile`: one way for each kind of hardware. Records what each owes.
pub(crate) fn prove(profile: Profile, evidence: &Evidence, question: &Question<'_>, checks: &mut Checks) -> Option<Machine> {
    let whole = parts_belong(profile, evidence, checks);
    let machine = match profile {
        Profile::Tpm => tpm::prove(evidence, question, checks),
        Profile::Snp => snp::prove(evidence, question, checks),
        Profile::Tdx => tdx::prove(evidence, question, checks),
        Profile::AzureSnp => azure::prove(evidence, question, checks),
        Profile::NitroTpm => nitro::prove(evidence, question, checks),
    };
    machine.filter(|_| whole)
}

/// No part but those of the profile: of two kinds of hardware, two machines could have made them.
fn parts_belong(profile: Profile, evidence: &Evidence, checks: &mut Checks) -> bool {
    let belongs = |part: &&Part| match part {
        Part::TpmQuote { .. } => matches!(profile, Profile::Tpm | Profile::AzureSnp),
        Part::BootLog(_) => profile != Profile::Snp,
        Part::PodLog { .. } => profile.pod_log().is_some(),
        Part::SnpReport { .. } => profile == Profile::Snp,
        Part::TdQuote(_) => profile == Profile::Tdx,
        Part::NitroDocument(_) => profile == Profile::NitroTpm,
        Part::HclReport(_) | Part::AkCertification { .. } => profile == Profile::AzureSnp,
        Part::NodeKey(_) => profile.has_node_key(),
    };
    let stranger = evidence.parts.iter().find(|part| !belongs(part)).map(Part::name);
    checks.record(&rules::PARTS, stranger.is_none(), format!("parts of the profile {profile} alone"), stranger.unwrap_or("no other"))
}

/// Whether `found` is the machine that is registered, or that the key of a request names; a request may be of any where its key names none.
fn is_known(found: Digest, question: &Question<'_>, checks: &mut Checks) -> bool {
    let known = question.machine.or_else(|| question.key.machine());
    known.is_none_or(|known| checks.record(&rules::MACHINE, found == known, known.to_string(), found.to_string()))
}

/// The one part that `of` finds.
fn part<'e, T>(evidence: &'e Evidence, of: impl FnMut(&'e Part) -> Option<T>) -> Option<T> {
    evidence.parts.iter().find_map(of)
}

/// Records that a part is, or is not, in its format.
fn formed<T, E: ToString>(part: &'static str, parsed: Result<T, E>, checks: &mut Checks) -> Option<T> {
    let found = parsed.as_ref().map_or_else(|error| format!("{part}: {}", error.to_string()), |_| part.to_owned());
    checks.record(&rules::FORM, parsed.is_ok(), format!("a {part}"), found);
    parsed.ok()
}
