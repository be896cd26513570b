//! What tests share, each part made when the first one asks.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use podseal_swtpm_tests::binaries::static_program;
use podseal_swtpm_tests::containerd::Containerd;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::image::{Image, Stored};
use podseal_swtpm_tests::raw_tpm::Bank;
use podseal_swtpm_tests::sandbox::Scratch;
use podseal_swtpm_tests::site::{Node, NodeOptions, Site};
use podseal_swtpm_tests::swtpm::Swtpm;
use podseal_swtpm_tests::tpm_ca::TpmCa;

/// The run's shared parts. Fields drop in order: processes before their folder.
pub(crate) struct Fixtures {
    strangers: OnceLock<Result<Node, String>>,
    stranger: OnceLock<Result<Stored, String>>,
    site: OnceLock<Result<Site, String>>,
    makers: OnceLock<Result<Site, String>>,
    node: OnceLock<Result<Containerd, String>>,
    payment_api: OnceLock<Result<Stored, String>>,
    ca: OnceLock<Result<TpmCa, String>>,
    tpms: AtomicU32,
    scratch: Scratch,
}

impl Fixtures {
    pub(crate) fn new() -> Result<Self, BenchError> {
        Ok(Self {
            strangers: OnceLock::new(),
            stranger: OnceLock::new(),
            site: OnceLock::new(),
            makers: OnceLock::new(),
            node: OnceLock::new(),
            payment_api: OnceLock::new(),
            ca: OnceLock::new(),
            tpms: AtomicU32::new(0),
            scratch: Scratch::new()?,
        })
    }

    /// A folder of this run, not made yet.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The site that tests share: each brings its own namespace, and changes nothing else.
    pub(crate) fn site(&self) -> Result<&Site, String> {
        once(&self.site, || Site::start(&self.folder("s")))
    }

    /// The site with makers of other hardware than TPMs; tests bring their own nodes, and change nothing else.
    pub(crate) fn makers(&self) -> Result<&Site, String> {
        once(&self.makers, || Site::start_with_makers(&self.folder("m")))
    }

    /// The shared site and its honest node.
    pub(crate) fn honest(&self) -> Result<(&Site, &Node), Box<dyn std::error::Error>> {
        let site = self.site()?;
        Ok((site, site.node()?))
    }

    /// The shared site, and a node of it on which `stranger` lies in the launcher's place.
    pub(crate) fn strangers(&self) -> Result<(&Site, &Node), Box<dyn std::error::Error>> {
        let site = self.site()?;
        let start = || site.start_node(NodeOptions { launcher: Some(static_program("stranger")), ..NodeOptions::new(site, "strangers") });
        Ok((site, once(&self.strangers, start)?))
    }

    /// On the honest node: the payment API with `/stranger` and `/launch`, a copy of the launcher.
    pub(crate) fn stranger(&self) -> Result<&Stored, Box<dyn std::error::Error>> {
        let (_, node) = self.honest()?;
        Ok(once(&self.stranger, || node.runtime().import(&stranger()))?)
    }

    /// A site of a test's own, whose verifier it may kill and whose policy it may replace.
    pub(crate) fn own_site(&self, name: &str) -> Result<Site, BenchError> {
        Site::start(&self.folder(name))
    }

    /// The container runtime that the bench's tests share.
    pub(crate) fn node(&self) -> Result<&Containerd, String> {
        once(&self.node, || Containerd::start(&self.folder("node-a"), "node-a", 1, &static_program("pause")))
    }

    /// `podseal.test/payment-api:1` in that runtime.
    pub(crate) fn payment_api(&self) -> Result<&Stored, String> {
        let node = self.node()?;
        let image = Image::new("podseal.test/payment-api", "1")
            .program("/payment-api", &static_program("payment-api"))
            .entrypoint(&["/payment-api"]);
        once(&self.payment_api, || node.import(&image.env(&["PATH=/"]).working_dir("/")))
    }

    /// A running TPM that nobody else has.
    pub(crate) fn tpm(&self, banks: &[Bank]) -> Result<Swtpm, Box<dyn std::error::Error>> {
        let ca = once(&self.ca, || TpmCa::new(self.folder("tpm-ca")))?;
        let name = format!("tpm-{}", self.tpms.fetch_add(1, Ordering::Relaxed));
        let state = self.folder(&name);
        ca.manufacture(&name, &state, banks)?;
        Ok(Swtpm::start(&state)?)
    }
}

/// An image with the payment API, `/stranger`, and `/launch`, a copy of the launcher.
pub(crate) fn stranger() -> Image {
    let image = Image::new("podseal.test/stranger", "1").program("/stranger", &static_program("stranger"));
    let image = image.program("/launch", &static_program("podseal-launch")).program("/payment-api", &static_program("payment-api"));
    image.entrypoint(&["/stranger"]).env(&["PATH=/"]).working_dir("/").folder("/podseal", 0o755)
}

fn once<T>(cell: &OnceLock<Result<T, String>>, make: impl FnOnce() -> Result<T, BenchError>) -> Result<&T, String> {
    cell.get_or_init(|| make().map_err(|error| error.to_string())).as_ref().map_err(Clone::clone)
}
