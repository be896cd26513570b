//! A TD quote (Intel TDX DCAP Quoting Library API, appendix 3), written by offset; little-endian throughout.

use aws_lc_rs::digest::{SHA256, digest};

use crate::error::BenchError;
use crate::hardware::keys::EvidenceKey;

/// Intel, as vendor of a quoting enclave (A.3.1).
const VENDOR: [u8; 16] = 0x939a_7233_f79c_4ca9_940a_0db3_957f_0607_u128.to_be_bytes();
/// MRSIGNER of the quoting enclave.
pub(super) const QE_SIGNER: [u8; 32] = [0xdc; 32];
/// Its product number.
pub(super) const QE_PRODUCT: u16 = 2;
/// Its security version.
pub(super) const QE_SVN: u16 = 6;
/// Bytes of a body of TDX 1.5.
const EXTENDED_BODY: usize = 648;
/// Bytes of an enclave's report.
const ENCLAVE: usize = 384;
/// What the quoting enclave hashes behind its key.
const AUTHENTICATION: [u8; 32] = [0xa5; 32];

/// A trust domain, as its quotes say it; Intel's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Td {
    /// Security versions: module minor, module major, late microcode, …
    pub tee_tcb_svn: [u8; 16],
    /// SHA-384 measurement of the TDX module.
    pub mr_seam: [u8; 48],
    /// Signer of the TDX module; zero for Intel's.
    pub mr_signer_seam: [u8; 48],
    /// Attributes of the TDX module.
    pub seam_attributes: [u8; 8],
    /// Attributes of the TD: bit 0 debugging, bit 28 SEPT_VE_DISABLE, bit 29 migration.
    pub attributes: u64,
    /// Extended features that the TD may use.
    pub xfam: u64,
    /// SHA-384 measurement of what the TD was built from.
    pub mr_td: [u8; 48],
    /// What the owner says of the TD's configuration.
    pub mr_config_id: [u8; 48],
    /// What the owner says of itself.
    pub mr_owner: [u8; 48],
    /// What the owner says of its configuration.
    pub mr_owner_config: [u8; 48],
    /// Run-time measurement registers.
    pub rtmrs: [[u8; 48]; 4],
    /// SHA-384 over the service TDs that are bound to it; with it the quote is one of version 5.
    pub mr_service_td: Option<[u8; 48]>,
}

impl Td {
    /// A TD that the shipped policy has nothing against.
    pub fn honest() -> Self {
        let mut tee_tcb_svn = [0; 16];
        tee_tcb_svn[..3].copy_from_slice(&[6, 1, 8]);
        Self {
            tee_tcb_svn,
            mr_seam: [0x5e; 48],
            mr_signer_seam: [0; 48],
            seam_attributes: [0; 8],
            attributes: 1 << 28,
            xfam: 0x6_02e7,
            mr_td: [0x3d; 48],
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            rtmrs: [[0x70; 48], [0x71; 48], [0x72; 48], [0; 48]],
            mr_service_td: None,
        }
    }

    /// The same TD, which the host may debug.
    pub fn debuggable() -> Self {
        Self { attributes: Self::honest().attributes | 1, ..Self::honest() }
    }

    /// The same TD with this value in RTMR3.
    #[must_use]
    pub fn with_rtmr3(&self, value: [u8; 48]) -> Self {
        let [first, second, third, _] = self.rtmrs;
        Self { rtmrs: [first, second, third, value], ..self.clone() }
    }

    /// Header and body: what the attestation key signs.
    pub(super) fn lay_out(&self, report_data: &[u8; 64]) -> Vec<u8> {
        let body: [&[u8]; 15] = [
            &self.tee_tcb_svn,
            &self.mr_seam,
            &self.mr_signer_seam,
            &self.seam_attributes,
            &self.attributes.to_le_bytes(),
            &self.xfam.to_le_bytes(),
            &self.mr_td,
            &self.mr_config_id,
            &self.mr_owner,
            &self.mr_owner_config,
            &self.rtmrs[0],
            &self.rtmrs[1],
            &self.rtmrs[2],
            &self.rtmrs[3],
            report_data,
        ];
        let body = body.concat();
        match &self.mr_service_td {
            None => [header(4), body].concat(),
            Some(services) => {
                let extended = [&body[..], &self.tee_tcb_svn, services].concat();
                let kind = [&3_u16.to_le_bytes()[..], &(EXTENDED_BODY as u32).to_le_bytes()].concat();
                [header(5), kind, extended].concat()
            }
        }
    }
}

/// Version, key type (2: ECDSA on P-256), TEE type (0x81: TDX), reserved, vendor, user data.
fn header(version: u16) -> Vec<u8> {
    [&version.to_le_bytes()[..], &[2, 0], &0x81_u32.to_le_bytes(), &[0; 4], &VENDOR, &[0; 20]].concat()
}

/// The quote over `signed`, with certification data of type 6, and in it the chain as type 5.
pub(super) fn quote(signed: &[u8], pck: &EvidenceKey, attestation: &EvidenceKey, chain: &str) -> Result<Vec<u8>, BenchError> {
    let key = attestation.point();
    let enclave = enclave_report(&key);
    let chain = [chain.as_bytes(), &[0]].concat();
    let authentication = (AUTHENTICATION.len() as u16).to_le_bytes();
    let certified = [&enclave[..], &pck.sign(&enclave)?, &authentication, &AUTHENTICATION, &certification(5, &chain)].concat();
    let data = [attestation.sign(signed)?, key, certification(6, &certified)].concat();
    Ok([signed, &(data.len() as u32).to_le_bytes(), &data].concat())
}

/// The quoting enclave's report (Intel SDM volume 3D, 38.15), over the attestation key.
fn enclave_report(key: &[u8]) -> Vec<u8> {
    let mut report = vec![0; ENCLAVE];
    let over = digest(&SHA256, &[key, &AUTHENTICATION].concat());
    let fields: [(usize, &[u8]); 6] = [
        // ATTRIBUTES: INIT, MODE64BIT, PROVISIONKEY; XFRM behind them.
        (48, &[0x15, 0, 0, 0, 0, 0, 0, 0, 0xe7]),
        (64, &[0x0e; 32]),
        (128, &QE_SIGNER),
        (256, &QE_PRODUCT.to_le_bytes()),
        (258, &QE_SVN.to_le_bytes()),
        (320, over.as_ref()),
    ];
    for (at, field) in fields {
        report[at..at + field.len()].copy_from_slice(field);
    }
    report
}

fn certification(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(data.len() as u32).to_le_bytes(), data].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_their_lengths() {
        let services = Td { mr_service_td: Some([0; 48]), ..Td::honest() };
        assert_eq!(Td::honest().lay_out(&[0; 64]).len(), 48 + 584);
        assert_eq!(services.lay_out(&[0; 64]).len(), 48 + 6 + EXTENDED_BODY);
    }
}
