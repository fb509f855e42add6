//! What can be wrong with a choice of CPUs.

use std::io;

use thiserror::Error;

/// Why CPUs could not be found, chosen or pinned to. Each message is one line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A CPU list names nothing.
    #[error("the CPU list is empty: give numbers and ascending ranges, such as 0-3,8,10-11")]
    EmptyList,

    /// Part of a CPU list is neither a number nor a range.
    #[error(
        "{item:?} in CPU list {list:?} isn't a CPU: give numbers and ascending ranges, such as 0-3,8,10-11"
    )]
    Syntax {
        /// The part that was not understood.
        item: String,
        /// The whole list.
        list: String,
    },

    /// A range runs downwards.
    #[error("CPU range {first}-{last} descends: write {last}-{first}")]
    Descending {
        /// The range's first CPU.
        first: u32,
        /// The range's last CPU.
        last: u32,
    },

    /// A number that no kernel gives to a CPU.
    #[error("CPU {cpu} is out of range: CPU numbers go from 0 to {max}")]
    OutOfRange {
        /// The number as it was given; it may not fit any integer.
        cpu: String,
        /// The largest number allowed.
        max: u32,
    },

    /// A CPU list that names more CPUs than there can be.
    #[error("CPU list {list:?} is too long: it may name at most {max} CPUs")]
    TooLong {
        /// The whole list.
        list: String,
        /// The largest number of CPUs allowed.
        max: usize,
    },

    /// A CPU that is absent, offline, or outside this process's affinity or cpuset.
    #[error("CPU {cpu} isn't available to this process: it may use {available}")]
    NotAvailable {
        /// The CPU that was asked for.
        cpu: u32,
        /// The CPUs there are, as a CPU list.
        available: String,
    },

    /// A CPU was named twice, which would pin two threads to it.
    #[error("CPU {cpu} is given twice: name each CPU once, out of {available}")]
    Duplicate {
        /// The CPU that was repeated.
        cpu: u32,
        /// The CPUs there are, as a CPU list.
        available: String,
    },

    /// No CPU was chosen.
    #[error("no CPU is given: name at least one out of {available}")]
    NoCpu {
        /// The CPUs there are, as a CPU list.
        available: String,
    },

    /// The kernel did not say where this thread may run.
    #[error("can't read this thread's CPU affinity: {0}")]
    Affinity(#[source] io::Error),

    /// The helper thread that asks for the cpuset's CPUs could not be run.
    #[error("can't start a thread to find the CPUs of this process's cpuset: {0}")]
    Thread(#[source] io::Error),

    /// The kernel refused to pin the thread.
    #[error("can't pin this thread to CPU {cpu}: {source}; its affinity is {affinity}")]
    Pin {
        /// The CPU that was asked for.
        cpu: u32,
        /// What the kernel said.
        source: io::Error,
        /// Where the thread may run instead, as a CPU list.
        affinity: String,
    },

    /// The kernel (or a sandbox in its place) accepted the pinning and did not do it.
    #[error("pinning to CPU {cpu} had no effect: the thread's affinity is {affinity}, not {cpu}")]
    NotPinned {
        /// The CPU that was asked for.
        cpu: u32,
        /// Where the thread may run instead, as a CPU list.
        affinity: String,
    },
}
