//! `endorsements`: from a maker's service on the loopback, by way of an archive, into another folder.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    thread,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};

use crate::program::{Ran, podseal};

/// A list with that number.
fn crl(number: u8) -> Vec<u8> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(2090, 1, 1),
        crl_number: SerialNumber::from_slice(&[number]),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&authority).unwrap().der().to_vec()
}

/// Serves lists at `/NUMBER/root.der`, from now on; its address.
fn maker() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut head) = (stream.unwrap(), [0; 4096]);
            let length = stream.read(&mut head).unwrap();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let number = head.split('/').nth(1).and_then(|number| number.parse().ok());
            let answer = match number {
                Some(number) => {
                    let list = crl(number);
                    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", list.len()).as_bytes(), &list].concat()
                }
                None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            };
            stream.write_all(&answer).unwrap();
        }
    });
    address
}

fn endorsements(words: &[&str], folder: &Path) -> Ran {
    podseal(&[&["endorsements"], words, &["--directory", folder.to_str().unwrap(), "--output", "json"]].concat())
}

fn fetch(maker: &str, number: &str, folder: &Path) -> Ran {
    let service = format!("intel-certificates={maker}/{number}");
    endorsements(&["fetch", "intel-root-crl", "--service", &service, "--plain-http"], folder)
}

#[test]
fn fetched_here_and_imported_there() {
    let (maker, place) = (maker(), tempfile::tempdir().unwrap());
    let [here, there, archive] = ["here", "there", "endorsements.tar"].map(|name| place.path().join(name));
    let archive = archive.to_str().unwrap();
    let fetched = fetch(&maker, "7", &here).exits(0).json();
    assert_eq!(fetched["endorsements"][0]["name"], "intel-root-crl");
    assert_eq!(fetched["endorsements"][0]["number"], "7");
    assert_eq!(fetched["endorsements"][0]["source"], format!("{maker}/7/IntelSGXRootCA.der"));

    let exported = endorsements(&["export", archive], &here).exits(0).json();
    let digest = |value: &serde_json::Value| value["endorsements"][0]["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest(&exported), digest(&fetched));
    assert_eq!(endorsements(&["import", archive], &there).exits(0).json()[0]["result"], "written");
    assert_eq!(endorsements(&["import", archive], &there).exits(0).json()[0]["result"], "kept");
    assert_eq!(digest(&endorsements(&["list"], &there).exits(0).json()), digest(&fetched));

    // What is older than what was seen is told, and changes nothing.
    fetch(&maker, "9", &there).exits(0);
    let lower = endorsements(&["import", archive], &there).exits(1).json();
    assert_eq!((&lower[0]["result"], &lower[0]["number"], &lower[0]["mark"]), (&"lower".into(), &"7".into(), &"9".into()));
    assert_eq!(endorsements(&["list"], &there).exits(0).json()["endorsements"][0]["number"], "9");
}

#[test]
fn what_is_missing_is_named() {
    let (maker, place) = (maker(), tempfile::tempdir().unwrap());
    let folder = place.path().join("folder");
    let archive = place.path().join("a.tar");
    let missing = fetch(&maker, "x", &folder).exits(1).json();
    assert!(missing["missing"][0]["why"].as_str().unwrap().contains("answered 404"), "{missing}");
    let missing = endorsements(&["export", archive.to_str().unwrap(), "amd-milan-crl"], &folder).exits(1).json();
    assert_eq!(missing["missing"][0]["name"], "amd-milan-crl");
}

#[test]
fn what_cannot_be_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("folder");
    let archive = place.path().join("a.tar");
    let archive = archive.to_str().unwrap();
    endorsements(&["fetch", "amd-rome-crl"], &folder).exits(2).says(&["amd-rome-crl", "amd-PRODUCT-crl"]);
    endorsements(&["fetch", "amd-milan-crl", "--service", "amd=https://x"], &folder).exits(2).says(&["KIND=URL"]);
    endorsements(&["fetch", "amd-milan-crl", "--service", "amd-kds=http://127.0.0.1:1"], &folder).exits(2).says(&["wanted https://"]);
    let roots = ["fetch", "amd-milan-crl", "--tls-roots", "/nowhere/at-all"];
    endorsements(&roots, &folder).exits(2).says(&["/nowhere/at-all", "ca-certificates"]);
    fs::remove_dir_all(&folder).unwrap();
    endorsements(&["list"], &folder).exits(2).says(&["folder"]);
    endorsements(&["import", archive], &folder).exits(2).says(&["a.tar"]);
    fs::write(archive, "no archive").unwrap();
    endorsements(&["import", archive], &folder).exits(2).says(&["a.tar", "podseal endorsements export"]);
}
