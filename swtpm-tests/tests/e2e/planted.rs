//! The hunter finds what is planted, in each kind of place that it claims to search and in each form; without the plant it finds nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::leak_hunt::{Canary, Errand, Hit, Kind, Verdict};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("leak_hunt_finds_planted_canaries", leak_hunt_finds_planted_canaries)];

type Failure = Box<dyn std::error::Error>;

/// Hunts at most, where others come by.
const HUNTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(10);
/// Reads the canary from standard input, as a shell's own built-in does, and says so; `$1` is the folder.
const READ: &str = "read -r c; ";
/// Each ends when its standard input does. Nothing but a built-in runs in them, so that no second process has what they have.
const PROCESSES: [(&str, &str); 4] = [
    ("memory", "echo ready; read -r end"),
    ("arguments", "exec sh -c 'echo ready; read -r end' \"$c\""),
    ("environment", "export CANARY=\"$c\"; c=; exec sh -c 'echo ready; read -r end'"),
    ("deleted", "exec 3>\"$1/deleted\"; echo \"$c\" >&3; c=; rm \"$1/deleted\"; exec sh -c 'echo ready; read -r end'"),
];

/// A process that has a canary; it ends with the value.
struct Holding(Child);

impl Drop for Holding {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Holding {
    /// Has `sh` read the canary and do as `script` says, until it says that it is ready.
    fn start(canary: &Canary, script: &str, dir: &Path) -> Result<Self, Failure> {
        use std::io::Read as _;
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{READ}{script}"), "sh"]).arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let stdin = child.stdin.as_mut().ok_or("no standard input")?;
        stdin.write_all(&canary.reveal())?;
        stdin.write_all(b"\n")?;
        let mut said = [0; 6];
        child.stdout.as_mut().ok_or("no standard output")?.read_exact(&mut said)?;
        Ok(Self(child))
    }
}

/// What was planted, where, in which form.
#[derive(Default)]
struct Planted {
    places: Vec<(Kind, String, Option<u32>, Option<&'static str>)>,
    processes: Vec<Holding>,
    open: Vec<OwnedFd>,
    database: Option<SqliteConnection>,
    logs: Vec<PathBuf>,
}

fn leak_hunt_finds_planted_canaries(fixtures: &Fixtures) -> Outcome {
    let dir = fixtures.folder("planted");
    fs::create_dir_all(&dir)?;
    let canary = Canary::new()?;
    // Wherever it was in this process's own memory: it writes all the plants.
    let hunt = || -> Result<_, Failure> {
        let errand = || Errand::new(&canary).except(std::process::id(), "plants the canaries").run();
        for _ in 0..HUNTS {
            let (code, report) = errand()?;
            if !report.leaks().any(is_passing) {
                return Ok((code, report));
            }
        }
        Ok(errand()?)
    };
    let (code, before) = hunt()?;
    assert_eq!((code, before.verdict, before.leaks().count()), (0, Some(Verdict::Holds), 0), "the honest twin: {}", before.told());

    let mut planted = Planted::default();
    forms(&canary, &dir, &mut planted)?;
    files(&canary, &dir, &mut planted)?;
    processes(&canary, &dir, &mut planted)?;
    let (code, report) = hunt()?;
    assert_eq!((code, report.verdict), (1, Some(Verdict::Leaks)), "{}", report.told());
    for (kind, path, pid, form) in &planted.places {
        assert!(report.leaks().any(|hit| is(hit, *kind, path, *pid, *form)), "{kind:?} {path} {pid:?} {form:?} in\n{}", report.told());
    }
    let strange: Vec<&Hit> = report.leaks().filter(|hit| !planted.covers(hit)).collect();
    assert!(strange.is_empty(), "found where nothing was planted: {strange:#?}");
    an_exit_code_for_what_cannot_be_searched(&canary, &dir)?;

    drop(planted);
    fs::remove_dir_all(&dir)?;
    let (code, after) = hunt()?;
    assert_eq!((code, after.leaks().count()), (0, 0), "all plants are gone: {}", after.told());
    Ok(())
}

/// Another test's doing: a child of this process between fork and exec has all of its memory, and a hunter beside this one reads everybody's.
fn is_passing(hit: &Hit) -> bool {
    let own = fs::read_to_string("/proc/self/comm").unwrap_or_default();
    let passing = [own.trim_end(), "podseal-leak-hu"];
    hit.kind == Kind::Memory && hit.holder.as_ref().is_some_and(|holder| passing.contains(&holder.name.as_str()))
}

fn is(hit: &Hit, kind: Kind, path: &str, pid: Option<u32>, form: Option<&str>) -> bool {
    let holder = pid.is_none() || hit.holder.as_ref().map(|holder| holder.pid) == pid;
    hit.kind == kind && (path.is_empty() || hit.path == path) && holder && form.is_none_or(|form| hit.forms.contains_key(form))
}

impl Drop for Planted {
    fn drop(&mut self) {
        for log in &self.logs {
            let _gone_already = fs::remove_file(log);
        }
    }
}

impl Planted {
    fn file(&mut self, kind: Kind, path: &Path, form: Option<&'static str>) {
        self.places.push((kind, path.display().to_string(), None, form));
    }

    /// Whether a hit is one of the plants; arguments and environment are in the memory of their process, and a program's pages may have anything of it.
    fn covers(&self, hit: &Hit) -> bool {
        let known = self.places.iter().any(|(kind, path, pid, _)| is(hit, *kind, path, *pid, None));
        known || (hit.kind == Kind::Memory && self.processes.iter().any(|held| hit.holder.as_ref().is_some_and(|h| h.pid == held.0.id())))
    }
}

/// A file for each form, the canary within longer text.
fn forms(canary: &Canary, dir: &Path, planted: &mut Planted) -> Outcome {
    let raw = canary.reveal();
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    let wide = |bytes: fn(u16) -> [u8; 2]| raw.iter().flat_map(|byte| bytes(u16::from(*byte))).collect::<Vec<u8>>();
    let mut texts = vec![
        ("raw".to_owned(), raw.to_vec(), Some("raw")),
        ("hex".into(), hex.clone().into_bytes(), Some("hex")),
        ("HEX".into(), hex.to_uppercase().into_bytes(), (hex.to_uppercase() != hex).then_some("HEX")),
        ("utf-16le".into(), wide(u16::to_le_bytes), Some("UTF-16LE")),
        ("utf-16be".into(), wide(u16::to_be_bytes), Some("UTF-16BE")),
        ("json".into(), serde_json::to_vec(raw.as_slice())?, Some("decimal")),
        ("debug".into(), format!("{:?}", raw.as_slice()).into_bytes(), Some("decimal")),
    ];
    for before in 0..3 {
        let text = [&b"\xff\xfe\xfd"[..before], &raw, b"\xff\xfe"].concat();
        for (name, engine) in [("std", STANDARD), ("std-bare", STANDARD_NO_PAD), ("url", URL_SAFE), ("url-bare", URL_SAFE_NO_PAD)] {
            // The alphabets differ in two digits, which are not in every fragment: it is found, under the one name or the other.
            texts.push((format!("base64-{name}-{before}"), engine.encode(&text).into_bytes(), None));
        }
    }
    for (name, text, form) in texts {
        let path = dir.join(&name);
        fs::write(&path, [&b"before it "[..], &text, b" behind it"].concat())?;
        planted.file(Kind::File, &path, form);
    }
    Ok(())
}

/// Where files are, and what is in them.
fn files(canary: &Canary, dir: &Path, planted: &mut Planted) -> Outcome {
    let raw = canary.reveal();
    let text = String::from_utf8_lossy(&raw).into_owned();
    // On a disk, where the file's times decide whether it is read; the folder of this run is on a tmpfs.
    let log = std::env::temp_dir().join(format!("podseal-planted-{}.log", std::process::id()));
    let mut lines = File::create(&log)?;
    writeln!(lines, "connecting as payments with {text}")?;
    planted.file(Kind::File, &log, Some("raw"));
    planted.logs.push(log);

    let mut layer = tar::Builder::new(GzEncoder::new(File::create(dir.join("layer.tar.gz"))?, Compression::default()));
    let mut header = tar::Header::new_gnu();
    header.set_size(raw.len() as u64);
    layer.append_data(&mut header, "etc/password", raw.as_slice())?;
    layer.into_inner()?.finish()?;
    planted.file(Kind::Compressed, &dir.join("layer.tar.gz"), Some("raw"));

    // Across the border of the hunter's buffers.
    fs::write(dir.join("large"), [vec![b'.'; (256 << 10) - 7], raw.to_vec()].concat())?;
    planted.file(Kind::File, &dir.join("large"), Some("raw"));
    fs::write(dir.join(&text), "")?;
    planted.file(Kind::Name, &dir.join(&text), Some("raw"));
    symlink(&text, dir.join("link"))?;
    planted.file(Kind::LinkTarget, &dir.join("link"), Some("raw"));

    let database = dir.join("planted.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    planted.database = Some(runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(&database).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let mut connection = options.connect().await?;
        sqlx::query("CREATE TABLE t (password TEXT)").execute(&mut connection).await?;
        sqlx::query("INSERT INTO t VALUES (?1)").bind(&text).execute(&mut connection).await?;
        Ok::<_, sqlx::Error>(connection)
    })?);
    planted.file(Kind::File, &dir.join("planted.db-wal"), Some("raw"));
    let closed = dir.join("closed.db");
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(&closed).create_if_missing(true).connect().await?;
        sqlx::query("CREATE TABLE t (password TEXT)").execute(&mut connection).await?;
        sqlx::query("INSERT INTO t VALUES (?1)").bind(&text).execute(&mut connection).await?;
        connection.close().await
    })?;
    planted.file(Kind::File, &closed, Some("raw"));

    let memfd = rustix::fs::memfd_create("planted", rustix::fs::MemfdFlags::CLOEXEC)?;
    rustix::io::write(&memfd, &raw)?;
    planted.open.push(memfd);
    planted.places.push((Kind::Nameless, "/memfd:planted (deleted)".into(), Some(std::process::id()), Some("raw")));
    Ok(())
}

/// What only processes have, and what a crash leaves of it.
fn processes(canary: &Canary, dir: &Path, planted: &mut Planted) -> Outcome {
    for (kind, script) in PROCESSES {
        let held = Holding::start(canary, script, dir)?;
        let pid = Some(held.0.id());
        planted.places.push(match kind {
            "memory" => (Kind::Memory, "[heap]".into(), pid, Some("raw")),
            "arguments" => (Kind::Arguments, String::new(), pid, Some("raw")),
            "environment" => (Kind::Environment, String::new(), pid, Some("raw")),
            _ => (Kind::Nameless, format!("{} (deleted)", dir.join("deleted").display()), pid, Some("raw")),
        });
        planted.processes.push(held);
    }
    core_dump(canary, dir, planted)
}

/// A process that may dump its core, as the shipped ones may not, does.
fn core_dump(canary: &Canary, dir: &Path, planted: &mut Planted) -> Outcome {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    if pattern.starts_with(['|', '/']) {
        println!("not planted: a core dump: this kernel hands them to {pattern}");
        return Ok(());
    }
    let folder = dir.join("crashed");
    fs::create_dir(&folder)?;
    let mut held = Holding::start(canary, "cd \"$1/crashed\"; ulimit -c unlimited; echo ready; read -r end; kill -SEGV $$", dir)?;
    held.0.stdin.take();
    let status = held.0.wait()?;
    let core = wait_for("a core dump is there", PATIENCE, || {
        let core = fs::read_dir(&folder).map_err(|error| error.to_string())?.flatten().next();
        core.ok_or_else(|| format!("none; {status:?}"))
    })?;
    planted.file(Kind::File, &core.path(), Some("raw"));
    Ok(())
}

/// Compressed in a form that it does not know; expected where it is not.
fn an_exit_code_for_what_cannot_be_searched(canary: &Canary, dir: &Path) -> Outcome {
    let closed = dir.join("closed.zst");
    fs::write(&closed, [0x28, 0xb5, 0x2f, 0xfd, 0, 0])?;
    let (_, report) = Errand::new(canary).expect(1, "init").run()?;
    let gaps: BTreeSet<&str> = report.incomplete.iter().map(|gap| gap.what.as_str()).collect();
    let wanted = closed.display().to_string();
    assert!(gaps.contains(wanted.as_str()) && gaps.contains("init (process 1)"), "{}", report.told());
    Ok(fs::remove_file(closed)?)
}
