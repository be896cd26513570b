//! A genuine quote under its collateral.

use super::collateral::{Collateral, Revoked};
use super::evaluation::Evaluation;
use super::genuine::GenuineQuote;
use super::pck::Pck;
use super::rules::{
    AUTHORITY_REVOKED, CRL_CURRENT, CRL_NUMBER, EVALUATION_NUMBER, FMSPC, MODULE, MODULE_LEVEL, PCEID, PCK_CRL, PCK_REVOKED, QE_IDENTITY,
    QE_IDENTITY_CURRENT, QE_LEVEL, ROOT_CA_CRL, TCB_INFO_CURRENT, TCB_LEVEL,
};
use super::signed::Window;
use super::tcb_info::TcbStatus;
use super::td_report::TdReport;
use crate::calendar::told;
use crate::check::{Checks, Rule};
use crate::claims::RootKind;
use crate::hex::encode as hex;

/// The least that collateral may be: what was seen before. Nothing was in [`Floors::default`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Floors<'a> {
    /// Least `tcbEvaluationDataNumber` of TCB info and QE identity.
    pub evaluation: u32,
    /// Least `cRLNumber` of the PCK authority's list, big-endian; none may be lower, or absent.
    pub pck_crl: Option<&'a [u8]>,
    /// Least `cRLNumber` of the root's list, big-endian; none may be lower, or absent.
    pub root_ca_crl: Option<&'a [u8]>,
}

/// Facts of a quote; made only by [`appraise`], only after every rule held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TdxFacts {
    body: TdReport,
    pck: Pck,
    status: TcbStatus,
    advisories: Vec<String>,
    window: Window,
    anchor: (String, RootKind),
}

impl TdxFacts {
    /// The TD: measurements, attributes, report data.
    #[must_use]
    pub fn body(&self) -> &TdReport {
        &self.body
    }

    /// The platform.
    #[must_use]
    pub fn pck(&self) -> &Pck {
        &self.pck
    }

    /// What Intel thinks of platform, TDX module and quoting enclave together.
    #[must_use]
    pub fn status(&self) -> TcbStatus {
        self.status
    }

    /// Security advisories that any of these has not dealt with.
    #[must_use]
    pub fn advisories(&self) -> &[String] {
        &self.advisories
    }

    /// The time in which the collateral is in force.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// Name and kind of the root.
    #[must_use]
    pub fn anchor(&self) -> (&str, RootKind) {
        (&self.anchor.0, self.anchor.1)
    }
}

/// Appraises a genuine quote under collateral at `now` (seconds since the Unix epoch). Records each of [`super::rules::TCB_RULES`]; what
/// rests on a step that failed stays owed.
pub fn appraise(quote: &GenuineQuote, collateral: &Collateral, floors: &Floors<'_>, now: u64, checks: &mut Checks) -> Option<TdxFacts> {
    let current = is_current(collateral, floors, now, checks);
    let valid = is_not_revoked(quote, collateral, checks);
    let evaluation = Evaluation::of(quote, collateral);
    if !is_for(quote, collateral, &evaluation, checks) {
        return None;
    }
    let known = is_known(quote, &evaluation, checks);
    let status = evaluation.status()?;
    Some(TdxFacts {
        body: quote.body.clone(),
        pck: quote.pck.clone(),
        status,
        advisories: evaluation.advisories(),
        window: collateral.window()?,
        anchor: quote.anchor.clone(),
    })
    .filter(|_| quote.whole && current && valid && known)
}

/// Neither past its end nor older than what was seen before.
fn is_current(collateral: &Collateral, floors: &Floors<'_>, now: u64, checks: &mut Checks) -> bool {
    let (info, identity) = (&collateral.tcb_info, &collateral.qe_identity);
    let mut current = |rule, window: Option<Window>| {
        let found = window.map_or_else(|| "without an end".to_owned(), Window::told);
        checks.record(rule, window.is_some_and(|window| window.contains(now)), format!("in force at {}", told(now)), found)
    };
    let lists = collateral.pck_crl.window.zip(collateral.root_ca_crl.window).map(|(one, other)| one.and(other));
    let mut holds = current(&TCB_INFO_CURRENT, Some(info.window));
    holds &= current(&QE_IDENTITY_CURRENT, Some(identity.window));
    holds &= current(&CRL_CURRENT, lists);
    holds &= numbers_hold(collateral, floors, checks);
    let least = info.evaluation.min(identity.evaluation);
    holds & checks.record(&EVALUATION_NUMBER, least >= floors.evaluation, format!("{} or more", floors.evaluation), least.to_string())
}

fn numbers_hold(collateral: &Collateral, floors: &Floors<'_>, checks: &mut Checks) -> bool {
    let lists = [(&collateral.pck_crl, floors.pck_crl), (&collateral.root_ca_crl, floors.root_ca_crl)];
    let lower = lists.into_iter().find(|(list, floor)| floor.is_some_and(|floor| !reaches(list, floor)));
    let told = |number: Option<&[u8]>| number.map_or_else(|| "none".to_owned(), hex);
    let (expected, found) = match lower {
        Some((list, floor)) => (format!("{} or more", told(floor)), told(list.number.as_deref())),
        None => ("no lower number than before".to_owned(), "none lower".to_owned()),
    };
    checks.record(&CRL_NUMBER, lower.is_none(), expected, found)
}

/// Whether the number of a list is not below `floor`, both big-endian.
fn reaches(list: &Revoked, floor: &[u8]) -> bool {
    let significant = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
    let floor = significant(floor);
    list.number.as_deref().map(significant).is_some_and(|number| (number.len(), &number) >= (floor.len(), &floor))
}

/// Neither the platform's certificate nor an authority's is withdrawn, by the lists of the authorities that issued them.
fn is_not_revoked(quote: &GenuineQuote, collateral: &Collateral, checks: &mut Checks) -> bool {
    let withdrawn = quote.intermediates.iter().chain(&collateral.signers).find(|serial| collateral.root_ca_crl.lists(serial));
    let found = withdrawn.map_or_else(|| "none".to_owned(), |serial| hex(serial));
    let mut holds = checks.record(&AUTHORITY_REVOKED, withdrawn.is_none(), "no authority on the root's list", found);
    let listed = collateral.pck_crl.lists(&quote.pck.serial);
    holds &= checks.record(&PCK_REVOKED, !listed, "a serial number that is not listed", hex(&quote.pck.serial));
    holds
}

/// The collateral is for this kind of machine, and its lists are those of this quote's authorities.
fn is_for(quote: &GenuineQuote, collateral: &Collateral, evaluation: &Evaluation, checks: &mut Checks) -> bool {
    let mut holds = true;
    if collateral.issuer != quote.issuer {
        holds &= checks.record(&PCK_CRL, false, "the list of the PCK's authority", "another authority's");
    }
    if collateral.root != quote.root {
        holds &= checks.record(&ROOT_CA_CRL, false, "the list of the quote's root", "another root's");
    }
    let info = &collateral.tcb_info;
    holds &= checks.record(&FMSPC, evaluation.fmspc_match, hex(&quote.pck.fmspc), hex(&info.fmspc));
    holds & checks.record(&PCEID, evaluation.pceid_match, hex(&quote.pck.pceid), hex(&info.pceid))
}

/// Platform, TDX module and quoting enclave are Intel's and reach a level.
fn is_known(quote: &GenuineQuote, evaluation: &Evaluation, checks: &mut Checks) -> bool {
    let (module, qe) = (&evaluation.module, &evaluation.qe);
    let mut level = |rule: &'static Rule, status: Option<TcbStatus>, found: String| {
        let found = status.map_or(found, |status| status.as_str().to_owned());
        checks.record(rule, status.is_some(), "a level that it reaches", found)
    };
    let (pck, svns) = (&quote.pck, &quote.body.tee_tcb_svn);
    let platform = format!("components {}, PCE {}, TDX {}", hex(&pck.components), pck.pcesvn, hex(svns));
    let mut holds = level(&TCB_LEVEL, evaluation.platform.as_ref().map(|level| level.status), platform);
    if module.has_levels && module.known {
        holds &= level(&MODULE_LEVEL, module.level.as_ref().map(|level| level.status), format!("{} of SVN {}", module.id, svns[0]));
    }
    holds &= level(&QE_LEVEL, qe.level.as_ref().map(|level| level.status), format!("SVN {}", quote.qe.isvsvn));
    let found = format!("{}, known: {}, signer: {}, attributes: {}", module.id, module.known, module.mrsigner_ok, module.attributes_ok);
    holds &= checks.record(&MODULE, module.is_intels(), "a TDX module that Intel names", found);
    let enclave =
        [("MISCSELECT", qe.miscselect_ok), ("attributes", qe.attributes_ok), ("signer", qe.mrsigner_ok), ("product", qe.prodid_ok)];
    let differs = enclave.iter().filter(|(_, holds)| !holds).map(|(field, _)| *field).collect::<Vec<_>>();
    let found = if differs.is_empty() { "that enclave".to_owned() } else { format!("other {}", differs.join(", ")) };
    holds & checks.record(&QE_IDENTITY, qe.is_intels(), "Intel's TD quoting enclave", found)
}
