//! Which processors a process runs on, and how long it ran.

use std::fs;

use podseal_swtpm_tests::error::BenchError;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Of the times in `/proc/PID/stat`, in milliseconds: USER_HZ is 100 everywhere that this runs (time(7)).
const TICK: u64 = 10;

/// A process that is held to one processor, its threads of now and those that they start; let go when the value goes.
pub(crate) struct Pinned {
    pid: u32,
    before: CpuSet,
}

impl Pinned {
    /// Holds a process to the processor of this number, counted from 0 among those that this process may use.
    pub(crate) fn to(pid: u32, number: usize) -> Result<Self, BenchError> {
        let before = sched_getaffinity(None).map_err(|error| BenchError::io("ask for the processors")(error.into()))?;
        let one = (0..CpuSet::MAX_CPU).filter(|cpu| before.is_set(*cpu)).nth(number);
        let one = one.ok_or_else(|| BenchError::answer("this machine", format!("{} processors", before.count()), "one more"))?;
        let mut set = CpuSet::new();
        set.set(one);
        hold(pid, &set)?;
        Ok(Self { pid, before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _it_may_have_ended = hold(self.pid, &self.before);
    }
}

fn hold(pid: u32, set: &CpuSet) -> Result<(), BenchError> {
    let path = format!("/proc/{pid}/task");
    for thread in fs::read_dir(&path).map_err(BenchError::io(format!("read {path}")))?.flatten() {
        let thread = thread.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        if let Some(thread) = thread {
            sched_setaffinity(Some(thread), set).map_err(|error| BenchError::io(format!("pin {thread:?}"))(error.into()))?;
        }
    }
    Ok(())
}

/// Milliseconds that a process ran so far, itself and in the kernel, on all processors together.
pub(crate) fn ran(pid: u32) -> Result<u64, BenchError> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(BenchError::io(format!("read {path}")))?;
    // Fields 14 and 15 (proc(5)); the second is in brackets and may hold spaces.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().skip(11).take(2);
    let ticks = fields.map(str::parse::<u64>).sum::<Result<u64, _>>();
    ticks.map(|ticks| ticks * TICK).map_err(|_| BenchError::answer(path, stat, "the time that a process ran"))
}
