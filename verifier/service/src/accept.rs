//! Accepting: TCP, then TLS within a deadline, then handed to gRPC. A slow or broken client holds up nobody but itself.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use podseal_protocol::Digest;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use crate::tls::spki_digest;

/// From the first byte to the end of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Before accepting again after the system refused (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end, as far as TLS knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Where from.
    pub address: SocketAddr,
    /// SHA-256 of the client key's SPKI; `None` for an anonymous client.
    pub key: Option<Digest>,
}

/// A connection whose handshake is done; it counts against the limit until it is dropped.
#[derive(Debug)]
pub struct Connection {
    tls: TlsStream<TcpStream>,
    peer: Peer,
    _counted: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}

/// Accepts until nobody takes the connections any more. At most `most` are open at a time; others wait in the kernel's queue.
pub async fn accept(listener: TcpListener, tls: Arc<ServerConfig>, most: usize, accepted: mpsc::Sender<io::Result<Connection>>) {
    let (acceptor, slots) = (TlsAcceptor::from(tls), Arc::new(Semaphore::new(most)));
    loop {
        let Ok(counted) = Arc::clone(&slots).acquire_owned().await else { return };
        let incoming = tokio::select! {
            incoming = listener.accept() => incoming,
            () = accepted.closed() => return,
        };
        match incoming {
            Ok((tcp, address)) => {
                let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
                tokio::spawn(async move {
                    if let Some(connection) = handshake(&acceptor, tcp, address, counted).await {
                        // The receiver is gone only when the server stops.
                        let _ = accepted.send(Ok(connection)).await;
                    }
                });
            }
            Err(error) => {
                warn!(%error, "accepting failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn handshake(acceptor: &TlsAcceptor, tcp: TcpStream, address: SocketAddr, counted: OwnedSemaphorePermit) -> Option<Connection> {
    // Without it small replies wait for acknowledgements; failing to set it only costs time.
    let _ = tcp.set_nodelay(true);
    match timeout(HANDSHAKE, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => {
            let certificate = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let peer = Peer { address, key: certificate.and_then(spki_digest) };
            Some(Connection { tls, peer, _counted: counted })
        }
        Ok(Err(error)) => {
            debug!(%address, %error, "TLS handshake failed");
            None
        }
        Err(_) => {
            debug!(%address, "TLS handshake took too long");
            None
        }
    }
}
