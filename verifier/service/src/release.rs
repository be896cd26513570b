//! From a grant to a delivery: seal, log, deliver. The only room in which a sealed secret becomes bytes for a node, and only once its
//! entry is durable.

mod commit;
mod seal;

pub use commit::{ChangeOutcome, CommitError, Committer, Conclusion, Pending, PendingLeaf, ReleaseOutcome};
pub use seal::{SealFailure, Sealed, seal};
