//! EAR: the results of appraisals (draft-ietf-rats-ear; draft-ietf-rats-ar4si for tiers and the trustworthiness vector).

use super::claims::{Claims, Encoding, Set};
use super::names::{ISSUED, PROFILE, STATUS, SUBMODULES, VECTOR, VERIFIER};
use super::rules::RESULT;
use crate::check::Checks;
use serde_json::Value;

/// `eat_profile` of EAR.
const EAR: &str = "tag:github.com,2023:veraison/ear";

/// How far an appraiser trusts something (AR4SI, 2.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    None,
    Affirming,
    Warning,
    Contraindicated,
}

impl Tier {
    /// By its word or its number; `None` for any other.
    fn of_status(value: &Value) -> Option<Self> {
        match (value.as_str(), value.as_i64()) {
            (Some("none"), _) | (_, Some(0)) => Some(Self::None),
            (Some("affirming"), _) | (_, Some(2)) => Some(Self::Affirming),
            (Some("warning"), _) | (_, Some(32)) => Some(Self::Warning),
            (Some("contraindicated"), _) | (_, Some(96)) => Some(Self::Contraindicated),
            _ => None,
        }
    }

    /// Of a claim of the vector (AR4SI, 2.3.3).
    fn of_claim(value: &Value) -> Option<Self> {
        match value.as_i64()? {
            -1..=1 => Some(Self::None),
            -32..=-2 | 2..=31 => Some(Self::Affirming),
            -96..=-33 | 32..=95 => Some(Self::Warning),
            -128..=-97 | 96..=127 => Some(Self::Contraindicated),
            _ => None,
        }
    }
}

/// What EAR does not allow; a vector that is none is one nowhere.
pub(super) fn problem(claims: Set<'_>, sets: &[Set<'_>]) -> Option<String> {
    let vector = |set: &Set<'_>| {
        let fits = |vector: &Value| vector.as_object().is_some_and(|vector| vector.values().all(|claim| Tier::of_claim(claim).is_some()));
        let none = set.get(&VECTOR).is_some_and(|vector| !fits(vector));
        none.then(|| format!("{} has a trustworthiness vector of other values than -128 to 127", set.name()))
    };
    let vector = || sets.iter().find_map(vector);
    if claims.get(&PROFILE).and_then(Value::as_str) != Some(EAR) {
        return vector();
    }
    if !claims.get(&ISSUED).is_some_and(Value::is_number) {
        return Some("no iat".to_owned());
    }
    let (developer, build) = match claims.encoding() {
        Encoding::Json => ("developer", "build"),
        Encoding::Cbor => ("0", "1"),
    };
    let verifier = claims.get(&VERIFIER);
    let says = |name: &str| verifier.and_then(|id| id.get(name)).is_some_and(Value::is_string);
    if !says(developer) || !says(build) {
        return Some("no ear.verifier-id with developer and build".to_owned());
    }
    let Some(submodules) = claims.get(&SUBMODULES).and_then(Value::as_object).filter(|all| !all.is_empty()) else {
        return Some("no appraisal among its submods".to_owned());
    };
    let status = |appraisal| claims.within(appraisal, &STATUS).and_then(Tier::of_status);
    let silent = submodules.iter().find(|(_, appraisal)| status(appraisal).is_none());
    silent.map(|(name, _)| format!("{name} has no ear.status")).or_else(vector)
}

/// Every appraisal that is reported, at the top or in a submodule at any depth, must affirm, and no claim in its vector may be worse
/// than that.
pub(super) fn appraise(claims: &Claims, checks: &mut Checks) -> bool {
    let worse = claims.sets().into_iter().find_map(|set| {
        let status = set.get(&STATUS).filter(|status| Tier::of_status(status) != Some(Tier::Affirming));
        let claim = || {
            let mut vector = set.get(&VECTOR).and_then(Value::as_object).into_iter().flatten();
            let worse = vector.find(|(_, claim)| !matches!(Tier::of_claim(claim), Some(Tier::None | Tier::Affirming)));
            worse.map(|(claim, value)| format!("{}: {claim} {value}", set.name()))
        };
        status.map(|status| format!("{}: {status}", set.name())).or_else(claim)
    });
    checks.record(&RESULT, worse.is_none(), "affirming", worse.unwrap_or_else(|| "nothing worse".to_owned()))
}
