//! Instances with NitroTPM: the hypervisor's document, its registers, and its name of the instance.

use podseal_protocol::{Digest, Profile, evidence::Part};

use super::{Held, binding, key};
use crate::{
    claims::Memory,
    cose::tests::{bytes, text},
    machine::{Gathered, Hardware},
    nitro::tests::mint::{self, Fields},
};

fn instance() -> Held {
    Held {
        profile: Profile::NitroTpm,
        key: key(Profile::NitroTpm, b"i-1-enc1"),
        machine: Some(Digest::of(b"i-1-enc1")),
        report: None,
        hardware: Hardware::of_roots(mint::roots(&mint::pki()[0])),
        endorsements: Gathered::default(),
        now: mint::NOW,
    }
}

fn fields() -> Fields {
    let registers: Vec<_> = (0..13).map(|index| (index, vec![u8::from(index < 10); 48])).collect();
    let fields = mint::with(mint::nitrotpm(), "nitrotpm_pcrs", mint::pcrs(&registers));
    mint::with(fields, "nonce", bytes(binding().as_ref()))
}

fn document(fields: &Fields) -> Vec<Part> {
    vec![Part::NitroDocument(mint::document(fields))]
}

#[test]
fn honest_instance() {
    let machine = instance().proves(document(&fields()));
    assert_eq!((machine.memory, machine.tpm_in_tee), (Memory::None, false));
    assert_eq!(machine.registers.unwrap().set().to_string(), "0,1,2,3,4,5,6,7,8,9");
}

#[test]
fn document_of_another_instance() {
    let rule = "node.machine";
    instance().refuses(rule, document(&mint::with(fields(), "module_id", text("i-2-enc1"))));
    // While it joins, the name that it asks for counts.
    let joining = Held { machine: None, ..instance() };
    joining.proves(document(&fields()));
    joining.refuses(rule, document(&mint::with(fields(), "module_id", text("i-2-enc1"))));
}

#[test]
fn document_over_something_else() {
    instance().refuses("nitro.nonce", document(&mint::with(fields(), "nonce", bytes(b"another"))));
}

/// It is that instance's own, so its refusal is told of the node and logged; another's is not.
#[test]
fn own_document_that_policy_refuses() {
    let registers: Vec<_> = (0..13).map(|index| (index, vec![1; 48])).collect();
    let fields = mint::with(fields(), "nitrotpm_pcrs", mint::pcrs(&registers));
    instance().refuses("nitro.command_line", document(&fields));
    assert!(instance().is_own(document(&fields)));
    assert!(!instance().is_own(document(&mint::with(fields, "module_id", text("i-2-enc1")))));
}

#[test]
fn document_of_an_enclave() {
    let enclave = mint::with(mint::enclave(), "nonce", bytes(binding().as_ref()));
    let registers: Vec<_> = (0..13).map(|index| (index, vec![1; 48])).collect();
    instance().refuses("nitro.source", document(&mint::with(enclave, "pcrs", mint::pcrs(&registers))));
}

#[test]
fn registers_that_a_document_lacks() {
    let registers: Vec<_> = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12].map(|index| (index, vec![u8::from(index < 10); 48])).into();
    let less = mint::with(fields(), "nitrotpm_pcrs", mint::pcrs(&registers));
    instance().refuses("nitro.registers", document(&less));
}

#[test]
fn no_document() {
    instance().refuses("evidence.form", Vec::new());
    instance().refuses("evidence.form", vec![Part::NitroDocument(vec![0x84])]);
}
