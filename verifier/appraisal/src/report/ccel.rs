//! The boot log of a TD, with or without the quote that proves it.

use super::Settings;
use super::eventlog::LIMITS;
use super::findings::Findings;
use super::parts::{Item, Parts};
use super::tdx;
use crate::eventlog::{EventLog, count};
use crate::hex::encode as hex;
use crate::tdx::Quote;
use crate::tdx::ccel::{CcelTable, Rtmrs, SecureBoot, appraise_hand_over, appraise_rtmrs};
use crate::tpm::HashAlgorithm;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn appraise(parts: &Parts<'_>, settings: &Settings<'_>, findings: &mut Findings) {
    table(parts, findings);
    let log = log(parts, findings);
    let quote = parts.only("TDX quote", findings, |item| if let Item::TdxQuote(quote) = item { Some(*quote) } else { None });
    let Some((file, bytes)) = quote else {
        findings.missing("quote", "the TDX quote of the same boot: whether the TD measured what the log tells");
        return;
    };
    let quote = match Quote::parse(bytes) {
        Ok(quote) => quote,
        Err(error) => return findings.malformed(file, error),
    };
    let Some(chain) = tdx::chain(file, &quote, findings) else { return };
    findings
        .claim("quote_rtmrs", (0..).zip(&quote.body.rtmrs).map(|(n, rtmr): (u8, _)| (format!("rtmr{n}"), hex(rtmr))).collect::<Value>());
    let nonce = parts.nonce(settings.nonce, findings);
    tdx::tell_quote(&quote, &chain, findings);
    tdx::appraise_parts(parts, &quote, &chain, nonce.as_deref(), |_| false, settings, findings);
    if let Some((log, replayed)) = log
        && appraise_rtmrs(&replayed, &quote.body, &mut findings.authenticity)
    {
        appraise_hand_over(&log, &mut findings.policy);
    }
}

fn table(parts: &Parts<'_>, findings: &mut Findings) {
    let table = parts.only("ACPI table", findings, |item| if let Item::CcelTable(table) = item { Some(*table) } else { None });
    match table.map(|(file, bytes)| (file, CcelTable::parse(bytes))) {
        Some((_, Ok(table))) => findings.claim("log_area", json!({ "bytes": table.area, "address": format!("{:#x}", table.address) })),
        Some((file, Err(error))) => findings.malformed(file, error),
        None => {}
    }
}

/// The one log among the parts, with what it leads to.
fn log<'a>(parts: &Parts<'a>, findings: &mut Findings) -> Option<(EventLog<'a>, Rtmrs)> {
    let Some((file, bytes)) = parts.only("boot log", findings, |item| if let Item::Ccel(log) = item { Some(*log) } else { None }) else {
        findings.missing("ccel", "the boot log that the ACPI table points to");
        return None;
    };
    let log = EventLog::parse(bytes, &LIMITS).map_err(|error| findings.malformed(file, error)).ok()?;
    tell(&log, bytes.len(), findings);
    let replayed = Rtmrs::replay(&log).map_err(|error| findings.malformed(file, error)).ok()?;
    let values = replayed.extended().map(|(register, value)| (register.to_string(), Value::from(hex(value)))).collect::<Value>();
    findings.claim("replayed_rtmrs_by_mr_index", json!({ "sha384": values }));
    Some((log, replayed))
}

/// What the log says of itself.
fn tell(log: &EventLog<'_>, length: usize, findings: &mut Findings) {
    let bank = HashAlgorithm::Sha384;
    let algorithms =
        log.algorithms().map(|id| HashAlgorithm::from_id(id).map_or_else(|| format!("{id:#06x}"), |hash| hash.name().to_owned()));
    findings.claim("format", "crypto-agile (TCG2)");
    findings.claim("algorithms", algorithms.collect::<Vec<_>>());
    if let Some(header) = log.header() {
        let (major, minor, errata) = header.version;
        findings.claim("spec", format!("{major}.{minor}.{errata}"));
        findings.claim("platform_class", header.platform_class);
        findings.claim("uintn", header.uintn_size);
    }
    findings.claim("events", log.events().len());
    findings.claim("indices", log.events().iter().map(|event| event.pcr).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    let mut kinds = BTreeMap::new();
    let mut others = BTreeMap::new();
    for event in log.events() {
        count(&mut kinds, event.kind);
        if event.is_extended() && log.digest(event, bank) != Some(bank.digest(&[event.data]).as_ref()) {
            count(&mut others, (event.kind, event.pcr));
        }
    }
    findings.claim("event_types", kinds.iter().map(|(kind, count)| (kind.to_string(), Value::from(*count))).collect::<Value>());
    let others = others.iter().map(|((kind, pcr), count)| (format!("{kind} (PCR{pcr})"), Value::from(*count)));
    findings.claim("digest_not_hash_of_event_data", others.collect::<Value>());
    findings.claim("log_ends_at", log.ends_at());
    findings.claim("padding_bytes", length.saturating_sub(log.ends_at()));
    let secure_boot = SecureBoot::of(log);
    let mut told = Map::new();
    told.insert("SecureBoot".to_owned(), secure_boot.on.into());
    told.extend(secure_boot.databases.into_iter().map(|(name, length)| (format!("{name}_bytes"), length.into())));
    findings.claim("secure_boot", told);
}
