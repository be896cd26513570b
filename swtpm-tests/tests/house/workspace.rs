//! The workspace as files and as crates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Folders that hold what was built, not what was written.
const BUILT: [&str; 5] = ["target", ".git", "demo.run", "corpus", "artifacts"];

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned())
}

/// A file of the workspace, by its path from the root.
#[derive(Debug)]
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file that was written by hand, in the order of its path.
pub(crate) fn files() -> &'static [TextFile] {
    static FILES: OnceLock<Vec<TextFile>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut found = Vec::new();
        walk(root(), &mut found);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    })
}

fn walk(folder: &Path, found: &mut Vec<TextFile>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry of that folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_symlink() || BUILT.contains(&name) {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).expect("below the root").to_str().expect("UTF-8").to_owned();
            found.push(TextFile { path, text });
        }
    }
}

/// The files with one of these endings.
pub(crate) fn ending(endings: &'static [&'static str]) -> impl Iterator<Item = &'static TextFile> {
    files().iter().filter(move |file| endings.iter().any(|ending| file.path.ends_with(ending)))
}

/// A document, by its path from the root.
pub(crate) fn document(path: &str) -> &'static str {
    let found = files().iter().find(|file| file.path == path);
    &found.unwrap_or_else(|| panic!("found no {path}, wanted it: README and CONTRIBUTING point there")).text
}

/// What cargo says on standard output.
fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(program).args(arguments).arg("--offline").current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// A member of the workspace, as its manifest has it.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its folder, from the root.
    pub(crate) folder: String,
    /// Whether its manifest declares cargo features, and which.
    pub(crate) features: Vec<String>,
    /// Names of the crates that it depends on in any way: normal, build, test.
    pub(crate) needs: BTreeSet<String>,
}

/// The members by name.
pub(crate) fn members() -> &'static BTreeMap<String, Member> {
    static MEMBERS: OnceLock<BTreeMap<String, Member>> = OnceLock::new();
    MEMBERS.get_or_init(|| {
        let metadata: serde_json::Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).expect("JSON");
        let packages = metadata["packages"].as_array().expect("packages");
        packages.iter().map(|package| (text(&package["name"]), member(package))).collect()
    })
}

fn member(package: &serde_json::Value) -> Member {
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok()).expect("below the root");
    Member {
        folder: folder.to_str().expect("UTF-8").to_owned(),
        features: package["features"].as_object().expect("features").keys().cloned().collect(),
        needs: package["dependencies"].as_array().expect("dependencies").iter().map(|need| text(&need["name"])).collect(),
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// Names of everything that is linked into a crate or runs while it is built, on the platform of this machine.
pub(crate) fn closure(member: &str, edges: &str) -> BTreeSet<String> {
    let tree = cargo(&["tree", "--package", member, "--edges", edges, "--prefix", "none", "--format", "{p}"]);
    tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
