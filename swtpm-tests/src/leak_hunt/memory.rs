//! The memory of a process: every page that it has, by proc(5): `maps`, `pagemap`, `mem`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::Hunt;
use super::report::{Gap, Holder, Kind};

/// What memfd_secret(2) gives: pages that are taken out of the kernel's own map of memory.
const SECRET: &str = "/secretmem";
/// Pages of the kernel's own: its clock and its entry points.
const KERNELS: [&str; 4] = ["[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"];
/// Of an entry of `pagemap`: in memory, in swap, and a page of a file or of shared memory.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_A_FILE: u64 = 1 << 61;
const ENTRY: usize = 8;
/// Entries read at once.
const ENTRIES: u64 = 8192;

/// AT_PAGESZ of getauxval(3).
const AT_PAGESZ: u64 = 6;

/// Bytes of a page, from the auxiliary vector; 4096 where it does not say.
fn page_size() -> u64 {
    static SIZE: OnceLock<u64> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let vector = fs::read("/proc/self/auxv").unwrap_or_default();
        let words: Vec<u64> = vector.chunks_exact(ENTRY).map(|word| word.try_into().map_or(0, u64::from_ne_bytes)).collect();
        words.chunks_exact(2).find(|pair| pair[0] == AT_PAGESZ).map_or(4096, |pair| pair[1])
    })
}

/// A line of `maps`.
#[derive(Debug, PartialEq, Eq)]
struct Region {
    from: u64,
    to: u64,
    shared_and_writable: bool,
    /// A path, a name in brackets, or nothing.
    path: String,
}

impl Region {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let permissions = words.next()?;
        let path = words.skip(3).collect::<Vec<_>>().join(" ");
        let address = |text| u64::from_str_radix(text, 16).ok();
        let shared_and_writable = permissions.contains('w') && permissions.ends_with('s');
        Some(Self { from: address(from)?, to: address(to)?, shared_and_writable, path })
    }

    /// Maps a file that has a name: pages that are the file's own are searched as the file.
    fn has_a_name(&self) -> bool {
        self.path.starts_with('/') && !self.is_nameless()
    }

    /// Maps what has no name (any more): a memfd, shared memory, a deleted file.
    fn is_nameless(&self) -> bool {
        self.path.ends_with(" (deleted)") || self.path.starts_with("/memfd:")
    }
}

/// Reads a file from a position on.
struct At<'f>(&'f File, u64);

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read_at(into, self.1)?;
        self.1 += count as u64;
        Ok(count)
    }
}

impl Hunt<'_> {
    /// Searches all pages of a process, and the files behind its mappings that a walk does not meet or whose times do not tell.
    pub(super) fn memory(&mut self, holder: &Holder) -> io::Result<()> {
        let dir = PathBuf::from(format!("/proc/{}", holder.pid));
        let maps = fs::read(dir.join("maps"))?;
        let (pages, memory) = (File::open(dir.join("pagemap"))?, File::open(dir.join("mem"))?);
        for line in String::from_utf8_lossy(&maps).lines() {
            let Some(region) = Region::parse(line) else {
                self.report
                    .incomplete
                    .push(Gap { what: format!("memory of {holder}"), why: format!("a line of maps is not understood: {line}") });
                continue;
            };
            if KERNELS.contains(&region.path.as_str()) {
                continue;
            }
            if region.path.starts_with(SECRET) {
                let why = "memfd_secret: no other process can read it, root's neither".to_owned();
                self.report.not_searched.insert(format!("{SECRET} of {holder}"), why);
                continue;
            }
            if region.is_nameless() || (region.shared_and_writable && region.has_a_name()) {
                let link = dir.join(format!("map_files/{:x}-{:x}", region.from, region.to));
                self.open_file(&link, true, holder).unwrap_or_else(|error| self.failed(format!("{} of {holder}", region.path), &error));
            }
            self.region(&region, &pages, &memory, holder)?;
        }
        Ok(())
    }

    fn region(&mut self, region: &Region, pages: &File, memory: &File, holder: &Holder) -> io::Result<()> {
        let size = page_size();
        self.stream.take();
        let mut entries = vec![0; usize::try_from(ENTRIES).unwrap_or_default() * ENTRY];
        let mut at = region.from;
        while at < region.to {
            let count = usize::try_from(ENTRIES.min((region.to - at) / size)).unwrap_or_default();
            let read = pages.read_at(&mut entries[..count * ENTRY], at / size * ENTRY as u64)?;
            // The process has ended.
            if read < ENTRY {
                break;
            }
            for (from, to) in runs(&entries[..read], region.has_a_name()) {
                self.pages(at + from * size, at + to * size, pages, memory, holder);
            }
            at += (read / ENTRY) as u64 * size;
        }
        let finds = self.stream.take();
        let path = if region.path.is_empty() { format!("{:x}-{:x}", region.from, region.to) } else { region.path.clone() };
        self.found(finds, Kind::Memory, Some(holder), "", &path);
        Ok(())
    }

    fn pages(&mut self, from: u64, to: u64, pages: &File, memory: &File, holder: &Holder) {
        self.stream.seek(from);
        match self.stream.read(&mut At(memory, from), to - from) {
            Ok(bytes) => self.report.searched.memory += bytes,
            Err(error) if self.are_still_there(from, pages) => {
                let what = format!("memory of {holder} at {from:x}-{to:x}");
                self.report.incomplete.push(Gap { what, why: error.to_string() });
            }
            // Given back in between.
            Err(_) => {}
        }
    }

    fn are_still_there(&self, at: u64, pages: &File) -> bool {
        let mut entry = [0; ENTRY];
        let read = pages.read_at(&mut entry, at / page_size() * ENTRY as u64);
        matches!(read, Ok(ENTRY)) && u64::from_ne_bytes(entry) & (PRESENT | SWAPPED) != 0
    }
}

/// Pages to be read, as runs of numbers: what the process has in memory or swap; of a file that has a name, only what differs from it.
fn runs(entries: &[u8], of_a_file: bool) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (number, entry) in (0..).zip(entries.chunks_exact(ENTRY)) {
        let entry = entry.try_into().map_or(0, u64::from_ne_bytes);
        let is_there = entry & (PRESENT | SWAPPED) != 0;
        if !is_there || (of_a_file && entry & OF_A_FILE != 0) {
            continue;
        }
        match runs.last_mut() {
            Some((_, to)) if *to == number => *to += 1,
            _ => runs.push((number, number + 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_read() {
        let read = |line: &str| Region::parse(line);
        let shared = read("7f00-7f10 rw-s 00000000 00:01 17                 /memfd:a b (deleted)");
        let wanted = Region { from: 0x7f00, to: 0x7f10, shared_and_writable: true, path: "/memfd:a b (deleted)".into() };
        assert_eq!(shared, Some(wanted));
        let plain = read("7f00-7f10 rw-p 00000000 00:00 0 ");
        assert_eq!(plain.map(|region| (region.has_a_name(), region.is_nameless(), region.path)), Some((false, false, String::new())));
        assert_eq!(read("7f00-7f10 r-xp 00000000 fe:00 17 /bin/sh").map(|region| region.has_a_name()), Some(true));
        assert_eq!(read("nonsense"), None);
    }

    #[test]
    fn pages_that_are_not_there_are_not_read() {
        let entries: Vec<u8> = [PRESENT, SWAPPED, 0, PRESENT | OF_A_FILE, PRESENT].iter().flat_map(|entry| entry.to_ne_bytes()).collect();
        assert_eq!(runs(&entries, false), [(0, 2), (3, 5)]);
        assert_eq!(runs(&entries, true), [(0, 2), (4, 5)]);
    }
}
