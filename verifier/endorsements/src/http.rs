//! One GET (RFC 9110): bounded in time and size, without redirects, over a connection of its own.

use std::{io, time::Duration};

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    HeaderMap, Request, StatusCode, Uri,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use podseal_appraisal::endorsement::{Answer, LARGEST};
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time,
};
use tokio_rustls::TlsConnector;

/// Most bytes of an answer's head; Intel's have about 5 KB of certificates in them.
const HEAD: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error("the address is none")]
    Address,
    #[error("no connection within {} ms", .0.as_millis())]
    ConnectTimedOut(Duration),
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no TLS, since no roots are configured")]
    NoTls,
    #[error("the connection broke, or what came is no HTTP: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the answer is longer than {LARGEST} bytes")]
    TooLong,
}

/// What came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The answer, with the first of the header fields `chains` that is there.
    pub(crate) fn answer(self, chains: &[&str]) -> Answer {
        let chain = chains.iter().find_map(|name| self.headers.get(*name)?.to_str().ok());
        Answer { issuer_chain: chain.map(str::to_owned), body: self.body }
    }
}

/// Asks for `address`; whoever calls bounds the whole in time.
pub(crate) async fn get(
    address: &str,
    fields: &[(&'static str, &'static str)],
    connect: Duration,
    tls: Option<&TlsConnector>,
) -> Result<Reply, HttpError> {
    let uri: Uri = address.parse().map_err(|_| HttpError::Address)?;
    let authority = uri.authority().ok_or(HttpError::Address)?.clone();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path).header(header::HOST, authority.as_str()).header(header::USER_AGENT, "podseal");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::new()).map_err(|_| HttpError::Address)?;
    let secure = uri.scheme_str() == Some("https");
    // RFC 3986, 3.2.2: an IPv6 address stands in brackets.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let deadline = time::Instant::now() + connect;
    let late = |_| HttpError::ConnectTimedOut(connect);
    let socket = time::timeout_at(deadline, TcpStream::connect((host.as_str(), port))).await.map_err(late)?.map_err(HttpError::Connect)?;
    if !secure {
        return exchange(socket, request).await;
    }
    let tls = tls.ok_or(HttpError::NoTls)?;
    let name = ServerName::try_from(host).map_err(|_| HttpError::Address)?;
    let stream = time::timeout_at(deadline, tls.connect(name, socket)).await.map_err(late)?.map_err(HttpError::Connect)?;
    exchange(stream, request).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<Reply, HttpError> {
    let (mut sender, connection) = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await?;
    let answered = async move {
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        Ok(Reply { status: parts.status, headers: parts.headers, body: read(body).await? })
    };
    // The connection is driven as long as the answer is waited for, and ends with it.
    let mut connection = std::pin::pin!(connection);
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        reply = &mut answered => reply,
        ended = &mut connection => {
            ended?;
            answered.await
        }
    }
}

async fn read(mut body: Incoming) -> Result<Vec<u8>, HttpError> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            podseal_protocol::require(read.len() + data.len() <= LARGEST, HttpError::TooLong)?;
            read.extend_from_slice(&data);
        }
    }
    Ok(read)
}
