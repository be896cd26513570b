//! From memory, folder and service, in this order, with ages, marks, and one request for many askers.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use podseal_appraisal::endorsement::{Endorsement, Number, ServiceKind};

use super::{
    maker::{NOW, authority, crl, gatherer, list, place, settings, tcb_info},
    server::{Does, Server, http, ok},
};
use crate::{DAY, Folder, Gatherer, Put};

fn only(endorsement: &Endorsement) -> BTreeSet<Endorsement> {
    BTreeSet::from([endorsement.clone()])
}

/// The number of what was gathered, or why nothing was.
async fn ask(gatherer: &Gatherer, endorsement: &Endorsement, now: u64) -> Result<Number, String> {
    let gathered = gatherer.gather(only(endorsement), now).await;
    let gap = gathered.gaps().next().map(|(_, why)| why.to_owned());
    match gathered.get(endorsement) {
        Some(found) => Ok(found.facts.number.unwrap()),
        None => Err(gap.unwrap()),
    }
}

/// A server whose one list has the number that the test sets; 0: it fails.
async fn numbered(first: u8) -> (Server, Arc<AtomicU8>, Endorsement) {
    let number = Arc::new(AtomicU8::new(first));
    let current = Arc::clone(&number);
    let server = Server::start(move |_, _| match current.load(Ordering::SeqCst) {
        0 => Does::Send(http("404 Not Found", &[], b"none")),
        number => ok(&crl(number, 2026)),
    });
    let server = server.await;
    let endorsement = Endorsement::crl(&server.url("/a.crl")).unwrap();
    (server, number, endorsement)
}

#[tokio::test]
async fn many_askers_make_one_request() {
    let answer = crl(7, 2026);
    let server = Server::start(move |_, _| Does::After(Duration::from_millis(100), http("200 OK", &[], &answer))).await;
    let folder = tempfile::tempdir().unwrap();
    let gatherer = gatherer(folder.path(), vec![place(ServiceKind::CrlSite, &server.url(""))]);
    let endorsement = Endorsement::crl(&server.url("/a.crl")).unwrap();
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (gatherer, endorsement) = (gatherer.clone(), endorsement.clone());
        askers.spawn(async move { ask(&gatherer, &endorsement, NOW).await });
    }
    for got in askers.join_all().await {
        assert_eq!(got, Ok(7.into()));
    }
    assert_eq!(server.asked("/a.crl"), 1);
}

#[tokio::test]
async fn askers_of_what_fails_make_one_request_until_it_is_tried_again() {
    let (server, number, endorsement) = numbered(0).await;
    let folder = tempfile::tempdir().unwrap();
    let gatherer = gatherer(folder.path(), vec![place(ServiceKind::CrlSite, &server.url(""))]);
    let needs = only(&endorsement);
    let all = [(); 16].map(|()| gatherer.gather(needs.clone(), NOW));
    for asked in all {
        assert!(asked.await.gaps().next().unwrap().1.contains("answered 404"));
    }
    number.store(3, Ordering::SeqCst);
    assert!(ask(&gatherer, &endorsement, NOW + 59).await.is_err());
    assert_eq!(server.asked("/a.crl"), 1);
    assert_eq!(ask(&gatherer, &endorsement, NOW + 60).await, Ok(3.into()));
}

#[tokio::test]
async fn what_is_there_is_used_until_its_age_and_renewed_before() {
    let (server, number, endorsement) = numbered(5).await;
    let folder = tempfile::tempdir().unwrap();
    let places = vec![place(ServiceKind::CrlSite, &server.url(""))];
    let gatherer_one = gatherer(folder.path(), places.clone());
    assert_eq!(ask(&gatherer_one, &endorsement, NOW).await, Ok(5.into()));
    assert_eq!(ask(&gatherer_one, &endorsement, NOW + DAY - 1).await, Ok(5.into()));
    // Another process, the same folder.
    let gatherer = gatherer(folder.path(), places);
    assert_eq!(ask(&gatherer, &endorsement, NOW + DAY - 1).await, Ok(5.into()));
    assert_eq!(server.asked("/a.crl"), 1);
    number.store(0, Ordering::SeqCst);
    assert_eq!(ask(&gatherer, &endorsement, NOW + DAY).await, Ok(5.into()));
    assert_eq!(server.asked("/a.crl"), 2);
    assert_eq!(ask(&gatherer, &endorsement, NOW + 2 * DAY).await, Ok(5.into()));
    let late = ask(&gatherer, &endorsement, NOW + 2 * DAY + 1).await.unwrap_err();
    assert!(late.contains("172801 s old, wanted at most 172800 s") && late.contains("answered 404"), "{late}");
    number.store(6, Ordering::SeqCst);
    assert_eq!(ask(&gatherer, &endorsement, NOW + 3 * DAY).await, Ok(6.into()));
}

#[tokio::test]
async fn lower_number_than_before_is_refused() {
    let (server, number, endorsement) = numbered(5).await;
    let folder = tempfile::tempdir().unwrap();
    let places = vec![place(ServiceKind::CrlSite, &server.url(""))];
    assert_eq!(ask(&gatherer(folder.path(), places.clone()), &endorsement, NOW).await, Ok(5.into()));
    number.store(4, Ordering::SeqCst);
    // Where it is looked for, and the newer one is still good.
    let other = gatherer(folder.path(), places);
    assert_eq!(ask(&other, &endorsement, NOW + DAY + 1).await, Ok(5.into()));
    assert_eq!(server.asked("/a.crl"), 2);
    // The mark outlives the file.
    fs::remove_file(folder.path().join(endorsement.file_name())).unwrap();
    let gap = ask(&other, &endorsement, NOW + DAY + 100).await.unwrap_err();
    assert!(gap.contains("found number 4, wanted at least 5"), "{gap}");
    number.store(5, Ordering::SeqCst);
    assert_eq!(ask(&other, &endorsement, NOW + DAY + 200).await, Ok(5.into()));
}

#[tokio::test]
async fn what_is_not_authentic_is_not_kept_and_raises_no_mark() {
    let (server, number, endorsement) = numbered(200).await;
    let folder = tempfile::tempdir().unwrap();
    let genuine = |found: &crate::Found, _| if found.facts.number < Some(Number::from(100)) { Ok(()) } else { Err("forged".to_owned()) };
    let places = vec![place(ServiceKind::CrlSite, &server.url(""))];
    let gatherer = Gatherer::new(settings(folder.path(), places), Arc::new(genuine)).unwrap();
    assert!(ask(&gatherer, &endorsement, NOW).await.unwrap_err().contains("forged"));
    number.store(5, Ordering::SeqCst);
    assert_eq!(ask(&gatherer, &endorsement, NOW + 60).await, Ok(5.into()));
}

#[tokio::test]
async fn offline_is_the_folder_and_the_same_code() {
    let folder = tempfile::tempdir().unwrap();
    let gatherer = gatherer(folder.path(), Vec::new());
    let (endorsed, facts) = list("https://maker.example/a.crl", 9, NOW);
    let endorsement = endorsed.endorsement.clone();
    let gap = ask(&gatherer, &endorsement, NOW).await.unwrap_err();
    assert_eq!(gap, "it is not in the folder of endorsements; no service is configured that has it");
    // Somebody imports, while it runs; then something newer.
    let beside = Folder::open(folder.path(), 1 << 20).unwrap();
    assert_eq!(beside.put(&endorsed, &facts).unwrap(), Put::Written);
    assert_eq!(ask(&gatherer, &endorsement, NOW + 2 * DAY).await, Ok(9.into()));
    let (newer, facts) = list("https://maker.example/a.crl", 10, NOW + 1);
    assert_eq!(beside.put(&newer, &facts).unwrap(), Put::Written);
    assert_eq!(ask(&gatherer, &endorsement, NOW + 1).await, Ok(10.into()));
    let too_old = ask(&gatherer, &endorsement, NOW + 2 * DAY + 2).await.unwrap_err();
    assert!(too_old.contains("wanted at most"), "{too_old}");
    assert!(ask(&gatherer, &endorsement, NOW - DAY).await.unwrap_err().contains("fetched in the future"));
}

#[tokio::test]
async fn all_that_is_needed_is_gathered_at_once_and_gaps_are_named() {
    let chain: String = authority("signer").pem().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let server = Server::start(move |path, _| match path {
        "/tdx/certification/v4/tcb?fmspc=00806F050000" => Does::Send(http("200 OK", &[("TCB-Info-Issuer-Chain", &chain)], &tcb_info(17))),
        "/sgx/certification/v4/rootcacrl" => Does::After(Duration::from_millis(100), http("200 OK", &[], &crl(1, 2026))),
        _ => Does::After(Duration::from_secs(60), Vec::new()),
    });
    let server = server.await;
    let folder = tempfile::tempdir().unwrap();
    let gatherer = gatherer(folder.path(), vec![place(ServiceKind::IntelPccs, &server.url(""))]);
    let names = ["intel-tdx-tcb-00806f050000", "intel-root-crl", "intel-tdx-qe-identity", "amd-milan-crl"];
    let started = Instant::now();
    let gathered = gatherer.gather(names.iter().map(|name| name.parse().unwrap()).collect(), NOW).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let found: Vec<String> = gathered.iter().map(|found| found.endorsed.endorsement.to_string()).collect();
    assert_eq!(found, ["intel-tdx-tcb-00806f050000", "intel-root-crl"]);
    let gaps: Vec<(String, &str)> = gathered.gaps().map(|(endorsement, why)| (endorsement.to_string(), why)).collect();
    assert!(gaps[0].0 == "amd-milan-crl" && gaps[0].1.contains("no service is configured"), "{gaps:?}");
    assert!(gaps[1].0 == "intel-tdx-qe-identity" && gaps[1].1.contains("no answer in time"), "{gaps:?}");
    let tcb_info = gathered.iter().next().unwrap();
    assert_eq!(
        (tcb_info.endorsed.fetched, tcb_info.endorsed.source.as_str()),
        (NOW, &*server.url("/tdx/certification/v4/tcb?fmspc=00806F050000"))
    );
}

#[tokio::test]
async fn full_folder_is_no_gap() {
    let (server, _, endorsement) = numbered(5).await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), vec![place(ServiceKind::CrlSite, &server.url(""))]);
    settings.most_bytes = 100;
    let gatherer = Gatherer::new(settings, Arc::new(super::maker::admit_all)).unwrap();
    for later in [0, 1, 2] {
        assert_eq!(ask(&gatherer, &endorsement, NOW + later).await, Ok(5.into()));
    }
    assert_eq!(server.asked("/a.crl"), 1);
    assert!(!folder.path().join(endorsement.file_name()).exists());
}
