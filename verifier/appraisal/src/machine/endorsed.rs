//! What makers say of the hardware that evidence is of: which endorsements it takes, and those that were gathered.

use std::collections::BTreeSet;

use podseal_protocol::{
    Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
    evidence::{Evidence, Part},
};

use crate::{
    azure::{Hardware, HclReport},
    endorsement::{Document, Endorsed, Endorsement, PckCa, Vcek},
    snp::{CertificateTable, Report, SigningKey},
    tdx::{Pck, Quote, pck_certificate},
    x509::common_name,
};

const DOMAIN: &str = "podseal.endorsements.v1";
/// Endorsements that one piece of evidence takes, and reasons why one is missing.
const MOST: usize = 32;

/// Endorsements for one piece of evidence, and why some are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gathered {
    found: Vec<Endorsed>,
    gaps: Vec<String>,
}

impl Gathered {
    /// Those found, and a reason for each that was not.
    #[must_use]
    pub fn new(found: Vec<Endorsed>, gaps: Vec<String>) -> Self {
        Self { found, gaps }
    }

    /// Certificates, DER.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.found.iter().flat_map(|endorsed| endorsed.content.certificates.iter().map(Vec::as_slice))
    }

    /// Revocation lists, DER.
    pub(super) fn lists(&self) -> impl Iterator<Item = &[u8]> {
        self.documents(|document| if let Document::Crl(der) = document { Some(der.as_slice()) } else { None })
    }

    /// TCB info as Intel answered it.
    pub(super) fn tcb_info(&self) -> Option<&[u8]> {
        self.documents(|document| if let Document::TcbInfo(json) = document { Some(json.as_slice()) } else { None }).next()
    }

    /// The identity of the quoting enclave as Intel answered it.
    pub(super) fn qe_identity(&self) -> Option<&[u8]> {
        self.documents(|document| if let Document::QeIdentity(json) = document { Some(json.as_slice()) } else { None }).next()
    }

    fn documents<'g, T: 'g>(&'g self, of: impl FnMut(&'g Document) -> Option<T>) -> impl Iterator<Item = T> {
        self.found.iter().filter_map(|endorsed| endorsed.content.document.as_ref()).filter_map(of)
    }

    /// Why something is missing, to stand behind what is.
    pub(super) fn gaps(&self) -> String {
        self.gaps.iter().map(|gap| format!("; {gap}")).collect()
    }

    /// The canonical bytes, for the archive.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let e = Encoder::message(DOMAIN, 3).list(&self.found, |e, endorsed| e.bytes(endorsed.encode().as_bytes()));
        e.list(&self.gaps, |e, gap| e.bytes(gap.as_bytes())).finish()
    }

    /// Parses what [`Gathered::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] when it is not in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 3, limits)?;
        let at = d.offset();
        let malformed = Malformed { item: "endorsements.file", at, problem: Problem::WrongValue };
        let found = d.list("endorsements", MOST, |d| {
            let file = d.bytes("endorsements.file", limits.message)?;
            Endorsed::parse(file).map(|(endorsed, _)| endorsed).map_err(|_| malformed)
        })?;
        let gaps =
            d.list("endorsements.gaps", MOST, |d| Ok(String::from_utf8_lossy(d.bytes("endorsements.gap", 64 << 10)?).into_owned()))?;
        d.end("endorsements")?;
        Ok(Self { found, gaps })
    }
}

/// The endorsements that evidence takes, by what it says of itself: nothing of that is known to be true.
#[must_use]
pub fn needs(evidence: &Evidence) -> BTreeSet<Endorsement> {
    let each = evidence.parts.iter().flat_map(|part| match part {
        Part::SnpReport { report, certificates } => of_report(report, certificates),
        Part::HclReport(report) => match HclReport::parse(report).map(|hcl| hcl.hardware) {
            Ok(Hardware::Snp(report)) => of_report(report, &[]),
            _ => Vec::new(),
        },
        Part::TdQuote(quote) => of_quote(quote).unwrap_or_default(),
        _ => Vec::new(),
    });
    each.collect()
}

/// A host's table may have the certificates; the list of withdrawn authorities it has not.
fn of_report(report: &[u8], table: &[u8]) -> Vec<Endorsement> {
    let Ok(report) = Report::parse(report) else { return Vec::new() };
    let body = &report.body;
    let Some(product) = body.product() else { return Vec::new() };
    let mut needs = vec![Endorsement::AmdCrl { product }];
    if CertificateTable::parse(table).is_ok_and(|table| table.entries.is_empty()) {
        let vlek = body.signing_key() == SigningKey::Vlek;
        needs.push(Endorsement::AmdChain { product, vlek });
        if !vlek && body.chip_id != [0; 64] {
            needs.push(Endorsement::AmdVcek(Vcek::new(product, body.chip_id, body.reported_tcb)));
        }
    }
    needs
}

fn of_quote(quote: &[u8]) -> Option<Vec<Endorsement>> {
    let quote = Quote::parse(quote).ok()?;
    let chain = quote.chain().ok()?;
    let certificate = pck_certificate(&chain, &[])?;
    let fmspc = Pck::of(certificate)?.fmspc;
    let processor = common_name(certificate.issuer()).is_some_and(|name| name.contains("Processor"));
    let ca = if processor { PckCa::Processor } else { PckCa::Platform };
    let lists = [Endorsement::IntelPckCrl { ca }, Endorsement::IntelRootCrl];
    Some([Endorsement::IntelTcbInfo { fmspc }, Endorsement::IntelQeIdentity].into_iter().chain(lists).collect())
}
