//! The cluster is one: workloads run, what Pod Security forbids does not.

use std::time::Duration;

use libtest_mimic::Failed;
use podseal_swtpm_tests::error::wait_for;
use serde_json::json;

use crate::fixtures::{Fixtures, ledger, pod, restricted};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("deployment_runs_restricted", deployment_runs_restricted),
    ("service_is_reached_from_a_pod", service_is_reached_from_a_pod),
    ("job_completes", job_completes),
    ("pod_security_refuses", pod_security_refuses),
    ("pods_outlive_their_kubelet", pods_outlive_their_kubelet),
];

/// Seconds that a workload may take on a busy machine.
const PATIENCE: u32 = 120;

fn deployment_runs_restricted(fixtures: &Fixtures) -> Outcome {
    let (cluster, image) = (fixtures.cluster()?, fixtures.ledger()?);
    let (kubectl, namespace) = (cluster.kubectl(), "deployed");
    cluster.namespace(namespace, "restricted")?;
    let mut template = restricted(image, &["keep", "/data/entry", "paid 12"]);
    template["spec"]["containers"][0]["readinessProbe"] = json!({ "httpGet": { "port": 8080 }, "periodSeconds": 1 });
    kubectl.apply(&json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "ledger", "namespace": namespace },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "ledger" } }, "template": template },
    }))?;
    kubectl.wait(namespace, "deployment/ledger", "condition=Available", PATIENCE)?;
    kubectl.wait(namespace, "deployment/ledger", "jsonpath={.status.readyReplicas}=2", PATIENCE)?;

    assert_eq!(kubectl.run(&["-n", namespace, "logs", "deployment/ledger"])?, "paid 12\n");
    let shown = kubectl.run(&["-n", namespace, "exec", "deployment/ledger", "--", "/ledger", "show", "/data/entry"])?;
    assert_eq!(shown, "paid 12");
    let refused = kubectl.run(&["-n", namespace, "exec", "deployment/ledger", "--", "/ledger", "note", "/entry", "x"]).unwrap_err();
    assert!(refused.to_string().contains("Read-only file system"), "{refused}");
    // The runtime did what the pod's security context says, and RuntimeDefault is a filter.
    let status = kubectl.run(&["-n", namespace, "exec", "deployment/ledger", "--", "/ledger", "show", "/proc/1/status"])?;
    for line in ["Uid:\t10001\t10001\t10001\t10001", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.lines().any(|found| found == line), "{line:?} in {status}");
    }
    let pods = kubectl.json(&["-n", namespace, "get", "pods"])?;
    let pods = pods["items"].as_array().ok_or("no list of pods")?;
    assert_eq!(pods.len(), 2);
    for pod in pods {
        let id = pod["status"]["containerStatuses"][0]["imageID"].as_str().ok_or("no image")?;
        assert_eq!(id, format!("podseal.test/ledger@{}", image.manifest), "what runs is what was built");
    }
    Ok(())
}

/// The very path of a webhook, and of a node's attester to its verifier.
fn service_is_reached_from_a_pod(fixtures: &Fixtures) -> Outcome {
    let (cluster, image) = (fixtures.cluster()?, fixtures.ledger()?);
    let (kubectl, namespace) = (cluster.kubectl(), "served");
    cluster.namespace(namespace, "restricted")?;
    let template = restricted(image, &["keep", "/data/entry", "served"]);
    kubectl.apply(&pod(namespace, "server", &template))?;
    kubectl.wait(namespace, "pod/server", "condition=Ready", PATIENCE)?;
    kubectl.run(&["-n", namespace, "expose", "pod", "server", "--port=80", "--target-port=8080", "--selector=app=ledger"])?;
    let service = kubectl.json(&["-n", namespace, "get", "service/server"])?;
    let address = format!("{}:80", service["spec"]["clusterIP"].as_str().ok_or("no address")?);
    let mut template = restricted(image, &["keep", "/data/entry", "client"]);
    template["metadata"]["labels"]["app"] = json!("client");
    kubectl.apply(&pod(namespace, "client", &template))?;
    kubectl.wait(namespace, "pod/client", "condition=Ready", PATIENCE)?;
    let fetched = wait_for("the Service has its rules", Duration::from_secs(30), || {
        kubectl.run(&["-n", namespace, "exec", "client", "--", "/ledger", "fetch", &address]).map_err(|error| error.to_string())
    })?;
    assert_eq!(fetched, "served\n");
    Ok(())
}

fn job_completes(fixtures: &Fixtures) -> Outcome {
    let (cluster, image) = (fixtures.cluster()?, fixtures.ledger()?);
    let (kubectl, namespace) = (cluster.kubectl(), "errands");
    cluster.namespace(namespace, "restricted")?;
    let mut template = restricted(image, &["note", "/data/entry", "done"]);
    template["spec"]["restartPolicy"] = json!("Never");
    kubectl.apply(&json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": "errand", "namespace": namespace },
        "spec": { "backoffLimit": 0, "template": template },
    }))?;
    kubectl.wait(namespace, "job/errand", "condition=Complete", PATIENCE)?;
    assert_eq!(kubectl.run(&["-n", namespace, "logs", "job/errand"])?, "done\n");
    Ok(())
}

fn pod_security_refuses(fixtures: &Fixtures) -> Outcome {
    let (cluster, image) = (fixtures.cluster()?, fixtures.ledger()?);
    let (kubectl, namespace) = (cluster.kubectl(), "strict");
    cluster.namespace(namespace, "restricted")?;
    let mut pod = pod(namespace, "ledger", &restricted(image, &["note", "/data/entry", "done"]));
    pod["spec"]["restartPolicy"] = json!("Never");
    kubectl.create(&pod)?;
    pod["metadata"]["name"] = json!("widened");
    pod["spec"]["containers"][0]["securityContext"]["capabilities"] = json!({ "drop": ["ALL"], "add": ["SYS_PTRACE"] });
    let refused = kubectl.create(&pod).unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity \"restricted:latest\"") && refused.contains("SYS_PTRACE"), "{refused}");
    Ok(())
}

/// On a node of its own, to which nobody else's pods come.
fn pods_outlive_their_kubelet(fixtures: &Fixtures) -> Outcome {
    let (cluster, namespace) = (fixtures.cluster()?, "outlives");
    let kubectl = cluster.kubectl();
    let node = cluster.start_node("apart", &["podseal.test/apart"])?;
    let image = node.runtime().import(&ledger())?;
    cluster.namespace(namespace, "restricted")?;
    let mut pod = pod(namespace, "ledger", &restricted(&image, &["keep", "/data/entry", "still here"]));
    pod["spec"]["nodeName"] = json!(node.name());
    kubectl.apply(&pod)?;
    kubectl.wait(namespace, "pod/ledger", "condition=Ready", PATIENCE)?;
    let container = || Ok::<_, Failed>(kubectl.json(&["-n", namespace, "get", "pod/ledger"])?["status"]["containerStatuses"][0].take());
    let shown = || kubectl.run(&["-n", namespace, "exec", "ledger", "--", "/ledger", "show", "/data/entry"]);
    let before = container()?;

    let unreachable = node.restart_kubelet_while(shown)?;
    assert!(unreachable.unwrap_err().to_string().contains("connection refused"));
    let entry = wait_for("the kubelet serves again", Duration::from_secs(60), || shown().map_err(|error| error.to_string()))?;
    assert_eq!(entry, "still here");
    let after = container()?;
    assert_eq!((&after["containerID"], &after["restartCount"]), (&before["containerID"], &json!(0)), "{after}");
    kubectl.run(&["delete", "node/apart"])?;
    Ok(())
}
