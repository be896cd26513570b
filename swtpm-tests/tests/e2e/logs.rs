//! What the programs write while they release, refuse and reject has no secret in it, whatever it was sent by.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podseal_protocol::Limits;
use podseal_protocol::frame;
use podseal_swtpm_tests::leak_hunt::{Canary, Patterns};
use podseal_swtpm_tests::site::{Node, NodeOptions, Site, Workload};
use podseal_wire::PutSecretRequest;

use crate::fixtures::Fixtures;
use crate::leak_hunt::entitle;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("no_secret_in_any_log", no_secret_in_any_log)];

type Failure = Box<dyn std::error::Error>;

const PATIENCE: Duration = Duration::from_secs(5);

/// What was written, and by whom.
type Written = Vec<(String, Vec<u8>)>;

fn no_secret_in_any_log(fixtures: &Fixtures) -> Outcome {
    let mut site = fixtures.own_site("logs")?;
    site.verifier_mut().restart_at_level("trace")?;
    let node = site.start_node(NodeOptions::new(&site, "logs-1"))?;
    let workload = Workload::new(&site, "logged");
    let canary = entitle(&site, &node, &workload)?;

    let pod = workload.run(&site, &node)?;
    pod.started()?;
    let released = pod.released_as()?;
    let stranger = workload.clone().named("payment-api-1").account("default").run(&site, &node)?;
    let refused = stranger.refused()?.audit_id;
    let mut written = malformed(&site, &node, &canary)?;
    for (name, container) in [("the application", &pod.container), ("the refused launcher", &stranger.container)] {
        written.push((format!("standard output of {name}"), container.stdout()?.into_bytes()));
        written.push((format!("standard error of {name}"), container.stderr()?.into_bytes()));
    }
    for words in [&["explain", &released, "--all"][..], &["explain", &refused, "--all"], &["log", "list"], &["audit", "recheck", "--all"]] {
        for ran in [site.admin().show(words)?, site.admin().run(words, b"")?] {
            assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
            written.push((format!("podseal {}", words.join(" ")), (ran.stdout + &ran.stderr).into_bytes()));
        }
    }
    let logs = logs_below(site.dir())?;
    for daemon in ["verifier.log", "attester.log", "containerd.log", "payment-api/0.log"] {
        let found = logs.iter().find(|(name, text)| name.ends_with(daemon) && (!text.is_empty() || daemon.starts_with("containerd")));
        assert!(found.is_some(), "{daemon} is not among {:?}", logs.iter().map(|(name, _)| name).collect::<Vec<_>>());
    }
    written.extend(logs);

    let patterns = Patterns::new(&canary.reveal())?;
    let told: Vec<&String> = written.iter().filter(|(_, text)| patterns.in_bytes(text).next().is_some()).map(|(name, _)| name).collect();
    assert!(told.is_empty(), "the secret is in {told:?}");
    // Were it in any one of them, it would have been seen.
    for (name, text) in &mut written {
        text.extend_from_slice(&canary.reveal());
        assert!(patterns.in_bytes(text).next().is_some(), "{name}");
    }
    assert!(written.len() > 12, "only {} were looked at", written.len());
    Ok(())
}

/// The secret itself where something else belongs: what is answered, and what the programs log of it besides.
fn malformed(site: &Site, node: &Node, canary: &Canary) -> Result<Written, Failure> {
    let mut answers = Written::new();
    let raw = canary.reveal();
    let framed = frame::frame(&raw, &Limits::DEFAULT)?;
    for (name, bytes) in [("a frame", framed), ("no frame", raw.to_vec())] {
        let mut attester = UnixStream::connect(node.published().join("attester.sock"))?;
        attester.set_read_timeout(Some(PATIENCE))?;
        attester.write_all(&bytes)?;
        let _it_may_have_hung_up = attester.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _or_hangs_up_now = attester.read_to_end(&mut answer);
        answers.push((format!("the attester's answer to {name}"), answer));
    }
    let mut verifier = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, site.verifier().port()))?;
    verifier.set_read_timeout(Some(PATIENCE))?;
    verifier.write_all(&raw)?;
    verifier.shutdown(std::net::Shutdown::Write)?;
    let mut answer = Vec::new();
    let _or_hangs_up = verifier.read_to_end(&mut answer);
    answers.push(("the verifier's answer to no TLS".into(), answer));

    // As long as a sealed value is, and not sealed.
    let sealed = raw.repeat(4);
    let request = PutSecretRequest { name: "logged/other".into(), sealed, accepts: vec![] };
    let error = site.admin().call(|mut client| async move { client.put_secret(request).await }).err().ok_or("it was taken")?;
    answers.push(("the verifier's answer to a value that is not sealed".into(), format!("{error} {error:?}").into_bytes()));
    Ok(answers)
}

/// Every log of the site's daemons and containers.
fn logs_below(dir: &Path) -> Result<Written, Failure> {
    let (mut written, mut waiting): (Written, Vec<PathBuf>) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder)?.flatten() {
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && !matches!(path.file_name().and_then(|name| name.to_str()), Some("root" | "state" | "ca")) {
                waiting.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|ending| ending == "log") {
                written.push((path.display().to_string(), fs::read(&path)?));
            }
        }
    }
    Ok(written)
}
