//! The log's file, and how it is kept in agreement with its register.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use podseal_protocol::{
    BankDigest, Limits,
    binding::PodLogHead,
    pod_log::{Digests, Event, Record, Records, Register, Standing},
};
use rustix::fs::{FlockOperation, OFlags, flock};

use super::{Disagreement, PodLogError, Table};
use crate::{
    hardening::Exceptions,
    owner::{Collector, TpmError},
};

/// Longest file that is read: several times what a verifier takes.
const LONGEST: u64 = 64 << 20;

/// The open log.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    /// The register that it is kept in.
    register: Register,
    /// Held as long as the log is open.
    _lock: File,
    /// Bytes of the file that are whole records.
    bytes: u64,
    /// Where each record begins.
    offsets: Vec<u64>,
    standing: Standing,
    /// What the register holds before the last record.
    before: BankDigest,
    /// The last record's digest, where it is not known to be extended.
    pending: Option<BankDigest>,
    /// Something may stand behind the last whole record.
    torn: bool,
    table: Table,
    /// What the register holds instead of what the records come to. For good: no value can be taken out of a register.
    disagreement: Option<BankDigest>,
}

/// A log's bytes, read: whole records from the first on.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    register: Register,
    bytes: u64,
    offsets: Vec<u64>,
    standing: Standing,
    before: BankDigest,
    last: BankDigest,
    table: Table,
}

impl Reading {
    /// Reads the records of this boot; whatever stands behind the last whole one is left out. `None` where there are none.
    fn new(bytes: &[u8], boot_id: &str, register: Register, limits: &Limits) -> Option<Self> {
        let mut records = Records::new(bytes, 0, register, limits).map_while(Result::ok);
        let (began, digests) = records.next()?;
        let Event::Began { boot_id: of, register: before, .. } = &began.event else { return None };
        if of != boot_id {
            return None;
        }
        let mut reading = Self {
            register,
            bytes: 0,
            offsets: Vec::new(),
            standing: Standing::begin(*before),
            before: *before,
            last: digests.extended,
            table: Table::default(),
        };
        reading.add(&began, &digests);
        for (record, digests) in records {
            reading.add(&record, &digests);
        }
        Some(reading)
    }

    fn add(&mut self, record: &Record, digests: &Digests) {
        self.offsets.push(self.bytes);
        self.bytes = self.bytes.saturating_add(record.encode(self.register).len() as u64);
        self.before = self.standing.register();
        self.standing = self.standing.and(digests);
        self.last = digests.extended;
        self.table.apply(&record.event);
    }
}

impl Log {
    /// Opens the log of this boot, or begins it, and makes register and file agree. Its last record then says that this attester started and
    /// what that does without: no evidence comes before it. Where they do not agree it is open all the same: a verifier is to see it.
    ///
    /// # Errors
    /// File or TPM are away.
    pub(crate) fn open(
        path: &Path,
        boot_id: &str,
        exceptions: &Exceptions,
        limits: &Limits,
        tpm: &mut dyn Collector,
    ) -> Result<Self, TpmError> {
        let lock = lock(path)?;
        let found = read(path)?;
        let exceptions = exceptions.names().map(str::to_owned).collect();
        let register = tpm.pod_log_register();
        let Some(reading) = Reading::new(&found, boot_id, register, limits) else {
            let event = Event::Began { boot_id: boot_id.to_owned(), register: tpm.register()?, exceptions };
            let bytes = Record { number: 0, event }.encode(register);
            let reading = Reading::new(&bytes, boot_id, register, limits).ok_or(PodLogError::NotKept)?;
            begin(path, &bytes, !found.is_empty())?;
            let mut log = Self::from(path, lock, reading, bytes.len() as u64)?;
            log.settle(tpm)?;
            return Ok(log);
        };
        let mut log = Self::from(path, lock, reading, found.len() as u64)?;
        match log.record(Event::AttesterRestarted { exceptions }, tpm) {
            Ok(_) | Err(TpmError::PodLog(PodLogError::Disagrees { .. })) => {}
            Err(error) => return Err(error),
        }
        Ok(log)
    }

    fn from(path: &Path, lock: File, reading: Reading, length: u64) -> Result<Self, PodLogError> {
        let Reading { register, bytes, offsets, standing, before, last, table } = reading;
        let file = OpenOptions::new().read(true).write(true).custom_flags(no_follow()).open(path).map_err(at(path))?;
        let (path, torn, pending) = (path.to_owned(), length > bytes, Some(last));
        Ok(Self { path, file, register, _lock: lock, bytes, offsets, standing, before, pending, torn, table, disagreement: None })
    }

    /// What runs, by the records.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Makes the register agree with the file, where it is not known to: extends the last record unless that was done.
    ///
    /// # Errors
    /// They do not agree, now or before; or the TPM is away.
    pub(crate) fn settle(&mut self, tpm: &mut dyn Collector) -> Result<(), TpmError> {
        self.sound()?;
        let Some(last) = self.pending else { return Ok(()) };
        let register = tpm.register()?;
        if register == self.before {
            tpm.extend(&last)?;
        } else {
            self.agrees(&register)?;
        }
        self.pending = None;
        Ok(())
    }

    /// Whether a register is what the log comes to. Where it is not, it never will be again.
    pub(crate) fn agrees(&mut self, register: &BankDigest) -> Result<(), PodLogError> {
        if *register != self.standing.register() {
            self.disagreement.get_or_insert(*register);
        }
        self.sound()
    }

    /// Whether nothing is known that speaks against it.
    pub(crate) fn sound(&self) -> Result<(), PodLogError> {
        let disagreement = |found| Disagreement {
            path: self.path.clone(),
            records: self.head().length,
            register: self.register,
            found,
            wanted: self.standing.register(),
        };
        self.disagreement.map_or(Ok(()), |found| Err(PodLogError::Disagrees(Box::new(disagreement(found)))))
    }

    /// Writes a record, and extends it. Once it is in the file this succeeds: what the TPM did not take is extended before anything else is.
    pub(crate) fn record(&mut self, event: Event, tpm: &mut dyn Collector) -> Result<PodLogHead, TpmError> {
        self.settle(tpm)?;
        self.cut()?;
        let record = Record { number: self.head().length, event };
        let (bytes, digests) = (record.encode(self.register), record.digests(self.register.bank()));
        self.torn = true;
        self.file.write_all_at(&bytes, self.bytes).and_then(|()| self.file.sync_data()).map_err(at(&self.path))?;
        self.torn = false;
        self.offsets.push(self.bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        (self.before, self.standing) = (self.standing.register(), self.standing.and(&digests));
        self.pending = Some(digests.extended);
        self.table.apply(&record.event);
        match tpm.extend(&digests.extended) {
            Ok(()) => self.pending = None,
            Err(error) => tracing::warn!(%error, record = record.number, "the pod log's last record is not extended yet"),
        }
        Ok(self.head())
    }

    pub(crate) fn head(&self) -> PodLogHead {
        self.standing.head()
    }

    /// The records from number `from` on; from the first where there are none behind it.
    pub(crate) fn records(&self, from: u64, limits: &Limits) -> Result<(u64, Vec<u8>), PodLogError> {
        let from = if from > self.head().length { 0 } else { from };
        let begin = usize::try_from(from).ok().and_then(|from| self.offsets.get(from)).copied().unwrap_or(self.bytes);
        let length = self.bytes.saturating_sub(begin);
        let fits = usize::try_from(length).ok().filter(|length| *length <= limits.pod_log);
        let fits = fits.ok_or(PodLogError::TooLong { found: length, most: limits.pod_log })?;
        let mut records = vec![0; fits];
        self.file.read_exact_at(&mut records, begin).map_err(at(&self.path))?;
        Ok((from, records))
    }

    /// Cuts off what stands behind the last whole record. It was never extended: settling has shown that.
    fn cut(&mut self) -> Result<(), PodLogError> {
        if self.torn {
            self.file.set_len(self.bytes).and_then(|()| self.file.sync_data()).map_err(at(&self.path))?;
            self.torn = false;
        }
        Ok(())
    }
}

/// A new file with these bytes; that of another boot is kept beside it.
fn begin(path: &Path, bytes: &[u8], is_other: bool) -> Result<(), PodLogError> {
    let new = beside(path, "new");
    write_new(&new, bytes).map_err(at(&new))?;
    if is_other {
        fs::rename(path, beside(path, "previous")).map_err(at(path))?;
    }
    fs::rename(&new, path).map_err(at(path))?;
    synchronise_folder(path).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> PodLogError {
    move |problem| PodLogError::File { path: path.to_owned(), problem }
}

fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(word);
    name.into()
}

fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

/// One attester keeps a log: two would each take the other's records for a stranger's. The kernel lets go of the lock when the process ends.
fn lock(path: &Path) -> Result<File, PodLogError> {
    let path = beside(path, "lock");
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow()).open(&path);
    let file = open.map_err(at(&path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(PodLogError::InUse { path }),
        Err(problem) => Err(at(&path)(problem.into())),
    }
}

/// The file; nothing where there is none.
fn read(path: &Path) -> Result<Vec<u8>, PodLogError> {
    let mut bytes = Vec::new();
    let read = OpenOptions::new().read(true).custom_flags(no_follow()).open(path).and_then(|f| f.take(LONGEST + 1).read_to_end(&mut bytes));
    match read {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => Err(at(path)(problem)),
        _ if bytes.len() as u64 > LONGEST => {
            let most = usize::try_from(LONGEST).unwrap_or(usize::MAX);
            Err(PodLogError::TooLong { found: bytes.len() as u64, most })
        }
        _ => Ok(bytes),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow()).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn synchronise_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
