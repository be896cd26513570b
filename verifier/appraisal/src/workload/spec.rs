//! The parts of the OCI runtime specification (config.json) that tell what a container may do. Parsing only.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::json::{Keys, Skipped, Text, object};

object! {
    /// config.md.
    Spec {
        process: Process<'a> = "process",
        root: Root<'a> = "root",
        mounts: Vec<SpecMount<'a>> = "mounts",
        hooks: Hooks = "hooks",
        annotations: Annotations<'a> = "annotations",
        linux: Linux<'a> = "linux",
    }
}

object! {
    /// config.md, Process.
    Process {
        args: Vec<Text<'a>> = "args",
        env: Vec<Text<'a>> = "env",
        cwd: Text<'a> = "cwd",
        user: User<'a> = "user",
        capabilities: Capabilities<'a> = "capabilities",
        no_new_privileges: bool = "noNewPrivileges",
    }
}

object! {
    /// config.md, POSIX-platform user.
    User {
        uid: u32 = "uid",
        gid: u32 = "gid",
    }
}

object! {
    /// config.md, Linux process.
    Capabilities {
        bounding: Vec<Text<'a>> = "bounding",
        effective: Vec<Text<'a>> = "effective",
        inheritable: Vec<Text<'a>> = "inheritable",
        permitted: Vec<Text<'a>> = "permitted",
        ambient: Vec<Text<'a>> = "ambient",
    }
}

object! {
    /// config.md, Root.
    Root { read_only: bool = "readonly", }
}

object! {
    /// config.md, Mounts.
    SpecMount {
        destination: Text<'a> = "destination",
        source: Text<'a> = "source",
        kind: Text<'a> = "type",
        options: Vec<Text<'a>> = "options",
    }
}

object! {
    /// config-linux.md.
    Linux {
        namespaces: Vec<Namespace<'a>> = "namespaces",
        devices: Vec<Device<'a>> = "devices",
        resources: Resources<'a> = "resources",
        read_only_paths: Vec<Text<'a>> = "readonlyPaths",
    }
}

object! {
    /// config-linux.md, Namespaces. Without a path a new one is made; one that is not listed is the node's.
    Namespace {
        kind: Text<'a> = "type",
        path: Text<'a> = "path",
    }
}

object! {
    /// config-linux.md, Devices.
    Device { path: Text<'a> = "path", }
}

object! {
    /// config-linux.md, Control groups.
    Resources { devices: Vec<DeviceRule<'a>> = "devices", }
}

object! {
    /// config-linux.md, Allowed device list.
    DeviceRule {
        allow: bool = "allow",
        kind: Text<'a> = "type",
        major: i64 = "major",
        minor: i64 = "minor",
        access: Text<'a> = "access",
    }
}

/// config.md, POSIX-platform hooks: how many there are, in whatever stage.
#[derive(Debug)]
pub(super) struct Hooks(pub(super) u32);

impl<'de> Deserialize<'de> for Hooks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Stages;
        impl<'de> Visitor<'de> for Stages {
            type Value = Hooks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("hooks by stage")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Hooks, A::Error> {
                let mut keys = Keys::default();
                let mut count = 0u32;
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    keys.insert(key)?;
                    let stage: Option<Vec<Skipped>> = map.next_value()?;
                    count = count.saturating_add(u32::try_from(stage.map_or(0, |hooks| hooks.len())).unwrap_or(u32::MAX));
                }
                Ok(Hooks(count))
            }
        }
        deserializer.deserialize_map(Stages)
    }
}

object! {
    /// The annotation by which containerd names the pod's sandbox.
    Annotations { sandbox_id: Text<'a> = "io.kubernetes.cri.sandbox-id", }
}
