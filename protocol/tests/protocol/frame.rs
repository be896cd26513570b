//! The frame between launcher and attester.

use podseal_protocol::{
    Limits,
    cbor::Problem,
    frame::{WorkloadRequest, frame, length},
};

use crate::{
    cbor_walk::{items, shortest},
    fixtures::{LIMITS, workload_request},
};

#[test]
fn oversized_every_frame() {
    let narrow = Limits { frame: 10, ..LIMITS };
    assert_eq!(frame(&[7; 10], &narrow).unwrap(), [&[0, 0, 0, 10][..], &[7; 10]].concat());
    assert_eq!(length([0, 0, 0, 10], &narrow), Ok(10));
    assert_eq!(frame(&[7; 11], &narrow).unwrap_err().problem, Problem::TooLong);
    assert_eq!(length([0, 0, 0, 11], &narrow).unwrap_err().problem, Problem::TooLong);
    assert_eq!(length([0xff; 4], &narrow).unwrap_err().problem, Problem::TooLong);
    assert_eq!(length([0; 4], &narrow).unwrap_err().problem, Problem::WrongLength);
    assert_eq!(frame(&[], &narrow).unwrap_err().problem, Problem::WrongLength);
}

/// A launcher that tells who it is, in whatever field: the frame has no room for it.
#[test]
fn claims_come_from_the_runtime_never_from_the_frame() {
    let bytes = workload_request().encode();
    let outer = items(&bytes)[0];
    for more in [&b"\x68payments"[..], &[0x41, 7], &[0x00], &[0x80], &[0xa0]] {
        let widened = [outer.with_head(&bytes, &shortest(4, 5)), more.to_vec()].concat();
        assert_eq!(WorkloadRequest::decode(&widened, &LIMITS).unwrap_err().problem, Problem::WrongLength);
        let appended = [&bytes, more].concat();
        assert_eq!(WorkloadRequest::decode(&appended, &LIMITS).unwrap_err().problem, Problem::Trailing);
    }
}
