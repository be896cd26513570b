//! Limits, and whether they held.

/// What was compared so far.
#[derive(Default)]
pub(crate) struct Gates {
    rows: Vec<(&'static str, u64, u64)>,
}

impl Gates {
    /// `found`, bytes where nothing else is said, must not be more than `limit`.
    pub(crate) fn at_most(&mut self, what: &'static str, found: u64, limit: u64) {
        self.rows.push((what, found, limit));
    }

    /// Whether all of them held; none at all is not that.
    pub(crate) fn held(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|(_, found, limit)| found <= limit)
    }

    pub(crate) fn print(&self) {
        if self.rows.is_empty() {
            return;
        }
        println!("\n{:<46} | {:>11} | {:>11} |", "gate", "found", "at most");
        for (what, found, limit) in &self.rows {
            println!("{what:<46} | {found:>11} | {limit:>11} | {}", if found <= limit { "held" } else { "MISSED" });
        }
    }
}
