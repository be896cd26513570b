//! Seccomp filters (seccomp(2)). Errors are what was found.
//!
//! What is not allowed fails with an error and does not kill: a C library of another version then does without, where it can, and the pods
//! of the node are not cut off by it. To an attacker both give the same: nothing.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Op, SeccompCondition as Condition, SeccompFilter, SeccompRule,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Bit of the x32 system calls, which x86-64 kernels may have besides (syscall numbers of the ABI).
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Allowed to the network process whatever the arguments: sockets that it has, waiting, memory, threads, time, and files that Landlock lets
/// through.
const NETWORK: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_uname,
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
];
/// The same calls by their older numbers, which newer architectures don't have.
#[cfg(target_arch = "x86_64")]
const NETWORK_OLDER: &[i64] = &[libc::SYS_poll, libc::SYS_epoll_wait, libc::SYS_open, libc::SYS_stat, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const NETWORK_OLDER: &[i64] = &[];

/// Denied to the privileged process: other programs, other processes' memory and files, the kernel itself, and io_uring, which makes
/// sockets without socket(2).
const NOT_PRIVILEGED: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_pivot_root,
    libc::SYS_acct,
];

/// Only what a TLS client needs. Sockets are IPv4 and IPv6 alone, memory is never executable, limits are read and not set.
pub(super) fn allow_to_network() -> Result<(), String> {
    let mut rules: Rules = NETWORK.iter().chain(NETWORK_OLDER).map(|call| (*call, Vec::new())).collect();
    let not_executable = || is(2, Op::MaskedEq(number(libc::PROT_EXEC)), 0);
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_socket, vec![rule(is(0, Op::Eq, number(libc::AF_INET)))?, rule(is(0, Op::Eq, number(libc::AF_INET6)))?]);
    rules.insert(libc::SYS_mmap, vec![rule(not_executable())?]);
    rules.insert(libc::SYS_mprotect, vec![rule(not_executable())?]);
    rules.insert(libc::SYS_ioctl, vec![rule(is(1, Op::Eq, libc::FIONBIO))?, rule(is(1, Op::Eq, libc::FIONREAD))?]);
    rules.insert(libc::SYS_prctl, vec![rule(is(0, Op::Eq, number(libc::PR_SET_NAME)))?, rule(is(0, Op::Eq, number(libc::PR_SET_VMA)))?]);
    // Pairs that can be connected to nothing else, for the event loop.
    rules.insert(libc::SYS_socketpair, vec![rule(is(1, Op::MaskedEq(0xf), number(libc::SOCK_STREAM)))?]);
    // Not F_SETOWN, by which the kernel sends signals.
    let commands = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC];
    rules.insert(libc::SYS_fcntl, commands.into_iter().map(|command| rule(is(1, Op::Eq, number(command)))).collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_prlimit64, vec![rule(quad(2, Op::Eq, 0))?]);
    rules.insert(libc::SYS_tgkill, vec![rule(is(0, Op::Eq, own))?]);
    apply(rules, SeccompAction::Errno(number32(libc::EPERM)), SeccompAction::Allow)
}

/// Everything but [`NOT_PRIVILEGED`] and, unless its TPM is reached that way, sockets that are not Unix.
pub(super) fn deny_to_privileged(network: bool) -> Result<(), String> {
    let mut rules: Rules = NOT_PRIVILEGED.iter().map(|call| (*call, Vec::new())).collect();
    if network {
        // Its connection to a software TPM that hangs is ended by a second descriptor (`owner/wedge.rs`).
        rules.remove(&libc::SYS_pidfd_getfd);
    } else {
        rules.insert(libc::SYS_socket, vec![rule(is(0, Op::Ne, number(libc::AF_UNIX)))?]);
    }
    #[cfg(target_arch = "x86_64")]
    {
        let others: Vec<_> = rules.iter().map(|(call, rules)| (call | X32, rules.clone())).collect();
        rules.extend(others);
    }
    apply(rules, SeccompAction::Allow, SeccompAction::Errno(number32(libc::EACCES)))
}

fn apply(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<(), String> {
    let architecture = std::env::consts::ARCH.try_into().map_err(|e: seccompiler::BackendError| e.to_string())?;
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture).map_err(|e| e.to_string())?;
    let program = BpfProgram::try_from(filter).map_err(|e| e.to_string())?;
    seccompiler::apply_filter(&program).map_err(|e| e.to_string())
}

type Wanted = Result<Condition, seccompiler::BackendError>;

fn rule(condition: Wanted) -> Result<SeccompRule, String> {
    condition.and_then(|condition| SeccompRule::new(vec![condition])).map_err(|e| e.to_string())
}

/// The low half of an argument.
fn is(argument: u8, op: Op, value: u64) -> Wanted {
    Condition::new(argument, Length::Dword, op, value)
}

/// A whole argument.
fn quad(argument: u8, op: Op, value: u64) -> Wanted {
    Condition::new(argument, Length::Qword, op, value)
}

fn number(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

fn number32(value: i32) -> u32 {
    value.cast_unsigned()
}
