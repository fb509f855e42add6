//! What the tests share: a small machine with one file, and ways to look at it from outside.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test crate uses a part of it"
)]

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use kernel_model::address_space::AddressSpace;
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::folio::{Folio, PG_WAITERS, Pfn, site};
use kernel_model::gates::Gates;
use kernel_model::mm::{Mm, Vma};
use kernel_model::page_allocator::Run;
use kernel_model::page_table::Pte;
use kernel_model::platform::{Platform, RwSemaphore};
use kernel_model::race::{Invariant, Violation};
use kernel_model::removal::{About, Removers};
use kernel_model::{BackingStore, Config, FaultOutcome, Orders, System, Task};

pub(crate) mod large;
pub(crate) mod relay;
pub(crate) mod stepped;
mod threads;

pub(crate) use threads::{Dice, ends, jitter, until, with_page_9_locked};

/// Sizes that differ from each other, so that none passes for another.
pub(crate) const SMALL: Config = Config {
    folios: 64,
    free_lists: 1,
    entries_per_table: 16,
    window_pages: 8,
    readahead_pages: 4,
    orders: Orders::All(0),
};

/// The pages of the file in a scene.
pub(crate) const PAGES: u64 = 32;

/// A range whose ends are aligned to nothing, longer than a batch of the first pass.
pub(crate) const RANGE: Range<u64> = 5..25;

/// A scheme of the family.
pub(crate) type Scheme<P> = &'static dyn FaultAround<P>;

/// Counts the pages that it was asked for, and the requests, and remembers what was copied.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) requests: AtomicU64,
    pub(crate) pages: AtomicU64,
    pub(crate) copies: Mutex<Vec<(Pfn, Pfn, u32)>>,
}

struct CountedStore(Arc<Reads>);

impl BackingStore for CountedStore {
    fn read(&self, pages: &[(u64, Pfn)]) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.0
            .pages
            .fetch_add(pages.len() as u64, Ordering::Relaxed);
    }

    fn copy(&self, from: Pfn, to: Pfn, pages: u32) {
        let mut copies = self.0.copies.lock().expect("no test panics with it");
        copies.push((from, to, pages));
    }
}

/// A machine and a file.
pub(crate) struct Scene<P: Platform> {
    pub(crate) system: System<P>,
    /// What it runs under.
    #[allow(dead_code, reason = "not every test asks")]
    pub(crate) scheme: Scheme<P>,
    pub(crate) file: Arc<AddressSpace<P>>,
    pub(crate) reads: Arc<Reads>,
}

impl<P: Platform> Scene<P> {
    /// An empty cache and free memory.
    pub(crate) fn new(scheme: Scheme<P>) -> Self {
        Self::sized(scheme, SMALL, PAGES)
    }

    /// The same, in other sizes.
    pub(crate) fn sized(scheme: Scheme<P>, config: Config, pages: u64) -> Self {
        Self::with_file(scheme, config, AddressSpace::new(7, pages))
    }

    /// The same with a file whose gates are small, each for 8 pages.
    pub(crate) fn gated(scheme: Scheme<P>, config: Config) -> Self {
        let gates = Gates::new(4, 8, 0);
        Self::with_file(scheme, config, AddressSpace::with_gates(7, PAGES, gates))
    }

    fn with_file(scheme: Scheme<P>, config: Config, file: AddressSpace<P>) -> Self {
        let reads = Arc::new(Reads::default());
        let store = Box::new(CountedStore(Arc::clone(&reads)));
        Self {
            scheme,
            system: System::new(config, scheme, store),
            file: Arc::new(file),
            reads,
        }
    }

    /// The same with all of the file in the cache.
    pub(crate) fn cached(scheme: Scheme<P>) -> Self {
        let scene = Self::new(scheme);
        scene.populate(0..PAGES);
        scene
    }

    /// Brings a range into the cache.
    pub(crate) fn populate(&self, range: Range<u64>) {
        let there = self
            .system
            .populate(&self.file, range, &mut Task::default());
        assert!(there, "the scene has memory enough");
    }

    /// Maps a part of the file into an address space of its own.
    pub(crate) fn map(&self, start_vpn: u64, pgoff: u64, pages: u64) -> Arc<Vma<P>> {
        let mm = Mm::new(start_vpn + pages, self.system.config.entries_per_table);
        Vma::map(mm, Arc::clone(&self.file), start_vpn, pgoff, pages)
    }

    /// Maps the file from its start on, one virtual page to each of its pages.
    pub(crate) fn map_whole(&self) -> Arc<Vma<P>> {
        self.map(0, 0, self.file.max_pages())
    }

    /// Maps the file and faults every page of it in.
    pub(crate) fn map_and_touch(&self) -> Arc<Vma<P>> {
        let vma = self.map_whole();
        self.touch(&vma);
        vma
    }

    /// Faults every page of a mapping that isn't in yet.
    pub(crate) fn touch(&self, vma: &Vma<P>) {
        let mut task = Task::default();
        for pgoff in vma.pgoffs() {
            if pte(vma, pgoff).is_none() {
                self.system.handle_mm_fault(vma, pgoff, &mut task);
            }
        }
    }

    /// Fault-around alone: whether it mapped the page.
    pub(crate) fn around(&self, vma: &Vma<P>, pgoff: u64) -> bool {
        self.system
            .do_fault_around(vma, pgoff, &mut Task::default())
    }

    /// A fault with a known outcome; returns what its task counted.
    pub(crate) fn fault(&self, vma: &Vma<P>, pgoff: u64, outcome: FaultOutcome) -> Task {
        let mut task = Task::default();
        let got = self.system.handle_mm_fault(vma, pgoff, &mut task);
        assert_eq!(got, outcome, "of a fault at offset {pgoff}");
        task
    }

    /// Runs the remover of a name; returns what its task counted.
    pub(crate) fn remove(&self, remover: &str, range: Range<u64>) -> Task {
        let mut task = Task::default();
        Removers::named(remover).expect("a remover's name").remove(
            &self.system,
            &self.file,
            range,
            &mut task,
        );
        task
    }

    /// The folio that is cached at an offset.
    pub(crate) fn folio(&self, index: u64) -> &Folio<P> {
        self.system.memmap.folio(self.pfn(index))
    }

    /// The folio that is cached at an offset.
    pub(crate) fn pfn(&self, index: u64) -> Pfn {
        self.file.slot(index).load().expect("a page in the cache")
    }

    /// The frame of the page at an offset.
    pub(crate) fn frame(&self, index: u64) -> Pfn {
        let before = match self.pages(index) {
            1 => 0,
            _ => index - self.folio(index).index(&site::STABLE_READ),
        };
        Pfn(self.pfn(index).0 + before as u32)
    }

    /// How many pages the folio at an offset has.
    pub(crate) fn pages(&self, index: u64) -> u32 {
        self.system.memmap.pages(self.pfn(index))
    }

    /// Mapcount and refcount of the folio at an offset.
    pub(crate) fn counts(&self, index: u64) -> (u32, u32) {
        let pfn = self.pfn(index);
        let (_, refcount) = counts(self.folio(index));
        (
            self.system.memmap.mapcount(pfn, &site::COUNTS_READ),
            refcount,
        )
    }

    /// Of one of the small gates: how many removers are behind it, and how many have been.
    pub(crate) fn gate(&self, number: u64) -> (u64, u64) {
        let pages = number * 8..number * 8 + 8;
        let [state, _] = self.file.gates.read(&pages, &site::COUNTS_READ);
        (state.active(), state.generation())
    }

    /// The offsets that are in the cache.
    pub(crate) fn in_cache(&self) -> Vec<u64> {
        (0..self.file.max_pages())
            .filter(|&index| self.file.slot(index).load().is_some())
            .collect()
    }

    /// Frames that aren't free.
    pub(crate) fn frames_used(&self) -> usize {
        self.system.memmap.len() - self.system.memmap.free_frames()
    }

    /// Puts a folio into the cache that is locked and hasn't been read; the cache has the only
    /// reference to it.
    pub(crate) fn insert_unread(&self, index: u64) -> Pfn {
        self.insert(index, 0)
    }

    fn insert(&self, index: u64, order: u8) -> Pfn {
        let pfn = self.system.memmap.alloc(0, order).expect("a free frame");
        let folio = self.system.memmap.folio(pfn);
        folio.lock();
        self.file
            .add_folio(folio, pfn, index, 1 << order)
            .expect("an empty slot");
        self.system.put(pfn, &Task::default());
        pfn
    }

    /// Puts an unlocked folio into the cache that has been read.
    pub(crate) fn insert_read(&self, index: u64) -> Pfn {
        self.insert_large(index, 0)
    }

    /// The same of any size, wherever the file ends.
    pub(crate) fn insert_large(&self, index: u64, order: u8) -> Pfn {
        let pfn = self.insert(index, order);
        self.system.memmap.folio(pfn).set_uptodate();
        self.system.memmap.folio(pfn).unlock();
        pfn
    }

    /// Makes a PTE map a frame with both counts right, whatever frame it is.
    pub(crate) fn map_by_hand(&self, vma: &Vma<P>, pgoff: u64, pfn: Pfn) {
        let memmap = &self.system.memmap;
        let head = memmap.head_of(pfn);
        let page = Run {
            head,
            first: pfn,
            pages: 1,
        };
        memmap.folio(head).get();
        memmap.mapcount_add(page, &site::MAPCOUNT_INC_LOCKED);
        let vpn = vma.vpn_of(pgoff);
        vma.mm.page_table.install_table(vpn);
        let mut ptes = vma.mm.page_table.lock(vpn..vpn + 1);
        self.system.set_ptes(&mut ptes, page, pgoff);
    }

    /// What has been reported so far: which invariant, at which offset.
    pub(crate) fn found(&self) -> Vec<(Invariant, u64)> {
        let kept = self.system.violations.kept();
        let index = |it: &Violation| it.place.expect("a page of a file").index;
        kept.iter().map(|it| (it.invariant, index(it))).collect()
    }

    /// Audits the machine at rest; returns all that has been reported by then.
    pub(crate) fn audit(&self) -> Vec<(Invariant, u64)> {
        self.system.audit_at_rest(&self.file);
        self.found()
    }

    /// Nothing is wrong with the machine at rest, by the audit and by looking.
    pub(crate) fn assert_sound(&self) {
        assert_eq!(self.audit(), [], "{:?}", self.system.violations.kept());
        for vma in self.file.i_mmap.read().iter() {
            for pgoff in mapped(vma) {
                let pfn = pte(vma, pgoff).pfn();
                assert_eq!(pfn, Some(self.frame(pgoff)), "the PTE of offset {pgoff}");
            }
        }
    }
}

/// A mapping of the file that the file doesn't know of.
pub(crate) fn unlinked<P: Platform>(scene: &Scene<P>) -> Vma<P> {
    Vma {
        mm: Mm::new(PAGES, SMALL.entries_per_table),
        mapping: Arc::clone(&scene.file),
        start_vpn: 0,
        pgoff: 0,
        pages: PAGES,
    }
}

/// Whether a scheme asks removers to count themselves in and out.
pub(crate) fn has_gates<P: Platform>(scheme: Scheme<P>) -> bool {
    let name = scheme.about().name;
    name.starts_with("invalidate-") && name != "invalidate-only"
}

/// Mapcount and refcount.
pub(crate) fn counts<P: Platform>(folio: &Folio<P>) -> (u32, u32) {
    let counts = folio.counts(&site::COUNTS_READ);
    (counts.mapcount(), counts.refcount())
}

/// Whether somebody sleeps on a folio's lock, or is about to.
pub(crate) fn has_waiters<P: Platform>(folio: &Folio<P>) -> bool {
    folio.flags(&site::FLAGS_READ) & PG_WAITERS != 0
}

/// The PTE of an offset, none where there is no table.
pub(crate) fn pte<P: Platform>(vma: &Vma<P>, pgoff: u64) -> Pte {
    let vpn = vma.vpn_of(pgoff);
    if !vma.mm.page_table.has_table(vpn) {
        return Pte::NONE;
    }
    vma.mm.page_table.lock(vpn..vpn + 1)[0]
}

/// Sets a PTE and nothing else.
pub(crate) fn set_pte<P: Platform>(vma: &Vma<P>, pgoff: u64, pte: Pte) {
    let vpn = vma.vpn_of(pgoff);
    vma.mm.page_table.install_table(vpn);
    vma.mm.page_table.lock(vpn..vpn + 1)[0] = pte;
}

/// The offsets that a mapping has PTEs for.
pub(crate) fn mapped<P: Platform>(vma: &Vma<P>) -> Vec<u64> {
    vma.pgoffs()
        .filter(|&pgoff| !pte(vma, pgoff).is_none())
        .collect()
}

/// Offsets, for comparison.
pub(crate) fn pages(offsets: impl IntoIterator<Item = u64>) -> Vec<u64> {
    offsets.into_iter().collect()
}

/// Names the case in hand if the test panics in it.
struct Case(String);

impl Drop for Case {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("it was {}", self.0);
        }
    }
}

/// Runs a test that has nothing to do with schemes.
pub(crate) fn once(test: fn()) {
    with_stops(1, test);
}

/// Runs a test with stops where the platform makes them, and to its end.
fn with_stops(seed: usize, test: impl FnOnce() + Send + 'static) {
    ends(move || {
        jitter(seed as u64);
        test();
    });
}

/// Runs a test for every scheme.
pub(crate) fn every_scheme<P: Platform>(test: fn(Scheme<P>)) {
    for &scheme in Schemes::<P>::ALL {
        let _case = Case(format!("{} on {}", scheme.about().name, P::NAME));
        with_stops(scheme.about().name.len(), move || test(scheme));
    }
}

/// Runs a test for every scheme and each remover that unmaps its range and waits for every folio in
/// it.
pub(crate) fn every_truncation<P: Platform>(test: fn(Scheme<P>, &str)) {
    let removers = Removers::<P>::ALL.iter();
    for remover in removers.filter(|remover| remover.about().zaps_range) {
        for &scheme in Schemes::<P>::ALL {
            let (name, remover) = (scheme.about().name, remover.about().name);
            let _case = Case(format!("{name} on {} under {remover}", P::NAME));
            with_stops(name.len(), move || test(scheme, remover));
        }
    }
}

/// Whether what a remover takes out of the cache goes: khugepaged puts another folio in its place.
fn takes_away(remover: &About) -> bool {
    !remover.name.starts_with("collapse")
}

/// Whether a remover takes a large folio as it is, and not its pages one by one.
pub(crate) fn takes_folios(remover: &About) -> bool {
    remover.name != "memory-failure"
}

/// Runs a test for every scheme and every remover that takes pages away.
pub(crate) fn every_removal<P: Platform>(test: fn(Scheme<P>, &'static About)) {
    for &scheme in Schemes::<P>::ALL {
        for remover in Removers::<P>::ALL
            .iter()
            .filter(|it| takes_away(it.about()))
        {
            let (name, remover) = (scheme.about().name, remover.about());
            let _case = Case(format!("{name} on {} under {}", P::NAME, remover.name));
            with_stops(name.len(), move || test(scheme, remover));
        }
    }
}

/// Makes tests of generic functions, on the machine itself and with stops.
macro_rules! on_both_platforms {
    ($($run:path: [$($test:ident),+ $(,)?])+) => {
        mod native {
            $($(#[test] fn $test() { $run(super::$test::<kernel_model::platform::Native>); })+)+
        }
        mod jittered {
            use kernel_model::platform::{Jittered, Native};
            $($(#[test] fn $test() { $run(super::$test::<Jittered<Native>>); })+)+
        }
    };
}
pub(crate) use on_both_platforms;
