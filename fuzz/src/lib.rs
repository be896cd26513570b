//! What the fuzz targets share.

/// Decodes; and where that succeeds, demands that the value encodes to the bytes that came in.
#[macro_export]
macro_rules! canonical {
    ($type:ty, $bytes:expr) => {{
        if let Ok(value) = <$type>::decode($bytes, &podseal_protocol::Limits::DEFAULT) {
            assert_eq!(value.encode(), $bytes);
        }
    }};
}

use podseal_appraisal::report::{Document, Settings, Verdict, appraise};
use podseal_appraisal::tdx::SignedJson;
use podseal_appraisal::x509::{Roots, parse};
use std::sync::LazyLock;

static ROOTS: LazyLock<Roots> = LazyLock::new(Roots::shipped);
/// 2026-06-01.
const NOW: u64 = 1_780_272_000;

/// Appraises one file of a report, under the name of its form and under one that says nothing.
pub fn report(name: &str, bytes: &[u8]) {
    for name in [name, "0"] {
        unverified(&[Document { name, bytes }]);
    }
}

/// Appraises files together: each begins with a line `--- NAME`.
pub fn files(bytes: &[u8]) {
    const BEGIN: &[u8] = b"\n--- ";
    let begins = bytes.windows(BEGIN.len()).enumerate().filter(|(_, window)| *window == BEGIN).map(|(at, _)| at);
    let begins = begins.collect::<Vec<_>>();
    let ends = begins.iter().skip(1).copied().chain([bytes.len()]);
    let document = |(begin, end): (&usize, usize)| {
        let mut halves = bytes.get(begin + BEGIN.len()..end)?.splitn(2, |byte| *byte == b'\n');
        Some(Document { name: std::str::from_utf8(halves.next()?).ok()?, bytes: halves.next()? })
    };
    unverified(&begins.iter().zip(ends).filter_map(document).collect::<Vec<_>>());
}

/// No hardware signed an answer to this nonce.
fn unverified(documents: &[Document<'_>]) {
    let report = appraise(documents, &Settings { now: NOW, nonce: Some(b"nonce"), roots: &ROOTS });
    assert_ne!(report.verdict, Verdict::Verified, "{report:?}");
}

/// TCB info or an identity: as a file of a report, and as what is signed in it.
pub fn tcb_info(bytes: &[u8]) {
    report("tcb_info.json", bytes);
    let _ = (SignedJson::tcb_info(bytes), SignedJson::qe_identity(bytes));
}

/// A certificate or a revocation list, by itself.
pub fn x509(bytes: &[u8]) {
    if let Some(certificate) = parse(bytes) {
        assert_eq!(certificate.as_raw(), bytes);
    }
    if let Ok(list) = podseal_appraisal::x509::Crl::parse(bytes) {
        let _ = list.number();
    }
}
