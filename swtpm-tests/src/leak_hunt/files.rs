//! Files: every folder once, by whatever path it is reached first.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Hunt;
use super::filesystems::Filesystem;
use super::processes::View;
use super::report::Kind;

/// The kernel's clock for files is coarse, and some file systems know even seconds only.
const MARGIN: u64 = 3;

impl Hunt<'_> {
    /// Searches everything that a mount namespace shows. A folder is read once, but what is mounted below it differs between namespaces: each mount is
    /// a beginning of its own.
    pub(super) fn namespace(&mut self, view: &View) {
        match view.mounts() {
            Ok(mounts) => mounts.iter().for_each(|mount| self.walk(mount, view)),
            Err(error) => self.failed(view.named(Path::new("/")), &error),
        }
    }

    /// Searches everything below a folder, as `view` sees it; or the one file that is mounted there.
    pub(super) fn walk(&mut self, root: &Path, view: &View) {
        let mut waiting: Vec<PathBuf> = Vec::new();
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => waiting.push(root.to_path_buf()),
            Ok(metadata) => self.entry(root, &metadata, view),
            Err(error) => self.failed(view.named(root), &error),
        }
        while let Some(folder) = waiting.pop() {
            if let Err(error) = self.folder(&folder, view, &mut waiting) {
                self.failed(view.named(&folder), &error);
            }
        }
    }

    fn folder(&mut self, folder: &Path, view: &View, waiting: &mut Vec<PathBuf>) -> io::Result<()> {
        let metadata = fs::metadata(folder)?;
        if !metadata.is_dir() || !self.folders.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        if matches!(self.filesystem(folder, metadata.dev())?, Filesystem::Kernel(..)) {
            return Ok(());
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                waiting.push(path);
                continue;
            }
            match fs::symlink_metadata(&path) {
                Ok(metadata) => self.entry(&path, &metadata, view),
                Err(error) => self.failed(view.named(&path), &error),
            }
        }
        self.name(folder, &metadata, view);
        Ok(())
    }

    /// How the file system that has `path` is searched; one that is not, is named in the report.
    fn filesystem(&mut self, path: &Path, device: u64) -> io::Result<Filesystem> {
        if let Some(known) = self.filesystems.get(&device) {
            return Ok(*known);
        }
        let found = Filesystem::of(path)?;
        if let Filesystem::Kernel(name, why) = found {
            self.report.not_searched.insert(name.to_owned(), why.to_owned());
        }
        self.filesystems.insert(device, found);
        Ok(found)
    }

    /// What is no folder: its name, where it points, what is in it. A file can be a mount of its own.
    fn entry(&mut self, path: &Path, metadata: &Metadata, view: &View) {
        let filesystem = match self.filesystem(path, metadata.dev()) {
            Ok(Filesystem::Kernel(..)) => return,
            Ok(filesystem) => filesystem,
            Err(error) => return self.failed(view.named(path), &error),
        };
        if filesystem == Filesystem::Disk && !self.may_have_it(metadata) {
            self.report.searched.unchanged += 1;
            return;
        }
        self.name(path, metadata, view);
        if metadata.is_symlink() {
            match fs::read_link(path) {
                Ok(target) => self.words(target.as_os_str().as_bytes(), Kind::LinkTarget, view, path),
                Err(error) => self.failed(view.named(path), &error),
            }
        } else if metadata.is_file() && self.searched.insert((metadata.dev(), metadata.ino())) {
            let searched = self.contents(path, true, view.holder.as_ref(), &view.namespace, &view.inside(path), Kind::File);
            searched.unwrap_or_else(|error| self.failed(view.named(path), &error));
        }
    }

    fn name(&mut self, path: &Path, metadata: &Metadata, view: &View) {
        if self.may_have_it(metadata) {
            let name = path.file_name().unwrap_or_default().as_bytes();
            self.words(name, Kind::Name, view, path);
        }
    }

    fn words(&mut self, words: &[u8], kind: Kind, view: &View, path: &Path) {
        let finds = self.patterns.in_bytes(words).map(|(to, form)| (form, to as u64)).collect();
        self.found(finds, kind, view.holder.as_ref(), &view.namespace, &view.inside(path));
    }

    /// Whether it was changed since the canary is there: its contents, or anything about it.
    pub(super) fn may_have_it(&self, metadata: &Metadata) -> bool {
        let changed = metadata.mtime().max(metadata.ctime());
        self.plan.born.is_none_or(|born| u64::try_from(changed).unwrap_or_default() + MARGIN >= born)
    }
}
