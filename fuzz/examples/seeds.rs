//! Writes the known answers of docs/PROTOCOL.md into the corpus, so that the targets for messages begin with something well-formed:
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.

use std::{fs, io, path::Path};

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

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(fuzz.join("../docs/PROTOCOL.md"))?;
    let missing = |title: &str| io::Error::other(format!("docs/PROTOCOL.md has no known answer {title}"));
    for (title, target) in TARGETS {
        let mut bytes = answer(&document, title).ok_or_else(|| missing(title))?;
        match target {
            "certified_key" => bytes.insert(0, 0),
            "session" => {
                let delivery = answer(&document, "delivery").ok_or_else(|| missing("delivery"))?;
                let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
                bytes = [&length.to_be_bytes(), bytes.as_slice(), &delivery].concat();
            }
            _ => {}
        }
        let folder = fuzz.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(title.replace([',', ' '], "_")), bytes)?;
    }
    let frame = answer(&document, "workload-request").ok_or_else(|| missing("workload-request"))?;
    let folder = fuzz.join("corpus/workload_request");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("known"), frame.get(4..).unwrap_or_default())
}
