//! Steps in words: what is told in a trace, and how.

use std::sync::atomic::Ordering;

use kernel_model::address_space::{self, site::SLOT_RELOAD};
use kernel_model::folio::site::REF_FREEZE;
use kernel_model::folio::{self, Counts};
use kernel_model::gates::GateState;
use kernel_model::platform::checked::Mutation;
use kernel_model::platform::{Access, Holds, Note, Site, Step, What, Word};
use kernel_model::stack::FramePointer;
use kernel_model::wait_queue;

use super::flags;

/// Puts steps into words; says nothing of those that don't matter.
pub(super) struct Words<'a> {
    mutation: &'a Mutation,
    /// What the trace shows.
    shows: &'static str,
    /// Whether the size of the file is told.
    size: bool,
    /// Whether there is more than one file page or folio.
    one_folio: bool,
}

/// A PTE-table lock is taken …
pub(super) const LOCKS: &str = "  lock the PTE table";
/// … and let go …
pub(super) const UNLOCKS: &str = "  unlock the PTE table";
/// … with nothing done in between.
pub(super) const PASSES: &str = "  lock, unlock the PTE table";
/// A PTE table becomes reachable.
pub(super) const INSTALLS: &str = "  install the PTE table";

/// Reads of fields that a lock holds still, and what only a free folio's owner does: told only if
/// they go wrong.
const QUIET: &[&str] = &[
    "stable_read",
    "folio_init",
    "folio_set_waiters",
    "folio_clear_waiters",
    "folio_is_large",
    "folio_order",
    "folio_index",
];

impl<'a> Words<'a> {
    /// Those of an execution that shows this.
    pub(super) fn of(shows: &'static str, steps: &[Step], mutation: &'a Mutation) -> Self {
        let number_of = |step: &Step| match step.what {
            What::Load { word, .. } | What::Store { word, .. } | What::Rmw { word, .. } => {
                matches!(word.holds, Holds::Counts | Holds::Mapcount).then_some(word.number)
            }
            _ => None,
        };
        let stored = |step: &Step| matches!(step.what, What::Store { word, .. } if word.holds == Holds::Size);
        Self {
            mutation,
            shows,
            size: steps.iter().any(stored),
            one_folio: steps.iter().filter_map(number_of).all(|number| number == 0),
        }
    }

    /// A step in words; `None` if it doesn't matter.
    pub(super) fn line(&self, step: &Step) -> Option<String> {
        let text = match &step.what {
            What::Load {
                site,
                word,
                got,
                newest,
            } => {
                let stale = got != newest;
                let read = self.read(site, *word, *got, stale)?;
                let by_now = match word.holds {
                    Holds::Flags => flags::by_now(site, *got, *newest),
                    _ => self.value(*word, *newest, *got),
                };
                let missed = match stale {
                    true => format!(" (STALE: {by_now} by now)"),
                    false => String::new(),
                };
                format!("{read}{missed} {}", self.tag(site))
            }
            What::Store {
                site,
                word,
                old,
                new,
            } => {
                format!(
                    "{} {}",
                    self.stored(site, *word, *old, *new)?,
                    self.tag(site)
                )
            }
            What::Rmw {
                site,
                word,
                old,
                new,
            } => {
                format!(
                    "{} {}",
                    self.changed(site, *word, *old, *new)?,
                    self.tag(site)
                )
            }
            What::Fence(site) => format!("{} {}", barrier(site), self.tag(site)),
            What::NoFence(site) => format!("NO {} [{}]", barrier(site), site.name),
            What::LeftOut(site) => format!("NO CHECK [{}]", site.name),
            What::Locks { class: "ptl", .. } => return Some(LOCKS.to_owned()),
            What::Unlocks { class: "ptl" } => return Some(UNLOCKS.to_owned()),
            What::Locks { .. } | What::Unlocks { .. } => return None,
            What::Sleeps => "sleep in the wait queue".to_owned(),
            What::Wakes => "wake the first sleeper".to_owned(),
            What::Note(note) => return self.note(note),
        };
        Some(format!("  {text}"))
    }

    fn note(&self, note: &Note) -> Option<String> {
        let of = |index: u64, pfn: folio::Pfn| match self.one_folio {
            true => String::new(),
            false => format!(" of page {index} (folio {})", pfn.0),
        };
        Some(match note {
            Note::Begins(what, range) if range.end == range.start + 1 => {
                format!("{what}, page {}", range.start)
            }
            Note::Begins(what, range) => {
                format!("{what}, pages {}-{}", range.start, range.end - 1)
            }
            Note::Returns(what) => format!("{what} returns"),
            Note::PteSet { index, pfn } => format!("  set PTE{}", of(*index, *pfn)),
            Note::PteZapped { index, pfn } => format!("  zap PTE{}", of(*index, *pfn)),
            Note::NoPteTable => "  zap: no PTE table, nothing to do".to_owned(),
            Note::Allocated(pfn) => format!("  allocate folio {}", pfn.0),
            Note::Freed(pfn) => format!("  free folio {}", pfn.0),
            Note::Filled { index, pfn } => format!("  page {index} is read into folio {}", pfn.0),
            Note::Says(words) => words.clone(),
            Note::Violated(invariant) => format!("  <== {invariant}"),
            Note::Graded(graded) if graded.name == self.shows => format!("  <== {graded}"),
            Note::Graded(_) => return None,
        })
    }

    fn read(&self, site: &Site, word: Word, got: u64, stale: bool) -> Option<String> {
        if !stale && QUIET.contains(&site.name) {
            return None;
        }
        Some(match word.holds {
            Holds::Flags => format!("{}{}", self.folio(word), flags::looked_at(site, got)),
            Holds::Mapping => format!(
                "{}mapping? {}",
                self.folio(word),
                self.value(word, got, got)
            ),
            Holds::Counts | Holds::Mapcount | Holds::LargeMapcount => format!(
                "{}mapcount? {}",
                self.folio(word),
                self.value(word, got, got)
            ),
            Holds::Gate => format!("gate? {}", self.value(word, got, got)),
            Holds::Slot if got != 0 && !stale && site.name == SLOT_RELOAD.name => {
                format!("slot {}: still {}", word.number, self.value(word, got, got))
            }
            Holds::Slot => format!("slot {}: {}", word.number, self.value(word, got, got)),
            Holds::Size if !stale && !self.size => return None,
            Holds::Size => format!("i_size? {}", self.value(word, got, got)),
            Holds::Pmd if !stale => return None,
            Holds::Pmd => format!("PTE table? {}", self.value(word, got, got)),
            Holds::Contents => format!("read the page: {}", self.value(word, got, got)),
            Holds::Number => format!("word {}: {got}", word.number),
            Holds::TaskState | Holds::Signal | Holds::Queued | Holds::Frame => {
                format!("{}? {}", subject(word), self.value(word, got, got))
            }
            Holds::FramePointer => format!("i_private? {}", self.value(word, got, got)),
            Holds::FrameField if !stale => return None,
            Holds::FrameField => format!("read a field of a frame: {got}"),
            Holds::Rcu => return None,
            Holds::Index | Holds::Incarnation | Holds::CompoundHead if !stale => return None,
            Holds::Index | Holds::Incarnation | Holds::CompoundHead => {
                format!("{}{}", self.folio(word), site.name)
            }
        })
    }

    fn stored(&self, site: &Site, word: Word, old: u64, new: u64) -> Option<String> {
        if QUIET.contains(&site.name) {
            return None;
        }
        Some(match word.holds {
            Holds::Mapping => format!(
                "{}mapping = {}",
                self.folio(word),
                self.value(word, new, old)
            ),
            Holds::Slot => format!("slot {} = {}", word.number, self.value(word, new, old)),
            Holds::Size => format!("i_size = {}", self.value(word, new, old)),
            Holds::FramePointer => format!("i_private = {}", self.value(word, new, old)),
            Holds::Pmd if new == 0 => "take the PTE table away".to_owned(),
            Holds::Pmd => INSTALLS.trim_start().to_owned(),
            Holds::Number => format!("word {} = {new}", word.number),
            Holds::Counts => {
                let refcount = Counts::of(new).refcount();
                format!("{}refcount = {refcount}", self.folio(word))
            }
            Holds::TaskState | Holds::Signal | Holds::Queued | Holds::Frame => {
                format!("{} = {}", subject(word), self.value(word, new, old))
            }
            _ => return None,
        })
    }

    fn changed(&self, site: &Site, word: Word, old: u64, new: u64) -> Option<String> {
        if QUIET.contains(&site.name) {
            return None;
        }
        let folio = self.folio(word);
        match word.holds {
            Holds::Flags => Some(format!("{folio}{}", flags::changed(site, old, new))),
            Holds::Counts => self.counted(site, &folio, Counts::of(old), Counts::of(new)),
            Holds::Mapcount => Some(format!(
                "{folio}mapcount {} -> {}",
                signed(old),
                signed(new)
            )),
            Holds::LargeMapcount => Some(format!(
                "{folio}total mapcount {} -> {}",
                signed(old),
                signed(new)
            )),
            Holds::Gate => Some(format!(
                "gate: {} -> {}",
                self.value(word, old, new),
                self.value(word, new, old)
            )),
            Holds::Number => Some(format!("word {}: {old} -> {new}", word.number)),
            Holds::TaskState => Some(format!(
                "{}: {} -> {}",
                subject(word),
                self.value(word, old, new),
                self.value(word, new, old)
            )),
            _ => None,
        }
    }

    /// A change of a folio's counts, of which one or both may be in the word.
    fn counted(&self, site: &Site, folio: &str, before: Counts, after: Counts) -> Option<String> {
        let (were, are) = (before.refcount(), after.refcount());
        if site.name == REF_FREEZE.name {
            return Some(match before == after {
                true => format!("{folio}refcount is {were}: not frozen"),
                false => format!("{folio}refcount {were} -> 0: frozen"),
            });
        }
        if before == after {
            return Some(format!("{folio}refcount is 0: not taken"));
        }
        let references = format!("refcount {were} -> {are}");
        let mappings = format!("mapcount {} -> {}", mapped(before), mapped(after));
        match (were != are, before.mapcount() != after.mapcount()) {
            (true, true) => Some(format!("{folio}{references}, {mappings}")),
            (_, true) => Some(format!("{folio}{mappings}")),
            _ => Some(format!("{folio}{references}")),
        }
    }

    /// A value, seen beside another.
    fn value(&self, word: Word, value: u64, beside: u64) -> String {
        match word.holds {
            Holds::Mapping => match value {
                0 => "NULL".to_owned(),
                _ => "ours".to_owned(),
            },
            Holds::Counts => {
                let (this, other) = (Counts::of(value), Counts::of(beside));
                if this.mapcount() == other.mapcount() && value != beside {
                    format!("{}, refcount {}", mapped(this), this.refcount())
                } else {
                    mapped(this).to_string()
                }
            }
            Holds::Slot => match address_space::decode(value) {
                None => "empty".to_owned(),
                Some(pfn) => format!("folio {}", pfn.0),
            },
            Holds::Pmd => match value {
                0 => "none".to_owned(),
                _ => "there".to_owned(),
            },
            Holds::Contents => match value.checked_sub(1) {
                None => "nothing was read into it".to_owned(),
                Some(index) => format!("that of page {index}"),
            },
            Holds::Gate => {
                let (this, other) = (GateState::of(value), GateState::of(beside));
                match this.generation() == other.generation() {
                    true => format!("{} at work", this.active()),
                    false => format!(
                        "{} at work, generation {}",
                        this.active(),
                        this.generation()
                    ),
                }
            }
            Holds::Mapcount | Holds::LargeMapcount => signed(value).to_string(),
            Holds::TaskState => wait_queue::state_name(value).to_owned(),
            Holds::Signal | Holds::Queued if value == 0 => "no".to_owned(),
            Holds::Signal | Holds::Queued => "yes".to_owned(),
            Holds::FramePointer => FramePointer::of_word(value).to_string(),
            Holds::Frame if value & 1 == 0 => "returned".to_owned(),
            Holds::Frame => format!("operation {}'s", value >> 1),
            Holds::Size
            | Holds::Index
            | Holds::Incarnation
            | Holds::CompoundHead
            | Holds::Rcu
            | Holds::FrameField
            | Holds::Number => value.to_string(),
            // Not by their values: see `flags`.
            Holds::Flags => format!("{value:#x}"),
        }
    }

    fn folio(&self, word: Word) -> String {
        match self.one_folio {
            true => String::new(),
            false => format!("folio {}: ", word.number),
        }
    }

    /// The site, with its ordering where that isn't its own.
    fn tag(&self, site: &Site) -> String {
        match self.mutation.weaker(site) {
            Some(order) => format!("[{}, WEAK: {order:?}]", site.name),
            None => format!("[{}]", site.name),
        }
    }
}

/// What a word of a task or of a stack is called.
fn subject(word: Word) -> String {
    let number = word.number;
    match word.holds {
        Holds::TaskState => format!("task {number}"),
        Holds::Signal => format!("task {number} killed"),
        Holds::Queued => format!("entry {number} queued"),
        _ => format!("frame {number}"),
    }
}

/// A mapcount of 64 bits as the kernel has it: one that was taken down too often is negative.
fn signed(mapcount: u64) -> i64 {
    mapcount.cast_signed()
}

/// The same of a half of a word.
fn mapped(counts: Counts) -> i32 {
    counts.mapcount().cast_signed()
}

/// What a full barrier is called.
fn barrier(site: &Site) -> &'static str {
    debug_assert_eq!((site.access, site.order), (Access::Fence, Ordering::SeqCst));
    "smp_mb()"
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_model::fault_around::WINDOW_FLAGS;
    use kernel_model::folio::site::{
        END_WRITEBACK, FOLIO_TRYLOCK, FOLIO_WAIT_LOAD, SET_HWPOISON, SET_UPTODATE,
    };
    use kernel_model::folio::{
        PG_DIRTY, PG_HAS_HWPOISONED, PG_HEAD, PG_HWPOISON, PG_LOCKED, PG_UPTODATE, PG_WRITEBACK,
    };
    use kernel_model::removal::WRITEBACK_WAIT;

    /// A step on the flags of the only folio is told so.
    #[track_caller]
    fn assert_told(site: &'static Site, line: &str, what: impl FnOnce(Word) -> What) {
        let words = Words {
            mutation: &Mutation::NONE,
            shows: "",
            size: false,
            one_folio: true,
        };
        let holds = Holds::Flags;
        let what = what(Word { holds, number: 0 });
        let told = words.line(&Step { cpu: 0, what });
        assert_eq!(told, Some(format!("  {line} [{}]", site.name)));
    }

    #[test]
    fn flags_that_change_are_named() {
        let changed = |site, old, new, line| {
            assert_told(site, line, |word| What::Rmw {
                site,
                word,
                old,
                new,
            });
        };
        let (bad, head) = (PG_UPTODATE | PG_HWPOISON, PG_UPTODATE | PG_HEAD);
        changed(&SET_HWPOISON, PG_UPTODATE, bad, "PG_hwpoison set");
        changed(&SET_HWPOISON, bad, bad, "flags as they were");
        let has_bad = head | PG_HAS_HWPOISONED;
        changed(&SET_HWPOISON, head, has_bad, "PG_has_hwpoisoned set");
        let under_writeback = PG_LOCKED | PG_WRITEBACK;
        changed(
            &SET_UPTODATE,
            PG_LOCKED,
            under_writeback,
            "PG_writeback set",
        );
        changed(
            &END_WRITEBACK,
            under_writeback,
            PG_LOCKED,
            "PG_writeback cleared",
        );
        let both = "PG_dirty set; PG_has_hwpoisoned, PG_head cleared";
        changed(&SET_UPTODATE, has_bad, PG_UPTODATE | PG_DIRTY, both);
        changed(&FOLIO_TRYLOCK, 0, PG_LOCKED, "PG_locked 0 -> 1");
        changed(
            &FOLIO_TRYLOCK,
            PG_LOCKED,
            PG_LOCKED,
            "PG_locked? yes: not taken",
        );
    }

    #[test]
    fn flags_that_are_looked_at_are_named() {
        let read = |site, got, newest, line| {
            assert_told(site, line, |word| What::Load {
                site,
                word,
                got,
                newest,
            });
        };
        let bad = PG_UPTODATE | PG_HAS_HWPOISONED;
        let all = "flags? uptodate, not locked, has_hwpoisoned";
        read(&WINDOW_FLAGS, bad, bad, all);
        let stale = "flags? uptodate, locked (STALE: has_hwpoisoned, not locked by now)";
        read(&WINDOW_FLAGS, PG_UPTODATE | PG_LOCKED, bad, stale);
        read(&WRITEBACK_WAIT, PG_LOCKED, PG_LOCKED, "PG_writeback? no");
        let stale = "PG_writeback? yes (STALE: no by now)";
        read(&WRITEBACK_WAIT, PG_WRITEBACK, 0, stale);
        let stale = "PG_locked? no (STALE: yes by now)";
        read(&FOLIO_WAIT_LOAD, PG_UPTODATE, PG_LOCKED, stale);
        let stale = "PG_locked? no (STALE: hwpoison by now)";
        read(
            &FOLIO_WAIT_LOAD,
            PG_UPTODATE,
            PG_UPTODATE | PG_HWPOISON,
            stale,
        );
    }
}
