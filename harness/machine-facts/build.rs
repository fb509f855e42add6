//! Records what the binary was built from: rustc, target, optimization, git commit.
//!
//! Every value is set in every build, as "unknown" where it can't be had, so that the crate also
//! builds from a tarball and on a machine without git.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

const UNKNOWN: &str = "unknown";

/// What can change the machine code. A change elsewhere (a README, a result) makes no build dirty.
const SOURCES: [&str; 3] = [":/*.rs", ":/*.toml", ":/*.lock"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    set("HARNESS_RUSTC", rustc_version());
    set("HARNESS_TARGET", env::var("TARGET").ok());
    set("HARNESS_OPT_LEVEL", env::var("OPT_LEVEL").ok());
    watch_rustflags();
    // Cargo separates them by a control character. None at all are known to be none.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").ok();
    let flags = flags.map(|flags| flags.replace('\u{1f}', " "));
    println!(
        "cargo::rustc-env=HARNESS_RUSTFLAGS={}",
        flags.unwrap_or_default()
    );

    // A copy that lies unpacked inside somebody else's repository would otherwise be labelled with
    // that repository's commit.
    let tracked = git(["ls-files", "--error-unmatch", "build.rs"]).is_some();
    let commit = git(["rev-parse", "--short=12", "HEAD"]).filter(|_| tracked);
    let dirty = commit.as_ref().and_then(|_| is_dirty());
    if commit.is_some() {
        watch_head();
        watch_sources();
    }
    let changes = if dirty == Some(true) {
        ", modified"
    } else {
        ""
    };
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let of = commit.as_deref().unwrap_or(UNKNOWN);
    set(
        "HARNESS_BUILD",
        Some(format!("{version} (commit {of}{changes})")),
    );
    set("HARNESS_COMMIT", commit);
    set("HARNESS_DIRTY", dirty.map(|dirty| dirty.to_string()));
}

/// Where flags come from besides configuration files; they may name another set of flags for the
/// target than the one this script is compiled with.
fn watch_rustflags() {
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
    ] {
        println!("cargo::rerun-if-env-changed={name}");
    }
}

fn set(name: &str, value: Option<String>) {
    let value = value.filter(|value| !value.is_empty());
    println!(
        "cargo::rustc-env={name}={}",
        value.as_deref().unwrap_or(UNKNOWN)
    );
}

fn rustc_version() -> Option<String> {
    let version = run(Command::new(env::var_os("RUSTC")?).arg("--version"))?;
    Some(version.trim_start_matches("rustc ").to_owned())
}

fn is_dirty() -> Option<bool> {
    let changes = git(["status", "--porcelain", "--untracked-files=no", "--"]
        .into_iter()
        .chain(SOURCES))?;
    Some(!changes.is_empty())
}

/// Runs this script again when HEAD is switched or the branch it names moves.
///
/// `--git-path` knows where these lie in a worktree, whose `.git` is a file.
fn watch_head() {
    watch_git_path("HEAD");
    watch_git_path("packed-refs");
    watch_git_path("reftable/tables.list");
    if let Some(branch) = git(["symbolic-ref", "-q", "HEAD"]) {
        watch_ref(&branch);
    }
}

fn watch_git_path(name: &str) {
    if let Some(path) = git(["rev-parse", "--git-path", name]).map(PathBuf::from) {
        // A path that isn't there would have cargo run this script in every build.
        if path.exists() {
            watch(&path);
        }
    }
}

/// A packed ref has no file of its own. The next commit creates one, which changes a directory.
fn watch_ref(name: &str) {
    let path = git(["rev-parse", "--git-path", name]).map(PathBuf::from);
    let existing = path
        .iter()
        .flat_map(|path| path.ancestors())
        .find(|path| path.exists());
    // In a repository with reftables `refs/heads` is a plain file; it never changes, and
    // `tables.list` does.
    if let Some(path) = existing {
        watch(path);
    }
}

/// Cargo doesn't run a crate's build script for an edit in another crate: without this, a binary
/// with local changes to the model would still call itself clean.
fn watch_sources() {
    let Some(files) = git(["ls-files", "-z", "--"].into_iter().chain(SOURCES)) else {
        return;
    };
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        watch(Path::new(file));
    }
}

fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

fn git<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Option<String> {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(env::var_os("CARGO_MANIFEST_DIR")?)
        // `git status` would write the index of a commit that is made at the same time.
        .env("GIT_OPTIONAL_LOCKS", "0");
    // Set for hooks, relative to a directory that isn't ours.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    run(&mut command)
}

fn run(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
