//! Compiles the interface without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/podseal.proto");
    let files = protox::compile(["podseal.proto"], ["proto"])?;
    let descriptors = std::path::PathBuf::from(std::env::var("OUT_DIR")?).join("podseal.bin");
    std::fs::write(&descriptors, prost::Message::encode_to_vec(&files))?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
