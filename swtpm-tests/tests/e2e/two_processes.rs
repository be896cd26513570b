//! The attester's processes: what each may do, as `/proc` has it, and that each gets over the end of the other.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use podseal_swtpm_tests::binaries::{program, repository};
use podseal_swtpm_tests::children;
use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::site::machine::EXCEPTION;
use podseal_swtpm_tests::site::workload::{PATIENCE, file_digest};
use podseal_swtpm_tests::site::{Node, NodeOptions, Workload};
use rustix::process::{Pid, Signal, kill_process};

use crate::first_secret::refused_for;
use crate::fixtures::Fixtures;
use crate::init_only::Halted;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("network_process_has_no_rights", network_process_has_no_rights),
    ("network_process_has_no_rights_where_it_is_somebody_else", network_process_has_no_rights_where_it_is_somebody_else),
    ("network_process_killed", network_process_killed),
    ("network_process_ends_with_the_privileged_one", network_process_ends_with_the_privileged_one),
    ("software_tpm_needs_its_exception_to_run", software_tpm_needs_its_exception_to_run),
    ("exception_is_a_claim", exception_is_a_claim),
    ("privileged_process_has_no_network_where_the_tpm_is_a_device", privileged_process_has_no_network_where_the_tpm_is_a_device),
];

const SECRET: &str = "/podseal/secrets/db";
const CAPABILITIES: [(&str, u32); 3] = [("sys_chroot", 18), ("sys_ptrace", 19), ("sys_admin", 21)];

/// The processes of an attester: privileged, keeper, network.
fn processes(run: u32) -> Result<[u32; 3], Box<dyn std::error::Error>> {
    let keeper = only_child(run)?;
    Ok([run, keeper, only_child(keeper)?])
}

fn only_child(pid: u32) -> Result<u32, Box<dyn std::error::Error>> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let children: Vec<u32> = children.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    if let [child] = children.as_slice() { Ok(*child) } else { Err(format!("{pid} has the children {children:?}, wanted one").into()) }
}

/// The rows of the table in docs/THREAT_MODEL.md: what is compared, and a cell for each process.
fn table() -> Vec<(String, [String; 3])> {
    let text = fs::read_to_string(repository().join("docs/THREAT_MODEL.md")).expect("the threat model is there");
    let rows = text.lines().skip_while(|line| !line.starts_with("| `/proc/PID`")).skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let row = |line| match cells(line).as_slice() {
        [what, privileged, keeper, network] => (what.clone(), [privileged.clone(), keeper.clone(), network.clone()]),
        other => panic!("four cells wanted: {other:?}"),
    };
    rows.map(row).collect()
}

/// Compares a process with its column of the table; `user` stands for the default user.
fn compare(column: usize, pid: u32, user: &str, log: &Path) {
    let rows = table();
    assert!(rows.len() >= 13, "{rows:?}");
    for (what, cells) in rows {
        let wanted = cells[column].replace("65534", user);
        let (file, key) = what.split_once(": ").unwrap_or((what.as_str(), ""));
        match file {
            "`status`" => assert_eq!(status(pid, key), as_in_status(key, &wanted), "{what} of {pid}"),
            "`limits`" => {
                let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
                let line = limits.lines().find_map(|line| line.strip_prefix(key)).expect("the limit");
                assert_eq!(line.split_ascii_whitespace().take(2).collect::<Vec<_>>(), [wanted.as_str(); 2], "{what} of {pid}");
            }
            "`fd`" => {
                let kinds: Vec<&str> = wanted.split(", ").collect();
                for (fd, target) in files(pid) {
                    let kind = kind(&target, log);
                    assert!(wanted == "any" || kinds.contains(&kind.as_str()), "fd {fd} of {pid} is {target} ({kind}), may be {wanted}");
                }
            }
            "owner of `fd`" => {
                let owner = fs::metadata(format!("/proc/{pid}/fd")).expect("fd").uid();
                assert_eq!(owner.to_string(), wanted, "{what} of {pid}: proc(5) gives it to root where the process is not dumpable");
            }
            other => panic!("nothing compares {other}"),
        }
    }
}

fn status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).expect("the line");
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// A cell in the way in which `/proc/PID/status` writes it.
fn as_in_status(key: &str, cell: &str) -> String {
    match key {
        "Uid" | "Gid" => [cell; 4].join(" "),
        "Groups" if cell == "as started" => status(std::process::id(), "Groups"),
        "Groups" => cell.replace("none", ""),
        _ if key.starts_with("Cap") => {
            let bit = |name: &str| 1_u64 << CAPABILITIES.iter().find(|(known, _)| *known == name).expect("a capability").1;
            let bits = if cell == "none" { 0 } else { cell.split(' ').map(bit).sum() };
            format!("{bits:016x}")
        }
        _ => cell.to_owned(),
    }
}

fn files(pid: u32) -> Vec<(String, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("fd").flatten();
    let target = |entry: &fs::DirEntry| fs::read_link(entry.path()).map(|target| target.display().to_string()).unwrap_or_default();
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), target(&entry))).collect()
}

fn kind(target: &str, log: &Path) -> String {
    let kinds = [("socket:", "socket"), ("anon_inode:[pidfd]", "pidfd"), ("pidfd:", "pidfd"), ("anon_inode:[eventpoll]", "eventpoll")];
    let more = [("anon_inode:[eventfd]", "eventfd"), ("/dev/null", "null")];
    let known = kinds.into_iter().chain(more).find(|(begins, _)| target.starts_with(begins)).map(|(_, kind)| kind);
    known.unwrap_or(if Path::new(target) == log { "log" } else { "another file" }).to_owned()
}

fn network_process_has_no_rights(fixtures: &Fixtures) -> Outcome {
    let (_, node) = fixtures.honest()?;
    let text = fs::read_to_string(repository().join("docs/THREAT_MODEL.md"))?;
    for path in podseal_node_attester::hardening::READABLE {
        assert!(text.contains(&format!("`{path}`")), "docs/THREAT_MODEL.md does not say that the network process may read {path}");
    }
    for (column, pid) in processes(node.attester().pid())?.into_iter().enumerate() {
        compare(column, pid, "65534", node.attester().log_path());
        for (_, target) in files(pid).into_iter().filter(|_| column > 0) {
            for forbidden in [node.machine().ak_state(), node.runtime().socket(), node.machine().event_log(), "/dev/tpm".into()] {
                assert!(!target.starts_with(&forbidden.display().to_string()), "{pid} has {target}");
            }
        }
    }
    Ok(())
}

fn network_process_has_no_rights_where_it_is_somebody_else(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let config = "[network]\nuid = 4711\ngid = 4711\n".to_owned();
    let node = site.start_node(NodeOptions { config, ..NodeOptions::new(site, "somebody") })?;
    for (column, pid) in processes(node.attester().pid())?.into_iter().enumerate() {
        compare(column, pid, "4711", node.attester().log_path());
    }
    Ok(())
}

fn signal(pid: u32, signal: Signal) -> Outcome {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no pid")?;
    Ok(kill_process(pid, signal)?)
}

/// The network process is killed while a pod waits for it, and again when nobody does: both are served by the next one.
fn network_process_killed(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let node = site.start_node(NodeOptions::new(site, "killed"))?;
    let workload = Workload::new(site, "killed");
    let value = site.entitle(&workload, &node)?;
    let served = |node: &Node| -> Outcome {
        let portrait = workload.run(site, node)?.started()?;
        assert_eq!(file_digest(&portrait, SECRET), Some(value), "{portrait}");
        Ok(())
    };
    served(&node)?;

    let [run, keeper, network] = processes(node.attester().pid())?;
    let halted = Halted::new(network)?;
    let waiting = workload.run(site, &node)?;
    std::thread::sleep(Duration::from_millis(300));
    signal(network, Signal::KILL)?;
    drop(halted);
    let portrait = waiting.started()?;
    assert_eq!(file_digest(&portrait, SECRET), Some(value), "{portrait}");

    let next = processes(run)?;
    assert_eq!((next[0], next[1]), (run, keeper));
    assert_ne!(next[2], network, "another process");
    compare(2, next[2], "65534", node.attester().log_path());
    signal(next[2], Signal::KILL)?;
    served(&node)
}

fn is_gone(pid: u32) -> Result<(), String> {
    if Path::new(&format!("/proc/{pid}/exe")).exists() { Err(format!("{pid} runs")) } else { Ok(()) }
}

/// Neither outlives the privileged process, however that ends; and that one ends when it can never have a network process again.
fn network_process_ends_with_the_privileged_one(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut node = site.start_node(NodeOptions::new(site, "orphaned"))?;
    let all_gone = |pids: [u32; 3]| -> Outcome {
        for pid in pids.into_iter().skip(1) {
            wait_for("the other processes end", PATIENCE, || is_gone(pid))?;
        }
        Ok(())
    };
    let pids = processes(node.attester().pid())?;
    node.attester_mut().kill();
    all_gone(pids)?;

    node.restart_attester(&[])?;
    let pids = processes(node.attester().pid())?;
    assert!(node.attester_mut().stop()?.success(), "SIGTERM is an end in order: {}", node.attester().log());
    all_gone(pids)?;

    node.restart_attester(&[])?;
    let pids = processes(node.attester().pid())?;
    signal(pids[1], Signal::KILL)?;
    assert_eq!(node.attester_mut().wait(PATIENCE)?.code(), Some(1), "{}", node.attester().log());
    assert!(node.attester().log().contains("so has its keeper"), "{}", node.attester().log());
    all_gone(pids)
}

/// A configuration of the shared node with one thing changed, run beside it for a moment.
fn run_changed(fixtures: &Fixtures, name: &str, from: &str, to: &str) -> Result<(Command, std::path::PathBuf), Box<dyn std::error::Error>> {
    let (_, node) = fixtures.honest()?;
    let folder = fixtures.folder(name);
    fs::create_dir_all(&folder)?;
    fs::copy(node.published().join("launch"), folder.join("launch"))?;
    let config = fs::read_to_string(node.config())?;
    let changed = config.replace(&node.published().display().to_string(), &folder.display().to_string()).replace(from, to);
    assert_ne!(config, changed);
    let file = folder.join("attester.toml");
    fs::write(&file, changed)?;
    // Whoever starts it has left a file open.
    let mut command = Command::new("bash");
    command.args(["-c", "exec 7</etc/hostname; exec \"$0\" \"$@\""]).arg(program("podseal-node-attester")?);
    command.arg("run").arg("--config").arg(&file).stdin(Stdio::null());
    Ok((command, folder))
}

fn software_tpm_needs_its_exception_to_run(fixtures: &Fixtures) -> Outcome {
    let named = "exceptions = [\"privileged-network\"]";
    let (mut unnamed, folder) = run_changed(fixtures, "unexcepted", named, "exceptions = [\"landlock\"]")?;
    let output = unnamed.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true), "{said}");
    for word in ["network of the privileged process", "found a TPM that is reached over TCP", "wanted none", "\"privileged-network\""] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    assert!(!folder.join("attester.sock").exists());
    Ok(())
}

/// No exception is needed then, and the filter is on; the TPM is away, which the attester gets over.
fn privileged_process_has_no_network_where_the_tpm_is_a_device(fixtures: &Fixtures) -> Outcome {
    let (_, node) = fixtures.honest()?;
    let tcti = format!("tcti = \"{}\"", node.machine().tpm().tcti());
    let (mut command, folder) = run_changed(fixtures, "device", &tcti, "tcti = \"device:/dev/null/none\"")?;
    let config = fs::read_to_string(folder.join("attester.toml"))?.replace("exceptions = [\"privileged-network\"]", "");
    fs::write(folder.join("attester.toml"), config)?;
    let log = fs::File::create(folder.join("log"))?;
    let mut attester = children::spawn(command.stdout(Stdio::null()).stderr(log))?;
    let socket = folder.join("attester.sock");
    let serves = wait_for("the attester listens", PATIENCE, || if socket.exists() { Ok(()) } else { Err("no socket".to_owned()) });
    let compared = serves.map(|()| {
        let all = processes(attester.id())?.into_iter().enumerate();
        all.for_each(|(column, pid)| compare(column, pid, "65534", &folder.join("log")));
        Ok::<(), Box<dyn std::error::Error>>(())
    });
    signal(attester.id(), Signal::TERM)?;
    let ended = attester.wait()?;
    compared??;
    assert!(ended.success(), "{}", fs::read_to_string(folder.join("log"))?);
    Ok(())
}

/// What the configuration names arrives at the verifier, behind the quote, and a policy decides on it.
fn exception_is_a_claim(fixtures: &Fixtures) -> Outcome {
    const CLAIM: &str = "agent_exceptions";
    const ATTRIBUTE: &str = "context.agent_exceptions";
    let (site, node) = fixtures.honest()?;
    let workload = Workload::new(site, "excepted");
    let value = site.entitle(&workload, node)?;
    let audit_id = {
        let pod = workload.run(site, node)?;
        assert_eq!(file_digest(&pod.started()?, SECRET), Some(value));
        pod.released_as()?
    };
    let claims = site.explain(&audit_id)?.0.claims;
    assert_eq!(claims.get(CLAIM).map(String::as_str), Some(EXCEPTION), "{claims:?}");

    site.allow(&workload.permit(site, node)?.within(ATTRIBUTE, &[]))?;
    let refused = workload.run(site, node)?.refused()?;
    assert_eq!((refused.code, refused.reason.as_str()), (77, "policy.permit"), "{refused:?}");
    let explained = site.explain(&refused.audit_id)?;
    refused_for(&explained, ATTRIBUTE);
    let failed: Vec<_> = explained.0.checks.iter().filter(|check| check.name == "policy.attribute" && check.verdict != "pass").collect();
    let [decisive] = failed.as_slice() else { return Err(explained.told().into()) };
    assert!(decisive.found.contains(EXCEPTION), "{decisive:?}");
    assert_eq!(explained.0.claims.get(CLAIM).map(String::as_str), Some(EXCEPTION));
    Ok(())
}
