//! Faults against removals, with stops: sound schemes stay sound, and what is broken is caught.
//!
//! The narrower races are in `steps.rs`, where they happen every time: a storm on busy CPUs may go
//! on for long without them.

mod scene;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kernel_model::fault_around::Schemes;
use kernel_model::mm::Vma;
use kernel_model::platform::{Jitter, Jittered, Native};
use kernel_model::{Config, Invariant, Orders, Task};

use scene::{Dice, Scene, ends};

type P = Jittered<Native>;

/// A file of a batch of a remover and one more, which a fault maps whole, and frames that go round.
const CONFIG: Config = Config {
    folios: 32,
    free_lists: 2,
    entries_per_table: 16,
    window_pages: 16,
    readahead_pages: 16,
    orders: Orders::All(0),
};
const PAGES: u64 = 16;

/// How long a sound scheme is put to the test.
const SOUND: Duration = Duration::from_millis(1_200);
/// How long a broken one is, at a time …
const BROKEN: Duration = Duration::from_millis(500);
/// … and how often.
const ATTEMPTS: u64 = 60;

/// Storms need the CPUs for themselves: one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// One storm: who takes part, and who may stop it.
struct Storm {
    scene: Scene<P>,
    remover: &'static str,
    left_out: Arc<[String]>,
    stop: AtomicBool,
}

impl Storm {
    /// Whether the storm goes on.
    fn blows(&self) -> bool {
        !self.stop.load(Relaxed)
    }

    /// Makes the calling thread one of the storm's.
    fn enter(&self, seed: u64) -> (Dice, Task) {
        let left_out = Arc::clone(&self.left_out);
        Jitter {
            seed,
            left_out,
            ..Jitter::default()
        }
        .enter();
        (Dice(seed), Task::new(seed as u32))
    }

    /// Faults on a mapping that other threads fault on too.
    fn fault(&self, vma: &Vma<P>, seed: u64) {
        let (mut dice, mut task) = self.enter(seed);
        while self.blows() {
            let pgoff = dice.below(PAGES);
            self.scene.system.handle_mm_fault(vma, pgoff, &mut task);
        }
    }

    /// Faults on mappings of its own, so that PTE tables come and go.
    fn map_fault_unmap(&self, seed: u64) {
        let (mut dice, mut task) = self.enter(seed);
        while self.blows() {
            let vma = self.scene.map(3, 0, PAGES);
            for _ in 0..dice.below(8) {
                let pgoff = dice.below(PAGES);
                self.scene.system.handle_mm_fault(&vma, pgoff, &mut task);
            }
            self.scene.system.unmap(&vma, &mut task);
        }
    }

    /// Removes ranges, and makes room again for what comes after.
    fn remove(&self, seed: u64) {
        let (mut dice, _) = self.enter(seed);
        while self.blows() {
            let start = dice.below(PAGES);
            let end = start + 1 + dice.below(PAGES - start);
            self.scene.remove(self.remover, start..end);
            self.scene.file.extend(PAGES);
        }
    }

    /// Lets it blow until somebody is caught, or for a time; returns what was violated.
    fn run(
        scheme: &str,
        remover: &'static str,
        left_out: &[&str],
        attempt: u64,
        limit: Duration,
    ) -> Vec<Invariant> {
        let scheme = Schemes::named(scheme).expect("a scheme's name");
        let storm = Self {
            scene: Scene::sized(scheme, CONFIG, PAGES),
            remover,
            left_out: left_out.iter().map(|&name| name.to_owned()).collect(),
            stop: AtomicBool::new(false),
        };
        let vma = storm.scene.map(0, 0, PAGES);
        // A removal that has unmapped the one has these before it, and so time for faults on it.
        for _ in 0..8 {
            storm.scene.map_and_touch();
        }
        let (storm, vma) = (&storm, &vma);
        let seed = attempt * 16; // one for each thread
        thread::scope(|scope| {
            // Many faults: even where they get little of the CPUs, one stands where it matters.
            for thread in 0..8 {
                scope.spawn(move || storm.fault(vma, seed + thread));
            }
            for thread in 8..12 {
                scope.spawn(move || storm.map_fault_unmap(seed + thread));
            }
            scope.spawn(|| storm.remove(seed + 12));
            let start = Instant::now();
            while start.elapsed() < limit && storm.scene.system.violations.count() == 0 {
                thread::sleep(Duration::from_millis(5));
            }
            storm.stop.store(true, Relaxed);
        });
        storm.scene.system.audit_at_rest(&storm.scene.file);
        let kept = storm.scene.system.violations.kept();
        kept.iter().map(|it| it.invariant).collect()
    }
}

/// Runs storms when it is their turn.
fn take_turn(storms: impl FnOnce() + Send + 'static) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    ends(storms);
}

/// A sound scheme comes through.
fn stays_sound(scheme: &'static str, remover: &'static str) {
    take_turn(move || assert_eq!(Storm::run(scheme, remover, &[], 1, SOUND), []));
}

/// What is broken is caught, by an invariant that it may break.
fn is_caught(scheme: &'static str, left_out: &'static [&'static str], violates: &[Invariant]) {
    let violates = violates.to_vec();
    take_turn(move || {
        let found = (1..=ATTEMPTS)
            .map(|attempt| Storm::run(scheme, "punch-hole", left_out, attempt, BROKEN))
            .find(|found| !found.is_empty())
            .expect("nothing was seen of it");
        for invariant in found {
            assert!(violates.contains(&invariant), "{invariant}");
        }
    });
}

#[test]
fn page_locked_stays_sound_under_truncate() {
    stays_sound("page-locked", "truncate");
}

#[test]
fn page_locked_stays_sound_under_punch_hole() {
    stays_sound("page-locked", "punch-hole");
}

#[test]
fn sketch_is_healed_under_truncate() {
    stays_sound("sketch", "truncate");
}

#[test]
fn lockless_rfc_is_healed_under_truncate() {
    stays_sound("lockless-rfc", "truncate");
}

#[test]
fn mapcount_recheck_stays_sound_under_truncate() {
    stays_sound("mapcount-recheck", "truncate");
}

#[test]
fn mapcount_recheck_stays_sound_under_punch_hole() {
    stays_sound("mapcount-recheck", "punch-hole");
}

/// A scheme that says that it is broken is caught at what it says.
fn is_caught_at_its_word(scheme: &'static str) {
    let verdict = Schemes::<P>::named(scheme).unwrap().about().verdict;
    is_caught(scheme, &[], verdict.violates_under("punch-hole"));
}

#[test]
fn sketch_is_caught() {
    is_caught_at_its_word("sketch");
}

#[test]
fn lockless_rfc_is_caught() {
    is_caught_at_its_word("lockless-rfc");
}

/// What a mapping that nobody has seen may lead to.
const UNSEEN: &[Invariant] = &[
    Invariant::NoStalePte,
    Invariant::NoMappedRemoval,
    Invariant::RightOffset,
];

#[test]
fn page_locked_needs_its_look_at_the_mapping() {
    is_caught("page-locked", &["page_locked_mapping"], UNSEEN);
}
