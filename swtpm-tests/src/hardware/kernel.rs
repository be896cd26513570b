//! The kernel's part of a guest, as a filesystem: configfs-tsm, a run-time register of TDX, and the boot log's ACPI table with its log.
//!
//! Mounted over an empty folder it has
//! - `tsm/report/` (Linux, Documentation/ABI/testing/configfs-tsm-report): a folder made in it has the attributes of a report;
//! - `rtmr3:sha384` (Linux, Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest): 48 bytes to read, 48 to extend it by;
//! - `CCEL` and `CCEL_TABLE`, where the guest has a boot log.
//!
//! What makes the reports is exchanged while it is mounted. The page cache is passed by: each read is answered anew.

mod entry;
mod filesystem;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA384, digest};
use fuser::{BackgroundSession, Config, MountOption};

use crate::error::BenchError;
use entry::Entry;
use filesystem::Mounted;

/// Bytes of a run-time register.
const REGISTER: usize = 48;

/// Which driver the guest has: what its reports are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// SEV-SNP. Entries have privilege levels.
    SevGuest,
    /// TDX.
    TdxGuest,
}

impl Driver {
    fn name(self) -> &'static str {
        match self {
            Self::SevGuest => "sev_guest",
            Self::TdxGuest => "tdx_guest",
        }
    }
}

/// What somebody asks for by reading `outblob`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The last `inblob`.
    pub report_data: [u8; 64],
    /// The last `privlevel`; 0 where nothing was written.
    pub privlevel: u32,
    /// What RTMR3 holds now.
    pub rtmr3: [u8; REGISTER],
}

/// What is read then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// `outblob`.
    pub report: Vec<u8>,
    /// `auxblob`: the host's table of certificates.
    pub auxiliary: Option<Vec<u8>>,
}

/// What makes reports. An error is the reader's EIO, and [`GuestKernel::failure`].
pub type Reporter = Box<dyn FnMut(&Asked) -> Result<Reply, BenchError> + Send>;

/// A boot log that the firmware left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootLog {
    /// The ACPI table CCEL.
    pub table: Vec<u8>,
    /// The log.
    pub log: Vec<u8>,
}

/// A mounted kernel; it is unmounted with the value.
#[derive(Debug)]
pub struct GuestKernel {
    folder: PathBuf,
    guest: Arc<Mutex<Guest>>,
    session: Option<BackgroundSession>,
}

/// What the guest has.
struct Guest {
    driver: Driver,
    reporter: Reporter,
    rtmr3: [u8; REGISTER],
    boot_log: Option<BootLog>,
    entries: Vec<Entry>,
    /// Entries made so far.
    made: u64,
    asked: Vec<Asked>,
    failure: Option<String>,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").field("driver", &self.driver).field("entries", &self.entries).finish_non_exhaustive()
    }
}

impl Guest {
    /// RTMR3 becomes SHA-384 of what it held and `by` (Intel TDX Module ABI, TDG.MR.RTMR.EXTEND).
    fn extend(&mut self, by: &[u8; REGISTER]) {
        let hash = digest(&SHA384, &[self.rtmr3, *by].concat());
        self.rtmr3.copy_from_slice(hash.as_ref());
    }
}

impl GuestKernel {
    /// Why nothing can be mounted here, if so: a test then skips itself, and says this.
    pub fn obstacle() -> Option<String> {
        let root = rustix::process::geteuid().is_root();
        let fuse = Path::new("/dev/fuse").exists();
        match (root, fuse) {
            (true, true) => None,
            (false, _) => Some("only root mounts".to_owned()),
            (_, false) => Some("there is no /dev/fuse".to_owned()),
        }
    }

    /// Mounts a kernel over `folder` (made if missing).
    pub fn mount(folder: &Path, driver: Driver, boot_log: Option<BootLog>, reporter: Reporter) -> Result<Self, BenchError> {
        let doing = || BenchError::io(format!("mount a guest's kernel at {}", folder.display()));
        std::fs::create_dir_all(folder).map_err(doing())?;
        let (rtmr3, entries, asked) = ([0; REGISTER], Vec::new(), Vec::new());
        let guest = Guest { driver, reporter, rtmr3, boot_log, entries, made: 0, asked, failure: None };
        let guest = Arc::new(Mutex::new(guest));
        let mut config = Config::default();
        config.mount_options.extend([MountOption::FSName("podseal-guest".to_owned()), MountOption::DefaultPermissions]);
        let session = fuser::spawn_mount(Mounted(Arc::clone(&guest)), folder, &config).map_err(doing())?;
        Ok(Self { folder: folder.to_owned(), guest, session: Some(session) })
    }

    /// Where report entries are made: `evidence.tsm` of an attester.
    pub fn reports(&self) -> PathBuf {
        self.folder.join("tsm/report")
    }

    /// The attribute of RTMR3.
    pub fn rtmr(&self) -> PathBuf {
        self.folder.join("rtmr3:sha384")
    }

    /// The boot log.
    pub fn ccel(&self) -> PathBuf {
        self.folder.join("CCEL")
    }

    /// The ACPI table of the boot log.
    pub fn ccel_table(&self) -> PathBuf {
        self.folder.join("CCEL_TABLE")
    }

    /// From now on reports are made by this.
    pub fn answer_by(&self, reporter: Reporter) {
        lock(&self.guest).reporter = reporter;
    }

    /// What RTMR3 holds.
    pub fn rtmr3(&self) -> [u8; REGISTER] {
        lock(&self.guest).rtmr3
    }

    /// Extends RTMR3, as something else in the guest does.
    pub fn extend_rtmr3(&self, by: &[u8; REGISTER]) {
        lock(&self.guest).extend(by);
    }

    /// The guest boots: RTMR3 is zero, there are no entries, and this is the boot log.
    pub fn reboot(&self, boot_log: Option<BootLog>) {
        let mut guest = lock(&self.guest);
        (guest.rtmr3, guest.boot_log) = ([0; REGISTER], boot_log);
        guest.entries.clear();
    }

    /// What was asked for so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.guest).asked.clone()
    }

    /// Why the last report could not be made, if so.
    pub fn failure(&self) -> Option<String> {
        lock(&self.guest).failure.clone()
    }
}

impl Drop for GuestKernel {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

fn lock(guest: &Mutex<Guest>) -> MutexGuard<'_, Guest> {
    guest.lock().unwrap_or_else(PoisonError::into_inner)
}
