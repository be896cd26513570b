//! Who asks: label and annotations of a pod, below `podseal.dev/`.

use std::collections::{BTreeMap, BTreeSet};

use podseal_protocol::{
    Limits,
    leaf::{SecretRequest, is_file_name, is_secret_name},
};

use super::{
    pod::{Metadata, Pod},
    refusal::Refusal,
};

const PREFIX: &str = "podseal.dev/";
const INJECT: &str = "podseal.dev/inject";
const SECRETS: &str = "podseal.dev/secrets";
/// Behind a container's name.
const OF_CONTAINER: &str = ".secrets";

/// Which containers of a pod ask for secrets.
pub(super) struct Ask<'a> {
    everyone: bool,
    containers: BTreeSet<&'a str>,
}

impl Ask<'_> {
    pub(super) fn includes(&self, container: &str) -> bool {
        self.everyone || self.containers.contains(container)
    }
}

/// Who asks in this pod; `None` where the pod is not ours.
pub(super) fn of<'a>(pod: &'a Pod, limits: &Limits) -> Result<Option<Ask<'a>>, Refusal> {
    if !is_ours(&pod.metadata)? {
        return Ok(None);
    }
    let mut ask = Ask { everyone: false, containers: BTreeSet::new() };
    for (annotation, value) in pod.metadata.annotations() {
        let Some(name) = annotation.strip_prefix(PREFIX).filter(|_| annotation != INJECT) else { continue };
        if annotation == SECRETS {
            ask.everyone = true;
        } else if let Some(container) = name.strip_suffix(OF_CONTAINER).filter(|container| !container.is_empty()) {
            is_there(pod, annotation, container)?;
            ask.containers.insert(container);
        } else {
            return Err(Refusal::UnknownAnnotation { annotation: annotation.to_owned() });
        }
        can_be_meant(annotation, value, limits)?;
    }
    if let Some((label, _)) = pod.metadata.labels().find(|(label, _)| label.starts_with(PREFIX) && *label != INJECT) {
        return Err(Refusal::UnknownLabel { label: label.to_owned() });
    }
    if !ask.everyone && ask.containers.is_empty() {
        return Err(Refusal::NothingAsked);
    }
    fits(pod)?;
    Ok(Some(ask))
}

/// Whether label or annotation says `"true"`; they must not contradict each other.
fn is_ours(metadata: &Metadata) -> Result<bool, Refusal> {
    let mut said = None;
    for (_, value) in metadata.labels().chain(metadata.annotations()).filter(|(key, _)| *key == INJECT) {
        let ours = match value {
            "true" => true,
            "false" => false,
            found => return Err(Refusal::Inject { found: found.to_owned() }),
        };
        if said.replace(ours).is_some_and(|before| before != ours) {
            return Err(Refusal::InjectTwice);
        }
    }
    Ok(said == Some(true))
}

fn is_there(pod: &Pod, annotation: &str, container: &str) -> Result<(), Refusal> {
    let mut containers = pod.spec.containers();
    if containers.any(|(_, found)| found.name == container) {
        return Ok(());
    }
    let (annotation, container) = (annotation.to_owned(), container.to_owned());
    if pod.spec.is_ephemeral(&container) {
        return Err(Refusal::Ephemeral { annotation, container });
    }
    let known = pod.spec.containers().map(|(_, found)| found.name.as_str()).collect::<Vec<_>>().join(", ");
    Err(Refusal::NoSuchContainer { annotation, container, known })
}

/// Whether the launcher works in such a pod, and what it gets stays with the pod.
fn fits(pod: &Pod) -> Result<(), Refusal> {
    if pod.spec.is_for_windows() {
        return Err(Refusal::Windows);
    }
    match pod.spec.shared_namespace() {
        Some(field) => Err(Refusal::SharedNamespace { field }),
        None => Ok(()),
    }
}

fn can_be_meant(annotation: &str, value: &str, limits: &Limits) -> Result<(), Refusal> {
    let Err(error) = SecretRequest::parse_annotation(value, limits) else { return Ok(()) };
    let part = error.0;
    let problem = match part.split_once('=').map(|(file, secret)| (file.trim(), secret.trim())) {
        _ if part.is_empty() => "names nothing",
        None => "has no \"=\" between file and secret",
        Some((file, _)) if !is_file_name(file) => {
            "has a file that is no plain name (letters, digits, \".\", \"_\" and \"-\", no dot first)"
        }
        Some((_, secret)) if !is_secret_name(secret, limits) => {
            "has a secret that is not NAMESPACE/NAME (lower-case letters, digits, \".\" and \"-\")"
        }
        Some((file, _)) if value.split(',').filter(|part| part.split('=').next().is_some_and(|name| name.trim() == file)).count() > 1 => {
            "names a file for the second time"
        }
        Some(_) => "is one secret too many",
    };
    Err(Refusal::Secrets { annotation: annotation.to_owned(), part: part.chars().take(SHOWN).collect(), problem })
}

/// How much of an annotation a refusal repeats, in characters.
const SHOWN: usize = 80;

/// After its creation nothing of a pod below `podseal.dev/` changes: the node would go by what it read at the start, and people by what
/// they see.
pub(super) fn unchanged(old: &Pod, new: &Pod) -> Result<(), Refusal> {
    // What cannot be meant was not let in; a pod from before the webhook's time is not ours.
    let is_ours = |pod: &Pod| is_ours(&pod.metadata).unwrap_or(true);
    if !is_ours(old) && !is_ours(new) {
        return Ok(());
    }
    let differing = difference(own(old.metadata.annotations()), own(new.metadata.annotations()));
    match differing.or_else(|| difference(own(old.metadata.labels()), own(new.metadata.labels()))) {
        Some(key) => Err(Refusal::Changed { key: key.to_owned() }),
        None => Ok(()),
    }
}

fn own<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<&'a str, &'a str> {
    entries.filter(|(key, _)| key.starts_with(PREFIX)).collect()
}

fn difference<'a>(old: BTreeMap<&'a str, &'a str>, new: BTreeMap<&'a str, &'a str>) -> Option<&'a str> {
    old.keys().chain(new.keys()).copied().find(|key| old.get(key) != new.get(key))
}
