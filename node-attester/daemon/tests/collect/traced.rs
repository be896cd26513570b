//! The drivers' part: the shipped program runs under ptrace(2), and each ioctl(2) of the devices' opcodes is answered in its memory,
//! by the offsets of the kernel's headers (include/uapi/linux/sev-guest.h, nsm.h). No other call is touched.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    sys::{
        ptrace::{self, Options},
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::kernel::pipe;

const IOCTL: u64 = 16;
pub(crate) const SNP_GET_REPORT: u64 = 0xc020_5300;
pub(crate) const SNP_GET_EXT_REPORT: u64 = 0xc020_5302;
pub(crate) const NSM_RAW: u64 = 0xc020_0a00;

/// The program's memory.
pub(crate) struct Memory(File);

impl Memory {
    pub(crate) fn read(&self, at: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    pub(crate) fn number(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.read(at, 8).try_into().unwrap())
    }

    pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
        self.0.write_all_at(bytes, at).unwrap();
    }
}

/// Runs `doctor --evidence --json` over a configuration. `driver` is given opcode, memory and argument of each ioctl to a device, and
/// returns what the kernel does: 0, or an error's number below it.
pub(crate) fn doctor(dir: &Path, config: &str, mut driver: impl FnMut(u64, &Memory, u64) -> i64) -> serde_json::Value {
    let path = dir.join("traced.toml");
    pipe(&path);
    let mut command = Command::new(env!("CARGO_BIN_EXE_podseal-node-attester"));
    command.args(["doctor", "--evidence", "--json", "--config"]).arg(&path).env("TSS2_LOG", "all+none");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let main = Pid::from_raw(child.id().try_into().unwrap());
    ptrace::seize(main, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL).unwrap();
    ptrace::interrupt(main).unwrap();
    // It waits for its configuration until it is traced.
    let config = config.to_owned();
    let mut feeding = Some(move || drop(std::thread::spawn(move || fs::write(path, config).unwrap())));
    // What a call that was answered here returns, by thread; and which threads are in a call.
    let (mut returns, mut inside) = (BTreeMap::new(), BTreeMap::<Pid, bool>::new());
    loop {
        let (thread, signal) = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)).unwrap() {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) if pid == main => break,
            WaitStatus::PtraceSyscall(thread) => {
                let mut registers = ptrace::getregs(thread).unwrap();
                let entering = !inside.insert(thread, false).unwrap_or(false);
                inside.insert(thread, entering);
                if entering && registers.orig_rax == IOCTL && [SNP_GET_REPORT, SNP_GET_EXT_REPORT, NSM_RAW].contains(&registers.rsi) {
                    let memory = File::options().read(true).write(true).open(format!("/proc/{main}/mem")).unwrap();
                    returns.insert(thread, driver(registers.rsi, &Memory(memory), registers.rdx));
                    registers.orig_rax = u64::MAX;
                    ptrace::setregs(thread, registers).unwrap();
                } else if let Some(value) = returns.remove(&thread).filter(|_| !entering) {
                    registers.rax = value.cast_unsigned();
                    ptrace::setregs(thread, registers).unwrap();
                }
                (thread, None)
            }
            WaitStatus::PtraceEvent(thread, ..) => (thread, None),
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal).filter(|signal| *signal != Signal::SIGTRAP)),
            _ => continue,
        };
        if let Some(feed) = feeding.take() {
            feed();
        }
        // A thread may have ended meanwhile.
        let _ = ptrace::syscall(thread, signal);
    }
    // Its end was heard above.
    let _ = child.wait();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
}
