//! What Intel's service answers about platforms and quoting enclaves.

use super::{COMPONENTS, FMSPC, digits, sign};
use rcgen::KeyPair;

/// An answer of the service: `inner` signed by `key`.
pub(crate) fn answer(name: &str, inner: &str, key: &KeyPair) -> String {
    format!(r#"{{"{name}":{inner},"signature":"{}"}}"#, digits(&sign(key, inner.as_bytes())))
}

pub(crate) fn level(sgx: [u8; 16], pcesvn: u16, tdx: [u8; 3], status: &str, advisory: &str) -> String {
    let each = |svns: &[u8]| svns.iter().map(|svn| format!(r#"{{"svn":{svn}}}"#)).collect::<Vec<_>>().join(",");
    let mut all = [0; 16];
    all[..3].copy_from_slice(&tdx);
    let tcb = format!(r#"{{"sgxtcbcomponents":[{}],"pcesvn":{pcesvn},"tdxtcbcomponents":[{}]}}"#, each(&sgx), each(&all));
    format!(r#"{{"tcb":{tcb},"tcbDate":"2025-05-14T00:00:00Z","tcbStatus":"{status}","advisoryIDs":[{advisory}]}}"#)
}

pub(crate) fn svn_level(isvsvn: u16, status: &str) -> String {
    format!(r#"{{"tcb":{{"isvsvn":{isvsvn}}},"tcbDate":"2025-05-14T00:00:00Z","tcbStatus":"{status}"}}"#)
}

/// TCB info: an up-to-date level, an older one, and modules of version 1.
pub(crate) fn tcb_info() -> String {
    let older = [5, 5, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0];
    let levels =
        [level(COMPONENTS, 11, [5, 0, 8], "UpToDate", ""), level(older, 5, [3, 0, 5], "OutOfDate", r#""INTEL-SA-00960""#)].join(",");
    let module = format!(r#""mrsigner":"{}","attributes":"0000000000000000","attributesMask":"FFFFFFFFFFFFFFFF""#, "0".repeat(96));
    let modules = format!(r#"{{"id":"TDX_01",{module},"tcbLevels":[{},{}]}}"#, svn_level(6, "UpToDate"), svn_level(4, "OutOfDate"));
    format!(
        r#"{{"id":"TDX","version":3,"issueDate":"2026-05-20T00:00:00Z","nextUpdate":"2026-06-19T00:00:00Z","fmspc":"{}","pceId":"0000","tcbType":0,"tcbEvaluationDataNumber":19,"tdxModule":{{{module}}},"tdxModuleIdentities":[{modules}],"tcbLevels":[{levels}]}}"#,
        digits(&FMSPC).to_uppercase()
    )
}

pub(crate) fn qe_identity() -> String {
    format!(
        r#"{{"id":"TD_QE","version":2,"issueDate":"2026-05-21T00:00:00Z","nextUpdate":"2026-06-20T00:00:00Z","tcbEvaluationDataNumber":19,"miscselect":"00000000","miscselectMask":"FFFFFFFF","attributes":"11000000000000000000000000000000","attributesMask":"FBFFFFFFFFFFFFFF0000000000000000","mrsigner":"{}","isvprodid":2,"tcbLevels":[{},{}]}}"#,
        "DC".repeat(32),
        svn_level(4, "UpToDate"),
        svn_level(2, "OutOfDate")
    )
}
