//! What is left of a secret in the cluster's own files and objects.

use std::fs;
use std::path::Path;

use libtest_mimic::Failed;
use podseal_swtpm_tests::leak_hunt::patterns::Patterns;
use podseal_swtpm_tests::sandbox::random_name;
use serde_json::json;

use crate::fixtures::Fixtures;
use crate::secrets::Tenant;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("leak_hunt_in_the_cluster", leak_hunt_in_the_cluster)];

/// The password is in no file of etcd, the kubelet or the runtime, not in the API server's audit log, and in no object.
fn leak_hunt_in_the_cluster(fixtures: &Fixtures) -> Outcome {
    let tenant = Tenant::new(fixtures, "hunted")?;
    let (cluster, node) = (fixtures.cluster()?, fixtures.node()?);
    let kubectl = cluster.kubectl();
    tenant.make(&tenant.pod("owner")?)?;
    tenant.portrait("pod/owner")?;
    let planted = random_name()? + &random_name()?;
    let metadata = json!({ "name": "planted", "namespace": "hunted" });
    kubectl.apply(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "value": planted } }))?;

    let objects = kubectl.run(&["get", "pods,events,secrets,configmaps", "--all-namespaces", "--output", "json"])?;
    let control_plane = cluster.control_plane();
    let places = [control_plane.etcd_data(), control_plane.audit_log(), node.kubelet_dir().into(), node.runtime().dir().into()];
    let holding = |value: &str| {
        let patterns = Patterns::new(value.as_bytes())?;
        let files = places.iter().map(|place| files_with(place.as_ref(), &patterns)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Failed>((files.concat(), patterns.in_bytes(objects.as_bytes()).next().is_some()))
    };
    let (files, in_objects) = holding(&planted)?;
    assert!(in_objects && files.iter().any(|file| file.contains("etcd")), "the hunt finds what is there: {files:?}");
    assert_eq!(holding(tenant.value())?, (Vec::new(), false));
    Ok(())
}

/// Files below `place`, or `place` itself, that have it in any form. Sockets and what goes away meanwhile are left aside.
fn files_with(place: &Path, patterns: &Patterns) -> std::io::Result<Vec<String>> {
    let metadata = match fs::symlink_metadata(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?,
    };
    if metadata.is_dir() {
        let within = fs::read_dir(place)?.flatten().map(|entry| files_with(&entry.path(), patterns));
        return Ok(within.collect::<Result<Vec<_>, _>>()?.concat());
    }
    if !metadata.is_file() {
        return Ok(Vec::new());
    }
    let has = fs::read(place).is_ok_and(|bytes| patterns.in_bytes(&bytes).next().is_some());
    Ok(has.then(|| place.display().to_string()).into_iter().collect())
}
