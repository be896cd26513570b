//! `ATTESTATION_REPORT` (AMD 56860, table 23), written by offset.

/// Bytes of a report.
const LENGTH: usize = 0x4a0;
/// What its signature covers.
pub(super) const SIGNED: usize = 0x2a0;
/// r and s have 72 bytes each, little-endian.
const R: usize = 0x2a0;
const S: usize = 0x2e8;

/// Security version numbers of a chip's firmware (`TCB_VERSION`, AMD 56860, 2.2); higher is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// Boot loader of the secure processor.
    pub boot_loader: u8,
    /// Operating system of the secure processor.
    pub tee: u8,
    /// SEV-SNP firmware.
    pub snp: u8,
    /// Microcode patch level.
    pub microcode: u8,
}

impl Firmware {
    /// What a machine has that is kept up to date.
    pub fn current() -> Self {
        Self { boot_loader: 4, tee: 0, snp: 24, microcode: 219 }
    }

    fn bytes(self) -> [u8; 8] {
        [self.boot_loader, self.tee, 0, 0, 0, 0, self.snp, self.microcode]
    }
}

/// What a guest is, as its reports say it; AMD's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnpGuest {
    /// Layout of the report, 2 to 4.
    pub version: u32,
    /// Security version that the guest's owner gave its image.
    pub guest_svn: u32,
    /// What the guest lets the host do: bit 16 SMT, bit 17 always set, bit 18 migration agent, bit 19 debugging.
    pub policy: u64,
    /// Family of the image.
    pub family_id: [u8; 16],
    /// The image.
    pub image_id: [u8; 16],
    /// Privilege level that asked, 0 to 3.
    pub vmpl: u32,
    /// What the platform has switched on: bit 0 SMT, bit 2 ECC, bit 5 alias check.
    pub platform_info: u64,
    /// SHA-384 over the guest's memory at launch.
    pub measurement: [u8; 48],
    /// What the host gave at launch.
    pub host_data: [u8; 32],
    /// SHA-384 of the key that signed the guest's identity block; zero without one.
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the key that certified that key; zero without one.
    pub author_key_digest: [u8; 48],
    /// Drawn at launch.
    pub report_id: [u8; 32],
    /// Of its migration agent; all ones without one.
    pub report_id_ma: [u8; 32],
}

impl SnpGuest {
    /// A guest that the shipped policy has nothing against.
    pub fn honest() -> Self {
        Self {
            version: 3,
            guest_svn: 7,
            policy: 0x3_001f,
            family_id: [0; 16],
            image_id: [0; 16],
            vmpl: 0,
            platform_info: 0x25,
            measurement: [0x3e; 48],
            host_data: [0; 32],
            id_key_digest: [0x1d; 48],
            author_key_digest: [0; 48],
            report_id: [0x4e; 32],
            report_id_ma: [0xff; 32],
        }
    }

    /// The same guest, whose policy lets the host debug it.
    pub fn debuggable() -> Self {
        Self { policy: Self::honest().policy | 1 << 19, ..Self::honest() }
    }

    /// The report without its signature.
    pub(super) fn lay_out(&self, report_data: &[u8; 64], firmware: &Firmware, cpuid: [u8; 3], chip: &[u8; 64]) -> Vec<u8> {
        let tcb = firmware.bytes();
        let author_key = u32::from(self.author_key_digest != [0; 48]);
        let cpuid = if self.version >= 3 { cpuid } else { [0; 3] };
        let fields: [(usize, &[u8]); 25] = [
            (0x000, &self.version.to_le_bytes()),
            (0x004, &self.guest_svn.to_le_bytes()),
            (0x008, &self.policy.to_le_bytes()),
            (0x010, &self.family_id),
            (0x020, &self.image_id),
            (0x030, &self.vmpl.to_le_bytes()),
            (0x034, &1_u32.to_le_bytes()),
            (0x038, &tcb),
            (0x040, &self.platform_info.to_le_bytes()),
            (0x048, &author_key.to_le_bytes()),
            (0x050, report_data),
            (0x090, &self.measurement),
            (0x0c0, &self.host_data),
            (0x0e0, &self.id_key_digest),
            (0x110, &self.author_key_digest),
            (0x140, &self.report_id),
            (0x160, &self.report_id_ma),
            (0x180, &tcb),
            (0x188, &cpuid),
            (0x1a0, chip),
            (0x1e0, &tcb),
            // Build, minor, major of the firmware that runs, and of that below which it cannot go.
            (0x1e8, &[21, 55, 1]),
            (0x1ec, &[21, 55, 1]),
            (0x1f0, &tcb),
            // LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR have a meaning from version 5 on.
            (0x1f8, &[0; 16]),
        ];
        let mut report = vec![0; LENGTH];
        for (at, field) in fields {
            report[at..at + field.len()].copy_from_slice(field);
        }
        report
    }
}

/// Puts r and s, big-endian one behind the other, where a report has them.
pub(super) fn put_signature(report: &mut [u8], signature: &[u8]) {
    for (at, number) in [R, S].into_iter().zip(signature.chunks(48)) {
        let number = number.iter().rev().copied().collect::<Vec<_>>();
        report[at..at + 48].copy_from_slice(&number);
    }
}
