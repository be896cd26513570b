use super::Settings;
use super::findings::Findings;
use super::parts::Parts;

pub(super) fn appraise(_parts: &Parts<'_>, _settings: &Settings<'_>, findings: &mut Findings) {
    findings.missing("appraisal", "to be written");
}
