#![no_main]
//! Records that are read were written so: they encode to the same bytes. What they come to has one encoding, and is the same in two pieces.

use podseal_appraisal::pod_log::{Piece, PodLogState, replay};
use podseal_protocol::{
    Limits,
    pod_log::{Records, Register},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::DEFAULT;
    for register in [Register::TPM, Register::Rtmr] {
        let read = Records::new(bytes, 0, register, &limits).map_while(Result::ok);
        let records: Vec<_> = read.map(|(record, _)| record.encode(register)).collect();
        let whole = records.concat();
        assert!(bytes.starts_with(&whole));
        let replayed = |state: Option<&PodLogState>, from: usize, records: &[Vec<u8>]| {
            let from = from as u64;
            replay(state, Piece { register, from, records: &records.concat() }, &limits)
        };
        if let Ok(state) = replayed(None, 0, &records) {
            assert_eq!(PodLogState::decode(&state.encode(), &limits).as_ref(), Ok(&state));
            let half = records.len().div_ceil(2);
            let first = replayed(None, 0, &records[..half]).expect("a part of what can be replayed");
            assert_eq!(replayed(Some(&first), half, &records[half..]), Ok(state));
        }
    }
});
