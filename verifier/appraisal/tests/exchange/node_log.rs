//! The node's pod log: what happened, the records that were written of it, and the register that they were extended into.

use podseal_appraisal::pod_log::{Piece, PodLogState, replay};
use podseal_protocol::{
    Digest, Limits,
    binding::PodLogHead,
    pod_log::{Event, Record, Register, Started, extended},
};

use super::pod::Pod;

/// How a node keeps its log, honest unless it is changed.
#[derive(Debug, Clone)]
pub(crate) struct NodeLog {
    /// What the register held before the first record.
    pub(crate) register: Digest,
    /// Changes what happened, before it is written.
    pub(crate) happened: fn(&mut Vec<Event>),
    /// Changes the digests that are extended.
    pub(crate) extended: fn(&mut Vec<Digest>),
    /// Number of the first record that is sent.
    pub(crate) from: u64,
    /// Changes the records that are sent.
    pub(crate) sent: fn(&mut Vec<Record>),
    /// Changes the bytes that are sent.
    pub(crate) bytes: fn(&mut Vec<u8>),
    /// Changes what the evidence says of the log.
    pub(crate) claimed: fn(&mut PodLogHead),
}

impl Default for NodeLog {
    fn default() -> Self {
        Self { register: Digest([0; 32]), happened: |_| (), extended: |_| (), from: 0, sent: |_| (), bytes: |_| (), claimed: |_| () }
    }
}

/// A log as it stands when evidence is made.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) records: Vec<Record>,
    /// What the evidence says.
    pub(crate) head: PodLogHead,
    /// What the register holds.
    pub(crate) register: Digest,
}

impl NodeLog {
    /// Everything that happened until these pods ran: their sandboxes, and each of their containers.
    pub(crate) fn written(&self, boot_id: &str, pods: &[Pod]) -> Written {
        let mut events = vec![Event::Began { boot_id: boot_id.to_owned(), register: self.register.into(), exceptions: Vec::new() }];
        events.extend(pods.iter().flat_map(starts));
        (self.happened)(&mut events);
        let records: Vec<Record> = (0..).zip(events).map(|(number, event)| Record { number, event }).collect();
        let mut digests: Vec<Digest> = records.iter().map(Record::digest).collect();
        let start = PodLogHead { length: 0, head: self.register };
        let mut head = digests.iter().fold(start, PodLogHead::and);
        (self.claimed)(&mut head);
        (self.extended)(&mut digests);
        let register = digests.iter().fold(self.register, |register, digest| extended(&register, digest));
        Written { records, head, register }
    }

    /// The bytes of the records that are sent.
    pub(crate) fn bytes(&self, written: &Written) -> Vec<u8> {
        let mut records: Vec<Record> = written.records.iter().filter(|record| record.number >= self.from).cloned().collect();
        (self.sent)(&mut records);
        let mut bytes = records.iter().flat_map(|record| record.encode(Register::TPM)).collect();
        (self.bytes)(&mut bytes);
        bytes
    }
}

/// What the log came to after its first `length` records.
pub(crate) fn state_after(written: &Written, length: u64) -> PodLogState {
    let records = written.records.iter().filter(|record| record.number < length);
    let records = records.flat_map(|record| record.encode(Register::TPM)).collect::<Vec<_>>();
    replay(None, Piece { register: Register::TPM, from: 0, records: &records }, &Limits::DEFAULT).unwrap()
}

pub(crate) fn started(id: &str, pod: &Pod, image: &Digest) -> Started {
    Started {
        container_id: id.to_owned(),
        sandbox: false,
        pod_uid: pod.leaf.pod_uid.clone(),
        namespace: pod.leaf.namespace.clone(),
        pod: pod.leaf.pod.clone(),
        container: String::new(),
        image: format!("registry.example/image@sha256:{image}"),
        privileged: false,
        heard: true,
    }
}

fn starts(pod: &Pod) -> Vec<Event> {
    let leaf = &pod.leaf;
    let sandbox = format!("5a4d-sandbox-{}", leaf.pod);
    let mut all = vec![
        Started { sandbox: true, ..started(&sandbox, pod, &Digest::of(b"pause manifest")) },
        Started { container: leaf.container.clone(), ..started(&leaf.container_id, pod, &leaf.image_manifest) },
    ];
    let others = pod.containers.iter().filter(|c| c.id != leaf.container_id);
    all.extend(others.map(|c| Started { container: c.name.clone(), ..started(&c.id, pod, &c.image_manifest) }));
    all.into_iter().map(Event::Started).collect()
}
