//! Claims as Cedar sees them: one entity for the workload, one for the secret, the node as context.
//!
//! Only attributes that the policy reads are built. A claim that is not appraised is left out, so that evaluating it is an error, and an
//! error refuses.

use cedar_policy::{Context, Entities, Entity, EntityId, EntityUid, Request, RestrictedExpression};
use podseal_protocol::Digest;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::SecretMetadata;
use super::schema::Vocabulary;
use crate::claims::{Claim, NodeClaims, WorkloadClaims};

type Value = Claim<RestrictedExpression>;

/// Attributes that a policy reads, by the variable that they belong to.
#[derive(Debug, Default)]
pub(super) struct Reads {
    principal: Vec<String>,
    resource: Vec<String>,
    context: Vec<String>,
}

impl Reads {
    pub(super) fn of<'a>(attributes: impl IntoIterator<Item = &'a String>) -> Self {
        let mut reads = Self::default();
        for attribute in attributes.into_iter().collect::<BTreeSet<_>>() {
            match attribute.split_once('.') {
                Some(("principal", name)) => reads.principal.push(name.to_owned()),
                Some(("resource", name)) => reads.resource.push(name.to_owned()),
                Some(("context", name)) => reads.context.push(name.to_owned()),
                _ => {}
            }
        }
        reads
    }
}

/// One request, ready to be asked.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) request: Request,
    pub(super) entities: Entities,
    /// Attributes without a value, and what was missing: `("principal.token_names_node", "…")`.
    pub(super) unappraised: Vec<(String, &'static str)>,
}

impl Facts {
    /// Builds the request. The text of an error is Cedar's.
    pub(super) fn new(
        vocabulary: &Vocabulary,
        reads: &Reads,
        node: &NodeClaims,
        workload: &WorkloadClaims,
        secret: &SecretMetadata,
    ) -> Result<Self, String> {
        let mut unappraised = Vec::new();
        let mut keep = |variable: &str, name: &str, value: Value| match value {
            Claim::Appraised(value) => Some((name.to_owned(), value)),
            Claim::NotAppraised(why) => {
                unappraised.push((format!("{variable}.{name}"), why));
                None
            }
        };
        let mut principal = HashMap::with_capacity(reads.principal.len());
        for name in &reads.principal {
            principal.extend(keep("principal", name, workload_attribute(name, workload)?));
        }
        let resource: HashMap<_, _> = reads.resource.iter().filter_map(|n| keep("resource", n, secret_attribute(n, secret))).collect();
        let context: Vec<_> = reads.context.iter().filter_map(|n| keep("context", n, node_attribute(n, node))).collect();
        let uid = EntityUid::from_type_name_and_id(vocabulary.secret.clone(), EntityId::new(secret.name()));
        let entity = |uid: &EntityUid, attributes| Entity::new(uid.clone(), attributes, HashSet::new()).map_err(|error| error.to_string());
        let entities = [entity(&vocabulary.workload, principal)?, entity(&uid, resource)?];
        let context = Context::from_pairs(context).map_err(|error| error.to_string())?;
        Ok(Self {
            request: Request::new(vocabulary.workload.clone(), vocabulary.release.clone(), uid, context, None)
                .map_err(|error| error.to_string())?,
            entities: Entities::from_entities(entities, None).map_err(|error| error.to_string())?,
            unappraised,
        })
    }

    /// `principal.uid = 1000`, or why there is no value.
    pub(super) fn render(&self, attribute: &str) -> String {
        if let Some(why) = self.why_missing(attribute) {
            return format!("{attribute} is not appraised: {why}");
        }
        let of = |uid: Option<&EntityUid>, name| self.entities.get(uid?)?.attr(name)?.ok();
        let value = match attribute.split_once('.') {
            Some(("principal", name)) => of(self.request.principal(), name),
            Some(("resource", name)) => of(self.request.resource(), name),
            Some(("context", name)) => self.request.context().and_then(|context| context.get(name)),
            _ => None,
        };
        value.map_or_else(|| format!("{attribute} has no value"), |value| format!("{attribute} = {value}"))
    }

    pub(super) fn why_missing(&self, attribute: &str) -> Option<&'static str> {
        self.unappraised.iter().find(|(name, _)| name == attribute).map(|(_, why)| *why)
    }
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn hash(value: &Digest) -> RestrictedExpression {
    RestrictedExpression::new_string(format!("sha256:{value}"))
}

fn truth(value: bool) -> RestrictedExpression {
    RestrictedExpression::new_bool(value)
}

fn number(value: u64) -> RestrictedExpression {
    // What no Long can hold is as much as one can.
    RestrictedExpression::new_long(i64::try_from(value).unwrap_or(i64::MAX))
}

fn texts<'a>(values: impl IntoIterator<Item = &'a String>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.into_iter().map(|value| text(value)))
}

fn records<T, const N: usize>(
    values: &[T],
    fields: impl Fn(&T) -> [(&'static str, RestrictedExpression); N],
) -> Result<RestrictedExpression, String> {
    let record = |value| RestrictedExpression::new_record(fields(value).map(|(name, value)| (name.to_owned(), value)));
    let values = values.iter().map(record).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    Ok(RestrictedExpression::new_set(values))
}

const NO_SOURCE: &str = "this verifier has no source for it";

fn workload_attribute(name: &str, w: &WorkloadClaims) -> Result<Value, String> {
    Ok(Claim::Appraised(match name {
        "cluster" => text(&w.cluster),
        "namespace" => text(&w.namespace),
        "pod" => text(&w.pod),
        "service_account" => text(&w.service_account),
        "container" => text(&w.container),
        "image" => hash(&w.image),
        "image_config" => hash(&w.image_config),
        "launcher" => hash(&w.launcher),
        "args" => RestrictedExpression::new_string(serde_json::to_string(&w.args).map_err(|error| error.to_string())?),
        "env_names" => texts(w.env.iter().map(|var| &var.name)),
        "env" => records(&w.env, |var| [("name", text(&var.name)), ("value", hash(&var.value))])?,
        "mounts" => {
            records(&w.mounts, |m| [("destination", text(&m.destination)), ("kind", text(&m.kind)), ("read_only", truth(m.read_only))])?
        }
        "devices" => texts(&w.devices),
        "cwd" => text(&w.cwd),
        "hooks" => number(w.hooks.into()),
        "uid" => number(w.uid.into()),
        "gid" => number(w.gid.into()),
        "capabilities" => texts(&w.capabilities),
        "privileged" => truth(w.privileged),
        "host_network" => truth(w.host_network),
        "host_pid" => truth(w.host_pid),
        "host_ipc" => truth(w.host_ipc),
        "shared_pid_namespace" => truth(w.shared_pid),
        "read_only_root" => truth(w.read_only_root),
        "no_new_privileges" => truth(w.no_new_privileges),
        "siblings" => records(&w.siblings, |s| [("name", text(&s.name)), ("image", hash(&s.image)), ("privileged", truth(s.privileged))])?,
        "token_names_node" => return Ok(claim(&w.token_names_node, |value| truth(*value))),
        "pod_execs" => return Ok(claim(&w.pod_execs, |value| number(*value))),
        _ => return Ok(Claim::NotAppraised(NO_SOURCE)),
    }))
}

fn secret_attribute(name: &str, secret: &SecretMetadata) -> Value {
    match name {
        "name" => Claim::Appraised(text(secret.name())),
        "accepts" => Claim::Appraised(texts(secret.accepts())),
        _ => Claim::NotAppraised(NO_SOURCE),
    }
}

fn node_attribute(name: &str, node: &NodeClaims) -> Value {
    match name {
        "node" => Claim::Appraised(text(&node.node)),
        "cluster" => Claim::Appraised(text(&node.cluster)),
        "profile" => Claim::Appraised(text(&node.profile)),
        "memory" => claim(&node.memory, |value| text(value.as_str())),
        "boot" => claim(&node.boot, |value| text(value.as_str())),
        "tpm_in_tee" => claim(&node.tpm_in_tee, |value| truth(*value)),
        "agent" => claim(&node.agent, |value| text(value.as_str())),
        "root" => claim(&node.root, |value| text(value.as_str())),
        "secure_boot" => claim(&node.secure_boot, |value| truth(*value)),
        "pod_log" => claim(&node.pod_log, |value| text(value.as_str())),
        "privileged_images" => claim(&node.privileged_images, |images| texts(images)),
        "agent_exceptions" => claim(&node.agent_exceptions, |names| texts(names)),
        "pod_log_gaps" => claim(&node.pod_log_gaps, |value| number(*value)),
        _ => Claim::NotAppraised(NO_SOURCE),
    }
}

fn claim<T>(claim: &Claim<T>, value: impl Fn(&T) -> RestrictedExpression) -> Value {
    match claim {
        Claim::Appraised(fact) => Claim::Appraised(value(fact)),
        Claim::NotAppraised(why) => Claim::NotAppraised(why),
    }
}
