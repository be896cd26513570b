//! The configuration as written, and its checks.

use std::{path::PathBuf, time::Duration};

use podseal_protocol::{Digest, Limits, Profile};
use podseal_wire::pinned::Timeouts;
use serde::Deserialize;
use toml::Spanned;

use crate::hardening::{Exception, Exceptions, User};

use super::{AkKind, Bounds, Config, Csi, Node, Tcti, Tpm, Verifier, Workload, evidence::RawEvidence};

/// Highest register that the binding of boot evidence may rest on: 16 and 23 can be reset, 17 to 22 hang on localities
/// (TCG PC Client PTP 1.05, section 4.5.1).
const HIGHEST_PCR: u8 = 15;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    node: RawNode,
    verifier: RawVerifier,
    tpm: Option<Spanned<RawTpm>>,
    runtime: RawRuntime,
    workload: RawWorkload,
    pod_log: Option<RawPodLog>,
    csi: Option<RawCsi>,
    #[serde(default)]
    evidence: RawEvidence,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    network: RawNetwork,
    #[serde(default)]
    hardening: RawHardening,
    #[serde(default)]
    log: RawLog,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNode {
    name: Spanned<String>,
    cluster: Spanned<String>,
    uid: Spanned<String>,
    boot_id: Option<Spanned<String>>,
    profile: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVerifier {
    address: Spanned<String>,
    id: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTpm {
    tcti: Spanned<String>,
    ak: Option<Spanned<String>>,
    ak_state: Spanned<String>,
    event_log: Option<Spanned<String>>,
    pcrs: Option<Spanned<Vec<u8>>>,
    ek_intermediates: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRuntime {
    socket: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWorkload {
    directory: Spanned<String>,
    launcher: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPodLog {
    file: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCsi {
    kubelet: Option<Spanned<String>>,
    socket: Option<Spanned<String>>,
    registration: Option<Spanned<String>>,
    directory: Option<Spanned<String>>,
}

impl RawCsi {
    fn check(&self) -> Result<Csi, Keyed> {
        let kubelet = path_or(self.kubelet.as_ref(), "csi.kubelet", "/var/lib/kubelet")?;
        let below = |value: &Option<Spanned<String>>, key, name: &str| {
            value.as_ref().map_or_else(|| Ok(kubelet.join(name)), |value| path(value, key))
        };
        Ok(Csi {
            socket: below(&self.socket, "csi.socket", "plugins/podseal.dev/csi.sock")?,
            registration: below(&self.registration, "csi.registration", "plugins_registry/podseal.dev-reg.sock")?,
            directory: path_or(self.directory.as_ref(), "csi.directory", "/run/podseal-csi")?,
            kubelet,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    connections: Option<Spanned<u64>>,
    frame_ms: Option<Spanned<u64>>,
    identify_ms: Option<Spanned<u64>>,
    tpm_ms: Option<Spanned<u64>>,
    round_ms: Option<Spanned<u64>>,
    attest_s: Option<Spanned<u64>>,
    connect_ms: Option<Spanned<u64>>,
    call_ms: Option<Spanned<u64>>,
    secrets_bytes: Option<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    uid: Option<Spanned<u64>>,
    gid: Option<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawHardening {
    #[serde(default)]
    exceptions: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLog {
    format: Option<Spanned<String>>,
}

/// A value that is not accepted, by its place in the file.
pub(super) struct Keyed {
    pub(super) at: usize,
    pub(super) key: &'static str,
    pub(super) found: String,
    pub(super) wanted: String,
    pub(super) remedy: &'static str,
}

fn wrong<T: core::fmt::Debug>(value: &Spanned<T>, key: &'static str, wanted: &str, remedy: &'static str) -> Keyed {
    let found = format!("{:?}", value.get_ref());
    Keyed { at: value.span().start, key, found: found.trim_matches('"').to_owned(), wanted: wanted.to_owned(), remedy }
}

impl RawConfig {
    pub(super) fn check(self) -> Result<Config, Keyed> {
        let limits = Limits::DEFAULT;
        let Self { node, verifier, tpm, runtime, workload, pod_log, csi, evidence, limits: bounds, network, hardening, log } = self;
        let ms = |value: &Option<Spanned<u64>>, key, default| milliseconds(value.as_ref(), key, default);
        let directory = path(&workload.directory, "workload.directory")?;
        let profile = profile(node.profile.as_ref())?;
        if let Some(log) = pod_log.as_ref().filter(|_| profile.pod_log().is_none()) {
            let wanted = format!("no pod log: hardware of the profile {profile} has no register for it");
            return Err(wrong(&log.file, "pod_log.file", &wanted, "remove [pod_log], and let owners accept no-pod-log by name"));
        }
        let at = node.name.span().start;
        Ok(Config {
            node: Node {
                name: name(node.name, "node.name", &limits)?,
                cluster: name(node.cluster, "node.cluster", &limits)?,
                uid: name(node.uid, "node.uid", &limits)?,
                boot_id: path_or(node.boot_id.as_ref(), "node.boot_id", "/proc/sys/kernel/random/boot_id")?,
                profile,
            },
            verifier: Verifier {
                address: address(verifier.address)?,
                id: identity(&verifier.id)?,
                timeouts: Timeouts {
                    connect: ms(&bounds.connect_ms, "limits.connect_ms", 3_000)?,
                    call: ms(&bounds.call_ms, "limits.call_ms", 10_000)?,
                },
            },
            tpm: tpm_of(tpm, profile, at)?,
            runtime_socket: path(&runtime.socket, "runtime.socket")?,
            workload: Workload {
                launcher: workload.launcher.as_ref().map_or_else(|| Ok(directory.join("launch")), |l| path(l, "workload.launcher"))?,
                directory,
            },
            pod_log: pod_log.map(|log| path(&log.file, "pod_log.file")).transpose()?,
            csi: csi.map(|csi| csi.check()).transpose()?,
            evidence: evidence.check()?,
            bounds: Bounds {
                limits,
                connections: usize::try_from(within(bounds.connections.as_ref(), "limits.connections", 256, 1, 65_536)?).unwrap_or(256),
                frame: ms(&bounds.frame_ms, "limits.frame_ms", 5_000)?,
                identify: ms(&bounds.identify_ms, "limits.identify_ms", 5_000)?,
                tpm: ms(&bounds.tpm_ms, "limits.tpm_ms", 15_000)?,
                round: ms(&bounds.round_ms, "limits.round_ms", 30_000)?,
                attest: Duration::from_secs(within(bounds.attest_s.as_ref(), "limits.attest_s", 900, 1, 86_400)?),
                secrets_bytes: within(bounds.secrets_bytes.as_ref(), "limits.secrets_bytes", 8 << 20, 64 << 10, 64 << 20)?,
            },
            network_user: User {
                uid: identifier(network.uid.as_ref(), "network.uid")?,
                gid: identifier(network.gid.as_ref(), "network.gid")?,
            },
            exceptions: exceptions(&hardening.exceptions)?,
            log_json: log_json(log.format.as_ref())?,
        })
    }
}

fn profile(value: Option<&Spanned<String>>) -> Result<Profile, Keyed> {
    let wanted = || Profile::ALL.map(Profile::as_str).join(", ");
    let unknown =
        |value| wrong(value, "node.profile", &format!("one of {}", wanted()), "name what proves this node, or leave it out for tpm");
    value.map_or(Ok(Profile::Tpm), |value| Profile::parse(value.get_ref()).ok_or_else(|| unknown(value)))
}

/// The TPM, which a guest without one need not have.
fn tpm_of(tpm: Option<Spanned<RawTpm>>, profile: Profile, at: usize) -> Result<Tpm, Keyed> {
    match tpm {
        Some(tpm) if profile.has_node_key() => Err(Keyed {
            at: tpm.span().start,
            key: "tpm",
            found: "a TPM".to_owned(),
            wanted: format!("none: the profile {profile} has no TPM"),
            remedy: "remove [tpm], or correct node.profile",
        }),
        Some(tpm) => tpm.into_inner().check(),
        None if profile.has_node_key() => Ok(Tpm::none()),
        None => Err(Keyed {
            at,
            key: "tpm",
            found: "nothing".to_owned(),
            wanted: format!("[tpm]: the profile {profile} has one"),
            remedy: "add [tpm] with tcti and ak_state, or correct node.profile",
        }),
    }
}

impl Tpm {
    /// Of a machine without one; nothing opens it.
    fn none() -> Self {
        let (tcti, nowhere) = (Tcti::Device("/dev/null".into()), PathBuf::from("/dev/null"));
        Self { tcti, ak: None, ak_state: nowhere.clone(), event_log: nowhere, pcrs: Vec::new(), ek_intermediates: None }
    }
}

impl RawTpm {
    fn check(self) -> Result<Tpm, Keyed> {
        let event_log = path_or(self.event_log.as_ref(), "tpm.event_log", "/sys/kernel/security/tpm0/binary_bios_measurements")?;
        let mut pcrs = (0..=9).collect();
        if let Some(given) = &self.pcrs {
            let ascending = given.get_ref().is_sorted_by(|a, b| a < b);
            if given.get_ref().is_empty() || !ascending || given.get_ref().iter().any(|pcr| *pcr > HIGHEST_PCR) {
                return Err(wrong(
                    given,
                    "tpm.pcrs",
                    "registers from 0 to 15, ascending, each once",
                    "list the registers that the policy needs",
                ));
            }
            pcrs = given.get_ref().clone();
        }
        Ok(Tpm {
            tcti: tcti(&self.tcti)?,
            ak: self.ak.as_ref().map(ak_kind).transpose()?,
            ak_state: path(&self.ak_state, "tpm.ak_state")?,
            event_log,
            pcrs,
            ek_intermediates: self.ek_intermediates.as_ref().map(|p| path(p, "tpm.ek_intermediates")).transpose()?,
        })
    }
}

fn name(value: Spanned<String>, key: &'static str, limits: &Limits) -> Result<String, Keyed> {
    let text = value.get_ref();
    if text.is_empty() || text.len() > limits.text || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong(&value, key, "1 to 512 bytes without spaces", "give the name as the cluster has it"));
    }
    Ok(value.into_inner())
}

fn path(value: &Spanned<String>, key: &'static str) -> Result<PathBuf, Keyed> {
    let path = PathBuf::from(value.get_ref());
    if path.is_absolute() { Ok(path) } else { Err(wrong(value, key, "an absolute path", "begin it with /")) }
}

pub(super) fn path_or(value: Option<&Spanned<String>>, key: &'static str, default: &str) -> Result<PathBuf, Keyed> {
    value.map_or_else(|| Ok(PathBuf::from(default)), |value| path(value, key))
}

fn address(value: Spanned<String>) -> Result<String, Keyed> {
    let authority = value.get_ref().strip_prefix("https://").and_then(|rest| rest.rsplit_once(':'));
    let good = authority.is_some_and(|(host, port)| !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|p| p != 0));
    if good {
        Ok(value.into_inner())
    } else {
        Err(wrong(&value, "verifier.address", "https://HOST:PORT", "give the verifier's gRPC address"))
    }
}

fn identity(value: &Spanned<String>) -> Result<Digest, Keyed> {
    let remedy = "copy the identity that `podseal-verifier init` printed";
    Digest::from_hex(value.get_ref()).ok_or_else(|| wrong(value, "verifier.id", "64 hexadecimal digits", remedy))
}

fn tcti(value: &Spanned<String>) -> Result<Tcti, Keyed> {
    let refuse = || {
        let wanted = "device:/PATH or swtpm:host=HOST,port=PORT";
        wrong(value, "tpm.tcti", wanted, "name the TPM's device, or the host and port of a software TPM")
    };
    if let Some(device) = value.get_ref().strip_prefix("device:") {
        return if device.starts_with('/') && !device.contains(',') { Ok(Tcti::Device(device.into())) } else { Err(refuse()) };
    }
    let pairs = value.get_ref().strip_prefix("swtpm:").ok_or_else(refuse)?;
    let (host, port) = pairs.split_once(',').ok_or_else(refuse)?;
    let host = host.strip_prefix("host=").filter(|h| !h.is_empty()).ok_or_else(refuse)?;
    let port = port.strip_prefix("port=").and_then(|p| p.parse().ok()).filter(|p| (1..u16::MAX).contains(p)).ok_or_else(refuse)?;
    Ok(Tcti::Swtpm { host: host.to_owned(), port })
}

fn ak_kind(value: &Spanned<String>) -> Result<AkKind, Keyed> {
    let kind = [AkKind::Rsa, AkKind::Ecc].into_iter().find(|kind| kind.as_str() == value.get_ref());
    kind.ok_or_else(|| wrong(value, "tpm.ak", "rsa or ecc", "choose one of them, or leave the key out"))
}

pub(super) fn within(value: Option<&Spanned<u64>>, key: &'static str, default: u64, least: u64, most: u64) -> Result<u64, Keyed> {
    match value {
        None => Ok(default),
        Some(value) if (least..=most).contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(value) => Err(wrong(value, key, &format!("{least} to {most}"), "choose one of these, or leave the key out")),
    }
}

fn milliseconds(value: Option<&Spanned<u64>>, key: &'static str, default: u64) -> Result<Duration, Keyed> {
    within(value, key, default, 10, 600_000).map(Duration::from_millis)
}

/// A user or group that is not root's; nobody's where none is given. The highest number means "none" to the kernel.
fn identifier(value: Option<&Spanned<u64>>, key: &'static str) -> Result<u32, Keyed> {
    within(value, key, 65_534, 1, u64::from(u32::MAX) - 1).map(|number| u32::try_from(number).unwrap_or(65_534))
}

fn exceptions(names: &[Spanned<String>]) -> Result<Exceptions, Keyed> {
    let wanted = || format!("one of {}", Exception::ALL.map(Exception::as_str).join(", "));
    let unknown = |name| wrong(name, "hardening.exceptions", &wanted(), "name what this node does without, or leave it out");
    names.iter().map(|name| Exception::named(name.get_ref()).ok_or_else(|| unknown(name))).collect()
}

fn log_json(value: Option<&Spanned<String>>) -> Result<bool, Keyed> {
    match value.map(|v| (v, v.get_ref().as_str())) {
        None | Some((_, "text")) => Ok(false),
        Some((_, "json")) => Ok(true),
        Some((value, _)) => Err(wrong(value, "log.format", "text or json", "choose one of them")),
    }
}
