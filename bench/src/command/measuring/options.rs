//! What storms over the model and over the running kernel have in common: threads, storms, rounds.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use harness::arrival::Arrival;
use harness::machine::MmKind;
use harness::order::Access;

use crate::command::output::Format;
use crate::command::values;

/// Options of every command that measures under storms.
#[derive(Debug, Args)]
pub struct Load {
    /// Storms, separated by commas [default: none, truncate, punch-hole and mixed; in an audit all
    /// that remove something]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = values::storm)]
    pub storm: Vec<String>,

    /// Operations per second that all storm threads together start, latencies counted from the
    /// intended start; max: flat out, each when the one before has ended [default: 5000]
    #[arg(long, value_name = "R/S", value_parser = values::rate, allow_hyphen_values = true)]
    pub rate: Option<values::Rate>,

    /// Numbers of fault threads, separated by commas; 1..8: from 1 to 8; 1..: as many as the CPUs
    /// allow [default: 1 and as many as the CPUs allow; 2 in an audit]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = values::thread_numbers,
          allow_hyphen_values = true)]
    pub threads: Vec<values::Threads>,

    /// Threads of each storm, on CPUs of their own [default: 1; 2 in an audit]
    #[arg(long, value_name = "N", value_parser = values::threads, allow_hyphen_values = true)]
    pub storm_threads: Option<u32>,

    /// CPUs in the order in which threads are placed on them, such as 0-3,8 [default: all allowed,
    /// cores before their SMT siblings, one package before the next; an audit pins only if this is
    /// given]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub cpus: Option<String>,

    /// Whether fault threads are processes (private) or threads of one (shared)
    #[arg(long, value_enum, default_value_t = Mm::Private)]
    pub mm: Mm,

    /// The order in which windows are touched [default: sequential; random in an audit]
    #[arg(long, value_enum)]
    pub access: Option<Order>,

    /// Time measured per scheme, storm, number of threads and round [default: 200ms], or audited
    /// per scheme and storm [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    pub duration: Option<Duration>,

    /// Rounds, each of them all schemes under all storms; auto: until the interval of each ratio is
    /// narrower than --width, or --limit is over [default: 10]
    #[arg(long, value_name = "N|auto", value_parser = values::rounds, allow_hyphen_values = true)]
    pub rounds: Option<values::Rounds>,

    /// How narrow intervals have to be for --rounds auto, in percent [default: 5%]
    #[arg(long, value_name = "PERCENT", value_parser = values::width, allow_hyphen_values = true)]
    pub width: Option<f64>,

    /// How long --rounds auto goes on at most [default: 10min]
    #[arg(long, value_name = "TIME", value_parser = values::limit, allow_hyphen_values = true)]
    pub limit: Option<Duration>,

    /// When faults start: closed (each when the one before has ended), poisson:R or fixed:R (R per
    /// second, by all fault threads together; latencies are counted from the intended start)
    #[arg(
        long,
        value_name = "LOOP",
        default_value = "closed",
        allow_hyphen_values = true
    )]
    pub arrival: Arrival,

    /// Pages of the file, a multiple of the window [default: 4096; 2 windows in an audit]
    #[arg(long, value_name = "N", value_parser = values::pages, allow_hyphen_values = true)]
    pub pages: Option<u32>,

    /// Pages that an operation of a storm removes, a multiple of the window [default: 4
    /// windows, or what there is; a window in an audit]
    #[arg(long, value_name = "N", value_parser = values::pages, allow_hyphen_values = true)]
    pub hole: Option<u32>,

    /// Counts a raw event (rNNN, as perf takes it) or a preset (see faultaround list) in each
    /// measured thread, beside cycles, instructions, misses, page faults, switches and migrations
    #[arg(long, value_name = "EVENTS", value_delimiter = ',')]
    pub event: Vec<String>,

    /// How long each CPU is watched before the run, for what the machine does by itself; 0s: not at
    /// all [default: 500ms]
    #[arg(long, value_name = "TIME", value_parser = values::watch, allow_hyphen_values = true)]
    pub watch: Option<Duration>,

    /// Where all random choices come from [default: the time; 1 in an audit]
    #[arg(long, value_name = "S", value_parser = values::seed, allow_hyphen_values = true)]
    pub seed: Option<u64>,

    /// Where the run's directory goes [default: results, in the current directory]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// What goes to standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Let threads share CPUs if there are too few; the results are labelled
    #[arg(long)]
    pub oversubscribe: bool,
}

/// Whether fault threads share an address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mm {
    /// Each has its own.
    Private,
    /// All have one.
    Shared,
}

impl From<Mm> for MmKind {
    fn from(mm: Mm) -> Self {
        match mm {
            Mm::Private => Self::Private,
            Mm::Shared => Self::Shared,
        }
    }
}

/// The order of touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// From the start of the file to its end.
    Sequential,
    /// In a new random order in each pass.
    Random,
}

impl From<Order> for Access {
    fn from(order: Order) -> Self {
        match order {
            Order::Sequential => Self::Sequential,
            Order::Random => Self::Random,
        }
    }
}
