//! Key and session against a software TPM. It has no vendor command, but one of the same form: TPM2_NV_Increment (TPM 2.0 Part 3, section
//! 31.8), two handles and no parameters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command as Program, Stdio},
    time::{Duration, Instant},
};

use super::{
    command,
    index::Index,
    key, session,
    transport::Transport,
    wire::{self, Command, SESSIONS},
};
use crate::{collect::CollectError, config::Tcti};

const INCREMENT: u32 = 0x134;
const DEFINE_SPACE: u32 = 0x12a;
const HANDLE: u32 = 0x0180_0007;
/// AUTHREAD, AUTHWRITE, a counter.
const COUNTER: u32 = 0x0004_0014;
const WRITTEN: u32 = 0x2000_0000;

struct SoftwareTpm {
    process: Child,
    tcti: Tcti,
    _state: tempfile::TempDir,
}

impl SoftwareTpm {
    fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut swtpm = Program::new("swtpm");
        swtpm.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"]);
        swtpm.arg(format!("dir={}", state.path().display()));
        swtpm.args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1,disconnect"), "--ctrl"]);
        swtpm.arg(format!("type=unixio,path={}", state.path().join("control").display()));
        let process = swtpm.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("swtpm is installed: run scripts/setup");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "swtpm does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, tcti: Tcti::Swtpm { host: "127.0.0.1".to_owned(), port }, _state: state }
    }
}

impl Drop for SoftwareTpm {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn public(attributes: u32) -> Vec<u8> {
    [&HANDLE.to_be_bytes()[..], &[0, 0x0d], &attributes.to_be_bytes(), &[0, 0, 0, 8]].concat()
}

fn counter(attributes: u32) -> Index {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &public(attributes));
    Index { handle: HANDLE, auth: [0x41; 64], name: [&[0, 0x0d], hash.as_ref()].concat() }
}

#[test]
fn a_tpm_accepts_what_the_session_authorizes_and_nothing_else() {
    let software = SoftwareTpm::start();
    let mut tpm = Transport::connect(&software.tcti).unwrap();
    let define = Command::new(SESSIONS, DEFINE_SPACE).u32(0x4000_0001).password(&[]).sized(&[0x41; 64]).sized(&public(COUNTER));
    tpm.send("TPM2_NV_DefineSpace", define, "").unwrap();
    let mut increment = |index: &Index| {
        let key = key::endorsement(&mut tpm).unwrap();
        let session = session::start(&mut tpm, &key).unwrap();
        let done = command(&mut tpm, &session, index, INCREMENT);
        wire::flush(&mut tpm, session.handle).unwrap();
        key.flush(&mut tpm).unwrap();
        done
    };
    increment(&counter(COUNTER)).unwrap();
    increment(&counter(COUNTER | WRITTEN)).unwrap();
    let refused = |done: Result<(), CollectError>| matches!(done, Err(CollectError::Tpm { code: 0x98e | 0x9a2, .. }));
    assert!(refused(increment(&counter(COUNTER))), "another name");
    assert!(refused(increment(&Index { auth: [0x42; 64], ..counter(COUNTER | WRITTEN) })), "another authorization");
    let left = [0x0200_0000, 0x8000_0000].map(|first| wire::handles(&mut tpm, first, 8).unwrap());
    assert_eq!(left, [Vec::<u32>::new(), Vec::new()], "sessions and keys are gone");
}
