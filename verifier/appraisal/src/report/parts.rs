//! The files, sorted by what they are.

use super::Document;
use super::findings::{Findings, REPORT_ONE_KIND, REPORT_ONE_OF_EACH};
use super::pcrs::Pcrs;
use super::recognise::{Recognised, recognise};
use super::verdict::Kind;
use std::borrow::Cow;

/// What one file, or one block of a PEM file, is. Recognised by its content, not verified in any way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// An SEV-SNP `ATTESTATION_REPORT`, and the certificate table behind it (GHCB 2.0, 4.1.8.1) where there is one.
    SnpReport { report: &'a [u8], table: &'a [u8] },
    /// An Intel TDX quote, with what follows it.
    TdxQuote(&'a [u8]),
    /// TCB info as Intel's service answers it (JSON).
    TcbInfo(&'a [u8]),
    /// The quoting enclave's identity as Intel's service answers it (JSON).
    QeIdentity(&'a [u8]),
    /// What Azure's vTPM has in its NV index: header, hardware report, runtime data.
    HclReport(&'a [u8]),
    /// Azure's runtime data alone (JSON).
    RuntimeData(&'a [u8]),
    /// `TPMS_ATTEST`, of any type.
    Attest(&'a [u8]),
    /// `TPMT_SIGNATURE`.
    TpmSignature(&'a [u8]),
    /// An RSA signature without any structure around it.
    RawSignature(&'a [u8]),
    /// `TPMT_PUBLIC`, without the size prefix of a `TPM2B_PUBLIC`.
    TpmPublic(&'a [u8]),
    /// `SubjectPublicKeyInfo`, DER.
    PublicKey(Cow<'a, [u8]>),
    /// PCR values read on the machine.
    Pcrs(Pcrs),
    /// What the evidence must answer, in a file.
    Nonce(Vec<u8>),
    /// A boot log of a TPM.
    EventLog(&'a [u8]),
    /// A boot log of a TD (same format, measurement registers for PCRs).
    Ccel(&'a [u8]),
    /// The ACPI table that tells where the TD's boot log lies.
    CcelTable(&'a [u8]),
    /// An enclave's document (`COSE_Sign1` with `pcrs` in its payload).
    NitroDocument(&'a [u8]),
    /// A `NitroTPM`'s document (`COSE_Sign1` with `nitrotpm_pcrs` in its payload).
    NitroTpmDocument(&'a [u8]),
    /// A token in COSE (`COSE_Sign1` with any other payload).
    CoseToken(&'a [u8]),
    /// A token in JOSE's compact form.
    Jwt(&'a str),
    /// A JSON Web Key.
    Jwk(&'a [u8]),
    /// An EAT claims set in JSON that nobody signed.
    EatClaims(&'a [u8]),
    /// The keys of IMA's file signatures (JSON).
    Keyring(&'a [u8]),
    /// A certificate, DER.
    Certificate(Cow<'a, [u8]>),
    /// A certificate revocation list, DER.
    Crl(Cow<'a, [u8]>),
    /// An IMA list as `ascii_runtime_measurements` has it.
    ImaAscii(&'a [u8]),
    /// An IMA list as `binary_runtime_measurements` has it.
    ImaBinary(&'a [u8]),
}

/// An item with the file that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The file's name.
    pub(super) file: &'a str,
    /// What it is.
    pub(super) item: Item<'a>,
}

/// Every part.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts<'a> {
    parts: Vec<Part<'a>>,
}

impl<'a> Parts<'a> {
    /// Recognises each of `documents`. What is malformed or no part of any evidence goes into `findings`.
    pub(super) fn recognise(documents: &[Document<'a>], findings: &mut Findings) -> Self {
        let mut parts = Vec::new();
        for document in documents {
            match recognise(document) {
                Recognised::Items(items) => parts.extend(items.into_iter().map(|item| Part { file: document.name, item })),
                Recognised::Malformed(why) => findings.malformed(document.name, why),
                Recognised::Unknown => findings.ignored(document.name),
            }
        }
        Self { parts }
    }

    /// Appraises whether each part is of use to `kind`.
    pub(super) fn belong(&self, kind: Kind, findings: &mut Findings) {
        if let Some(stranger) = self.parts.iter().find(|part| !kind.takes(&part.item)) {
            let found = format!("{}, which belongs to other evidence", stranger.file);
            findings.authenticity.record(&REPORT_ONE_KIND, false, format!("parts of {}", kind.as_str()), found);
        }
    }

    /// Every item.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item<'a>> {
        self.parts.iter().map(|part| &part.item)
    }

    /// Every item of one sort, with its file's name.
    pub(super) fn each<'s, T>(&'s self, wanted: impl Fn(&'s Item<'a>) -> Option<T>) -> impl Iterator<Item = (&'a str, T)> {
        self.parts.iter().filter_map(move |part| wanted(&part.item).map(|item| (part.file, item)))
    }

    /// The one item of one sort, with its file's name. The same twice is one; of two that differ nobody knows which counts, which
    /// rejects ([`REPORT_ONE_OF_EACH`]).
    pub(super) fn only<'s, T: PartialEq>(
        &'s self,
        what: &'static str,
        findings: &mut Findings,
        wanted: impl Fn(&'s Item<'a>) -> Option<T>,
    ) -> Option<(&'a str, T)> {
        let mut all = self.each(wanted);
        let first = all.next()?;
        match all.find(|(_, item)| *item != first.1) {
            None => Some(first),
            Some((other, _)) => {
                let found = format!("{} and {other}", first.0);
                findings.authenticity.record(&REPORT_ONE_OF_EACH, false, format!("one {what}"), found);
                None
            }
        }
    }

    /// Every revocation list, DER.
    pub(super) fn crls(&self) -> Vec<&[u8]> {
        self.each(|item| if let Item::Crl(der) = item { Some(der.as_ref()) } else { None }).map(|(_, der)| der).collect()
    }

    /// The values of registers of every file, and the names of the files. Files that contradict each other reject.
    pub(super) fn pcrs(&self, findings: &mut Findings) -> Option<(Vec<&'a str>, Pcrs)> {
        let (mut files, mut all) = (Vec::new(), None::<Pcrs>);
        for (file, pcrs) in self.each(|item| if let Item::Pcrs(pcrs) = item { Some(pcrs) } else { None }) {
            let Some(both) = all.as_ref().map_or_else(|| Some(pcrs.clone()), |all| all.and(pcrs)) else {
                let found = format!("{file}, which says another than {}", files.join(", "));
                findings.authenticity.record(&REPORT_ONE_OF_EACH, false, "one value of each register", found);
                return None;
            };
            files.push(file);
            all = Some(both);
        }
        all.map(|all| (files, all))
    }

    /// The nonce: the one that the caller named, or else the one of a file.
    pub(super) fn nonce(&self, given: Option<&'a [u8]>, findings: &mut Findings) -> Option<Vec<u8>> {
        given.map(<[u8]>::to_vec).or_else(|| {
            let nonce = self.only("nonce", findings, |item| if let Item::Nonce(nonce) = item { Some(nonce) } else { None });
            nonce.map(|(_, nonce)| nonce.clone())
        })
    }
}
