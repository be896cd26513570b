//! The requirements on a caller, each by the refusal that it ends in.

use podseal_protocol::leaf::AnnotationError;

/// Why a caller gets nothing. The caller learns [`Refusal::code`] and [`Refusal::advice`]; the rest is for the attester's own log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The kernel does not say who it is.
    #[error("the kernel does not name the caller: {problem}")]
    PeerUnknown {
        /// What the operating system said.
        problem: String,
    },
    /// It has ended.
    #[error("the calling process has ended")]
    PeerGone,
    /// What `/proc` says about it cannot be read.
    #[error("{path}: {problem}")]
    Proc {
        /// Which file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// It runs in no container's cgroup.
    #[error("the caller runs in no container")]
    NotInContainer,
    /// The runtime knows no such container.
    #[error("the runtime knows no container {id}")]
    ContainerUnknown {
        /// Which.
        id: String,
    },
    /// It is another process than the container's init.
    #[error("pid {asks} asks, the container's init is {init}")]
    NotInit {
        /// Who asks.
        asks: i32,
        /// Who may ask.
        init: i64,
    },
    /// It runs another program than the launcher.
    #[error("the init process does not run the launcher of this node")]
    OtherLauncher,
    /// The launcher on the attester's own mount cannot be read.
    #[error("{path}: {problem}: correct workload.launcher")]
    LauncherUnreadable {
        /// Which file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The pod is being taken down.
    #[error("the pod's sandbox is not ready")]
    SandboxNotReady,
    /// The image cannot be named by digest.
    #[error("image {image}: {problem}")]
    ImageWithoutDigest {
        /// How the runtime calls it.
        image: String,
        /// What is missing.
        problem: &'static str,
    },
    /// The pod asks for no secret.
    #[error("the pod has no annotation podseal.dev/secrets")]
    AsksForNothing,
    /// The pod's annotation is not understood.
    #[error(transparent)]
    Annotation(AnnotationError),
    /// This container start has had its session.
    #[error("container {container}, started at {start}, asks a second time")]
    SecondSession {
        /// Which container.
        container: String,
        /// Start time of its init.
        start: u64,
    },
    /// It is not any more what it was.
    #[error("the container is not what it was when it asked{}", if *.pod_alone { ": another container of its pod came or went" } else { "" })]
    Changed {
        /// Only the pod's other containers differ.
        pod_alone: bool,
    },
    /// The runtime cannot be asked.
    #[error("container runtime: {problem}: start it, or correct runtime.socket")]
    RuntimeAway {
        /// What is wrong.
        problem: String,
    },
    /// The runtime's answer lacks what has to be in it.
    #[error("container runtime: {call}: {problem}")]
    RuntimeAnswer {
        /// Which call.
        call: &'static str,
        /// What is wrong with the answer.
        problem: String,
    },
}

impl Refusal {
    /// Stable code for the caller.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::PeerUnknown { .. } | Self::Proc { .. } => "peer.unknown",
            Self::PeerGone => "peer.gone",
            Self::NotInContainer => "peer.not_in_container",
            Self::ContainerUnknown { .. } => "container.unknown",
            Self::NotInit { .. } => "peer.not_init",
            Self::OtherLauncher => "peer.other_launcher",
            Self::LauncherUnreadable { .. } => "node.launcher_unreadable",
            Self::SandboxNotReady => "pod.not_ready",
            Self::ImageWithoutDigest { .. } => "image.no_digest",
            Self::AsksForNothing => "pod.asks_for_nothing",
            Self::Annotation(_) => "pod.annotation",
            Self::SecondSession { .. } => "session.second",
            Self::Changed { pod_alone: false } => "container.changed",
            Self::Changed { pod_alone: true } => "pod.changed",
            Self::RuntimeAway { .. } => "runtime.away",
            Self::RuntimeAnswer { .. } => "runtime.answer",
        }
    }

    /// What the developer of the workload can do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::PeerUnknown { .. } | Self::Proc { .. } | Self::PeerGone => "restart the container",
            Self::NotInContainer | Self::NotInit { .. } | Self::ContainerUnknown { .. } => {
                "only the first process of a container may ask: make /podseal/launch the container's command"
            }
            Self::SandboxNotReady => "the container or its pod is ending; if not, restart the pod",
            Self::OtherLauncher => "run the launcher that is mounted at /podseal/launch, not a copy in the image",
            Self::ImageWithoutDigest { .. } => "name the image in the pod by digest, from a registry",
            Self::AsksForNothing => "annotate the pod: podseal.dev/secrets: FILE=NAMESPACE/NAME",
            Self::Annotation(_) => {
                "correct the pod's annotation podseal.dev/secrets: FILE=NAMESPACE/NAME, separated by commas, each file once"
            }
            Self::SecondSession { .. } => "a container start gets its secrets once: restart the container to ask again",
            Self::Changed { pod_alone: false } => "the container changed while it asked: restart it",
            Self::Changed { pod_alone: true } => "another container of the pod came or went meanwhile: it is asked again",
            Self::LauncherUnreadable { .. } | Self::RuntimeAway { .. } | Self::RuntimeAnswer { .. } => {
                "the node cannot answer at present: the attester's log on the node names the cause"
            }
        }
    }

    /// Whether asking again may help.
    #[must_use]
    pub fn retry(&self) -> bool {
        matches!(self, Self::RuntimeAway { .. } | Self::LauncherUnreadable { .. } | Self::Changed { pod_alone: true })
    }
}
