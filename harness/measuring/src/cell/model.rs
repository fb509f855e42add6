//! A cell's faults and removals on the model.

use std::sync::Arc;

use kernel_model::platform::Platform;
use kernel_model::{FaultCounters, RemovalCounters, Task};
use rand_pcg::Pcg64Mcg;

use super::CellError;
use super::sides::{Faults, Removals};
use crate::machine::{Machine, MmKind};
use crate::order::Touches;
use crate::storms::{Operation, Storm, Target};

/// A fault thread on the model.
pub(super) struct ModelFaults<P: Platform> {
    machine: Arc<Machine<P>>,
    number: usize,
    mm: MmKind,
    window_pages: u64,
    task: Task,
}

impl<P: Platform> ModelFaults<P> {
    /// Number `number` of a cell's fault threads.
    pub(super) fn new(
        machine: &Arc<Machine<P>>,
        number: u32,
        mm: MmKind,
        window_pages: u32,
    ) -> Self {
        Self {
            machine: Arc::clone(machine),
            number: number as usize,
            mm,
            window_pages: u64::from(window_pages),
            task: Task::new(number),
        }
    }
}

impl<P: Platform> Faults for ModelFaults<P> {
    #[inline(always)]
    fn fault(&mut self, pgoff: u64) -> u64 {
        let vma = &*self.machine.vmas[self.number];
        self.machine
            .system
            .handle_mm_fault(vma, pgoff, &mut self.task) as u64
    }

    fn zap(&mut self, touches: &Touches) -> Result<(), CellError> {
        let system = &self.machine.system;
        let vma = &*self.machine.vmas[self.number];
        match self.mm {
            MmKind::Private => {
                system.zap_range(vma, vma.vpns_of(&vma.pgoffs()), &mut self.task);
            }
            MmKind::Shared => {
                for start in touches.windows() {
                    let window = start..start + self.window_pages;
                    system.zap_range(vma, vma.vpns_of(&window), &mut self.task);
                }
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.task.faults = FaultCounters::default();
    }

    fn counters(&self) -> FaultCounters {
        self.task.faults
    }
}

/// A storm thread on the model.
pub(super) struct ModelRemovals<P: Platform> {
    machine: Arc<Machine<P>>,
    storm: &'static dyn Storm<P>,
    target: Target,
    next: Option<Operation<P>>,
    task: Task,
}

impl<P: Platform> ModelRemovals<P> {
    /// The one that is thread `thread` of a cell.
    pub(super) fn new(
        machine: &Arc<Machine<P>>,
        storm: &'static dyn Storm<P>,
        target: Target,
        thread: u32,
    ) -> Self {
        Self {
            machine: Arc::clone(machine),
            storm,
            target,
            next: None,
            task: Task::new(thread),
        }
    }
}

impl<P: Platform> Removals for ModelRemovals<P> {
    fn choose(&mut self, random: &mut Pcg64Mcg) {
        self.next = Some(self.storm.next(&self.target, random));
    }

    fn remove(&mut self) -> Result<(), CellError> {
        let Machine {
            system, mapping, ..
        } = &*self.machine;
        if let Some(Operation { remover, range }) = &self.next {
            remover.remove(system, mapping, range.clone(), &mut self.task);
        }
        Ok(())
    }

    fn mend(&mut self) -> Result<(), CellError> {
        let Machine {
            system, mapping, ..
        } = &*self.machine;
        if let Some(Operation { range, .. }) = self.next.take() {
            self.target.mend(system, mapping, range, &mut self.task);
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.task.removals = RemovalCounters::default();
    }

    fn counters(&self) -> RemovalCounters {
        self.task.removals
    }
}
