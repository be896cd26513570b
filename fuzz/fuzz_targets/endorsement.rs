#![no_main]
//! An endorsement: as a service's answer, whatever was asked for, and as a file. What is accepted is written and read as the same.
//! The input has the endorsement's name, the kind of service and its header field of issuers, a line each, and then the body.

use libfuzzer_sys::fuzz_target;
use podseal_appraisal::endorsement::{Answer, Endorsed, Endorsement, Service, ServiceKind};

/// What is asked for, and what was answered.
fn exchange(input: &[u8]) -> Option<(Endorsement, Service, Answer)> {
    let mut parts = input.splitn(4, |byte| *byte == b'\n');
    let mut line = || std::str::from_utf8(parts.next()?).ok();
    let endorsement = line()?.parse().ok()?;
    let service = Service { kind: ServiceKind::parse(line()?)?, url: "https://maker.example".to_owned() };
    let issuer_chain = Some(line()?.to_owned());
    Some((endorsement, service, Answer { body: parts.next()?.to_vec(), issuer_chain }))
}

fuzz_target!(|input: &[u8]| {
    let Some((endorsement, service, answer)) = exchange(input) else { return };
    if let Ok((endorsed, _)) = Endorsed::parse(&answer.body) {
        assert_eq!(endorsed.encode().as_bytes(), answer.body);
    }
    let Ok((content, facts)) = answer.read(&service, &endorsement) else { return };
    let endorsed = Endorsed { endorsement, content, source: "https://maker.example/".to_owned(), fetched: facts.issued };
    let again = Endorsed::parse(endorsed.encode().as_bytes()).expect("what was written is read");
    assert_eq!(again, (endorsed, facts));
});
