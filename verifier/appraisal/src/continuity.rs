//! What a node's hardware said last, and that it only goes forward. A TPM that was copied, or restored from a copy, goes back sooner or later: then
//! two machines, or two pasts, answer to one registration.

use podseal_protocol::{
    Digest, Limits,
    binding::PodLogHead,
    cbor::{Decoder, Encoder, Malformed, Problem},
};

use crate::{
    calendar::told,
    check::{Checks, Rule},
    pod_log::rules::ONE_PAST,
    tpm::quote::QuoteFacts,
};

const DOMAIN: &str = "podseal.node-state.v1";
/// How far the clock may be behind after a power cut: it is written to non-volatile memory at least this often (TPM 2.0 Part 1, section 36.3.2).
const CLOCK_LOST: u64 = 1 << 22;

const COPIED: &str = "Two machines answer for this node, or its TPM was restored from a copy: find out which, then podseal node release.";

/// The number of resets did not go back.
pub static RESET_COUNT: Rule = Rule { name: "node.reset_count", spec: "TCG TPM 2.0 Part 2, 10.11.1; Part 1, 36.4", remedy: COPIED };
/// The number of restarts since the last reset did not go back.
pub static RESTART_COUNT: Rule = Rule { name: "node.restart_count", spec: "TCG TPM 2.0 Part 2, 10.11.1; Part 1, 36.4", remedy: COPIED };
/// The clock did not go back further than a power cut explains.
pub static CLOCK: Rule = Rule { name: "node.clock", spec: "TCG TPM 2.0 Part 2, 10.11.1; Part 1, 36.3", remedy: COPIED };
/// The pod log of this boot did not become shorter.
pub static POD_LOG_LENGTH: Rule = Rule {
    name: "node.pod_log_length",
    spec: "docs/ARCHITECTURE.md, nodes",
    remedy: "The node's pod log was removed, damaged or begun anew without a boot (kexec too), or two machines answer for this node: find out which, reboot it, then podseal node release.",
};
/// The evidence is not older than what was appraised last.
pub static OVERTAKEN: Rule = Rule {
    name: "node.overtaken",
    spec: "docs/ARCHITECTURE.md, nodes",
    remedy: "Newer evidence of this node came first: start the container again, it asks with a newer challenge.",
};

/// What evidence of a registered node owes.
pub static RULES: [&Rule; 2] = [&OVERTAKEN, &POD_LOG_LENGTH];
/// What a TPM's evidence owes besides.
pub static TPM_RULES: [&Rule; 3] = [&RESET_COUNT, &RESTART_COUNT, &CLOCK];
/// Those that a copy breaks: one that fails quarantines the node.
pub static FORKS: [&Rule; 5] = [&RESET_COUNT, &RESTART_COUNT, &CLOCK, &POD_LOG_LENGTH, &ONE_PAST];

/// Where a TPM stands, by what it signs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Resets: one a boot.
    pub reset_count: u32,
    /// Restarts and resumes since the last reset.
    pub restart_count: u32,
    /// The clock, in milliseconds.
    pub clock: u64,
    /// Whether no greater clock was ever reported.
    pub safe: bool,
}

impl Counters {
    /// Those that a quote has.
    #[must_use]
    pub fn of(quote: &QuoteFacts) -> Self {
        let (reset_count, restart_count) = (quote.reset_count(), quote.restart_count());
        Self { reset_count, restart_count, clock: quote.clock(), safe: quote.safe() }
    }
}

/// Where a node stood when its evidence was appraised last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// Resets of its TPM: one a boot; 0 where no TPM counts.
    pub reset_count: u32,
    /// Restarts and resumes since the last reset; 0 where no TPM counts.
    pub restart_count: u32,
    /// The TPM's clock, in milliseconds; 0 where no TPM counts.
    pub clock: u64,
    /// What tells this start of the machine from others, where no TPM counts; else zeros.
    pub start: Digest,
    /// The hardware report that proved this boot for all that follows; zeros where each exchange brings its own.
    pub report: Digest,
    /// The pod log of this boot, as far as it held.
    pub pod_log: PodLogHead,
    /// When this was appraised, in seconds since 1970 by the verifier's clock.
    pub appraised: u64,
}

impl NodeState {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(DOMAIN, 8)
            .uint(u64::from(self.reset_count))
            .uint(u64::from(self.restart_count))
            .uint(self.clock)
            .digest(&self.start)
            .digest(&self.report)
            .array(2)
            .uint(self.pod_log.length)
            .digest(&self.pod_log.head)
            .uint(self.appraised)
            .finish()
    }

    /// Parses a state.
    ///
    /// # Errors
    /// [`Malformed`] when it is not in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 8, limits)?;
        let state = Self {
            reset_count: count(&mut d, "state.reset_count")?,
            restart_count: count(&mut d, "state.restart_count")?,
            clock: d.uint("state.clock")?,
            start: d.digest("state.start")?,
            report: d.digest("state.report")?,
            pod_log: {
                d.array("state.pod_log", 2)?;
                PodLogHead { length: d.uint("state.pod_log.length")?, head: d.digest("state.pod_log.head")? }
            },
            appraised: d.uint("state.appraised")?,
        };
        d.end("state")?;
        Ok(state)
    }

    /// Whether the machine was reset since `prior`: then nothing is left of what it held in memory.
    #[must_use]
    pub fn is_another_boot(&self, prior: &Self) -> bool {
        self.reset_count != prior.reset_count || self.start != prior.start
    }

    /// Where the pod log stood, if `now` is the same boot: what comes now has to go on from there.
    pub(crate) fn pod_log_of(&self, now: &Self) -> Option<PodLogHead> {
        let same_boot = !now.is_another_boot(self);
        Some(self.pod_log).filter(|head| same_boot && head.length > 0)
    }

    /// The same, with a pod log that held.
    pub(crate) fn and(self, pod_log: Option<PodLogHead>) -> Self {
        Self { pod_log: pod_log.unwrap_or(self.pod_log), ..self }
    }
}

fn count(d: &mut Decoder<'_>, item: &'static str) -> Result<u32, Malformed> {
    let at = d.offset();
    u32::try_from(d.uint(item)?).map_err(|_| Malformed { item, at, problem: Problem::WrongValue })
}

/// What was collected now.
#[derive(Debug, Clone, Copy)]
pub struct Collected {
    /// What a TPM counts, where there is one.
    pub counters: Option<Counters>,
    /// As [`NodeState::start`].
    pub start: Digest,
    /// As [`NodeState::report`].
    pub report: Digest,
    /// From the evidence; the quote signs for it.
    pub pod_log: PodLogHead,
    /// When the challenge was issued that it answers: nothing of it is older.
    pub challenged: u64,
    /// Now.
    pub now: u64,
}

/// Compares with the state before; the new state where every rule holds. Records each of [`RULES`], and of [`TPM_RULES`] where a TPM counts.
pub fn appraise_continuity(prior: Option<&NodeState>, collected: &Collected, checks: &mut Checks) -> Option<NodeState> {
    let Collected { counters, start, report, pod_log, challenged, now } = *collected;
    let owed = TPM_RULES.iter().filter(|_| counters.is_some()).chain(&RULES).copied().collect::<Vec<_>>();
    checks.also_owing(&owed);
    let Counters { reset_count, restart_count, clock, safe } = counters.unwrap_or_default();
    let next = NodeState { reset_count, restart_count, clock, start, report, pod_log: PodLogHead::NONE, appraised: now };
    let Some(prior) = prior else {
        for rule in owed {
            checks.record(rule, true, "the first evidence of this node", "it");
        }
        return Some(next);
    };
    let same_boot = !next.is_another_boot(prior);
    // Without a reset or a restart in between there was no power cut.
    let same_start = same_boot && restart_count == prior.restart_count;
    let lost = if safe || same_start { 0 } else { CLOCK_LOST };
    let of_tpm = [
        (&RESET_COUNT, u64::from(prior.reset_count), u64::from(reset_count)),
        (&RESTART_COUNT, if same_boot { u64::from(prior.restart_count) } else { 0 }, u64::from(restart_count)),
        (&CLOCK, prior.clock.saturating_sub(lost), clock),
    ];
    let of_log = (&POD_LOG_LENGTH, if same_boot { prior.pod_log.length } else { 0 }, pod_log.length);
    let at_least = of_tpm.into_iter().filter(|_| counters.is_some()).chain([of_log]).collect::<Vec<_>>();
    let went_back = at_least.iter().any(|(_, least, found)| found < least);
    // Collected perhaps before the other: then going back says nothing. A node's exchanges come one after the other, so within one second it does.
    let overtaken = went_back && challenged < prior.appraised;
    let (when, of) =
        (format!("evidence collected after {}", told(prior.appraised)), format!("an answer to a challenge of {}", told(challenged)));
    if !checks.record(&OVERTAKEN, !overtaken, when, of) {
        return None;
    }
    for (rule, least, found) in at_least {
        let expected = format!("at least {least}, as it said at {}", told(prior.appraised));
        checks.record(rule, found >= least, expected, found.to_string());
    }
    let next = NodeState { pod_log: prior.pod_log_of(&next).unwrap_or(next.pod_log), ..next };
    (!went_back).then_some(next)
}
