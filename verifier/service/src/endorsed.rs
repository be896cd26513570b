//! What makers say of hardware, as the appraisal takes it.

use podseal_appraisal::machine::Gathered;
use podseal_endorsements::Endorsements;

/// What was found, with a reason for each that was not.
pub(crate) fn gathered(found: &Endorsements) -> Gathered {
    let gaps = found.gaps().map(|(endorsement, why)| format!("{endorsement}: {why}")).collect();
    Gathered::new(found.iter().map(|found| found.endorsed.clone()).collect(), gaps)
}
