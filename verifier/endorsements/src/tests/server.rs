//! A service on the loopback that answers what a test says, and counts how often it is asked.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// What to do with a request.
#[derive(Clone)]
pub(super) enum Does {
    /// Send these bytes, and close.
    Send(Vec<u8>),
    /// The same, after a while.
    After(Duration, Vec<u8>),
    /// Send without an end.
    Flood(Vec<u8>),
}

type Handler = Arc<dyn Fn(&str, usize) -> Does + Send + Sync>;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `handler` gets the path, and how often it was asked for before.
    pub(super) async fn start(handler: impl Fn(&str, usize) -> Does + Send + Sync + 'static) -> Self {
        Self::start_with(Arc::new(handler), None).await
    }

    pub(super) async fn start_tls(acceptor: TlsAcceptor, handler: impl Fn(&str, usize) -> Does + Send + Sync + 'static) -> Self {
        Self::start_with(Arc::new(handler), Some(acceptor)).await
    }

    async fn start_with(handler: Handler, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let server = Self { address, asked: Arc::clone(&asked), heads: Arc::clone(&heads) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, asked, heads, tls) = (Arc::clone(&handler), Arc::clone(&asked), Arc::clone(&heads), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, handler, asked, heads).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            serve(stream, handler, asked, heads).await;
                        }
                    }
                });
            }
        });
        server
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    /// The heads of all requests.
    pub(super) fn heads(&self) -> String {
        self.heads.lock().unwrap().concat()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    handler: Handler,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    heads.lock().unwrap().push(head);
    let before = {
        let mut asked = asked.lock().unwrap();
        let count = asked.entry(path.clone()).or_default();
        *count += 1;
        *count - 1
    };
    // Whoever asked may have had enough: that is no failure here.
    let _ = match handler(&path, before) {
        Does::Send(bytes) => stream.write_all(&bytes).await,
        Does::After(time, bytes) => {
            tokio::time::sleep(time).await;
            stream.write_all(&bytes).await
        }
        Does::Flood(head) => {
            let mut written = stream.write_all(&head).await;
            while written.is_ok() {
                written = stream.write_all(&[b'x'; 1 << 16]).await;
            }
            written
        }
    };
    let _ = stream.shutdown().await;
}

/// An answer with a status line, header fields, and a body of a stated length.
pub(super) fn http(status: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(super) fn ok(body: &[u8]) -> Does {
    Does::Send(http("200 OK", &[], body))
}
