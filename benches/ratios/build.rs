//! How long a program takes to build.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Extent;
use crate::pairs::time;

/// What the program without this crate depends on, as this crate does.
const DEPENDENCIES: [&str; 2] = ["aws-config", "aws-sdk-dynamodb"];

/// The time that a program takes to build with this crate, over that of one with the SDK alone; from nothing, each
/// once.
pub(crate) fn build(_: Extent) -> f64 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    let is_theirs =
        |line: &&str| DEPENDENCIES.iter().any(|name| line.split(" = ").next() == Some(name));
    let sdk: Vec<&str> = manifest.lines().filter(is_theirs).collect();
    assert_eq!(sdk.len(), DEPENDENCIES.len(), "the manifest has each dependency once: {sdk:?}");
    let ours = format!("memory-table = {{ path = {:?} }}", root.display().to_string());
    let theirs = built(root, &sdk.join("\n"));
    built(root, &ours) / theirs
}

/// Seconds that a program with these dependencies takes to build.
fn built(root: &Path, dependencies: &str) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = format!(
        "[package]\nname = \"program\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\n{dependencies}\n\n[workspace]\n"
    );
    fs::create_dir(folder.path().join("src")).expect("a folder");
    fs::write(folder.path().join("Cargo.toml"), manifest).expect("a manifest");
    fs::write(folder.path().join("src/main.rs"), "fn main() {}\n").expect("a program");
    // The same versions as here.
    fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("the versions");
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        let target = folder.path().join("target");
        let cargo = cargo.args(arguments).current_dir(&folder).env("CARGO_TARGET_DIR", target);
        assert!(cargo.status().expect("cargo runs").success());
    };
    cargo(&["fetch", "--quiet"]);
    time(|| cargo(&["build", "--quiet"]))
}
