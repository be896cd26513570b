//! Restrictions that a configuration may do without, each by its name.

use std::collections::BTreeSet;

/// A restriction that is not enforced on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exception {
    /// The network process may open whatever its user may.
    Landlock,
    /// The network process may connect to every TCP port.
    LandlockNet,
    /// The privileged process may make network sockets.
    PrivilegedNetwork,
    /// Both processes may call every system call.
    Seccomp,
}

impl Exception {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Landlock, Self::LandlockNet, Self::PrivilegedNetwork, Self::Seccomp];

    /// As configuration and claims write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Landlock => "landlock",
            Self::LandlockNet => "landlock-net",
            Self::PrivilegedNetwork => "privileged-network",
            Self::Seccomp => "seccomp",
        }
    }

    /// The exception of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|exception| exception.as_str() == name)
    }

    pub(super) fn subject(self) -> &'static str {
        match self {
            Self::Landlock => "files of the network process",
            Self::LandlockNet => "ports of the network process",
            Self::PrivilegedNetwork => "network of the privileged process",
            Self::Seccomp => "system calls",
        }
    }

    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Landlock => "Landlock (Linux 5.13)",
            Self::LandlockNet => "Landlock for TCP (Linux 6.7)",
            Self::PrivilegedNetwork => "none",
            Self::Seccomp => "a seccomp filter",
        }
    }

    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Landlock | Self::LandlockNet => "run a kernel that has it, with landlock in its lsm= list",
            Self::PrivilegedNetwork => "use a TPM device",
            Self::Seccomp => "run a kernel with CONFIG_SECCOMP_FILTER",
        }
    }
}

impl core::fmt::Display for Exception {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The exceptions that a node's configuration names: what its attester does without. Part of what the node states about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions(BTreeSet<Exception>);

impl Exceptions {
    /// Whether this one is named.
    #[must_use]
    pub fn contains(&self, exception: Exception) -> bool {
        self.0.contains(&exception)
    }

    /// Whether none is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, ascending, each once.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|exception| exception.as_str())
    }
}

impl FromIterator<Exception> for Exceptions {
    fn from_iter<I: IntoIterator<Item = Exception>>(exceptions: I) -> Self {
        Self(exceptions.into_iter().collect())
    }
}
