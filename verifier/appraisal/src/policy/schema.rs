//! The schema and the baseline that this build carries.

use cedar_policy::{EntityTypeName, EntityUid, Schema, Validator};
use std::str::FromStr;

use super::error::PolicyError;

/// `policies/podseal.cedarschema`, as built in.
pub const SCHEMA: &str = include_str!("../../../../policies/podseal.cedarschema");

/// `policies/baseline.cedar`, as built in: part of every policy.
pub const BASELINE: &str = include_str!("../../../../policies/baseline.cedar");

pub(super) const WORKLOAD: &str = "Workload";
pub(super) const SECRET: &str = "Secret";

/// Parsed once per policy: names of the types that each request uses.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) workload: EntityUid,
    pub(super) release: EntityUid,
    pub(super) secret: EntityTypeName,
}

pub(super) fn validator() -> Result<Validator, PolicyError> {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| PolicyError::Schema { found: error.to_string() })?;
    Ok(Validator::new(schema))
}

pub(super) fn vocabulary() -> Result<Vocabulary, PolicyError> {
    let bad = |found: String| PolicyError::Schema { found };
    Ok(Vocabulary {
        workload: EntityUid::from_str(&format!("{WORKLOAD}::\"asking\"")).map_err(|error| bad(error.to_string()))?,
        release: EntityUid::from_str("Action::\"release\"").map_err(|error| bad(error.to_string()))?,
        secret: EntityTypeName::from_str(SECRET).map_err(|error| bad(error.to_string()))?,
    })
}
