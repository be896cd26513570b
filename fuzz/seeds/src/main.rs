//! Writes the known answers of docs/PROTOCOL.md and recorded evidence into the corpus, so that every target begins with something
//! well-formed: `cargo run --manifest-path fuzz/Cargo.toml --package podseal-fuzz-seeds`.

mod endorsements;
mod pem;
mod vectors;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Title in the document, and target.
const TARGETS: [(&str, &str); 21] = [
    ("challenge", "challenge"),
    ("pod-set", "pod_set"),
    ("leaf", "leaf"),
    ("evidence", "evidence"),
    ("evidence, with a pod log", "evidence"),
    ("pod-log", "pod_log"),
    ("exchange", "exchange"),
    ("exchange", "batch"),
    ("exchange-reply", "exchange_reply"),
    ("secrets", "secrets"),
    ("receipt", "receipt"),
    ("delivery", "delivery"),
    ("workload-request", "frame"),
    ("workload-reply, delivered", "workload_reply"),
    ("workload-reply, refused", "workload_reply"),
    ("join", "join"),
    ("join-reply", "join_reply"),
    ("activation", "activation"),
    ("activation-reply", "activation_reply"),
    ("certified-key", "certified_key"),
    ("leaf", "session"),
];

/// The bytes under `title`.
fn answer(document: &str, title: &str) -> Option<Vec<u8>> {
    let (_, rest) = document.split_once(&format!("\n**{title}**, "))?;
    let hex: String = rest.split_once("```text\n")?.1.split_once("```")?.0.split_whitespace().collect();
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// Where the targets find their inputs.
struct Corpus(PathBuf);

impl Corpus {
    fn write(&self, target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    }
}

fn main() -> io::Result<()> {
    let fuzz = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let corpus = Corpus(fuzz.join("corpus"));
    let document = fs::read_to_string(fuzz.join("../docs/PROTOCOL.md"))?;
    let missing = |title: &str| io::Error::other(format!("docs/PROTOCOL.md has no known answer {title}"));
    for (title, target) in TARGETS {
        let mut bytes = answer(&document, title).ok_or_else(|| missing(title))?;
        match target {
            "certified_key" => bytes.insert(0, 0),
            "session" => {
                let delivery = answer(&document, "delivery").ok_or_else(|| missing("delivery"))?;
                bytes = vectors::counted(&bytes, &delivery)?;
            }
            _ => {}
        }
        corpus.write(target, &title.replace([',', ' '], "_"), &bytes)?;
    }
    let frame = answer(&document, "workload-request").ok_or_else(|| missing("workload-request"))?;
    corpus.write("workload_request", "known", frame.get(4..).unwrap_or_default())?;
    // Also where there is no recorded evidence, a name and a kind of service: what follows is mutation's business.
    corpus.write("endorsement", "known", b"intel-root-crl\nintel-certificates\n\n")?;
    vectors::write(&corpus)
}
