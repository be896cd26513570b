#![no_main]
//! An endorsement: as a service's answer, whatever was asked for, and as a file. What is accepted is written and read as the same.

use libfuzzer_sys::fuzz_target;
use podseal_appraisal::endorsement::{Answer, Endorsed, Endorsement, Service, ServiceKind};

const NAMES: [&str; 6] = [
    "amd-milan-chain",
    "amd-milan-crl",
    "intel-tdx-tcb-00806f050000",
    "intel-tdx-qe-identity",
    "intel-pck-crl-platform",
    "http://maker.example/a.crl",
];

fuzz_target!(|input: (u8, u8, &str, &[u8])| {
    let (name, kind, chain, body) = input;
    if let Ok((endorsed, _)) = Endorsed::parse(body) {
        assert_eq!(endorsed.encode().as_bytes(), body);
    }
    let endorsement: Endorsement = NAMES[usize::from(name) % NAMES.len()].parse().expect("a name");
    let kind = ServiceKind::ALL[usize::from(kind) % ServiceKind::ALL.len()];
    let service = Service { kind, url: "https://maker.example".to_owned() };
    let answer = Answer { body: body.to_vec(), issuer_chain: Some(chain.to_owned()) };
    let Ok((content, facts)) = answer.read(&service, &endorsement) else { return };
    let endorsed = Endorsed { endorsement, content, source: "https://maker.example/".to_owned(), fetched: facts.issued };
    let again = Endorsed::parse(endorsed.encode().as_bytes()).expect("what was written is read");
    assert_eq!(again, (endorsed, facts));
});
