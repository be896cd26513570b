//! Both formats of the log: TPM 1.2's with SHA-1 only, and crypto-agile.

use super::EventKind;
use crate::tpm::HashAlgorithm;
use crate::tpm::buffer::{Reader, StructureError};
use podseal_protocol::Limits;
use thiserror::Error;

/// Why bytes are not a boot log that can be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LogError {
    /// More bytes than the limit.
    #[error("the log has {found} bytes, {limit} are allowed; see what the firmware fills it with")]
    TooLarge {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// More events than the limit.
    #[error("the log has more than {limit} events; see what the firmware fills it with")]
    TooManyEvents {
        /// The limit.
        limit: usize,
    },
    /// No event at all.
    #[error("the log is empty; check that the kernel exposes binary_bios_measurements")]
    Empty,
    /// The log ends inside an event.
    #[error("event {position}: {error}")]
    Event {
        /// Position of the event, from 0.
        position: usize,
        /// What is wrong.
        error: StructureError,
    },
    /// The header event of a crypto-agile log contradicts the specification.
    #[error("the header event says {what} {found}, which PFP 1.06, 10.2.1.1 does not allow; send the log as the kernel has it")]
    Header {
        /// Field.
        what: &'static str,
        /// What was there.
        found: u64,
    },
    /// An event has a digest of an algorithm that the header does not announce, or not one of each.
    #[error("event {position} does not have one digest of each algorithm that the header announces; send the log as the kernel has it")]
    Digests {
        /// Position of the event, from 0.
        position: usize,
    },
    /// An event names a register that no TPM has.
    #[error("event {position} names PCR {found}, registers are 0 to 23; send the log as the kernel has it")]
    Register {
        /// Position of the event, from 0.
        position: usize,
        /// What was there.
        found: u32,
    },
    /// The log has no digests of this bank.
    #[error("the log has no {bank} digests; enable the {bank} bank in the firmware")]
    NoBank {
        /// Name of the bank.
        bank: &'static str,
    },
    /// The log says twice or too late, or wrongly, in which locality the TPM was started.
    #[error("event {position} gives a startup locality where PFP 1.06, 10.4.5.3 allows none; send the log as the kernel has it")]
    StartupLocality {
        /// Position of the event, from 0.
        position: usize,
    },
}

/// The header event of a crypto-agile log (`TCG_EfiSpecIdEvent`, PFP 1.06, 10.2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 0 client, 1 server.
    pub platform_class: u32,
    /// Major, minor, errata.
    pub version: (u8, u8, u8),
    /// 1 for 32-bit, 2 for 64-bit firmware.
    pub uintn_size: u8,
}

/// One event, borrowed from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Position in the log, from 0, the header counted.
    pub position: usize,
    /// Register; only an event of type `EV_NO_ACTION` may name one above 23.
    pub pcr: u32,
    /// Type: unauthenticated.
    pub kind: EventKind,
    /// Data: unauthenticated, unless a digest is its hash.
    pub data: &'a [u8],
    /// As they stand in the log: one SHA-1 digest, or each digest behind its algorithm.
    pub(super) digests: &'a [u8],
    pub(super) sha1_only: bool,
}

impl Event<'_> {
    /// Whether the event was extended into a register.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        self.kind != EventKind::NO_ACTION
    }
}

/// A parsed log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLog<'a> {
    header: Option<Header>,
    algorithms: Vec<(u16, usize)>,
    events: Vec<Event<'a>>,
    ends_at: usize,
}

/// No event is shorter: five words in the crypto-agile format without digests.
const SHORTEST_EVENT: usize = 16;
/// Algorithms in one header; the registry has fewer hashes.
const MOST_ALGORITHMS: u32 = 16;
/// Length and terminator included.
const SPEC_ID: &[u8; 16] = b"Spec ID Event03\0";

impl<'a> EventLog<'a> {
    /// Parses a log of either format. Filling behind the last event (all 00 or all ff) is ignored.
    ///
    /// # Errors
    /// [`LogError`]; also where a digest count, an algorithm or a register is one that the format does not allow.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, LogError> {
        if bytes.len() > limits.evidence_part {
            return Err(LogError::TooLarge { found: bytes.len(), limit: limits.evidence_part });
        }
        let mut reader = Reader::new("boot log", bytes);
        let filling = filling(bytes);
        if filling == bytes.len() {
            return Err(LogError::Empty);
        }
        let first = read_sha1_event(&mut reader, 0)?;
        let (header, algorithms) = match read_header(&first)? {
            Some((header, algorithms)) => (Some(header), algorithms),
            None => (None, vec![(HashAlgorithm::Sha1.id(), HashAlgorithm::Sha1.size())]),
        };
        let mut events = Vec::with_capacity((bytes.len() / (2 * SHORTEST_EVENT)).min(256));
        events.push(first);
        while reader.left() > filling {
            let position = events.len();
            if position >= limits.events {
                return Err(LogError::TooManyEvents { limit: limits.events });
            }
            let event = match header {
                Some(_) => read_event(&mut reader, position, &algorithms)?,
                None => read_sha1_event(&mut reader, position)?,
            };
            events.push(event);
        }
        Ok(Self { header, algorithms, events, ends_at: bytes.len() - reader.left() })
    }

    /// Where the last event ends, in bytes from the beginning; only filling follows.
    #[must_use]
    pub fn ends_at(&self) -> usize {
        self.ends_at
    }

    /// The header of a crypto-agile log; `None` for the SHA-1 format.
    #[must_use]
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// `TPM_ALG_ID` of the banks that the log has digests of.
    pub fn algorithms(&self) -> impl Iterator<Item = u16> {
        self.algorithms.iter().map(|(id, _)| *id)
    }

    /// Every event, the header included.
    #[must_use]
    pub fn events(&self) -> &[Event<'a>] {
        &self.events
    }

    /// Digest of `event` for `bank`, where it has one.
    #[must_use]
    pub fn digest(&self, event: &Event<'a>, bank: HashAlgorithm) -> Option<&'a [u8]> {
        if event.sha1_only {
            return (bank == HashAlgorithm::Sha1).then_some(event.digests);
        }
        let mut reader = Reader::new("digests", event.digests);
        while let Ok(id) = read_u16(&mut reader) {
            let digest = reader.take(size_of(&self.algorithms, id)?).ok()?;
            if id == bank.id() {
                return Some(digest);
            }
        }
        None
    }
}

/// `TCG_PCClientPCREvent` (PFP 1.06, 10.1): register, type, SHA-1, size, data.
fn read_sha1_event<'a>(reader: &mut Reader<'a>, position: usize) -> Result<Event<'a>, LogError> {
    let at = |error| LogError::Event { position, error };
    let pcr = read_u32(reader).map_err(at)?;
    let kind = EventKind(read_u32(reader).map_err(at)?);
    let digests = reader.take(HashAlgorithm::Sha1.size()).map_err(at)?;
    let data = read_data(reader).map_err(at)?;
    check_register(Event { position, pcr, kind, data, digests, sha1_only: true })
}

/// `TCG_PCR_EVENT2` (PFP 1.06, 10.2.2): register, type, `TPML_DIGEST_VALUES`, size, data; all little-endian.
fn read_event<'a>(reader: &mut Reader<'a>, position: usize, algorithms: &[(u16, usize)]) -> Result<Event<'a>, LogError> {
    let at = |error| LogError::Event { position, error };
    let pcr = read_u32(reader).map_err(at)?;
    let kind = EventKind(read_u32(reader).map_err(at)?);
    let digests = read_digests(reader, position, algorithms)?;
    let data = read_data(reader).map_err(at)?;
    check_register(Event { position, pcr, kind, data, digests, sha1_only: false })
}

/// One digest of each announced algorithm, in any order.
fn read_digests<'a>(reader: &mut Reader<'a>, position: usize, algorithms: &[(u16, usize)]) -> Result<&'a [u8], LogError> {
    let at = |error| LogError::Event { position, error };
    let count = read_u32(reader).map_err(at)?;
    if usize::try_from(count).ok() != Some(algorithms.len()) {
        return Err(LogError::Digests { position });
    }
    let mut walk = reader.clone();
    let mut seen = 0_u32;
    for _ in 0..count {
        let id = read_u16(&mut walk).map_err(at)?;
        let slot = algorithms.iter().position(|(announced, _)| *announced == id).ok_or(LogError::Digests { position })?;
        if seen >> slot & 1 == 1 {
            return Err(LogError::Digests { position });
        }
        seen |= 1 << slot;
        walk.take(size_of(algorithms, id).ok_or(LogError::Digests { position })?).map_err(at)?;
    }
    reader.take(reader.left() - walk.left()).map_err(at)
}

fn check_register(event: Event<'_>) -> Result<Event<'_>, LogError> {
    if event.pcr > 23 && event.is_extended() {
        return Err(LogError::Register { position: event.position, found: event.pcr });
    }
    Ok(event)
}

type Announced = (Header, Vec<(u16, usize)>);

/// The header, if the first event is one; any other first event means the SHA-1 format.
fn read_header(first: &Event<'_>) -> Result<Option<Announced>, LogError> {
    let Some(body) = first.data.strip_prefix(SPEC_ID).filter(|_| !first.is_extended()) else { return Ok(None) };
    let at = |error| LogError::Event { position: 0, error };
    let mut reader = Reader::new("header event", body);
    let platform_class = read_u32(&mut reader).map_err(at)?;
    let [minor, major, errata, uintn_size] = reader.array().map_err(at)?;
    let count = read_u32(&mut reader).map_err(at)?;
    if count == 0 || count > MOST_ALGORITHMS {
        return Err(LogError::Header { what: "number of algorithms", found: u64::from(count) });
    }
    let mut algorithms = Vec::new();
    for _ in 0..count {
        let id = read_u16(&mut reader).map_err(at)?;
        let size = usize::from(read_u16(&mut reader).map_err(at)?);
        let known = HashAlgorithm::from_id(id).is_none_or(|hash| hash.size() == size);
        if !known || size == 0 || size > HashAlgorithm::LARGEST {
            return Err(LogError::Header { what: "digest size", found: size as u64 });
        }
        if size_of(&algorithms, id).is_some() {
            return Err(LogError::Header { what: "twice the algorithm", found: u64::from(id) });
        }
        algorithms.push((id, size));
    }
    let vendor = reader.u8().map_err(at)?;
    reader.take(usize::from(vendor)).map_err(at)?;
    reader.finish().map_err(at)?;
    Ok(Some((Header { platform_class, version: (major, minor, errata), uintn_size }, algorithms)))
}

fn size_of(algorithms: &[(u16, usize)], id: u16) -> Option<usize> {
    algorithms.iter().find(|(announced, _)| *announced == id).map(|(_, size)| *size)
}

/// How many bytes at the end are all 00 or all ff.
fn filling(bytes: &[u8]) -> usize {
    let same = |last: &u8| bytes.iter().rev().take_while(|byte| *byte == last).count();
    bytes.last().filter(|last| [0, 0xff].contains(*last)).map_or(0, same)
}

fn read_data<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], StructureError> {
    let size = read_u32(reader)?;
    reader.take(usize::try_from(size).unwrap_or(usize::MAX))
}

fn read_u16(reader: &mut Reader<'_>) -> Result<u16, StructureError> {
    reader.array().map(u16::from_le_bytes)
}

fn read_u32(reader: &mut Reader<'_>) -> Result<u32, StructureError> {
    reader.array().map(u32::from_le_bytes)
}
