//! Requests of the host's kernel (FUSE), answered from the guest's state.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::entry::Entry;
use super::tree::Node;
use super::{Guest, REGISTER, lock};

/// Nothing is remembered by the host's kernel.
const AT_ONCE: Duration = Duration::ZERO;

/// The mounted guest.
#[derive(Debug)]
pub(super) struct Mounted(pub(super) Arc<Mutex<Guest>>);

impl Mounted {
    fn node(&self, inode: INodeNo) -> Result<(MutexGuard<'_, Guest>, Node), Errno> {
        let guest = lock(&self.0);
        let node = Node::of(inode).filter(|node| guest.is_there(*node)).ok_or(Errno::ENOENT)?;
        Ok((guest, node))
    }

    fn content(&self, inode: INodeNo) -> Result<Vec<u8>, Errno> {
        let (mut guest, node) = self.node(inode)?;
        let boot_log = || guest.boot_log.clone().unwrap_or_default();
        match node {
            Node::Rtmr3 => Ok(guest.rtmr3.to_vec()),
            Node::Ccel => Ok(boot_log().log),
            Node::CcelTable => Ok(boot_log().table),
            Node::Attribute(number, at) => {
                let name = guest.driver.attributes()[at];
                guest.read_attribute(number, name)
            }
            _ => Err(Errno::EISDIR),
        }
    }

    fn take(&self, inode: INodeNo, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let (mut guest, node) = self.node(inode)?;
        if offset != 0 {
            return Err(Errno::EINVAL);
        }
        match node {
            Node::Rtmr3 => {
                let by: &[u8; REGISTER] = bytes.try_into().map_err(|_| Errno::EINVAL)?;
                guest.extend(by);
                Ok(())
            }
            Node::Attribute(number, at) => {
                let name = guest.driver.attributes()[at];
                guest.write_attribute(number, name, bytes)
            }
            _ => Err(Errno::EACCES),
        }
    }

    fn make(&self, parent: INodeNo, name: &OsStr) -> Result<fuser::FileAttr, Errno> {
        let (mut guest, node) = self.node(parent)?;
        let name = name.to_str().ok_or(Errno::EINVAL)?;
        if node != Node::Reports {
            return Err(Errno::EPERM);
        }
        if guest.entries.iter().any(|entry| entry.name == name) {
            return Err(Errno::EEXIST);
        }
        guest.made += 1;
        let entry = Entry::new(guest.made, name.to_owned());
        let node = Node::Entry(entry.number);
        guest.entries.push(entry);
        Ok(guest.attributes_of(node))
    }

    fn remove(&self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let (mut guest, node) = self.node(parent)?;
        if node != Node::Reports {
            return Err(Errno::EPERM);
        }
        let before = guest.entries.len();
        guest.entries.retain(|entry| OsStr::new(&entry.name) != name);
        if guest.entries.len() < before { Ok(()) } else { Err(Errno::ENOENT) }
    }

    fn look_up(&self, parent: INodeNo, name: &OsStr) -> Result<fuser::FileAttr, Errno> {
        let (guest, folder) = self.node(parent)?;
        let children = guest.children(folder);
        let found = children.iter().find(|(child, _)| OsStr::new(child) == name).ok_or(Errno::ENOENT)?;
        Ok(guest.attributes_of(found.1))
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.look_up(parent, name) {
            Ok(attributes) => reply.entry(&AT_ONCE, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _request: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.node(inode) {
            Ok((guest, node)) => reply.attr(&AT_ONCE, &guest.attributes_of(node)),
            Err(error) => reply.error(error),
        }
    }

    /// A shell's `>` truncates first, which changes nothing here.
    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.getattr(request, inode, handle, reply);
    }

    fn mkdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        match self.make(parent, name) {
            Ok(attributes) => reply.entry(&AT_ONCE, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    /// As configfs has it: an entry goes with its attributes.
    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match self.remove(parent, name) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _request: &Request, inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.node(inode) {
            Ok(_) => reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.content(inode) {
            Ok(content) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
                let until = from.saturating_add(size as usize).min(content.len());
                reply.data(&content[from..until]);
            }
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.take(inode, offset, data) {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _request: &Request, _inode: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn readdir(&self, _request: &Request, inode: INodeNo, _handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let (guest, folder) = match self.node(inode) {
            Ok(found) => found,
            Err(error) => return reply.error(error),
        };
        let dots = [".", ".."].map(|name| (name.to_owned(), folder.inode(), FileType::Directory));
        let children = guest.children(folder).into_iter().map(|(name, node)| (name, node.inode(), node.kind()));
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, (name, inode, kind)) in dots.into_iter().chain(children).enumerate().skip(from) {
            if reply.add(inode, at as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
