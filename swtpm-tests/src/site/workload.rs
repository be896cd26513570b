//! A workload: a pod whose one container starts with the launcher, as the webhook would have arranged it.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use podseal_protocol::Profile;
use serde_json::json;

use super::Site;
use super::machine::EXCEPTION;
use super::node::Node;
use super::permit::{Permit, mount, quoted, variable};
use crate::error::BenchError;
use crate::image::Stored;
use crate::issuer::{Object, TokenRequest};
use crate::pod::{Container, Pod, RunningContainer, RunningPod};

mod crowd;
mod launched;

pub use crowd::Crowd;
pub use launched::{Ended, Launched, Refused, file_digest, outcome};

/// How long a container may take to its first line or its end.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Who a workload's process is.
pub const UID: u32 = 10_001;

const ANNOTATION: &str = "podseal.dev/secrets";

type ChangePod = Arc<dyn Fn(Pod) -> Pod + Send + Sync>;
type ChangeContainer = Arc<dyn Fn(Container) -> Container + Send + Sync>;
type ChangeToken = Arc<dyn Fn(&mut TokenRequest) + Send + Sync>;

/// A pod to be run: namespace `NS`, service account and container `payment-api`, asking for `db=NS/db`.
#[derive(Clone)]
pub struct Workload {
    /// The namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid, when it is not to be drawn.
    pub uid: Option<String>,
    /// The token's service account.
    pub service_account: String,
    /// The container's name.
    pub container: String,
    /// The annotation `podseal.dev/secrets`, if there is to be one.
    pub secrets: Option<String>,
    /// The container's command.
    pub command: Vec<String>,
    /// Its image, when it is not the node's payment API.
    pub image: Option<Stored>,
    /// Whether a token is mounted at all.
    pub has_token: bool,
    change_pod: Vec<ChangePod>,
    change_container: Vec<ChangeContainer>,
    change_token: Vec<ChangeToken>,
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {:?}", self.namespace, self.name, self.command)
    }
}

impl Workload {
    /// The payment API of a namespace, on a site.
    pub fn new(site: &Site, namespace: &str) -> Self {
        let verifier = site.verifier().id();
        Self {
            namespace: namespace.into(),
            name: "payment-api-0".into(),
            uid: None,
            service_account: "payment-api".into(),
            container: "payment-api".into(),
            secrets: Some(format!("db={namespace}/db")),
            command: ["/podseal/launch", "--verifier", verifier, "--", "/payment-api"].map(String::from).into(),
            image: None,
            has_token: true,
            change_pod: Vec::new(),
            change_container: Vec::new(),
            change_token: Vec::new(),
        }
    }

    /// Another pod name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Another service account.
    #[must_use]
    pub fn account(mut self, name: &str) -> Self {
        self.service_account = name.into();
        self
    }

    /// Another command.
    #[must_use]
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(ToString::to_string).collect();
        self
    }

    /// Another image.
    #[must_use]
    pub fn image(mut self, image: &Stored) -> Self {
        self.image = Some(image.clone());
        self
    }

    /// Changes the pod before it runs.
    #[must_use]
    pub fn pod(mut self, change: impl Fn(Pod) -> Pod + Send + Sync + 'static) -> Self {
        self.change_pod.push(Arc::new(change));
        self
    }

    /// Changes the container before it is created.
    #[must_use]
    pub fn container(mut self, change: impl Fn(Container) -> Container + Send + Sync + 'static) -> Self {
        self.change_container.push(Arc::new(change));
        self
    }

    /// Changes what the token says before it is signed.
    #[must_use]
    pub fn token(mut self, change: impl Fn(&mut TokenRequest) + Send + Sync + 'static) -> Self {
        self.change_token.push(Arc::new(change));
        self
    }

    /// Runs it on a node.
    pub fn run<'n>(&self, site: &Site, node: &'n Node) -> Result<Launched<'n>, BenchError> {
        let pod = self.sandbox(node)?;
        let container = self.start_in(site, node, &pod)?;
        Ok(Launched { container, pod, node, admin: site.admin().clone() })
    }

    /// Runs the pod's sandbox alone.
    pub fn sandbox<'n>(&self, node: &'n Node) -> Result<RunningPod<'n>, BenchError> {
        let mut pod = Pod::new(&self.namespace, &self.name);
        if let Some(uid) = &self.uid {
            pod = pod.uid(uid);
        }
        if let Some(secrets) = &self.secrets {
            pod = pod.annotation(ANNOTATION, secrets);
        }
        self.change_pod.iter().fold(pod, |pod, change| change(pod)).run(node.runtime())
    }

    /// Starts the container in a pod that runs.
    pub fn start_in<'n>(&self, site: &Site, node: &'n Node, pod: &RunningPod<'n>) -> Result<RunningContainer<'n>, BenchError> {
        pod.start(self.container_in(site, node, pod.uid())?)
    }

    /// The container, for a pod of this uid; writes the pod's token.
    pub fn container_in(&self, site: &Site, node: &Node, pod_uid: &str) -> Result<Container, BenchError> {
        let image = match &self.image {
            Some(image) => image,
            None => node.payment_api()?,
        };
        let words: Vec<&str> = self.command.iter().map(String::as_str).collect();
        let mut container = Container::new(&self.container, image)
            .command(&words)
            .mount(&node.published(), "/podseal")
            .user(UID, UID)
            .read_only_root()
            .no_new_privs()
            .capabilities(&[], &["ALL"]);
        if self.has_token {
            let token = node.tokens().join(pod_uid);
            let text = site.cluster().issuer().token(&self.token_request(site, node, pod_uid))?;
            fs::write(&token, text).map_err(BenchError::io(format!("write {}", token.display())))?;
            container = container.mount(&token, "/podseal/token");
        }
        Ok(self.change_container.iter().fold(container, |container, change| change(container)))
    }

    /// What the token says, for a pod of this uid.
    pub fn token_request(&self, site: &Site, node: &Node, pod_uid: &str) -> TokenRequest {
        self.token_request_on(site, Object::new(node.name(), node.machine().uid()), pod_uid)
    }

    /// What the token says, on a node of which only name and uid are known.
    pub fn token_request_on(&self, site: &Site, node: Object, pod_uid: &str) -> TokenRequest {
        let pod = Object::new(&self.name, pod_uid);
        let mut request = site.cluster().token_for(site.verifier().id(), &self.namespace, &self.service_account, pod, node);
        self.change_token.iter().for_each(|change| change(&mut request));
        request
    }

    /// The permit for `NAMESPACE/db` that pins everything about this workload on this node.
    pub fn permit(&self, site: &Site, node: &Node) -> Result<Permit, BenchError> {
        let image = match &self.image {
            Some(image) => image,
            None => node.payment_api()?,
        };
        let profile = node.machine().profile();
        let memory = match profile {
            Profile::Tpm | Profile::NitroTpm => "none",
            Profile::Snp | Profile::AzureSnp => "snp",
            Profile::Tdx => "tdx",
        };
        let no = |permit: Permit, attribute: &str| permit.when(attribute, &format!("!{attribute}"));
        let permit = Permit::new(&format!("{}/db", self.namespace))
            .is("principal.cluster", site.cluster().id())
            .is("principal.namespace", &self.namespace)
            .is("principal.pod", &self.name)
            .is("principal.service_account", &self.service_account)
            .is("principal.container", &self.container)
            .is("principal.image", &image.manifest)
            .is("principal.image_config", &image.config)
            .is_digest("principal.launcher", &node.launcher())
            .is("principal.cwd", "/")
            .is("principal.args", &json!(self.command).to_string())
            .within("principal.env_names", &["PATH", "HOSTNAME"].map(quoted))
            .within("principal.env", &[variable("PATH", "/"), variable("HOSTNAME", &self.name)])
            .within("principal.mounts", &usual_mounts())
            .within("principal.capabilities", &[])
            .when("principal.devices", "principal.devices.isEmpty()")
            .when("principal.siblings", "principal.siblings.isEmpty()")
            .when("principal.hooks", "principal.hooks == 0")
            .when("principal.uid", &format!("principal.uid == {UID}"))
            .when("principal.gid", &format!("principal.gid == {UID}"))
            .when("principal.read_only_root", "principal.read_only_root")
            .when("principal.no_new_privileges", "principal.no_new_privileges")
            .when("principal.token_names_node", "principal.token_names_node")
            .is("context.node", node.name())
            .is("context.cluster", site.cluster().id())
            .is("context.profile", profile.as_str())
            .is("context.memory", memory)
            .is("context.boot", if profile == Profile::Snp { "firmware" } else { "kernel" })
            .is("context.agent", "self-asserted")
            .is("context.root", "test")
            .when("context.secure_boot", "context.secure_boot")
            .is("resource.name", &format!("{}/db", self.namespace))
            .when("resource.accepts", &format!("resource.accepts == {}", json!(node.accepted())));
        // Without a log the node states none.
        let permit = if node.keeps_pod_log() { permit.within("context.agent_exceptions", &[quoted(EXCEPTION)]) } else { permit };
        // No register of such hardware tells of Secure Boot.
        let permit = if profile == Profile::Snp { permit.without("context.secure_boot") } else { permit };
        let permit =
            permit.when("context.tpm_in_tee", &format!("{}context.tpm_in_tee", if profile == Profile::AzureSnp { "" } else { "!" }));
        let absent = ["privileged", "host_network", "host_pid", "host_ipc", "shared_pid_namespace"];
        Ok(absent.iter().fold(permit, |permit, name| no(permit, &format!("principal.{name}"))))
    }
}

/// The mounts of a container as containerd makes them, and ours.
pub fn usual_mounts() -> Vec<String> {
    let kernel = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"].map(|place| mount(place, "kernel", false));
    let read_only = ["/sys", "/sys/fs/cgroup"].map(|place| mount(place, "kernel", true));
    let files = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].map(|place| mount(place, "hosts", true));
    let ours = ["/podseal", "/podseal/token"].map(|place| mount(place, "podseal", true));
    [kernel.to_vec(), read_only.to_vec(), files.to_vec(), ours.to_vec()].concat()
}
