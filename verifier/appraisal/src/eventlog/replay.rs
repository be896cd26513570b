//! Replaying a log: the registers that its digests lead to.

use super::describe::covered_bytes;
use super::variable::{secure_boot, secure_boot_of_td};
use super::{EventKind, EventLog, LogError};
use crate::claims::Claim;
use crate::layout::Layout;
use crate::tpm::{HashAlgorithm, PcrSet, PcrValues};
use podseal_protocol::{Bank, BankDigest, Digest, Limits, pod_log};

/// One bank of registers as a log leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registers {
    size: usize,
    values: [[u8; HashAlgorithm::LARGEST]; PcrSet::COUNT as usize],
    extended: PcrSet,
}

impl Registers {
    /// Replays the events of `log` into `bank`. Events of type `EV_NO_ACTION` are not extended (PFP 1.06, 10.4.5).
    ///
    /// # Errors
    /// [`LogError::NoBank`], [`LogError::StartupLocality`].
    pub fn replay(log: &EventLog<'_>, bank: HashAlgorithm) -> Result<Self, LogError> {
        if log.algorithms().all(|id| id != bank.id()) {
            return Err(LogError::NoBank { bank: bank.name() });
        }
        let mut registers =
            Self { size: bank.size(), values: [[0; HashAlgorithm::LARGEST]; PcrSet::COUNT as usize], extended: PcrSet::default() };
        let mut located = false;
        for event in log.events() {
            if !event.is_extended() {
                if let Some(locality) = startup_locality(event.data) {
                    // PFP 1.06, 10.4.5.3: at most once, before PCR 0 is extended, localities 0, 3 and 4 only.
                    let early = !located && !registers.extended.contains(0) && [0, 3, 4].contains(&locality);
                    if !early {
                        return Err(LogError::StartupLocality { position: event.position });
                    }
                    located = true;
                    registers.start(locality);
                }
                continue;
            }
            let digest = log.digest(event, bank).ok_or(LogError::NoBank { bank: bank.name() })?;
            let index = u8::try_from(event.pcr).map_err(|_| LogError::Register { position: event.position, found: event.pcr })?;
            registers.extend(bank, index, digest).ok_or(LogError::Register { position: event.position, found: event.pcr })?;
        }
        Ok(registers)
    }

    /// The value of a register: zero (but for the startup locality in PCR 0) where nothing was extended.
    #[must_use]
    pub fn get(&self, index: u8) -> Option<&[u8]> {
        self.values.get(usize::from(index)).and_then(|value| value.get(..self.size))
    }

    /// The registers that the log extends.
    #[must_use]
    pub fn extended(&self) -> PcrSet {
        self.extended
    }

    /// PFP 1.06, 10.4.5.3: PCR 0 starts as the locality of `TPM2_Startup`, in its last byte.
    fn start(&mut self, locality: u8) {
        if let Some(last) = self.values.first_mut().and_then(|value| value.get_mut(self.size - 1)) {
            *last = locality;
        }
    }

    /// Part 1, 17.3: PCR new = H(PCR old || digest).
    fn extend(&mut self, bank: HashAlgorithm, index: u8, digest: &[u8]) -> Option<()> {
        let value = self.values.get_mut(usize::from(index))?.get_mut(..self.size)?;
        let extended = bank.digest(&[value, digest]);
        value.copy_from_slice(extended.as_ref());
        self.extended = self.extended.with(index)?;
        Some(())
    }
}

/// One extended event of a replayed log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedEvent {
    /// Position in the log, from 0: [`EventLog::events`] has its data.
    pub position: usize,
    /// Register.
    pub pcr: u8,
    /// Type: unauthenticated.
    pub kind: EventKind,
    /// Digest that was extended.
    pub digest: BankDigest,
}

/// A log, parsed and replayed into one bank: pure value, to be kept by [`ReplayedLog::is_of`] for as long as the boot lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedLog {
    digest: Digest,
    layout: Layout,
    registers: PcrValues,
    extended: PcrSet,
    events: Vec<ReplayedEvent>,
    told: bool,
    secure_boot: Claim<bool>,
}

impl ReplayedLog {
    /// Parses and replays `bytes` into `bank`, for registers that are laid out like this.
    ///
    /// # Errors
    /// [`LogError`]; [`LogError::NoBank`] if the log has no digests of the bank.
    pub fn replay(bytes: &[u8], bank: Bank, layout: Layout, limits: &Limits) -> Result<Self, LogError> {
        let hash = HashAlgorithm::from(bank);
        let log = EventLog::parse(bytes, limits)?;
        let replayed = Registers::replay(&log, hash)?;
        let mut registers = PcrValues::new(bank);
        for index in 0..PcrSet::COUNT {
            if !replayed.get(index).is_some_and(|value| registers.insert(index, value)) {
                return Err(LogError::NoBank { bank: bank.name() });
            }
        }
        let events = log.events().iter().filter(|event| event.is_extended()).filter_map(|event| {
            let digest = BankDigest::from_bytes(bank, log.digest(event, hash)?)?;
            Some(ReplayedEvent { position: event.position, pcr: u8::try_from(event.pcr).ok()?, kind: event.kind, digest })
        });
        Ok(Self {
            digest: Digest::of(bytes),
            layout,
            registers,
            extended: replayed.extended(),
            events: events.collect(),
            told: register_is_told(&log, hash, layout.pod_log(bank).index()),
            secure_boot: match layout {
                Layout::Tpm => secure_boot(&log, hash),
                Layout::Td => secure_boot_of_td(&log, hash),
            },
        })
    }

    /// Whether replaying `bytes` into `bank`, for this layout, comes to this.
    #[must_use]
    pub fn is_of(&self, bytes: &[u8], bank: Bank, layout: Layout) -> bool {
        (self.registers.bank(), self.layout) == (bank, layout) && self.digest == Digest::of(bytes)
    }

    /// What its registers are for.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// SHA-256 of the log's bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What every register holds if the log is the whole truth about it.
    #[must_use]
    pub fn registers(&self) -> &PcrValues {
        &self.registers
    }

    /// The registers that the log extends.
    #[must_use]
    pub fn extended(&self) -> PcrSet {
        self.extended
    }

    /// The extended events, in order. Unproved until [`super::appraise_log`] compared them with a quote.
    pub(super) fn events(&self) -> &[ReplayedEvent] {
        &self.events
    }

    /// What the boot left in the register of the pod log; `None` where the log does not tell what was measured there.
    pub(super) fn before_pod_log(&self) -> Option<&[u8]> {
        self.registers.get(self.layout.pod_log(self.registers.bank()).index()).filter(|_| self.told)
    }

    pub(super) fn secure_boot(&self) -> Claim<bool> {
        self.secure_boot.clone()
    }
}

/// Whether the log has the bytes of everything that it says was measured into the register of the pod log, and none of it is a record of
/// one. That register is open after boot and this log is text by whoever sends it: with digests alone, the records of a pod log that is
/// to be hidden could pass for events of the boot.
fn register_is_told(log: &EventLog<'_>, bank: HashAlgorithm, register: u8) -> bool {
    let mut events = log.events().iter().filter(|event| event.is_extended() && event.pcr == u32::from(register));
    events.all(|event| {
        let measured = log.digest(event, bank).and_then(|digest| covered_bytes(event, bank, digest));
        measured.is_some_and(|bytes| !pod_log::is_content(bytes))
    })
}

/// `TCG_EfiStartupLocalityEvent` (PFP 1.06, 10.4.5.3).
pub(super) fn startup_locality(data: &[u8]) -> Option<u8> {
    match data.strip_prefix(b"StartupLocality\0") {
        Some([locality]) => Some(*locality),
        _ => None,
    }
}
