//! What the kernel does at a place of the model, beyond what the model does there itself.

/// Work that the model leaves out, by the place where the kernel does it. A platform may carry some
/// amount of each kind there ([`super::Platform::work`]), and then under the locks that are held
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Work {
    /// Once for each `handle_mm_fault()`, before the window is mapped: exception entry and exit,
    /// the VMA's lookup under its own lock, the walk to the PTE table, the window's rss counter,
    /// the fault's events. No lock of the model is held.
    Fault,
    /// Once for each run of pages of one folio whose PTEs are set: `set_pte_range()`,
    /// `folio_add_file_rmap_ptes()`, `NR_FILE_MAPPED` of the node and the memcg. The PTE-table lock
    /// is held, and the page lock by those who map under it. The slow path's page is such a run,
    /// and so is each that a migration maps again.
    Range,
    /// Once for each page of such a run: its PTE made and checked, its part of the folio's counts.
    /// Under the same locks.
    Page,
    /// Once for each fault that goes the slow path: `filemap_fault()`, `finish_fault()`. No lock is
    /// held yet.
    Slow,
    /// Once for each operation of a remover: the system call, `i_rwsem`, the file system's own
    /// work. Under the locks that the remover holds all the while (`i_rwsem` and `invalidate_lock`,
    /// or none), and between what the scheme asks for at the begin and at the end.
    Removal,
    /// Once for each folio that leaves the page cache: LRU, memcg uncharge, statistics. The folio
    /// is locked.
    RemovedFolio,
    /// Once for each present PTE that a remover's zap clears: rss, rmap statistics, `mmu_gather`.
    /// The PTE-table lock and `i_mmap_rwsem` are held.
    ZappedPage,
    /// Once for each PTE table in which a remover's zap cleared anything: `flush_tlb_range()`,
    /// which interrupts the CPUs that run the mm, and waits for them. The PTE-table lock has been
    /// dropped, `i_mmap_rwsem` is held.
    Flush,
    /// What one [`Work::Flush`] costs the CPU that it interrupts. That comes wherever the CPU
    /// happens to be; here it is paid at the begin of the next fault on the mm, with no lock held.
    /// Where several threads run an mm, the one of them that faults next pays, and for one CPU.
    Flushed,
}

impl Work {
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All kinds, each at the place of its number.
    pub const ALL: [Self; 9] = [
        Self::Fault,
        Self::Range,
        Self::Page,
        Self::Slow,
        Self::Removal,
        Self::RemovedFolio,
        Self::ZappedPage,
        Self::Flush,
        Self::Flushed,
    ];
}
