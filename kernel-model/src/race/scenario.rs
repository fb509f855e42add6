//! What a scenario says of itself, and a race that is set up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Counts, Seen, Tag, Violations};

/// A small machine and what two or three CPUs do on it at once.
#[derive(Debug)]
pub struct Scenario {
    /// The name on the command line and in tables; no other scenario of any family has it.
    pub name: &'static str,
    /// What races with what, in a sentence.
    pub summary: &'static str,
    /// What each CPU does, for the head of its column in a trace.
    pub cpus: &'static [&'static str],
    /// What must hold, each in some execution, of a scheme that violates nothing.
    pub seen: &'static [Seen],
    /// Of what kinds its races are, by which verdicts say where schemes break.
    pub tags: &'static [Tag],
    /// How it is explored unless somebody says otherwise.
    pub explored: Explored,
}

impl Scenario {
    /// Whether it is too large for its executions to be gone through.
    pub const fn is_at_random(&self) -> bool {
        matches!(self.explored, Explored::AtRandom { .. })
    }
}

/// How a scenario's executions are gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Explored {
    /// By Loom: all executions, of a weak memory model.
    Exhaustively {
        /// With so many preemptions at most; `None`: as many as there may be.
        bound: Option<u8>,
    },
    /// By Shuttle: random schedules of a sequentially consistent machine, for what is too large to
    /// be gone through.
    AtRandom {
        /// How many.
        schedules: u32,
    },
}

/// What one CPU does; it gives back what it counted.
pub type Work = Box<dyn FnOnce() -> Counts + Send>;

/// A machine that is set up, and what its CPUs will do at once.
pub struct Race {
    /// The machine.
    pub world: Arc<dyn World>,
    /// One for each CPU.
    pub cpus: Vec<Work>,
}

/// Sets a race up, once for each execution.
pub type SetUp = Box<dyn Fn() -> Race + Send + Sync>;

/// A machine as those see it that audit it.
pub trait World: Send + Sync {
    /// What the audits have found.
    fn violations(&self) -> &Violations;

    /// Audits all of it, with every operation ended.
    fn audit_at_rest(&self);

    /// Lets go of what holds itself in a circle, at the end of its use.
    fn take_apart(&self) {}
}
