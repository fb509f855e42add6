//! The work that the model leaves out: how often each kind is done, where, and that it takes time.

mod scene;

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use kernel_model::fault_around::Schemes;
use kernel_model::folio::{Pfn, site};
use kernel_model::mm::Vma;
use kernel_model::platform::{
    Burden, Burdened, Jittered, Native, Platform, RwSemaphore, Site, SpinLock, TURN, Work,
};
use kernel_model::removal::About;
use kernel_model::{Config, FaultOutcome, Orders, System, Task};

use scene::{PAGES, SMALL, Scene, Scheme, every_removal, every_scheme, takes_folios};

/// The machine itself, with what the calling thread works written down.
struct Noting;

/// Some work, and where it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Done {
    kind: Work,
    times: u32,
    /// The classes of the locks that were held.
    held: Vec<&'static str>,
    /// How many folios of the watched machine were locked.
    locked: usize,
}

thread_local! {
    static HELD: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    static DONE: RefCell<Vec<Done>> = const { RefCell::new(Vec::new()) };
    static WATCHED: Cell<Option<&'static System<Noting>>> = const { Cell::new(None) };
}

impl Platform for Noting {
    const NAME: &'static str = "noting";
    const AUDIT: bool = false;
    const AUDIT_TAKES_LOCKS: bool = false;
    const WORKS: bool = true;

    type AtomicU64 = <Native as Platform>::AtomicU64;
    type SpinLock<T: Send + 'static> = Classed<<Native as Platform>::SpinLock<T>>;
    type RwSemaphore<T: Send + Sync + 'static> = Classed<<Native as Platform>::RwSemaphore<T>>;

    fn smp_mb(site: &'static Site) {
        Native::smp_mb(site);
    }

    fn smp_mb_after_atomic(site: &'static Site) {
        Native::smp_mb_after_atomic(site);
    }

    fn cpu_relax() {}

    fn wait_on(key: usize, still_needed: impl FnOnce() -> bool) {
        Native::wait_on(key, still_needed);
    }

    fn wake_one(key: usize, queue_is_empty: impl FnOnce()) {
        Native::wake_one(key, queue_is_empty);
    }

    fn work(kind: Work, times: u32) {
        let done = Done {
            kind,
            times,
            held: HELD.with_borrow(Clone::clone),
            locked: WATCHED.get().map_or(0, locked_folios),
        };
        DONE.with_borrow_mut(|all| all.push(done));
    }
}

fn locked_folios(system: &System<Noting>) -> usize {
    let frames = 0..system.memmap.len() as u32;
    let is_locked = |&frame: &u32| system.memmap.folio(Pfn(frame)).is_locked(&site::FLAGS_READ);
    frames.filter(is_locked).count()
}

/// A lock that is known to be held by its class.
struct Classed<L>(L, &'static str);

struct Held<G>(G, &'static str);

impl<G> Held<G> {
    fn new(guard: G, class: &'static str) -> Self {
        HELD.with_borrow_mut(|held| held.push(class));
        Self(guard, class)
    }
}

impl<G> Drop for Held<G> {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| {
            let last = held.iter().rposition(|class| *class == self.1);
            held.remove(last.expect("it was taken"));
        });
    }
}

impl<G: Deref> Deref for Held<G> {
    type Target = G::Target;
    fn deref(&self) -> &G::Target {
        &self.0
    }
}

impl<G: DerefMut> DerefMut for Held<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.0
    }
}

impl<T, L: SpinLock<T>> SpinLock<T> for Classed<L> {
    type Guard<'a>
        = Held<L::Guard<'a>>
    where
        Self: 'a;
    fn new(class: &'static str, value: T) -> Self {
        Self(L::new(class, value), class)
    }
    fn lock(&self) -> Self::Guard<'_> {
        Held::new(self.0.lock(), self.1)
    }
    fn try_lock(&self) -> Option<Self::Guard<'_>> {
        Some(Held::new(self.0.try_lock()?, self.1))
    }
}

impl<T, L: RwSemaphore<T>> RwSemaphore<T> for Classed<L> {
    type ReadGuard<'a>
        = Held<L::ReadGuard<'a>>
    where
        Self: 'a;
    type WriteGuard<'a>
        = Held<L::WriteGuard<'a>>
    where
        Self: 'a;
    fn new(class: &'static str, value: T) -> Self {
        Self(L::new(class, value), class)
    }
    fn read(&self) -> Self::ReadGuard<'_> {
        Held::new(self.0.read(), self.1)
    }
    fn try_read(&self) -> Option<Self::ReadGuard<'_>> {
        Some(Held::new(self.0.try_read()?, self.1))
    }
    fn write(&self) -> Self::WriteGuard<'_> {
        Held::new(self.0.write(), self.1)
    }
    fn try_write(&self) -> Option<Self::WriteGuard<'_>> {
        Some(Held::new(self.0.try_write()?, self.1))
    }
}

/// An empty cache; 16 pages to a window; what is locked is watched.
fn watched(scheme: Scheme<Noting>, order: u8, entries_per_table: u32) -> &'static Scene<Noting> {
    let config = Config {
        folios: 128,
        window_pages: 16,
        entries_per_table,
        orders: Orders::All(order),
        ..SMALL
    };
    let scene: &Scene<Noting> = Box::leak(Box::new(Scene::sized(scheme, config, PAGES)));
    WATCHED.set(Some(&scene.system));
    scene
}

/// What has been done since this was asked last.
fn done() -> Vec<Done> {
    DONE.take()
}

fn times(done: &[Done], kind: Work) -> u32 {
    let of_kind = done.iter().filter(|it| it.kind == kind);
    of_kind.map(|it| it.times).sum()
}

/// How often each kind was done, but for those that weren't.
fn tally(done: &[Done]) -> Vec<(Work, u32)> {
    let all = Work::ALL.map(|kind| (kind, times(done, kind)));
    all.into_iter().filter(|(_, times)| *times > 0).collect()
}

/// All work of a kind is done where this holds.
fn each(done: &[Done], kind: Work, place: impl Fn(&Done) -> bool) {
    for it in done.iter().filter(|it| it.kind == kind) {
        assert!(place(it), "{it:?}");
    }
}

fn holds(done: &Done, class: &str) -> bool {
    done.held.contains(&class)
}

fn holds_nothing(done: &Done) -> bool {
    done.held.is_empty() && done.locked == 0
}

/// Whether a scheme maps under the page lock.
fn locks_pages(scheme: Scheme<Noting>) -> bool {
    ["page-locked", "page-locked-xfs", "folio-batched"].contains(&scheme.about().name)
}

#[test]
fn fault_works_for_each_run_that_it_maps() {
    every_scheme::<Noting>(|scheme| {
        for order in [0, 2, 4] {
            let scene = watched(scheme, order, 32);
            scene.populate(0..PAGES);
            let vma = scene.map_whole();
            scene.fault(&vma, 3, FaultOutcome::FaultAround);
            let done = done();
            let runs = match scheme.about().name {
                "page-locked" | "page-locked-xfs" => 16,
                _ => 16 >> order,
            };
            let expected = [(Work::Fault, 1), (Work::Range, runs), (Work::Page, 16)];
            assert_eq!(tally(&done), expected, "order {order}");
            assert_eq!(done[0].kind, Work::Fault);
            each(&done, Work::Fault, holds_nothing);
            let locked = usize::from(locks_pages(scheme));
            for kind in [Work::Range, Work::Page] {
                each(&done, kind, |it| holds(it, "ptl") && it.locked == locked);
            }
        }
    });
}

#[test]
fn slow_path_works_before_it_looks() {
    every_scheme::<Noting>(|scheme| {
        let scene = watched(scheme, 0, 32);
        let vma = scene.map_whole();
        scene.fault(&vma, 3, FaultOutcome::SlowPath);
        let done = done();
        let kinds: Vec<_> = done.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [Work::Fault, Work::Slow, Work::Range, Work::Page]);
        each(&done, Work::Slow, holds_nothing);
        for it in &done[2..] {
            assert!(it.times == 1 && holds(it, "ptl") && it.locked == 1);
        }
    });
}

#[test]
fn punch_works_for_each_folio_and_page_and_table() {
    every_scheme::<Noting>(|scheme| {
        for (order, entries_per_table, tables) in [(0, 8, 2), (0, 32, 1), (4, 32, 1)] {
            let scene = watched(scheme, order, entries_per_table);
            scene.populate(0..PAGES);
            let (vma, elsewhere) = (scene.map_and_touch(), scene.map_whole());
            scene.fault(&elsewhere, 16, FaultOutcome::FaultAround);
            done();
            scene.remove("punch-hole", 0..16);
            let done = done();
            let expected = [
                (Work::Removal, 1),
                (Work::RemovedFolio, 16 >> order),
                (Work::ZappedPage, 16),
                (Work::Flush, tables),
            ];
            assert_eq!(tally(&done), expected);
            each(&done, Work::Removal, |it| {
                it.held == ["i_rwsem", "invalidate_lock"] && it.locked == 0
            });
            each(&done, Work::RemovedFolio, |it| {
                it.locked > 0 && !holds(it, "ptl")
            });
            each(&done, Work::ZappedPage, |it| {
                holds(it, "ptl") && holds(it, "i_mmap_rwsem")
            });
            each(&done, Work::Flush, |it| {
                holds(it, "i_mmap_rwsem") && !holds(it, "ptl")
            });
            pays_for_flushes(scene, &vma, tables);
            pays_for_flushes(scene, &elsewhere, 0);
        }
    });
}

/// The next fault on an mm is the one that pays, and it pays first.
fn pays_for_flushes(scene: &Scene<Noting>, vma: &Vma<Noting>, flushes: u32) {
    let fault = || {
        let vpns = vma.vpns_of(&(24..25));
        scene.system.zap_range(vma, vpns, &mut Task::default());
        scene.system.handle_mm_fault(vma, 24, &mut Task::default());
        done()
    };
    let first = fault();
    assert_eq!(times(&first, Work::Flushed), flushes);
    assert_eq!(first[0].kind == Work::Flushed, flushes > 0);
    each(&first, Work::Flushed, holds_nothing);
    assert_eq!(times(&fault(), Work::Flushed), 0);
}

#[test]
fn flushes_add_up_until_a_fault() {
    every_scheme::<Noting>(|scheme| {
        let scene = watched(scheme, 0, 32);
        scene.populate(0..PAGES);
        let vma = scene.map_and_touch();
        done();
        for start in [0, 4, 4, 8] {
            scene.remove("punch-hole", start..start + 4);
        }
        // The third found nothing.
        assert_eq!(times(&done(), Work::Flush), 3);
        pays_for_flushes(scene, &vma, 3);
    });
}

#[test]
fn every_remover_works() {
    every_removal::<Noting>(|scheme, remover: &About| {
        for order in [0, 4] {
            if order > 0 && !takes_folios(remover) {
                continue;
            }
            let scene = watched(scheme, order, 32);
            scene.populate(0..PAGES);
            let vma = scene.map_and_touch();
            done();
            let task = scene.remove(remover.name, 16..32);
            let done = done();
            assert_eq!(task.removals.removed_pages, 16);
            assert_eq!(times(&done, Work::Removal), 1);
            let removed = times(&done, Work::RemovedFolio);
            assert_eq!(
                (u64::from(removed), removed),
                (task.removals.removed, 16 >> order)
            );
            each(&done, Work::RemovedFolio, |it| it.locked > 0);
            assert_eq!(times(&done, Work::ZappedPage), 16);
            each(&done, Work::ZappedPage, |it| holds(it, "ptl"));
            let flushes = times(&done, Work::Flush);
            assert!((1..=removed).contains(&flushes), "{flushes}");
            each(&done, Work::Flush, |it| !holds(it, "ptl"));
            // Migration entries become PTEs again.
            let mapped_again = if remover.name == "migrate" { 16 } else { 0 };
            assert_eq!(times(&done, Work::Page), mapped_again);
            scene.file.extend(PAGES);
            pays_for_flushes(scene, &vma, flushes);
        }
    });
}

#[test]
fn own_zap_is_no_removal() {
    every_scheme::<Noting>(|scheme| {
        let scene = watched(scheme, 0, 32);
        scene.populate(0..PAGES);
        let vma = scene.map_and_touch();
        done();
        let zapped = scene.system.zap_range(&vma, 0..16, &mut Task::default());
        assert_eq!((zapped, done()), (16, vec![]));
        pays_for_flushes(scene, &vma, 0);
        scene.system.unmap(&vma, &mut Task::default());
        assert_eq!(done(), []);
    });
}

#[test]
fn stops_leave_the_work_as_it_is() {
    const { assert!(Jittered::<Noting>::WORKS && !Jittered::<Native>::WORKS) };
    Jittered::<Noting>::work(Work::Slow, 3);
    assert_eq!(tally(&done()), [(Work::Slow, 3)]);
}

#[test]
fn kinds_have_their_numbers() {
    for (number, kind) in Work::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, number);
    }
}

/// All kinds of work, and how long they took.
fn round(scheme: Scheme<Burdened>, burden: Burden) -> Duration {
    Burdened::carry(burden);
    let scene = Scene::new(scheme);
    let vma = scene.map_whole();
    let start = Instant::now();
    scene.fault(&vma, 3, FaultOutcome::SlowPath);
    scene.remove("punch-hole", 0..8);
    scene.fault(&vma, 3, FaultOutcome::SlowPath);
    black_box(&scene);
    start.elapsed()
}

/// The quickest rounds of each of these burdens, of several that take turns: what else a machine
/// does makes some of them longer, and none shorter.
fn quickest(scheme: Scheme<Burdened>, burdens: [Burden; 2]) -> [Duration; 2] {
    (0..9).fold([Duration::MAX; 2], |quickest, _| {
        [0, 1].map(|it| quickest[it].min(round(scheme, burdens[it])))
    })
}

/// One test: what is carried is the process's.
#[test]
fn burdened_carries_nothing_until_told_and_then_takes_longer() {
    const TURNS: u32 = 1_000_000 * TURN;
    assert_eq!(Burdened::carried(), Burden::default());
    let scheme = Schemes::named("mapcount-recheck").expect("a scheme's name");
    for kind in Work::ALL {
        assert_eq!(Burden::default()[kind], 0);
        let mut burden = Burden::default();
        burden[kind] = TURNS;
        let [bare, laden] = quickest(scheme, [Burden::default(), burden]);
        assert_eq!(Burdened::carried(), burden);
        assert!(laden > 3 * bare, "{kind:?}: {bare:?}, {laden:?}");
    }
    // The longer the chain, the longer it takes: it is computed, not foreseen.
    let of = |turns| {
        let mut burden = Burden::default();
        burden[Work::Fault] = turns;
        burden
    };
    let [one, sixteen] = quickest(scheme, [of(TURNS), of(16 * TURNS)]);
    assert!(sixteen > 4 * one, "{one:?}, {sixteen:?}");
}
