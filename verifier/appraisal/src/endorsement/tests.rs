#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use super::*;
use crate::hex;

/// 2026-06-01.
const NOW: u64 = 1_780_272_000;
const FMSPC: [u8; 6] = [0x00, 0x80, 0x6f, 0x05, 0, 0];

fn chip() -> [u8; 64] {
    std::array::from_fn(|at| u8::try_from(at).unwrap() | 0x80)
}

fn vcek(product: Product) -> Vcek {
    Vcek::new(product, chip(), [4, 1, 2, 200, 0, 0, 22, 213])
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2045, 1, 1);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate with AMD's extensions: arcs below 1.3.6.1.4.1.3704.1 and DER.
fn chip_certificate(extensions: &[(&[u64], Vec<u8>)]) -> Vec<u8> {
    let mut params = CertificateParams::new([]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2033, 1, 1);
    for (arcs, der) in extensions {
        let oid: Vec<u64> = [1, 3, 6, 1, 4, 1, 3704, 1].into_iter().chain(arcs.iter().copied()).collect();
        params.custom_extensions.push(CustomExtension::from_oid_content(&oid, der.clone()));
    }
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, &authority("SEV-Milan")).unwrap().der().to_vec()
}

fn milan(hardware_id: Vec<u8>, snp: Vec<u8>) -> Vec<u8> {
    let (level, product) = (|level: u8| vec![2, 1, level], [&[0x16, 8][..], b"Milan-B0"].concat());
    let levels: [(&[u64], Vec<u8>); 4] = [(&[3, 1], level(4)), (&[3, 2], level(1)), (&[3, 3], snp), (&[3, 8], vec![2, 2, 0, 213])];
    chip_certificate(&[&[(&[2][..], product), (&[4][..], hardware_id)][..], &levels].concat())
}

fn crl(number: &[u8], from: i32, until: i32) -> Vec<u8> {
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(from, 1, 1),
        next_update: date_time_ymd(until, 1, 1),
        crl_number: SerialNumber::from_slice(number),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&authority("Intel SGX Root CA")).unwrap().der().to_vec()
}

fn tcb_info(fmspc: &str, number: &str) -> Vec<u8> {
    let dates = r#""issueDate":"2026-05-20T10:00:00Z","nextUpdate":"2026-06-19T10:00:00Z""#;
    format!(r#"{{"tcbInfo":{{"id":"TDX","version":3,{dates},"fmspc":"{fmspc}","tcbEvaluationDataNumber":{number}}},"signature":"00"}}"#)
        .into_bytes()
}

fn service(kind: ServiceKind) -> Service {
    Service { kind, url: "https://host.example/base/".to_owned() }
}

/// As Intel encodes it: everything but letters and digits.
fn url_encoded(pem: &str) -> String {
    pem.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn read(kind: ServiceKind, endorsement: &Endorsement, body: Vec<u8>, chain: Option<String>) -> Result<(Content, Facts), AnswerError> {
    Answer { body, issuer_chain: chain }.read(&service(kind), endorsement)
}

fn every() -> Vec<Endorsement> {
    vec![
        Endorsement::AmdVcek(vcek(Product::Milan)),
        Endorsement::AmdVcek(vcek(Product::Turin)),
        Endorsement::AmdChain { product: Product::Genoa, vlek: false },
        Endorsement::AmdChain { product: Product::Milan, vlek: true },
        Endorsement::AmdCrl { product: Product::Turin },
        Endorsement::IntelTcbInfo { fmspc: FMSPC },
        Endorsement::IntelQeIdentity,
        Endorsement::IntelPckCrl { ca: PckCa::Platform },
        Endorsement::IntelPckCrl { ca: PckCa::Processor },
        Endorsement::IntelRootCrl,
        Endorsement::crl("http://crl.maker.example/ek/1.crl?x=1").unwrap(),
    ]
}

#[test]
fn names_are_read_as_they_are_written_and_no_others() {
    for endorsement in every() {
        assert_eq!(endorsement.to_string().parse(), Ok(endorsement.clone()), "{endorsement}");
        let file = endorsement.file_name();
        assert!(file.len() <= 184 && file.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)), "{file}");
    }
    assert_eq!(Endorsement::AmdVcek(vcek(Product::Turin)).to_string(), "amd-turin-vcek-8081828384858687-040102c8000016d5");
    let url = "https://crl.example/../x";
    for wrong in
        ["", "amd-milan", "amd-Milan-crl", "amd-rome-crl", "intel-tdx-tcb-00806F050000", "intel-tdx-tcb-00", "amd-milan-vcek-00-00", url]
    {
        assert!(wrong.parse::<Endorsement>().is_err(), "{wrong}");
    }
    for wrong in ["ftp://h/x", "http://h", "http:///x", "http://u@h/x", "http://h/a b", "http://h/#x", "http://h/a/./b", "http://h?q/x"] {
        assert_eq!(Endorsement::crl(wrong), None, "{wrong}");
    }
}

#[test]
fn services_have_what_they_have_where_they_have_it() {
    let address = |kind, endorsement: &str| service(kind).address(&endorsement.parse().unwrap());
    let at = |path: &str| Some(format!("https://host.example/base{path}"));
    let chip = hex::encode(&chip());
    assert_eq!(
        service(ServiceKind::AmdKds).address(&Endorsement::AmdVcek(vcek(Product::Milan))),
        at(&format!("/vcek/v1/Milan/{chip}?blSPL=04&teeSPL=01&snpSPL=22&ucodeSPL=213"))
    );
    assert_eq!(
        service(ServiceKind::AmdKds).address(&Endorsement::AmdVcek(vcek(Product::Turin))),
        at("/vcek/v1/Turin/8081828384858687?fmcSPL=04&blSPL=01&teeSPL=02&snpSPL=200&ucodeSPL=213")
    );
    assert_eq!(address(ServiceKind::AmdKds, "amd-genoa-vlek-chain"), at("/vlek/v1/Genoa/cert_chain"));
    assert_eq!(address(ServiceKind::AmdKds, "amd-genoa-crl"), at("/vcek/v1/Genoa/crl"));
    assert_eq!(address(ServiceKind::IntelPcs, "intel-tdx-tcb-00806f050000"), at("/tdx/certification/v4/tcb?fmspc=00806F050000"));
    assert_eq!(address(ServiceKind::IntelPcs, "intel-tdx-qe-identity"), at("/tdx/certification/v4/qe/identity"));
    assert_eq!(address(ServiceKind::IntelPcs, "intel-pck-crl-platform"), at("/sgx/certification/v4/pckcrl?ca=platform&encoding=der"));
    assert_eq!(address(ServiceKind::IntelPcs, "intel-root-crl"), None);
    assert_eq!(address(ServiceKind::IntelPccs, "intel-root-crl"), at("/sgx/certification/v4/rootcacrl"));
    assert_eq!(address(ServiceKind::IntelCertificates, "intel-root-crl"), at("/IntelSGXRootCA.der"));
    assert_eq!(address(ServiceKind::AzureThim, "amd-milan-chain"), at("/metadata/THIM/amd/certification"));
    assert_eq!(address(ServiceKind::AzureThim, "amd-milan-vlek-chain"), None);
    assert_eq!(address(ServiceKind::CrlSite, "https://host.example/base/a.crl").as_deref(), Some("https://host.example/base/a.crl"));
    assert_eq!(address(ServiceKind::CrlSite, "https://host.example/basement/a.crl"), None);
    assert_eq!(address(ServiceKind::CrlSite, "http://host.example/base/a.crl"), None);
}

#[test]
fn chip_certificate_must_be_of_the_chip_and_tcb_asked_for() {
    let endorsement = Endorsement::AmdVcek(vcek(Product::Milan));
    let genoa = Endorsement::AmdVcek(vcek(Product::Genoa));
    assert!(read(ServiceKind::AmdKds, &genoa, milan(chip().to_vec(), vec![2, 1, 22]), None).is_err(), "another generation's");
    let read = |der: Vec<u8>| read(ServiceKind::AmdKds, &endorsement, der, None);
    let in_octets = [&[4, 64][..], &chip()].concat();
    for hardware_id in [chip().to_vec(), in_octets] {
        let (content, facts) = read(milan(hardware_id, vec![2, 1, 22])).unwrap();
        assert_eq!((content.certificates.len(), facts.number), (1, None));
        facts.current(NOW).unwrap();
    }
    let mut other = chip();
    other[63] ^= 1;
    let refused = |der| matches!(read(der), Err(AnswerError::Content(ContentError::Other { what: "the key", .. })));
    assert!(refused(milan(other.to_vec(), vec![2, 1, 22])));
    assert!(refused(milan(chip().to_vec(), vec![2, 1, 21])));
    assert!(refused(milan(Vec::new(), vec![2, 1, 22])));
    assert!(refused(chip_certificate(&[(&[4], chip().to_vec())])));
    assert_eq!(read(b"not a certificate".to_vec()), Err(AnswerError::Body("certificate")));
    assert_eq!(read(vec![0x30, 0x80]), Err(AnswerError::Content(ContentError::NotACertificate)));
}

#[test]
fn azure_answers_in_json() {
    let certificate = milan(chip().to_vec(), vec![2, 1, 22]);
    let mut pem = String::new();
    pem::write(&mut pem, "CERTIFICATE", &certificate);
    let chain = [authority("SEV-Milan").pem(), authority("ARK-Milan").pem()].concat();
    let quoted = |text: &str| text.replace('\n', "\\n");
    let json = |vcek: &str, chain: &str| format!(r#"{{"vcekCert":"{}","tcbm":"D5","certificateChain":"{}"}}"#, quoted(vcek), quoted(chain));
    let asked = |endorsement: &Endorsement, json: String| read(ServiceKind::AzureThim, endorsement, json.into_bytes(), None);
    let (content, _) = asked(&Endorsement::AmdVcek(vcek(Product::Milan)), json(&pem, &chain)).unwrap();
    assert_eq!(content.certificates, [certificate]);
    let of = |product| Endorsement::AmdChain { product, vlek: false };
    assert_eq!(asked(&of(Product::Milan), json(&pem, &chain)).unwrap().0.certificates.len(), 2);
    let other = asked(&of(Product::Genoa), json(&pem, &chain));
    assert!(matches!(other, Err(AnswerError::Content(ContentError::Other { what: "certificates", .. }))), "{other:?}");
    assert_eq!(asked(&of(Product::Milan), json(&pem, "")), Err(AnswerError::Body("JSON of Azure's THIM")));
}

#[test]
fn tcb_info_comes_with_its_issuers_and_number() {
    let endorsement = Endorsement::IntelTcbInfo { fmspc: FMSPC };
    let chain = url_encoded(&[authority("TCB Signing").pem(), authority("Root").pem()].concat());
    let read = |json: Vec<u8>, chain: Option<String>| read(ServiceKind::IntelPcs, &endorsement, json, chain);
    let json = tcb_info("00806F050000", "17");
    let (content, facts) = read(json.clone(), Some(chain.clone())).unwrap();
    assert_eq!((content.certificates.len(), facts.number), (2, Some(Number::from(17))));
    assert_eq!(content.document, Some(Document::TcbInfo(json.clone())));
    assert_eq!((facts.issued, facts.until), (1_779_271_200, 1_781_863_200));
    assert_eq!(facts.current(facts.issued - SKEW), Ok(()));
    assert_eq!(facts.current(facts.issued - SKEW - 1), Err(Untimely::Future("2026-05-20T10:00:00Z".to_owned())));
    assert_eq!(facts.current(facts.until + 1), Err(Untimely::Expired("2026-06-19T10:00:00Z".to_owned())));

    assert_eq!(read(json.clone(), None), Err(AnswerError::NoIssuerChain("tcb-info-issuer-chain")));
    for broken in ["", "%2", "%zz", "abc", &chain[..chain.len() - 40], &"%0A".repeat(30_000)] {
        assert_eq!(read(json.clone(), Some(broken.to_owned())), Err(AnswerError::IssuerChain), "{broken}");
    }
    let refused = |json: Vec<u8>| read(json, Some(chain.clone())).unwrap_err().to_string();
    assert!(refused(tcb_info("90C06F000000", "17")).contains("wanted of TDX 00806f050000"));
    assert!(refused(tcb_info("00806F050000", "-1")).contains("not TCB info"));
    assert!(refused(tcb_info("00806F050000", "1,\"tcbEvaluationDataNumber\":2")).contains("twice"));
    assert!(refused(b"{}".to_vec()).contains("TDX"));
    assert!(refused(json[..json.len() - 9].to_vec()).contains("not TCB info"));
}

#[test]
fn lists_come_in_three_forms_and_need_a_number() {
    let der = crl(&[0x01, 0x02], 2026, 2027);
    let mut pem = String::new();
    pem::write(&mut pem, "X509 CRL", &der);
    for body in [der.clone(), pem.into_bytes(), hex::encode(&der).into_bytes()] {
        let (content, facts) = read(ServiceKind::IntelPccs, &Endorsement::IntelRootCrl, body, None).unwrap();
        assert_eq!(content.document, Some(Document::Crl(der.clone())));
        assert_eq!(facts.number.unwrap().to_string(), "102");
        facts.current(NOW).unwrap();
    }
    for broken in [&b"404"[..], &der[..der.len() - 1], &[der.as_slice(), &[0]].concat(), b"-----BEGIN X509 CRL-----\n"] {
        assert!(read(ServiceKind::IntelPccs, &Endorsement::IntelRootCrl, broken.to_vec(), None).is_err());
    }
    let long = crl(&[0x7f; 21], 2026, 2027);
    assert!(read(ServiceKind::IntelPccs, &Endorsement::IntelRootCrl, long, None).is_err());
}

#[test]
fn numbers_are_compared_as_numbers() {
    let of = |bytes: &[u8]| Number::from_be_bytes(bytes).unwrap();
    assert!(of(&[1, 0]) > of(&[0xff]) && of(&[0, 0, 5]) == of(&[5]) && of(&[]) == Number::from(0));
    assert!(of(&[0xff; 20]) > of(&[0xff; 19]) && Number::from_be_bytes(&[1; 21]).is_none());
    for digits in ["0", "11", "1ff", &"f".repeat(40)] {
        assert_eq!(Number::from_hex(digits).unwrap().to_string(), digits);
    }
    assert!(["", "00", "01", "F", "g", "-1"].into_iter().all(|digits| Number::from_hex(digits).is_none()));
}

#[test]
fn files_are_read_only_as_they_are_written() {
    let certificate = authority("issuer").der().to_vec();
    let content = Content { certificates: vec![certificate], document: Some(Document::TcbInfo(tcb_info("00806f050000", "17"))) };
    let endorsement = Endorsement::IntelTcbInfo { fmspc: FMSPC };
    let endorsed = Endorsed { endorsement, content, source: "https://host.example/tcb".to_owned(), fetched: NOW };
    let file = endorsed.encode();
    let (again, facts) = Endorsed::parse(file.as_bytes()).unwrap();
    assert_eq!((&again, facts.number), (&endorsed, Some(Number::from(17))));
    let later = Endorsed { fetched: NOW + 1, ..endorsed.clone() };
    assert_eq!(later.digest(), endorsed.digest());

    let changed = |from: &str, to: &str| Endorsed::parse(file.replacen(from, to, 1).as_bytes()).map(|_| ());
    assert_eq!(changed("endorsement 1", "endorsement 2"), Err(FileError::Form));
    assert_eq!(changed("2026-06-01T", "2026-06-01 "), Err(FileError::Form));
    assert_eq!(changed("source: ", "source: x\nsource: "), Err(FileError::Form));
    assert_eq!(changed("\n\n", "\n\n\n"), Err(FileError::Form));
    assert_eq!(changed("END CERTIFICATE", "END X509 CRL"), Err(FileError::Form));
    assert!(matches!(changed("00806f050000", "00806f050001"), Err(FileError::Content(ContentError::Other { .. }))));
    assert!(matches!(changed("tcb-00806f050000", "qe-identity"), Err(FileError::Content(ContentError::Parts { .. }))));
    for cut in 0..file.len() {
        assert!(Endorsed::parse(&file.as_bytes()[..cut]).is_err(), "{cut}");
    }
    let sly = Endorsed { source: "x\nfetched: 2099-01-01T00:00:00Z\u{202e}".to_owned(), ..endorsed };
    assert_eq!(Endorsed::parse(sly.encode().as_bytes()).unwrap().0.fetched, NOW);
}
