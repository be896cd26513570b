//! Policy, reference values and clusters: each is checked as a whole before it is taken, and then replaces the one before.

use podseal_appraisal::{
    appraiser::Cluster as Prepared,
    machine::Hardware,
    policy::{Policy, PolicyLimits},
    records::{ClusterRecord, NodeDirectories},
    reference::Reference,
};
use podseal_wire::{Applied, Change, Cluster, ClusterList, Document, DocumentList};
use tonic::{Code, Status};

use super::{
    Verifier,
    admin::{applied, change, known_form, to_wire},
    gate::Admin,
    reply,
};
use crate::{
    clock,
    config::is_name,
    store::{
        clusters as rows,
        documents::{self, Kind},
        mutation::Mutation,
    },
};

/// Bytes of a policy of hardware.
const HARDWARE: usize = 256 << 10;
/// Bytes of a reference file.
const REFERENCE: usize = 1 << 20;
/// Bytes of a key set.
const KEY_SET: usize = 256 << 10;

pub(super) async fn apply_policy(verifier: &Verifier, admin: &Admin, request: Document) -> Result<Applied, Status> {
    known_form(request.name.is_empty(), "policy.name", &request.name, "none: there is one policy")?;
    Policy::parse(&request.text, &PolicyLimits::DEFAULT).map_err(|e| reply::explained(Code::InvalidArgument, "policy.invalid", e))?;
    let document = documents::Document::new(String::new(), request.text);
    let digest = document.digest;
    Ok(applied(digest, change(verifier, admin, Mutation::ApplyPolicy(document)).await?))
}

pub(super) async fn apply_hardware(verifier: &Verifier, admin: &Admin, request: Document) -> Result<Applied, Status> {
    known_form(request.name.is_empty(), "hardware.name", &request.name, "none: there is one policy of hardware")?;
    let length = request.text.len();
    known_form(length <= HARDWARE, "hardware.length", &length.to_string(), "at most 256 KiB")?;
    Hardware::none().under(&request.text).map_err(|e| reply::explained(Code::InvalidArgument, "hardware.invalid", e))?;
    let document = documents::Document::new(String::new(), request.text);
    let digest = document.digest;
    Ok(applied(digest, change(verifier, admin, Mutation::ApplyHardware(document)).await?))
}

/// The policy of hardware; an empty text where none was applied.
pub(super) async fn hardware(verifier: &Verifier) -> Result<Document, Status> {
    let found = documents::hardware(verifier.store.readers()).await.map_err(|e| reply::broken("reading the hardware policy", e))?;
    Ok(to_document(found.unwrap_or_else(|| documents::Document::new(String::new(), String::new()))))
}

pub(super) async fn apply_reference(verifier: &Verifier, admin: &Admin, request: Document) -> Result<Applied, Status> {
    let length = request.text.len();
    known_form(length <= REFERENCE, "reference.length", &length.to_string(), "at most 1 MiB")?;
    let parsed = Reference::parse(&request.text).map_err(|e| reply::explained(Code::InvalidArgument, "reference.invalid", e))?;
    let named = request.name.is_empty() || request.name == parsed.name();
    known_form(named, "reference.name", &request.name, "the name that stands in the file, or none")?;
    known_form(is_name(parsed.name()), "reference.name", parsed.name(), "1 to 64 letters, digits, '-', '_' or '.'")?;
    let expires = parsed.expires();
    let wanted = "a time to come: review the values, and write a later expires";
    known_form(clock::now() < expires, "reference.expires", &format!("{expires} seconds after 1970"), wanted)?;
    let document = documents::Document::new(parsed.name().to_owned(), request.text);
    let digest = document.digest;
    Ok(applied(digest, change(verifier, admin, Mutation::ApplyReference(document)).await?))
}

pub(super) async fn policy(verifier: &Verifier) -> Result<Document, Status> {
    let found = documents::policy(verifier.store.readers()).await.map_err(|e| reply::broken("reading the policy", e))?;
    let none = || reply::explained(Code::NotFound, "policy.none", "no policy was applied: nothing is released (podseal policy apply)");
    found.map(to_document).ok_or_else(none)
}

pub(super) async fn references(verifier: &Verifier) -> Result<DocumentList, Status> {
    let found = documents::list(verifier.store.readers(), Kind::Reference).await.map_err(|e| reply::broken("reading references", e))?;
    Ok(DocumentList { documents: found.into_iter().map(to_document).collect() })
}

fn to_document(document: documents::Document) -> Document {
    Document { name: document.name, text: document.text, digest: document.digest.0.to_vec() }
}

pub(super) async fn add_cluster(verifier: &Verifier, admin: &Admin, request: Cluster) -> Result<Change, Status> {
    known_form(is_name(&request.id), "cluster.id", &request.id, "1 to 64 letters, digits, '-', '_' or '.'")?;
    let issuer = (1..=512).contains(&request.issuer.len());
    known_form(issuer, "cluster.issuer", &request.issuer, "the iss of the cluster's tokens, 1 to 512 bytes")?;
    let length = request.jwks.len();
    known_form(length <= KEY_SET, "cluster.jwks", &format!("{length} bytes"), "at most 256 KiB")?;
    let packaged = NodeDirectories::default();
    let or = |given: Vec<String>, packaged| if given.is_empty() { packaged } else { given };
    let record = ClusterRecord {
        id: request.id,
        issuer: request.issuer,
        jwks: request.jwks,
        tokens_name_nodes: !request.tokens_without_node,
        directories: NodeDirectories {
            kubelet: if request.kubelet_directory.is_empty() { packaged.kubelet } else { request.kubelet_directory },
            runtime: or(request.runtime_directories, packaged.runtime),
            attester: or(request.attester_directories, packaged.attester),
        },
    };
    let prepared = Prepared::new(record).map_err(|e| reply::explained(Code::InvalidArgument, "cluster.invalid", e))?;
    change(verifier, admin, Mutation::AddCluster(prepared.record().clone())).await.map(to_wire)
}

pub(super) async fn clusters(verifier: &Verifier) -> Result<ClusterList, Status> {
    let found = rows::list(verifier.store.readers()).await.map_err(|e| reply::broken("reading clusters", e))?;
    let clusters = found.into_iter().map(|record| Cluster {
        id: record.id,
        issuer: record.issuer,
        jwks: record.jwks,
        tokens_without_node: !record.tokens_name_nodes,
        kubelet_directory: record.directories.kubelet,
        runtime_directories: record.directories.runtime,
        attester_directories: record.directories.attester,
    });
    Ok(ClusterList { clusters: clusters.collect() })
}
