//! Seeds out of recorded evidence, where there is some.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Corpus, endorsements, pem};

/// The files of one vector.
pub(super) struct Vector {
    name: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Vector {
    fn read(folder: &Path, name: String) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            files.push((entry.file_name().to_string_lossy().into_owned(), without_padding(fs::read(entry.path())?)));
        }
        files.sort();
        Ok(Self { name, files })
    }

    pub(super) fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|(file, _)| file == name).map(|(_, bytes)| bytes.as_slice())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.file(name)?).ok()
    }

    /// What a seed from this vector is called.
    pub(super) fn seed(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }
}

/// Most of a CCEL is filled up, to no purpose here.
fn without_padding(mut bytes: Vec<u8>) -> Vec<u8> {
    let used = bytes.iter().rposition(|byte| *byte != 0xff).map_or(0, |last| last + 1);
    bytes.truncate(used.saturating_add(64));
    bytes
}

/// The targets whose inputs are such files.
fn targets(file: &str) -> &'static [&'static str] {
    match file {
        "report.bin" | "extended_report.bin" => &["report_snp"],
        "quote.bin" | "td_quote.bin" => &["report_tdx"],
        "tcb_info.json" | "qe_identity.json" => &["report_tcb_info"],
        "document.cose" => &["report_nitro"],
        "hcl_report.bin" | "runtime_claims_raw.bin" => &["report_azure"],
        "eventlog.bin" | "ccel.bin" | "ccel_table.bin" => &["event_log", "report_ccel"],
        "ascii_runtime_measurements" => &["report_ima_ascii"],
        "binary_runtime_measurements" => &["report_ima_binary"],
        "token.jwt" => &["report_jwt", "token"],
        "receipt.cbor" => &["report_cwt"],
        _ => match file.rsplit_once('.').map(|(_, extension)| extension) {
            Some("cose") => &["report_cwt"],
            Some("pem") => &["report_pem"],
            Some("json" | "jwk") => &["report_json"],
            Some("der") => &["x509"],
            Some("attest") => &["tpms_attest"],
            Some("sig") => &["tpmt_signature"],
            Some("tpmt_public") => &["tpmt_public"],
            _ => &[],
        },
    }
}

/// Writes what every vector gives.
pub(super) fn write(corpus: &Corpus) -> io::Result<()> {
    let folder = std::env::var_os("PODSEAL_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")), PathBuf::from);
    if !folder.join("manifest.json").exists() {
        let reason = format!("no vectors at {}; PODSEAL_VECTORS names another place", folder.display());
        if std::env::var_os("CI").is_some() {
            return Err(io::Error::other(reason));
        }
        eprintln!("SKIPPED seeds of recorded evidence: {reason}");
        return Ok(());
    }
    for category in fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()? {
        if !category.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(category.path())? {
            let entry = entry?;
            let name = format!("{}-{}", category.file_name().display(), entry.file_name().display());
            seeds(&Vector::read(&entry.path(), name)?, corpus)?;
        }
    }
    Ok(())
}

fn seeds(vector: &Vector, corpus: &Corpus) -> io::Result<()> {
    let mut together = Vec::new();
    for (file, bytes) in &vector.files {
        for target in targets(file) {
            corpus.write(target, &vector.seed(file), bytes)?;
        }
        for (n, der) in pem::blocks(bytes).iter().enumerate() {
            corpus.write("x509", &vector.seed(&format!("{file}-{n}")), der)?;
        }
        together.extend([b"\n--- ", file.as_bytes(), b"\n", bytes].concat());
    }
    corpus.write("report_files", &vector.name, &together)?;
    for list in ["ascii_runtime_measurements", "binary_runtime_measurements"] {
        if let Some(list) = vector.file(list) {
            corpus.write("ima_list", &vector.name, &counted(vector.file("keyring.json").unwrap_or_default(), list)?)?;
        }
    }
    if let (Some(certificate), Some(chain)) = (vector.file("ek_cert.der"), vector.file("chain.pem")) {
        let intermediate = pem::blocks(chain).into_iter().next().unwrap_or_default();
        corpus.write("ek_certificate", &vector.name, &counted(certificate, &intermediate)?)?;
    }
    endorsements::write(vector, corpus)
}

/// Two byte strings as one: the first behind two bytes of length.
pub(super) fn counted(first: &[u8], second: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(first.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes(), first, second].concat())
}
