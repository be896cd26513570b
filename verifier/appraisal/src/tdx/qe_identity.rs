//! The quoting enclave's identity: which enclave Intel lets sign quotes.
//!
//! Intel PCS API 4, `EnclaveIdentityV2`. Read from bytes whose signature was verified, and from no others.

use super::signed::Window;
use super::tcb_info::{LevelJson, SvnLevel, digits, svn_levels};
use crate::json::{self, Text, object};

/// The identity, of which the signature held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QeIdentity {
    pub(super) window: Window,
    pub(super) evaluation: u32,
    pub(super) miscselect: [u8; 4],
    pub(super) miscselect_mask: [u8; 4],
    pub(super) attributes: [u8; 16],
    pub(super) attributes_mask: [u8; 16],
    pub(super) mrsigner: [u8; 32],
    pub(super) isvprodid: u16,
    pub(super) levels: Vec<SvnLevel>,
}

object! {
    Identity {
        id: Text<'a> = "id",
        version: u32 = "version",
        issue_date: Text<'a> = "issueDate",
        next_update: Text<'a> = "nextUpdate",
        evaluation: u32 = "tcbEvaluationDataNumber",
        miscselect: Text<'a> = "miscselect",
        miscselect_mask: Text<'a> = "miscselectMask",
        attributes: Text<'a> = "attributes",
        attributes_mask: Text<'a> = "attributesMask",
        mrsigner: Text<'a> = "mrsigner",
        isvprodid: u16 = "isvprodid",
        levels: Vec<LevelJson<'a>> = "tcbLevels",
    }
}

impl QeIdentity {
    /// Reads verified bytes.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let identity: Identity<'_> = json::parse(bytes)?;
        let (id, version) = (identity.id.as_deref().unwrap_or("none"), identity.version.unwrap_or_default());
        if (id, version) != ("TD_QE", 2) {
            return Err(format!("identity {id} of version {version}"));
        }
        Self::of(identity).ok_or_else(|| "an identity that lacks a member, or has one of another form".to_owned())
    }

    fn of(identity: Identity<'_>) -> Option<Self> {
        Some(Self {
            window: Window::of_texts(&identity.issue_date?, &identity.next_update?)?,
            evaluation: identity.evaluation?,
            miscselect: digits(&identity.miscselect?)?,
            miscselect_mask: digits(&identity.miscselect_mask?)?,
            attributes: digits(&identity.attributes?)?,
            attributes_mask: digits(&identity.attributes_mask?)?,
            mrsigner: digits(&identity.mrsigner?)?,
            isvprodid: identity.isvprodid?,
            levels: svn_levels(identity.levels?)?,
        })
    }
}
