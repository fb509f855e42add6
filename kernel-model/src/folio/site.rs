//! Sites of the accesses that are the same for every scheme and remover.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::platform::Site;

/// Takes the page lock if it is free.
pub const FOLIO_TRYLOCK: Site = Site::rmw(
    "folio_trylock",
    Acquire,
    "test_and_set_bit_lock(PG_locked)",
    "folio_unlock: what the last holder did is seen",
);
/// Releases the page lock.
pub const FOLIO_UNLOCK: Site = Site::rmw(
    "folio_unlock",
    Release,
    "clear_bit_unlock(PG_locked)",
    "folio_trylock, and any acquire load of PG_locked",
);
/// Announces a sleeper on the page lock.
pub const FOLIO_SET_WAITERS: Site = Site::rmw(
    "folio_set_waiters",
    Relaxed,
    "set_bit(PG_waiters)",
    "nothing: the queue's own lock orders it against the wake-up",
);
/// Withdraws the announcement.
pub const FOLIO_CLEAR_WAITERS: Site = Site::rmw(
    "folio_clear_waiters",
    Relaxed,
    "clear_bit(PG_waiters)",
    "nothing: done with the queue locked",
);
/// Looks at the flags before going to sleep on them.
pub const FOLIO_WAIT_LOAD: Site = Site::load(
    "folio_wait_load",
    Relaxed,
    "folio_test_locked() in folio_wait_bit_common()",
    "nothing: the lock is taken by folio_trylock",
);
/// Takes a reference unless there is none.
pub const REF_GET_UNLESS_ZERO: Site = Site::rmw(
    "ref_get_unless_zero",
    Acquire,
    "folio_try_get(): atomic_add_unless(), full in the kernel",
    "page_alloc_ref: a reused folio's slot reload sees what its former user did",
);
/// Takes a reference where one is held already.
pub const REF_GET: Site = Site::rmw("ref_get", Relaxed, "folio_get(): atomic_inc()", "nothing");
/// Drops a reference.
pub const REF_PUT: Site = Site::rmw(
    "ref_put",
    AcqRel,
    "folio_put_testzero(): atomic_dec_and_test(), full in the kernel",
    "itself: all uses come before the last put, and that before the freeing",
);
/// Takes all references at once, if they are as many as they should be.
pub const REF_FREEZE: Site = Site::rmw(
    "ref_freeze",
    AcqRel,
    "folio_ref_freeze(): atomic_cmpxchg(), full in the kernel",
    "ref_get_unless_zero: one of the two comes first, and the other fails",
);
/// Gives references back to a frozen folio.
pub const REF_UNFREEZE: Site = Site::store(
    "ref_unfreeze",
    Release,
    "folio_ref_unfreeze(): atomic_set_release()",
    "ref_get_unless_zero: who gets a reference sees what was done to the folio meanwhile",
);
/// Counts a mapping down when its PTE is zapped.
pub const MAPCOUNT_DEC: Site = Site::rmw(
    "mapcount_dec",
    AcqRel,
    "page_remove_rmap(): atomic_add_negative(), full in the kernel",
    "nothing here; in the kernel a look at PG_dirty after one at the mapcount",
);
/// Counts a mapping up with the page lock held.
pub const MAPCOUNT_INC_LOCKED: Site = Site::rmw(
    "mapcount_inc_locked",
    Relaxed,
    "page_add_file_rmap(): atomic_inc_and_test() under the page lock",
    "folio_unlock: a remover that gets the page lock next sees the count",
);
/// Sets `PG_uptodate`.
pub const SET_UPTODATE: Site = Site::rmw(
    "set_uptodate",
    Release,
    "folio_mark_uptodate(): smp_wmb(), set_bit()",
    "uptodate loads: a CPU that sees the bit sees the contents",
);
/// Marks a page as bad, or a large folio as having one.
pub const SET_HWPOISON: Site = Site::rmw(
    "set_hwpoison",
    Relaxed,
    "TestSetPageHWPoison(): test_and_set_bit(), full in the kernel",
    "nothing: folio_trylock comes later in the same word, and a tail is looked at under that lock",
);
/// Ends a writeback. The holder of the folio lock may free it from then on.
pub const END_WRITEBACK: Site = Site::rmw(
    "end_writeback",
    Relaxed,
    "folio_end_writeback(): test_and_clear_bit(PG_writeback), full in 6.1",
    "nothing: the model's device reads no contents, which a later owner would change",
);
/// Reads both counts without holding anything still.
pub const COUNTS_READ: Site = Site::load(
    "counts_read",
    Relaxed,
    "atomic_read(&folio->_refcount), atomic_read(&folio->_mapcount)",
    "nothing: for checks and messages",
);
/// Sets up a folio that no other CPU can reach.
pub const FOLIO_INIT: Site = Site::store(
    "folio_init",
    Relaxed,
    "plain stores to a page that is off the free list",
    "nothing: published by slot_insert, under the xa_lock",
);
/// Reads a field that the caller holds still.
pub const STABLE_READ: Site = Site::load(
    "stable_read",
    Relaxed,
    "plain load under the page lock or a PTE-table lock",
    "nothing: the lock holds the field still",
);
/// Reads the flags with all threads stopped or for a message.
pub const FLAGS_READ: Site = Site::load(
    "flags_read",
    Relaxed,
    "READ_ONCE(folio->flags)",
    "nothing: for checks and messages",
);
/// Writes `mapping` and `index` with the page and the `xa_lock` held. Plain in Linux 6.1 and
/// 6.12, where a re-check without the lock asks for `WRITE_ONCE()`.
pub const MAPPING_STORE: Site = Site::store(
    "mapping_store",
    Relaxed,
    "folio->mapping = … under xa_lock",
    "folio_unlock, which comes after it",
);

/// All of them.
pub const ALL: &[&Site] = &[
    &FOLIO_TRYLOCK,
    &FOLIO_UNLOCK,
    &FOLIO_SET_WAITERS,
    &FOLIO_CLEAR_WAITERS,
    &FOLIO_WAIT_LOAD,
    &REF_GET_UNLESS_ZERO,
    &REF_GET,
    &REF_PUT,
    &REF_FREEZE,
    &REF_UNFREEZE,
    &MAPCOUNT_DEC,
    &MAPCOUNT_INC_LOCKED,
    &SET_UPTODATE,
    &SET_HWPOISON,
    &END_WRITEBACK,
    &COUNTS_READ,
    &FOLIO_INIT,
    &STABLE_READ,
    &FLAGS_READ,
    &MAPPING_STORE,
];
