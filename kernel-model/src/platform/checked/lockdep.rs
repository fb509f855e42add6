//! lockdep under a checker: which classes of locks are taken under which, in any execution of an
//! exploration. A cycle among them is a deadlock that some machine may come to, though no execution
//! need show it.
//!
//! All locks of a class are one. A lock that is taken under another of its class has to name a
//! subclass, or be one of the model's own; a trylock waits for nothing, and so is taken under
//! nothing. Whether a semaphore is shared makes no difference: a writer may wait between two
//! readers.

use std::cell::RefCell;
use std::fmt;

/// A class of locks: their name, and how deep among others of the name they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// The name.
    pub name: &'static str,
    /// 0, unless it was taken as nested.
    pub subclass: u8,
}

impl Class {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, subclass: 0 }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subclass {
            0 => out.write_str(self.name),
            subclass => write!(out, "{}/{subclass}", self.name),
        }
    }
}

/// A step in which a lock is taken while others are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Whose step; none has no number but the thread that sets up and audits.
    pub cpu: Option<u32>,
    /// What it holds, in the order of taking.
    pub held: Vec<Class>,
    /// What it takes.
    pub takes: Class,
}

/// Columns of a line.
const COLUMNS: usize = 75;

impl fmt::Display for Taken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = match self.cpu {
            Some(cpu) => format!("CPU {cpu} takes {} while it holds", self.takes),
            None => format!("the set-up takes {} while it holds", self.takes),
        };
        for (number, class) in (1..).zip(&self.held) {
            let comma = if number < self.held.len() { "," } else { "" };
            let word = format!(" {class}{comma}");
            if line.len() + word.len() > COLUMNS {
                writeln!(out, "{line}")?;
                line = " ".to_owned();
            }
            line += &word;
        }
        out.write_str(&line)
    }
}

/// Locks that are taken in a circle: each step takes a class that the next one holds, and the last
/// one that which the first holds. One step alone takes a class that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockOrder(pub Vec<Taken>);

impl fmt::Display for LockOrder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, taken) in self.0.iter().enumerate() {
            let end = if number > 0 { "\n" } else { "" };
            write!(out, "{end}{taken}")?;
        }
        Ok(())
    }
}

/// What has been seen of an exploration.
#[derive(Default)]
struct Graph {
    classes: Vec<Class>,
    /// Of each class, those that have been taken under it, a bit for each.
    under: Vec<u64>,
    /// The step that was the first to take one class under another.
    first: Vec<(usize, usize, Taken)>,
    cycle: Option<LockOrder>,
}

impl Graph {
    const fn new() -> Self {
        Self {
            classes: Vec::new(),
            under: Vec::new(),
            first: Vec::new(),
            cycle: None,
        }
    }

    fn number(&mut self, class: Class) -> usize {
        let known = self.classes.iter().position(|it| *it == class);
        known.unwrap_or_else(|| {
            assert!(self.classes.len() < 64, "a word has no room for more");
            self.classes.push(class);
            self.under.push(0);
            self.classes.len() - 1
        })
    }

    /// Whether one class hasn't been taken under another yet.
    fn is_new(&self, from: usize, to: usize) -> bool {
        self.under[from] >> to & 1 == 0
    }

    /// For the first time a class is taken under another.
    fn takes(&mut self, from: usize, to: usize, taken: Taken) {
        self.under[from] |= 1 << to;
        self.first.push((from, to, taken.clone()));
        if self.cycle.is_none()
            && let Some(rest) = self.way(to, from, &mut 0)
        {
            self.cycle = Some(LockOrder([vec![taken], rest].concat()));
        }
    }

    /// The steps by which `to` is taken under what is taken under `from`, and so on.
    fn way(&self, from: usize, to: usize, been: &mut u64) -> Option<Vec<Taken>> {
        if from == to {
            return Some(Vec::new());
        }
        if *been >> from & 1 != 0 {
            return None;
        }
        *been |= 1 << from;
        let mut edges = self.first.iter().filter(|edge| edge.0 == from);
        edges.find_map(|(_, next, taken)| {
            let rest = self.way(*next, to, been)?;
            Some([vec![taken.clone()], rest].concat())
        })
    }
}

/// A lock that a CPU has, or waits for.
struct Held {
    cpu: Option<u32>,
    class: Class,
    /// The class's place in the graph.
    number: usize,
}

thread_local! {
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
    static GRAPH: RefCell<Graph> = const { RefCell::new(Graph::new()) };
}

/// Forgets which locks have been taken under which.
pub(super) fn begin_exploration() {
    GRAPH.take();
    begin_execution();
}

/// Forgets what the threads of the execution before have held.
pub(super) fn begin_execution() {
    HELD.with_borrow_mut(Vec::clear);
}

/// The first cycle among the classes of locks that this exploration has taken so far.
pub fn lock_order() -> Option<LockOrder> {
    GRAPH.with_borrow(|graph| graph.cycle.clone())
}

/// A lock that is among those of a CPU until this is dropped.
pub(super) struct Listed {
    cpu: Option<u32>,
    pub(super) class: Class,
}

impl Drop for Listed {
    fn drop(&mut self) {
        releases(self.cpu, self.class);
    }
}

/// A CPU is about to take a lock, and waits for it if need be.
pub(super) fn takes(cpu: Option<u32>, class: Class) -> Listed {
    add(cpu, class, |_| true)
}

/// The same of a lock that may be taken under others of its class.
pub(super) fn takes_nested(cpu: Option<u32>, class: Class) -> Listed {
    add(cpu, class, |under| under != class)
}

/// A CPU has taken a lock without waiting.
pub(super) fn has_taken(cpu: Option<u32>, class: Class) -> Listed {
    add(cpu, class, |_| false)
}

/// Adds a lock to those that a CPU has, under those of them that count.
fn add(cpu: Option<u32>, class: Class, counts: impl Fn(Class) -> bool) -> Listed {
    HELD.with_borrow_mut(|held| {
        GRAPH.with_borrow_mut(|graph| {
            let number = graph.number(class);
            for under in held.iter().filter(|under| under.cpu == cpu) {
                if counts(under.class) && graph.is_new(under.number, number) {
                    let own = held.iter().filter(|held| held.cpu == cpu);
                    let taken = Taken {
                        cpu,
                        held: own.map(|held| held.class).collect(),
                        takes: class,
                    };
                    graph.takes(under.number, number, taken);
                }
            }
            held.push(Held { cpu, class, number });
        });
    });
    Listed { cpu, class }
}

/// A CPU lets a lock go.
pub(super) fn releases(cpu: Option<u32>, class: Class) {
    HELD.with_borrow_mut(|held| {
        let own = |own: &Held| own.cpu == cpu && own.class == class;
        if let Some(last) = held.iter().rposition(own) {
            held.remove(last);
        }
    });
}
