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
        let piece = |from, records| Piece { register, from, records };
        if let Ok(state) = replay(None, piece(0, &whole), &limits) {
            assert_eq!(PodLogState::decode(&state.encode(), &limits).as_ref(), Ok(&state));
            let half = records.len().div_ceil(2);
            let first = replay(None, piece(0, &records[..half].concat()), &limits).expect("a part of what can be replayed");
            assert_eq!(replay(Some(&first), piece(half as u64, &records[half..].concat()), &limits), Ok(state));
        }
    }
});
