//! The running attester: opens what the configuration names, serves until it is told to stop, and leaves nothing behind.

use std::{io, io::Write as _, os::unix::net::UnixStream, sync::Arc};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use crate::{
    client::{Challenges, Client},
    config::Config,
    csi::{CsiError, Driver, TokenError, Tokens},
    enrol::owner_config,
    identify::{Identifier, Launcher},
    network::{Link, NetworkError},
    owner::{Owner, TpmError},
    pod_log::{Gate, Watch},
    round::{Arrivals, Attest, Replayed, Rounds},
    sessions::Sessions,
    socket::{self, Desk, DirectoryError},
};

/// Why the attester does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The operating system refuses something.
    #[error("{step}: {problem}")]
    System {
        /// What.
        step: &'static str,
        /// What it said.
        problem: io::Error,
    },
    /// The node is not enrolled, or its key's file is not to be trusted.
    #[error(transparent)]
    Tpm(TpmError),
    /// There is no way to the verifier, and none will be.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// There is no workload socket.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The kubelet cannot reach the CSI driver.
    #[error(transparent)]
    Csi(#[from] CsiError),
    /// There is no place for the tokens that come with volumes.
    #[error(transparent)]
    Tokens(#[from] TokenError),
}

fn system(step: &'static str) -> impl Fn(io::Error) -> RunError {
    move |problem| RunError::System { step, problem }
}

/// Serves until SIGTERM or SIGINT; the network process arrives over `control`. Prints `ready` when launchers can connect; the verifier may still be away then.
///
/// # Errors
/// Why it cannot serve.
pub async fn run(config: Config, control: UnixStream) -> Result<(), RunError> {
    let owner = Owner::start(owner_config(&config)).map_err(system("thread for the TPM"))?;
    let served = serve(config, control, owner.clone()).await;
    if let Err(error) = owner.end().await {
        tracing::warn!(%error, "the TPM was left as it is");
    }
    served
}

async fn serve(config: Config, control: UnixStream, owner: Owner) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(system("SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("SIGINT"))?;
    let Config { node, verifier, runtime_socket, workload, bounds, .. } = config.clone();

    match owner.signer().await {
        Ok(_) => {}
        // It may come back; what is wrong with the key's file does not go away.
        Err(error @ (TpmError::Unreachable { .. } | TpmError::Command { .. } | TpmError::Hardware(_))) => {
            tracing::warn!(%error, "pods wait until the TPM answers")
        }
        Err(error) => return Err(RunError::Tpm(error)),
    }
    if !runtime_socket.exists() {
        tracing::warn!(socket = %runtime_socket.display(), "pods wait until the container runtime is there");
    }
    let gate = match &config.pod_log {
        Some(_) => Watch::start(owner.clone(), runtime_socket.clone(), bounds),
        None => Gate::default(),
    };
    let Link { way, mut ended } = Link::open(control, verifier.timeouts, bounds.limits).await?;
    let client = Client::new(way, verifier.id, &node.name, bounds.limits);
    let challenges = Arc::new(Challenges::new(client.clone()));
    let (rounds, queue) = mpsc::channel(bounds.connections);
    let arrivals = Arrivals::default();
    let round = Rounds {
        node: node.name.clone(),
        profile: node.profile,
        verifier: verifier.id,
        boot_id: node.boot_id.clone(),
        owner,
        client,
        challenges: Arc::clone(&challenges),
        limits: bounds.limits,
        arrivals: arrivals.clone(),
        replayed: Replayed::default(),
        attest: Attest::within(bounds.attest),
    };
    let launcher = Launcher::new(workload.launcher.clone());
    let identifier = Identifier { runtime_socket, launcher, deadline: bounds.identify, limits: bounds.limits };
    let tokens = config.csi.as_ref().map(|csi| Tokens::open(&csi.directory)).transpose()?.map(Arc::new);
    let desk = Desk { node, bounds, identifier, gate, sessions: Sessions::default(), tokens: tokens.clone(), arrivals, rounds };

    let (listener, file) = socket::listen(&workload)?;
    let driver = config.csi.as_ref().zip(tokens).map(|(csi, tokens)| Driver::listen(&config, csi, tokens)).transpose()?;
    let (stop, stopped) = watch::channel(false);
    let published = driver.map(|driver| tokio::spawn(driver.serve(stopped.clone())));
    tokio::spawn(async move { challenges.keep_fresh().await });
    tokio::spawn(Arc::new(round).run(queue));
    let serving = tokio::spawn(socket::serve(listener, Arc::new(desk), stopped));
    tracing::info!(socket = %workload.socket().display(), verifier = %verifier.id, "serving");
    writeln!(io::stdout(), "ready").map_err(system("stdout"))?;

    let result = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = &mut ended => Err(RunError::Network(ended.unwrap_or(NetworkError::Ended))),
    };
    tracing::info!("stopping");
    drop(file);
    stop.send_replace(true);
    serving.await.map_err(|e| RunError::System { step: "sessions", problem: e.into() })?;
    if let Some(published) = published {
        published.await.map_err(|e| RunError::System { step: "CSI driver", problem: e.into() })?;
    }
    result
}
