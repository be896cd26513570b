//! What the registers of a kind of hardware are for: the same decisions are taken by the PCRs of a TPM and by the registers of a TD.

use podseal_protocol::{Bank, pod_log::Register};

use serde::{Deserialize, Serialize};

use crate::{eventlog::BOOT_REGISTERS, tpm::PcrSet};

/// Which register stands for what. Registers are numbered as event logs number them. Files name one by [`Layout::name`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// The PCRs of a TPM (TCG PC Client PFP 1.06, 2.3.4; UAPI Linux TPM PCR Registry).
    #[default]
    Tpm,
    /// The measurement registers of a TD (UEFI 2.10, 38.4.1): 1 to 4 are RTMR0 to RTMR3. RTMR0 takes what a TPM has in PCR 1 and 7, RTMR1
    /// PCR 2 to 6, RTMR2 PCR 8 to 15. MRTD, which has the firmware itself, is no register that is extended, and not among them.
    Td,
}

impl Layout {
    /// Registers that are closed when the operating system runs. The others go on growing.
    #[must_use]
    pub fn boot(self) -> &'static [u8] {
        match self {
            Self::Tpm => BOOT_REGISTERS,
            Self::Td => &[1, 2, 3],
        }
    }

    /// Firmware, its settings and its drivers.
    #[must_use]
    pub fn firmware(self) -> &'static [u8] {
        match self {
            Self::Tpm => &[0, 1, 2, 3],
            Self::Td => &[1],
        }
    }

    /// Boot loader and kernel, command line, and the files that the boot loader reads.
    #[must_use]
    pub fn kernel(self) -> &'static [u8] {
        match self {
            Self::Tpm => &[4, 8, 9],
            Self::Td => &[2, 3],
        }
    }

    /// What else tells of the way to the kernel, where somebody wants it compared.
    #[must_use]
    pub fn beside_kernel(self) -> &'static [u8] {
        match self {
            Self::Tpm => &[5, 6, 7, 14],
            Self::Td => &[],
        }
    }

    /// The register in which firmware measures the state of Secure Boot.
    #[must_use]
    pub fn secure_boot(self) -> u8 {
        match self {
            Self::Tpm => 7,
            Self::Td => 1,
        }
    }

    /// The register that a node's pod log is kept in, if its evidence is of `bank`. A TD has one bank.
    #[must_use]
    pub fn pod_log(self, bank: Bank) -> Register {
        match self {
            Self::Tpm => Register::Pcr(bank),
            Self::Td => Register::Rtmr,
        }
    }

    /// Whether hardware has such registers in `bank`.
    #[must_use]
    pub fn has(self, bank: Bank) -> bool {
        match self {
            Self::Tpm => true,
            Self::Td => bank == Bank::Sha384,
        }
    }

    /// The layout of this name, as [`Layout::name`] has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Tpm, Self::Td].into_iter().find(|layout| layout.name() == name)
    }

    /// Name as files have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tpm => "tpm",
            Self::Td => "td",
        }
    }

    /// A register in findings: `PCR 7`, `MR 1 (RTMR0)`.
    #[must_use]
    pub fn register(self, index: u8) -> String {
        match (self, index.checked_sub(1)) {
            (Self::Td, Some(number)) => format!("MR {index} (RTMR{number})"),
            (Self::Td, None) => "MR 0 (MRTD)".to_owned(),
            (Self::Tpm, _) => format!("PCR {index}"),
        }
    }

    /// Some registers in findings: `PCR 0,1,2`, `MR 1,2,3`.
    #[must_use]
    pub fn registers(self, set: PcrSet) -> String {
        match self {
            Self::Tpm => format!("PCR {set}"),
            Self::Td => format!("MR {set}"),
        }
    }

    /// What a finding says where the register of Secure Boot is not proved.
    pub(crate) fn without_secure_boot(self) -> &'static str {
        match self {
            Self::Tpm => "PCR 7 is not quoted",
            Self::Td => "RTMR0 is not quoted",
        }
    }

    /// What a finding says where a set of reference values leaves out a register of the firmware.
    pub(crate) fn without_firmware(self) -> &'static str {
        match self {
            Self::Tpm => "the reference values do not cover PCR 0 to 3",
            Self::Td => "the reference values do not cover MR 1 (RTMR0)",
        }
    }
}
