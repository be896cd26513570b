//! The process that restricts itself as the attester's do, and then tries things. One line for each attempt; it ends with its standard input.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::{net::UnixStream, process::CommandExt as _},
    process::{Command, ExitCode},
};

use nix::{sys::ptrace, unistd::Pid};
use podseal_node_attester::hardening::{self, Exception, Exceptions, HardeningError, User};
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socket, socketpair},
    process::{DumpableBehavior, Resource, Rlimit, dumpable_behavior, setrlimit},
};

use crate::site::NOBODY;

pub(crate) fn run(state: &str, attempts: &[String]) -> ExitCode {
    let (state, port) = state.split_once('@').unwrap();
    if let Err(error) = restrict(state, port.parse().unwrap()) {
        println!("refused: {error}");
        return ExitCode::FAILURE;
    }
    for attempt in attempts {
        let answer = attempted(attempt);
        println!("{attempt} {answer}");
    }
    println!("done");
    io::stdout().flush().unwrap();
    let _ended = io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

fn restrict(state: &str, port: u16) -> Result<(), HardeningError> {
    let (none, user) = (Exceptions::default(), User { uid: NOBODY, gid: NOBODY });
    match state {
        "free" => Ok(()),
        "network" => hardening::network(user, &none, port),
        "privileged" => hardening::privileged(&none, false),
        "privileged-swtpm" => hardening::privileged(&none, true),
        "privileged-swtpm-excepted" => hardening::privileged(&[Exception::PrivilegedNetwork].into_iter().collect(), true),
        other => panic!("no state {other}"),
    }
}

fn attempted(attempt: &str) -> String {
    let (verb, object) = attempt.split_once(':').unwrap_or((attempt, ""));
    let pid = || object.parse().unwrap();
    let tried: io::Result<()> = match verb {
        "open" => File::open(object).map(drop),
        "list" => fs::read_dir(object).map(drop),
        "make" => File::create(object).map(drop),
        // Made anew by the next, so that each process finds one.
        "remove" => fs::remove_file(object).and_then(|()| File::create(object).map(drop)),
        "unix" => UnixStream::connect(object).map(drop),
        "tcp" => TcpStream::connect(("127.0.0.1", object.parse().unwrap())).map(drop),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "netlink" => socket(AddressFamily::NETLINK, SocketType::RAW, None).map(drop).map_err(Into::into),
        "datagram-pair" => socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::empty(), None).map(drop).map_err(Into::into),
        "ptrace" => ptrace::attach(Pid::from_raw(pid()))
            .and_then(|()| nix::sys::wait::waitpid(Pid::from_raw(pid()), None))
            .and_then(|_| ptrace::detach(Pid::from_raw(pid()), None))
            .map_err(Into::into),
        "signal" => rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid()).unwrap()).map_err(Into::into),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().unwrap()),
        "exec" => Err(Command::new("/bin/sh").args(["-c", "echo exec ok; echo done; cat"]).exec()),
        "raise-core" => setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(Into::into),
        "dumpable" => return if dumpable_behavior().is_ok_and(|b| b == DumpableBehavior::NotDumpable) { "no" } else { "yes" }.into(),
        other => panic!("no attempt {other}"),
    };
    match tried.map_err(|error| (error.raw_os_error(), error)) {
        Ok(()) => "ok".to_owned(),
        Err((Some(code), _)) => format!("{:?}", nix::errno::Errno::from_raw(code)),
        Err((None, error)) => error.to_string(),
    }
}
