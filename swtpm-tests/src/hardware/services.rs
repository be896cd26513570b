//! What makers publish, on one address: AMD's key distribution service, Intel's provisioning certification service with its cache, and Azure's metadata
//! service. Plain HTTP on the loopback address; each answer is made when it is asked for.

mod http;

use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::amd::Chip;
use super::certificate::pem;
use super::intel::{Collateral, FMSPC, Intel};
use crate::error::BenchError;
use crate::ports;
use http::{Answer, Question};

/// Kinds of services that are here, by their names in a verifier's configuration.
pub const KINDS: [&str; 3] = ["amd-kds", "intel-pcs", "intel-certificates"];

/// A running server; it ends with the value.
#[derive(Debug)]
pub struct Services {
    port: u16,
    published: Arc<Mutex<Published>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Published {
    chips: Vec<Chip>,
    intel: Option<(Intel, Collateral)>,
    amd_list: (u64, bool),
    fails: bool,
    asked: Vec<String>,
}

impl Services {
    /// Starts a server that knows nothing yet.
    pub fn start() -> Result<Self, BenchError> {
        let (listener, _) = ports::neighbours()?;
        let port = ports::port_of(&listener)?;
        let published = Published { chips: Vec::new(), intel: None, amd_list: (1, false), fails: false, asked: Vec::new() };
        let (published, stop) = (Arc::new(Mutex::new(published)), Arc::new(AtomicBool::new(false)));
        let (for_thread, stopped) = (Arc::clone(&published), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let _client_went_away = http::serve(client, |question| lock(&for_thread).answer(question));
            }
        });
        Ok(Self { port, published, stop, thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The tables `[[endorsements.service]]` by which a verifier finds everything here.
    pub fn config(&self) -> String {
        let table = |kind| format!("[[endorsements.service]]\nkind = \"{kind}\"\nurl = \"{}\"\nplain_http = true\n\n", self.url());
        KINDS.map(table).concat()
    }

    /// The arguments by which `podseal endorsements fetch` finds everything here.
    pub fn arguments(&self) -> Vec<String> {
        let services = KINDS.into_iter().flat_map(|kind| ["--service".to_owned(), format!("{kind}={}", self.url())]);
        std::iter::once("--plain-http".to_owned()).chain(services).collect()
    }

    /// Publishes a chip's certificate, and those above it. For Azure's metadata service the last one is the machine itself.
    pub fn publish_chip(&self, chip: &Chip) {
        lock(&self.published).chips.push(chip.clone());
    }

    /// The revocation list of AMD's roots has this number; `revoked` puts the authority over chips on it.
    pub fn publish_amd_list(&self, number: u64, revoked: bool) {
        lock(&self.published).amd_list = (number, revoked);
    }

    /// Publishes what Intel thinks, in the place of what it thought.
    pub fn publish_intel(&self, intel: &Intel, collateral: Collateral) {
        lock(&self.published).intel = Some((intel.clone(), collateral));
    }

    /// From now on answers everything with 503, or answers again.
    pub fn fail(&self, fails: bool) {
        lock(&self.published).fails = fails;
    }

    /// Paths and parameters that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.published).asked.clone()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _wakes_accept = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Published {
    fn answer(&mut self, question: &Question) -> Answer {
        self.asked.push(question.target.clone());
        if self.fails {
            return Answer::status("503 Service Unavailable");
        }
        let parts = question.path().trim_matches('/').split('/').collect::<Vec<_>>();
        let found = match parts.as_slice() {
            ["vcek", "v1", product, what] => self.amd(product, what, question),
            ["metadata", "THIM", "amd", "certification"] if question.metadata => self.chips.last().map(thim).map(Ok),
            _ => self.intel.as_ref().and_then(|(intel, collateral)| of_intel(intel, collateral, &parts, question)),
        };
        match found {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => Answer::status(&format!("500 {error}")),
            None => Answer::status("404 Not Found"),
        }
    }

    /// AMD 57230, 4.1 to 4.3.
    fn amd(&self, product: &str, what: &str, question: &Question) -> Option<Result<Answer, BenchError>> {
        let of_product = |chip: &&Chip| chip.amd().product().as_str() == product;
        let any = self.chips.iter().find(of_product)?;
        match what {
            "cert_chain" => Some(Ok(Answer::new(any.amd().chain_pem()))),
            "crl" => Some(any.amd().revocation_list(self.amd_list.0, self.amd_list.1).map(Answer::new)),
            id => {
                let chip = self.chips.iter().filter(of_product).find(|chip| digits(&chip.id) == id)?;
                let has = chip.firmware;
                let levels = [("blSPL", has.boot_loader), ("teeSPL", has.tee), ("snpSPL", has.snp), ("ucodeSPL", has.microcode)];
                let asked_for = |(name, level): &(&str, u8)| question.parameter(name).and_then(|text| text.parse().ok()) == Some(*level);
                levels.iter().all(asked_for).then(|| Ok(Answer::new(chip.vcek())))
            }
        }
    }
}

/// Intel PCS API 4; the root's list also as a cache (PCCS) has it.
fn of_intel(intel: &Intel, collateral: &Collateral, parts: &[&str], question: &Question) -> Option<Result<Answer, BenchError>> {
    let signing = |header, body: Result<String, BenchError>| {
        body.map(|body| Answer::new(body).with(header, &http::percent_encoded(&intel.signing_chain_pem())))
    };
    match parts {
        ["tdx", "certification", "v4", "tcb"]
            if question.parameter("fmspc").is_some_and(|text| text.eq_ignore_ascii_case(&digits(&FMSPC))) =>
        {
            Some(signing("TCB-Info-Issuer-Chain", intel.tcb_info(collateral)))
        }
        ["tdx", "certification", "v4", "qe", "identity"] => {
            Some(signing("SGX-Enclave-Identity-Issuer-Chain", intel.qe_identity(collateral)))
        }
        ["sgx", "certification", "v4", "pckcrl"] if question.parameter("ca") == Some("platform") => {
            let chain = http::percent_encoded(&intel.platforms_chain_pem());
            Some(intel.lists(collateral).map(|(platforms, _)| Answer::new(platforms).with("SGX-PCK-CRL-Issuer-Chain", &chain)))
        }
        ["sgx", "certification", "v4", "rootcacrl"] => Some(intel.lists(collateral).map(|(_, root)| Answer::new(digits(&root)))),
        ["IntelSGXRootCA.der"] => Some(intel.lists(collateral).map(|(_, root)| Answer::new(root))),
        _ => None,
    }
}

/// Azure's trusted hardware identity management, about the machine that asks.
fn thim(chip: &Chip) -> Answer {
    let answer = serde_json::json!({
        "vcekCert": pem("CERTIFICATE", chip.vcek()),
        "certificateChain": chip.amd().chain_pem(),
        "cacheControl": "86400",
    });
    Answer::new(answer.to_string())
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock(published: &Mutex<Published>) -> MutexGuard<'_, Published> {
    published.lock().unwrap_or_else(PoisonError::into_inner)
}
