//! Two threads on a small machine, and who has which turn: what a directed trial is, in words that
//! a command line takes.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use kernel_model::removal::{Remover, Removers};

use super::Audited;

/// A small machine and its one file. Everything is as small as the race allows: the schedules of a
/// trial grow with every access.
#[derive(Debug)]
pub struct Shape {
    /// Its name in a schedule.
    pub name: &'static str,
    /// Pages of the file.
    pub pages: u32,
    /// How many of them are in the page cache.
    pub cached: u32,
    /// Frames beyond the file's pages, or less than them.
    pub frames: u32,
    /// Pages of a window.
    pub window: u32,
    /// The order of the file's folios, where its length allows; what is left at its end is smaller.
    pub order: u8,
    /// Whether each page has a gate of its own.
    pub gates: bool,
    /// Whether the threads' PTE tables are there.
    pub table: bool,
    /// Whether another process has mapped the file.
    pub mapped: bool,
    /// Whether both threads are of one process.
    pub one_mm: bool,
    /// Whether the last page that is cached could not be read.
    pub unread: bool,
    /// Whether the file ends before its last page, which is cached all the same.
    pub past_eof: bool,
    /// Whether another removal of the hole has begun, and doesn't end meanwhile.
    pub beside: bool,
    /// Whether somebody holds a reference to the first folio until the threads have stopped: it
    /// can't be split then.
    pub pinned: bool,
    /// The first page that threads map.
    pub start: u64,
    /// What removers remove.
    pub hole: Range<u64>,
    /// What is read again.
    pub refill: Range<u64>,
}

const PAGE: Shape = Shape {
    name: "page",
    pages: 1,
    cached: 1,
    frames: 2,
    window: 1,
    order: 0,
    gates: false,
    table: true,
    mapped: false,
    one_mm: false,
    unread: false,
    past_eof: false,
    beside: false,
    pinned: false,
    start: 0,
    hole: 0..1,
    refill: 0..1,
};

impl Shape {
    /// All of them, the smallest first.
    pub const ALL: &'static [Self] = &[
        PAGE,
        Self {
            name: "no-table",
            table: false,
            ..PAGE
        },
        Self {
            name: "mapped",
            mapped: true,
            ..PAGE
        },
        Self {
            name: "beside",
            beside: true,
            ..PAGE
        },
        Self {
            name: "missing",
            cached: 0,
            ..PAGE
        },
        Self {
            name: "threads",
            cached: 0,
            one_mm: true,
            ..PAGE
        },
        // A frame that is freed is used for the other page.
        Self {
            name: "reuse",
            pages: 2,
            cached: 1,
            frames: 1,
            window: 2,
            refill: 1..2,
            ..PAGE
        },
        Self {
            name: "window",
            pages: 2,
            cached: 2,
            frames: 3,
            window: 2,
            hole: 1..2,
            refill: 1..2,
            ..PAGE
        },
        Self {
            name: "unread",
            pages: 2,
            cached: 2,
            frames: 3,
            window: 2,
            unread: true,
            ..PAGE
        },
        Self {
            name: "past-eof",
            pages: 2,
            cached: 2,
            frames: 3,
            window: 2,
            past_eof: true,
            ..PAGE
        },
        // One large folio, beyond whose third page the file ends.
        Self {
            name: "clip",
            pages: 4,
            cached: 4,
            frames: 8,
            window: 4,
            order: 2,
            past_eof: true,
            ..PAGE
        },
        // One folio of two pages.
        Self {
            name: "pinned",
            pages: 2,
            cached: 2,
            window: 2,
            order: 1,
            pinned: true,
            ..PAGE
        },
        Self {
            name: "gates",
            pages: 2,
            cached: 2,
            frames: 3,
            window: 2,
            gates: true,
            hole: 1..2,
            refill: 1..2,
            ..PAGE
        },
        Self {
            name: "windows",
            pages: 4,
            cached: 4,
            frames: 5,
            window: 2,
            hole: 2..4,
            refill: 2..4,
            ..PAGE
        },
        // Of orders 2, 1 and 0; threads map them from the middle of the first one.
        Self {
            name: "folios",
            pages: 7,
            cached: 7,
            frames: 12,
            window: 4,
            order: 2,
            start: 1,
            hole: 2..5,
            refill: 0..7,
            ..PAGE
        },
    ];

    /// The shape of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|shape| shape.name == name)
    }
}

/// One thing that a thread does.
#[derive(Clone, Copy)]
pub enum Step {
    /// A fault on the first page that it maps; then it reads what is mapped.
    Fault,
    /// The same on the last page.
    FaultLast,
    /// What was removed is read again.
    Refill,
    /// A removal.
    Remove(&'static dyn Remover<Audited>),
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::FaultLast => "fault-last",
            Self::Refill => "refill",
            Self::Remove(remover) => remover.about().name,
        }
    }

    fn named(name: &str) -> Option<Self> {
        let steps = [Self::Fault, Self::FaultLast, Self::Refill];
        let step = steps.into_iter().find(|step| step.name() == name);
        step.or_else(|| Removers::named(name).map(Self::Remove))
    }
}

/// What a thread does, in words: `punch-hole+refill+punch-hole`.
#[derive(Clone)]
pub struct Program(pub Vec<Step>);

impl fmt::Display for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.0.iter().map(|step| step.name()).collect();
        out.write_str(&steps.join("+"))
    }
}

/// The two threads of a trial.
const NAMES: [char; 2] = ['A', 'B'];

/// The name of a thread of a trial.
pub(super) fn runner_name(runner: usize) -> char {
    NAMES[runner]
}

/// What two threads do on which machine.
#[derive(Clone)]
pub struct Trial {
    /// The machine.
    pub shape: &'static Shape,
    /// What each thread does.
    pub programs: [Program; 2],
}

impl fmt::Display for Trial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.programs;
        write!(out, "{}/{a}/{b}", self.shape.name)
    }
}

/// A trial and its turns: `page/fault/punch-hole/A7,B12`. Thread A, which faults, makes 7 accesses,
/// then B, which punches, 12; A then runs to its end, and B after it. A thread that has to wait
/// gives its turn away. A lock that is taken counts as an access.
#[derive(Clone)]
pub struct Schedule {
    /// The machine, and what each thread does on it.
    pub trial: Trial,
    /// The thread that has the first turn; the two alternate.
    pub first: usize,
    /// The accesses of each turn.
    pub turns: Vec<u32>,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/", self.trial)?;
        for (number, turn) in self.turns.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(out, "{comma}{}{turn}", NAMES[(self.first + number) % 2])?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split('/').collect();
        let [shape, a, b, turns] = parts[..] else {
            return Err("a schedule is like page/fault/punch-hole/A7,B12".to_owned());
        };
        let shape = Shape::named(shape).ok_or_else(|| {
            let all: Vec<_> = Shape::ALL.iter().map(|shape| shape.name).collect();
            format!(
                "there is no machine {shape:?}: it is one of {}",
                all.join(", ")
            )
        })?;
        let programs = [program(a)?, program(b)?];
        let (first, turns) = parse_turns(turns).ok_or_else(|| {
            format!("{turns:?} are no turns: they are like A7,B12, of A and B by turns, each of 1 or more")
        })?;
        Ok(Self {
            trial: Trial { shape, programs },
            first,
            turns,
        })
    }
}

fn program(text: &str) -> Result<Program, String> {
    let step = |name| {
        Step::named(name).ok_or_else(|| {
            format!(
                "a thread can't do {name:?}: it does fault, fault-last, refill or a remover's work"
            )
        })
    };
    Ok(Program(
        text.split('+').map(step).collect::<Result<_, _>>()?,
    ))
}

fn parse_turns(text: &str) -> Option<(usize, Vec<u32>)> {
    let first = NAMES.iter().position(|&name| text.starts_with(name))?;
    let mut turns = Vec::new();
    for (number, turn) in text.split(',').enumerate() {
        let accesses = turn.strip_prefix(NAMES[(first + number) % 2])?;
        turns.push(accesses.parse().ok().filter(|&accesses| accesses > 0)?);
    }
    Some((first, turns))
}

/// The trials for a storm of these removers, those with the fewest schedules first, and with how
/// many turns each is gone through.
pub(super) fn trials(removers: &[&'static dyn Remover<Audited>]) -> Vec<(Trial, usize)> {
    use Step::{Fault, FaultLast, Refill, Remove};
    let trial = |shape: &str, a: &[Step], b: &[Step]| Trial {
        shape: Shape::named(shape).expect("a shape's name"),
        programs: [Program(a.to_vec()), Program(b.to_vec())],
    };
    let mut all = Vec::new();
    let of = |removers: &[&'static dyn Remover<Audited>], shape, faults: &[Step], more: &[Step]| {
        let of_one = |&remover: &&'static dyn Remover<Audited>| {
            let mut steps = vec![Remove(remover)];
            for &step in more {
                // Any removal stands for this one's.
                steps.push(match step {
                    Remove(_) => Remove(remover),
                    other => other,
                });
            }
            (trial(shape, faults, &steps), 2)
        };
        removers.iter().map(of_one).collect::<Vec<_>>()
    };
    let again = Remove(removers[0]);
    all.extend(of(removers, "page", &[Fault], &[]));
    all.extend(of(removers, "no-table", &[Fault], &[]));
    all.extend(of(&removers[..1], "unread", &[Fault], &[]));
    all.extend(of(&removers[..1], "past-eof", &[Fault], &[]));
    all.extend(of(&removers[..1], "clip", &[Fault], &[]));
    all.extend(of(removers, "reuse", &[Fault], &[Refill]));
    all.extend(of(removers, "page", &[Fault], &[again]));
    all.extend(of(removers, "beside", &[Fault], &[]));
    all.extend(of(removers, "mapped", &[Fault], &[]));
    all.extend(of(removers, "window", &[Fault, FaultLast], &[]));
    all.extend(of(removers, "pinned", &[Fault], &[]));
    all.extend(of(removers, "gates", &[Fault], &[]));
    all.push((trial("missing", &[Fault], &[Fault]), 2));
    all.push((trial("threads", &[Fault], &[Fault]), 2));
    if let [remover] = removers {
        // Of several, each would take as long.
        all.push((trial("page", &[Fault], &[Remove(*remover)]), 3));
    }
    all.extend(of(removers, "page", &[Fault], &[Refill, again]));
    all.extend(of(removers, "folios", &[Fault], &[]));
    all.extend(of(removers, "windows", &[Fault, FaultLast], &[]));
    for (number, &a) in removers.iter().enumerate() {
        for &b in &removers[number..] {
            // One with itself has a storm of its own.
            if removers.len() == 1 || a.about().name != b.about().name {
                all.push((trial("mapped", &[Remove(a)], &[Remove(b)]), 2));
            }
        }
    }
    all
}
