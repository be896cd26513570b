//! The memory of a process, as the kernel accounts for it (proc(5), `/proc/PID/status`).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use podseal_swtpm_tests::error::BenchError;

/// Bytes, and threads.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// `VmRSS`: what is in memory now.
    pub(crate) resident: u64,
    /// `VmHWM`: the most that ever was.
    peak: u64,
    /// `RssAnon`: the part of it that no file backs.
    anonymous: u64,
    /// `RssFile`: the part of it that can be read again, the program's own text among it.
    file: u64,
    /// `Pss` of `smaps_rollup`: a page that several processes have counts for each by its share.
    pub(crate) share: u64,
    /// Threads.
    threads: u64,
}

/// The memory of a process now.
pub(crate) fn of(pid: u32) -> Result<Memory, BenchError> {
    let path = format!("/proc/{pid}/status");
    let read = |path: &str| fs::read_to_string(path).map_err(BenchError::io(format!("read {path}")));
    let status = read(&path)? + &read(&format!("/proc/{pid}/smaps_rollup"))?;
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        number.ok_or_else(|| BenchError::answer(path.clone(), format!("no {key}"), "the memory of a running process"))
    };
    let bytes = |key: &str| number(key).map(|kibibytes| kibibytes * 1024);
    Ok(Memory {
        resident: bytes("VmRSS")?,
        peak: bytes("VmHWM")?,
        anonymous: bytes("RssAnon")?,
        file: bytes("RssFile")?,
        share: bytes("Pss")?,
        threads: number("Threads")?,
    })
}

/// A process and its children, and theirs.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_ascii_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children.flat_map(family)).collect()
}

pub(crate) fn print_and_save(rows: &[(&str, Memory)], folder: &Path) -> Result<(), BenchError> {
    println!(
        "\n{:<34} | {:>9} | {:>9} | {:>9} | {:>9} | {:>9} | {:>7}",
        "memory after idling, MB", "resident", "anonymous", "file", "share", "peak", "threads"
    );
    let mut csv = String::from("process,resident,anonymous,file,share,peak,threads\n");
    let mega = |bytes: u64| bytes as f64 / 1e6;
    for (name, m) in rows {
        let [resident, anonymous, file, share, peak] = [m.resident, m.anonymous, m.file, m.share, m.peak].map(mega);
        println!("{name:<34} | {resident:>9.1} | {anonymous:>9.1} | {file:>9.1} | {share:>9.1} | {peak:>9.1} | {:>7}", m.threads);
        let _never_fails = writeln!(csv, "{name},{},{},{},{},{},{}", m.resident, m.anonymous, m.file, m.share, m.peak, m.threads);
    }
    let path = folder.join("memory.csv");
    fs::write(&path, csv).map_err(BenchError::io(format!("write {}", path.display())))
}
