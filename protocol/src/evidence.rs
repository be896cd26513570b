//! Evidence: what the node's hardware says, part by part, each part with the tag of its kind.

use crate::{
    Digest, Limits,
    binding::PodLogHead,
    cbor::{Decoder, Encoder, Malformed, Problem},
    key::SIGNATURE_LENGTH,
};

const DOMAIN: &str = "podseal.evidence.v1";
const TAG_TPM_QUOTE: u64 = 1;
const TAG_BOOT_LOG: u64 = 2;
const TAG_POD_LOG: u64 = 3;
const TAG_SNP_REPORT: u64 = 4;
const TAG_TD_QUOTE: u64 = 5;
const TAG_NITRO_DOCUMENT: u64 = 6;
const TAG_HCL_REPORT: u64 = 7;
const TAG_AK_CERTIFICATION: u64 = 8;
const TAG_NODE_KEY: u64 = 9;

/// Longest TPMS_ATTEST and TPMT_SIGNATURE that are taken.
const TPM_STRUCTURE: usize = 4096;
/// Longest report, quote, document or table of certificates of a TEE's hardware.
const HARDWARE: usize = 64 << 10;

/// One part of the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A TPM 2.0 quote over the SHA-256 bank.
    TpmQuote {
        /// TPMS_ATTEST, as the TPM signed it.
        attest: Vec<u8>,
        /// TPMT_SIGNATURE.
        signature: Vec<u8>,
        /// Values of the quoted registers: index and SHA-256 value, indices ascending.
        pcrs: Vec<(u8, Digest)>,
    },
    /// The TCG boot event log (TCG PC Client PFP 1.06, section 10), as the firmware left it.
    BootLog(Vec<u8>),
    /// Records of the pod log ([`crate::pod_log`]), from one of them to the last.
    PodLog {
        /// Number of the first record here: what is before it the verifier has.
        from: u64,
        /// The records, one after the other.
        records: Vec<u8>,
    },
    /// An SEV-SNP attestation report (AMD 56860, table 23).
    SnpReport {
        /// 1184 bytes.
        report: Vec<u8>,
        /// The host's table of certificates (AMD 56421, 4.1.8.1); empty where it gave none.
        certificates: Vec<u8>,
    },
    /// A TDX quote with the certificates of its platform (Intel TDX DCAP quoting library API, appendix A).
    TdQuote(Vec<u8>),
    /// A Nitro attestation document: `COSE_Sign1`.
    NitroDocument(Vec<u8>),
    /// The report that Azure's paravisor keeps at NV index 0x01400001.
    HclReport(Vec<u8>),
    /// TPM2_Certify of this node's AK by the AK that the HCL report names (TPM 2.0 Part 3, section 18.2).
    AkCertification {
        /// TPMS_ATTEST, as the TPM signed it.
        attest: Vec<u8>,
        /// TPMT_SIGNATURE.
        signature: Vec<u8>,
    },
    /// [`crate::binding::node_key_message`], signed by the node's own key.
    NodeKey([u8; SIGNATURE_LENGTH]),
}

/// What the hardware of a node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Registered name of the node that it claims to be about; the signature under that node's AK decides.
    pub node: String,
    /// Evidence profile: the word of a [`crate::Profile`].
    pub profile: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Where the pod log stands.
    pub pod_log: PodLogHead,
    /// The parts, at most one of a kind, tags ascending.
    pub parts: Vec<Part>,
}

impl Part {
    /// What it is called in findings.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TpmQuote { .. } => "TPM quote",
            Self::BootLog(_) => "boot log",
            Self::PodLog { .. } => "pod log",
            Self::SnpReport { .. } => "SEV-SNP report",
            Self::TdQuote(_) => "TDX quote",
            Self::NitroDocument(_) => "Nitro document",
            Self::HclReport(_) => "HCL report",
            Self::AkCertification { .. } => "certification of the AK",
            Self::NodeKey(_) => "signature of the node key",
        }
    }

    /// Its number on the wire: evidence has its parts in this order.
    #[must_use]
    pub fn tag(&self) -> u64 {
        match self {
            Self::TpmQuote { .. } => TAG_TPM_QUOTE,
            Self::BootLog(_) => TAG_BOOT_LOG,
            Self::PodLog { .. } => TAG_POD_LOG,
            Self::SnpReport { .. } => TAG_SNP_REPORT,
            Self::TdQuote(_) => TAG_TD_QUOTE,
            Self::NitroDocument(_) => TAG_NITRO_DOCUMENT,
            Self::HclReport(_) => TAG_HCL_REPORT,
            Self::AkCertification { .. } => TAG_AK_CERTIFICATION,
            Self::NodeKey(_) => TAG_NODE_KEY,
        }
    }

    fn encode(&self, e: Encoder) -> Encoder {
        match self {
            Self::TpmQuote { attest, signature, pcrs } => e
                .array(4)
                .uint(TAG_TPM_QUOTE)
                .bytes(attest)
                .bytes(signature)
                .list(pcrs, |e, (index, value)| e.array(2).uint(u64::from(*index)).digest(value)),
            Self::BootLog(log) => e.array(2).uint(TAG_BOOT_LOG).bytes(log),
            Self::PodLog { from, records } => e.array(3).uint(TAG_POD_LOG).uint(*from).bytes(records),
            Self::SnpReport { report, certificates } => e.array(3).uint(TAG_SNP_REPORT).bytes(report).bytes(certificates),
            Self::TdQuote(quote) => e.array(2).uint(TAG_TD_QUOTE).bytes(quote),
            Self::NitroDocument(document) => e.array(2).uint(TAG_NITRO_DOCUMENT).bytes(document),
            Self::HclReport(report) => e.array(2).uint(TAG_HCL_REPORT).bytes(report),
            Self::AkCertification { attest, signature } => e.array(3).uint(TAG_AK_CERTIFICATION).bytes(attest).bytes(signature),
            Self::NodeKey(signature) => e.array(2).uint(TAG_NODE_KEY).bytes(signature),
        }
    }

    fn decode(d: &mut Decoder<'_>, limits: &Limits) -> Result<Self, Malformed> {
        let at = d.offset();
        let arity = d.array_of(&[2, 3, 4], "evidence.part")?;
        match (arity, d.uint("evidence.part.tag")?) {
            (4, TAG_TPM_QUOTE) => Ok(Self::TpmQuote {
                attest: d.bytes("quote.attest", TPM_STRUCTURE)?.to_vec(),
                signature: d.bytes("quote.signature", TPM_STRUCTURE)?.to_vec(),
                pcrs: Self::decode_pcrs(d)?,
            }),
            (2, TAG_BOOT_LOG) => Ok(Self::BootLog(d.bytes("boot_log", limits.evidence_part)?.to_vec())),
            (3, TAG_POD_LOG) => {
                Ok(Self::PodLog { from: d.uint("pod_log.from")?, records: d.bytes("pod_log.records", limits.pod_log)?.to_vec() })
            }
            (3, TAG_SNP_REPORT) => Ok(Self::SnpReport {
                report: d.bytes("snp.report", HARDWARE)?.to_vec(),
                certificates: d.bytes("snp.certificates", HARDWARE)?.to_vec(),
            }),
            (2, TAG_TD_QUOTE) => Ok(Self::TdQuote(d.bytes("td.quote", HARDWARE)?.to_vec())),
            (2, TAG_NITRO_DOCUMENT) => Ok(Self::NitroDocument(d.bytes("nitro.document", HARDWARE)?.to_vec())),
            (2, TAG_HCL_REPORT) => Ok(Self::HclReport(d.bytes("hcl.report", HARDWARE)?.to_vec())),
            (3, TAG_AK_CERTIFICATION) => Ok(Self::AkCertification {
                attest: d.bytes("certification.attest", TPM_STRUCTURE)?.to_vec(),
                signature: d.bytes("certification.signature", TPM_STRUCTURE)?.to_vec(),
            }),
            (2, TAG_NODE_KEY) => Ok(Self::NodeKey(d.exact("node_key.signature")?)),
            _ => Err(Malformed { item: "evidence.part.tag", at, problem: Problem::WrongValue }),
        }
    }

    fn decode_pcrs(d: &mut Decoder<'_>) -> Result<Vec<(u8, Digest)>, Malformed> {
        let at = d.offset();
        let pcrs = d.list("quote.pcrs", 24, |d| {
            d.array("quote.pcr", 2)?;
            let index = u8::try_from(d.uint_up_to("quote.pcr.index", 23)?).unwrap_or(u8::MAX);
            Ok((index, d.digest("quote.pcr.value")?))
        })?;
        let sorted = pcrs.is_sorted_by(|(a, _), (b, _)| a < b);
        if sorted { Ok(pcrs) } else { Err(Malformed { item: "quote.pcrs", at, problem: Problem::NotSorted }) }
    }
}

impl Evidence {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(DOMAIN, 6)
            .text(&self.node)
            .text(&self.profile)
            .text(&self.boot_id)
            .array(2)
            .uint(self.pod_log.length)
            .digest(&self.pod_log.head)
            .list(&self.parts, |e, part| part.encode(e))
            .finish()
    }

    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not evidence in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 6, limits)?;
        let node = d.text("evidence.node", limits.text)?.to_owned();
        let profile = d.text("evidence.profile", limits.text)?.to_owned();
        let boot_id = d.text("evidence.boot_id", limits.text)?.to_owned();
        d.array("evidence.pod_log", 2)?;
        let pod_log = PodLogHead { length: d.uint("evidence.pod_log.length")?, head: d.digest("evidence.pod_log.head")? };
        let at = d.offset();
        let parts = d.list("evidence.parts", limits.evidence_parts, |d| Part::decode(d, limits))?;
        d.end("evidence")?;
        let sorted = parts.is_sorted_by(|a, b| a.tag() < b.tag());
        if sorted {
            Ok(Self { node, profile, boot_id, pod_log, parts })
        } else {
            Err(Malformed { item: "evidence.parts", at, problem: Problem::NotSorted })
        }
    }
}
