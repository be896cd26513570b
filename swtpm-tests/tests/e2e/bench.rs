//! The bench itself: its parts are real, and do what the other tests rely on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use podseal_swtpm_tests::binaries::static_program;
use podseal_swtpm_tests::bootlog::Boot;
use podseal_swtpm_tests::containerd::Containerd;
use podseal_swtpm_tests::error::run;
use podseal_swtpm_tests::image::Image;
use podseal_swtpm_tests::pod::{Container, Pod};
use podseal_swtpm_tests::raw_tpm::{Bank, CC_PCR_EXTEND, CC_PCR_READ, RawTpm};
use podseal_swtpm_tests::swtpm::Swtpm;
use podseal_swtpm_tests::tpm_proxy::{Byte, Flip, TpmProxy};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

mod tokens;

pub(crate) const TESTS: &[Test] = &[
    ("bench::boot_log_replays_to_the_tpms_registers", boot_log_replays_to_the_tpms_registers),
    ("bench::boot_log_is_read_by_other_tools", boot_log_is_read_by_other_tools),
    ("bench::one_changed_command_line_moves_one_register", one_changed_command_line_moves_one_register),
    ("bench::reset_clears_registers", reset_clears_registers),
    ("bench::proxy_sees_commands_and_flips_bits", proxy_sees_commands_and_flips_bits),
    ("bench::software_stack_works_through_the_proxy", software_stack_works_through_the_proxy),
    ("bench::container_runs_and_tells_of_itself", container_runs_and_tells_of_itself),
    ("bench::exec_runs_beside_the_init_process", exec_runs_beside_the_init_process),
    ("bench::pod_options_reach_the_runtime", pod_options_reach_the_runtime),
    ("bench::runtime_leaves_nothing", runtime_leaves_nothing),
    ("bench::tokens_verify_under_the_issuers_keys", tokens::tokens_verify_under_the_issuers_keys),
    ("bench::tokens_lack_what_was_left_out", tokens::tokens_lack_what_was_left_out),
];

const PATIENCE: Duration = Duration::from_secs(10);
const BANKS: [Bank; 2] = [Bank::Sha1, Bank::Sha256];

fn boot_log_replays_to_the_tpms_registers(fixtures: &Fixtures) -> Outcome {
    let tpm = fixtures.tpm(&BANKS)?;
    let log_path = fixtures.folder("replayed.log");
    let mut client = tpm.client()?;
    Boot::new()?.measure(&mut client, &BANKS, &log_path)?;
    let replayed = replay(&std::fs::read(&log_path)?);
    for (at, bank) in BANKS.into_iter().enumerate() {
        for (pcr, expected) in replayed[at].iter().enumerate() {
            assert_eq!(&client.pcr_read(bank, pcr as u32)?, expected, "{bank:?} PCR {pcr}");
        }
    }
    let measured: Vec<usize> = (0..17).filter(|pcr| replayed[1][*pcr] != [0; 32]).collect();
    assert_eq!(measured, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    Ok(())
}

/// Reads the log's bytes back and computes the registers that its own digests lead to: per bank, PCR 0 to 16 (17 to 22 don't start at zero).
fn replay(log: &[u8]) -> [Vec<Vec<u8>>; 2] {
    let mut at = 28 + word(log, 28) as usize + 4;
    let mut banks = [vec![vec![0; 20]; 17], vec![vec![0; 32]; 17]];
    while at < log.len() {
        let pcr = word(log, at) as usize;
        assert_eq!(word(log, at + 8), 2, "digests of the event at {at}");
        at += 12;
        for (bank, (length, algorithm)) in [(20, &SHA1_FOR_LEGACY_USE_ONLY), (32, &SHA256)].into_iter().enumerate() {
            let extended = [banks[bank][pcr].as_slice(), &log[at + 2..at + 2 + length]].concat();
            banks[bank][pcr] = digest(algorithm, &extended).as_ref().to_vec();
            at += 2 + length;
        }
        at += 4 + word(log, at) as usize;
    }
    banks
}

fn boot_log_is_read_by_other_tools(fixtures: &Fixtures) -> Outcome {
    let tpm = fixtures.tpm(&BANKS)?;
    let log_path = fixtures.folder("read-by-tools.log");
    let mut client = tpm.client()?;
    let boot = Boot::new()?;
    boot.measure(&mut client, &BANKS, &log_path)?;
    let read = run(Command::new("tpm2_eventlog").arg(&log_path))?;
    let (_, totals) = read.rsplit_once("pcrs:").expect("the replayed registers come last");
    for pcr in 0..10 {
        let register: String = client.pcr_read(Bank::Sha256, pcr)?.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(totals.contains(&register), "PCR {pcr} is {register}; tpm2_eventlog says {totals}");
    }
    for shown in ["UnicodeName: SecureBoot", "UnicodeName: dbx", "EV_EFI_VARIABLE_AUTHORITY", &boot.command_line] {
        assert!(read.contains(shown), "{shown} is not in {read}");
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn one_changed_command_line_moves_one_register(fixtures: &Fixtures) -> Outcome {
    let honest = Boot::new()?;
    let mut changed = honest.clone();
    changed.command_line.push_str(" init=/bin/sh");
    let log = fixtures.folder("changed.log");
    let registers = |boot: &Boot| -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
        let tpm = fixtures.tpm(&[Bank::Sha256])?;
        let mut client = tpm.client()?;
        boot.measure(&mut client, &[Bank::Sha256], &log)?;
        Ok((0..16).map(|pcr| client.pcr_read(Bank::Sha256, pcr)).collect::<Result<_, _>>()?)
    };
    let (first, again, other) = (registers(&honest)?, registers(&honest)?, registers(&changed)?);
    assert_eq!(first, again);
    let moved: Vec<usize> = (0..16).filter(|pcr| first[*pcr] != other[*pcr]).collect();
    assert_eq!(moved, [8]);
    Ok(())
}

fn reset_clears_registers(fixtures: &Fixtures) -> Outcome {
    let mut tpm = fixtures.tpm(&[Bank::Sha256])?;
    let extend = |tpm: &Swtpm| tpm.client()?.pcr_extend(13, &[(Bank::Sha256, vec![7; 32])]);
    extend(&tpm)?;
    let port = tpm.port();
    assert_ne!(tpm.client()?.pcr_read(Bank::Sha256, 13)?, [0; 32]);
    tpm.reset()?;
    assert_eq!(tpm.port(), port);
    assert_eq!(tpm.client()?.pcr_read(Bank::Sha256, 13)?, [0; 32]);
    Ok(())
}

fn proxy_sees_commands_and_flips_bits(fixtures: &Fixtures) -> Outcome {
    let tpm = fixtures.tpm(&[Bank::Sha256])?;
    let proxy = TpmProxy::start(tpm.port())?;
    let mut client = RawTpm::connect(proxy.port())?;
    client.pcr_extend(12, &[(Bank::Sha256, vec![1; 32])])?;
    let honest = client.pcr_read(Bank::Sha256, 12)?;
    assert_eq!(proxy.seen(), [CC_PCR_EXTEND, CC_PCR_READ]);

    proxy.flip(Some(Flip { command: CC_PCR_READ, byte: Byte::FromEnd(0), bit: 3 }));
    let mut expected = honest.clone();
    expected[31] ^= 8;
    assert_eq!(client.pcr_read(Bank::Sha256, 12)?, expected);
    proxy.flip(Some(Flip { command: CC_PCR_READ, byte: Byte::FromStart(30), bit: 0 }));
    let mut expected = honest.clone();
    expected[0] ^= 1;
    assert_eq!(client.pcr_read(Bank::Sha256, 12)?, expected);
    assert_eq!(proxy.flipped(), 2);

    proxy.flip(None);
    assert_eq!(client.pcr_read(Bank::Sha256, 12)?, honest);
    Ok(())
}

fn software_stack_works_through_the_proxy(fixtures: &Fixtures) -> Outcome {
    let tpm = fixtures.tpm(&[Bank::Sha256])?;
    let proxy = TpmProxy::start(tpm.port())?;
    tpm.client()?.pcr_extend(12, &[(Bank::Sha256, vec![1; 32])])?;
    let read = || run(Command::new("tpm2_pcrread").args(["--tcti", &proxy.tcti(), "sha256:12"]));
    let register: String = tpm.client()?.pcr_read(Bank::Sha256, 12)?.iter().map(|byte| format!("{byte:02X}")).collect();
    for _client_after_client in 0..2 {
        assert!(read()?.contains(&register));
    }
    assert_eq!(proxy.seen().iter().filter(|code| **code == CC_PCR_READ).count(), 2);

    let certificate = fixtures.folder("ek-certificate.der");
    run(Command::new("tpm2_nvread").args(["--tcti", &proxy.tcti(), "--output"]).arg(&certificate).arg("0x1c00002"))?;
    assert_eq!(std::fs::read(&certificate)?[..2], [0x30, 0x82], "a DER certificate");
    Ok(())
}

fn container_runs_and_tells_of_itself(fixtures: &Fixtures) -> Outcome {
    let image = fixtures.payment_api()?;
    let secret = fixtures.folder("a-file");
    std::fs::write(&secret, "not much of a secret")?;
    let pod = Pod::new("payments", "payment-api-0").annotation("podseal.dev/secrets", "db-password").run(fixtures.node()?)?;
    let app = Container::new("app", image)
        .args(&["/etc/a-file"])
        .env("PORT", "8080")
        .mount(&secret, "/etc/a-file")
        .user(1000, 1000)
        .read_only_root();
    let container = pod.start(app)?;

    let told: serde_json::Value = serde_json::from_str(&container.first_line(PATIENCE)?)?;
    assert_eq!((&told["pid"], &told["uid"], &told["cwd"]), (&1.into(), &1000.into(), &"/".into()));
    assert_eq!(told["args"], serde_json::json!(["/payment-api", "/etc/a-file"]));
    assert!(told["environ_names"].as_array().is_some_and(|names| names.contains(&"PORT".into())));
    let digest: String = digest(&SHA256, b"not much of a secret").as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&told["files"][0]["sha256"], &told["files"][0]["length"]), (&digest.into(), &20.into()));

    let status = container.status()?;
    assert!(status.pid() > 0);
    assert_eq!(status.container.image_ref, format!("podseal.test/payment-api@{}", image.manifest));
    assert_eq!(status.info["runtimeSpec"]["root"]["readonly"], true);
    container.stop(PATIENCE)?;
    assert_eq!(container.wait(PATIENCE)?, 0, "SIGTERM ends it in order");
    Ok(())
}

fn exec_runs_beside_the_init_process(fixtures: &Fixtures) -> Outcome {
    let pod = Pod::new("payments", "payment-api-1").run(fixtures.node()?)?;
    let container = pod.start(Container::new("app", fixtures.payment_api()?))?;
    container.first_line(PATIENCE)?;
    let second = container.exec(&["/payment-api"], Duration::from_secs(1))?;
    let told: serde_json::Value = serde_json::from_str(second.stdout.trim())?;
    assert!(told["pid"].as_u64().is_some_and(|pid| pid > 1), "{second:?}");
    assert_eq!(second.code, None, "it serves until it is told to stop: {second:?}");

    let missing = container.exec(&["/no-such-program"], PATIENCE)?;
    assert_ne!(missing.code, Some(0), "{missing:?}");
    assert!(missing.stderr.contains("no-such-program"), "{missing:?}");
    Ok(())
}

fn pod_options_reach_the_runtime(fixtures: &Fixtures) -> Outcome {
    let (node, image) = (fixtures.node()?, fixtures.payment_api()?);
    let spec = |pod: Pod, container: Container| -> Result<serde_json::Value, Box<dyn std::error::Error>> {
        let pod = pod.run(node)?;
        let container = pod.start(container)?;
        container.first_line(PATIENCE)?;
        Ok(container.status()?.info["runtimeSpec"].take())
    };
    let namespace = |spec: &serde_json::Value, kind: &str| {
        let list = spec["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
        list.into_iter().find(|namespace| namespace["type"] == kind)
    };
    let app = || Container::new("app", image);

    let plain = spec(Pod::new("payments", "plain"), app())?;
    assert!(namespace(&plain, "pid").is_some_and(|own| own.get("path").is_none()), "a PID namespace of its own: {plain}");
    assert!(namespace(&plain, "network").is_some_and(|pods| pods.get("path").is_some()));

    let shared = spec(Pod::new("payments", "shared").share_pid(), app())?;
    assert!(namespace(&shared, "pid").is_some_and(|pods| pods.get("path").is_some()), "the pod's PID namespace: {shared}");

    let host = spec(Pod::new("payments", "host").host_pid().host_network(), app())?;
    assert!(namespace(&host, "pid").is_none_or(|own| own["path"].as_str().is_some_and(|path| path.starts_with("/proc/"))), "{host}");

    let privileged = spec(Pod::new("payments", "privileged").privileged(), app().privileged())?;
    let bounding = |spec: &serde_json::Value| spec["process"]["capabilities"]["bounding"].as_array().map(Vec::len);
    assert!(bounding(&privileged) > bounding(&plain), "{privileged}");
    Ok(())
}

fn runtime_leaves_nothing(fixtures: &Fixtures) -> Outcome {
    let dir = fixtures.folder("node-b");
    let node = Containerd::start(&dir, "node-b", 2, &static_program("pause"))?;
    let image =
        Image::new("podseal.test/payment-api", "1").program("/payment-api", &static_program("payment-api")).entrypoint(&["/payment-api"]);
    let image = node.import(&image)?;
    let pod = Pod::new("payments", "left-behind").run(&node)?;
    let container = pod.start(Container::new("app", &image))?;
    container.first_line(PATIENCE)?;
    let init = container.status()?.pid();
    let groups = node.cgroup_parent().to_owned();
    assert!(Path::new(&format!("/proc/{init}")).exists() && cgroup_folders(&groups) > 0 && traces(&dir) > 0);

    drop(container);
    std::mem::forget(pod);
    drop(node);
    assert_eq!((Path::new(&format!("/proc/{init}")).exists(), cgroup_folders(&groups), traces(&dir)), (false, 0, 0));
    Ok(())
}

/// Processes whose arguments name the folder, and mounts below it.
fn traces(dir: &Path) -> usize {
    let dir = dir.to_str().expect("UTF-8");
    let commands = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path().join("cmdline"));
    let processes = commands.filter(|command| std::fs::read_to_string(command).is_ok_and(|words| words.contains(dir))).count();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    processes + mounts.lines().filter(|line| line.contains(dir)).count()
}

/// In how many hierarchies the control group exists.
fn cgroup_folders(group: &str) -> usize {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    let roots = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]);
    roots.filter(|root| root.join(group.trim_start_matches('/')).exists()).count()
}
