use super::mint::{Fields, NOW, document, enclave, nitrotpm, pcrs, pki, roots, with};
use crate::cose::Sign1;
use crate::nitro::{Document, Expected, Policy, appraise_document, appraise_policy};
use crate::tpm::tests::appraise;

/// The rules that failed under `policy`, of a document that is authentic.
fn refused(fields: &Fields, policy: &Policy) -> Vec<&'static str> {
    let bytes = document(fields);
    let message = Sign1::parse(&bytes).unwrap();
    let document = Document::parse(&message).unwrap();
    let expected = Expected { roots: &roots(&pki()[0]), now: NOW, nonce: None, beside: &[], lists: &[] };
    let facts = appraise(&[], |checks| appraise_document(&document, &expected, checks)).0.unwrap();
    let (holds, failed) = appraise(&[], |checks| Some(appraise_policy(&facts, policy, checks)));
    assert_eq!(holds, Some(failed.is_empty()));
    failed
}

fn by_default(fields: &Fields) -> Vec<&'static str> {
    refused(fields, &Policy::default())
}

#[test]
fn documents_that_the_default_policy_takes() {
    assert_eq!(by_default(&enclave()), [""; 0]);
    assert_eq!(by_default(&nitrotpm()), [""; 0]);
}

#[test]
fn debug_enclave() {
    let zero = [(0, vec![0; 48]), (1, vec![0; 48]), (2, vec![0; 48]), (4, vec![1; 48])];
    let debug = with(enclave(), "pcrs", pcrs(&zero));
    assert_eq!(by_default(&debug), ["nitro.debug"]);
    assert_eq!(refused(&debug, &Policy { debug_enclaves: true, ..Policy::default() }), [""; 0]);
}

#[test]
fn nothing_measured() {
    assert_eq!(by_default(&with(enclave(), "pcrs", pcrs(&[(3, vec![1; 48]), (4, vec![1; 48])]))), ["nitro.measured"]);
    let boot = pcrs(&[(4, vec![0; 48]), (7, vec![0; 48]), (12, vec![0; 48]), (16, vec![1; 48])]);
    assert_eq!(by_default(&with(nitrotpm(), "nitrotpm_pcrs", boot)), ["nitro.measured"]);
}

#[test]
fn command_line_that_was_not_measured_with_the_image() {
    let other = with(nitrotpm(), "nitrotpm_pcrs", pcrs(&[(4, vec![1; 48]), (12, vec![1; 48])]));
    assert_eq!(by_default(&other), ["nitro.command_line"]);
    assert_eq!(refused(&other, &Policy { other_command_lines: true, ..Policy::default() }), [""; 0]);
    assert_eq!(by_default(&with(nitrotpm(), "nitrotpm_pcrs", pcrs(&[(4, vec![1; 48])]))), ["nitro.command_line"]);
}
