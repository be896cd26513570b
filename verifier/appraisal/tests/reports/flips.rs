//! Every signed bit counts: recorded evidence that is verified is no longer once a bit of what somebody signed is another.

use super::manifest::Vector;
use super::runner::{files, now, verify};
use podseal_appraisal::report::Verdict;

/// Bits that are tried of each vector, at least (or all, where there are fewer).
const SAMPLE: u64 = 2000;

/// Where a file's signed bytes are.
enum Signed {
    /// All of it, or a part.
    Bytes(std::ops::Range<usize>),
    /// The base64 in a PEM file, or a JWT: case counts.
    Base64,
    /// JSON: the text of this member.
    Member(&'static str),
    /// Nobody signed it.
    Nothing,
}

pub(crate) fn run(vector: &Vector) {
    let files = files(vector);
    if verify(&files, now(vector), None).verdict != Verdict::Verified {
        return;
    }
    let places = files.iter().enumerate().flat_map(|(n, (name, bytes))| places(name, bytes).into_iter().map(move |at| (n, at)));
    let places = places.collect::<Vec<_>>();
    let step = (places.len() as u64 * 8).div_ceil(SAMPLE).max(1);
    let mut flipped = files.clone();
    for bit in (0..places.len() as u64 * 8).step_by(usize::try_from(step).unwrap()) {
        let (n, at) = places[usize::try_from(bit / 8).unwrap()];
        flipped[n].1[at] ^= 1 << (bit % 8);
        let report = verify(&flipped, now(vector), None);
        assert_ne!(report.verdict, Verdict::Verified, "{} {} byte {at} bit {}", vector.entry["id"], files[n].0, bit % 8);
        flipped[n].1[at] = files[n].1[at];
    }
}

fn places(name: &str, bytes: &[u8]) -> Vec<usize> {
    match signed(name, bytes) {
        Signed::Bytes(range) => range.collect(),
        Signed::Nothing => Vec::new(),
        Signed::Base64 => {
            let text = std::str::from_utf8(bytes).unwrap();
            let inside = |at: &usize| !text[..*at].rsplit('\n').next().unwrap().starts_with('-') && bytes[*at] != b'-';
            (0..bytes.len()).filter(|at| bytes[*at].is_ascii_alphanumeric() && inside(at)).collect()
        }
        Signed::Member(member) => {
            let text = std::str::from_utf8(bytes).unwrap();
            let from = text.find(&format!("\"{member}\"")).unwrap() + member.len() + 3;
            let until = text.rfind(",\"signature\"").or_else(|| text.rfind('}')).unwrap();
            (from..until).collect()
        }
    }
}

fn signed(name: &str, bytes: &[u8]) -> Signed {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    match name {
        // The report and its signature: r and s.
        "report.bin" | "extended_report.bin" => Signed::Bytes(0..0x2a0 + 144),
        // To the end of the signature data.
        "quote.bin" | "td_quote.bin" if word(0) & 0xffff == 4 => Signed::Bytes(0..0x27c + word(0x278)),
        "quote.bin" | "td_quote.bin" => {
            let body = 0x36 + word(0x32);
            Signed::Bytes(0..body + 4 + word(body))
        }
        // The SNP report inside, and the document that it is over.
        "hcl_report.bin" => Signed::Bytes(0x4d4..0x4d4 + word(0x4d0)),
        "tcb_info.json" => Signed::Member("tcbInfo"),
        "qe_identity.json" => Signed::Member("enclaveIdentity"),
        "quote.attest" | "quote.sig" | "document.cose" | "token.cose" | "runtime_data.json" | "vcek.der" | "vlek.der" | "ek_cert.der"
        | "pck_crl.der" | "root_ca_crl.der" | "ark_crl.der" | "ak_creation.attest" | "ak_creation.sig" => Signed::Bytes(0..bytes.len()),
        "token.jwt" => Signed::Bytes(0..bytes.len()),
        name if name.starts_with("chain") || name == "tcb_signing_chain.pem" || name == "ak_cert_chain.pem" => Signed::Base64,
        _ => Signed::Nothing,
    }
}
