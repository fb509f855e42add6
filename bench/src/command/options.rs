//! Options that several commands have, each declared once. Where a command has a default of its own
//! its `mut_arg` says so, by [`value`] and [`or`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, Args, ValueEnum};
use kernel_model::fault_around::{self, About, FaultAround};
use kernel_model::platform::{Platform, Site};
use kernel_model::{Orders, shared_checks};
use measuring::arrival::Arrival;
use measuring::machine::MmKind;
use measuring::order::Access;
use measuring::storms::{self, Storm};
use running_kernel::host::FileKind;

use super::failure::Failure;
use super::output::Format;
use super::values::{self, refuse_repeated};

/// Gives an option a default value.
pub(super) fn value(value: &'static str) -> impl FnOnce(Arg) -> Arg {
    move |option| option.default_value(value)
}

/// Says what stands for an option that isn't given, where that is no value.
pub(super) fn or(what: &'static str) -> impl FnOnce(Arg) -> Arg {
    move |option| {
        let help = option.get_help().cloned().unwrap_or_default();
        option.help(format!("{help} [default: {what}]"))
    }
}

/// Lets `--scheme` name schemes of all families.
#[cfg(feature = "check")]
pub(super) fn of_any_family(option: Arg) -> Arg {
    option.value_parser(values::any_scheme)
}

/// `--scheme`.
#[derive(Debug, Args)]
pub(super) struct Schemes {
    /// Schemes, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = values::scheme)]
    pub(super) scheme: Vec<String>,
}

impl Schemes {
    /// What stands for them where none is named.
    pub(super) const SOUND: &str = "all sound ones; broken ones run when named";

    /// Those that were named, the baseline of ratios first; or else all sound ones.
    pub(super) fn named<P: Platform>(&self) -> Result<Vec<&'static dyn FaultAround<P>>, Failure> {
        refuse_repeated("--scheme", &self.scheme)?;
        let all = fault_around::Schemes::<P>::ALL.iter().copied();
        let mut schemes: Vec<_> = if self.scheme.is_empty() {
            all.filter(|scheme| scheme.about().verdict.is_sound())
                .collect()
        } else {
            let named =
                |name: &String| fault_around::Schemes::<P>::named(name).expect("names are checked");
            self.scheme.iter().map(named).collect()
        };
        // A stable sort: the order stays as it was otherwise.
        schemes.sort_by_key(|scheme| scheme.about().name != BASELINE);
        Ok(schemes)
    }
}

/// The scheme that ratios are to, if it runs.
const BASELINE: &str = "page-locked";

/// `--storm`.
#[derive(Debug, Args)]
pub(super) struct Storms {
    /// Storms, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = values::storm)]
    pub(super) storm: Vec<String>,
}

impl Storms {
    /// Those that were named, or else all of which `is_default` holds.
    pub(super) fn named<P: Platform>(
        &self,
        is_default: impl Fn(&dyn Storm<P>) -> bool,
    ) -> Result<Vec<&'static dyn Storm<P>>, Failure> {
        refuse_repeated("--storm", &self.storm)?;
        if self.storm.is_empty() {
            let all = storms::Storms::<P>::ALL.iter().copied();
            return Ok(all.filter(|storm| is_default(*storm)).collect());
        }
        let named = |name: &String| storms::Storms::<P>::named(name).expect("names are checked");
        Ok(self.storm.iter().map(named).collect())
    }
}

/// The model's windows and folios.
#[derive(Debug, Args)]
pub(super) struct Model {
    /// Pages that a fault maps at most, a power of two
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = values::power_of_two,
          allow_hyphen_values = true)]
    pub(super) window: u32,

    /// The order of the file's folios, from 0 (4 KiB) to 9 (2 MiB); mix: of each 256 pages of the
    /// file 64 are in folios of order 0, 2, 4 and 6 each
    #[arg(long, value_name = "N|mix", default_value = "0", value_parser = values::orders,
          allow_hyphen_values = true)]
    pub(super) order: Orders,
}

/// What a miss of the model reads.
#[derive(Debug, Args)]
pub(super) struct Readahead {
    /// Pages that a miss reads, a power of two [default: the window]
    #[arg(long, value_name = "N", value_parser = values::power_of_two, allow_hyphen_values = true)]
    pub(super) readahead: Option<u32>,
}

/// Where, on how much, for how long.
#[derive(Debug, Args)]
pub(super) struct Extent {
    /// CPUs in the order in which threads are placed on them, such as 0-3,8 [default: all allowed,
    /// cores before their SMT siblings, one package before the next]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub(super) cpus: Option<String>,

    /// Pages of the file, a multiple of the window [default: 4096]
    #[arg(long, value_name = "N", value_parser = values::pages, allow_hyphen_values = true)]
    pub(super) pages: Option<u32>,

    /// Time for each of what is measured, in each round [default: 200ms]
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    pub(super) duration: Option<Duration>,

    /// Where all random choices come from [default: the time]
    #[arg(long, value_name = "S", value_parser = values::seed, allow_hyphen_values = true)]
    pub(super) seed: Option<u64>,
}

/// What a storm removes at once.
#[derive(Debug, Args)]
pub(super) struct Hole {
    /// Pages that an operation of a storm removes, a multiple of the window [default: 4 windows, or
    /// what there is]
    #[arg(long, value_name = "N", value_parser = values::pages, allow_hyphen_values = true)]
    pub(super) hole: Option<u32>,
}

/// The threads of a storm, and how those that fault touch the file.
#[derive(Debug, Args)]
pub(super) struct Actors {
    /// Threads of each storm, on CPUs of their own
    #[arg(long, value_name = "N", required = false, value_parser = values::threads,
          allow_hyphen_values = true)]
    pub(super) storm_threads: u32,

    /// Whether fault threads are processes (private) or threads of one (shared)
    #[arg(long, value_enum, default_value_t = Mm::Private)]
    pub(super) mm: Mm,

    /// The order in which windows are touched
    #[arg(long, value_enum, required = false)]
    pub(super) access: Order,
}

/// What commands have that measure removals and leave a run directory.
#[derive(Debug, Args)]
pub(super) struct Measured {
    /// Operations per second that all storm threads together start, latencies counted from the
    /// intended start; max: flat out, each when the one before has ended
    #[arg(long, value_name = "R/S", required = false, value_parser = values::rate,
          allow_hyphen_values = true)]
    pub(super) rate: values::Rate,

    /// How long each CPU is watched before the run, for what the machine does by itself; 0s: not at
    /// all
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = values::watch,
          allow_hyphen_values = true)]
    pub(super) watch: Duration,

    /// Where the run's directory goes
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(super) out: PathBuf,
}

/// A plain number of rounds.
#[derive(Debug, Args)]
pub(super) struct Turns {
    /// Rounds, each of them everything once
    #[arg(long, value_name = "N", required = false, value_parser = values::turns,
          allow_hyphen_values = true)]
    pub(super) rounds: u32,
}

/// Options of storms over the model and over the running kernel.
#[derive(Debug, Args)]
pub(super) struct Load {
    #[command(flatten)]
    pub(super) storms: Storms,

    /// Numbers of fault threads, separated by commas; 1..8: from 1 to 8; 1..: as many as the CPUs
    /// allow [default: 1 and as many as the CPUs allow]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = values::thread_numbers,
          allow_hyphen_values = true)]
    pub(super) threads: Vec<values::Threads>,

    #[command(flatten)]
    pub(super) actors: Actors,

    #[command(flatten)]
    pub(super) extent: Extent,

    #[command(flatten)]
    pub(super) hole: Hole,

    #[command(flatten)]
    pub(super) measured: Measured,

    /// Rounds, each of them everything once; auto: until the interval of each ratio is narrower
    /// than --width, or --limit is over
    #[arg(long, value_name = "N|auto", default_value = "10", value_parser = values::rounds,
          allow_hyphen_values = true)]
    pub(super) rounds: values::Rounds,

    /// How narrow intervals have to be for --rounds auto, in percent [default: 5%]
    #[arg(long, value_name = "PERCENT", value_parser = values::width, allow_hyphen_values = true)]
    pub(super) width: Option<f64>,

    /// How long --rounds auto goes on at most [default: 10min]
    #[arg(long, value_name = "TIME", value_parser = values::limit, allow_hyphen_values = true)]
    pub(super) limit: Option<Duration>,

    /// When faults start: closed (each when the one before has ended), poisson:R or fixed:R (R per
    /// second, by all fault threads together; latencies are counted from the intended start)
    #[arg(
        long,
        value_name = "LOOP",
        default_value = "closed",
        allow_hyphen_values = true
    )]
    pub(super) arrival: Arrival,

    /// Counts a raw event (rNNN, as perf takes it) or a preset (see faultaround list) in each
    /// measured thread, beside cycles, instructions, misses, page faults, switches and migrations
    #[arg(long, value_name = "EVENTS", value_delimiter = ',')]
    pub(super) event: Vec<String>,

    /// Let threads share CPUs if there are too few; the results are labelled
    #[arg(long)]
    pub(super) oversubscribe: bool,

    #[command(flatten)]
    pub(super) printed: Printed,
}

/// Files of the running kernel.
#[derive(Debug, Args)]
pub(super) struct Files {
    /// Measure files in this directory, too, on whatever file system it is; a memfd (tmpfs) is
    /// measured always. Nothing is left behind there
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,

    /// How much each write to those files writes, separated by commas: the larger, the larger the
    /// folios, where the file system has large ones
    #[arg(long, value_name = "4k|64k|2m", value_delimiter = ',', default_value = "4k,64k",
          value_parser = values::write_pages, requires = "dir")]
    pub(super) write: Vec<u32>,
}

impl Files {
    /// A memfd first, which the others are compared with.
    pub(super) fn kinds(&self) -> Result<Vec<FileKind>, Failure> {
        let mut files = vec![FileKind::memfd()];
        for &write_pages in self.dir.iter().flat_map(|_| &self.write) {
            let dir = self.dir.as_deref().expect("there is one");
            files.push(FileKind::in_dir(dir, write_pages).map_err(Failure::usage)?);
        }
        let sizes: Vec<_> = files[1..].iter().map(FileKind::write_size).collect();
        refuse_repeated("--write", &sizes)?;
        Ok(files)
    }
}

/// `--without`.
#[derive(Debug, Args)]
pub(super) struct Without {
    /// Leave out checks, named by their sites (see faultaround list), to see that it is noticed:
    /// exit status 0 if it is, 1 if not
    #[arg(long, value_name = "CHECKS", value_delimiter = ',')]
    pub(super) without: Vec<String>,
}

impl Without {
    /// The checks; refuses those that no scheme of the run makes, nor any remover.
    pub(super) fn checks(
        &self,
        schemes: impl Iterator<Item = &'static About>,
    ) -> Result<Vec<&'static Site>, Failure> {
        let own = schemes.flat_map(|scheme| scheme.checks());
        self.of(own.chain(shared_checks()))
    }

    /// The checks among those that are known.
    pub(super) fn of(
        &self,
        checks: impl Iterator<Item = &'static Site>,
    ) -> Result<Vec<&'static Site>, Failure> {
        refuse_repeated("--without", &self.without)?;
        let known: BTreeMap<_, _> = checks.map(|site| (site.name, site)).collect();
        let site = |name: &String| {
            known.get(name.as_str()).copied().ok_or_else(|| {
                let known: Vec<_> = known.keys().copied().collect();
                Failure::Usage(format!(
                    "--without {name}: no scheme of this run makes such a check, nor a remover; \
                     they make {}",
                    known.join(", ")
                ))
            })
        };
        self.without.iter().map(site).collect()
    }
}

/// `--format`.
#[derive(Debug, Args)]
pub(super) struct Printed {
    /// What goes to standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// Whether fault threads share an address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mm {
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
pub(super) enum Order {
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
