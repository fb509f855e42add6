//! Short runs of every command, whose output is looked at as a script would: by the names of its
//! columns. They take minutes and want a release build, which `FAULT_AROUND` names; `.ci/smoke`
//! runs them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use kernel_model::race::{Family, families};

/// The program under test: a release build if one is named.
fn program() -> PathBuf {
    let named = std::env::var_os("FAULT_AROUND").map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_faultaround").into())
}

/// Runs the program, what it says on standard error passed on, and returns its exit status and
/// what it printed.
fn run(arguments: &[&str], out: &Path) -> (i32, String) {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(out);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    (output.status.code().expect("an exit status"), printed)
}

/// What a successful run printed.
fn printed(arguments: &[&str], out: &Path) -> String {
    let (status, printed) = run(arguments, out);
    assert_eq!(status, 0, "{arguments:?}\n{printed}");
    printed
}

/// Both sides of a storm need a CPU each; on a single one they share it.
fn storm<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let share: &[&str] = match available_parallelism().map_or(1, |cpus| cpus.get()) {
        1 => &["--oversubscribe"],
        _ => &[],
    };
    [arguments, &["--threads", "1"], share].concat()
}

/// A table of tab-separated values under a header.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn of(text: &str) -> Self {
        let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        let mut lines = text.lines().map(cells);
        let header = lines.next().expect("a header");
        let rows: Vec<_> = lines.collect();
        for row in &rows {
            assert_eq!(row.len(), header.len(), "{row:?}");
        }
        assert!(!rows.is_empty(), "no rows:\n{text}");
        Self { header, rows }
    }

    fn text<'a>(&self, row: &'a [String], column: &str) -> &'a str {
        let at = self.header.iter().position(|name| name == column);
        &row[at.unwrap_or_else(|| panic!("no column {column}"))]
    }

    fn number(&self, row: &[String], column: &str) -> f64 {
        let text = self.text(row, column);
        text.parse()
            .unwrap_or_else(|_| panic!("{column} is {text}"))
    }

    fn distinct(&self, column: &str) -> BTreeSet<&str> {
        self.rows.iter().map(|row| self.text(row, column)).collect()
    }
}

/// The only directory in `out` whose name ends like this.
fn directory(out: &Path, label: &str) -> String {
    let entries = fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found = entries.filter(|path| path.to_string_lossy().ends_with(label));
    let path = found.next().unwrap_or_else(|| panic!("no *{label}"));
    assert_eq!(found.next(), None, "one *{label}");
    path.to_str().unwrap().to_owned()
}

fn sound() -> impl Iterator<Item = &'static str> {
    let all = Schemes::<Native>::ALL.iter().map(|it| it.about());
    all.filter(|it| it.verdict.is_sound()).map(|it| it.name)
}

#[test]
#[ignore = "wants a release build: .ci/smoke"]
fn a_storm_and_all_that_reads_it() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path();
    let arguments = "storm --rounds 2 --duration 100ms --out . --format tsv";
    let tsv = printed(&storm(&arguments.split(' ').collect::<Vec<_>>()), out);
    let table = Table::of(&tsv);
    // Every sound scheme under each storm, all of them with pages, none with a violation.
    let storms = table.distinct("storm");
    assert_eq!(table.distinct("scheme"), sound().collect());
    assert!(storms.contains("none") && storms.len() > 1, "{storms:?}");
    assert_eq!(table.rows.len(), storms.len() * sound().count());
    for row in &table.rows {
        let number = |column| table.number(row, column);
        assert!(number("pages_per_s") > 0.0, "{row:?}");
        assert!(number("ratio_lo") > 0.0, "{row:?}");
        assert!(number("ratio_lo") <= number("ratio"), "{row:?}");
        assert!(number("ratio") <= number("ratio_hi"), "{row:?}");
        assert_eq!(number("violations"), 0.0, "{row:?}");
        if table.text(row, "storm") != "none" {
            assert!(number("remover_ops_per_s") > 0.0, "{row:?}");
        }
    }
    let run_directory = directory(out, "-storm");
    let kept = |name: &str| fs::read_to_string(Path::new(&run_directory).join(name)).unwrap();
    assert_eq!(tsv, kept("summary.tsv"));
    assert!(kept("run.json").contains("\"complete\":true"));

    // As the run printed it, but for its last lines, which say where it went.
    assert_eq!(
        printed(&["report", &run_directory], out),
        kept("report.txt")
    );
    printed(&["report", &run_directory, "--markdown"], out);
    let against_itself = ["compare", &run_directory, &run_directory, "--format", "tsv"];
    let compared = printed(&against_itself, out);
    let told_apart = compared.contains("faster") || compared.contains("slower");
    assert!(!told_apart, "a run differs from itself:\n{compared}");
    printed(&["plot", &run_directory, "--out", "plots"], out);
    for storm in storms {
        for kind in ["svg", "png"] {
            let figure = out.join(format!("plots/latency-{storm}-1.{kind}"));
            assert!(fs::metadata(&figure).unwrap().len() > 0, "{figure:?}");
        }
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/tools");
    let status = Command::new(tools).arg(&run_directory).status().unwrap();
    assert!(status.success(), "others read the run otherwise");
}

#[test]
#[ignore = "wants a release build: .ci/smoke"]
fn the_machine_is_looked_at() {
    let out = tempfile::tempdir().unwrap();
    let (status, text) = run(&["doctor", "--watch", "100ms"], out.path());
    assert!([0, 1].contains(&status), "{status}\n{text}");
    assert!(text.contains("clock step"), "{text}");
}

#[test]
#[ignore = "wants a release build: .ci/smoke"]
fn every_verdict_is_the_declared_one() {
    let out = tempfile::tempdir().unwrap();
    let (status, tsv) = run(&["check", "--format", "tsv"], out.path());
    let table = Table::of(&tsv);
    let otherwise = |row: &&Vec<String>| table.text(row, "as_declared") != "true";
    let otherwise: Vec<_> = table.rows.iter().filter(otherwise).collect();
    assert!(otherwise.is_empty(), "{otherwise:#?}");
    assert_eq!(status, 0);
    let cells = |family: &Family| (family.schemes)().len() * (family.scenarios)().len();
    assert_eq!(table.rows.len(), families().map(cells).sum::<usize>());
    for row in &table.rows {
        assert!(table.number(row, "executions") > 0.0, "{row:?}");
    }
    let violates = |row: &&Vec<String>| table.text(row, "verdict") != "ok";
    let violating = table.rows.iter().filter(violates);
    let violating: BTreeSet<_> = violating.map(|row| table.text(row, "scheme")).collect();
    let schemes = families().flat_map(|family| (family.schemes)());
    let broken = schemes.filter(|scheme| !scheme.verdict.is_sound());
    assert_eq!(violating, broken.map(|scheme| scheme.name).collect());

    let trace = [
        "check",
        "--scheme",
        "sketch",
        "--scenario",
        "fault-vs-punch",
    ];
    let text = printed(&[&trace[..], &["--trace"]].concat(), out.path());
    assert!(text.contains("CPU1"), "{text}");

    let Some(model) = std::env::var_os("LINUX_MEMORY_MODEL") else {
        eprintln!("litmus tests skipped: LINUX_MEMORY_MODEL does not name tools/memory-model");
        return;
    };
    match Command::new("herd7").arg("-version").output() {
        Ok(_) => drop(printed(&["litmus", model.to_str().unwrap()], out.path())),
        Err(error) => eprintln!("litmus tests skipped: herd7: {error}"),
    }
}

#[test]
#[ignore = "wants a release build: .ci/smoke"]
fn a_storm_beside_the_faulters_over_large_folios() {
    let out = tempfile::tempdir().unwrap();
    let arguments = "storm --rounds 1 --duration 300ms --out . --storm mixed --neighbour \
                     --order mix --format tsv";
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    let table = Table::of(&printed(&storm(&arguments), out.path()));
    for row in &table.rows {
        // A page to be filled was one that the storm took from the faulters.
        assert_eq!(table.number(row, "filled"), 0.0, "{row:?}");
        assert_eq!(table.number(row, "violations"), 0.0, "{row:?}");
        assert!(table.number(row, "remover_ops_per_s") > 0.0, "{row:?}");
    }
}

#[test]
#[ignore = "wants a release build: .ci/smoke"]
fn the_running_kernel_and_a_model_calibrated_against_it() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path();
    let arguments = "host --rounds 2 --duration 100ms --storm none,punch-hole --out . --format tsv";
    let arguments: Vec<_> = arguments.split(' ').collect();
    let table = Table::of(&printed(&storm(&arguments), out));
    assert_eq!(table.rows.len(), 2);
    for row in &table.rows {
        assert!(table.text(row, "scheme").starts_with("memfd"), "{row:?}");
        assert!(table.number(row, "pages_per_s") > 0.0, "{row:?}");
        if table.text(row, "storm") != "none" {
            assert!(table.number(row, "remover_ops_per_s") > 0.0, "{row:?}");
        }
    }
    let arguments = "calibrate --rounds 12 --duration 50ms --out .";
    let text = printed(&arguments.split(' ').collect::<Vec<_>>(), out);
    eprintln!("{text}");
    let calibration = directory(out, "-calibration");
    let arguments = "storm --scheme page-locked,fused-count --rounds 2 --duration 50ms \
                     --storm none --threads 1 --watch 0s --out . --format tsv --calibrated";
    let mut arguments: Vec<_> = arguments.split_whitespace().collect();
    arguments.push(&calibration);
    let table = Table::of(&printed(&arguments, out));
    // A bare load and a calibrated one of two schemes each, whose faults are dearer.
    assert_eq!(table.rows.len(), 4);
    let ns = |storm: &str| {
        let of = table
            .rows
            .iter()
            .filter(|row| table.text(row, "storm") == storm);
        of.map(|row| table.number(row, "ns_per_page")).sum::<f64>()
    };
    assert!(ns("none-calibrated") > ns("none"));
}

#[test]
#[ignore = "wants a release build: .ci/smoke"]
fn where_the_time_goes() {
    let out = tempfile::tempdir().unwrap();
    let arguments = "breakdown --rounds 6 --scheme page-locked,fused-count";
    let text = printed(&arguments.split(' ').collect::<Vec<_>>(), out.path());
    eprintln!("{text}");
    assert!(text.contains("fused-count"), "{text}");
}

#[test]
#[ignore = "wants a release build: .ci/smoke"]
fn audits_accuse_the_broken_and_repeat_it() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path();
    let audit = |arguments: &str| {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        printed(&[&["audit"], &arguments[..]].concat(), out)
    };
    // Two threads through every pair of places, whatever the time.
    audit("--duration 100ms --scheme page-locked,mapcount-recheck --storm truncate,shmem-swapout");
    let accused = audit("--scheme sketch --storm punch-hole --duration 10ms");
    assert!(accused.contains("VIOLATES"), "{accused}");
    let joined = accused.replace("\\\n", " ");
    let (_, schedule) = joined
        .split_once("--schedule ")
        .expect("how to see it again");
    let schedule = schedule.split_whitespace().next().expect("a schedule");
    let again = audit(&format!(
        "--scheme sketch --storm punch-hole --schedule {schedule}"
    ));
    assert!(again.contains("VIOLATES"), "{again}");
    // What is left out is noticed.
    audit("--scheme mapcount-recheck --storm punch-hole --duration 10ms --without recheck_mapping");
}
