//! What the default policy wants of a genuine TD.

use super::tcb::TdxFacts;
use super::tcb_info::TcbStatus;
use crate::check::{Checks, Rule};
use crate::hex::encode as hex;

/// Nobody can look into the TD.
pub static DEBUG_TD: Rule = Rule {
    name: "tdx.debug_td",
    spec: "Intel TDX Module ABI, ATTRIBUTES (TUD)",
    remedy: "Start the TD without debugging and profiling: the host can read such a TD.",
};
/// The TD has no attribute whose meaning is not known, or which makes it less safe.
pub static TD_ATTRIBUTES: Rule = Rule {
    name: "tdx.td_attributes",
    spec: "Intel TDX Module ABI, ATTRIBUTES (SEC)",
    remedy: "Start the TD without the attributes that are named, or have the operator allow them.",
};
/// No migration agent may move the TD.
pub static MIGRATION_AGENT: Rule = Rule {
    name: "tdx.migration_agent",
    spec: "Intel TDX Module ABI, ATTRIBUTES (MIGRATABLE)",
    remedy: "Start the TD without migration: a migration agent can hand its memory to another machine.",
};
/// No other TD serves this one.
pub static SERVICE_TD: Rule = Rule {
    name: "tdx.service_td",
    spec: "Intel TDX DCAP Quoting Library API, A.3.3 (MRSERVICETD)",
    remedy: "Start the TD without service TDs: nothing here appraises what they can do to it.",
};
/// Something was measured when the TD was built.
pub static MEASURED: Rule = Rule {
    name: "tdx.measured",
    spec: "Intel TDX Module ABI, MRTD",
    remedy: "Start the TD from measured firmware: MRTD is zero, so anything may be in it.",
};
/// Platform, TDX module and quoting enclave are as new as the policy wants.
pub static TCB_OUT_OF_DATE: Rule = Rule {
    name: "tdx.tcb_out_of_date",
    spec: "Intel PCS API 4, Get TDX TCB Info (tcbStatus)",
    remedy: "Update what the advisories name; the operator may allow a status for a time.",
};
/// Nobody distrusts this kind of machine.
pub static GENERATION_DISTRUSTED: Rule = Rule {
    name: "tdx.generation_distrusted",
    spec: "docs/AUDITING.md, default policy",
    remedy: "Move the workload to another kind of machine: the operator distrusts this one.",
};
/// Nobody distrusts this machine.
pub static CHIP_DISTRUSTED: Rule = Rule {
    name: "tdx.chip_distrusted",
    spec: "docs/AUDITING.md, default policy",
    remedy: "Move the workload to another machine: the operator distrusts this one.",
};

/// What a TD owes the policy.
pub static POLICY_RULES: &[&Rule] =
    &[&DEBUG_TD, &TD_ATTRIBUTES, &MIGRATION_AGENT, &SERVICE_TD, &MEASURED, &TCB_OUT_OF_DATE, &GENERATION_DISTRUSTED, &CHIP_DISTRUSTED];

/// Bits 0 to 7: with any of these the TD is not to be trusted (TD under debug).
const TUD: u64 = 0xff;
const MIGRATABLE: u64 = 1 << 29;
/// LASS, `SEPT_VE_DISABLE`, PKS, KL; of those that concern no security, TPA and PERFMON.
const HARMLESS: u64 = 1 << 27 | 1 << 28 | 1 << 30 | 1 << 31 | 1 << 62 | 1 << 63;

/// What is wanted of a TD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy<'a> {
    /// Statuses under which a TD is released to.
    pub statuses: &'a [TcbStatus],
    /// Attributes that a TD may have, beside those that two fields below are about.
    pub attributes: u64,
    /// Whether a TD may be debugged or profiled.
    pub debug: bool,
    /// Whether a TD may be moved by a migration agent.
    pub migration: bool,
    /// Whether service TDs may be bound to a TD.
    pub service_td: bool,
    /// Kinds of machines that nobody trusts, by FMSPC.
    pub distrusted_generations: &'a [[u8; 6]],
    /// Machines that nobody trusts, by PPID.
    pub distrusted_chips: &'a [[u8; 16]],
    /// Machines that nobody trusts, by the serial number of a PCK certificate without leading zeros.
    pub distrusted_pcks: &'a [&'a [u8]],
}

impl Policy<'_> {
    /// What is shipped: up to date, and nothing that lets anybody in.
    pub const SHIPPED: Policy<'static> = Policy {
        statuses: &[TcbStatus::UpToDate],
        attributes: HARMLESS,
        debug: false,
        migration: false,
        service_td: false,
        distrusted_generations: &[],
        distrusted_chips: &[],
        distrusted_pcks: &[],
    };
}

/// Appraises a genuine TD. Records each of [`POLICY_RULES`]; whether all hold.
pub fn appraise_policy(facts: &TdxFacts, policy: &Policy<'_>, checks: &mut Checks) -> bool {
    let (body, pck) = (facts.body(), facts.pck());
    let attributes = body.attributes();
    let found = || hex(&body.tdattributes);
    let mut holds = checks.record(&DEBUG_TD, policy.debug || attributes & TUD == 0, "attribute bits 0 to 7 clear", found());
    let others = attributes & !(policy.attributes | TUD | MIGRATABLE);
    holds &= checks.record(&TD_ATTRIBUTES, others == 0, format!("no attributes beside {:#x}", policy.attributes), format!("{others:#x}"));
    holds &= checks.record(&MIGRATION_AGENT, policy.migration || attributes & MIGRATABLE == 0, "attribute bit 29 clear", found());
    let service = body.extended.as_ref().map_or_else(|| "a body that has none".to_owned(), |extended| hex(&extended.mrservicetd));
    holds &= checks.record(&SERVICE_TD, policy.service_td || !body.has_service_td(), "no service TD (MRSERVICETD zero)", service);
    holds &= checks.record(&MEASURED, body.mrtd != [0; 48], "an MRTD other than zero", hex(&body.mrtd));
    let allowed = policy.statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(" or ");
    let status = [&[facts.status().as_str().to_owned()], facts.advisories()].concat().join(", ");
    holds &= checks.record(&TCB_OUT_OF_DATE, policy.statuses.contains(&facts.status()), allowed, status);
    let distrusted = policy.distrusted_generations.contains(&pck.fmspc);
    holds &= checks.record(&GENERATION_DISTRUSTED, !distrusted, "an FMSPC that nobody distrusts", hex(&pck.fmspc));
    let distrusted = policy.distrusted_chips.contains(&pck.ppid) || policy.distrusted_pcks.contains(&pck.serial.as_slice());
    let machine = format!("PPID {}, PCK {}", hex(&pck.ppid), hex(&pck.serial));
    holds & checks.record(&CHIP_DISTRUSTED, !distrusted, "a machine that nobody distrusts", machine)
}
