//! Many pods of one workload that start at the same moment, as after a node was drained.

use std::thread;

use super::super::{Node, Site};
use super::Workload;
use crate::error::BenchError;
use crate::pod::{RunningContainer, RunningPod};

/// Containers that were created and not started, each in a sandbox of its own that runs. They end with the value.
#[derive(Debug)]
pub struct Crowd<'n> {
    containers: Vec<RunningContainer<'n>>,
    _pods: Vec<RunningPod<'n>>,
}

impl Workload {
    /// As many pods of this workload, up to the moment before their containers start.
    pub fn crowd<'n>(&self, site: &Site, node: &'n Node, count: usize) -> Result<Crowd<'n>, BenchError> {
        let pods: Vec<_> = (0..count).map(|_| self.sandbox(node)).collect::<Result<_, _>>()?;
        let create = |pod: &RunningPod<'n>| pod.create(self.container_in(site, node, pod.uid())?);
        Ok(Crowd { containers: pods.iter().map(create).collect::<Result<_, _>>()?, _pods: pods })
    }
}

impl<'n> Crowd<'n> {
    /// Starts all of them at once, each from a thread of its own, and returns when the runtime has started the last.
    pub fn start(&self) -> Result<(), BenchError> {
        thread::scope(|scope| {
            let starting: Vec<_> = self.containers.iter().map(|container| scope.spawn(|| container.start())).collect();
            let panicked = |_| Err(BenchError::answer("a thread that starts a container", "a panic", "a started container"));
            starting.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
        })
    }

    /// The containers, in the order of their creation.
    pub fn containers(&self) -> &[RunningContainer<'n>] {
        &self.containers
    }
}
