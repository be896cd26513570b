use std::path::Path;

use podseal_node_attester::collect::{
    CollectError,
    nsm_message::{Request, document},
};

#[test]
fn a_request_is_the_cbor_that_the_module_takes() {
    let (nonce, key) = ([7; 64], [8; 300]);
    let request = Request { user_data: None, nonce: Some(&nonce), public_key: Some(&key) }.encode();
    let mut wanted = b"\xa1\x6bAttestation\xa3\x69user_data\xf6\x65nonce\x58\x40".to_vec();
    wanted.extend(nonce);
    wanted.extend(b"\x6apublic_key\x59\x01\x2c");
    wanted.extend(key);
    assert_eq!(request, wanted);
    assert_eq!(Request::default().encode(), b"\xa1\x6bAttestation\xa3\x69user_data\xf6\x65nonce\xf6\x6apublic_key\xf6");
    let short = Request { user_data: Some(b"abc"), ..Request::default() }.encode();
    assert!(short.windows(4).any(|window| window == b"\x43abc"));
}

#[test]
fn a_document_is_taken_out_of_its_answer() {
    let path = Path::new("/dev/nsm");
    for (length, head) in [(3, vec![0x43]), (0x20, vec![0x58, 0x20]), (0x1234, vec![0x59, 0x12, 0x34]), (3, vec![0x5a, 0, 0, 0, 3])] {
        let body = vec![0x84; length];
        let answer = [b"\xa1\x6bAttestation\xa1\x68document".as_slice(), &head, &body].concat();
        assert_eq!(document(path, &answer).unwrap(), body);
        let padded = [answer.as_slice(), &[0xff; 100]].concat();
        assert_eq!(document(path, &padded).unwrap(), body, "what follows is left alone");
        for cut in 0..answer.len() {
            assert!(document(path, &answer[..cut]).is_err(), "cut at {cut} of {}", answer.len());
        }
    }
}

#[test]
fn an_error_of_the_module_is_told_by_its_name() {
    let path = Path::new("/dev/nsm");
    let error = document(path, b"\xa1\x65Error\x6dInputTooLarge").unwrap_err();
    assert!(matches!(&error, CollectError::Nsm { said, .. } if said == "InputTooLarge"), "{error}");
    for other in [
        b"\xa2\x6bAttestation\xa1\x68document\x41\x01".as_slice(),
        b"\xa1\x6bAttestation\xa2\x68document\x41\x01",
        b"\xa1\x6bAttestation\xa1\x68document\x61\x61",
        b"\xa1\x6bAttestation\xa1\x68document\x40",
        b"\xa1\x6bAttestation\xa1\x68document\x5f\x41\x01\xff",
        b"\xa1\x6bAttestation\xa1\x68document\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x6bAttestation\xa1\x68document\x5a\xff\xff\xff\xff\x01",
        b"\xa1\x68Describe\xa0",
        b"\xa1\x61\xff",
    ] {
        let error = document(path, other).unwrap_err().to_string();
        assert!(error.contains("wanted {\"Attestation\""), "{error}");
    }
}
