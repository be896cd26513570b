//! `podseal endorsements`: what makers publish about hardware, fetched, listed, and carried to where there is no network.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use podseal_appraisal::endorsement::{Endorsement, Service, ServiceKind};
use podseal_endorsements::{
    Ages, Deadlines, Folder, Found, Gatherer, Place, SYSTEM_ROOTS, Settings,
    archive::{self, Imported},
};
use serde::Serialize;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    files,
    output::{self, table},
};

/// Where makers have what they publish.
const MAKERS: [(ServiceKind, &str); 3] = [
    (ServiceKind::AmdKds, "https://kdsintf.amd.com"),
    (ServiceKind::IntelPcs, "https://api.trustedservices.intel.com"),
    (ServiceKind::IntelCertificates, "https://certificates.trustedservices.intel.com"),
];
/// Time for everything that one command fetches.
const TOTAL: Duration = Duration::from_secs(120);

/// What makers publish about hardware: fetch, list, export, import
#[derive(Debug, Subcommand)]
pub(crate) enum EndorsementsCommand {
    /// Ask the makers' services, and keep the answers in a folder
    Fetch(Fetch),
    /// List what a folder has
    List {
        #[command(flatten)]
        folder: FolderFlags,
    },
    /// Write what a folder has into an archive, for a site without network
    Export {
        /// The archive to write (tar)
        #[arg(value_name = "ARCHIVE")]
        archive: PathBuf,
        /// Only these; without any, all
        #[arg(value_name = "NAME")]
        names: Vec<Endorsement>,
        #[command(flatten)]
        folder: FolderFlags,
    },
    /// Put an archive into a folder; what was seen with a greater number before is kept
    Import {
        /// The archive to read (tar)
        #[arg(value_name = "ARCHIVE")]
        archive: PathBuf,
        #[command(flatten)]
        folder: FolderFlags,
    },
}

#[derive(Debug, Args)]
pub(crate) struct FolderFlags {
    /// The folder: the verifier's endorsements.directory, as the verifier's user
    #[arg(long, value_name = "FOLDER")]
    directory: PathBuf,
    /// Most that the folder may have, in MiB: the verifier's endorsements.size_mb
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    size_mb: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// What to fetch: amd-milan-chain, intel-tdx-tcb-00806f050000, …, or the address of a revocation list
    #[arg(value_name = "NAME", required = true)]
    names: Vec<Endorsement>,
    #[command(flatten)]
    folder: FolderFlags,
    /// Ask this instead of the makers themselves: amd-kds, intel-pcs, intel-pccs, intel-certificates, azure-thim or crl, and where it is
    #[arg(long = "service", value_name = "KIND=URL", value_parser = service)]
    services: Vec<Service>,
    /// Allow services without TLS; what makers publish is signed
    #[arg(long)]
    plain_http: bool,
    /// Roots of the services' TLS certificates (PEM)
    #[arg(long, value_name = "FILE", default_value = SYSTEM_ROOTS)]
    tls_roots: PathBuf,
}

fn service(text: &str) -> Result<Service, String> {
    let parsed = text.split_once('=').and_then(|(kind, url)| Some(Service { kind: ServiceKind::parse(kind)?, url: url.to_owned() }));
    parsed.ok_or_else(|| format!("found {text:?}, wanted a kind of service and where it is, as in intel-pccs=https://pccs.example:8081"))
}

#[derive(Debug, Serialize)]
struct EndorsementView {
    name: String,
    number: Option<String>,
    issued: Option<String>,
    until: Option<String>,
    fetched: Option<String>,
    source: String,
    digest: String,
}

impl From<&Found> for EndorsementView {
    fn from(found: &Found) -> Self {
        Self {
            name: found.endorsed.endorsement.to_string(),
            number: found.facts.number.map(|number| number.to_string()),
            issued: output::time(found.facts.issued),
            until: output::time(found.facts.until),
            fetched: output::time(found.endorsed.fetched),
            source: found.endorsed.source.clone(),
            digest: found.endorsed.digest().to_string(),
        }
    }
}

#[derive(Debug, Serialize)]
struct MissingView {
    name: String,
    why: String,
}

/// What there is, and what there is not.
#[derive(Debug, Serialize)]
struct EndorsementsView {
    endorsements: Vec<EndorsementView>,
    missing: Vec<MissingView>,
}

impl EndorsementsView {
    fn print(&self, context: &Context) -> Result<Outcome, Failure> {
        context.format.print(self, |view| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let row =
                |one: &EndorsementView| [one.name.clone(), text(&one.number), text(&one.until), text(&one.fetched), one.source.clone()];
            let there = table(["NAME", "NUMBER", "GOOD UNTIL", "FETCHED", "FROM"], view.endorsements.iter().map(row));
            let missing: String = view.missing.iter().map(|one| format!("\nmissing  {}: {}", one.name, one.why)).collect();
            there + &missing
        })?;
        Ok(Outcome::of(self.missing.is_empty()))
    }
}

#[derive(Debug, Serialize)]
struct ImportedView {
    name: String,
    /// `written`, `kept` or `lower`.
    result: &'static str,
    /// For `lower`: the number in the archive, and the one that was seen before.
    number: Option<String>,
    mark: Option<String>,
}

impl EndorsementsCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match self {
            Self::Fetch(fetch) => run_fetch(context, fetch).await,
            Self::List { folder } => {
                let endorsements = existing(&folder)?.list()?.iter().map(EndorsementView::from).collect();
                EndorsementsView { endorsements, missing: Vec::new() }.print(context)
            }
            Self::Export { archive, names, folder } => run_export(context, &archive, &names, &folder),
            Self::Import { archive, folder } => run_import(context, &archive, &folder),
        }
    }
}

/// A folder that is there: to read from one that is not would only make an empty one.
fn existing(flags: &FolderFlags) -> Result<Folder, Failure> {
    fs::read_dir(&flags.directory).map_err(|error| Failure::Read { path: flags.directory.clone(), error })?;
    Ok(Folder::open(&flags.directory, flags.size_mb << 20)?)
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

async fn run_fetch(context: &Context, fetch: Fetch) -> Result<Outcome, Failure> {
    let makers = || MAKERS.map(|(kind, url)| Service { kind, url: url.to_owned() }).to_vec();
    let services = if fetch.services.is_empty() { makers() } else { fetch.services };
    let places = services.into_iter().map(|service| {
        let found = service.url.clone();
        let wrong = |error: podseal_endorsements::AddressError| Failure::Option { option: "--service", found, wanted: error.to_string() };
        Place::new(service, fetch.plain_http).map_err(wrong)
    });
    let settings = Settings {
        directory: fetch.folder.directory,
        most_bytes: fetch.folder.size_mb << 20,
        places: places.collect::<Result<_, _>>()?,
        deadlines: Deadlines { total: TOTAL, ..Deadlines::default() },
        // Whoever runs this wants what is new.
        ages: Ages { certificates: 0, crl: 0, tcb_info: 0, qe_identity: 0 },
        tls_roots: fetch.tls_roots,
    };
    let gatherer = Gatherer::new(settings, Arc::new(|_, _| Ok(())))?;
    let gathered = gatherer.gather(BTreeSet::from_iter(fetch.names), now()).await;
    let missing = gathered.gaps().map(|(endorsement, why)| MissingView { name: endorsement.to_string(), why: why.to_owned() });
    EndorsementsView { endorsements: gathered.iter().map(EndorsementView::from).collect(), missing: missing.collect() }.print(context)
}

fn run_export(context: &Context, path: &Path, names: &[Endorsement], flags: &FolderFlags) -> Result<Outcome, Failure> {
    let folder = existing(flags)?;
    let mut bytes = Vec::new();
    let wanted = |endorsement: &Endorsement| names.is_empty() || names.contains(endorsement);
    let exported = archive::export(&folder, wanted, &mut bytes).map_err(|error| Failure::Archive { path: path.to_owned(), error })?;
    files::replace(path, &bytes)?;
    let is_missing = |name: &&Endorsement| !exported.iter().any(|found| found.endorsed.endorsement == **name);
    let why = || "it is not in the folder: fetch it first".to_owned();
    let missing = names.iter().filter(is_missing).map(|name| MissingView { name: name.to_string(), why: why() });
    EndorsementsView { endorsements: exported.iter().map(EndorsementView::from).collect(), missing: missing.collect() }.print(context)
}

fn run_import(context: &Context, path: &Path, flags: &FolderFlags) -> Result<Outcome, Failure> {
    let file = File::open(path).map_err(|error| Failure::Read { path: path.to_owned(), error })?;
    let folder = Folder::open(&flags.directory, flags.size_mb << 20)?;
    let imported = archive::import(&folder, BufReader::new(file), now(), |_, _| Ok(()));
    let imported = imported.map_err(|error| Failure::Archive { path: path.to_owned(), error })?;
    let view = |(endorsement, imported): &(Endorsement, Imported)| {
        let (result, numbers) = match imported {
            Imported::Written => ("written", None),
            Imported::Kept => ("kept", None),
            Imported::Lower { found, mark } => ("lower", Some((found.to_string(), mark.to_string()))),
        };
        let (number, mark) = numbers.unzip();
        ImportedView { name: endorsement.to_string(), result, number, mark }
    };
    let views: Vec<ImportedView> = imported.iter().map(view).collect();
    context.format.print(&views, |views| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let row = |view: &ImportedView| [view.name.clone(), view.result.to_owned(), text(&view.number), text(&view.mark)];
        table(["NAME", "RESULT", "NUMBER", "SEEN BEFORE"], views.iter().map(row))
    })?;
    Ok(Outcome::of(!views.iter().any(|view| view.result == "lower")))
}
