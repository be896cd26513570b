//! `podseal.v1.Admin`: each method takes its administrator from the gate, and what changes state goes through the committer.

use std::sync::Arc;

use podseal_appraisal::{enrolment::is_node_name, explanation::Explanation as Explained};
use podseal_protocol::Digest;
use podseal_wire::{
    Applied, Archive, AuditId, Change, Cluster, ClusterList, Document, DocumentList, Empty, Explanation, GenerateSecretRequest, JoinToken,
    JoinTokenRequest, LogPage, LogRange, Name, Node, NodeList, NodeReason, PutSecretRequest, SecretList, SecretVersion,
    Verifier as Identity, admin_server::Admin as Service,
};
use tonic::{Code, Request, Response, Status};
use tracing::info;

use super::{Verifier, documents, gate::Admin, history, nodes, reply, secrets};
use crate::{release::ChangeOutcome, store::log, store::mutation::Mutation};

pub(super) struct AdminApi(pub(super) Arc<Verifier>);

/// The caller, as the gate found it. Without one nothing is done, whatever the routes in front look like.
fn admin<T>(request: &Request<T>) -> Result<Admin, Status> {
    request.extensions().get::<Admin>().cloned().ok_or_else(|| reply::status(Code::Unauthenticated, "admin.certificate"))
}

/// Commits a change in the administrator's name.
pub(super) async fn change(verifier: &Verifier, admin: &Admin, mutation: Mutation) -> Result<ChangeOutcome, Status> {
    let kind = mutation.kind();
    let explanation = Explained::of_checks("changed", "", "", &[]);
    let outcome = verifier.committer.change(mutation, &format!("admin {}", admin.name), &explanation).await;
    let outcome = outcome.map_err(reply::not_committed)?;
    info!(kind, admin = admin.name, audit_id = outcome.audit_id, entry = outcome.entry_index, "change committed");
    Ok(outcome)
}

pub(super) fn to_wire(outcome: ChangeOutcome) -> Change {
    Change { audit_id: outcome.audit_id, entry_index: outcome.entry_index }
}

pub(super) fn applied(digest: Digest, outcome: ChangeOutcome) -> Applied {
    Applied { digest: digest.0.to_vec(), change: Some(to_wire(outcome)) }
}

/// A name as people and Kubernetes write them: what every other check then rests on.
pub(super) fn known_form(holds: bool, key: &'static str, found: &str, wanted: &'static str) -> Result<(), Status> {
    if holds { Ok(()) } else { Err(reply::explained(Code::InvalidArgument, key, format!("{key}: found {found:?}, wanted {wanted}"))) }
}

#[tonic::async_trait]
impl Service for AdminApi {
    async fn get_verifier(&self, request: Request<Empty>) -> Result<Response<Identity>, Status> {
        admin(&request)?;
        let head = log::checkpoint(self.0.store.readers()).await.map_err(|e| reply::broken("reading the log", e))?;
        Ok(Response::new(Identity {
            id: self.0.keys.verifier().0.to_vec(),
            import_key: self.0.keys.import_certified().to_vec(),
            log_key: self.0.keys.log_certified().to_vec(),
            checkpoint: head.map(|(_, note)| note).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn put_secret(&self, request: Request<PutSecretRequest>) -> Result<Response<SecretVersion>, Status> {
        let admin = admin(&request)?;
        secrets::put(&self.0, &admin, request.into_inner()).await.map(Response::new)
    }

    async fn generate_secret(&self, request: Request<GenerateSecretRequest>) -> Result<Response<SecretVersion>, Status> {
        let admin = admin(&request)?;
        secrets::generate(&self.0, &admin, request.into_inner()).await.map(Response::new)
    }

    async fn list_secrets(&self, request: Request<Empty>) -> Result<Response<SecretList>, Status> {
        admin(&request)?;
        secrets::list(&self.0).await.map(Response::new)
    }

    async fn delete_secret(&self, request: Request<Name>) -> Result<Response<Change>, Status> {
        let admin = admin(&request)?;
        let name = request.into_inner().name;
        change(&self.0, &admin, Mutation::DeleteSecret { name }).await.map(to_wire).map(Response::new)
    }

    async fn apply_policy(&self, request: Request<Document>) -> Result<Response<Applied>, Status> {
        let admin = admin(&request)?;
        documents::apply_policy(&self.0, &admin, request.into_inner()).await.map(Response::new)
    }

    async fn get_policy(&self, request: Request<Empty>) -> Result<Response<Document>, Status> {
        admin(&request)?;
        documents::policy(&self.0).await.map(Response::new)
    }

    async fn add_cluster(&self, request: Request<Cluster>) -> Result<Response<Change>, Status> {
        let admin = admin(&request)?;
        documents::add_cluster(&self.0, &admin, request.into_inner()).await.map(Response::new)
    }

    async fn list_clusters(&self, request: Request<Empty>) -> Result<Response<ClusterList>, Status> {
        admin(&request)?;
        documents::clusters(&self.0).await.map(Response::new)
    }

    async fn create_join_token(&self, request: Request<JoinTokenRequest>) -> Result<Response<JoinToken>, Status> {
        let admin = admin(&request)?;
        nodes::create_join_token(&self.0, &admin, request.into_inner()).await.map(Response::new)
    }

    async fn list_nodes(&self, request: Request<Empty>) -> Result<Response<NodeList>, Status> {
        admin(&request)?;
        nodes::list(&self.0).await.map(Response::new)
    }

    async fn get_node(&self, request: Request<Name>) -> Result<Response<Node>, Status> {
        admin(&request)?;
        nodes::get(&self.0, &request.into_inner().name).await.map(Response::new)
    }

    async fn approve_node(&self, request: Request<Name>) -> Result<Response<Change>, Status> {
        let admin = admin(&request)?;
        let name = request.into_inner().name;
        known_form(is_node_name(&name), "node.name", &name, "the name of a node: see podseal node list")?;
        change(&self.0, &admin, Mutation::ApproveNode { name }).await.map(to_wire).map(Response::new)
    }

    async fn quarantine_node(&self, request: Request<NodeReason>) -> Result<Response<Change>, Status> {
        let admin = admin(&request)?;
        nodes::quarantine(&self.0, &admin, request.into_inner()).await.map(Response::new)
    }

    async fn release_node(&self, request: Request<Name>) -> Result<Response<Change>, Status> {
        let admin = admin(&request)?;
        nodes::release(&self.0, &admin, request.into_inner().name).await.map(Response::new)
    }

    async fn apply_reference(&self, request: Request<Document>) -> Result<Response<Applied>, Status> {
        let admin = admin(&request)?;
        documents::apply_reference(&self.0, &admin, request.into_inner()).await.map(Response::new)
    }

    async fn get_references(&self, request: Request<Empty>) -> Result<Response<DocumentList>, Status> {
        admin(&request)?;
        documents::references(&self.0).await.map(Response::new)
    }

    async fn apply_hardware(&self, request: Request<Document>) -> Result<Response<Applied>, Status> {
        let admin = admin(&request)?;
        documents::apply_hardware(&self.0, &admin, request.into_inner()).await.map(Response::new)
    }

    async fn get_hardware(&self, request: Request<Empty>) -> Result<Response<Document>, Status> {
        admin(&request)?;
        documents::hardware(&self.0).await.map(Response::new)
    }

    async fn explain(&self, request: Request<AuditId>) -> Result<Response<Explanation>, Status> {
        admin(&request)?;
        history::explain(&self.0, &request.into_inner().audit_id).await.map(Response::new)
    }

    async fn list_log(&self, request: Request<LogRange>) -> Result<Response<LogPage>, Status> {
        admin(&request)?;
        history::page(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn get_archive(&self, request: Request<AuditId>) -> Result<Response<Archive>, Status> {
        admin(&request)?;
        history::archive(&self.0, &request.into_inner().audit_id).await.map(Response::new)
    }
}
