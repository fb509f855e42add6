//! Values of options. Each parser's error says what is allowed, in a line; clap says before it
//! which option was given what.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use kernel_model::Orders;
use kernel_model::fault_around::Schemes;
use kernel_model::folio::MAX_ORDER;
use kernel_model::platform::Native;
#[cfg(feature = "check")]
use kernel_model::race::{self, Graded};
use measuring::machine::orders_named;
use measuring::storms::Storms;

use super::failure::Failure;

/// Refuses values that are given twice to an option.
pub(super) fn refuse_repeated<T: Ord + std::fmt::Display>(
    option: &str,
    values: &[T],
) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    match values.iter().find(|value| !seen.insert(*value)) {
        Some(value) => Err(Failure::Usage(format!(
            "{value} is given twice to {option}: once is enough"
        ))),
        None => Ok(()),
    }
}

/// A scheme's name.
pub(super) fn scheme(name: &str) -> Result<String, String> {
    let known = Schemes::<Native>::ALL.iter();
    let known: Vec<_> = known.map(|scheme| scheme.about().name).collect();
    one_of("scheme", name, &known)
}

/// A storm's name.
pub(super) fn storm(name: &str) -> Result<String, String> {
    let known = Storms::<Native>::ALL.iter();
    let known: Vec<_> = known.map(|storm| storm.about().name).collect();
    one_of("storm", name, &known)
}

/// A graded outcome.
#[cfg(feature = "check")]
pub(super) fn graded(name: &str) -> Result<Graded, String> {
    let all = || race::families().flat_map(|family| family.graded);
    let named = all().find(|it| it.name == name).copied();
    named.ok_or_else(|| {
        let known: Vec<_> = all().map(|it| it.name).collect();
        one_of("graded outcome", name, &known).expect_err("it is none of them")
    })
}

/// A family's name.
#[cfg(feature = "check")]
pub(super) fn family(name: &str) -> Result<String, String> {
    let known: Vec<_> = race::families().map(|family| family.name).collect();
    one_of("family", name, &known)
}

/// The name of a scheme of whichever family.
#[cfg(feature = "check")]
pub(super) fn any_scheme(name: &str) -> Result<String, String> {
    let known = race::families().flat_map(|family| (family.schemes)());
    let known: Vec<_> = known.map(|scheme| scheme.name).collect();
    one_of("scheme", name, &known)
}

/// A scenario's name.
#[cfg(feature = "check")]
pub(super) fn scenario(name: &str) -> Result<String, String> {
    let known = race::families().flat_map(|family| (family.scenarios)());
    let known: Vec<_> = known.map(|scenario| scenario.name).collect();
    one_of("scenario", name, &known)
}

/// Preemptions in an execution, or `none` for all executions.
#[cfg(feature = "check")]
pub(super) fn bound(text: &str) -> Result<checking::Bound, String> {
    use checking::Bound;
    if text == "none" {
        return Ok(Bound::None);
    }
    let allowed = "a bound is a number of preemptions from 0 to 100, or none";
    match text.parse() {
        Ok(bound @ 0..=100) => Ok(Bound::Preemptions(bound)),
        _ => Err(allowed.to_owned()),
    }
}

/// A number of random schedules.
#[cfg(feature = "check")]
pub(super) fn schedules(text: &str) -> Result<u32, String> {
    whole(text, 1, 1_000_000_000)
}

/// A site with a weaker ordering than its own.
#[cfg(feature = "check")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Weakened {
    /// The site.
    pub(super) site: &'static kernel_model::platform::Site,
    /// The ordering; relaxed for a barrier that is to be gone.
    pub(super) order: std::sync::atomic::Ordering,
}

/// A site's name and an ordering below its own.
#[cfg(feature = "check")]
pub(super) fn weakened(text: &str) -> Result<Weakened, String> {
    use checking::weaken::{ladder, sites_of};
    use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
    let (name, order) = text.split_once('=').ok_or_else(|| {
        "a site and an ordering are wanted, such as recheck_locked=relaxed".to_owned()
    })?;
    let of = |family: &'static race::Family| {
        let schemes = (family.schemes)().into_iter();
        schemes.flat_map(|scheme| sites_of(family, scheme))
    };
    let sites: Vec<_> = race::families().flat_map(of).collect();
    let Some(site) = sites.iter().find(|site| site.name == name) else {
        let known: std::collections::BTreeSet<_> = sites.iter().map(|site| site.name).collect();
        let known: Vec<_> = known.into_iter().collect();
        return Err(format!(
            "no such site; those that order anything are {}",
            known.join(", ")
        ));
    };
    let order = match order {
        "relaxed" | "none" => Relaxed,
        "acquire" => Acquire,
        "release" => Release,
        "acqrel" => AcqRel,
        _ => return Err("an ordering is relaxed (or none), acquire, release or acqrel".to_owned()),
    };
    if ladder(site).contains(&order) {
        Ok(Weakened { site, order })
    } else {
        let own = format!("{:?}", site.order).to_lowercase();
        Err(format!("{name} is {own}, and that isn't weaker"))
    }
}

fn one_of(what: &str, name: &str, known: &[&str]) -> Result<String, String> {
    if known.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(format!("unknown {what}; known are {}", known.join(", ")))
    }
}

/// The most threads that anybody may ask for: those of the largest machines, a few times over.
const MOST_THREADS: u32 = 4096;

/// Numbers of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// One number.
    One(u32),
    /// From the first to the last.
    Range(u32, u32),
    /// From a number to as many as the CPUs allow.
    From(u32),
}

impl Threads {
    /// The numbers, where the CPUs allow `most`.
    pub(super) fn numbers(self, most: u32) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::One(threads) => threads..=threads,
            Self::Range(first, last) => first..=last,
            Self::From(first) => first..=most.max(first),
        }
    }
}

impl std::fmt::Display for Threads {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(threads) => threads.fmt(out),
            Self::Range(first, last) => write!(out, "{first}..{last}"),
            Self::From(first) => write!(out, "{first}.."),
        }
    }
}

/// A number of threads, or a range of them.
pub(super) fn thread_numbers(text: &str) -> Result<Threads, String> {
    let Some((first, last)) = text.split_once("..") else {
        return threads(text)
            .map(Threads::One)
            .map_err(|line| line + ", or a range such as 1..8");
    };
    let first = threads(first)?;
    if last.is_empty() {
        return Ok(Threads::From(first));
    }
    let last = threads(last)?;
    if first <= last {
        Ok(Threads::Range(first, last))
    } else {
        Err("a range is from the smaller number to the larger one".to_owned())
    }
}

/// A number of threads.
pub(super) fn threads(text: &str) -> Result<u32, String> {
    whole(text, 1, MOST_THREADS)
}

/// An order of folios, or `mix`.
pub(super) fn orders(text: &str) -> Result<Orders, String> {
    orders_named(text).ok_or_else(|| format!("an order is from 0 to {MAX_ORDER}, or mix"))
}

/// A number of rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounds {
    /// So many.
    Fixed(u32),
    /// As many as it takes.
    Auto,
}

/// A number of rounds, or `auto`.
pub(super) fn rounds(text: &str) -> Result<Rounds, String> {
    match text {
        "auto" => Ok(Rounds::Auto),
        _ => {
            let rounds = turns(text).map(Rounds::Fixed);
            rounds.map_err(|line| line + ", or auto")
        }
    }
}

/// A number of rounds where no interval ends them.
pub(super) fn turns(text: &str) -> Result<u32, String> {
    whole(text, 1, 10_000)
}

/// A share in percent, with or without the sign for that.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let figure = text.strip_suffix('%').unwrap_or(text);
    match figure.parse() {
        // There is a zero below zero, too.
        Ok(percent) if (0.0..=100.0).contains(&percent) && !figure.starts_with('-') => Ok(percent),
        _ => Err("a percentage is from 0% to 100%".to_owned()),
    }
}

/// The width of an interval in percent: one of no width never comes.
pub(super) fn width(text: &str) -> Result<f64, String> {
    match percent(text) {
        Ok(percent) if percent >= 0.1 => Ok(percent),
        _ => Err("a width is from 0.1% to 100%".to_owned()),
    }
}

/// A number of pages, up to 64 GiB of file in pages of 4 KiB.
pub(super) fn pages(text: &str) -> Result<u32, String> {
    whole(text, 1, 1 << 24)
}

/// What a write writes, in pages.
pub(super) fn write_pages(text: &str) -> Result<u32, String> {
    match text {
        "4k" => Ok(1),
        "64k" => Ok(16),
        "2m" => Ok(512),
        _ => Err("a write is of 4k, 64k or 2m".to_owned()),
    }
}

/// A window, or what is read at once: an aligned power of two of pages within a PTE table.
pub(super) fn power_of_two(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(pages @ 1..=512_u32) if pages.is_power_of_two() => Ok(pages),
        _ => Err("a power of two of pages from 1 to 512 is allowed".to_owned()),
    }
}

/// A seed.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    let allowed = "a seed is a whole number from 0 to 18446744073709551615";
    text.parse().map_err(|_| allowed.to_owned())
}

/// The time that reading a page takes, in nanoseconds.
pub(super) fn fill_ns(text: &str) -> Result<u32, String> {
    whole(text, 0, 100_000_000)
}

fn whole(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let allowed = || format!("a whole number from {least} to {most} is allowed");
    let number: u32 = text.parse().map_err(|_| allowed())?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(allowed())
    }
}

/// How often operations of a storm start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rate {
    /// So many in a second.
    PerSecond(f64),
    /// Each as soon as the one before has ended.
    FlatOut,
}

impl Rate {
    /// Operations per second, unless they are flat out.
    pub(super) fn per_second(self) -> Option<f64> {
        match self {
            Self::PerSecond(rate) => Some(rate),
            Self::FlatOut => None,
        }
    }
}

/// Operations per second, or `max`.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let allowed = "a rate is a number of operations per second above 0, from 0.001 to 1e9, or max";
    if text == "max" {
        return Ok(Rate::FlatOut);
    }
    let rate: f64 = text.parse().map_err(|_| allowed.to_owned())?;
    if (1e-3..=1e9).contains(&rate) {
        Ok(Rate::PerSecond(rate))
    } else {
        Err(allowed.to_owned())
    }
}

/// How long CPUs are watched: a length of time, or none at all.
pub(super) fn watch(text: &str) -> Result<Duration, String> {
    if text
        .parse()
        .is_ok_and(|time: SignedDuration| time.is_zero())
    {
        return Ok(Duration::ZERO);
    }
    duration(text).map_err(|allowed| format!("{allowed}, and 0s for none"))
}

/// A length of time with its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let allowed = "a time from 10ms to 1h with its unit is allowed, such as 300ms or 2s";
    time(text, 3_600, allowed)
}

/// How long something may take in all.
pub(super) fn limit(text: &str) -> Result<Duration, String> {
    let allowed = "a time from 10ms to 48h with its unit is allowed, such as 90s or 10min";
    time(text, 48 * 3_600, allowed)
}

fn time(text: &str, longest_s: i64, allowed: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|_| allowed.to_owned())?;
    let shortest = SignedDuration::from_millis(10);
    if (shortest..=SignedDuration::from_secs(longest_s)).contains(&duration) {
        Ok(duration.unsigned_abs())
    } else {
        Err(allowed.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_taken() {
        assert_eq!(threads("12"), Ok(12));
        assert_eq!(thread_numbers("1..4"), Ok(Threads::Range(1, 4)));
        assert_eq!(thread_numbers("2.."), Ok(Threads::From(2)));
        assert_eq!(Threads::From(2).numbers(5), 2..=5);
        assert_eq!(Threads::From(2).numbers(1), 2..=2);
        assert_eq!(
            (rounds("7"), rounds("auto")),
            (Ok(Rounds::Fixed(7)), Ok(Rounds::Auto))
        );
        assert_eq!((percent("5%"), percent("0.5")), (Ok(5.0), Ok(0.5)));
        assert_eq!(limit("10min"), Ok(Duration::from_secs(600)));
        assert_eq!((power_of_two("512"), width("0.1")), (Ok(512), Ok(0.1)));
        assert_eq!(pages("1048576"), Ok(1 << 20));
        assert_eq!(fill_ns("0"), Ok(0));
        assert_eq!(rate("0.5"), Ok(Rate::PerSecond(0.5)));
        assert_eq!(rate("max"), Ok(Rate::FlatOut));
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(watch("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(watch("0s"), Ok(Duration::ZERO));
        assert_eq!(scheme("page-locked"), Ok("page-locked".to_owned()));
    }

    #[test]
    fn what_is_not_allowed_is_told_in_a_line() {
        let refused = [
            threads("0").err(),
            threads("1.5").err(),
            threads("5000").err(),
            rounds("0").err(),
            rounds("many").err(),
            percent("-1").err(),
            percent("101%").err(),
            percent("five").err(),
            limit("49h").err(),
            thread_numbers("3..2").err(),
            thread_numbers("0..2").err(),
            thread_numbers("1-4").err(),
            pages("0").err(),
            power_of_two("24").err(),
            power_of_two("1024").err(),
            percent("-0%").err(),
            width("0%").err(),
            rate("-3").err(),
            rate("0").err(),
            rate("nan").err(),
            rate("inf").err(),
            fill_ns("-1").err(),
            duration("300").err(),
            duration("-2s").err(),
            duration("1us").err(),
            duration("2h").err(),
            duration("0s").err(),
            watch("1ms").err(),
            watch("0").err(),
            scheme("page-lock").err(),
            storm("hail").err(),
        ];
        for (number, line) in refused.into_iter().enumerate() {
            let line = line.unwrap_or_else(|| panic!("value {number} was taken"));
            assert_eq!(line.lines().count(), 1, "{line}");
        }
        assert!(scheme("x").unwrap_err().contains("mapcount-recheck"));
        assert!(storm("x").unwrap_err().contains("punch-hole"));
    }
}
