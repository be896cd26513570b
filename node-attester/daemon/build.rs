//! Compiles the interfaces of runtime and kubelet without protoc.

/// What the runtime serves.
const CALLED: [&str; 5] =
    ["cri.proto", "containerd/events.proto", "containerd/tasks.proto", "containerd/containers.proto", "containerd/namespaces.proto"];
/// What the kubelet calls.
const SERVED: [&str; 2] = ["csi/csi.proto", "csi/registration.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    tonic_prost_build::configure().build_server(false).compile_fds(protox::compile(CALLED, ["proto"])?)?;
    // Tests call what is served.
    tonic_prost_build::configure().compile_fds(protox::compile(SERVED, ["proto"])?)?;
    Ok(())
}
