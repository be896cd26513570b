//! What a TEE's hardware measured of a guest before any of it ran, against what a set says of that.

use podseal_protocol::hex;
use serde::{Deserialize, Serialize};

use super::{
    ReferenceError,
    compare::{Difference, Outcome},
};
use crate::machine::Launch;

/// Measurements that one set may list.
const MOST: usize = 64;

/// The section as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLaunch {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) measurement: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) guest_svn: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) kernel: bool,
}

/// What a launch has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LaunchValues {
    measurements: Vec<[u8; 48]>,
    signer: Option<([u8; 48], u32)>,
    /// The measurement has the kernel, its command line and its initial file system.
    pub(super) kernel: bool,
}

impl LaunchValues {
    pub(super) fn checked(raw: &RawLaunch) -> Result<Self, ReferenceError> {
        let digest = |text: &String| hex::array(text).ok_or_else(|| ReferenceError::NotAMeasurement(text.clone()));
        let measurements = raw.measurement.iter().take(MOST).map(digest).collect::<Result<Vec<_>, _>>()?;
        let signer = raw.signer.as_ref().map(digest).transpose()?;
        // A version says nothing without who gives it; what a signer let start may have any kernel.
        let whole = (1..=MOST).contains(&(raw.measurement.len() + usize::from(signer.is_some())))
            && (raw.guest_svn.is_none() || signer.is_some())
            && (!raw.kernel || !measurements.is_empty());
        podseal_protocol::require(whole, ReferenceError::Launch)?;
        Ok(Self { measurements, signer: signer.map(|key| (key, raw.guest_svn.unwrap_or(0))), kernel: raw.kernel })
    }

    pub(super) fn outcome(&self, found: &Launch) -> Outcome {
        let measured = self.measurements.is_empty() || self.measurements.contains(&found.measurement);
        let signed = self.signer.is_none_or(|(key, least)| found.signer.is_some_and(|(by, svn)| by == key && svn >= least));
        if measured && signed {
            return Outcome::Matches;
        }
        let signer = |(key, svn): ([u8; 48], u32)| format!("signed by {} with SVN {svn}", hex::encode(&key));
        let several = self.measurements.iter().map(|one| hex::encode(one)).collect::<Vec<_>>().join(" or ");
        let expected = [(!several.is_empty()).then_some(several), self.signer.map(|found| signer(found) + " or more")];
        let told = found.signer.map_or_else(|| "signed by nobody".to_owned(), signer);
        Outcome::Differs(Difference {
            expected: expected.into_iter().flatten().collect::<Vec<_>>().join(", "),
            found: format!("{}, {told}", hex::encode(&found.measurement)),
        })
    }
}

impl From<Launch> for RawLaunch {
    fn from(launch: Launch) -> Self {
        Self { measurement: vec![hex::encode(&launch.measurement)], ..Self::default() }
    }
}
