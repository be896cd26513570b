//! The binding covers everything that it names.

use std::collections::BTreeSet;

use podseal_protocol::{
    Digest, Profile, Purpose,
    binding::{BindingInputs, PodLogHead, binding, report_data},
};

use crate::fixtures::ak_name;

/// Each input changed alone, neighbouring texts shifted into each other, leaves added, dropped, exchanged: every binding is another.
#[test]
fn leaf_of_other_batch() {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let name = ak_name();
    let base = BindingInputs {
        challenge: a,
        purpose: Purpose::Release,
        verifier: b,
        node: "node",
        signer: &name,
        profile: "tpm",
        boot_id: "boot",
        pod_log: PodLogHead::NONE,
    };
    let variants = [
        base,
        BindingInputs { challenge: b, ..base },
        BindingInputs { purpose: Purpose::Join, ..base },
        BindingInputs { verifier: a, ..base },
        BindingInputs { node: "nodet", profile: "pm", ..base },
        BindingInputs { node: "node2", ..base },
        BindingInputs { signer: &name[..33], ..base },
        BindingInputs { signer: &[], ..base },
        BindingInputs { profile: "tpmb", boot_id: "oot", ..base },
        BindingInputs { profile: "snp", ..base },
        BindingInputs { boot_id: "other", ..base },
        BindingInputs { pod_log: PodLogHead { length: 1, ..PodLogHead::NONE }, ..base },
        BindingInputs { pod_log: PodLogHead { head: a, ..PodLogHead::NONE }, ..base },
    ];
    let mut all: Vec<Digest> = variants.iter().map(|inputs| binding(inputs, &[a, b])).collect();
    all.extend([&[][..], &[a], &[b], &[b, a], &[a, a], &[a, b, b]].map(|leaves| binding(&base, leaves)));
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert_eq!(binding(&base, &[a, b]), all[0]);
}

#[test]
fn report_data_says_for_which_profile() {
    let binding = Digest::of(b"binding");
    let all: BTreeSet<[u8; 64]> = Profile::ALL.into_iter().map(|profile| report_data(&binding, profile)).collect();
    assert_eq!(all.len(), Profile::ALL.len());
    let snp = report_data(&binding, Profile::Snp);
    assert_eq!((&snp[..32], &snp[32..]), (binding.as_ref(), Digest::of(b"snp").as_ref()));
}
