//! Why a pod is refused: one sentence for whoever wrote it, with what to do.

use thiserror::Error;

#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("podseal: the pod is not understood ({problem}): write it as the API of Kubernetes describes v1 Pod")]
    NotAPod { problem: String },
    #[error("podseal: podseal.dev/inject is {found:?}: write \"true\", or \"false\"")]
    Inject { found: String },
    #[error("podseal: label and annotation podseal.dev/inject contradict each other: keep the label alone")]
    InjectTwice,
    #[error(
        "podseal: the pod has podseal.dev/inject and asks for no secret: add the annotation podseal.dev/secrets: FILE=NAMESPACE/NAME, or remove podseal.dev/inject"
    )]
    NothingAsked,
    #[error("podseal: there is no annotation {annotation}: write podseal.dev/secrets, or podseal.dev/CONTAINER.secrets, or remove it")]
    UnknownAnnotation { annotation: String },
    #[error("podseal: there is no label {label}: podseal.dev/inject is the only one, secrets are named in annotations")]
    UnknownLabel { label: String },
    #[error(
        "podseal: in the annotation {annotation}, {part:?} {problem}: write FILE=NAMESPACE/NAME, separated by commas, such as db=payments/db"
    )]
    Secrets { annotation: String, part: String, problem: &'static str },
    #[error(
        "podseal: the annotation {annotation} names the container {container}, and the pod has {known}: correct the name, or remove the annotation"
    )]
    NoSuchContainer { annotation: String, container: String, known: String },
    #[error(
        "podseal: the annotation {annotation} asks for secrets for {container}, and ephemeral containers get none: remove the annotation"
    )]
    Ephemeral { annotation: String, container: String },
    #[error("podseal: {field} is true, and a pod that shares namespaces gets no secrets: remove {field}, or podseal.dev/inject")]
    SharedNamespace { field: &'static str },
    #[error("podseal: the pod is for Windows, where there is no launcher: remove podseal.dev/inject, or run it on Linux")]
    Windows,
    #[error(
        "podseal: the volume {volume:?} has the name podseal or the driver podseal.dev and is not the one that is added here: rename or remove it"
    )]
    VolumeTaken { volume: String },
    #[error(
        "podseal: container {container} mounts something at /podseal, or the volume podseal in another way: take another path, /podseal is the launcher's"
    )]
    MountTaken { container: String },
    #[error(
        "podseal: container {container} mounts the volume podseal and asks for no secret: remove the mount, or add the annotation podseal.dev/{container}.secrets"
    )]
    MountWithoutSecret { container: String },
    #[error(
        "podseal: the command of container {container} is /podseal/launch with other options or another verifier than this cluster's: write the application's own command, the launcher is put before it here"
    )]
    LauncherByHand { container: String },
    #[error(
        "podseal: {key} cannot change once the pod is created: change it in the Deployment or Job that makes the pod, or create the pod anew"
    )]
    Changed { key: String },
}

impl Refusal {
    /// HTTP status: 400 for what is written wrongly, 403 for what is not allowed.
    pub(super) fn code(&self) -> u16 {
        match self {
            Self::NotAPod { .. }
            | Self::Inject { .. }
            | Self::InjectTwice
            | Self::NothingAsked
            | Self::UnknownAnnotation { .. }
            | Self::UnknownLabel { .. }
            | Self::Secrets { .. }
            | Self::NoSuchContainer { .. } => 400,
            Self::Ephemeral { .. }
            | Self::SharedNamespace { .. }
            | Self::Windows
            | Self::VolumeTaken { .. }
            | Self::MountTaken { .. }
            | Self::MountWithoutSecret { .. }
            | Self::LauncherByHand { .. }
            | Self::Changed { .. } => 403,
        }
    }

    /// Kubernetes' word for the code.
    pub(super) fn reason(&self) -> &'static str {
        if self.code() == 400 { "BadRequest" } else { "Forbidden" }
    }
}
