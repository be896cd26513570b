//! The one place with `unsafe`: what std and rustix don't offer. Signal mask and signalfd, a page for the key, and `execve` itself
//! (std's `exec` clears the signal mask, and glibc's `execvp` behind it hands a file without `#!` to a shell).

use core::{
    ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void},
    fmt,
    mem::size_of,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
};
use std::{
    ffi::CString,
    io,
    os::fd::{FromRawFd as _, OwnedFd},
};

use rustix::{
    fs::ftruncate,
    io::Errno,
    mm::{MapFlags, ProtFlags, mlock, mmap, mmap_anonymous, munmap},
    process::{Resource, getrlimit},
};
use zeroize::Zeroize as _;

/// `sigset_t` of glibc and musl on Linux: 1024 bits.
#[repr(C)]
#[derive(Clone, Copy)]
struct SignalSet([c_ulong; 1024 / c_ulong::BITS as usize]);

const SIG_BLOCK: c_int = 0;
const SIG_SETMASK: c_int = 2;
const SIG_DFL: usize = 0;
const SIG_ERR: usize = usize::MAX;
const SIGINT: c_int = 2;
const SIGPIPE: c_int = 13;
const SIGTERM: c_int = 15;
/// `O_NONBLOCK | O_CLOEXEC`, as asm-generic, x86 and arm64 have them.
const SFD_NONBLOCK_CLOEXEC: c_int = 0o4000 | 0o2_000_000;
/// memfd_secret(2), the same on every architecture.
const SYS_MEMFD_SECRET: c_long = 447;
const O_CLOEXEC: c_ulong = 0o2_000_000;

// SAFETY: the declarations are those of POSIX, signalfd(2) and syscall(2) as glibc and musl define them on Linux.
unsafe extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> c_int;
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn signalfd(descriptor: c_int, set: *const SignalSet, flags: c_int) -> c_int;
    fn signal(signal: c_int, handler: usize) -> usize;
    fn syscall(number: c_long, ...) -> c_long;
    fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char) -> c_int;
    static environ: *const *const c_char;
}

/// The signal mask that this process was started with.
pub(crate) struct InheritedMask(SignalSet);

/// Blocks SIGTERM and SIGINT, and gives a non-blocking, close-on-exec signalfd that reads them. A blocked signal reaches even PID 1 of a
/// container, for which the kernel drops signals of default disposition.
pub(crate) fn hold_stop_signals() -> io::Result<(InheritedMask, OwnedFd)> {
    let mut set = SignalSet([0; 1024 / c_ulong::BITS as usize]);
    let mut inherited = set;
    // SAFETY: both sets are live and as large as the C library's sigset_t; the signal numbers are valid.
    let failed = unsafe {
        sigemptyset(&raw mut set) != 0
            || sigaddset(&raw mut set, SIGTERM) != 0
            || sigaddset(&raw mut set, SIGINT) != 0
            || sigprocmask(SIG_BLOCK, &raw const set, &raw mut inherited) != 0
    };
    if failed {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `set` is live and initialised; -1 asks for a new descriptor.
    let descriptor = unsafe { signalfd(-1, &raw const set, SFD_NONBLOCK_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened `descriptor`, and nobody else owns it.
    Ok((InheritedMask(inherited), unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// Gives signals back as they were: the inherited mask, and SIGPIPE, which Rust's start-up ignores, at its default.
pub(crate) fn release_signals(mask: &InheritedMask) -> io::Result<()> {
    // SAFETY: SIG_DFL is a valid disposition for SIGPIPE; the set is live, and the old one is not asked for.
    let failed = unsafe { signal(SIGPIPE, SIG_DFL) == SIG_ERR || sigprocmask(SIG_SETMASK, &raw const mask.0, ptr::null_mut()) != 0 };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Replaces this process by `path`, with the environment as it came in, byte for byte. Returns only with the kernel's refusal.
pub(crate) fn become_program(path: &CStr, words: &[CString]) -> Errno {
    let argv: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: `path` and every word end in NUL and outlive the call, `argv` ends in a null pointer; nothing in this process writes
    // `environ`, and there is one thread.
    unsafe { execve(path.as_ptr(), argv.as_ptr(), environ) };
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::NOEXEC)
}

/// Bytes of the page that holds the session: a page of most machines, part of one on others.
const PAGE: usize = 4096;

/// The kernel let no page be locked.
#[derive(Debug)]
pub(crate) struct LockRefused {
    limit: Option<u64>,
    error: Errno,
}

impl fmt::Display for LockRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot lock {PAGE} bytes of memory for the workload key: {}; RLIMIT_MEMLOCK is ", self.error)?;
        match self.limit {
            Some(bytes) => write!(f, "{bytes} bytes"),
            None => f.write_str("unlimited"),
        }
    }
}

/// Private, writable, zeroed memory of [`PAGE`] bytes, unmapped when dropped.
pub(crate) struct Page(NonNull<c_void>);

impl Page {
    /// A page that is never swapped. From memfd_secret(2), where the kernel has it: then neither another process nor the kernel's own
    /// map reaches it; else by mlock(2).
    pub(crate) fn locked() -> Result<Self, LockRefused> {
        Self::secret().or_else(|_| Self::pinned()).map_err(|error| LockRefused { limit: getrlimit(Resource::Memlock).current, error })
    }

    /// A page that may be swapped.
    pub(crate) fn unlocked() -> Result<Self, Errno> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let at = unsafe { mmap_anonymous(ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }?;
        NonNull::new(at).map(Self).ok_or(Errno::NOMEM)
    }

    fn pinned() -> Result<Self, Errno> {
        let page = Self::unlocked()?;
        // SAFETY: the page is mapped and PAGE bytes long.
        unsafe { mlock(page.0.as_ptr(), PAGE) }?;
        Ok(page)
    }

    fn secret() -> Result<Self, Errno> {
        // SAFETY: memfd_secret takes one argument, its flags, and no pointers.
        let number = unsafe { syscall(SYS_MEMFD_SECRET, O_CLOEXEC) };
        let descriptor = c_int::try_from(number).ok().filter(|descriptor| *descriptor >= 0).ok_or(Errno::NOSYS)?;
        // SAFETY: the kernel has just opened `descriptor`, and nobody else owns it.
        let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
        ftruncate(&file, PAGE as u64)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory; the file is as long as the mapping.
        let at = unsafe { mmap(ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0) }?;
        NonNull::new(at).map(Self).ok_or(Errno::NOMEM)
    }

    /// Moves `value` into the page.
    pub(crate) fn hold<T>(self, value: T) -> Held<T> {
        const { assert!(size_of::<T>() <= PAGE && align_of::<T>() <= PAGE) };
        let at = self.0.cast::<T>();
        // SAFETY: the page is writable, large enough and aligned for T (checked above), and holds no value yet.
        unsafe { at.write(value) };
        Held { at, _page: self }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the page is mapped, PAGE bytes long, and whatever it held has been dropped: any bytes may stand there.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_ptr().cast::<u8>(), PAGE) }.zeroize();
        // SAFETY: the mapping is this page's own, and nothing refers to it any more. It can't fail for a mapping that exists.
        let _ = unsafe { munmap(self.0.as_ptr(), PAGE) };
    }
}

/// A value that lives in its own [`Page`].
pub(crate) struct Held<T> {
    at: NonNull<T>,
    _page: Page,
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `at` points to the value that `hold` wrote; it lives until `self` is dropped.
        unsafe { self.at.as_ref() }
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { self.at.as_mut() }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: the value is dropped here once; the page goes after it, as a field.
        unsafe { self.at.drop_in_place() };
    }
}
