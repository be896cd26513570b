#![allow(clippy::unwrap_used)]

use super::{EvidenceKind, Roots};

/// A shipped file that does not parse would silently be no root.
#[test]
fn shipped_roots_are_all_there() {
    let roots = Roots::shipped();
    let count = |kind| roots.for_kind(kind).count();
    assert_eq!((count(EvidenceKind::Snp), count(EvidenceKind::Tdx), count(EvidenceKind::Nitro), count(EvidenceKind::Tpm)), (3, 1, 1, 25));
}
