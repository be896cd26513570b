//! Input of whoever means ill: of each form, whatever there can be most of.

/// The unit of sizes.
pub(crate) const MIB: usize = 1 << 20;

/// About `size` bytes of each form, of whatever there can be most of in it.
pub(crate) fn hostile(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let filled = |one: &[u8]| one.repeat(size / one.len());
    let text = |head: &str, one: &str, tail: &str| [head.as_bytes(), &filled(one.as_bytes()), tail.as_bytes()].concat();
    // Lengths in CBOR and in DER.
    let cbor = u32::try_from(size).unwrap().to_be_bytes();
    let der = &cbor[1..];
    let sha1_event = [&[0; 4][..], &[1, 0, 0, 0], &[7; 20], &[0; 4]].concat();
    vec![
        ("eventlog.bin", filled(&sha1_event)),
        ("eventlog.bin", [&sha1_event[..], &vec![0; size], &[1]].concat()),
        ("eventlog.bin", events_of_many_types(size)),
        ("eventlog.bin", [&spec_id(&[(4, 20), (0xb, 32)])[..], &filled(&agile_event(&[(4, 20), (0xb, 32)]))].concat()),
        ("ccel.bin", [&spec_id(&[(0xc, 48)])[..], &filled(&agile_event(&[(0xc, 48)]))].concat()),
        ("ccel.bin", [&spec_id(&[(0xc, 48)])[..], &vec![0xff; size]].concat()),
        ("ascii_runtime_measurements", text("", &format!("10 {} ima-ng sha256:{} /x\n", "0".repeat(40), "0".repeat(64)), "")),
        ("ascii_runtime_measurements", text("", &format!("10 {} ima {} /{}\n", "1".repeat(40), "0".repeat(40), "x".repeat(4000)), "")),
        ("binary_runtime_measurements", filled(&ima_entry())),
        ("binary_runtime_measurements", filled(&[&[10, 0, 0, 0][..], &[0; 20], &[6, 0, 0, 0], b"ima-ng", &[0; 4]].concat())),
        ("binary_runtime_measurements", filled(&ima_signed_entry())),
        ("ascii_runtime_measurements", text(&format!("10 {} ima-ng a:11 ", "11".repeat(20)), " ", "")),
        ("ascii_runtime_measurements", text(&format!("10 {} ima-ng a:", "11".repeat(20)), "11", " x\n")),
        ("claims.json", text(r#"{"ueid":["#, "1,", "1]}")),
        ("claims.json", text(r#"{"ueid":"#, "[", "")),
        ("claims.json", text(r#"{"ueid":1"#, r#","x":1"#, "}")),
        ("pcrs.json", text(r#"{"sha256":{"0":"00"#, r#"","1":"00"#, "\"}}")),
        ("tcb_info.json", text(r#"{"tcbInfo":{"x":["#, "{},", "{}]},\"signature\":\"00\"}")),
        ("qe_identity.json", text(r#"{"enclaveIdentity":{"x":["#, "[],", "[]]},\"signature\":\"00\"}")),
        ("runtime.json", text(r#"{"vm-configuration":{},"keys":["#, r#"{"kid":""},"#, r#"{"kid":""}]}"#)),
        ("keyring.json", text(r#"{"pubkeys":["#, r#""MA==","#, r#""MA=="],"keyids":[]}"#)),
        ("token.jwt", text("eyJhbGciOiJFUzI1NiJ9.", "W1tb", ".AAAA")),
        ("token.jwt", filled(b"eyJ.")),
        ("token.cose", [&[0x84, 0x43, 0xa1, 1, 0x26, 0xa0, 0x5a][..], &cbor, &filled(&[0x80])].concat()),
        ("document.cose", [&[0x84, 0x44, 0xa1, 1, 0x38, 0x22, 0xa0, 0x5a][..], &cbor, &filled(b"\xbf\x69module_id\x60")].concat()),
        ("document.cose", [&[0x84, 0x9f][..], &filled(&[0x81])].concat()),
        ("chain.pem", text("", "-----BEGIN X-----\nAA==\n-----END X-----\n", "")),
        ("chain.pem", filled(certificate().as_bytes())),
        ("cert.der", [&[0x30, 0x83][..], der, &filled(&[0x30, 0x80])].concat()),
        ("report.bin", [&snp_head()[..], &filled(&[0x11; 24])].concat()),
        ("quote.bin", tdx_quote(&filled(b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"))),
        ("quote.bin", tdx_quote(&filled(certificate().as_bytes()))),
        ("hcl_report.bin", [b"HCLA\x02\0\0\0".to_vec(), vec![0; size]].concat()),
        ("quote.attest", [b"\xffTCG\x80\x18".to_vec(), vec![0; size]].concat()),
        ("noise", filled(&[0xa5, 0x5a, 3])),
        ("zeros", vec![0; size]),
    ]
}

/// Evidence of each kind with as much beside it as there can be.
pub(crate) fn together(size: usize) -> Vec<Vec<(&'static str, Vec<u8>)>> {
    let filled = |one: &str| one.repeat(size / one.len()).into_bytes();
    let document = [&[0x84, 0x44, 0xa1, 1, 0x38, 0x22, 0xa0, 0x4a][..], b"\x69module_id", &[0x41, 0]].concat();
    let runtime = br#"{"keys":[],"vm-configuration":{}}"#.to_vec();
    let (certificates, keys) = (filled(&certificate()), filled(&key()));
    let quote = tdx_quote(certificate().as_bytes());
    let heads = [("document.cose", document), ("runtime_data.json", runtime), ("report.bin", snp_head()), ("quote.bin", quote)];
    let mut all = Vec::new();
    for head in heads {
        all.push(vec![head.clone(), ("chain.pem", certificates.clone())]);
        all.push(vec![head.clone(), ("keys.pem", keys.clone())]);
        all.push(vec![head.clone(), ("crl.der", list((1 << 16) + 1))]);
        all.push(vec![head, ("crl.der", list((1 << 14) + 1))]);
    }
    all
}

/// A revocation list that nobody signed, with so many entries: one more than a power of two costs a growing vector the most.
fn list(entries: usize) -> Vec<u8> {
    let long = |tag: u8, contents: &[u8]| [&[tag, 0x83][..], &u32::try_from(contents.len()).unwrap().to_be_bytes()[1..], contents].concat();
    let time = [&[0x17, 13][..], b"260101000000Z"].concat();
    let entry = [&[0x30, 18, 2, 1, 1][..], &time].concat();
    let entries = long(0x30, &entry.repeat(entries));
    let ecdsa = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let inside = [&[2, 1, 1][..], &ecdsa, &[0x30, 0], &time, &time, &entries].concat();
    long(0x30, &[&long(0x30, &inside)[..], &ecdsa, &[3, 2, 0, 1]].concat())
}

fn key() -> String {
    rcgen::KeyPair::generate().unwrap().public_key_pem()
}

/// `TCG_EfiSpecIdEvent` with these algorithms and digest sizes.
fn spec_id(algorithms: &[(u16, u16)]) -> Vec<u8> {
    let each = algorithms.iter().flat_map(|(id, size)| [id.to_le_bytes(), size.to_le_bytes()].concat());
    let count = u32::try_from(algorithms.len()).unwrap().to_le_bytes();
    let data = [b"Spec ID Event03\0".to_vec(), vec![0, 0, 0, 0, 0, 2, 0, 2], count.to_vec(), each.collect(), vec![0]].concat();
    let size = u32::try_from(data.len()).unwrap().to_le_bytes();
    [&[0; 4][..], &[3, 0, 0, 0], &[0; 20], &size, &data].concat()
}

fn agile_event(algorithms: &[(u16, u16)]) -> Vec<u8> {
    let count = u32::try_from(algorithms.len()).unwrap().to_le_bytes();
    let digests = algorithms.iter().flat_map(|(id, size)| [&id.to_le_bytes()[..], &vec![9; usize::from(*size)]].concat());
    [&[1, 0, 0, 0][..], &[1, 0, 0, 0], &count, &digests.collect::<Vec<_>>(), &[0; 4]].concat()
}

/// An entry of the template `ima-ng`, whole.
fn ima_entry() -> Vec<u8> {
    let sized = |data: &[u8]| [&u32::try_from(data.len()).unwrap().to_le_bytes()[..], data].concat();
    let data = [sized(&[&b"sha256:\0"[..], &[0x1a; 32]].concat()), sized(b"/x\0")].concat();
    [&[10, 0, 0, 0][..], &[7; 20], &sized(b"ima-ng"), &sized(&data)].concat()
}

/// `ima-sig`, as short as it can be, without a signature.
fn ima_signed_entry() -> Vec<u8> {
    let data = [&[4, 0, 0, 0][..], b"a:\0\x01", &[1, 0, 0, 0, 0], &[0; 4]].concat();
    let size = u32::try_from(data.len()).unwrap().to_le_bytes();
    [&[10, 0, 0, 0][..], &[0x11; 20], &[7, 0, 0, 0], b"ima-sig", &size, &data].concat()
}

/// Each of a type and a register of its own.
fn events_of_many_types(size: usize) -> Vec<u8> {
    let extended = |n: u32| [&[1, 0, 0, 0][..], &(n + 0x8000).to_le_bytes(), &[7; 20], &[0; 4]].concat();
    let message = |n: u32| [&n.to_le_bytes()[..], &[3, 0, 0, 0], &[7; 20], &[0; 4]].concat();
    (0..u32::try_from(size / 64).unwrap()).flat_map(|n| [extended(n), message(n)].concat()).collect()
}

fn certificate() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(vec!["x".into()]).unwrap().self_signed(&key).unwrap().pem()
}

fn snp_head() -> Vec<u8> {
    let mut report = vec![0; 0x4a0];
    (report[0], report[0x34]) = (3, 1);
    report
}

/// Version 4, with this chain in its certification data.
fn tdx_quote(chain: &[u8]) -> Vec<u8> {
    let mut signed = vec![0; 0x278];
    (signed[0], signed[2], signed[4]) = (4, 2, 0x81);
    let sized = |kind: &[u8], data: Vec<u8>| [kind, &u32::try_from(data.len()).unwrap().to_le_bytes(), &data].concat();
    let report = [vec![0; 384 + 64 + 2], sized(&[5, 0], chain.to_vec())].concat();
    [signed, sized(&[], [vec![0; 64 + 64], sized(&[6, 0], report)].concat())].concat()
}
