//! What Intel says about platforms, as its provisioning certification service answers it (Intel PCS API 4).

use super::quote::{QE_PRODUCT, QE_SIGNER, QE_SVN};
use super::{COMPONENTS, FMSPC, Intel, PCE_ID, PCE_SVN};
use crate::error::BenchError;
use crate::hardware::moment::{self, USUAL, Window};

/// Since when a level is one.
const TCB_DATE: &str = "2025-05-14T00:00:00Z";

/// What Intel thinks of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is known against it.
    UpToDate,
    /// The software in the TD has to defend itself.
    SwHardeningNeeded,
    /// The machine has to be configured otherwise.
    ConfigurationNeeded,
    /// Older than what is safe.
    OutOfDate,
    /// Not to be trusted at all.
    Revoked,
}

impl Status {
    /// Intel's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::Revoked => "Revoked",
        }
    }
}

/// What Intel thinks at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collateral {
    /// When TCB info, identity and lists are good.
    pub valid: Window,
    /// `tcbEvaluationDataNumber`, and `cRLNumber` of both lists: later collateral has a greater one.
    pub number: u32,
    /// Of the platform's level that an honest machine has.
    pub platform: Status,
    /// Of the TDX module that an honest TD runs under.
    pub module: Status,
    /// Of the quoting enclave.
    pub enclave: Status,
    /// Serial numbers of PCK certificates that are withdrawn.
    pub revoked: Vec<Vec<u8>>,
    /// Whether the authority over platforms is withdrawn.
    pub platforms_revoked: bool,
}

impl Collateral {
    /// Nothing is known against an honest machine.
    pub fn current() -> Self {
        let good = Status::UpToDate;
        Self { valid: USUAL, number: 19, platform: good, module: good, enclave: good, revoked: Vec::new(), platforms_revoked: false }
    }

    /// The platform is out of date.
    pub fn out_of_date() -> Self {
        Self { platform: Status::OutOfDate, ..Self::current() }
    }

    /// It was good until an hour ago.
    pub fn expired() -> Self {
        Self { valid: Window { from: USUAL.from, until: -moment::HOUR }, ..Self::current() }
    }

    fn window(&self) -> String {
        format!(r#""issueDate":"{}","nextUpdate":"{}""#, moment::text(self.valid.from), moment::text(self.valid.until))
    }
}

impl Intel {
    /// TCB info of [`FMSPC`]: `{"tcbInfo": …, "signature": …}`.
    pub fn tcb_info(&self, collateral: &Collateral) -> Result<String, BenchError> {
        let module = format!(r#""mrsigner":"{}","attributes":"{}","attributesMask":"{}""#, "0".repeat(96), "0".repeat(16), "F".repeat(16));
        let levels = isv_levels(6, collateral.module);
        let older = COMPONENTS.map(|svn: u8| svn.saturating_sub(1));
        let platform =
            [level(&COMPONENTS, PCE_SVN, [5, 0, 8], collateral.platform), level(&older, 5, [3, 0, 5], Status::OutOfDate)].join(",");
        let info = format!(
            concat!(
                r#"{{"id":"TDX","version":3,{},"fmspc":"{}","pceId":"{}","tcbType":0,"tcbEvaluationDataNumber":{},"#,
                r#""tdxModule":{{{module}}},"tdxModuleIdentities":[{{"id":"TDX_01",{module},"tcbLevels":[{}]}}],"tcbLevels":[{}]}}"#
            ),
            collateral.window(),
            upper(&FMSPC),
            upper(&PCE_ID),
            collateral.number,
            levels,
            platform,
            module = module,
        );
        self.answer("tcbInfo", &info)
    }

    /// The identity of the TD quoting enclave: `{"enclaveIdentity": …, "signature": …}`.
    pub fn qe_identity(&self, collateral: &Collateral) -> Result<String, BenchError> {
        let identity = format!(
            concat!(
                r#"{{"id":"TD_QE","version":2,{},"tcbEvaluationDataNumber":{},"miscselect":"00000000","miscselectMask":"FFFFFFFF","#,
                r#""attributes":"11000000000000000000000000000000","attributesMask":"FBFFFFFFFFFFFFFF0000000000000000","#,
                r#""mrsigner":"{}","isvprodid":{},"tcbLevels":[{}]}}"#
            ),
            collateral.window(),
            collateral.number,
            upper(&QE_SIGNER),
            QE_PRODUCT,
            isv_levels(QE_SVN, collateral.enclave),
        );
        self.answer("enclaveIdentity", &identity)
    }

    /// Both revocation lists, DER: that over platforms and that of the root.
    pub fn lists(&self, collateral: &Collateral) -> Result<(Vec<u8>, Vec<u8>), BenchError> {
        let (number, valid) = (collateral.number.into(), collateral.valid);
        let platforms = self.platforms_list(number, valid, &collateral.revoked)?;
        Ok((platforms, self.root_list(number, valid, collateral.platforms_revoked)?))
    }

    fn answer(&self, member: &str, signed: &str) -> Result<String, BenchError> {
        let signature = upper(&self.0.signer.sign(signed.as_bytes())?).to_ascii_lowercase();
        Ok(format!(r#"{{"{member}":{signed},"signature":"{signature}"}}"#))
    }
}

/// A level of `svn` with this status, and one below it that is out of date.
fn isv_levels(svn: u16, status: Status) -> String {
    let level =
        |svn: u16, status: Status| format!(r#"{{"tcb":{{"isvsvn":{svn}}},"tcbDate":"{TCB_DATE}","tcbStatus":"{}"}}"#, status.as_str());
    [level(svn, status), level(svn / 2, Status::OutOfDate)].join(",")
}

fn level(sgx: &[u8; 16], pce_svn: u16, tdx: [u8; 3], status: Status) -> String {
    let each = |svns: &[u8]| svns.iter().map(|svn| format!(r#"{{"svn":{svn}}}"#)).collect::<Vec<_>>().join(",");
    let tdx = [&tdx[..], &[0; 13]].concat();
    let advisories = if status == Status::UpToDate { "" } else { r#""INTEL-SA-00960""# };
    let tcb = format!(r#"{{"sgxtcbcomponents":[{}],"pcesvn":{pce_svn},"tdxtcbcomponents":[{}]}}"#, each(sgx), each(&tdx));
    format!(r#"{{"tcb":{tcb},"tcbDate":"{TCB_DATE}","tcbStatus":"{}","advisoryIDs":[{advisories}]}}"#, status.as_str())
}

fn upper(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
