//! The directory that containers see: the attester does not start where others could have put something into it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs::{self, Permissions},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A folder with a launcher in it, and a configuration that names no TPM that answers: the attester starts all the same, and waits for it.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::create_dir(host.directory()).unwrap();
        fs::write(host.directory().join("launch"), "").unwrap();
        mode(&host.directory(), 0o755);
        mode(&host.directory().join("launch"), 0o755);
        let (ak, runtime) = (host.0.path().join("ak"), host.0.path().join("runtime.sock"));
        let config = format!(
            "[node]\nname = \"node-a\"\ncluster = \"c\"\nuid = \"u\"\n\
             [verifier]\naddress = \"https://127.0.0.1:1\"\nid = \"{}\"\n\
             [tpm]\ntcti = \"swtpm:host=127.0.0.1,port=1\"\nak_state = {ak:?}\n\
             [runtime]\nsocket = {runtime:?}\n[hardening]\nexceptions = [\"privileged-network\"]\n[workload]\ndirectory = {:?}\n",
            "00".repeat(32),
            host.directory()
        );
        fs::write(host.0.path().join("attester.toml"), config).unwrap();
        host
    }

    fn directory(&self) -> std::path::PathBuf {
        self.0.path().join("podseal")
    }

    /// Starts the attester: `Ok` when it says `ready` (and is ended again), otherwise what it says.
    fn start(&self) -> Result<(), String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podseal-node-attester"));
        command.arg("run").arg("--config").arg(self.0.path().join("attester.toml"));
        let mut attester = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut word = [0; 5];
        let ready = attester.stdout.as_mut().unwrap().read_exact(&mut word).is_ok() && word == *b"ready";
        if ready {
            attester.kill().unwrap();
        }
        let output = attester.wait_with_output().unwrap();
        if ready { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_others_may_write_is_refused_by_name() {
    let host = Host::new();
    host.start().expect("as it should be");
    let directory = host.directory();
    for path in [directory.clone(), directory.join("launch"), directory.join("secrets")] {
        let before = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        for wider in [0o020, 0o002] {
            mode(&path, before | wider);
            let said = host.start().expect_err("others may write it");
            let named = format!("{}: owner {}, mode {:04o}", path.display(), rustix::process::geteuid().as_raw(), before | wider);
            assert!(said.contains(&named) && said.contains("correct owner and mode"), "{said}");
        }
        mode(&path, before);
    }
    host.start().expect("as it should be again");
}

#[test]
fn what_somebody_else_owns_is_refused_by_name() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "needs root");
        eprintln!("skipped: giving a file away needs root");
        return;
    }
    let host = Host::new();
    let launcher = host.directory().join("launch");
    std::os::unix::fs::chown(&launcher, Some(4711), None).unwrap();
    let said = host.start().expect_err("somebody else could replace it");
    assert!(said.contains("owner 4711"), "{said}");
}

#[test]
fn a_folder_for_secrets_with_something_in_it_is_refused() {
    let host = Host::new();
    host.start().expect("it makes the folder");
    let secrets = host.directory().join("secrets");
    mode(&secrets, 0o755);
    fs::write(secrets.join("left"), "").unwrap();
    let said = host.start().expect_err("something was left in it");
    assert!(said.contains(&format!("{}: not empty", secrets.display())), "{said}");
}
