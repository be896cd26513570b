//! Two policies: one that pins every claim there is for one pod, and one as a team would have reviewed it.

use podseal_protocol::Digest;

use super::pod::Pod;

pub(crate) const SECRETS: [&str; 2] = ["payments/db", "payments/api-key"];

fn permits(conditions: &str) -> String {
    let permit = |secret: &str| {
        let id = secret.replace('/', "-");
        format!("@id(\"{id}\")\npermit (principal, action == Action::\"release\", resource == Secret::\"{secret}\")\n{conditions};\n")
    };
    SECRETS.map(permit).concat()
}

fn hash(bytes: &Digest) -> String {
    format!("\"sha256:{bytes}\"")
}

fn arguments(verifier: &Digest) -> String {
    let json = format!(r#"["/podseal/launch","--verifier","{verifier}","--","/usr/local/bin/payment-api","--port=8443"]"#);
    format!("{json:?}")
}

const MOUNTS: &[(&str, &str, bool)] = &[
    ("/proc", "kernel", false),
    ("/dev", "kernel", false),
    ("/dev/pts", "kernel", false),
    ("/dev/mqueue", "kernel", false),
    ("/sys", "kernel", false),
    ("/sys/fs/cgroup", "kernel", false),
    ("/etc/hosts", "hosts", false),
    ("/dev/termination-log", "hosts", false),
    ("/etc/hostname", "hosts", true),
    ("/etc/resolv.conf", "hosts", true),
    ("/dev/shm", "kernel", false),
    ("/podseal", "podseal", true),
    ("/tmp", "emptyDir", false),
];

fn mounts() -> String {
    let one = |(destination, kind, read_only): &(&str, &str, bool)| {
        format!("{{ destination: {destination:?}, kind: {kind:?}, read_only: {read_only} }}")
    };
    format!("[{}]", MOUNTS.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// What the reviewed policy says of the node.
const NODE: &str = r#"when {
    context.cluster == "prod-eu" && context.profile == "tpm" && context.boot == "kernel" && context.secure_boot
}"#;

/// Any replica of the payment API: names instead of values where replicas differ.
pub(crate) fn reviewed(verifier: &Digest) -> String {
    permits(&format!(
        r#"when {{
    principal.cluster == "prod-eu" && principal.namespace == "payments" && principal.service_account == "payment-api" &&
    principal.token_names_node && principal.container == "api"
}}
when {{
    principal.image == {image} && principal.launcher == {launcher} && principal.args == {args}
}}
when {{ ["PATH", "HOSTNAME", "LISTEN"].containsAll(principal.env_names) }}
when {{ {mounts}.containsAll(principal.mounts) }}
when {{ principal.devices.isEmpty() && principal.uid == 10001 && principal.read_only_root && principal.no_new_privileges }}
{NODE}"#,
        image = hash(&Digest::of(b"payment-api manifest")),
        launcher = hash(&Digest::of(b"podseal-launch")),
        args = arguments(verifier),
        mounts = mounts(),
    ))
}

/// Every attribute of the schema, each with the one value that the honest pod has.
pub(crate) fn every_claim(verifier: &Digest, pod: &Pod) -> String {
    let variables = pod.spec["process"]["env"].as_array().unwrap().iter().map(|entry| {
        let (name, value) = entry.as_str().unwrap().split_once('=').unwrap();
        format!("{{ name: {name:?}, value: {} }}", hash(&Digest::of(value.as_bytes())))
    });
    let env = variables.collect::<Vec<_>>().join(", ");
    let leaf = &pod.leaf;
    let workload = [
        ("cluster", format!("{:?}", leaf.cluster)),
        ("namespace", format!("{:?}", leaf.namespace)),
        ("pod", format!("{:?}", leaf.pod)),
        ("service_account", format!("{:?}", leaf.service_account)),
        ("container", format!("{:?}", leaf.container)),
        ("image", hash(&leaf.image_manifest)),
        ("image_config", hash(&leaf.image_config)),
        ("launcher", hash(&leaf.launcher)),
        ("args", arguments(verifier)),
        ("env_names", r#"["PATH", "HOSTNAME", "LISTEN"]"#.to_owned()),
        ("env", format!("[{env}]")),
        ("mounts", mounts()),
        ("cwd", r#""/""#.to_owned()),
        ("hooks", "0".to_owned()),
        ("uid", "10001".to_owned()),
        ("gid", "10001".to_owned()),
        ("capabilities", r#"["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"]"#.to_owned()),
        ("privileged", "false".to_owned()),
        ("host_network", "false".to_owned()),
        ("host_pid", "false".to_owned()),
        ("host_ipc", "false".to_owned()),
        ("shared_pid_namespace", "false".to_owned()),
        ("read_only_root", "true".to_owned()),
        ("no_new_privileges", "true".to_owned()),
        ("siblings", format!("[{{ name: \"proxy\", image: {}, privileged: false }}]", hash(&Digest::of(b"proxy manifest")))),
        ("token_names_node", "true".to_owned()),
        ("pod_execs", "0".to_owned()),
    ];
    let node = [
        ("node", r#""node-a""#),
        ("cluster", r#""prod-eu""#),
        ("profile", r#""tpm""#),
        ("memory", r#""none""#),
        ("boot", r#""kernel""#),
        ("tpm_in_tee", "false"),
        ("agent", r#""self-asserted""#),
        ("root", r#""test""#),
        ("secure_boot", "true"),
        ("pod_log", r#""observed""#),
        ("pod_log_gaps", "0"),
    ];
    let mut all: Vec<String> = workload.iter().map(|(name, value)| format!("principal.{name} == {value}")).collect();
    all.extend(node.iter().map(|(name, value)| format!("context.{name} == {value}")));
    all.push("principal.devices.isEmpty()".to_owned());
    all.push("context.privileged_images.isEmpty()".to_owned());
    all.push("context.agent_exceptions.isEmpty()".to_owned());
    all.push(r#"resource.accepts == ["host-trusted", "test-root"]"#.to_owned());
    permits(&format!("when {{\n{}\n}}\nwhen {{ [\"payments/db\", \"payments/api-key\"].contains(resource.name) }}", all.join(" &&\n")))
}
