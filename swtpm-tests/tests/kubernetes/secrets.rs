//! A pod that asks gets its secret as a file; its neighbours do not.

use std::sync::PoisonError;
use std::time::Duration;

use libtest_mimic::Failed;
use podseal_protocol::Digest;
use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::sandbox::random_name;
use podseal_swtpm_tests::site::Permit;
use podseal_swtpm_tests::site::node::payment_api;
use podseal_swtpm_tests::site::workload::file_digest;
use serde_json::{Value, json};

use crate::fixtures::{Fixtures, pod};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("secret_in_a_deployment", secret_in_a_deployment),
    ("neighbours_get_nothing", neighbours_get_nothing),
    ("csi_mounts_survive_restart", csi_mounts_survive_restart),
    ("webhook_down_blocks_only_ours", webhook_down_blocks_only_ours),
    ("annotation_asks_for_more", annotation_asks_for_more),
];

/// Seconds that a workload may take on a busy machine.
const PATIENCE: u32 = 120;
const IMAGE: &str = "podseal.test/payment-api";

/// What a namespace needs for its pods to be let in.
pub(crate) struct Tenant<'f> {
    fixtures: &'f Fixtures,
    namespace: &'f str,
    value: String,
}

impl<'f> Tenant<'f> {
    /// A namespace with Pod Security `restricted`, a service account `payment-api`, and a secret `db` for its pods of the payment API's image.
    pub(crate) fn new(fixtures: &'f Fixtures, namespace: &'f str) -> Result<Self, Failed> {
        let (site, cluster, attester) = (fixtures.site()?, fixtures.cluster()?, fixtures.attester()?);
        fixtures.injector()?;
        cluster.namespace(namespace, "restricted")?;
        let account =
            json!({ "metadata": { "name": "payment-api", "namespace": namespace }, "kind": "ServiceAccount", "apiVersion": "v1" });
        cluster.kubectl().apply(&account)?;
        let image = fixtures.node()?.runtime().import(&payment_api("1"))?;
        let (value, secret) = (random_name()? + &random_name()?, format!("{namespace}/db"));
        site.admin().run(&["secret", "put", &secret, "--accept", "host-trusted,test-root"], value.as_bytes())?.json()?;
        let permit = Permit::new(&secret).is("principal.cluster", "kubernetes").is("principal.namespace", namespace);
        let permit = permit.is("principal.service_account", "payment-api").is("principal.image", &image.manifest);
        site.allow(&permit.is_digest("principal.launcher", &attester.launcher()))?;
        Ok(Self { fixtures, namespace, value })
    }

    /// The template of a pod that asks for that secret: by a label and an annotation, and nothing else.
    fn template(&self) -> Result<Value, Failed> {
        let image = self.fixtures.node()?.runtime().import(&payment_api("1"))?;
        assert!(image.reference.starts_with(IMAGE));
        Ok(json!({
            "metadata": {
                "labels": { "app": "payment-api", "podseal.dev/inject": "true" },
                "annotations": { "podseal.dev/secrets": format!("db={}/db", self.namespace) },
            },
            "spec": {
                "serviceAccountName": "payment-api",
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "securityContext": { "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": { "type": "RuntimeDefault" } },
                "containers": [{
                    "name": "payment-api",
                    "image": image.reference,
                    "resources": { "requests": { "cpu": "10m", "memory": "16Mi" }, "limits": { "memory": "64Mi" } },
                    "securityContext": {
                        "readOnlyRootFilesystem": true,
                        "allowPrivilegeEscalation": false,
                        "capabilities": { "drop": ["ALL"] },
                    },
                }],
            },
        }))
    }

    /// Its password.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    fn digest(&self) -> Digest {
        Digest::of(self.value.as_bytes())
    }

    /// A pod of its own, which does not start again.
    pub(crate) fn pod(&self, name: &str) -> Result<Value, Failed> {
        let mut pod = pod(self.namespace, name, &self.template()?);
        pod["metadata"]["annotations"] = self.template()?["metadata"]["annotations"].take();
        pod["spec"]["restartPolicy"] = json!("Never");
        Ok(pod)
    }

    /// Makes a pod, while the webhook is there.
    pub(crate) fn make(&self, pod: &Value) -> Result<(), Failed> {
        let _here = self.fixtures.patching.read().unwrap_or_else(PoisonError::into_inner);
        Ok(self.fixtures.cluster()?.kubectl().apply(pod)?)
    }

    /// What the application of `object` says of itself, once it runs.
    pub(crate) fn portrait(&self, object: &str) -> Result<Value, Failed> {
        let kubectl = self.fixtures.cluster()?.kubectl();
        let told = || kubectl.run(&["--namespace", self.namespace, "logs", object]).map_err(|error| error.to_string());
        let portrait = || told().and_then(|log| serde_json::from_str(&log).map_err(|error| format!("{error}: {log}")));
        wait_for("the application says what it sees", Duration::from_secs(PATIENCE.into()), portrait).map_err(|error| {
            let told = kubectl.run(&["--namespace", self.namespace, "describe", "pods"]).unwrap_or_else(|error| error.to_string());
            let attester = self.fixtures.attester().map(|attester| attester.daemon().log()).unwrap_or_default();
            Failed::from(format!("{error}\n{told}\n{attester}"))
        })
    }

    /// The container's exit code, once the pod has failed, and what was written in it.
    fn failed(&self, name: &str) -> Result<(Value, String), Failed> {
        let kubectl = self.fixtures.cluster()?.kubectl();
        kubectl.wait(self.namespace, &format!("pod/{name}"), "jsonpath={.status.phase}=Failed", PATIENCE)?;
        let mut pod = kubectl.json(&["--namespace", self.namespace, "get", "pod", name])?;
        // Another test may have ended the kubelet for a while.
        let log = || kubectl.run(&["--namespace", self.namespace, "logs", name]).map_err(|error| error.to_string());
        let log = wait_for("the kubelet has the log", Duration::from_secs(PATIENCE.into()), log)?;
        Ok((pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"].take(), log))
    }
}

/// An unchanged image, not root, with a read-only root: the password is a file in memory.
fn secret_in_a_deployment(fixtures: &Fixtures) -> Outcome {
    let tenant = Tenant::new(fixtures, "payments")?;
    let kubectl = fixtures.cluster()?.kubectl();
    kubectl.apply(&json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "payment-api", "namespace": "payments" },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "payment-api" } }, "template": tenant.template()? },
    }))?;
    let portrait = tenant.portrait("deployment/payment-api")?;
    assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(tenant.digest()), "{portrait}");
    assert_eq!(portrait["uid"], 10001, "{portrait}");
    Ok(())
}

/// The same image under another service account of the namespace.
fn neighbours_get_nothing(fixtures: &Fixtures) -> Outcome {
    let tenant = Tenant::new(fixtures, "neighbours")?;
    tenant.make(&tenant.pod("honest")?)?;
    let portrait = tenant.portrait("pod/honest")?;
    assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(tenant.digest()), "{portrait}");

    let mut other = tenant.pod("other-account")?;
    other["spec"]["serviceAccountName"] = json!("default");
    tenant.make(&other)?;
    let (code, log) = tenant.failed("other-account")?;
    assert_eq!(code, 77, "{log}");
    assert!(log.contains("policy."), "{log}");

    Ok(())
}

/// A pod's own annotation chooses among what policy lets it have, and does not widen that.
fn annotation_asks_for_more(fixtures: &Fixtures) -> Outcome {
    let (tenant, other) = (Tenant::new(fixtures, "wanting")?, Tenant::new(fixtures, "having")?);
    let mut more = tenant.pod("asks-for-more")?;
    more["metadata"]["annotations"]["podseal.dev/secrets"] = json!("db=wanting/db, other=having/db");
    tenant.make(&more)?;
    let (code, log) = tenant.failed("asks-for-more")?;
    assert_eq!(code, 77, "{log}");
    for pod in [tenant.pod("honest")?, other.pod("honest")?] {
        tenant.make(&pod)?;
    }
    for honest in [tenant, other] {
        let portrait = honest.portrait("pod/honest")?;
        assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(honest.digest()), "{portrait}");
    }
    Ok(())
}

/// Pods that ask are not let in while nobody can patch them; nobody else waits.
fn webhook_down_blocks_only_ours(fixtures: &Fixtures) -> Outcome {
    let tenant = Tenant::new(fixtures, "waiting")?;
    let kubectl = fixtures.cluster()?.kubectl();
    let ours = tenant.pod("ours")?;
    let mut theirs = tenant.pod("theirs")?;
    theirs["metadata"]["labels"] = json!({ "app": "another" });
    theirs["metadata"]["annotations"] = json!({});
    let alone = fixtures.patching.write().unwrap_or_else(PoisonError::into_inner);
    let refused = fixtures.injector()?.away_while(|| {
        let refused = kubectl.create(&ours).map(drop).map_err(|error| error.to_string());
        kubectl.create(&theirs).map(|_| refused)
    })??;
    assert!(refused.as_ref().is_err_and(|error| error.contains("failed calling webhook")), "{refused:?}");
    wait_for("the webhook answers again", Duration::from_secs(PATIENCE.into()), || {
        kubectl.create(&ours).map(drop).map_err(|error| error.to_string())
    })?;
    drop(alone);
    let portrait = tenant.portrait("pod/ours")?;
    assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(tenant.digest()), "{portrait}");
    Ok(())
}

/// What was published stays while attester and kubelet are gone; a pod that ends leaves no mount and no token.
fn csi_mounts_survive_restart(fixtures: &Fixtures) -> Outcome {
    let tenant = Tenant::new(fixtures, "survivors")?;
    let (cluster, node, attester) = (fixtures.cluster()?, fixtures.node()?, fixtures.attester()?);
    let kubectl = cluster.kubectl();
    tenant.make(&tenant.pod("before")?)?;
    tenant.portrait("pod/before")?;
    let uid = kubectl.run(&["--namespace", "survivors", "get", "pod", "before", "--output", "jsonpath={.metadata.uid}"])?;
    let published = || Ok::<_, Failed>(std::fs::read_to_string("/proc/self/mountinfo")?.lines().filter(|line| line.contains(&uid)).count());
    let token = attester.tokens().join(&uid);
    assert_eq!(published()?, 1, "the kubelet's folder has the volume, and the secret shows nowhere");
    assert!(token.exists());

    let during = attester.restart_while(|| node.restart_kubelet_while(published))???;
    assert_eq!(during, 1);
    cluster.ready(node)?;
    assert_eq!(published()?, 1);
    tenant.make(&tenant.pod("after")?)?;
    let portrait = tenant.portrait("pod/after")?;
    assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(tenant.digest()), "{portrait}");

    kubectl.run(&["--namespace", "survivors", "delete", "pod", "before", "--wait=true"])?;
    wait_for("nothing of the pod is left", Duration::from_secs(PATIENCE.into()), || match published() {
        Ok(0) if !token.exists() => Ok(()),
        Ok(mounts) => Err(format!("{mounts} mounts, token there: {}", token.exists())),
        Err(error) => Err(format!("{error:?}")),
    })?;
    Ok(())
}
