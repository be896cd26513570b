//! Frames on a socket between the processes: four bytes of length, most significant first, and a message.

use std::io::{self, Read, Write};

use podseal_protocol::{Limits, require};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::frame_limits;

fn head(message: &[u8]) -> io::Result<[u8; 4]> {
    u32::try_from(message.len()).map(u32::to_be_bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn length(head: [u8; 4], limits: &Limits) -> io::Result<u64> {
    let length = u64::from(u32::from_be_bytes(head));
    let most = frame_limits(limits).message as u64;
    require(length <= most, io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes, at most {most} are taken")))?;
    Ok(length)
}

fn whole(message: Vec<u8>, length: u64) -> io::Result<Vec<u8>> {
    require(message.len() as u64 == length, io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok(message)
}

/// Writes a frame, blocking.
pub(super) fn write_frame(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    stream.write_all(&head(message)?)?;
    stream.write_all(message)
}

/// Reads a frame, blocking.
pub(super) fn read_frame(stream: &mut impl Read, limits: &Limits) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let length = length(head, limits)?;
    let mut message = Vec::new();
    stream.take(length).read_to_end(&mut message)?;
    whole(message, length)
}

/// Writes a frame.
pub(super) async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    stream.write_all(&head(message)?).await?;
    stream.write_all(message).await
}

/// Reads a frame; memory grows with what comes, not with what is announced.
pub(super) async fn receive(stream: &mut (impl AsyncRead + Unpin), limits: &Limits) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = length(head, limits)?;
    let mut message = Vec::new();
    stream.take(length).read_to_end(&mut message).await?;
    whole(message, length)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_that_is_too_long_or_not_whole_is_not_taken() {
        let limits = Limits { message: 8, ..Limits::DEFAULT };
        let most = frame_limits(&limits).message;
        for (announced, sent, taken) in [(3, 3, true), (3, 2, false), (most, most, true), (most + 1, most + 1, false)] {
            let frame = [u32::try_from(announced).unwrap().to_be_bytes().as_slice(), &vec![7; sent]].concat();
            assert_eq!(read_frame(&mut frame.as_slice(), &limits).is_ok(), taken, "{announced} announced, {sent} sent");
            assert_eq!(receive(&mut frame.as_slice(), &limits).await.is_ok(), taken, "{announced} announced, {sent} sent");
        }
    }
}
