//! Enrolment: the node shows its TPM and proves by credential activation that its AK lives there.

use std::{
    fs, io,
    io::Read as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use podseal_protocol::{
    Limits, Purpose,
    join::{Activation, ActivationReply, Join},
};
use podseal_wire::pinned::pem_certificates;

use crate::{
    client::{Client, ClientError},
    config::Config,
    network::{Link, NetworkError},
    owner::{Identity, Owner, OwnerConfig, PodLogFiles, TpmError},
    round::PROFILE,
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
    let owner = Owner::start(owner_config(config)).map_err(EnrolError::Thread)?;
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
    let Identity { ek_certificate, ek_public, ak_public } = owner.enrol().await?;
    let join = Join {
        challenge: challenge.bytes,
        token: token.unwrap_or_default(),
        node: config.node.name.clone(),
        cluster: config.node.cluster.clone(),
        node_uid: config.node.uid.clone(),
        profile: PROFILE.to_owned(),
        ek_certificate,
        intermediates,
        ek_public,
        ak_public,
    };
    let credential = client.join(&join).await?;
    let secret = owner.activate(credential.credential, credential.encrypted_secret).await?;
    Ok(client.activate(&Activation { join: join.encode(), secret }).await?)
}

/// What the TPM's owner works with.
#[must_use]
pub fn owner_config(config: &Config) -> OwnerConfig {
    let tpm = config.tpm.clone();
    let (limits, deadline) = (config.bounds.limits, config.bounds.tpm);
    let (boot_id, exceptions) = (config.node.boot_id.clone(), config.exceptions.clone());
    let pod_log = config.pod_log.clone().map(|file| PodLogFiles { file, boot_id, exceptions });
    let (tcti, ak, ak_state, event_log, pcrs) = (tpm.tcti, tpm.ak, tpm.ak_state, tpm.event_log, tpm.pcrs);
    OwnerConfig { tcti, ak, ak_state, event_log, pcrs, limits, deadline, pod_log }
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
