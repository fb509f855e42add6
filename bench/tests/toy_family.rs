//! A family of races in one file, and all that the commands make of it. ARCHITECTURE.md walks
//! through it: a real one is the same, as a folder of `kernel-model`.
//!
//! The kernel is a counter that two CPUs add to. One scheme adds atomically, the other loads and
//! stores, so that an addition may be lost.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use kernel_model::platform::{AtomicWord, Holds, Loom, Note, Platform, Shuttle, Site};
use kernel_model::race::{
    self, Checked, Counter, Counts, Explored, Family, Invariant, LOCK_ORDER, PROGRESS, Race,
    Scenario, Scheme, Seen, SetUp, Tag, Verdict, Violation, Violations, Work, World,
};

static TOY: Family = Family {
    name: "toy",
    question: "may a counter be added to without a read-modify-write?",
    source: "every textbook",
    schemes: || vec![&ATOMIC, &LOAD_STORE],
    scenarios: || vec![&ADD_VS_ADD],
    tags: &[MEETS],
    invariants: &[NO_LOST_ADDITION, LOCK_ORDER, PROGRESS],
    graded: &[],
    scheme_checks: &[],
    model_checks: Vec::new,
    model_sites: Vec::new,
    facts: |_| Vec::new(),
    checked: Checked {
        loom: set_up::<Loom>,
        shuttle: set_up::<Shuttle>,
    },
};

const MEETS: Tag = Tag {
    name: "meets",
    says: "two CPUs add at once",
};

const NO_LOST_ADDITION: Invariant = Invariant {
    name: "no-lost-addition",
    says: "the counter is what was added to it",
};

const ADDED: Counter = Counter {
    role: "adder",
    name: "added",
    says: "Additions.",
};

static ADD_VS_ADD: Scenario = Scenario {
    name: "add-vs-add",
    summary: "two additions at once",
    cpus: &["add", "add"],
    seen: &[Seen {
        says: "a CPU added",
        counter: ADDED,
    }],
    tags: &[MEETS],
    explored: Explored::Exhaustively { bound: None },
};

static ADD: Site = Site::rmw("toy_add", Relaxed, "atomic_inc()", "nothing");
static LOAD: Site = Site::load("toy_load", Relaxed, "READ_ONCE()", "nothing");
static STORE: Site = Site::store("toy_store", Relaxed, "WRITE_ONCE()", "nothing");

static ATOMIC: Scheme = Scheme {
    name: "atomic",
    lineage: "atomic_inc()",
    summary: "one read-modify-write",
    verdict: Verdict::Sound {
        why: "a read-modify-write reads the newest value",
    },
    shows: &[],
    sites: &[&ADD],
    own_checks: &[],
};

static LOAD_STORE: Scheme = Scheme {
    name: "load-store",
    lineage: "count++",
    summary: "a load, and a store of one more",
    verdict: Verdict::Broken {
        on: &[(MEETS, &[NO_LOST_ADDITION])],
        why: "both may load before either stores",
    },
    shows: &[],
    sites: &[&LOAD, &STORE],
    own_checks: &[],
};

struct Adding<P: Platform> {
    count: P::AtomicU64,
    violations: Violations,
}

impl<P: Platform> World for Adding<P> {
    fn violations(&self) -> &Violations {
        &self.violations
    }

    fn audit_at_rest(&self) {
        let count = self.count.observe();
        if count != 2 {
            self.violations.report(Violation {
                invariant: NO_LOST_ADDITION,
                place: None,
                detail: format!("2 were added, and the counter is {count}"),
            });
        }
    }
}

fn set_up<P: Platform>(scheme: &str, _: &str) -> SetUp {
    let is_atomic = scheme == ATOMIC.name;
    Box::new(move || race_of::<P>(is_atomic))
}

fn race_of<P: Platform>(is_atomic: bool) -> Race {
    let world = Arc::new(Adding::<P> {
        count: P::AtomicU64::new(Holds::Number, 0),
        violations: Violations::default(),
    });
    let adds = |world: Arc<Adding<P>>| -> Work {
        Box::new(move || {
            P::note(|| Note::Says("add".to_owned()));
            if is_atomic {
                world.count.fetch_add(1, &ADD);
            } else {
                let count = world.count.load(&LOAD);
                world.count.store(count + 1, &STORE);
            }
            Counts::new([(ADDED, 1)])
        })
    };
    let cpus = vec![adds(Arc::clone(&world)), adds(Arc::clone(&world))];
    Race { world, cpus }
}
// Here the family ends; what follows runs the commands on it.

/// Set in the processes that are the command and not the test.
const COMMAND: &str = "TOY_FAMILY_COMMAND";

fn main() -> ExitCode {
    race::register(&TOY);
    if std::env::var_os(COMMAND).is_some() {
        return fault_around::command::main(std::env::args_os());
    }
    let mut failed = 0;
    for (line, status, parts) in EXPECTED {
        let mut command = Command::new(std::env::current_exe().expect("a program"));
        command.args(line.split_whitespace()).env(COMMAND, "");
        let output = command.output().expect("the command starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let words: Vec<_> = text.split_whitespace().collect();
        let (words, code) = (words.join(" "), output.status.code());
        let missing: Vec<_> = parts
            .iter()
            .filter(|part| !words.contains(**part))
            .collect();
        let errors = String::from_utf8_lossy(&output.stderr);
        let is_ok = code == Some(*status) && missing.is_empty();
        eprintln!("test {line} ... {}", if is_ok { "ok" } else { "FAILED" });
        if !is_ok {
            eprintln!("status {code:?}, lacks {missing:?}:\n{text}{errors}");
            failed += 1;
        }
    }
    ExitCode::from(u8::from(failed > 0))
}

/// Command lines, with the exit status and parts of the text that each is to give.
const EXPECTED: &[(&str, i32, &[&str])] = &[
    (
        "list",
        0,
        &[
            "family toy: may a counter be added to",
            "no-lost-addition the counter is what",
            "BROKEN: both may load before either stores; violates no-lost-addition on meets; a \
             checker shows it in add-vs-add",
        ],
    ),
    (
        "check --family toy",
        0,
        &[
            "atomic: declared sound: a read-modify-write reads the newest value add-vs-add ok (",
            "load-store: declared BROKEN in 1 scenarios: both may load before either stores \
             add-vs-add VIOLATES no-lost-addition (execution",
            "2 verdicts from",
            "all as declared",
        ],
    ),
    (
        "check --scheme load-store --trace",
        0,
        &[
            "load-store in add-vs-add: CPU0: add | CPU1: add",
            "word 0: 0 [toy_load]",
            "word 0 = 1 [toy_store]",
            "no-lost-addition: 2 were added, and the counter is 1",
        ],
    ),
    (
        "check --family toy --format tsv",
        0,
        &["toy load-store add-vs-add no-lost-addition no-lost-addition true"],
    ),
    ("check --family toy --scheme sketch", 2, &[]),
    ("weaken --scheme atomic", 0, &["atomic"]),
    ("weaken --scheme load-store", 2, &[]),
    ("check --scheme atomic --with toy_add=acquire", 2, &[]),
];
