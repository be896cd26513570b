//! Endorsements on their way to an appraisal: cache, folder, service; and as an archive to where there is no network.
//!
//! What an endorsement is, and what its bytes say, stands in [`podseal_appraisal::endorsement`]. Here is what waits: for a disk, or for a
//! maker's service. Verifier and command line share it, so that both keep the same folder by the same rules.

pub mod archive;
mod fetcher;
mod folder;
mod gatherer;
mod http;
mod marks;
mod settings;
#[cfg(test)]
mod tests;
mod tls;

pub use fetcher::{FetchError, Fetcher};
pub use folder::{Folder, FolderError, Found, Put};
pub use gatherer::{Admit, Endorsements, Gatherer, GathererError};
pub use settings::{AddressError, Ages, DAY, Deadlines, Place, Settings};
pub use tls::{SYSTEM_ROOTS, TlsRootsError};
