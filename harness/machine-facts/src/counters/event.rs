//! What there is to count, and how it is named.

use super::cpu::Cpu;
use super::preset;

/// Something that the CPU or the kernel counts.
///
/// Hardware and raw events are counted in user space only: the model is there, and what the kernel
/// does in between (ticks, interrupts) is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// CPU cycles, at whatever frequency the CPU ran.
    Cycles,
    /// Instructions retired.
    Instructions,
    /// Misses of the last-level cache. On Intel the architectural event, which knows loads, stores
    /// and prefetches that missed it; elsewhere load misses, if the kernel has an event for them:
    /// what it calls "cache misses" are misses of the L2 on Zen and of the L1D on arm64.
    LlcMisses,
    /// Mispredicted branches.
    BranchMisses,
    /// Page faults of the machine itself, taken by accesses from user space.
    PageFaults,
    /// How often the thread was switched out, by its own will or not.
    ContextSwitches,
    /// How often the thread went to another CPU.
    CpuMigrations,
    /// An event by its number.
    Raw(RawEvent),
}

/// An event by the number that the CPU's manual has for it.
#[derive(Debug, Clone, Copy)]
pub struct RawEvent {
    /// What goes into `config` of `perf_event_attr`: on x86 the event in bits 0 to 7, the unit mask
    /// in bits 8 to 15.
    pub config: u64,
    /// What the vendor calls it, if it came from a preset.
    pub means: Option<&'static str>,
}

impl PartialEq for RawEvent {
    /// An event is its number, whether or not somebody knows what it means.
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl Eq for RawEvent {}

/// What counts an event. Events of a kind are a group: they are on the CPU together or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The CPU, by one of the kernel's generic names.
    Hardware,
    /// The kernel.
    Software,
    /// The CPU, by number.
    Raw,
}

impl Event {
    /// What is counted unasked, in the order of columns.
    pub const STANDARD: [Self; 7] = [
        Self::Cycles,
        Self::Instructions,
        Self::LlcMisses,
        Self::BranchMisses,
        Self::PageFaults,
        Self::ContextSwitches,
        Self::CpuMigrations,
    ];

    /// What counts it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cycles | Self::Instructions | Self::LlcMisses | Self::BranchMisses => {
                Kind::Hardware
            }
            Self::PageFaults | Self::ContextSwitches | Self::CpuMigrations => Kind::Software,
            Self::Raw(_) => Kind::Raw,
        }
    }

    /// Its name in columns: of a raw event `r` and at least four hexadecimal digits in lower case.
    pub fn name(&self) -> String {
        match self {
            Self::Cycles => "cycles".to_owned(),
            Self::Instructions => "instructions".to_owned(),
            Self::LlcMisses => "llc_misses".to_owned(),
            Self::BranchMisses => "branch_misses".to_owned(),
            Self::PageFaults => "page_faults".to_owned(),
            Self::ContextSwitches => "context_switches".to_owned(),
            Self::CpuMigrations => "cpu_migrations".to_owned(),
            Self::Raw(raw) => format!("r{:04x}", raw.config),
        }
    }

    /// What an option `--event` gives: `rNNN` as perf(1) takes it, or the name of a preset, which
    /// may be several events.
    ///
    /// # Errors
    /// One line that says what was given and what is allowed, also for a preset that isn't for this
    /// CPU.
    pub fn parse(given: &str, cpu: &Cpu) -> Result<Vec<Self>, String> {
        if let Some(preset) = preset::named(given) {
            return preset.events(cpu);
        }
        let digits = given.strip_prefix('r').unwrap_or_default();
        // from_str_radix() would take a sign.
        let hex = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        match u64::from_str_radix(digits, 16) {
            Ok(config) if hex => Ok(vec![Self::Raw(RawEvent {
                config,
                means: None,
            })]),
            _ => Err(format!(
                "event {given}: not one of {}, nor rNNN with up to 16 hexadecimal digits \
                 (on x86 unit mask and event, as perf(1) takes them)",
                preset::names().join(", ")
            )),
        }
    }

    /// The standard events and others, each once.
    pub fn standard_and(others: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut events = Self::STANDARD.to_vec();
        for other in others {
            if !events.contains(&other) {
                events.push(other);
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(config: u64) -> Event {
        Event::Raw(RawEvent {
            config,
            means: None,
        })
    }

    #[test]
    fn a_raw_event_is_hexadecimal_and_its_name_is_normal() {
        for (given, config, name) in [
            ("r1d2", 0x1d2, "r01d2"),
            ("r01D2", 0x1d2, "r01d2"),
            ("r0", 0, "r0000"),
            ("r100000120", 0x1_0000_0120, "r100000120"),
            ("rffffffffffffffff", u64::MAX, "rffffffffffffffff"),
        ] {
            let parsed = Event::parse(given, &Cpu::UNKNOWN);
            assert_eq!(parsed, Ok(vec![raw(config)]), "{given}");
            assert_eq!(raw(config).name(), name);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        for given in [
            "",
            "r",
            "1d2",
            "r+1d2",
            "rxyz",
            "r 1d2",
            "R1d2",
            "r0x1d2",
            "r11112222333344445",
            "cycles",
        ] {
            let error = Event::parse(given, &Cpu::UNKNOWN).expect_err(given);
            assert!(error.starts_with(&format!("event {given}: ")), "{error}");
            for allowed in ["rNNN", "hitm", "memory-ordering-clears"] {
                assert!(error.contains(allowed), "{error}");
            }
            assert!(error.is_ascii() && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn names_are_unique_and_fit_a_column() {
        let mut names: Vec<_> = Event::STANDARD.iter().map(Event::name).collect();
        for name in &names {
            assert!(name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Event::STANDARD.len());
    }

    #[test]
    fn nothing_is_counted_twice() {
        let known = Event::Raw(RawEvent {
            config: 0x4d2,
            means: Some("somebody knows"),
        });
        let events = Event::standard_and([known, Event::Cycles, raw(0x4d2), raw(0x2c3)]);
        let extra = &events[Event::STANDARD.len()..];
        assert_eq!(extra, [raw(0x4d2), raw(0x2c3)]);
    }
}
