#![no_main]
//! Records that are read were written so: they encode to the same bytes. What they come to has one encoding, and is the same in two pieces.

use podseal_appraisal::pod_log::{PodLogState, replay};
use podseal_protocol::{Limits, pod_log::Records};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::DEFAULT;
    let records: Vec<_> = Records::new(bytes, 0, &limits).map_while(Result::ok).map(|(record, _)| record.encode()).collect();
    let whole = records.concat();
    assert!(bytes.starts_with(&whole));
    if let Ok(state) = replay(None, 0, &whole, &limits) {
        assert_eq!(PodLogState::decode(&state.encode(), &limits).as_ref(), Ok(&state));
        let half = records.len().div_ceil(2);
        let first = replay(None, 0, &records[..half].concat(), &limits).expect("a part of what can be replayed");
        assert_eq!(replay(Some(&first), half as u64, &records[half..].concat(), &limits), Ok(state));
    }
});
