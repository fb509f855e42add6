//! Run directories that can't be read: each is told in one line that names the file and what is
//! wrong with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use measuring::rounds::{self, Finished, Group, Observer, Plan, Rounds};
use measuring::storms::Storms;
use measuring::summary::Results;
use reporting::record::{Run, SCHEMA_VERSION, Side};
use reporting::writer::RunWriter;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Collector(Results);

impl Observer for Collector {
    fn cell_begins(&mut self, _round: u32, _scheme: &str, _storm: &str, _threads: u32) {}

    fn cell_ended(&mut self, finished: Finished) {
        self.0.add(finished);
    }

    fn round_ended(&mut self, _round: u32) -> Result<(), String> {
        Ok(())
    }

    fn widest_interval(&self) -> f64 {
        f64::INFINITY
    }
}

/// The files of a small whole run; measured once, since it is only read.
static FILES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let setup = measuring::fixture::small();
    let plan = Plan {
        subjects: vec![Schemes::<Native>::named("page-locked").unwrap().into()],
        groups: vec![Group {
            storm: Storms::<Native>::named("none").unwrap(),
            fault_threads: 1,
            calibrated: false,
        }],
        rounds: Rounds::Fixed(2),
        controls: Vec::new(),
        seed: 5,
    };
    let header = reporting::fixture::header();
    let mut collector = Collector(Results::default());
    let (clock, cancel) = (Clock::new(), Cancel::default());
    let ended = rounds::run(&plan, &setup, &clock, &cancel, &mut collector).unwrap();
    let run = Run::new(&header, &plan, &setup, &collector.0, Some(ended));
    let parent = tempfile::tempdir().unwrap();
    let writer = RunWriter::create(parent.path(), "test", &plan).unwrap();
    writer.write(&run, &plan, &collector.0).unwrap();
    let directory = writer.finish().unwrap();
    let entries = fs::read_dir(directory).unwrap();
    let file = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    entries.map(|entry| file(entry.unwrap().path())).collect()
});

/// A whole run in a directory of its own.
fn whole() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, contents) in FILES.iter() {
        fs::write(directory.path().join(name), contents).unwrap();
    }
    directory
}

/// The whole run with another `run.json`.
fn with(json: &[u8]) -> TempDir {
    let directory = whole();
    fs::write(directory.path().join("run.json"), json).unwrap();
    directory
}

/// The `run.json` of the whole run.
fn json() -> Value {
    let (_, bytes) = FILES.iter().find(|(name, _)| name == "run.json").unwrap();
    serde_json::from_slice(bytes).unwrap()
}

const HLOG: &str = "none-1-page-locked-faults.hlog";

/// The latencies of the faults of the only scheme.
fn latencies(directory: &Path) -> Result<u64, String> {
    let run = Run::read(directory).map_err(|error| error.to_string())?;
    let group = &run.summary[0];
    let read = Run::read_latencies(directory, group, &group.rows[0], Side::Faults);
    let read = read.map_err(|error| error.to_string())?;
    Ok(read.unwrap().len())
}

#[track_caller]
fn assert_line(line: &str, named: &Path, reason: &str) {
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(
        line.contains(named.to_str().unwrap()),
        "{line} lacks {named:?}"
    );
    assert!(line.contains(reason), "{line} lacks {reason:?}");
}

#[track_caller]
fn assert_unread(directory: &Path, named: &Path, reason: &str) {
    assert_line(
        &Run::read(directory).unwrap_err().to_string(),
        named,
        reason,
    );
}

#[test]
fn a_whole_run_is_read_and_what_it_has_besides_is_no_matter() {
    let directory = whole();
    let count = latencies(directory.path()).unwrap();
    assert!(count > 0);
    let mut json = json();
    json["invented"] = json!({"by": "a later version"});
    json["environment"]["invented"] = json!(7);
    json["summary"][0]["rows"][0]["invented"] = json!(null);
    json["rounds"][0]["invented"] = json!([]);
    let directory = with(json.to_string().as_bytes());
    assert_eq!(latencies(directory.path()), Ok(count));
}

#[test]
fn what_is_no_run_directory_is_told_as_what_it_is() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("missing");
    assert_unread(&missing, &missing, "No such file");
    assert_unread(root.path(), root.path(), "there is no run.json in it");
    let file = root.path().join("file");
    fs::write(&file, "{}").unwrap();
    assert_unread(&file, &file, "it is a file");
    let json = root.path().join("run.json");
    fs::create_dir(&json).unwrap();
    assert_unread(root.path(), &json, "directory");
    fs::remove_dir(&json).unwrap();
    std::os::unix::fs::symlink("run.json", &json).unwrap();
    assert_unread(root.path(), &json, "symbolic links");
}

#[test]
fn a_run_json_of_nobody_or_of_others_is_told_with_what_it_lacks() {
    for (bytes, reason) in [
        (&b""[..], "no JSON"),
        (b"\n\n\n", "no JSON"),
        (b"\0\0\0\0", "no JSON"),
        (b"\xff\xfe{}", "no JSON"),
        (b"scheme\tstorm\n", "no JSON"),
        (b"{\"schema_version\": 2}}", "no JSON"),
        (b"null", "schema_version"),
        (b"[]", "schema_version"),
        (b"[{\"schema_version\": 2}]", "schema_version"),
        (b"{}", "schema_version"),
        (b"{\"schema_version\": \"2\"}", "schema_version"),
        (b"{\"schema_version\": 2.5}", "schema_version"),
        (b"{\"schema_version\": -2}", "schema_version"),
        (b"{\"schema_version\": 2}", "missing field"),
        (
            b"{\"schema_version\": 1, \"schema_version\": 2}",
            "\"schema_version\" is there twice",
        ),
        (
            b"{\"schema_version\": 2, \"rounds\": [{\"a\": null, \"b\": {}, \"a\": 1.5}]}",
            "\"a\" is there twice",
        ),
        (b"{\"fio version\": \"fio-3.36\"}", "schema_version"),
    ] {
        let directory = with(bytes);
        let json = directory.path().join("run.json");
        assert_unread(directory.path(), &json, reason);
    }
    // So deep that a parser that follows it runs out of stack.
    let directory = with("[".repeat(1_000_000).as_bytes());
    let json = directory.path().join("run.json");
    assert_unread(directory.path(), &json, "no JSON");
}

#[test]
fn files_that_are_missing_or_unreadable_are_named_as_what_they_are() {
    let directory = whole();
    let run = Run::read(directory.path()).unwrap();
    let lost = || {
        let lost = run.lost_files(directory.path()).into_iter();
        let lost = lost.map(|(name, error)| (name, error.raw_os_error().unwrap_or(0)));
        lost.collect::<Vec<_>>()
    };
    assert_eq!(lost(), []);
    let table = HLOG.replace("hlog", "hgrm");
    let (log_path, table_path) = (directory.path().join(HLOG), directory.path().join(&table));
    fs::remove_file(&log_path).unwrap();
    let log = |code| (HLOG.to_owned(), code);
    assert_eq!(lost(), [log(libc::ENOENT)]);
    fs::remove_file(&table_path).unwrap();
    assert_eq!(lost(), [(table.clone(), libc::ENOENT), log(libc::ENOENT)]);
    // They are there, and can't be read even by root.
    std::os::unix::fs::symlink(&log_path, &log_path).unwrap();
    fs::create_dir(&table_path).unwrap();
    assert_eq!(lost(), [(table, libc::EISDIR), log(libc::ELOOP)]);
}

#[test]
fn other_versions_are_told_with_theirs_and_ours() {
    for (version, age) in [
        (0, "older"),
        (SCHEMA_VERSION - 1, "older"),
        (SCHEMA_VERSION + 1, "newer"),
        (u32::MAX, "newer"),
    ] {
        let mut json = json();
        json["schema_version"] = json!(version);
        let directory = with(json.to_string().as_bytes());
        let file = directory.path().join("run.json");
        let reason = format!("{version}, {age} than this program's, which is {SCHEMA_VERSION}");
        assert_unread(directory.path(), &file, &reason);
    }
}

#[test]
fn a_run_json_that_is_cut_off_anywhere_is_no_run() {
    let text = json().to_string();
    for length in (0..text.len()).step_by(97).chain([text.len() - 1]) {
        let directory = with(&text.as_bytes()[..length]);
        let file = directory.path().join("run.json");
        assert_unread(directory.path(), &file, "no JSON");
    }
}

#[test]
fn fields_that_are_missing_or_of_another_type_are_named() {
    for field in [
        "complete",
        "started",
        "configuration",
        "summary",
        "rounds",
        "elapsed_s",
    ] {
        let mut json = json();
        json.as_object_mut().unwrap().remove(field);
        let directory = with(json.to_string().as_bytes());
        let file = directory.path().join("run.json");
        assert_unread(directory.path(), &file, field);
    }
    for (at, value, reason) in [
        ("/complete", json!("yes"), "boolean"),
        ("/started", json!("yesterday\nor so"), "year"),
        ("/started", json!(5), "5"),
        ("/elapsed_s", json!({}), "f64"),
        ("/summary", json!(7), "7"),
        ("/rounds", json!({}), "map"),
        ("/rounds/0/threads", json!(-1), "-1"),
        ("/rounds/0/threads", json!(1e300), "threads is 1e300"),
        ("/rounds/0/storm", json!(null), "null"),
        ("/summary/0/rows/0/latency/count", json!("many"), "many"),
        ("/configuration/seed", json!([]), "sequence"),
    ] {
        let mut json = json();
        *json.pointer_mut(at).unwrap_or_else(|| panic!("{at}")) = value;
        let directory = with(json.to_string().as_bytes());
        let file = directory.path().join("run.json");
        assert_unread(directory.path(), &file, reason);
    }
}

#[test]
fn a_histogram_that_is_cut_off_anywhere_is_told() {
    let directory = whole();
    let path = directory.path().join(HLOG);
    let (count, text) = (
        latencies(directory.path()).unwrap(),
        fs::read(&path).unwrap(),
    );
    // All near the edges of lines, and some of what lies between.
    let near_an_edge = |&length: &usize| {
        let around = &text[length.saturating_sub(4)..(length + 4).min(text.len())];
        around.contains(&b'\n') || length % 61 == 0
    };
    for length in (0..text.len()).filter(near_an_edge) {
        fs::write(&path, &text[..length]).unwrap();
        match latencies(directory.path()) {
            // The last line's end is all that is missing.
            Ok(read) => assert_eq!((read, length), (count, text.len() - 1)),
            Err(line) => assert_line(&line, &path, ""),
        }
    }
}

#[test]
fn a_histogram_that_is_damaged_is_told_and_nobody_panics() {
    let directory = whole();
    let path = directory.path().join(HLOG);
    let (count, text) = (
        latencies(directory.path()).unwrap(),
        fs::read(&path).unwrap(),
    );
    for place in (0..text.len()).step_by(7) {
        for damage in [b'!', b'A', b'\n', 0, 0xff] {
            let mut text = text.clone();
            text[place] = damage;
            fs::write(&path, &text).unwrap();
            match latencies(directory.path()) {
                // Times, maxima, tags and comments are not what is read here.
                Ok(read) => assert_eq!(read, count),
                Err(line) => assert_line(&line, &path, ""),
            }
        }
    }
}

#[test]
fn a_histogram_of_another_run_or_of_none_is_told() {
    let directory = whole();
    let path = directory.path().join(HLOG);
    let text = fs::read_to_string(&path).unwrap();
    let of = |contents: &[u8], reason: &str| {
        fs::write(&path, contents).unwrap();
        assert_line(&latencies(directory.path()).unwrap_err(), &path, reason);
    };
    let last = text.lines().last().unwrap();
    of(format!("{text}{last}\n").as_bytes(), "that run.json counts");
    of(b"", "it has 0 of the");
    of(
        b"     Value     Percentile TotalCount 1/(1-Percentile)\n",
        "isn't one of an interval log",
    );
    of(&[0x1f, 0x8b, 8, 0, 0, 0], "isn't one of an interval log");
    fs::remove_file(&path).unwrap();
    assert_line(
        &latencies(directory.path()).unwrap_err(),
        &path,
        "No such file",
    );
    fs::create_dir(&path).unwrap();
    assert_line(
        &latencies(directory.path()).unwrap_err(),
        &path,
        "directory",
    );
}

#[test]
fn what_may_not_be_read_is_told() {
    for name in ["run.json", HLOG] {
        let directory = whole();
        let path = directory.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::read(&path).is_ok() {
            eprintln!("skipped: root may read anything");
            return;
        }
        let line = latencies(directory.path()).unwrap_err();
        assert_line(&line, &path, "Permission denied");
    }
}
