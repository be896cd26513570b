//! Enrolment: the node shows what proves it. A TPM alone proves by credential activation that its AK lives there; other hardware by evidence.

use std::{
    fs, io,
    io::Read as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use podseal_protocol::{
    Digest, Limits, Profile, Purpose,
    binding::{BindingInputs, binding},
    evidence::{Evidence, Part},
    join::{Activation, ActivationReply, Join, Proof},
};
use podseal_wire::pinned::pem_certificates;

use crate::{
    boot_id,
    client::{Client, ClientError},
    config::{Config, Node},
    network::{Link, NetworkError},
    owner::{Collected, Identity, Owner, OwnerConfig, PodLogFiles, TpmError},
};

/// Why the node is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// A file cannot be read.
    #[error("{path}: {problem}: name another, or correct its permissions")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The join token is none.
    #[error("join token: found {found} bytes, wanted 1 to {most} printable ones: paste what `podseal node join-token` printed")]
    Token {
        /// How long it is.
        found: usize,
        /// How long it may be.
        most: usize,
    },
    /// The thread for the TPM cannot be started.
    #[error("TPM thread: {0}")]
    Thread(io::Error),
    /// The TPM did not do its part.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// There is no way to the verifier.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The verifier did not do its part.
    #[error(transparent)]
    Verifier(#[from] ClientError),
}

/// Enrols this node; the network process arrives over `control`. Without a join token an administrator has to approve it.
///
/// # Errors
/// The step that failed. Enrolling again is safe: the AK is made once.
pub async fn enrol(config: &Config, token: Option<String>, control: UnixStream) -> Result<ActivationReply, EnrolError> {
    let intermediates = config.tpm.ek_intermediates.as_deref().map(intermediates).transpose()?.unwrap_or_default();
    let link = Link::open(control, config.verifier.timeouts, config.bounds.limits).await?;
    let client = Client::new(link.way, config.verifier.id, &config.node.name, config.bounds.limits);
    // No log is begun by enrolling.
    let owner = Owner::start(OwnerConfig { pod_log: None, ..owner_config(config) }).map_err(EnrolError::Thread)?;
    let enrolled = prove(config, token, intermediates, &client, &owner).await;
    let ended = owner.end().await;
    let reply = enrolled?;
    ended?;
    Ok(reply)
}

async fn prove(
    config: &Config,
    token: Option<String>,
    intermediates: Vec<Vec<u8>>,
    client: &Client,
    owner: &Owner,
) -> Result<ActivationReply, EnrolError> {
    let challenge = client.challenge(Purpose::Join).await?;
    let request = |key, proof| Join {
        challenge: challenge.bytes.clone(),
        token: token.unwrap_or_default(),
        node: config.node.name.clone(),
        cluster: config.node.cluster.clone(),
        node_uid: config.node.uid.clone(),
        profile: config.node.profile.as_str().to_owned(),
        key,
        proof,
    };
    if config.node.profile == Profile::Tpm {
        let Identity { ek_certificate, ek_public, ak_public } = owner.enrol().await?;
        let join = request(ak_public, Proof::Ek { certificate: ek_certificate, intermediates, public: ek_public });
        let credential = client.join(&join).await?;
        let secret = owner.activate(credential.credential, credential.encrypted_secret).await?;
        return Ok(client.activate(&Activation { join: join.encode(), secret: Some(secret) }).await?);
    }
    let key = owner.key().await?;
    let evidence = evidence(config, challenge.digest, owner).await?;
    Ok(client.activate(&Activation { join: request(key, Proof::Evidence(evidence)).encode(), secret: None }).await?)
}

/// Evidence for the purpose of joining: what the hardware says of this machine, without what booted.
async fn evidence(config: &Config, challenge: Digest, owner: &Owner) -> Result<Vec<u8>, EnrolError> {
    let Node { name, profile, boot_id: path, .. } = config.node.clone();
    let boot_id = boot_id::read(&path, &config.bounds.limits).map_err(|problem| EnrolError::File { path, problem })?;
    let (signer, verifier) = (owner.signer().await?, config.verifier.id);
    let (node, boot) = (name.clone(), boot_id.clone());
    let collected = owner.collect(0, move |pod_log| {
        let inputs = BindingInputs {
            challenge,
            purpose: Purpose::Join,
            verifier,
            node: &node,
            signer: &signer,
            profile: profile.as_str(),
            boot_id: &boot,
            pod_log,
        };
        binding(&inputs, &[])
    });
    let Collected { pod_log, parts } = collected.await?;
    let parts = parts.into_iter().filter(|part| !matches!(part, Part::BootLog(_))).collect();
    Ok(Evidence { node: name, profile: profile.as_str().to_owned(), boot_id, pod_log, parts }.encode())
}

/// What the TPM's owner works with.
#[must_use]
pub fn owner_config(config: &Config) -> OwnerConfig {
    let tpm = config.tpm.clone();
    let (limits, deadline) = (config.bounds.limits, config.bounds.tpm);
    let (boot_id, exceptions) = (config.node.boot_id.clone(), config.exceptions.clone());
    let pod_log = config.pod_log.clone().map(|file| PodLogFiles { file, boot_id, exceptions });
    let (tcti, ak, ak_state, event_log, pcrs) = (tpm.tcti, tpm.ak, tpm.ak_state, tpm.event_log, tpm.pcrs);
    let (profile, evidence) = (config.node.profile, config.evidence.clone());
    // The first evidence of a boot waits for Azure's paravisor.
    let deadline = if profile == Profile::AzureSnp { deadline + evidence.azure_wait * 5 } else { deadline };
    OwnerConfig { profile, evidence, tcti, ak, ak_state, event_log, pcrs, limits, deadline, pod_log }
}

/// Reads a join token from a file, or from stdin where that is `-`.
///
/// # Errors
/// [`EnrolError::File`], [`EnrolError::Token`].
pub fn read_token(path: &Path, limits: &Limits) -> Result<String, EnrolError> {
    let most = limits.text;
    let unreadable = |e: io::Error| EnrolError::File { path: path.to_owned(), problem: e.to_string() };
    let mut text = String::new();
    let read = |source: &mut dyn io::Read, text: &mut String| source.take(most as u64 + 2).read_to_string(text);
    if path == Path::new("-") {
        read(&mut io::stdin(), &mut text).map_err(unreadable)?;
    } else {
        read(&mut fs::File::open(path).map_err(unreadable)?, &mut text).map_err(unreadable)?;
    }
    let token = text.trim_ascii_end();
    if token.is_empty() || token.len() > most || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(EnrolError::Token { found: token.len(), most });
    }
    Ok(token.to_owned())
}

fn intermediates(path: &Path) -> Result<Vec<Vec<u8>>, EnrolError> {
    let wrong = |problem: String| EnrolError::File { path: path.to_owned(), problem };
    let pem = fs::read(path).map_err(|e| wrong(e.to_string()))?;
    pem_certificates(&pem).map_err(wrong)
}
