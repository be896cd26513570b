//! Processes: arguments, environment, memory, what they hold open, and the file systems that only they see.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Hunt;
use super::filesystems::Filesystem;
use super::report::{Holder, Kind};

/// How often the list of processes is read anew for those that came in between.
const ROUNDS: usize = 4;

/// How file systems look from a mount namespace.
pub(super) struct View {
    pub(super) namespace: String,
    /// Whose namespace it is, where it is not the hunter's own.
    pub(super) holder: Option<Holder>,
    prefix: PathBuf,
}

impl View {
    /// The hunter's own.
    pub(super) fn own() -> Self {
        Self { namespace: namespace("self").unwrap_or_default(), holder: None, prefix: "/".into() }
    }

    /// Every mount point, and the root, as paths for this process (proc(5), `mountinfo`).
    pub(super) fn mounts(&self) -> io::Result<Vec<PathBuf>> {
        let own = self.holder.as_ref().map_or_else(|| "self".to_owned(), |holder| holder.pid.to_string());
        let lines = fs::read(format!("/proc/{own}/mountinfo"))?;
        let points = lines.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
        let points = points.map(|point| PathBuf::from(OsString::from_vec(unescaped(point))));
        let below = |point: PathBuf| self.prefix.join(point.strip_prefix("/").unwrap_or(&point));
        Ok([self.prefix.clone()].into_iter().chain(points.map(below)).collect())
    }

    /// The path as a process of that namespace has it.
    pub(super) fn inside(&self, path: &Path) -> String {
        Path::new("/").join(path.strip_prefix(&self.prefix).unwrap_or(path)).display().to_string()
    }

    /// The path, and whose it is.
    pub(super) fn named(&self, path: &Path) -> String {
        self.holder.as_ref().map_or_else(|| self.inside(path), |holder| format!("{} as {holder} sees it", self.inside(path)))
    }
}

/// A field of `mountinfo`: spaces, tabs, line ends and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(field.len()), field);
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

fn namespace(pid: &str) -> io::Result<String> {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).map(|link| link.display().to_string())
}

/// Every process of the own PID namespace.
fn pids() -> io::Result<BTreeSet<u32>> {
    let entries = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(entries.collect())
}

impl Hunt<'_> {
    /// Searches all processes but this one.
    pub(super) fn processes(&mut self, own: &View) {
        let mut known = BTreeSet::from([std::process::id()]);
        let mut namespaces = HashSet::from([own.namespace.clone()]);
        for round in 0..=ROUNDS {
            let found = match pids() {
                Ok(found) => found,
                Err(error) => return self.failed("/proc", &error),
            };
            let new: Vec<u32> = found.difference(&known).copied().collect();
            if new.is_empty() {
                return;
            }
            if round == ROUNDS {
                let why = "they were started while the hunt went on".to_owned();
                self.report.not_searched.insert(format!("{} processes", new.len()), why);
                return;
            }
            for pid in new {
                known.insert(pid);
                self.process(pid, &mut namespaces);
            }
        }
    }

    fn process(&mut self, pid: u32, namespaces: &mut HashSet<String>) {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        // Gone again, or a thread of the kernel: there is nothing to search.
        let Ok(name) = fs::read_to_string(dir.join("comm")) else { return };
        let holder = Holder { pid, name: name.trim_end().to_owned() };
        self.report.searched.processes += 1;
        for (file, kind) in [("cmdline", Kind::Arguments), ("environ", Kind::Environment)] {
            if let Err(error) = self.kernel_file(&dir.join(file), kind, &holder) {
                self.failed(format!("{file} of {holder}"), &error);
            }
        }
        if let Err(error) = self.memory(&holder) {
            self.failed(format!("memory of {holder}"), &error);
        }
        if let Err(error) = self.open_files(&dir, &holder) {
            self.failed(format!("open files of {holder}"), &error);
        }
        self.namespace_of(&dir, holder, namespaces);
    }

    fn kernel_file(&mut self, path: &Path, kind: Kind, holder: &Holder) -> io::Result<()> {
        self.stream.take();
        self.report.searched.bytes += self.stream.read(&mut File::open(path)?, u64::MAX)?;
        let finds = self.stream.take();
        self.found(finds, kind, Some(holder), "", "");
        Ok(())
    }

    /// What has a descriptor, and perhaps no name (any more): deleted files, memfds, files of a mount that no path leads to.
    fn open_files(&mut self, dir: &Path, holder: &Holder) -> io::Result<()> {
        for entry in fs::read_dir(dir.join("fd"))? {
            let link = entry?.path();
            self.open_file(&link, false, holder).unwrap_or_else(|error| self.failed(format!("{} of {holder}", link.display()), &error));
        }
        Ok(())
    }

    /// Searches the file behind one of the kernel's links to it, unless it was before. `mapped`: it is written through memory, so its times say nothing.
    pub(super) fn open_file(&mut self, link: &Path, mapped: bool, holder: &Holder) -> io::Result<()> {
        let (target, metadata) = (fs::read_link(link)?, fs::metadata(link)?);
        if !metadata.is_file() {
            return Ok(());
        }
        let (nameless, filesystem) = (metadata.nlink() == 0, Filesystem::of(link)?);
        let changed = mapped || nameless || filesystem == Filesystem::Memory || self.may_have_it(&metadata);
        let is_view = matches!(filesystem, Filesystem::Kernel(..));
        if is_view || !changed || !self.searched.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        let kind = if nameless { Kind::Nameless } else { Kind::Open };
        self.contents(link, false, Some(holder), "", &target.display().to_string(), kind)
    }

    /// Searches what a mount namespace shows that was not met before, such as a container's tmpfs.
    fn namespace_of(&mut self, dir: &Path, holder: Holder, namespaces: &mut HashSet<String>) {
        let pid = holder.pid.to_string();
        match namespace(&pid) {
            Ok(namespace) if self.plan.roots.is_empty() && namespaces.insert(namespace.clone()) => {
                let root = dir.join("root");
                self.namespace(&View { namespace, holder: Some(holder), prefix: root });
            }
            Ok(_) => {}
            Err(error) => self.failed(format!("mount namespace of {holder}"), &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_as_they_are_written() {
        assert_eq!(unescaped(br"/a\040b\134c\n\01"), br"/a b\c\n\01");
    }
}
