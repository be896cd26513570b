//! The kernel's part: attributes as named pipes, answered by a thread.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

pub(crate) fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// A report entry of configfs-tsm that is there already, as a killed program leaves it.
pub(crate) struct TsmEntry {
    pub(crate) folder: PathBuf,
    entry: PathBuf,
    /// Writes of somebody else, before each of the answers.
    pub(crate) others: Vec<u64>,
    pub(crate) with_privlevel: bool,
}

impl TsmEntry {
    pub(crate) fn new(folder: &Path, name: &str, provider: &str) -> Self {
        let entry = folder.join(name);
        fs::create_dir_all(&entry).unwrap();
        fs::write(entry.join("generation"), "7\n").unwrap();
        fs::write(entry.join("provider"), format!("{provider}\n")).unwrap();
        for pipes in ["inblob", "outblob"] {
            pipe(&entry.join(pipes));
        }
        Self { folder: folder.to_owned(), entry, others: vec![0], with_privlevel: false }
    }

    pub(crate) fn auxblob(self, bytes: &[u8]) -> Self {
        fs::write(self.entry.join("auxblob"), bytes).unwrap();
        self
    }

    pub(crate) fn privlevel(mut self) -> Self {
        pipe(&self.entry.join("privlevel"));
        self.with_privlevel = true;
        self
    }

    /// Answers as often as `others` has entries. Returns what was written: privilege levels and report data.
    pub(crate) fn answer(self, report: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> JoinHandle<(Vec<String>, Vec<Vec<u8>>)> {
        std::thread::spawn(move || {
            let (mut levels, mut data, mut generation) = (Vec::new(), Vec::new(), 7);
            for others in &self.others {
                if self.with_privlevel {
                    levels.push(fs::read_to_string(self.entry.join("privlevel")).unwrap());
                    generation += 1;
                }
                let asked = fs::read(self.entry.join("inblob")).unwrap();
                generation += 1 + others;
                fs::write(self.entry.join("generation"), format!("{generation}\n")).unwrap();
                fs::write(self.entry.join("outblob"), report(&asked)).unwrap();
                data.push(asked);
            }
            (levels, data)
        })
    }
}
