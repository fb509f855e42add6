//! `faultaround litmus`: the kernel's own memory model, where somebody has it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use clap::Args;
use kernel_model::litmus::{ALL, Litmus, Model, Observed};
use machine_facts::cancel::Cancel;
use machine_facts::progress::{Progress, say};
use machine_facts::text::ascii;
use machine_facts::text::wrap;
use tempfile::TempDir;

use super::failure::{Failure, cancel_on_signals};
use super::options::{Printed, Schemes, or};
use super::output::{self, Format};
use super::values::refuse_repeated;

/// The configuration that selects the kernel's model, in its directory.
const CONFIGURATION: &str = "linux-kernel.cfg";
/// The model itself, by which its state is known.
const CAT: &str = "linux-kernel.cat";

/// What `faultaround litmus` takes.
#[derive(Debug, Args)]
#[command(mut_arg("scheme", or("all")))]
pub(super) struct Options {
    /// The directory of the model in a Linux source tree, tools/memory-model
    #[arg(value_name = "DIR")]
    model: PathBuf,

    /// The herd7 to run [default: the one on PATH]
    #[arg(long, value_name = "FILE")]
    herd7: Option<PathBuf>,

    #[command(flatten)]
    schemes: Schemes,

    #[command(flatten)]
    printed: Printed,
}

/// Runs every litmus test of the schemes that were named.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let cancel = cancel_on_signals()?;
    let names = &options.schemes.scheme;
    refuse_repeated("--scheme", names)?;
    let herd = Herd::new(&options.model, options.herd7.as_deref())?;
    let wanted = |litmus: &&Litmus| {
        names.is_empty()
            || names
                .iter()
                .any(|name| litmus.schemes.contains(&name.as_str()))
    };
    let tests: Vec<&'static Litmus> = ALL.iter().filter(wanted).collect();
    output::print(&herd.head(options.printed.format))?;
    let mut progress = Progress::new(tests.len() as u64);
    let mut results = Vec::new();
    for litmus in &tests {
        progress.step_begins(litmus.name);
        let Some(said) = herd.observe(litmus, &cancel)? else {
            break;
        };
        let result = Tested {
            litmus,
            model: herd.model,
            said,
        };
        progress.aside(|| output::print(&result.row(options.printed.format)))?;
        results.push(result);
        progress.step_ended();
    }
    progress.finish();
    let complete = results.len() == tests.len();
    output::print(&herd.closing(&results, complete, options.printed.format))?;
    if !complete {
        let (done, all) = (results.len(), tests.len());
        say(&format!(
            "interrupted: {done} of {all} litmus tests were run"
        ));
        return Err(Failure::Interrupted);
    }
    let failed = results.iter().filter(|it| it.said.is_err()).count();
    if results
        .iter()
        .any(|it| it.said.is_ok() && !it.as_expected())
    {
        Err(Failure::NotAsDeclared)
    } else if failed > 0 {
        Err(Failure::Broke(format!(
            "herd7 has no result for {failed} of {} litmus tests",
            tests.len()
        )))
    } else {
        Ok(())
    }
}

/// What herd7 says of a test: whether its condition is met, and what it flags.
struct Said {
    observed: Observed,
    flags: Vec<String>,
}

impl Said {
    fn read(said: &str) -> Option<Self> {
        let observation = said
            .lines()
            .find_map(|line| line.strip_prefix("Observation "))?;
        let flags = said.lines().filter_map(|line| line.strip_prefix("Flag "));
        Some(Self {
            observed: Observed::of(observation.split_whitespace().nth(1)?)?,
            flags: flags.map(|flag| flag.trim().to_owned()).collect(),
        })
    }
}

/// A herd7 and the model that it is to use.
struct Herd<'a> {
    program: PathBuf,
    /// As it calls itself.
    version: String,
    /// The `tools/memory-model` in which it runs.
    directory: &'a Path,
    model: Model,
    files: TempDir,
}

impl<'a> Herd<'a> {
    fn new(directory: &'a Path, program: Option<&Path>) -> Result<Self, Failure> {
        let cat = fs::read_to_string(directory.join(CAT));
        let (Ok(cat), true) = (cat, directory.join(CONFIGURATION).is_file()) else {
            return Err(Failure::Usage(format!(
                "{}: there is no {CONFIGURATION} with a {CAT} in it; tools/memory-model of a \
                 Linux source tree is wanted",
                directory.display()
            )));
        };
        let program = program.unwrap_or(Path::new("herd7")).to_owned();
        let cannot = |why: String| {
            Failure::Usage(format!(
                "cannot run {}: {why}; herd7 of the herdtools is wanted on PATH or by --herd7",
                program.display()
            ))
        };
        let version = Command::new(&program)
            .arg("-version")
            .current_dir(directory)
            .output()
            .map_err(|error| cannot(error.to_string()))?;
        let version = String::from_utf8_lossy(&version.stdout);
        let version = version.split([',', '\n']).next().unwrap_or("").trim();
        if version.is_empty() {
            return Err(cannot("it doesn't tell its -version".to_owned()));
        }
        let version = ascii(version);
        let files = tempfile::tempdir().map_err(|error| {
            Failure::Broke(format!("cannot make a directory for litmus tests: {error}"))
        })?;
        Ok(Self {
            program,
            version,
            directory,
            model: Model::of(&cat),
            files,
        })
    }

    /// What herd7 says of a test, or why it says nothing; `None` if somebody pressed Ctrl-C
    /// meanwhile.
    fn observe(
        &self,
        litmus: &Litmus,
        cancel: &Cancel,
    ) -> Result<Option<Result<Said, String>>, Failure> {
        let broke = |error| Failure::Broke(format!("cannot run a litmus test: {error}"));
        let path = |name: &str| self.files.path().join(name);
        let file = path(&format!("{}.litmus", litmus.name));
        fs::write(&file, litmus.text).map_err(broke)?;
        let mut herd7 = Command::new(&self.program)
            .arg("-conf")
            .arg(CONFIGURATION)
            .arg(&file)
            .current_dir(self.directory)
            // Ctrl-C is for this process to hear, which then ends herd7.
            .process_group(0)
            .stdout(File::create(path("said")).map_err(broke)?)
            .stderr(File::create(path("complaint")).map_err(broke)?)
            .spawn()
            .map_err(broke)?;
        while herd7.try_wait().map_err(broke)?.is_none() {
            if cancel.is_requested() {
                herd7.kill().and_then(|()| herd7.wait()).map_err(broke)?;
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
        let read = |name| fs::read(path(name)).map_err(broke);
        let said = read("said")?;
        let said = String::from_utf8_lossy(&said);
        let complaint = read("complaint")?;
        let complaint = String::from_utf8_lossy(&complaint);
        Ok(Some(Said::read(&said).ok_or_else(|| {
            let folder = format!("{}/", self.files.path().display());
            let mut lines = complaint.lines().chain(said.lines());
            let line = lines.find(|line| !line.trim().is_empty());
            let line = line.unwrap_or("nothing").replace(&folder, "");
            ascii(line.trim())
        })))
    }

    /// What comes before the first test.
    fn head(&self, format: Format) -> String {
        let (version, model) = (&self.version, self.model.name());
        match format {
            Format::Text => format!("herd7 {version}, the memory model of {model}\n\n"),
            Format::Tsv => {
                "schemes\ttest\tmodel\texpected\tobserved\tflags\tas_expected\n".to_owned()
            }
            Format::Json => String::new(),
        }
    }

    /// What comes after the last one.
    fn closing(&self, results: &[Tested], complete: bool, format: Format) -> String {
        match format {
            Format::Text => {
                let failed = results.iter().filter(|it| it.said.is_err()).count();
                let as_expected = results.iter().filter(|it| it.as_expected()).count();
                let contrary = results.len() - failed - as_expected;
                let mut text = format!("{as_expected} as expected");
                for (number, what) in [(contrary, "NOT AS EXPECTED"), (failed, "WITHOUT A RESULT")]
                {
                    if number > 0 {
                        let _ = write!(text, ", {number} {what}");
                    }
                }
                text.push_str(
                    ". The question is each test's own, most often whether a PTE can outlive the \
                     removal.",
                );
                format!("\n{}", wrap("", &text))
            }
            Format::Tsv => String::new(),
            Format::Json => {
                let rows: Vec<_> = results.iter().map(Tested::json).collect();
                let all = serde_json::json!({
                    "herd7": self.version,
                    "model": self.model.name(),
                    "complete": complete,
                    "litmus": rows,
                });
                format!("{all:#}\n")
            }
        }
    }
}

/// A test that was run.
struct Tested {
    litmus: &'static Litmus,
    model: Model,
    said: Result<Said, String>,
}

impl Tested {
    fn expected(&self) -> &'static str {
        let expected = self.litmus.expected(self.model);
        expected.map_or("nan", Observed::word)
    }

    fn observed(&self) -> &'static str {
        self.said
            .as_ref()
            .map_or("nan", |said| said.observed.word())
    }

    fn flags(&self) -> &[String] {
        self.said.as_ref().map_or(&[], |said| &said.flags)
    }

    /// Whether result and flags are those that the test declares.
    fn as_expected(&self) -> bool {
        let mut flags = self.flags().to_vec();
        flags.sort();
        let mut declared: Vec<_> = self.litmus.flags().collect();
        declared.sort_unstable();
        self.observed() == self.expected() && flags == declared
    }

    /// What is printed as soon as it was run.
    fn row(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Tsv => format!(
                "{}\t{}\t{}\t{}\t{}\n",
                self.litmus.schemes.join(","),
                self.litmus.name,
                [self.model.name(), self.expected(), self.observed()].join("\t"),
                self.flags().join(","),
                self.as_expected(),
            ),
            Format::Json => String::new(),
        }
    }

    fn text(&self) -> String {
        let name = self.litmus.name;
        let said = match &self.said {
            Err(complaint) => {
                let complaint = format!("herd7 says: {complaint}");
                return format!("{name:<44} NO RESULT\n{}", wrap("    ", &complaint));
            }
            Ok(said) => said,
        };
        let judged = match said.observed.word() == self.expected() {
            true => "as expected",
            false => "NOT AS EXPECTED",
        };
        let mut out = format!("{name:<44} {:<9} {judged}\n", said.observed.word());
        for flag in &said.flags {
            let judged = match self.litmus.flags().any(|it| it == flag) {
                true => "as expected",
                false => "NOT AS EXPECTED",
            };
            out.push_str(&wrap("    ", &format!("flag {}: {judged}", ascii(flag))));
        }
        for missing in self
            .litmus
            .flags()
            .filter(|it| !said.flags.iter().any(|flag| flag == it))
        {
            let _ = writeln!(out, "    no flag {missing}: NOT AS EXPECTED");
        }
        out
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schemes": self.litmus.schemes,
            "test": self.litmus.name,
            "model": self.model.name(),
            "expected": self.expected(),
            "observed": self.observed(),
            "flags": self.flags(),
            "as_expected": self.as_expected(),
            "complaint": self.said.as_ref().err(),
        })
    }
}
