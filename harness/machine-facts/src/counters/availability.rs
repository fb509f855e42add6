//! Which events can be counted, and why the others can't.

use std::io;

use serde::{Deserialize, Serialize};

use super::event::{Event, Kind};
use super::group::Refused;

/// What there is to read from counters here, and what isn't and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// The names of the events that are counted.
    pub counted: Vec<String>,
    /// Those that aren't, by reason.
    pub not_counted: Vec<NotCounted>,
}

/// Events that aren't counted for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCounted {
    /// Their names.
    pub events: Vec<String>,
    /// Why, in words.
    pub why: String,
}

/// What a reason depends on beside the error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// Whether any hardware event could be opened.
    pub(super) has_hardware: bool,
    /// `kernel.perf_event_paranoid`, if it can be read.
    pub(super) paranoid: Option<i32>,
}

impl Circumstances {
    pub(super) fn here(has_hardware: bool) -> Self {
        let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
        Self {
            has_hardware,
            paranoid: paranoid.ok().and_then(|text| text.trim().parse().ok()),
        }
    }
}

impl Availability {
    /// Tries events on the calling thread, and counts nothing.
    pub fn probe(events: &[Event]) -> Self {
        super::Counters::open(events).availability()
    }

    /// Of those that were asked for, these were refused.
    pub(super) fn of(events: &[Event], refused: &[Refused], around: Circumstances) -> Self {
        let mut availability = Self::default();
        for event in events {
            let refusal = refused.iter().find(|(it, _)| it == event);
            match refusal {
                None => availability.counted.push(event.name()),
                Some((_, error)) => availability.miss(event, why(event, error, around)),
            }
        }
        availability
    }

    fn miss(&mut self, event: &Event, why: String) {
        let known = self.not_counted.iter_mut().find(|it| it.why == why);
        match known {
            Some(known) => known.events.push(event.name()),
            None => self.not_counted.push(NotCounted {
                events: vec![event.name()],
                why,
            }),
        }
    }

    /// What isn't counted and why, in one line; `None` if everything is.
    pub fn line(&self) -> Option<String> {
        let parts: Vec<_> = (self.not_counted.iter())
            .map(|it| format!("{}: {}", it.events.join(", "), it.why))
            .collect();
        (!parts.is_empty()).then(|| format!("not counted: {}", parts.join("; ")))
    }
}

/// Why an event could not be opened.
pub(super) fn why(event: &Event, error: &io::Error, around: Circumstances) -> String {
    let hardware = event.kind() != Kind::Software;
    match error.raw_os_error() {
        Some(code @ (libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV | libc::ENXIO)) => {
            let name = errno_name(code);
            match (hardware, around.has_hardware) {
                (true, false) => {
                    format!("no hardware counters here ({name}; a VM without a virtual PMU?)")
                }
                (true, true) => format!("this CPU has no such event ({name})"),
                (false, _) => format!("this kernel has no such event ({name})"),
            }
        }
        Some(libc::EACCES) => not_permitted(event, around.paranoid),
        Some(libc::EPERM) => "not permitted (EPERM; a container's seccomp filter?)".to_owned(),
        Some(libc::ENOSYS) => "this kernel has no perf events (ENOSYS)".to_owned(),
        Some(libc::EINVAL) => "the CPU can't count it (EINVAL)".to_owned(),
        Some(libc::EBUSY) => "somebody else has the counters to himself (EBUSY)".to_owned(),
        Some(libc::EMFILE) => "too many open files (EMFILE: ulimit -n)".to_owned(),
        _ => error.to_string(),
    }
}

fn not_permitted(event: &Event, paranoid: Option<i32>) -> String {
    // What happens in the kernel wants more than a thread's own user space.
    let needed = match event {
        Event::ContextSwitches | Event::CpuMigrations => 1,
        _ => 2,
    };
    match paranoid {
        Some(paranoid) if paranoid > needed => format!(
            "not permitted (EACCES, perf_event_paranoid is {paranoid}: \
             sysctl kernel.perf_event_paranoid={needed})"
        ),
        Some(paranoid) => format!(
            "not permitted (EACCES, though perf_event_paranoid is {paranoid}: a security module?)"
        ),
        None => "not permitted (EACCES)".to_owned(),
    }
}

fn errno_name(code: i32) -> &'static str {
    match code {
        libc::ENOENT => "ENOENT",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::ENODEV => "ENODEV",
        _ => "ENXIO",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Circumstances = Circumstances {
        has_hardware: false,
        paranoid: Some(2),
    };

    fn refused(events: &[Event], code: i32) -> Vec<Refused> {
        let refuse = |event: &Event| (*event, io::Error::from_raw_os_error(code));
        events.iter().map(refuse).collect()
    }

    #[test]
    fn a_vm_without_counters_gets_one_line_for_all() {
        let (hardware, software) = Event::STANDARD.split_at(4);
        let refused = refused(hardware, libc::ENOENT);
        let availability = Availability::of(&Event::STANDARD, &refused, NOTHING);
        assert_eq!(
            availability.line().unwrap(),
            "not counted: cycles, instructions, llc_misses, branch_misses: no hardware counters \
             here (ENOENT; a VM without a virtual PMU?)"
        );
        let names: Vec<_> = software.iter().map(Event::name).collect();
        assert_eq!(availability.counted, names);
    }

    #[test]
    fn one_event_missing_is_not_blamed_on_a_vm() {
        let refused = refused(&[Event::LlcMisses], libc::ENOENT);
        let around = Circumstances {
            has_hardware: true,
            ..NOTHING
        };
        let line = Availability::of(&Event::STANDARD, &refused, around).line();
        assert_eq!(
            line.unwrap(),
            "not counted: llc_misses: this CPU has no such event (ENOENT)"
        );
    }

    #[test]
    fn permission_says_which_setting_would_do() {
        let migrations = refused(&[Event::CpuMigrations], libc::EACCES);
        let line = Availability::of(&[Event::CpuMigrations], &migrations, NOTHING).line();
        assert_eq!(
            line.unwrap(),
            "not counted: cpu_migrations: not permitted (EACCES, perf_event_paranoid is 2: sysctl \
             kernel.perf_event_paranoid=1)"
        );
        for (event, paranoid, needed) in [
            (Event::Cycles, Some(4), "=2)"),
            (Event::Cycles, Some(2), "is 2: a security module?)"),
            (Event::ContextSwitches, Some(1), "is 1: a security module?)"),
            (Event::Cycles, None, "not permitted (EACCES)"),
        ] {
            let around = Circumstances {
                paranoid,
                ..NOTHING
            };
            let why = why(&event, &io::Error::from_raw_os_error(libc::EACCES), around);
            assert!(why.ends_with(needed), "{why}");
        }
    }

    #[test]
    fn reasons_that_differ_are_told_apart_in_the_same_line() {
        let mut all = refused(&[Event::Cycles, Event::Instructions], libc::ENOENT);
        all.extend(refused(&[Event::PageFaults], libc::EPERM));
        let events = [Event::Cycles, Event::PageFaults, Event::Instructions];
        let availability = Availability::of(&events, &all, NOTHING);
        assert_eq!(
            availability.line().unwrap(),
            "not counted: cycles, instructions: no hardware counters here (ENOENT; a VM without a \
             virtual PMU?); page_faults: not permitted (EPERM; a container's seccomp filter?)"
        );
        assert!(availability.counted.is_empty());
    }

    #[test]
    fn every_reason_is_a_line_of_ascii() {
        for code in 1..134 {
            let error = io::Error::from_raw_os_error(code);
            for event in Event::STANDARD {
                let why = why(&event, &error, NOTHING);
                assert!(why.is_ascii() && !why.contains('\n'), "{why}");
            }
        }
    }

    #[test]
    fn nothing_missing_needs_no_line() {
        let availability = Availability::of(&Event::STANDARD, &[], NOTHING);
        assert_eq!(availability.line(), None);
        assert_eq!(availability.counted.len(), Event::STANDARD.len());
    }

    #[test]
    fn it_survives_json() {
        let refused = refused(&[Event::Cycles], libc::ENOENT);
        let before = Availability::of(&Event::STANDARD, &refused, NOTHING);
        let json = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<Availability>(&json).unwrap(), before);
    }
}
