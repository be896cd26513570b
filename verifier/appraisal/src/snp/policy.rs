//! Whether verified facts are good enough: what the guest allows, how new its platform is, and whom somebody distrusts.

use super::authentic::Facts;
use super::tcb::{Product, Tcb};
use crate::check::{Checks, Rule};
use crate::hex::encode as hex;
use podseal_protocol::Digest;

/// Something was measured at launch.
static SNP_MEASURED: Rule =
    Rule { name: "snp.measured", spec: "AMD 56860, table 23, MEASUREMENT", remedy: "Launch the guest with its image measured." };
/// The host can't read the guest's memory.
static SNP_DEBUG: Rule = Rule {
    name: "snp.debug",
    spec: "AMD 56860, 4.3, DEBUG (bit 19)",
    remedy: "Launch the guest with a policy that does not allow debugging.",
};
/// Nobody can take the guest to another machine.
static SNP_MIGRATION: Rule = Rule {
    name: "snp.migration_agent",
    spec: "AMD 56860, 4.3, MIGRATE_MA (bit 18)",
    remedy: "Launch the guest with a policy that allows no migration agent.",
};
/// Software of the wanted privilege asked for the report.
static SNP_VMPL: Rule = Rule {
    name: "snp.vmpl",
    spec: "AMD 56860, table 23, VMPL",
    remedy: "Ask for the report from the guest, at the privilege level that the policy names.",
};
/// The platform's firmware is new enough: now, at launch, and however far it is rolled back.
static SNP_TCB_FLOOR: Rule = Rule {
    name: "snp.tcb_floor",
    spec: "AMD 56860, 2.2 and table 23; the policy's floors",
    remedy: "Update the platform's firmware and commit it, then launch the guest again.",
};
/// The guest's image is new enough.
static SNP_GUEST_SVN: Rule = Rule {
    name: "snp.guest_svn",
    spec: "AMD 56860, table 23, GUEST_SVN; the policy's floor",
    remedy: "Launch the guest from a newer image.",
};
/// The guest's owner, or its cloud, signed the guest's identity.
static SNP_ID_KEY: Rule = Rule {
    name: "snp.id_key",
    spec: "AMD 56860, table 23, ID_KEY_DIGEST; the policy's keys",
    remedy: "Launch the guest with an identity block of one of the keys that the policy names.",
};
/// The firmware looked for memory that answers at two addresses.
static SNP_ALIAS_CHECK: Rule = Rule {
    name: "snp.alias_check",
    spec: "AMD 56860, table 23, PLATFORM_INFO bit 5; AMD SB-3015",
    remedy: "Update the platform's firmware to one that checks for aliased memory, and restart the host.",
};
/// The wanted mitigations are in force, and were at launch.
static SNP_MITIGATIONS: Rule = Rule {
    name: "snp.mitigations",
    spec: "AMD 56860, table 23, LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR",
    remedy: "Update the platform's firmware, apply the mitigations that the policy names, and launch the guest again.",
};
/// Nobody distrusts the chip.
static SNP_DISTRUST_CHIP: Rule = Rule {
    name: "snp.distrust_chip",
    spec: "The policy's list of distrusted chips",
    remedy: "Move the guest to another machine: somebody put this chip on the list.",
};
/// Nobody distrusts the processor's generation.
static SNP_DISTRUST_GENERATION: Rule = Rule {
    name: "snp.distrust_generation",
    spec: "The policy's list of distrusted generations",
    remedy: "Move the guest to a machine of another generation: somebody put this one on the list.",
};
/// Nobody distrusts a key on the way to the root.
static SNP_DISTRUST_SIGNER: Rule = Rule {
    name: "snp.distrust_signer",
    spec: "The policy's list of distrusted keys",
    remedy: "Move the guest to a machine whose key is certified by others: somebody put one of these keys on the list.",
};

/// Every rule of policy. Those about floors, keys, aliases and mitigations are recorded only where the policy has a say in them.
pub static POLICY_RULES: [&Rule; 12] = [
    &SNP_MEASURED,
    &SNP_DEBUG,
    &SNP_MIGRATION,
    &SNP_VMPL,
    &SNP_TCB_FLOOR,
    &SNP_GUEST_SVN,
    &SNP_ID_KEY,
    &SNP_ALIAS_CHECK,
    &SNP_MITIGATIONS,
    &SNP_DISTRUST_CHIP,
    &SNP_DISTRUST_GENERATION,
    &SNP_DISTRUST_SIGNER,
];

/// The lowest TCB versions of one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcbFloor {
    /// The generation.
    pub product: Product,
    /// For `REPORTED_TCB`, and so for `CURRENT_TCB`: what the host admits to run.
    pub reported: Tcb,
    /// For `COMMITTED_TCB`: below this the host can't go back.
    pub committed: Tcb,
    /// For `LAUNCH_TCB`: what launched the guest.
    pub launch: Tcb,
}

/// Whom somebody distrusts. In force from the next appraisal on: nothing of an earlier one is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Distrust {
    /// Chips: the bytes of a `CHIP_ID`; zeros behind it, which fill it up on Turin, may be there or not.
    pub chips: Vec<Vec<u8>>,
    /// Generations.
    pub products: Vec<Product>,
    /// SHA-256 of keys (`SubjectPublicKeyInfo`): of a VCEK, a VLEK, an authority or a root.
    pub signers: Vec<Digest>,
}

/// What is good enough. The default has no floors: AMD publishes none that would hold for every day and every guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether a guest counts that its host may debug.
    pub debug: bool,
    /// Whether a guest counts that a migration agent may take elsewhere.
    pub migration_agent: bool,
    /// Least privileged level that may ask for reports: 0 on Azure, whose paravisor is there.
    pub most_vmpl: u32,
    /// TCB floors; where there are any, a generation without one is refused.
    pub tcb: Vec<TcbFloor>,
    /// Lowest `GUEST_SVN`.
    pub guest_svn: u32,
    /// Allowed `ID_KEY_DIGEST`s; any where empty.
    pub id_keys: Vec<[u8; 48]>,
    /// Whether the alias check must have been done.
    pub alias_check: bool,
    /// Mitigations that must be in force, a bit each.
    pub mitigations: u64,
    /// Whom somebody distrusts.
    pub distrust: Distrust,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            debug: false,
            migration_agent: false,
            most_vmpl: 3,
            tcb: Vec::new(),
            guest_svn: 0,
            id_keys: Vec::new(),
            alias_check: false,
            mitigations: 0,
            distrust: Distrust::default(),
        }
    }
}

/// Appraises facts by `policy`, and says whether they are good enough.
pub fn appraise_policy(facts: &Facts, policy: &Policy, checks: &mut Checks) -> bool {
    let body = facts.body();
    let word = |set: bool| if set { "set" } else { "clear" };
    let allowed = |set: bool| if set { "set or clear" } else { "clear" };
    let mut holds = checks.record(&SNP_MEASURED, body.measurement != [0; 48], "a measurement that is not zero", hex(&body.measurement));
    holds &= checks.record(&SNP_DEBUG, policy.debug || !body.debug(), allowed(policy.debug), word(body.debug()));
    let migration = body.migration_agent();
    holds &= checks.record(&SNP_MIGRATION, policy.migration_agent || !migration, allowed(policy.migration_agent), word(migration));
    let vmpl = body.vmpl <= policy.most_vmpl;
    holds &= checks.record(&SNP_VMPL, vmpl, format!("at most {}", policy.most_vmpl), body.vmpl.to_string());
    if policy.guest_svn > 0 {
        let svn = body.guest_svn >= policy.guest_svn;
        holds &= checks.record(&SNP_GUEST_SVN, svn, format!("at least {}", policy.guest_svn), body.guest_svn.to_string());
    }
    if !policy.id_keys.is_empty() {
        let expected = policy.id_keys.iter().map(|key| hex(key)).collect::<Vec<_>>().join(" or ");
        holds &= checks.record(&SNP_ID_KEY, policy.id_keys.contains(&body.id_key_digest), expected, hex(&body.id_key_digest));
    }
    if policy.alias_check {
        holds &= checks.record(&SNP_ALIAS_CHECK, body.alias_checked(), word(true), word(body.alias_checked()));
    }
    let floors = floors(facts, policy, checks);
    let mitigations = mitigations(facts, policy, checks);
    let trusted = distrust(facts, &policy.distrust, checks);
    holds & floors & mitigations & trusted
}

fn floors(facts: &Facts, policy: &Policy, checks: &mut Checks) -> bool {
    if policy.tcb.is_empty() {
        return true;
    }
    let Some(floor) = policy.tcb.iter().find(|floor| floor.product == facts.product()) else {
        let expected = policy.tcb.iter().map(|floor| floor.product.as_str()).collect::<Vec<_>>().join(" or ");
        return checks.record(&SNP_TCB_FLOOR, false, expected, facts.product().as_str());
    };
    let body = facts.body();
    let all = [
        ("current", body.current_tcb, floor.reported),
        ("reported", body.reported_tcb, floor.reported),
        ("committed", body.committed_tcb, floor.committed),
        ("launch", body.launch_tcb, floor.launch),
    ];
    let below = all.into_iter().map(|(name, bytes, least)| (name, facts.tcb(bytes), least)).find(|(_, tcb, least)| !tcb.reaches(least));
    let told = |name: &str, tcb: &Tcb| format!("{name}: {tcb}");
    match below {
        None => checks.record(&SNP_TCB_FLOOR, true, told("reported", &floor.reported), told("reported", &facts.tcb(body.reported_tcb))),
        Some((name, tcb, least)) => checks.record(&SNP_TCB_FLOOR, false, told(name, &least), told(name, &tcb)),
    }
}

fn mitigations(facts: &Facts, policy: &Policy, checks: &mut Checks) -> bool {
    if policy.mitigations == 0 {
        return true;
    }
    let vectors = facts.body().mitigations;
    let found = vectors.map_or_else(|| "a report that doesn't say".to_owned(), |[launch, now]| format!("launch {launch:#x}, now {now:#x}"));
    let there = vectors.is_some_and(|vectors| vectors.iter().all(|vector| vector & policy.mitigations == policy.mitigations));
    checks.record(&SNP_MITIGATIONS, there, format!("each of {:#x}", policy.mitigations), found)
}

fn distrust(facts: &Facts, distrust: &Distrust, checks: &mut Checks) -> bool {
    const TRUSTED: &str = "one that is on no list";
    let chip = facts.chip();
    let named = |chip: &[u8]| distrust.chips.iter().any(|distrusted| unfilled(distrusted) == unfilled(chip));
    let found = chip.map_or_else(|| "a hidden chip".to_owned(), hex);
    let mut holds = checks.record(&SNP_DISTRUST_CHIP, !chip.is_some_and(named), TRUSTED, found);
    let product = facts.product();
    holds &= checks.record(&SNP_DISTRUST_GENERATION, !distrust.products.contains(&product), TRUSTED, product.as_str());
    let signer = facts.signers().iter().find(|signer| distrust.signers.contains(signer));
    let found = signer.map_or_else(|| "no key on the list".to_owned(), ToString::to_string);
    holds & checks.record(&SNP_DISTRUST_SIGNER, signer.is_none(), "no key on the list", found)
}

/// An identifier without the zeros behind it.
fn unfilled(chip: &[u8]) -> &[u8] {
    let filling = chip.iter().rev().take_while(|byte| **byte == 0).count();
    chip.get(..chip.len() - filling).unwrap_or_default()
}
