//! The gate in front of every method: Attestation is open to all, everything else to administrators alone, and no more than a bounded
//! number of requests is inside at a time.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use podseal_protocol::Digest;
use podseal_wire::attestation_server::AttestationServer;
use tokio::sync::Semaphore;
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::{Layer, Service};

use super::{attestation::AttestationApi, reply, routes::is_of};
use crate::{accept::Peer, config::Config};

/// The administrator who calls: put into a request by the gate alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Admin {
    pub(super) name: String,
}

#[derive(Debug, Clone)]
pub(super) struct GateLayer {
    admins: Arc<BTreeMap<Digest, String>>,
    slots: Arc<Semaphore>,
}

impl GateLayer {
    pub(super) fn new(config: &Config) -> Self {
        Self { admins: Arc::new(config.admins.clone()), slots: Arc::new(Semaphore::new(config.limits.requests)) }
    }

    /// Who calls, by the key that the handshake proved.
    fn admin(&self, peer: Option<&Peer>) -> Option<Admin> {
        let name = self.admins.get(&peer?.key?)?;
        Some(Admin { name: name.clone() })
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { rules: self.clone(), inner }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Gate<S> {
    rules: GateLayer,
    inner: S,
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let refuse = |status: Status| -> Self::Future { Box::pin(async move { Ok(status.into_http()) }) };
        request.extensions_mut().remove::<Admin>();
        // The one service that needs no certificate; everything else is denied by default.
        if !is_of::<AttestationServer<AttestationApi>>(request.uri().path()) {
            match self.rules.admin(request.extensions().get::<Peer>()) {
                Some(admin) => drop(request.extensions_mut().insert(admin)),
                None => return refuse(reply::status(Code::Unauthenticated, "admin.certificate")),
            }
        }
        let Ok(slot) = Arc::clone(&self.rules.slots).try_acquire_owned() else {
            return refuse(reply::status(Code::Unavailable, "overloaded"));
        };
        // The service that was polled ready is the one that is called.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let response = inner.call(request).await;
            drop(slot);
            response
        })
    }
}
