//! As much of HTTP/2 (RFC 9113) and gRPC as two unary calls of the kubelet take, for the one socket on which it names no authority.
//!
//! The kubelet dials a plug-in's registration socket with the socket's path as `:authority`, which is none (RFC 3986, 3.2), so servers that are strict
//! refuse its requests. Here the authority is not looked at: the socket is root's alone.

use std::{collections::HashMap, io};

use loona_hpack::{Decoder, Encoder};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest frame, as both sides have it where nothing else is agreed (SETTINGS_MAX_FRAME_SIZE).
const LONGEST_FRAME: usize = 16_384;
/// Requests of one connection that are not complete, and bytes of each.
const MOST_REQUESTS: usize = 16;
const LONGEST_REQUEST: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
/// Of SETTINGS and PING.
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// gRPC's `UNIMPLEMENTED`.
const UNIMPLEMENTED: &[u8] = b"12";

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

#[derive(Default)]
struct Request {
    path: Vec<u8>,
    body: Vec<u8>,
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// One connection.
struct Connection<S> {
    stream: S,
    decoder: Decoder<'static>,
    encoder: Encoder<'static>,
    requests: HashMap<u32, Request>,
}

/// Answers the unary calls of one connection until it ends; `answer` has the reply for a path and a message, or none where there is no such
/// method.
///
/// # Errors
/// The connection is not one of HTTP/2, or broke.
pub(super) async fn serve<S, A>(stream: S, answer: A) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(&[u8], &[u8]) -> Option<Vec<u8>>,
{
    let (decoder, encoder, requests) = (Decoder::new(), Encoder::new(), HashMap::new());
    let mut connection = Connection { stream, decoder, encoder, requests };
    let mut preface = [0; PREFACE.len()];
    connection.stream.read_exact(&mut preface).await?;
    podseal_protocol::require(preface == *PREFACE, wrong("no HTTP/2"))?;
    connection.send(SETTINGS, 0, 0, &[]).await?;
    while let Some(frame) = connection.receive().await? {
        let Frame { kind, flags, stream, payload } = frame;
        let complete = match kind {
            GOAWAY => return Ok(()),
            SETTINGS if flags & ACK == 0 => {
                connection.send(SETTINGS, ACK, 0, &[]).await?;
                None
            }
            PING if flags & ACK == 0 => {
                connection.send(PING, ACK, 0, &payload).await?;
                None
            }
            HEADERS => connection.headers(flags, stream, &payload)?,
            DATA => connection.data(flags, stream, &payload)?,
            CONTINUATION => return Err(wrong("header fields in several frames")),
            RST_STREAM => {
                connection.requests.remove(&stream);
                None
            }
            // Windows, priorities and what later versions add: nothing here is long enough for the first.
            _ => None,
        };
        if let Some(Request { path, body }) = complete {
            let reply = answer(&path, message(&body)?);
            connection.reply(stream, reply).await?;
        }
    }
    Ok(())
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The next frame; none where the client is gone.
    async fn receive(&mut self) -> io::Result<Option<Frame>> {
        let mut header = [0; 9];
        match self.stream.read_exact(&mut header).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        };
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = header;
        let length = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).unwrap_or(usize::MAX);
        podseal_protocol::require(length <= LONGEST_FRAME, wrong("a frame that is too long"))?;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await?;
        Ok(Some(Frame { kind, flags, stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]), payload }))
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= LONGEST_FRAME).ok_or_else(|| wrong("a long reply"))?;
        let [_, l0, l1, l2] = length.to_be_bytes();
        let [s0, s1, s2, s3] = stream.to_be_bytes();
        self.stream.write_all(&[&[l0, l1, l2, kind, flags, s0, s1, s2, s3], payload].concat()).await
    }

    /// The request, where nothing follows its header fields.
    fn headers(&mut self, flags: u8, stream: u32, payload: &[u8]) -> io::Result<Option<Request>> {
        podseal_protocol::require(flags & END_HEADERS != 0, wrong("header fields in several frames"))?;
        let block = content(flags, payload)?;
        let block = if flags & PRIORITY == 0 { block } else { block.get(5..).ok_or_else(|| wrong("a short frame"))? };
        let fields = self.decoder.decode(block).map_err(|_| wrong("header fields that are none"))?;
        let path = fields.into_iter().find(|(name, _)| name == b":path").map(|(_, value)| value);
        podseal_protocol::require(self.requests.len() < MOST_REQUESTS, wrong("too many requests"))?;
        self.requests.entry(stream).or_default().path.extend(path.unwrap_or_default());
        Ok(self.ended(flags, stream))
    }

    fn data(&mut self, flags: u8, stream: u32, payload: &[u8]) -> io::Result<Option<Request>> {
        if let Some(request) = self.requests.get_mut(&stream) {
            request.body.extend(content(flags, payload)?);
            podseal_protocol::require(request.body.len() <= LONGEST_REQUEST, wrong("a request that is too long"))?;
        }
        Ok(self.ended(flags, stream))
    }

    fn ended(&mut self, flags: u8, stream: u32) -> Option<Request> {
        if flags & END_STREAM == 0 { None } else { self.requests.remove(&stream) }
    }

    async fn reply(&mut self, stream: u32, reply: Option<Vec<u8>>) -> io::Result<()> {
        let begin: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"application/grpc")];
        let begin = self.encoder.encode(begin);
        self.send(HEADERS, END_HEADERS, stream, &begin).await?;
        if let Some(message) = &reply {
            let length = u32::try_from(message.len()).map_err(|_| wrong("a long reply"))?;
            self.send(DATA, 0, stream, &[&[0], &length.to_be_bytes()[..], message].concat()).await?;
        }
        let status: [(&[u8], &[u8]); 1] = [(b"grpc-status", if reply.is_some() { b"0" } else { UNIMPLEMENTED })];
        let status = self.encoder.encode(status);
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &status).await
    }
}

/// A payload without padding.
fn content(flags: u8, payload: &[u8]) -> io::Result<&[u8]> {
    if flags & PADDED == 0 {
        return Ok(payload);
    }
    let without = payload.split_first().and_then(|(padding, rest)| rest.get(..rest.len().checked_sub(usize::from(*padding))?));
    without.ok_or_else(|| wrong("more padding than payload"))
}

/// The one message of a unary call: not compressed, and its length before it.
fn message(body: &[u8]) -> io::Result<&[u8]> {
    let (header, message) = body.split_first_chunk::<5>().ok_or_else(|| wrong("no message"))?;
    let [compressed, l0, l1, l2, l3] = *header;
    let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok();
    podseal_protocol::require(compressed == 0 && length == Some(message.len()), wrong("another message than one"))?;
    Ok(message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What a connection of these bytes is answered.
    async fn answered(sent: &[u8]) -> (io::Result<()>, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(sent).await.unwrap();
        client.shutdown().await.unwrap();
        let served = serve(server, |path, message| (path == b"/a").then(|| message.to_vec())).await;
        let mut replies = Vec::new();
        client.read_to_end(&mut replies).await.unwrap();
        (served, replies)
    }

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[0, length[0], length[1], kind, flags, 0, 0, 0, stream], payload].concat()
    }

    fn request(path: &str, message: &[u8]) -> Vec<u8> {
        request_of(path, u8::try_from(message.len()).unwrap(), message)
    }

    fn request_of(path: &str, length: u8, message: &[u8]) -> Vec<u8> {
        let fields: [(&[u8], &[u8]); 2] = [(b":path", path.as_bytes()), (b":authority", b"/run/a.sock")];
        let fields = Encoder::new().encode(fields);
        let data = [&[0, 0, 0, 0, length], message].concat();
        [frame(HEADERS, END_HEADERS, 1, &fields), frame(DATA, END_STREAM, 1, &data)].concat()
    }

    #[tokio::test]
    async fn a_call_is_answered_whatever_its_authority() {
        let (served, replies) = answered(&[&PREFACE[..], &frame(SETTINGS, 0, 0, &[]), &request("/a", b"seven")].concat()).await;
        served.unwrap();
        assert!(replies.starts_with(&[frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat()));
        let data = frame(DATA, 0, 1, b"\0\0\0\0\x05seven");
        assert!(replies.windows(data.len()).any(|window| window == data));
        let (served, replies) = answered(&[&PREFACE[..], &request("/b", b"seven")].concat()).await;
        served.unwrap();
        assert!(!replies.windows(5).any(|window| window == b"seven"));
    }

    #[tokio::test]
    async fn what_is_no_call_ends_the_connection() {
        let long = [&[0, 0x40, 1, DATA, 0, 0, 0, 0, 1][..], &[0; 0x4001]].concat();
        let split = frame(HEADERS, 0, 1, &[]);
        let padded = frame(HEADERS, END_HEADERS | PADDED, 1, &[7, 0]);
        let half = request_of("/a", 2, b"x");
        for bad in [long, split, padded, frame(CONTINUATION, 0, 1, &[]), half] {
            assert!(answered(&[&PREFACE[..], &bad].concat()).await.0.is_err());
        }
        assert!(answered(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.0.is_err());
    }
}
