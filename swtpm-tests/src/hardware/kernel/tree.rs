//! What has which inode: the fixed part of the tree, and sixteen numbers for each report entry.

use std::time::UNIX_EPOCH;

use fuser::{FileAttr, FileType, INodeNo};

use super::Guest;
use super::entry::mode;

/// Numbers that belong to one entry: the first is its folder's.
const PER_ENTRY: u64 = 16;

/// Something in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Root,
    Tsm,
    Reports,
    Rtmr3,
    Ccel,
    CcelTable,
    /// A report entry, by its number.
    Entry(u64),
    /// An attribute of an entry, by its place.
    Attribute(u64, usize),
}

/// The fixed part: name and what it is in.
const FIXED: [(Node, &str, Node); 5] = [
    (Node::Tsm, "tsm", Node::Root),
    (Node::Reports, "report", Node::Tsm),
    (Node::Rtmr3, "rtmr3:sha384", Node::Root),
    (Node::Ccel, "CCEL", Node::Root),
    (Node::CcelTable, "CCEL_TABLE", Node::Root),
];

impl Node {
    pub(super) fn of(inode: INodeNo) -> Option<Self> {
        match (inode.0 / PER_ENTRY, inode.0 % PER_ENTRY) {
            (0, 1) => Some(Self::Root),
            (0, at) => FIXED.get((at as usize).checked_sub(2)?).map(|(node, ..)| *node),
            (entry, 0) => Some(Self::Entry(entry)),
            (entry, attribute) => Some(Self::Attribute(entry, attribute as usize - 1)),
        }
    }

    pub(super) fn inode(self) -> INodeNo {
        let fixed = || FIXED.iter().position(|(node, ..)| *node == self).map_or(1, |at| at as u64 + 2);
        INodeNo(match self {
            Self::Entry(entry) => entry * PER_ENTRY,
            Self::Attribute(entry, attribute) => entry * PER_ENTRY + 1 + attribute as u64,
            _ => fixed(),
        })
    }

    pub(super) fn kind(self) -> FileType {
        match self {
            Self::Root | Self::Tsm | Self::Reports | Self::Entry(_) => FileType::Directory,
            _ => FileType::RegularFile,
        }
    }
}

impl Guest {
    /// What is in a folder, by name.
    pub(super) fn children(&self, folder: Node) -> Vec<(String, Node)> {
        let fixed = FIXED.iter().filter(|(node, _, parent)| *parent == folder && self.is_there(*node));
        let fixed = fixed.map(|(node, name, _)| ((*name).to_owned(), *node));
        let entries = self.entries.iter().filter(|_| folder == Node::Reports);
        let entries = entries.map(|entry| (entry.name.clone(), Node::Entry(entry.number)));
        let attributes = match folder {
            Node::Entry(number) => {
                self.driver.attributes().iter().enumerate().map(|(at, name)| ((*name).to_owned(), Node::Attribute(number, at))).collect()
            }
            _ => Vec::new(),
        };
        fixed.chain(entries).chain(attributes).collect()
    }

    pub(super) fn is_there(&self, node: Node) -> bool {
        match node {
            Node::Ccel | Node::CcelTable => self.boot_log.is_some(),
            Node::Entry(number) => self.entries.iter().any(|entry| entry.number == number),
            Node::Attribute(number, at) => self.is_there(Node::Entry(number)) && at < self.driver.attributes().len(),
            _ => true,
        }
    }

    pub(super) fn attributes_of(&self, node: Node) -> FileAttr {
        let (perm, size) = match node {
            Node::Rtmr3 => (0o600, 48),
            Node::Ccel => (0o400, self.boot_log.as_ref().map_or(0, |boot| boot.log.len() as u64)),
            Node::CcelTable => (0o400, self.boot_log.as_ref().map_or(0, |boot| boot.table.len() as u64)),
            Node::Attribute(_, at) => (self.driver.attributes().get(at).map_or(0, |name| mode(name)), 0),
            _ => (0o755, 0),
        };
        FileAttr {
            ino: node.inode(),
            size,
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: node.kind(),
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}
