//! What makers say of the hardware that evidence is of: which endorsements it takes, and those that were gathered.

use std::collections::BTreeSet;

use podseal_protocol::{
    Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
    evidence::{Evidence, Part},
};

use super::snp::ders;
use crate::{
    azure::{Hardware, HclReport},
    endorsement::{Document, Endorsed, Endorsement, PckCa, Vcek},
    snp::{CertificateTable, Product, Report, SigningKey, Vek},
    tdx::{Pck, Quote, pck_certificate},
    x509::{common_name, parse},
};

const DOMAIN: &str = "podseal.endorsements.v1";
/// Endorsements that one piece of evidence takes, and reasons why one is missing.
const MOST: usize = 32;
/// Longest of those reasons that is kept, in bytes.
const LONGEST_GAP: usize = 1024;

/// Endorsements for one piece of evidence, and why some are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gathered {
    found: Vec<Endorsed>,
    gaps: Vec<String>,
}

impl Gathered {
    /// Those found, and a reason for each that was not.
    #[must_use]
    pub fn new(found: Vec<Endorsed>, mut gaps: Vec<String>) -> Self {
        for gap in &mut gaps {
            let end = (0..=LONGEST_GAP.min(gap.len())).rev().find(|end| gap.is_char_boundary(*end)).unwrap_or(0);
            gap.truncate(end);
        }
        Self { found, gaps }
    }

    /// With one more reason, where something is missing.
    #[must_use]
    pub fn and_gap(mut self, why: &str) -> Self {
        if !self.gaps.is_empty() {
            self.gaps.push(why.to_owned());
        }
        self
    }

    /// Certificates, DER.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.found.iter().flat_map(|endorsed| endorsed.content.certificates.iter().map(Vec::as_slice))
    }

    /// Revocation lists, DER.
    pub(super) fn lists(&self) -> impl Iterator<Item = &[u8]> {
        self.documents(|document| if let Document::Crl(der) = document { Some(der.as_slice()) } else { None })
    }

    /// Those of AMD over one generation.
    pub(super) fn amd_lists(&self, product: Product) -> impl Iterator<Item = &[u8]> {
        let of = self.found.iter().filter(move |endorsed| endorsed.endorsement == Endorsement::AmdCrl { product });
        of.filter_map(|endorsed| if let Some(Document::Crl(der)) = &endorsed.content.document { Some(der.as_slice()) } else { None })
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
            d.list("endorsements.gaps", MOST, |d| Ok(String::from_utf8_lossy(d.bytes("endorsements.gap", LONGEST_GAP)?).into_owned()))?;
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

/// A host's table may have the key's certificate, and those above it if it is complete; the list of withdrawn authorities it has not.
/// A report of version 2 does not name its generation: where the table does not either, it is one of the two that had such reports.
fn of_report(report: &[u8], table: &[u8]) -> Vec<Endorsement> {
    let Ok(report) = Report::parse(report) else { return Vec::new() };
    let body = &report.body;
    let given = CertificateTable::parse(table).map(|table| keys(&table)).unwrap_or_default();
    let products = match (body.product(), given.first()) {
        (Some(product), _) => vec![product],
        (None, Some(vek)) => vec![vek.product],
        (None, None) => vec![Product::Milan, Product::Genoa],
    };
    let vlek = body.signing_key() == SigningKey::Vlek;
    let ask_for_key = given.is_empty() && !vlek && body.chip_id != [0; 64];
    let each = products.into_iter().flat_map(|product| {
        let key = ask_for_key.then(|| Endorsement::AmdVcek(Vcek::new(product, body.chip_id, body.reported_tcb)));
        [Endorsement::AmdCrl { product }, Endorsement::AmdChain { product, vlek }].into_iter().chain(key)
    });
    each.collect()
}

/// Whose keys a table has certificates of.
fn keys(table: &CertificateTable<'_>) -> Vec<Vek> {
    ders(table).iter().filter_map(|der| Vek::parse(&parse(der)?).ok()).collect()
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
