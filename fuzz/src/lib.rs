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
use podseal_appraisal::x509::{Roots, parse};
use std::sync::LazyLock;

static ROOTS: LazyLock<Roots> = LazyLock::new(Roots::shipped);
/// 2026-06-01.
const NOW: u64 = 1_780_272_000;

/// Appraises one file of a report, under the name of its form and under one that says nothing: no maker signed it, so it is never verified.
pub fn report(name: &str, bytes: &[u8]) {
    let settings = Settings { now: NOW, nonce: Some(b"nonce"), roots: &ROOTS };
    for name in [name, "0"] {
        let report = appraise(&[Document { name, bytes }], &settings);
        assert_ne!(report.verdict, Verdict::Verified, "{report:?}");
    }
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
