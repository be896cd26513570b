#![no_main]
//! An exchange with its members: parsed, and appraised as a stranger's, it is never attributable.

use podseal_appraisal::{
    appraiser::{Context, appraise},
    batch::Unverified,
};
use podseal_protocol::{Digest, Limits};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = Unverified::parse(bytes, &Limits::DEFAULT) {
        let context = Context {
            verifier: Digest([7; 32]),
            now: 1_800_000_000,
            challenge_issued: false,
            registration: None,
            state: None,
            cluster: None,
            references: &[],
            replayed: None,
            pod_log: None,
            limits: Limits::DEFAULT,
        };
        let appraisal = appraise(&batch, &context);
        assert!(!appraisal.attributable() && appraisal.node_claims().is_none());
        assert_eq!(appraisal.leaves().len(), batch.leaf_digests().count());
    }
});
