//! Who publishes what, and where.

use super::key::{Endorsement, Vcek};
use crate::hex;

/// A kind of service, by its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceKind {
    /// AMD's Key Distribution Service (57230, 4): chips' certificates, chains and lists.
    AmdKds,
    /// Intel's Provisioning Certification Service, version 4: TCB info, identities, lists of PCKs.
    IntelPcs,
    /// A cache of that (PCCS, or Azure's public one), which has the root's list too.
    IntelPccs,
    /// Where Intel has its root's list.
    IntelCertificates,
    /// Azure's metadata service, Trusted Hardware Identity Management: the machine's own chip, and the chain above it.
    AzureThim,
    /// A site with revocation lists, each at the address that certificates name.
    CrlSite,
}

impl ServiceKind {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::AmdKds, Self::IntelPcs, Self::IntelPccs, Self::IntelCertificates, Self::AzureThim, Self::CrlSite];

    /// Its name in a configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AmdKds => "amd-kds",
            Self::IntelPcs => "intel-pcs",
            Self::IntelPccs => "intel-pccs",
            Self::IntelCertificates => "intel-certificates",
            Self::AzureThim => "azure-thim",
            Self::CrlSite => "crl",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A service: its kind, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Service {
    /// What it has, and at which paths.
    pub kind: ServiceKind,
    /// What stands before those paths: `https://HOST[:PORT][/PATH]`. For a site with lists: how their addresses begin.
    pub url: String,
}

impl Service {
    /// The address of an endorsement; `None` where this service does not have such.
    #[must_use]
    pub fn address(&self, endorsement: &Endorsement) -> Option<String> {
        let base = self.url.trim_end_matches('/');
        match (self.kind, endorsement) {
            (ServiceKind::CrlSite, Endorsement::Crl { url }) => url.starts_with(&format!("{base}/")).then(|| url.clone()),
            (ServiceKind::AmdKds, endorsement) => Some(format!("{base}{}", kds(endorsement)?)),
            (ServiceKind::IntelPcs, Endorsement::IntelRootCrl) => None,
            (ServiceKind::IntelPcs | ServiceKind::IntelPccs, endorsement) => Some(format!("{base}{}", pcs(endorsement)?)),
            (ServiceKind::IntelCertificates, Endorsement::IntelRootCrl) => Some(format!("{base}/IntelSGXRootCA.der")),
            (ServiceKind::AzureThim, Endorsement::AmdVcek(_) | Endorsement::AmdChain { vlek: false, .. }) => {
                Some(format!("{base}/metadata/THIM/amd/certification"))
            }
            _ => None,
        }
    }

    /// Header fields that it wants in a request besides the usual ones.
    #[must_use]
    pub fn request_headers(&self) -> &'static [(&'static str, &'static str)] {
        // Azure's metadata service answers nobody who could have been made to ask.
        if self.kind == ServiceKind::AzureThim { &[("metadata", "true")] } else { &[] }
    }

    /// Header fields of its answer, one of which has the certificates of who signed the body.
    #[must_use]
    pub fn issuer_chain_headers(&self, endorsement: &Endorsement) -> &'static [&'static str] {
        match (self.kind, endorsement) {
            (ServiceKind::IntelPcs | ServiceKind::IntelPccs, Endorsement::IntelTcbInfo { .. }) => {
                &["tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"]
            }
            (ServiceKind::IntelPcs | ServiceKind::IntelPccs, Endorsement::IntelQeIdentity) => &["sgx-enclave-identity-issuer-chain"],
            (ServiceKind::IntelPcs | ServiceKind::IntelPccs, Endorsement::IntelPckCrl { .. }) => &["sgx-pck-crl-issuer-chain"],
            _ => &[],
        }
    }
}

/// 57230, 4.1 to 4.3.
fn kds(endorsement: &Endorsement) -> Option<String> {
    match endorsement {
        Endorsement::AmdVcek(vcek) => Some(vcek_path(vcek)),
        Endorsement::AmdChain { product, vlek } => {
            Some(format!("/{}/v1/{}/cert_chain", if *vlek { "vlek" } else { "vcek" }, product.as_str()))
        }
        Endorsement::AmdCrl { product } => Some(format!("/vcek/v1/{}/crl", product.as_str())),
        _ => None,
    }
}

fn vcek_path(vcek: &Vcek) -> String {
    let levels: Vec<String> = vcek.levels().parts().map(|(name, level)| format!("{name}={level:02}")).collect();
    format!("/vcek/v1/{}/{}?{}", vcek.product().as_str(), hex::encode(vcek.hardware_id()), levels.join("&"))
}

/// The service's interface, version 4.
fn pcs(endorsement: &Endorsement) -> Option<String> {
    match endorsement {
        Endorsement::IntelTcbInfo { fmspc } => Some(format!("/tdx/certification/v4/tcb?fmspc={}", hex::encode(fmspc).to_ascii_uppercase())),
        Endorsement::IntelQeIdentity => Some("/tdx/certification/v4/qe/identity".to_owned()),
        Endorsement::IntelPckCrl { ca } => Some(format!("/sgx/certification/v4/pckcrl?ca={}&encoding=der", ca.as_str())),
        Endorsement::IntelRootCrl => Some("/sgx/certification/v4/rootcacrl".to_owned()),
        _ => None,
    }
}
