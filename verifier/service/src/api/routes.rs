//! Which service answers a path.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use podseal_wire::{admin_server::AdminServer, attestation_server::AttestationServer};
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
    server::NamedService,
};
use tower::Service;

use super::{admin::AdminApi, attestation::AttestationApi};

/// The services behind the gate.
#[derive(Clone)]
pub(super) struct Routes {
    pub(super) attestation: AttestationServer<AttestationApi>,
    pub(super) admin: AdminServer<AdminApi>,
}

/// Whether `path` is a method of the service `S` (gRPC over HTTP/2: `/SERVICE/METHOD`).
pub(super) fn is_of<S: NamedService>(path: &str) -> bool {
    path.strip_prefix('/').and_then(|rest| rest.strip_prefix(S::NAME)).is_some_and(|rest| rest.starts_with('/'))
}

impl Service<Request<Body>> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if is_of::<AttestationServer<AttestationApi>>(path) {
            self.attestation.call(request)
        } else if is_of::<AdminServer<AdminApi>>(path) {
            self.admin.call(request)
        } else {
            Box::pin(async { Ok(Status::unimplemented("no such service").into_http()) })
        }
    }
}
