//! The verifier's gRPC interface, generated from `proto/podseal.proto`, and the pinned channel over which clients reach it.

pub mod pinned;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod generated {
    tonic::include_proto!("podseal.v1");
}

pub use generated::*;

/// The interface as a `google.protobuf.FileDescriptorSet`: every service and every method, for tools that walk them all.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/podseal.bin"));
