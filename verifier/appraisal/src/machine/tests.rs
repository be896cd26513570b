//! What binds hardware's words to a node: the honest evidence of each profile, and each way in which it is another's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::unreachable)]

mod azure;
mod guest;
mod kept;
mod nitro;

use podseal_protocol::{
    Digest, Profile,
    binding::PodLogHead,
    evidence::{Evidence, Part},
};

use super::*;
use crate::check::{first_obstacle, worst};

pub(super) fn binding() -> Digest {
    Digest::of(b"binding")
}

pub(super) fn key(profile: Profile, bytes: &[u8]) -> NodeKey {
    let mut checks = Checks::owing(&[]);
    NodeKey::appraise(profile, bytes, &mut checks).unwrap()
}

/// Everything that one piece of evidence is held against.
pub(super) struct Held {
    pub(super) profile: Profile,
    pub(super) key: NodeKey,
    pub(super) machine: Option<Digest>,
    pub(super) report: Option<(u32, Digest)>,
    pub(super) hardware: Hardware,
    pub(super) endorsements: Gathered,
    pub(super) now: u64,
}

impl Held {
    /// The machine, and the first check that stands in its way.
    pub(super) fn prove(&self, parts: Vec<Part>) -> (Option<Machine>, Option<&'static str>) {
        let (machine, checks) = self.checked(parts);
        (machine, first_obstacle(&checks).map(|check| check.rule.name))
    }

    /// Whether the evidence is the node's own, whatever else is wrong with it.
    pub(super) fn is_own(&self, parts: Vec<Part>) -> bool {
        let (_, checks) = self.checked(parts);
        let passed = |rule: &&'static Rule| checks.iter().any(|check| check.rule.name == rule.name && check.verdict == Verdict::Pass);
        own(self.profile).iter().all(passed)
    }

    fn checked(&self, parts: Vec<Part>) -> (Option<Machine>, Vec<Check>) {
        let evidence = Evidence {
            node: "node-a".to_owned(),
            profile: self.profile.as_str().to_owned(),
            boot_id: "boot".to_owned(),
            pod_log: PodLogHead::NONE,
            parts,
        };
        let question = Question {
            binding: binding(),
            key: &self.key,
            machine: self.machine,
            report: self.report,
            hardware: &self.hardware,
            endorsements: &self.endorsements,
            now: self.now,
        };
        let mut checks = Checks::owing(&[]);
        let machine = prove(self.profile, &evidence, &question, &mut checks);
        let checks = checks.finish();
        assert_eq!(machine.is_some(), worst(&checks) == Verdict::Pass, "{:?}", first_obstacle(&checks));
        (machine, checks)
    }

    #[track_caller]
    pub(super) fn proves(&self, parts: Vec<Part>) -> Machine {
        let (machine, obstacle) = self.prove(parts);
        assert_eq!(obstacle, None);
        machine.unwrap()
    }

    #[track_caller]
    pub(super) fn refuses(&self, rule: &str, parts: Vec<Part>) {
        assert_eq!(self.prove(parts).1, Some(rule));
    }
}
