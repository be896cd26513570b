//! The pod log against quote and boot log, each asking container against the pod log, and the claims that follow.

use std::borrow::Cow;

use podseal_protocol::{
    Bank, BankDigest, Leaf, Limits,
    binding::PodLogHead,
    evidence::{Evidence, Part},
    pod_log::Register,
};

use super::{
    replay::{Piece, ReplayError, replay_through},
    rules,
    state::PodLogState,
};
use crate::{
    check::Checks,
    claims::{Claim, LAUNCH_UNKNOWN, PodLog},
    eventlog::BootLog,
    hex::encode as hex,
    tpm::PcrValues,
};

const NO_LOG: &str = "the node keeps no pod log";
const NOT_PROVED: &str = "the pod log does not hold";
const MISSED: &str = "the pod log may have missed an exec in this pod";

/// A pod log as the evidence brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presented<'a> {
    boot_id: &'a str,
    claimed: PodLogHead,
    records: Option<(u64, &'a [u8])>,
}

impl<'a> Presented<'a> {
    /// `None` where the evidence neither brings records nor says that there are any.
    pub(crate) fn of(evidence: &'a Evidence) -> Option<Self> {
        let records = evidence.parts.iter().find_map(|part| match part {
            Part::PodLog { from, records } => Some((*from, records.as_slice())),
            _ => None,
        });
        let none = records.is_none() && evidence.pod_log == PodLogHead::NONE;
        (!none).then_some(Self { boot_id: &evidence.boot_id, claimed: evidence.pod_log, records })
    }
}

/// What is known of the log from earlier evidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before<'a> {
    /// What it came to, if that was kept.
    pub(crate) kept: Option<&'a PodLogState>,
    /// Where it stood in this boot.
    pub(crate) through: Option<PodLogHead>,
}

/// What became of a presented log: there is a state only where every check of it passed.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    state: Option<PodLogState>,
    /// Whether what keeps the register is known: its claims rest on that.
    known: bool,
}

impl Judged {
    fn of(state: Option<PodLogState>) -> Self {
        Self { state, known: true }
    }

    /// Whether what keeps the register is known.
    pub(crate) fn of_known(self, known: bool) -> Self {
        Self { known, ..self }
    }

    pub(crate) fn into_state(self) -> Option<PodLogState> {
        self.state
    }
}

/// Appraises a presented log against its register, which hardware vouches for, and what the boot left there; records each of [`rules::RULES`].
pub(crate) fn judge(
    presented: &Presented<'_>,
    quoted: &PcrValues,
    boot: &BootLog<'_>,
    before: Before<'_>,
    limits: &Limits,
    checks: &mut Checks,
) -> Judged {
    let Some((from, records)) = presented.records else {
        checks.not_appraised(&rules::WELL_FORMED, "the evidence says where its pod log stands, and brings no records");
        return Judged::default();
    };
    let register = boot.layout().pod_log(quoted.bank());
    let kept = before.kept.filter(|state| state.boot_id() == presented.boot_id && state.register().bank() == register.bank());
    let replayed = replay_through(before.through, kept, Piece { register, from, records }, limits);
    let fits = !matches!(replayed, Err(ReplayError::Resend { .. }));
    let ends =
        kept.map_or_else(|| "none of this boot is kept".to_owned(), |state| format!("number {} of the kept log", state.head().length));
    if !checks.record(
        &rules::RESEND,
        fits,
        format!("records from number 0, or from where one ends that is kept: {ends}"),
        format!("from {from}"),
    ) {
        return Judged::default();
    }
    let one = !matches!(replayed, Err(ReplayError::Elsewhere { .. }));
    let stood =
        before.through.map_or_else(|| "first seen in this boot".to_owned(), |head| format!("{} after {} records", head.head, head.length));
    let found = if one { "it does".to_owned() } else { replayed.as_ref().map_or_else(ToString::to_string, |_| String::new()) };
    if !checks.record(&rules::ONE_PAST, one, format!("a log that goes on from where it stood: {stood}"), found) {
        return Judged::default();
    }
    Judged::of(begun(replayed, presented, checks).filter(|state| holds(state, presented, &Held::of(register, quoted, boot), checks)))
}

fn begun(replayed: Result<PodLogState, ReplayError>, presented: &Presented<'_>, checks: &mut Checks) -> Option<PodLogState> {
    let well_formed = !matches!(replayed, Err(ReplayError::Malformed(_) | ReplayError::TooMany { .. }));
    let found = replayed.as_ref().map_or_else(ToString::to_string, |state| format!("{} records", state.head().length));
    if !checks.record(&rules::WELL_FORMED, well_formed, "records in their one encoding, numbered in order", found.clone()) {
        return None;
    }
    let same = replayed.as_ref().is_ok_and(|state| state.boot_id() == presented.boot_id);
    let found = replayed.as_ref().map_or(found, |state| format!("one of boot {}", state.boot_id()));
    checks.record(&rules::BOOT, same, format!("one log, of boot {}", presented.boot_id), found);
    replayed.ok().filter(|_| same)
}

/// What a log's register holds, and what the boot left there.
struct Held<'a> {
    register: Register,
    quoted: Option<&'a [u8]>,
    before: Option<&'a [u8]>,
}

impl<'a> Held<'a> {
    fn of(register: Register, quoted: &'a PcrValues, boot: &BootLog<'a>) -> Self {
        Self { register, quoted: quoted.get(register.index()), before: boot.before_pod_log() }
    }
}

fn holds(state: &PodLogState, presented: &Presented<'_>, held: &Held<'_>, checks: &mut Checks) -> bool {
    let Held { register, quoted, before } = held;
    let same = *quoted == Some(state.register().as_ref()) && presented.claimed == state.head();
    let expected = format!("{register} = {}, as quoted", quoted.map_or_else(|| "not quoted".to_owned(), hex));
    let registers = checks.record(&rules::REGISTER, same, expected, compared(state, presented.claimed, *quoted));
    let (prior, none) = (state.prior(), register.bank().zero());
    let explained = prior == none || *before == Some(prior.as_ref());
    let zero = format!("{} zero bytes", register.bank().size());
    let expected = match before {
        Some(value) if *value != none.as_ref() => format!("{zero}, or {}, as the boot log has it", hex(value)),
        Some(_) => format!("{zero}: the boot log has nothing else"),
        None => format!("{zero}: the boot log does not tell what it measured there"),
    };
    checks.record(&rules::PRIOR, explained, expected, prior.to_string()) && registers
}

/// Three say where the log stands: its records, the register, the evidence. Which of them differs.
fn compared(state: &PodLogState, claimed: PodLogHead, quoted: Option<&[u8]>) -> String {
    let (head, register) = (state.head(), state.register());
    let records = format!("{} records lead to {register}", head.length);
    let is_quoted = quoted == Some(register.as_ref());
    if claimed == head && is_quoted {
        return records;
    }
    let differs = if claimed == head {
        "the register differs: something was extended that no record tells"
    } else if is_quoted {
        "the evidence differs: records and register agree"
    } else if register.bank() != Bank::Sha256 {
        "the records differ from both: one is missing, altered or too many"
    } else if quoted == Some(claimed.head.as_ref()) {
        "the records differ: one is missing, altered or too many"
    } else {
        "all three differ"
    };
    // Where chain and register are not one, what the records come to in it is told besides.
    let chain = if register == BankDigest::from(head.head) { String::new() } else { format!(" and in the chain to {}", head.head) };
    format!("{records}{chain}; the evidence says {} records and {}: {differs}", claimed.length, claimed.head)
}

/// Appraises who asks against a log that holds; records of [`rules::LEAF`] those that need nothing but the leaf.
pub(crate) fn judge_leaf(judged: &Judged, leaf: &Leaf, checks: &mut Checks) {
    let Some(state) = &judged.state else { return };
    let container = state.container(&leaf.container_id);
    let same = container.is_some_and(|c| !c.sandbox && c.pod_uid == leaf.pod_uid && c.manifest == Some(leaf.image_manifest));
    if same {
        checks.record(&rules::CONTAINER, same, "the leaf's container, pod and image", "running in the log");
    } else {
        let found = container.map_or_else(
            || "not in the log, or ended".to_owned(),
            |c| format!("{} of pod {:?}, image {}", if c.sandbox { "a sandbox" } else { "a container" }, c.pod_uid, c.image),
        );
        let expected = format!("container {} of pod {:?}, image {}", leaf.container_id, leaf.pod_uid, leaf.image_manifest);
        checks.record(&rules::CONTAINER, same, expected, found);
    }
    if let Some(container) = container {
        let found = if container.execs == 0 { "none".into() } else { Cow::from(format!("{} execs", container.execs)) };
        checks.record(&rules::EXEC, container.execs == 0, "no process but its own", found);
    }
}

/// Ids of the containers that run in a pod, by a log that holds: [`rules::POD`] compares them with the pod set.
pub(crate) fn running<'a>(judged: Option<&'a Judged>, pod_uid: &str) -> Option<Vec<&'a str>> {
    Some(judged?.state.as_ref()?.containers_of(pod_uid).collect())
}

/// Whether there is a log that holds. One that does not hold is no log, and is refused before anybody asks.
pub(crate) fn kept(judged: Option<&Judged>) -> Claim<PodLog> {
    if judged.is_none() {
        return Claim::Appraised(PodLog::None);
    }
    of_state(judged, |_| Claim::Appraised(PodLog::Observed))
}

fn of_state<T>(judged: Option<&Judged>, claim: impl FnOnce(&PodLogState) -> Claim<T>) -> Claim<T> {
    match judged {
        None => Claim::NotAppraised(NO_LOG),
        Some(Judged { state: None, .. }) => Claim::NotAppraised(NOT_PROVED),
        Some(Judged { known: false, .. }) => Claim::NotAppraised(LAUNCH_UNKNOWN),
        Some(Judged { state: Some(state), .. }) => claim(state),
    }
}

pub(crate) fn privileged_images(judged: Option<&Judged>) -> Claim<Vec<String>> {
    of_state(judged, |state| Claim::Appraised(state.privileged_images().iter().cloned().collect()))
}

pub(crate) fn agent_exceptions(judged: Option<&Judged>) -> Claim<Vec<String>> {
    of_state(judged, |state| Claim::Appraised(state.exceptions().to_vec()))
}

pub(crate) fn gaps(judged: Option<&Judged>) -> Claim<u64> {
    of_state(judged, |state| Claim::Appraised(state.gaps()))
}

pub(crate) fn pod_execs(judged: Option<&Judged>, pod_uid: &str) -> Claim<u64> {
    of_state(judged, |state| state.execs(pod_uid).map_or(Claim::NotAppraised(MISSED), Claim::Appraised))
}
