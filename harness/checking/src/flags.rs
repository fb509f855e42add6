//! A folio's flags in words.

use kernel_model::FAULT_POISON;
use kernel_model::fault_around::{POISON_CHECK, WINDOW_FLAGS};
use kernel_model::folio::site::FOLIO_TRYLOCK;
use kernel_model::folio::{
    PG_DIRTY, PG_HAS_HWPOISONED, PG_HEAD, PG_HWPOISON, PG_LOCKED, PG_READAHEAD, PG_UPTODATE,
    PG_WAITERS, PG_WRITEBACK,
};
use kernel_model::platform::Site;
use kernel_model::removal::WRITEBACK_WAIT;

/// Flags by the kernel's names for them, after `PG_`.
const FLAGS: [(u64, &str); 9] = [
    (PG_LOCKED, "locked"),
    (PG_UPTODATE, "uptodate"),
    (PG_DIRTY, "dirty"),
    (PG_WRITEBACK, "writeback"),
    (PG_HWPOISON, "hwpoison"),
    (PG_HAS_HWPOISONED, "has_hwpoisoned"),
    (PG_READAHEAD, "readahead"),
    (PG_HEAD, "head"),
    (PG_WAITERS, "waiters"),
];

/// The names of some flags, each with something before it.
fn names(flags: u64, before: &str) -> Vec<String> {
    let named = FLAGS.into_iter().filter(|(flag, _)| flags & flag != 0);
    named.map(|(_, name)| format!("{before}{name}")).collect()
}

/// The flag that a look is about: of all looks but these it is the lock.
fn asked(site: &Site) -> (u64, &'static str) {
    if site.name == WRITEBACK_WAIT.name {
        (PG_WRITEBACK, "PG_writeback")
    } else if [POISON_CHECK.name, FAULT_POISON.name].contains(&site.name) {
        (PG_HWPOISON, "PG_hwpoison")
    } else {
        (PG_LOCKED, "PG_locked")
    }
}

fn yes_or_no(flag: u64) -> &'static str {
    match flag {
        0 => "no",
        _ => "yes",
    }
}

/// A look at flags.
pub(super) fn looked_at(site: &Site, got: u64) -> String {
    // The window's first look is at all of them, and the lock is asked for by some schemes.
    if site.name == WINDOW_FLAGS.name {
        let not = |flag| if got & flag == 0 { "not " } else { "" };
        let (uptodate, locked) = (not(PG_UPTODATE), not(PG_LOCKED));
        let poison = names(got & (PG_HWPOISON | PG_HAS_HWPOISONED), ", ").concat();
        return format!("flags? {uptodate}uptodate, {locked}locked{poison}");
    }
    let (flag, name) = asked(site);
    format!("{name}? {}", yes_or_no(got & flag))
}

/// What had become of the flags when a look was stale.
pub(super) fn by_now(site: &Site, got: u64, newest: u64) -> String {
    let (missed, (flag, _)) = (got ^ newest, asked(site));
    if site.name != WINDOW_FLAGS.name && missed & flag != 0 {
        return yes_or_no(newest & flag).to_owned();
    }
    let mut missed = [names(newest & missed, ""), names(got & missed, "not ")].concat();
    if missed.is_empty() {
        // A tail of a large folio keeps other things there.
        missed.push(format!("{newest:#x}"));
    }
    missed.join(", ")
}

/// A read-modify-write of flags.
pub(super) fn changed(site: &Site, old: u64, new: u64) -> String {
    if (old ^ new) & PG_LOCKED != 0 {
        return format!("PG_locked {} -> {}", old & PG_LOCKED, new & PG_LOCKED);
    }
    if site.name == FOLIO_TRYLOCK.name {
        return "PG_locked? yes: not taken".to_owned();
    }
    let (set, cleared) = (names(new & !old, "PG_"), names(old & !new, "PG_"));
    let parts = [(set, "set"), (cleared, "cleared")].into_iter();
    let parts = parts.filter(|(names, _)| !names.is_empty());
    let parts: Vec<_> = parts
        .map(|(names, how)| format!("{} {how}", names.join(", ")))
        .collect();
    match &parts[..] {
        [] => "flags as they were".to_owned(),
        _ => parts.join("; "),
    }
}
