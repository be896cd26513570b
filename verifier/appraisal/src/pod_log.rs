//! The pod log: what ran on a node since it booted, proved by the register that every record was extended into.
//!
//! TCG Canonical Event Log (CEL) 1.0, section 5; TCG TPM 2.0 Part 1, section 17. The records are text by whoever sends them. What holds is
//! this: where they lead from a register's value that the boot explains to the quoted one, these records were extended, in this order, and
//! nothing else was. A log is long and a node's exchanges are many, so a [`PodLogState`] can be kept, and what came since is enough then.

mod judge;
mod replay;
pub mod rules;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use judge::{Before, Judged, Presented, agent_exceptions, gaps, judge, judge_leaf, kept, pod_execs, privileged_images, running};
pub use replay::{Piece, ReplayError, replay};
pub use state::{Container, PodLogState};
