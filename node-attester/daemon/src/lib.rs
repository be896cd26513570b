//! The node attester: identifies pods by kernel and runtime, and binds them to hardware evidence.
//!
//! The one path of a release is [`round`]; who may take it is decided in [`identify`]. Nothing here sees a secret: deliveries are sealed
//! to keys that were born in the containers.

pub mod boot_id;
pub mod claim;
pub mod client;
pub mod collect;
pub mod config;
pub mod csi;
pub mod daemon;
pub mod doctor;
pub mod enrol;
pub mod hardening;
pub mod identify;
pub mod network;
pub mod owner;
pub mod place;
pub mod pod_log;
pub mod round;
pub mod sessions;
pub mod socket;
