//! The counterfeit's pod log: what an attester would have written, and the real register that it was extended into.

use std::sync::PoisonError;

use podseal_protocol::Digest;
use podseal_protocol::binding::PodLogHead;
use podseal_protocol::pod_log::{Event, REGISTER, Record, Register, Started};

use super::{Claim, Counterfeit};
use crate::error::BenchError;
use crate::raw_tpm::Bank;
use crate::site::machine::EXCEPTION;

/// Records, and where they stand.
#[derive(Clone, Debug)]
pub struct PodLog {
    /// The records.
    pub records: Vec<Record>,
    /// Their number, and what the register holds if they are all that was extended.
    pub head: PodLogHead,
}

impl PodLog {
    /// The bytes of the records from one on.
    pub fn bytes(&self, from: u64) -> Vec<u8> {
        self.records.iter().filter(|record| record.number >= from).flat_map(|record| record.encode(Register::TPM)).collect()
    }
}

impl Counterfeit {
    /// Begins an honest log: its first record, and the starts of the claim's sandbox and container. From then on each plan has the whole log.
    pub fn keep_pod_log(&self) -> Result<(), BenchError> {
        self.begin_pod_log(Digest([0; 32]))?;
        let (sandbox, container) = (started(&self.honest, "sandbox-of-the-claim"), started(&self.honest, &self.honest.leaf.container_id));
        self.happened(Event::Started(Started { sandbox: true, ..sandbox }))?;
        self.happened(Event::Started(container))
    }

    /// Begins a log that says this of the register.
    pub fn begin_pod_log(&self, register: Digest) -> Result<(), BenchError> {
        let head = PodLogHead { length: 0, head: register };
        *self.pod_log.lock().unwrap_or_else(PoisonError::into_inner) = Some(PodLog { records: Vec::new(), head });
        self.happened(Event::Began { boot_id: self.boot_id()?, register: register.into(), exceptions: vec![EXCEPTION.to_owned()] })
    }

    /// Writes what happened, and extends it.
    pub fn happened(&self, event: Event) -> Result<(), BenchError> {
        let digest = {
            let mut kept = self.pod_log.lock().unwrap_or_else(PoisonError::into_inner);
            let log = kept.as_mut().ok_or_else(|| BenchError::answer("the counterfeit", "no pod log", "one that was begun"))?;
            let record = Record { number: log.head.length, event };
            let digest = record.digest();
            log.head = log.head.and(&digest);
            log.records.push(record);
            digest
        };
        self.extend(&digest)
    }

    /// Extends the register of the pod log, and writes nothing.
    pub fn extend(&self, digest: &Digest) -> Result<(), BenchError> {
        self.release_tpm();
        self.machine.tpm().client()?.pcr_extend(u32::from(REGISTER), &[(Bank::Sha256, digest.0.to_vec())])
    }

    /// The log as it stands.
    pub fn pod_log(&self) -> Option<PodLog> {
        self.pod_log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The start of a container of the claim's pod, with the claim's image.
pub fn started(claim: &Claim, id: &str) -> Started {
    let leaf = &claim.leaf;
    Started {
        container_id: id.to_owned(),
        sandbox: false,
        pod_uid: leaf.pod_uid.clone(),
        namespace: leaf.namespace.clone(),
        pod: leaf.pod.clone(),
        container: leaf.container.clone(),
        image: format!("registry.example/app@sha256:{}", leaf.image_manifest),
        privileged: false,
        heard: true,
    }
}
