//! containerd's own services, generated from `proto/containerd/`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

pub mod events {
    tonic::include_proto!("containerd.services.events.v1");
}
pub mod tasks {
    tonic::include_proto!("containerd.services.tasks.v1");
}
pub mod containers {
    tonic::include_proto!("containerd.services.containers.v1");
}
pub mod namespaces {
    tonic::include_proto!("containerd.services.namespaces.v1");
}
