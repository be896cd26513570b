//! EAR: the results of appraisals (draft-ietf-rats-ear; draft-ietf-rats-ar4si for tiers and the trustworthiness vector).

use super::claims::{Claims, member};
use super::rules::RESULT;
use crate::check::Checks;
use serde_json::Value;

/// `eat_profile` of EAR.
const PROFILE: &str = "tag:github.com,2023:veraison/ear";
const STATUS: [&str; 2] = ["ear.status", "1000"];
const VECTOR: [&str; 2] = ["ear.trustworthiness-vector", "1001"];
const SUBMODULES: [&str; 2] = ["submods", "266"];

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

/// What EAR does not allow.
pub(super) fn problem(claims: &Claims) -> Option<String> {
    if claims.get(&["eat_profile", "265"]).and_then(Value::as_str) != Some(PROFILE) {
        return None;
    }
    if !claims.get(&["iat", "6"]).is_some_and(Value::is_number) {
        return Some("no iat".to_owned());
    }
    let verifier = claims.get(&["ear.verifier-id", "1004"]);
    let says = |names: &[&str]| verifier.and_then(|id| member(id, names)).is_some_and(Value::is_string);
    if !says(&["developer", "0"]) || !says(&["build", "1"]) {
        return Some("no ear.verifier-id with developer and build".to_owned());
    }
    let Some(submodules) = claims.get(&SUBMODULES).and_then(Value::as_object).filter(|all| !all.is_empty()) else {
        return Some("no appraisal among its submods".to_owned());
    };
    submodules.iter().find_map(|(name, appraisal)| {
        let status = member(appraisal, &STATUS).and_then(Tier::of_status);
        let vector = member(appraisal, &VECTOR)
            .is_none_or(|vector| vector.as_object().is_some_and(|vector| vector.values().all(|claim| Tier::of_claim(claim).is_some())));
        match (status, vector) {
            (Some(_), true) => None,
            (None, _) => Some(format!("{name} has no ear.status")),
            (_, false) => Some(format!("{name} has a trustworthiness vector of other values than -128 to 127")),
        }
    })
}

/// Every appraisal that is reported, at the top or in a submodule, must affirm, and no claim in its vector may be worse than that.
pub(super) fn appraise(claims: &Claims, checks: &mut Checks) -> bool {
    let top = [("the token", claims.get(&STATUS), claims.get(&VECTOR))];
    let submodules = claims.get(&SUBMODULES).and_then(Value::as_object);
    let submodules = submodules.into_iter().flatten().map(|(name, one)| (name.as_str(), member(one, &STATUS), member(one, &VECTOR)));
    let worse = top.into_iter().chain(submodules).find_map(|(name, status, vector)| {
        let status = status.filter(|status| Tier::of_status(status) != Some(Tier::Affirming)).map(|status| format!("{name}: {status}"));
        let claim = || {
            let mut vector = vector.and_then(Value::as_object).into_iter().flatten();
            let worse = vector.find(|(_, claim)| !matches!(Tier::of_claim(claim), Some(Tier::None | Tier::Affirming)));
            worse.map(|(claim, value)| format!("{name}: {claim} {value}"))
        };
        status.or_else(claim)
    });
    checks.record(&RESULT, worse.is_none(), "affirming", worse.unwrap_or_else(|| "nothing worse".to_owned()))
}
