//! OCI images made on the spot: one layer of given files, and a configuration.

use std::fs::File;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::error::BenchError;

/// An image to be built. Nothing in it is dated or random: the same description gives the same digests.
#[derive(Clone, Debug)]
pub struct Image {
    repository: String,
    tag: String,
    files: Vec<(String, Source)>,
    config: serde_json::Map<String, Value>,
}

#[derive(Clone, Debug)]
enum Source {
    File { path: PathBuf, mode: u32 },
    Text { text: String, mode: u32 },
    Folder { mode: u32 },
}

/// An image in a runtime's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `REPOSITORY:TAG`.
    pub reference: String,
    /// `sha256:…` of the manifest.
    pub manifest: String,
    /// `sha256:…` of the configuration, which CRI calls the image's id.
    pub config: String,
}

impl Image {
    /// An empty image `repository:tag`.
    pub fn new(repository: &str, tag: &str) -> Self {
        Self { repository: repository.into(), tag: tag.into(), files: Vec::new(), config: serde_json::Map::new() }
    }

    /// The repository, without a tag.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Adds a program from this machine at `target`, mode 0755.
    #[must_use]
    pub fn program(mut self, target: &str, source: &Path) -> Self {
        self.files.push((target.into(), Source::File { path: source.to_path_buf(), mode: 0o755 }));
        self
    }

    /// Adds a text file.
    #[must_use]
    pub fn text(mut self, target: &str, text: &str, mode: u32) -> Self {
        self.files.push((target.into(), Source::Text { text: text.into(), mode }));
        self
    }

    /// Adds an empty folder.
    #[must_use]
    pub fn folder(mut self, target: &str, mode: u32) -> Self {
        self.files.push((target.into(), Source::Folder { mode }));
        self
    }

    /// The image's Entrypoint.
    #[must_use]
    pub fn entrypoint(self, words: &[&str]) -> Self {
        self.set("Entrypoint", json!(words))
    }

    /// The image's Cmd.
    #[must_use]
    pub fn cmd(self, words: &[&str]) -> Self {
        self.set("Cmd", json!(words))
    }

    /// The image's Env, `NAME=VALUE` each.
    #[must_use]
    pub fn env(self, variables: &[&str]) -> Self {
        self.set("Env", json!(variables))
    }

    /// The image's WorkingDir.
    #[must_use]
    pub fn working_dir(self, folder: &str) -> Self {
        self.set("WorkingDir", json!(folder))
    }

    /// The image's User, `UID` or `UID:GID`.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.set("User", json!(user))
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.into(), value);
        self
    }

    /// Writes the image as an OCI layout in a tar file (OCI image-spec 1.1), as `ctr images import` reads it.
    pub fn write(&self, path: &Path) -> Result<Stored, BenchError> {
        self.write_layout(path).map_err(BenchError::io(format!("build image {}:{} at {}", self.repository, self.tag, path.display())))
    }

    fn write_layout(&self, path: &Path) -> std::io::Result<Stored> {
        let layer = self.layer()?;
        let config = serde_json::to_vec(&json!({
            "architecture": architecture(),
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [name_of(&layer)] },
        }))?;
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        }))?;
        let mut listed = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        listed["annotations"] = json!({ "org.opencontainers.image.ref.name": self.tag });
        let index = serde_json::to_vec(&json!({ "schemaVersion": 2, "manifests": [listed] }))?;

        let mut tar = tar::Builder::new(File::create(path)?);
        append(&mut tar, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        append(&mut tar, "index.json", 0o644, &index)?;
        for blob in [&layer, &config, &manifest] {
            append(&mut tar, &format!("blobs/sha256/{}", hex_of(blob)), 0o644, blob)?;
        }
        tar.into_inner()?.sync_all()?;
        Ok(Stored { reference: format!("{}:{}", self.repository, self.tag), manifest: name_of(&manifest), config: name_of(&config) })
    }

    fn layer(&self) -> std::io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for (target, source) in &self.files {
            let target = target.trim_start_matches('/');
            match source {
                Source::File { path, mode } => append(&mut tar, target, *mode, &std::fs::read(path)?)?,
                Source::Text { text, mode } => append(&mut tar, target, *mode, text.as_bytes())?,
                Source::Folder { mode } => {
                    let mut header = header(*mode, 0);
                    header.set_entry_type(tar::EntryType::Directory);
                    tar.append_data(&mut header, format!("{}/", target.trim_end_matches('/')), std::io::empty())?;
                }
            }
        }
        tar.into_inner()
    }
}

fn append(tar: &mut tar::Builder<impl std::io::Write>, path: &str, mode: u32, contents: &[u8]) -> std::io::Result<()> {
    tar.append_data(&mut header(mode, contents.len()), path, contents)
}

fn header(mode: u32, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size as u64);
    header
}

fn descriptor(media_type: &str, contents: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": name_of(contents), "size": contents.len() })
}

fn name_of(contents: &[u8]) -> String {
    format!("sha256:{}", hex_of(contents))
}

fn hex_of(contents: &[u8]) -> String {
    digest(&SHA256, contents).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
