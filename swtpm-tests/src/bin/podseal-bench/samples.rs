//! Samples: kept raw, shown as percentiles.

use std::fs;
use std::path::Path;

use podseal_swtpm_tests::error::BenchError;

/// One row for each round, nanoseconds in each of its named columns.
pub(crate) struct Samples<const COLUMNS: usize> {
    names: [&'static str; COLUMNS],
    rows: Vec<[i64; COLUMNS]>,
}

impl<const COLUMNS: usize> Samples<COLUMNS> {
    pub(crate) fn new(names: [&'static str; COLUMNS]) -> Self {
        Self { names, rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: [u64; COLUMNS]) {
        self.push_signed(row.map(|value| i64::try_from(value).unwrap_or(i64::MAX)));
    }

    /// For columns that may be less than nothing, as a difference of two samples may.
    pub(crate) fn push_signed(&mut self, row: [i64; COLUMNS]) {
        self.rows.push(row);
    }

    /// The nearest rank: of 60 samples, the 99th percentile is the largest. Milliseconds.
    pub(crate) fn percentile(&self, column: &str, percent: usize) -> f64 {
        let at = self.names.iter().position(|name| *name == column);
        let mut sorted: Vec<i64> = self.rows.iter().filter_map(|row| row.get(at?).copied()).collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |value| *value as f64 / 1e6)
    }

    pub(crate) fn print(&self) {
        println!("{:<34} | {:>9} | {:>9} | {:>9}", "", "least", "p50", "p99");
        for name in self.names {
            let [least, middle, most] = [0, 50, 99].map(|percent| self.percentile(name, percent));
            println!("{name:<34} | {least:>9.2} | {middle:>9.2} | {most:>9.2}");
        }
    }

    /// Writes them as they were taken: nanoseconds, one round a line.
    pub(crate) fn save(&self, path: &Path) -> Result<(), BenchError> {
        let line = |row: &[i64; COLUMNS]| row.map(|value| value.to_string()).join(",") + "\n";
        let text = self.names.map(|name| name.replace([' ', ','], "-")).join(",") + "\n" + &self.rows.iter().map(line).collect::<String>();
        fs::write(path, text).map_err(BenchError::io(format!("write {}", path.display())))
    }
}
