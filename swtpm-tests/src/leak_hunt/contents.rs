//! What is in one file: its bytes, and what they are compressed from.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};

use super::Hunt;
use super::report::{Gap, Holder, Kind};

const GZIP: &[u8] = &[0x1f, 0x8b, 8];
/// Beginnings of what is compressed in a form that this tool cannot open.
const CLOSED: [(&[u8], &str); 5] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (&[4, 0x22, 0x4d, 0x18], "lz4"),
    (b"PK\x03\x04", "zip"),
];
/// The most that one file may unpack to.
const LARGEST: u64 = 16 << 30;

impl Hunt<'_> {
    /// Searches a regular file. `by_name`: where the path is a name and not one of the kernel's links to an open file.
    pub(super) fn contents(
        &mut self,
        path: &Path,
        by_name: bool,
        holder: Option<&Holder>,
        namespace: &str,
        shown: &str,
        kind: Kind,
    ) -> io::Result<()> {
        // Never waits for a FIFO's other end, or follows what took the file's place.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = if by_name { flags | OFlags::NOFOLLOW } else { flags };
        let mut file = File::from(open(path, flags, Mode::empty())?);
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        self.stream.take();
        self.report.searched.files += 1;
        let read = self.stream.read(&mut file, u64::MAX);
        let finds = self.stream.take();
        self.found(finds, kind, holder, namespace, shown);
        self.report.searched.bytes += read?;

        let mut head = [0; 6];
        let length = file.read_at(&mut head, 0)?;
        let head = head.get(..length).unwrap_or_default();
        if head.starts_with(GZIP) {
            file.rewind()?;
            self.unpacked(file, holder, namespace, shown);
        } else if let Some((_, form)) = CLOSED.iter().find(|(magic, _)| head.starts_with(magic)) {
            self.report.incomplete.push(Gap { what: shown.to_owned(), why: format!("is compressed ({form}): only gzip is looked into") });
        }
        Ok(())
    }

    fn unpacked(&mut self, file: File, holder: Option<&Holder>, namespace: &str, shown: &str) {
        let mut unpacking = MultiGzDecoder::new(io::BufReader::new(file)).take(LARGEST);
        let read = self.stream.read(&mut unpacking, u64::MAX);
        let finds = self.stream.take();
        self.found(finds, Kind::Compressed, holder, namespace, shown);
        let why = match read {
            Ok(bytes) if bytes < LARGEST => {
                self.report.searched.bytes += bytes;
                return;
            }
            Ok(_) => format!("unpacks to more than {LARGEST} bytes"),
            Err(error) => format!("begins as gzip does, and does not unpack to its end: {error}"),
        };
        self.report.incomplete.push(Gap { what: shown.to_owned(), why });
    }
}
