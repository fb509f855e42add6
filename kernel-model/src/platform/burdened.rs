//! The machine itself, laden with the work that the model leaves out.
//!
//! A fault of the model costs less than the kernel's, so that what a scheme saves is a larger part
//! of it. With as much work as the kernel does, where the kernel does it, ratios are what a patch
//! could hope for. How much that is, is for a calibration to say: nothing, until it has.

use std::cell::Cell;
use std::hint::black_box;
use std::ops::{Index, IndexMut};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{Native, Platform, Site, Work};

/// [`Native`] in everything, and the work of the process's [`Burden`] on top.
#[derive(Debug, Clone, Copy)]
pub struct Burdened;

/// How much each kind of work takes, in 256ths of a turn: `burden[Work::Page] = 4 * TURN`. Nothing
/// by default. What comes to less than a turn is left out.
///
/// A turn is one step of a chain of multiplications, each of which waits for the one before it,
/// some 5 cycles, and as many simple instructions beside it as that leaves time for. It scales with
/// the machine's speed as other instructions do, which a wait for a clock wouldn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Burden {
    turns: [u32; Work::COUNT],
}

impl Index<Work> for Burden {
    type Output = u32;

    fn index(&self, kind: Work) -> &u32 {
        &self.turns[kind as usize]
    }
}

impl IndexMut<Work> for Burden {
    fn index_mut(&mut self, kind: Work) -> &mut u32 {
        &mut self.turns[kind as usize]
    }
}

/// A turn, in the units of a [`Burden`].
pub const TURN: u32 = 256;

/// One cache line, so that all that a thread reads to know its work is there at once, and no
/// neighbour's writes take it away.
#[repr(align(64))]
struct Carried([AtomicU32; Work::COUNT]);

/// What all threads of the process carry. Relaxed: it orders nothing, and its setter does so
/// before it starts the threads that are to see it.
static CARRIED: Carried = Carried([const { AtomicU32::new(0) }; Work::COUNT]);

/// A line of statistics that only its CPU writes.
#[repr(align(64))]
struct Line(Cell<u64>);

thread_local! {
    /// `NR_FILE_MAPPED` of the node and of the memcg, on this CPU.
    static STATISTICS: [Line; 2] = const { [Line(Cell::new(0)), Line(Cell::new(0))] };
}

impl Burdened {
    /// Makes this what every thread of the process carries on this platform from now on. Kinds are
    /// set one by one: no fault should be under way.
    pub fn carry(burden: Burden) {
        for (carried, turns) in CARRIED.0.iter().zip(burden.turns) {
            carried.store(turns, Relaxed);
        }
    }

    /// What is carried.
    pub fn carried() -> Burden {
        Burden {
            turns: CARRIED.0.each_ref().map(|turns| turns.load(Relaxed)),
        }
    }
}

/// Counts as `__mod_lruvec_page_state()` does, on lines that are this thread's own.
#[inline(always)]
fn count(pages: u32) {
    STATISTICS.with(|lines| {
        // They are read by no code; a compiler that knew would leave them out.
        for Line(pages_mapped) in black_box(lines) {
            pages_mapped.set(pages_mapped.get() + u64::from(pages));
        }
    });
}

/// Takes so many turns. Out of line, as the kernel's functions are: the loops around it keep the
/// registers that they have without it.
///
/// The kernel's work keeps a core busy, so that a fault takes 1.6 times as long while the other
/// thread of the core is at work (seen on a Xeon with page faults on tmpfs). A chain alone wouldn't
/// notice that: the CPU waits in it most of the time. What is beside the chain here fills those
/// gaps.
#[inline(never)]
fn take_turns(turns: u64) {
    // What the loop starts and ends with is hidden from the compiler, which must compute it.
    let mut chain = black_box(1_u64);
    let (mut p, mut q, mut r) = (black_box(2_u64), black_box(3_u64), black_box(5_u64));
    for _ in 0..turns {
        // The shift is what keeps several turns from being made one multiplication. (A black box in
        // each turn would, too, and make it as long again, by a store and a load.)
        chain = (chain ^ (chain >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Three that differ, or they would become one of vectors.
        p = (p ^ (p >> 7)).wrapping_add(9);
        q = (q.wrapping_add(q << 3) ^ 0x55).rotate_right(9);
        r = r.rotate_left(5).wrapping_sub(r) ^ (r >> 3);
    }
    black_box(chain ^ p ^ q ^ r);
}

impl Platform for Burdened {
    const NAME: &'static str = "burdened";
    const AUDIT: bool = Native::AUDIT;
    const AUDIT_TAKES_LOCKS: bool = Native::AUDIT_TAKES_LOCKS;
    const WORKS: bool = true;

    type AtomicU64 = <Native as Platform>::AtomicU64;
    type SpinLock<T: Send + 'static> = <Native as Platform>::SpinLock<T>;
    type RwSemaphore<T: Send + Sync + 'static> = <Native as Platform>::RwSemaphore<T>;

    #[inline(always)]
    fn smp_mb(site: &'static Site) {
        Native::smp_mb(site);
    }

    #[inline(always)]
    fn smp_mb_after_atomic(site: &'static Site) {
        Native::smp_mb_after_atomic(site);
    }

    #[inline(always)]
    fn cpu_relax() {
        Native::cpu_relax();
    }

    fn wait_on(key: usize, still_needed: impl FnOnce() -> bool) {
        Native::wait_on(key, still_needed);
    }

    fn wake_one(key: usize, queue_is_empty: impl FnOnce()) {
        Native::wake_one(key, queue_is_empty);
    }

    #[inline(always)]
    fn work(kind: Work, times: u32) {
        let turns = CARRIED.0[kind as usize].load(Relaxed);
        if turns == 0 {
            return;
        }
        if kind == Work::Range {
            count(times);
        }
        take_turns(u64::from(turns) * u64::from(times) / u64::from(TURN));
    }
}
