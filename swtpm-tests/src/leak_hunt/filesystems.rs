//! Which file systems hold data, and which are views of the kernel.

use std::path::Path;

/// How a file system is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filesystem {
    /// Its files have times that tell whether they changed.
    Disk,
    /// In memory: writing through a mapping changes no time (tmpfs, ramfs, hugetlbfs), so every file is read.
    Memory,
    /// Not at all: what it is, and why.
    Kernel(&'static str, &'static str),
}

const VIEW: &str = "no file of it holds data: each is computed from the kernel's state when it is read";

/// statfs(2), `f_type`. The process's part of proc is searched process by process.
const KERNEL: [(u64, &str, &str); 17] = [
    (0x9fa0, "proc", "computed when read; processes are searched one by one"),
    (0x6265_6572, "sysfs", VIEW),
    (0x0027_e0eb, "cgroup", VIEW),
    (0x6367_7270, "cgroup2", VIEW),
    (0x7363_6673, "securityfs", VIEW),
    (0x6462_6720, "debugfs", VIEW),
    (0x7472_6163, "tracefs", "the kernel's own trace buffer"),
    (0xcafe_4a11, "bpf", "kernel objects, which cannot be read as files"),
    (0x6265_6570, "configfs", VIEW),
    (0x6573_5543, "fusectl", VIEW),
    (0x6e73_6673, "nsfs", VIEW),
    (0x4249_4e4d, "binfmt_misc", VIEW),
    (0xf97c_ff8c, "selinuxfs", VIEW),
    (0x6759_6969, "rpc_pipefs", VIEW),
    (0x1cd1, "devpts", "terminals: what is on its way through one is kernel memory"),
    (0x1980_0202, "mqueue", "a message cannot be read without taking it"),
    (0x0187, "autofs", "mounts on demand: what is mounted is searched, nothing is mounted for it"),
];
const IN_MEMORY: [u64; 3] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6];

impl Filesystem {
    /// That which has the folder `path`.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let found = rustix::fs::statfs(path)?;
        // The field is signed and of the machine's width; magic numbers have 32 bits.
        let kind = u64::from(found.f_type as u32);
        if IN_MEMORY.contains(&kind) {
            return Ok(Self::Memory);
        }
        let kernel = KERNEL.iter().find(|(magic, ..)| *magic == kind);
        Ok(kernel.map_or(Self::Disk, |(_, name, why)| Self::Kernel(name, why)))
    }
}
