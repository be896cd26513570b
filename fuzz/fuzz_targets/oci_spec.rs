#![no_main]
//! An OCI runtime spec, appraised for a container whose token and pod set hold.

use std::sync::LazyLock;

use podseal_appraisal::{
    check::{Checks, Verdict, worst},
    claims::Claim,
    token::TokenFacts,
    workload::{MountSources, WorkloadAttachments, WorkloadExpectations, appraise_workload},
};
use podseal_protocol::{Digest, HostNamespaces, Leaf, Limits, PodContainer, PodSet, key::SecretKey};

struct Asking {
    leaf: Leaf,
    pod_set: Vec<u8>,
    token: TokenFacts,
    sources: MountSources,
}

static ASKING: LazyLock<Option<Asking>> = LazyLock::new(|| {
    let digest = Digest([7; 32]);
    let container = |privileged| PodContainer {
        id: "id".to_owned(),
        name: "name".to_owned(),
        image_manifest: digest,
        image_config: digest,
        privileged,
    };
    let pod_set = PodSet::new(HostNamespaces::default(), vec![container(false)]).encode();
    let word = |text: &str| text.to_owned();
    let leaf = Leaf {
        salt: [0; 32],
        workload_key: SecretKey::from_scalar(&[1; 32])?.public(),
        cluster: word("cluster"),
        namespace: word("namespace"),
        pod: word("pod"),
        pod_uid: word("uid"),
        service_account: word("account"),
        node_uid: word("node"),
        container: word("name"),
        container_id: word("id"),
        init_start: 1,
        image_manifest: digest,
        image_config: digest,
        spec: digest,
        pod_set: Digest::of(&pod_set),
        launcher: digest,
        token: digest,
        secrets: Vec::new(),
        sequence: 1,
    };
    let token = TokenFacts {
        cluster: word("cluster"),
        namespace: word("namespace"),
        pod: word("pod"),
        pod_uid: word("uid"),
        service_account: word("account"),
        names_node: Claim::Appraised(true),
        expires: 2_000_000_000,
    };
    let sources = MountSources::new(word("/var/lib/kubelet"), vec![word("/run/containerd")], vec![word("/run/podseal")]).ok()?;
    Some(Asking { leaf, pod_set, token, sources })
});

libfuzzer_sys::fuzz_target!(|spec: &[u8]| {
    let Some(Asking { leaf, pod_set, token, sources }) = ASKING.as_ref() else { panic!("the fixture is not usable") };
    let attachments = WorkloadAttachments { spec, pod_set };
    let expected = WorkloadExpectations { verifier_id: "v", sources, running: None };
    let mut checks = Checks::owing(&[]);
    let claims = appraise_workload(attachments, leaf, token, &expected, &Limits::DEFAULT, &mut checks);
    assert_eq!(claims.is_some(), worst(&checks.finish()) == Verdict::Pass);
});
