//! Compiles the runtime's interfaces without protoc.

const FILES: [&str; 5] =
    ["cri.proto", "containerd/events.proto", "containerd/tasks.proto", "containerd/containers.proto", "containerd/namespaces.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(files)?;
    Ok(())
}
