//! containerd's own services: events as they happen, and lists of what there is. CRI has neither execs nor other namespaces.

use std::{future::ready, path::Path, time::Duration};

use podseal_protocol::Limits;
use prost::Message as _;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::{Code, Request, Status, Streaming, transport::Channel};

use super::interface::{
    containers::{Container, GetContainerRequest, containers_client::ContainersClient},
    events::{Any, Envelope, PublishRequest, SubscribeRequest, TaskExec, TaskExit, TaskStart, events_client::EventsClient},
    namespaces::{ListNamespacesRequest, namespaces_client::NamespacesClient},
    tasks::{ListTasksRequest, Status as TaskStatus, tasks_client::TasksClient},
};
use crate::identify;

/// By which a request says which of containerd's namespaces it is about.
const NAMESPACE: &str = "containerd-namespace";
/// Of our own events, which nobody else hears.
const OWN_NAMESPACE: &str = "podseal";
const OWN_TOPIC: &str = "/podseal/subscribed";
/// Between two of them, while the subscription is not known to stand.
const PAUSE: Duration = Duration::from_millis(20);

/// The runtime is away, or says what cannot be understood: it is connected to anew.
#[derive(Debug, thiserror::Error)]
pub(super) enum Away {
    /// It cannot be reached.
    #[error("{0}")]
    Unreachable(identify::Refusal),
    /// It does not answer in time.
    #[error("{call}: no answer within {} ms", .after.as_millis())]
    Late { call: &'static str, after: Duration },
    /// A call failed.
    #[error("{call}: {:?}: {}", .status.code(), .status.message())]
    Failed { call: &'static str, status: Status },
    /// An event cannot be read.
    #[error("event {topic}: {problem}")]
    Malformed { topic: String, problem: String },
    /// The stream of events has ended.
    #[error("its events ended")]
    Ended,
}

fn failed(call: &'static str) -> impl Fn(Status) -> Away {
    move |status| Away::Failed { call, status }
}

/// A container, by containerd's namespace and its id in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) namespace: String,
    pub(super) id: String,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Started(Named),
    /// An exec was added: it starts next.
    ExecAdded {
        container: Named,
        exec_id: String,
    },
    ExecStarted {
        container: Named,
        exec_id: String,
    },
    Ended(Named),
}

/// A connection to containerd.
pub(super) struct Containerd {
    channel: Channel,
    limits: Limits,
    deadline: Duration,
}

/// Events, as they happen.
pub(super) struct Events(Streaming<Envelope>);

impl Containerd {
    pub(super) async fn connect(socket: &Path, limits: Limits, deadline: Duration) -> Result<Self, Away> {
        let connected = timeout(deadline, identify::connect(socket)).await;
        let channel = connected.map_err(|_| Away::Late { call: "connect", after: deadline })?.map_err(Away::Unreachable)?;
        Ok(Self { channel, limits, deadline })
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    async fn within<T>(&self, call: &'static str, steps: impl Future<Output = Result<T, Status>>) -> Result<T, Away> {
        self.timely(call, steps).await?.map_err(failed(call))
    }

    /// What these steps come to, within the deadline.
    pub(super) async fn timely<T>(&self, call: &'static str, steps: impl Future<Output = T>) -> Result<T, Away> {
        timeout(self.deadline, steps).await.map_err(|_| Away::Late { call, after: self.deadline })
    }

    /// Subscribes to the events of tasks in every namespace. containerd says nothing before the first event, so this makes some, of a topic of
    /// its own: when one is heard, the subscription stands, and whatever happens from then on is heard too.
    pub(super) async fn subscribe(&self) -> Result<Events, Away> {
        let filters = vec![r#"topic~="^/tasks/(start|exit|exec-added|exec-started)$""#.to_owned(), format!(r#"topic=="{OWN_TOPIC}""#)];
        let mut client = EventsClient::new(self.channel()).max_decoding_message_size(self.limits.message);
        let mut publisher = EventsClient::new(self.channel());
        let steps = async {
            let subscribing = client.subscribe(SubscribeRequest { filters });
            tokio::pin!(subscribing);
            let mut ticks = interval(PAUSE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    stream = &mut subscribing => return stream.map(|stream| Events(stream.into_inner())),
                    _ = ticks.tick() => {
                        let event = Some(Any { type_url: OWN_NAMESPACE.to_owned(), value: Vec::new() });
                        publisher.publish(of(OWN_NAMESPACE, PublishRequest { topic: OWN_TOPIC.to_owned(), event })?).await?;
                    }
                }
            }
        };
        self.within("Subscribe", steps).await
    }

    /// Every container of every namespace whose first process runs, or may run.
    pub(super) async fn running(&self) -> Result<Vec<Named>, Away> {
        let mut namespaces = NamespacesClient::new(self.channel()).max_decoding_message_size(self.limits.message);
        let mut tasks = TasksClient::new(self.channel()).max_decoding_message_size(self.limits.message);
        let listed = self.within("ListNamespaces", namespaces.list(ListNamespacesRequest {})).await?;
        let mut running = Vec::new();
        for namespace in listed.into_inner().namespaces.into_iter().map(|namespace| namespace.name) {
            let request = of(&namespace, ListTasksRequest {}).map_err(failed("ListTasks"))?;
            let listed = self.within("ListTasks", tasks.list(request)).await?.into_inner().tasks;
            let of_first = |task: &super::interface::tasks::Process| !matches!(task.status(), TaskStatus::Created | TaskStatus::Stopped);
            let ids = listed.into_iter().filter(of_first).map(|task| if task.id.is_empty() { task.container_id } else { task.id });
            running.extend(ids.map(|id| Named { namespace: namespace.clone(), id }));
        }
        Ok(running)
    }

    /// What containerd itself knows of a container; `None` where it is gone.
    pub(super) async fn container(&self, named: &Named) -> Result<Option<Container>, Away> {
        let mut containers = ContainersClient::new(self.channel()).max_decoding_message_size(self.limits.message);
        let request = of(&named.namespace, GetContainerRequest { id: named.id.clone() }).map_err(failed("GetContainer"))?;
        match self.within("GetContainer", containers.get(request)).await {
            Ok(reply) => Ok(reply.into_inner().container),
            Err(Away::Failed { status, .. }) if status.code() == Code::NotFound => Ok(None),
            Err(away) => Err(away),
        }
    }
}

impl Events {
    /// The events that wait, at most so many; waits for the first. Then why nothing more is heard, where that is so: what came before it happened all the same.
    pub(super) async fn waiting(&mut self, most: usize) -> (Vec<Heard>, Result<(), Away>) {
        let mut heard = Vec::new();
        let mut next = self.next().await;
        loop {
            match next {
                Ok(event) => heard.push(event),
                Err(away) => return (heard, Err(away)),
            }
            if heard.len() >= most {
                return (heard, Ok(()));
            }
            next = tokio::select! {
                biased;
                next = self.next() => next,
                () = ready(()) => return (heard, Ok(())),
            };
        }
    }

    /// The next event that counts.
    async fn next(&mut self) -> Result<Heard, Away> {
        loop {
            let envelope = self.0.message().await.map_err(failed("events"))?.ok_or(Away::Ended)?;
            if let Some(heard) = read(envelope)? {
                return Ok(heard);
            }
        }
    }
}

fn of<T>(namespace: &str, message: T) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    let value = namespace.parse().map_err(|_| Status::invalid_argument("a namespace that is no header"))?;
    request.metadata_mut().insert(NAMESPACE, value);
    Ok(request)
}

/// What an event says; `None` where it counts for nothing.
fn read(envelope: Envelope) -> Result<Option<Heard>, Away> {
    let Envelope { namespace, topic, event } = envelope;
    let value = event.map(|event| event.value).unwrap_or_default();
    let malformed = |problem: &dyn core::fmt::Display| Away::Malformed { topic: topic.clone(), problem: problem.to_string() };
    let named = |id: String| {
        if id.is_empty() { Err(malformed(&"no container id")) } else { Ok(Named { namespace: namespace.clone(), id }) }
    };
    Ok(match topic.as_str() {
        "/tasks/start" => Some(Heard::Started(named(TaskStart::decode(&*value).map_err(|e| malformed(&e))?.container_id)?)),
        "/tasks/exec-added" | "/tasks/exec-started" => {
            let TaskExec { container_id, exec_id } = TaskExec::decode(&*value).map_err(|e| malformed(&e))?;
            let container = named(container_id)?;
            Some(if topic.ends_with("added") { Heard::ExecAdded { container, exec_id } } else { Heard::ExecStarted { container, exec_id } })
        }
        "/tasks/exit" => {
            let TaskExit { container_id, id } = TaskExit::decode(&*value).map_err(|e| malformed(&e))?;
            if id == container_id { Some(Heard::Ended(named(container_id)?)) } else { None }
        }
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn event(topic: &str, value: Vec<u8>) -> Result<Option<Heard>, Away> {
        let event = Some(Any { type_url: String::new(), value });
        read(Envelope { namespace: "n".to_owned(), topic: topic.to_owned(), event })
    }

    #[test]
    fn only_the_end_of_the_first_process_ends_a_container() {
        let [container_id, id] = ["c", "c"].map(str::to_owned);
        let exit = TaskExit { container_id, id };
        let of_exec = TaskExit { id: "exec".to_owned(), ..exit.clone() };
        let named = Named { namespace: "n".to_owned(), id: "c".to_owned() };
        assert_eq!(event("/tasks/exit", exit.encode_to_vec()).unwrap(), Some(Heard::Ended(named)));
        assert_eq!(event("/tasks/exit", of_exec.encode_to_vec()).unwrap(), None);
        assert_eq!(event(OWN_TOPIC, Vec::new()).unwrap(), None);
    }

    #[test]
    fn an_event_that_cannot_be_read_is_not_passed_over() {
        for topic in ["/tasks/start", "/tasks/exit", "/tasks/exec-added", "/tasks/exec-started"] {
            assert!(matches!(event(topic, vec![0xff]), Err(Away::Malformed { .. })), "{topic}");
        }
        assert!(matches!(event("/tasks/start", Vec::new()), Err(Away::Malformed { .. })), "of no container");
    }
}
