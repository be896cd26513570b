//! The Container Runtime Interface, generated from `proto/cri.proto`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

tonic::include_proto!("runtime.v1");
