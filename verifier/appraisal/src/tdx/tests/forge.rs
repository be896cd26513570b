//! A maker of platforms with its whole PKI, and quotes, collateral and lists as it would send them; by offset, and apart from the parser.

mod answers;

pub(crate) use answers::{answer, qe_identity, svn_level, tcb_info};

use crate::claims::RootKind;
use crate::x509::{Anchor, Roots};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::OnceLock;

/// 2026-06-01.
pub(crate) const NOW: u64 = 1_780_272_000;
pub(crate) const FMSPC: [u8; 6] = [0x00, 0x80, 0x6f, 0x05, 0, 0];
pub(crate) const PPID: [u8; 16] = [0x77; 16];
pub(crate) const COMPONENTS: [u8; 16] = [8, 8, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];

/// Intel, as vendor of a quoting enclave.
pub(crate) const VENDOR: [u8; 16] = 0x939a_7233_f79c_4ca9_940a_0db3_957f_0607_u128.to_be_bytes();

/// Offsets in the body.
pub(crate) const SVN: usize = 0;
pub(crate) const MRSIGNERSEAM: usize = 64;
pub(crate) const SEAMATTRIBUTES: usize = 112;
pub(crate) const ATTRIBUTES: usize = 120;
pub(crate) const MRTD: usize = 136;
pub(crate) const REPORTDATA: usize = 520;
pub(crate) const MRSERVICETD: usize = 600;

pub(crate) struct Maker {
    pub(crate) root: CertifiedIssuer<'static, KeyPair>,
    pub(crate) platforms: CertifiedIssuer<'static, KeyPair>,
    pub(crate) pck: KeyPair,
    pub(crate) signer: KeyPair,
    attestation: EcdsaKeyPair,
}

fn make() -> Maker {
    let root = CertifiedIssuer::self_signed(authority("Intel SGX Root CA", 1), KeyPair::generate().unwrap()).unwrap();
    let platforms = CertifiedIssuer::signed_by(authority("Intel SGX PCK Platform CA", 2), KeyPair::generate().unwrap(), &root).unwrap();
    let [pck, signer] = [(); 2].map(|()| KeyPair::generate().unwrap());
    Maker { root, platforms, pck, signer, attestation: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
}

/// The maker, and another whose authorities have the same names.
pub(crate) fn makers() -> &'static [Maker; 2] {
    static MAKERS: OnceLock<[Maker; 2]> = OnceLock::new();
    MAKERS.get_or_init(|| [(); 2].map(|()| make()))
}

pub(crate) fn named(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2030, 1, 1));
    params
}

pub(crate) fn signer_params() -> CertificateParams {
    let mut params = named("Intel SGX TCB Signing", 4);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

pub(crate) fn authority(name: &str, serial: u64) -> CertificateParams {
    let mut params = named(name, serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).unwrap();
    let head = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
    [head, contents.to_vec()].concat()
}

fn long(contents: &[u8]) -> Vec<u8> {
    [&[0x30, 0x82][..], &u16::try_from(contents.len()).unwrap().to_be_bytes(), contents].concat()
}

/// 1.2.840.113741.1.13.1 and what follows.
fn oid(tail: &[u8]) -> Vec<u8> {
    tlv(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 1, 13, 1][..], tail].concat())
}

fn value(tail: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[oid(tail), value.to_vec()].concat())
}

/// What the PCK certificate says of its platform.
#[derive(Clone)]
pub(crate) struct Platform {
    pub(crate) components: [u8; 16],
    pub(crate) pcesvn: u8,
    pub(crate) pceid: [u8; 2],
    pub(crate) fmspc: Vec<u8>,
}

impl Platform {
    /// The extension's contents.
    fn extension(&self) -> Vec<u8> {
        let numbers = self.components.iter().zip(1..).map(|(svn, n)| value(&[2, n], &[2, 1, *svn]));
        let tcb = numbers.chain([value(&[2, 17], &[2, 1, self.pcesvn]), value(&[2, 18], &tlv(4, &[0; 16]))]).collect::<Vec<_>>();
        let tcb = long(&[oid(&[2]), long(&tcb.concat())].concat());
        let values = [value(&[1], &tlv(4, &PPID)), tcb, value(&[3], &tlv(4, &self.pceid)), value(&[4], &tlv(4, &self.fmspc))];
        long(&[values.concat(), value(&[5], &[0x0a, 1, 1])].concat())
    }
}

pub(crate) fn pck_params(platform: &Platform) -> CertificateParams {
    let mut params = named("Intel SGX PCK Certificate", 0xb6e8_4ed5);
    params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 840, 113741, 1, 13, 1], platform.extension()));
    params
}

/// r and s, 32 bytes each.
pub(crate) fn sign(key: &KeyPair, bytes: &[u8]) -> Vec<u8> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
    pair.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec()
}

pub(crate) fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A list of `issuer` that is good in 2026: from the first of `months` to the first of the other.
pub(crate) fn crl(issuer: &CertifiedIssuer<'_, KeyPair>, months: (u8, u8), number: u64, revoked: &[u64]) -> Vec<u8> {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, months.0, 1),
        next_update: date_time_ymd(2026, months.1, 1),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().der().to_vec()
}

pub(crate) fn pem(certificates: &[Vec<u8>]) -> Vec<u8> {
    let block = |der: &Vec<u8>| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
    certificates.iter().map(block).collect::<String>().into_bytes()
}

/// A quote to be, with everything beside it. Fields are altered before signing; what is altered behind is altered by an attacker.
pub(crate) struct Scene {
    pub(crate) maker: &'static Maker,
    pub(crate) version: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) qe: Vec<u8>,
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) der_chain: bool,
    pub(crate) qe_signer: KeyPair,
    pub(crate) certified_key: Option<[u8; 32]>,
    pub(crate) beside: Vec<Vec<u8>>,
    pub(crate) tcb_info: Option<String>,
    pub(crate) qe_identity: Option<String>,
    pub(crate) crls: Vec<Vec<u8>>,
}

const AUTHENTICATION: [u8; 32] = [0xa5; 32];

impl Scene {
    /// Up to date, nothing against it: TDX 1.5, version 5.
    pub(crate) fn honest() -> Self {
        Self::of(&makers()[0], &Platform { components: COMPONENTS, pcesvn: 11, pceid: [0, 0], fmspc: FMSPC.to_vec() })
    }

    pub(crate) fn of(maker: &'static Maker, platform: &Platform) -> Self {
        let pck = pck_params(platform).signed_by(&maker.pck, &maker.platforms).unwrap();
        let signer = signer_params().signed_by(&maker.signer, &maker.root).unwrap();
        let mut body = vec![0; 648];
        body[SVN..SVN + 3].copy_from_slice(&[6, 1, 8]);
        body[ATTRIBUTES + 3] = 0x10;
        body[MRTD..MRTD + 48].fill(0x3d);
        body[REPORTDATA..REPORTDATA + 3].copy_from_slice(b"ask");
        let mut qe = vec![0; 384];
        qe[48] = 0x15;
        qe[56] = 0xe7;
        qe[128..160].fill(0xdc);
        qe[256..260].copy_from_slice(&[2, 0, 6, 0]);
        Self {
            maker,
            version: 5,
            body,
            qe,
            chain: vec![pck.der().to_vec(), maker.platforms.der().to_vec(), maker.root.der().to_vec()],
            der_chain: false,
            qe_signer: copy(&maker.pck),
            certified_key: None,
            beside: vec![signer.der().to_vec(), maker.root.der().to_vec()],
            tcb_info: Some(answer("tcbInfo", &tcb_info(), &maker.signer)),
            qe_identity: Some(answer("enclaveIdentity", &qe_identity(), &maker.signer)),
            crls: vec![crl(&maker.platforms, (5, 7), 7, &[9]), crl(&maker.root, (1, 12), 3, &[9])],
        }
    }

    pub(crate) fn with_tcb_info(mut self, from: &str, to: &str) -> Self {
        self.tcb_info = Some(answer("tcbInfo", &replaced(&tcb_info(), from, to), &self.maker.signer));
        self
    }

    pub(crate) fn with_qe_identity(mut self, from: &str, to: &str) -> Self {
        self.qe_identity = Some(answer("enclaveIdentity", &replaced(&qe_identity(), from, to), &self.maker.signer));
        self
    }

    /// The maker's root, pinned by its key.
    pub(crate) fn roots(&self) -> Roots {
        pinned(self.maker)
    }

    pub(crate) fn quote(&self) -> Vec<u8> {
        let mut signed = [&self.version.to_le_bytes()[..], &[2, 0], &0x81_u32.to_le_bytes(), &[0; 4], &VENDOR, &[0; 20]].concat();
        if self.version == 5 {
            let kind = if self.body.len() == 648 { 3_u16 } else { 2 };
            signed.extend([&kind.to_le_bytes()[..], &u32::try_from(self.body.len()).unwrap().to_le_bytes()].concat());
        }
        signed.extend(&self.body);
        let key = &self.maker.attestation.public_key().as_ref()[1..];
        let signature = self.maker.attestation.sign(&SystemRandom::new(), &signed).unwrap();
        let mut qe = self.qe.clone();
        let digest: [u8; 32] = Sha256::digest([key, &AUTHENTICATION].concat()).into();
        qe[320..352].copy_from_slice(&self.certified_key.unwrap_or(digest));
        let chain = if self.der_chain { self.chain.concat() } else { [pem(&self.chain), vec![0]].concat() };
        let inner = [&qe[..], &sign(&self.qe_signer, &qe), &[32, 0], &AUTHENTICATION, &certification(5, &chain)].concat();
        let data = [signature.as_ref(), key, &certification(6, &inner)].concat();
        [signed, u32::try_from(data.len()).unwrap().to_le_bytes().to_vec(), data].concat()
    }
}

pub(crate) fn certification(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &u32::try_from(data.len()).unwrap().to_le_bytes(), data].concat()
}

pub(crate) fn copy(key: &KeyPair) -> KeyPair {
    KeyPair::try_from(key.serialize_der()).unwrap()
}

pub(crate) fn pinned(maker: &Maker) -> Roots {
    let key = Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(maker.root.key()));
    let file = format!("[[root]]\nname = \"maker\"\nevidence = [\"tdx\"]\nkind = \"test\"\nkey_sha256 = \"{}\"\n", digits(&key));
    Roots::new(Roots::of_file("maker", &file).unwrap()).unwrap()
}

/// An authority of the maker's as a certificate that the operator gave.
pub(crate) fn anchor(authority: &CertifiedIssuer<'_, KeyPair>, name: &str) -> Anchor {
    Anchor::of_certificate(name.to_owned(), RootKind::Test, authority.der()).unwrap()
}

/// The maker's root as a certificate that the operator gave.
pub(crate) fn given(maker: &Maker) -> Roots {
    Roots::new(vec![anchor(&maker.root, "given")]).unwrap()
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}
