//! Samples of several columns, taken in turn, and where they are kept.

use rustix::time::{ClockId, clock_gettime};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

/// One kind of sample after the other, in nanoseconds.
pub(crate) struct Samples<const N: usize> {
    pub(crate) names: [&'static str; N],
    pub(crate) rows: Vec<[u64; N]>,
}

impl<const N: usize> Samples<N> {
    /// Nearest rank.
    pub(crate) fn percentile(&self, column: usize, percent: usize) -> u64 {
        let mut sorted: Vec<u64> = self.rows.iter().map(|row| row[column]).collect();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * percent / 100]
    }

    /// The same in microseconds.
    pub(crate) fn micro(&self, column: usize, percent: usize) -> f64 {
        self.percentile(column, percent) as f64 / 1_000.0
    }

    /// The second column in terms of the first.
    pub(crate) fn ratio(&self, percent: usize) -> f64 {
        self.percentile(1, percent) as f64 / self.percentile(0, percent) as f64
    }

    pub(crate) fn save(&self, path: &Path) {
        let mut text = format!("{}\n", self.names.join(","));
        for row in &self.rows {
            writeln!(text, "{}", row.map(|value| value.to_string()).join(",")).unwrap();
        }
        std::fs::write(path, text).unwrap();
    }
}

pub(crate) fn nanoseconds(work: impl FnOnce()) -> u64 {
    let start = Instant::now();
    work();
    u64::try_from(start.elapsed().as_nanos()).unwrap()
}

/// What the processor spent on it: on a busy machine that is less than the time that passed.
pub(crate) fn processor_nanoseconds(work: impl FnOnce()) -> u64 {
    let start = processor();
    work();
    processor() - start
}

fn processor() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap()
}

/// What is said of a ratio.
pub(crate) fn word(ratio: f64, gate: f64, aim: f64) -> &'static str {
    if ratio > gate {
        "ABOVE THE GATE"
    } else if ratio > aim {
        "within the gate"
    } else {
        "within the aim"
    }
}

/// `target/bench`, wherever cargo keeps it: the program lies in `target/PROFILE/deps`.
pub(crate) fn folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.ancestors().nth(3).unwrap().join("bench");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
