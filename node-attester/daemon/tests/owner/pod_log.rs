//! The pod log against a real software TPM: file and register agree, whatever was cut off in between.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use podseal_node_attester::{
    config::Evidence,
    hardening::Exception,
    owner::{Collected, Owner, OwnerConfig, PodLogFiles, TpmError},
    pod_log::{Disagreement, PodLogError, Table},
};
use podseal_protocol::{
    BankDigest, Digest, Limits, Profile,
    binding::PodLogHead,
    evidence::Part,
    pod_log::{Digests, Event, REGISTER, Record, Records, Register, Standing, Started, extended},
};

use super::swtpm::{Maker, Swtpm};

const BOOT: &str = "first-boot";
const EXCEPTIONS: [Exception; 2] = [Exception::Seccomp, Exception::PrivilegedNetwork];

/// A machine with an enrolled attestation key, and a folder for its log.
pub(crate) struct Machine {
    tpm: Swtpm,
    dir: tempfile::TempDir,
    _maker: Maker,
}

impl Machine {
    pub(crate) async fn new() -> Self {
        let maker = Maker::new();
        let tpm = Swtpm::start(maker.make("node-a"));
        let machine = Self { tpm, dir: tempfile::tempdir().unwrap(), _maker: maker };
        fs::write(machine.path("event-log"), b"firmware").unwrap();
        fs::write(machine.path("boot_id"), format!("{BOOT}\n")).unwrap();
        machine.owner().await.enrol().await.unwrap();
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("pod-log")
    }

    /// An attester started anew. The one before has let go of TPM and log a moment after it was dropped.
    async fn owner(&self) -> Owner {
        self.owner_without(&EXCEPTIONS).await
    }

    /// One that does without these.
    async fn owner_without(&self, exceptions: &[Exception]) -> Owner {
        let config = OwnerConfig {
            profile: Profile::Tpm,
            evidence: Evidence::default(),
            tcti: self.tpm.tcti(),
            ak: None,
            ak_state: self.path("ak"),
            event_log: self.path("event-log"),
            pcrs: vec![0, 7],
            limits: Limits::DEFAULT,
            deadline: Duration::from_secs(30),
            pod_log: Some(PodLogFiles {
                file: self.file(),
                boot_id: self.path("boot_id"),
                exceptions: exceptions.iter().copied().collect(),
            }),
        };
        Owner::start(config).unwrap()
    }

    async fn open(&self) -> (Owner, Result<Table, TpmError>) {
        let owner = self.owner().await;
        let opened = once_free(|| owner.open_pod_log()).await;
        (owner, opened)
    }

    pub(crate) async fn opened(&self) -> (Owner, Table) {
        let (owner, opened) = self.open().await;
        (owner, opened.unwrap())
    }

    /// Something else extends the register. swtpm serves one client at a time.
    async fn extend(&self, digest: &Digest) {
        for _ in 0..500 {
            let mut tool = Command::new("tpm2_pcrextend");
            tool.env("TSS2_LOG", "all+none").args(["-T", &self.tpm.tcti().to_string()]).arg(format!("{REGISTER}:sha256={digest}"));
            if tool.output().expect("tpm2-tools is installed: run scripts/setup").status.success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody else can extend the register");
    }

    fn events(&self) -> Vec<Event> {
        records(&fs::read(self.file()).unwrap()).into_iter().map(|(record, _)| record.event).collect()
    }
}

/// Asks until the attester before has let go of TPM and log.
async fn once_free<T, F: Future<Output = Result<T, TpmError>>>(job: impl Fn() -> F) -> Result<T, TpmError> {
    for _ in 0..500 {
        match job().await {
            Err(TpmError::PodLog(PodLogError::InUse { .. }) | TpmError::Unreachable { .. }) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            done => return done,
        }
    }
    panic!("the attester before still holds the log");
}

fn records(bytes: &[u8]) -> Vec<(Record, Digests)> {
    Records::new(bytes, 0, Register::TPM, &Limits::DEFAULT).collect::<Result<_, _>>().unwrap()
}

fn exceptions() -> Vec<String> {
    ["privileged-network", "seccomp"].map(str::to_owned).to_vec()
}

fn began(boot_id: &str, register: Digest) -> Event {
    Event::Began { boot_id: boot_id.to_owned(), register: register.into(), exceptions: exceptions() }
}

fn restarted() -> Event {
    Event::AttesterRestarted { exceptions: exceptions() }
}

/// Where a log stands, by its bytes.
fn head(bytes: &[u8]) -> PodLogHead {
    let records = records(bytes);
    let Event::Began { register, .. } = &records[0].0.event else { panic!("{records:?}") };
    records.iter().fold(Standing::begin(*register), |standing, (_, digests)| standing.and(digests)).head()
}

fn started(id: &str) -> Event {
    let none = String::new;
    Event::Started(Started {
        container_id: id.to_owned(),
        sandbox: false,
        pod_uid: none(),
        namespace: none(),
        pod: none(),
        container: none(),
        image: none(),
        privileged: true,
        heard: true,
    })
}

async fn collect(owner: &Owner, from: u64) -> Result<Collected, TpmError> {
    owner.collect(from, |head| Digest::of(head.head.as_ref())).await
}

/// The evidence is bound to the head that it states, and register, file and records agree.
async fn agrees(owner: &Owner, file: &Path) {
    let Collected { pod_log, parts } = collect(owner, 0).await.unwrap();
    let [Part::TpmQuote { attest, pcrs, .. }, Part::BootLog(_), Part::PodLog { from: 0, records }] = parts.as_slice() else {
        panic!("{parts:?}")
    };
    let written = fs::read(file).unwrap();
    assert_eq!(records, &written);
    assert_eq!(pod_log, head(&written));
    assert_eq!(pcrs.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 7, REGISTER]);
    assert_eq!(pcrs[2].1, pod_log.head, "the register is what the records come to");
    let bound = Digest::of(pod_log.head.as_ref());
    assert!(attest.windows(34).any(|w| w == [&[0, 32], bound.as_ref()].concat()), "the binding was computed with that head");
}

fn disagrees(result: Result<Table, TpmError>) -> (BankDigest, BankDigest) {
    match result {
        Err(TpmError::PodLog(PodLogError::Disagrees(disagreement))) => {
            let said = disagreement.to_string();
            let Disagreement { found, wanted, .. } = *disagreement;
            assert!(said.contains("PCR 13") && said.contains(&found.to_string()) && said.contains(&wanted.to_string()), "{said}");
            assert!(said.contains("reboot"), "{said}");
            (found, wanted)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_log_grows_with_its_register_and_only_what_is_new_is_sent() {
    let machine = Machine::new().await;
    let (owner, _) = machine.opened().await;
    agrees(&owner, &machine.file()).await;
    let heads = [owner.record(vec![started("a")]).await.unwrap().head, owner.record(vec![Event::Interrupted]).await.unwrap().head];
    assert_eq!(heads.map(|head| head.length), [2, 3]);
    agrees(&owner, &machine.file()).await;

    let whole = fs::read(machine.file()).unwrap();
    for from in 0..=3 {
        let parts = collect(&owner, from).await.unwrap().parts;
        let Some(Part::PodLog { from: said, records }) = parts.last() else { panic!("{parts:?}") };
        let read: Vec<_> = Records::new(records, from, Register::TPM, &Limits::DEFAULT).collect::<Result<_, _>>().unwrap();
        assert_eq!((*said, read.len() as u64), (from, 3 - from));
        assert!(whole.ends_with(records));
    }
    let parts = collect(&owner, 4).await.unwrap().parts;
    assert!(matches!(parts.last(), Some(Part::PodLog { from: 0, records }) if *records == whole), "of a number that there is not yet: all");
}

#[tokio::test]
async fn register_not_zero_at_start() {
    let machine = Machine::new().await;
    let before = Digest::of(b"what systemd measured");
    machine.extend(&before).await;
    let (owner, _) = machine.opened().await;
    let register = extended(&Digest([0; 32]), &before);
    assert_eq!(machine.events(), [began(BOOT, register)]);
    owner.record(vec![started("a")]).await.unwrap();
    agrees(&owner, &machine.file()).await;
    drop(owner);
    let (owner, _) = machine.opened().await;
    assert_eq!(machine.events(), [began(BOOT, register), started("a"), restarted()]);
    agrees(&owner, &machine.file()).await;
}

#[tokio::test]
async fn each_start_says_what_it_does_without() {
    let machine = Machine::new().await;
    let (owner, _) = machine.opened().await;
    drop(owner);
    for without in [&[][..], &[Exception::LandlockNet, Exception::Landlock]] {
        let owner = machine.owner_without(without).await;
        // Evidence alone opens the log: it does not come before the record.
        once_free(|| collect(&owner, 0)).await.unwrap();
        owner.open_pod_log().await.unwrap();
        agrees(&owner, &machine.file()).await;
    }
    let restarted = |names: &[&str]| Event::AttesterRestarted { exceptions: names.iter().map(|name| (*name).to_owned()).collect() };
    let wanted = [began(BOOT, Digest([0; 32])), restarted(&[]), restarted(&["landlock", "landlock-net"])];
    assert_eq!(machine.events(), wanted, "one record for each start");
}

#[tokio::test]
async fn extended_behind_our_back() {
    let machine = Machine::new().await;
    let (owner, _) = machine.opened().await;
    owner.record(vec![started("a")]).await.unwrap();
    let wanted = head(&fs::read(machine.file()).unwrap()).head;
    drop(owner);
    let stranger = Digest::of(b"a stranger");
    machine.extend(&stranger).await;

    let (owner, opened) = machine.open().await;
    assert_eq!(disagrees(opened), (extended(&wanted, &stranger).into(), wanted.into()));
    let (quoted, said) = shown(&collect(&owner, 0).await.unwrap());
    assert_eq!((quoted, said), (extended(&wanted, &stranger), wanted), "the verifier is to see it");
    assert!(owner.record(vec![Event::Interrupted]).await.is_err(), "no record");
    assert_eq!(machine.events().len(), 2, "the file stays as it was");
    drop(owner);

    // A record that was taken out of the file, or put into it, is the same.
    let whole = fs::read(machine.file()).unwrap();
    let one = records(&whole)[0].0.encode(Register::TPM).len();
    let two = |event| Record { number: 2, event }.encode(Register::TPM);
    for other in [whole[..one].to_vec(), [&whole[..], &two(Event::Interrupted)].concat()] {
        fs::write(machine.file(), other).unwrap();
        disagrees(machine.open().await.1);
    }
}

#[tokio::test]
async fn extended_behind_our_back_while_it_runs() {
    let machine = Machine::new().await;
    let (owner, _) = machine.opened().await;
    owner.record(vec![started("a")]).await.unwrap();
    // The device is closed by a job that fails, and opened by the next one: in between the stranger has it.
    owner.activate(vec![0; 4], vec![0; 4]).await.expect_err("no credential");
    machine.extend(&Digest::of(b"a stranger")).await;
    let (quoted, said) = shown(&collect(&owner, 0).await.unwrap());
    assert_ne!(quoted, said, "the verifier is to see it");
    let error = owner.record(vec![started("b")]).await.expect_err("register and log disagree");
    assert!(matches!(error, TpmError::PodLog(PodLogError::Disagrees { .. })), "{error}");
    assert_eq!(machine.events().len(), 2, "the file stays as it was");
}

/// What evidence has of the register: as quoted, and as the log comes to.
fn shown(collected: &Collected) -> (Digest, Digest) {
    let pcrs = collected.parts.iter().find_map(|part| if let Part::TpmQuote { pcrs, .. } = part { Some(pcrs) } else { None }).unwrap();
    let (_, quoted) = pcrs.iter().find(|(index, _)| *index == REGISTER).unwrap();
    (*quoted, collected.pod_log.head)
}

#[tokio::test]
async fn attester_killed_at_each_step_of_a_record() {
    let machine = Machine::new().await;
    let (owner, _) = machine.opened().await;
    owner.record(vec![started("a")]).await.unwrap();
    drop(owner);
    let mut before = fs::read(machine.file()).unwrap();
    let next = |number| Record { number, event: started("b") }.encode(Register::TPM);
    let whole = next(0).len();

    // Killed while it was written: what is not whole is cut off.
    for (number, torn) in (2..).zip([1, 5, whole / 2, whole - 1]) {
        let mut file = OpenOptions::new().append(true).open(machine.file()).unwrap();
        file.write_all(&next(number)[..torn]).unwrap();
        let (owner, opened) = machine.opened().await;
        assert_eq!(opened.ids().collect::<Vec<_>>(), ["a"]);
        before.extend(Record { number, event: restarted() }.encode(Register::TPM));
        assert_eq!(fs::read(machine.file()).unwrap(), before, "{torn} bytes of {whole}");
        agrees(&owner, &machine.file()).await;
    }
    // Killed between file and register: it is extended now.
    OpenOptions::new().append(true).open(machine.file()).unwrap().write_all(&next(6)).unwrap();
    let (owner, opened) = machine.opened().await;
    assert_eq!(opened.ids().collect::<Vec<_>>(), ["a", "b"]);
    agrees(&owner, &machine.file()).await;
    drop(owner);
    // Killed after the register: there is nothing to do.
    let (owner, _) = machine.opened().await;
    agrees(&owner, &machine.file()).await;
    owner.record(vec![Event::Interrupted]).await.unwrap();
    agrees(&owner, &machine.file()).await;
}

#[tokio::test]
async fn attester_killed_at_each_step_of_a_beginning() {
    let machine = Machine::new().await;
    // Killed before the new file had its name.
    fs::write(machine.path("pod-log.new"), b"a part of it").unwrap();
    let (owner, _) = machine.opened().await;
    assert_eq!(machine.events(), [began(BOOT, Digest([0; 32]))]);
    agrees(&owner, &machine.file()).await;
    drop(owner);
    // Killed before the first record was extended: the register is what it was.
    let machine = Machine::new().await;
    let began = Record { number: 0, event: began(BOOT, Digest([0; 32])) };
    fs::write(machine.file(), began.encode(Register::TPM)).unwrap();
    let (owner, _) = machine.opened().await;
    assert_eq!(machine.events(), [began.event, restarted()]);
    agrees(&owner, &machine.file()).await;
}

#[tokio::test]
async fn another_boot_begins_another_log() {
    let mut machine = Machine::new().await;
    let (owner, _) = machine.opened().await;
    owner.record(vec![started("a")]).await.unwrap();
    drop(owner);
    let old = fs::read(machine.file()).unwrap();
    machine.tpm.power_off();
    machine.tpm.power_on();
    // The register is new and the boot id is not: no boot that there can be.
    disagrees(machine.open().await.1);
    fs::write(machine.path("boot_id"), "second-boot\n").unwrap();
    let (owner, opened) = machine.opened().await;
    assert!(opened.ids().next().is_none());
    assert_eq!(machine.events(), [began("second-boot", Digest([0; 32]))]);
    assert_eq!(fs::read(machine.path("pod-log.previous")).unwrap(), old);
    agrees(&owner, &machine.file()).await;
}

#[tokio::test]
async fn a_record_that_the_tpm_did_not_take_is_extended_before_the_next_one() {
    let mut machine = Machine::new().await;
    let (owner, _) = machine.opened().await;
    machine.tpm.power_off();
    let head = owner.record(vec![started("a")]).await.unwrap().head;
    assert_eq!(head.length, 2, "it is in the file");
    owner.record(vec![started("b")]).await.expect_err("the TPM is away, and the one before is not extended");
    assert_eq!(machine.events().len(), 2);
    machine.tpm.power_on();
    // The TPM has lost its registers with the power, which no machine's does while it runs.
    let error = owner.record(vec![started("b")]).await.expect_err("register and log disagree");
    assert!(matches!(error, TpmError::PodLog(PodLogError::Disagrees { .. })), "{error}");
    // As it was before the power went: then the record is extended, and the next one written.
    let began = records(&fs::read(machine.file()).unwrap())[0].1.chain;
    drop(owner);
    machine.extend(&began).await;
    let (owner, _) = machine.opened().await;
    agrees(&owner, &machine.file()).await;
    owner.record(vec![started("b")]).await.unwrap();
    agrees(&owner, &machine.file()).await;
}

#[tokio::test]
async fn one_attester_keeps_a_log() {
    let machine = Machine::new().await;
    let (owner, _) = machine.opened().await;
    let other = machine.owner().await;
    let error = other.open_pod_log().await.expect_err("two attesters");
    assert!(matches!(error, TpmError::PodLog(PodLogError::InUse { .. })), "{error}");
    agrees(&owner, &machine.file()).await;
}
