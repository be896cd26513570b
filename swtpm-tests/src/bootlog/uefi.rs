//! UEFI structures as event logs carry them (UEFI 2.10; TCG PFP 1.06, section 10.2).

use crate::error::BenchError;

/// A GUID in its mixed-endian encoding (UEFI 2.10, appendix A).
pub(super) type Guid = [u8; 16];

/// EFI_GLOBAL_VARIABLE, 8be4df61-93ca-11d2-aa0d-00e098032b8c.
pub(super) const GLOBAL: Guid = [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c];
/// EFI_IMAGE_SECURITY_DATABASE, d719b2cb-3d3a-4596-a3bc-dad00e67656f.
pub(super) const IMAGE_SECURITY: Guid = [0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f];
/// EFI_CERT_X509, a5c059a1-94e4-4aa7-87b5-ab155c2bf072.
const CERT_X509: Guid = [0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72];
/// EFI_CERT_SHA256, c1c41626-504c-4092-aca9-41f936934328.
const CERT_SHA256: Guid = [0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28];
/// The owner of the bench's signatures: a GUID of no other meaning.
const OWNER: Guid = [0x9d, 0x11, 0x36, 0x5b, 0x0c, 0x77, 0x4e, 0x4d, 0x91, 0x0a, 0x3f, 0x60, 0x2e, 0xc8, 0x15, 0x7a];

/// A Secure Boot certificate, drawn anew each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its DER bytes.
    pub der: Vec<u8>,
}

impl Certificate {
    /// A self-signed certificate for `name`.
    pub fn new(name: &str) -> Result<Self, BenchError> {
        let made = || {
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.self_signed(&rcgen::KeyPair::generate()?)
        };
        let certificate = made().map_err(|error: rcgen::Error| BenchError::answer("rcgen", error.to_string(), "a certificate"))?;
        Ok(Self { der: certificate.der().to_vec() })
    }

    /// EFI_SIGNATURE_LIST with this one certificate (UEFI 2.10, section 32.4.1).
    pub(super) fn signature_list(&self) -> Vec<u8> {
        signature_list(CERT_X509, &[&self.der])
    }

    /// EFI_SIGNATURE_DATA of this certificate.
    pub(super) fn signature_data(&self) -> Vec<u8> {
        [&OWNER, self.der.as_slice()].concat()
    }
}

/// EFI_SIGNATURE_LIST of SHA-256 digests.
pub(super) fn digest_list(digests: &[[u8; 32]]) -> Vec<u8> {
    signature_list(CERT_SHA256, &digests.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>())
}

fn signature_list(kind: Guid, signatures: &[&[u8]]) -> Vec<u8> {
    let Some(first) = signatures.first() else { return Vec::new() };
    let each = OWNER.len() + first.len();
    let mut list = kind.to_vec();
    list.extend(((28 + each * signatures.len()) as u32).to_le_bytes());
    list.extend(0u32.to_le_bytes());
    list.extend((each as u32).to_le_bytes());
    for signature in signatures {
        list.extend(OWNER);
        list.extend(*signature);
    }
    list
}

/// UEFI_VARIABLE_DATA (PFP 1.06, section 10.2.6).
pub(super) fn variable(vendor: Guid, name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = vendor.to_vec();
    out.extend((name.encode_utf16().count() as u64).to_le_bytes());
    out.extend((value.len() as u64).to_le_bytes());
    out.extend(utf16(name));
    out.extend(value);
    out
}

/// UEFI_PLATFORM_FIRMWARE_BLOB2 (PFP 1.06, section 10.2.5).
pub(super) fn firmware_blob(description: &str, base: u64, length: usize) -> Vec<u8> {
    let mut out = vec![description.len() as u8];
    out.extend(description.bytes());
    out.extend(base.to_le_bytes());
    out.extend((length as u64).to_le_bytes());
    out
}

/// UEFI_IMAGE_LOAD_EVENT (PFP 1.06, section 10.2.3).
pub(super) fn image_load(path: &str, length: usize) -> Vec<u8> {
    let device_path = file_device_path(path);
    let mut out = 0x7c00_0000u64.to_le_bytes().to_vec();
    out.extend((length as u64).to_le_bytes());
    out.extend(0u64.to_le_bytes());
    out.extend((device_path.len() as u64).to_le_bytes());
    out.extend(device_path);
    out
}

/// EFI_LOAD_OPTION, active (UEFI 2.10, section 3.1.3).
pub(super) fn load_option(description: &str) -> Vec<u8> {
    let device_path = file_device_path("\\EFI\\bench\\grubx64.efi");
    let mut out = 1u32.to_le_bytes().to_vec();
    out.extend((device_path.len() as u16).to_le_bytes());
    out.extend(utf16_nul(description));
    out.extend(device_path);
    out
}

/// A media file path node and the end node (UEFI 2.10, section 10.3.5.4).
fn file_device_path(path: &str) -> Vec<u8> {
    let name = utf16_nul(path);
    let mut out = vec![4, 4];
    out.extend((4 + name.len() as u16).to_le_bytes());
    out.extend(name);
    out.extend([0x7f, 0xff, 4, 0]);
    out
}

/// CHAR16 text with its terminator.
pub(super) fn utf16_nul(text: &str) -> Vec<u8> {
    [utf16(text), vec![0, 0]].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
