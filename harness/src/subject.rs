//! What a run compares: the model under a scheme, or a file of the running kernel.

use std::path::PathBuf;
use std::sync::Arc;

use kernel_model::fault_around::FaultAround;
use kernel_model::platform::Native;

use crate::host::FileKind;
use crate::storms::Storm;

/// A row of the tables.
#[derive(Clone)]
pub enum Subject {
    /// The model under a scheme: bare, or with the kernel's remaining work where a group says so.
    Scheme(&'static dyn FaultAround<Native>),
    /// A file of the running kernel, whatever its scheme is.
    File(Arc<KernelFile>),
}

/// A file of the running kernel, and who faults on it.
#[derive(Debug)]
pub struct KernelFile {
    /// What file.
    pub kind: FileKind,
    /// The program that is [a worker](crate::cell::worker) if it is called with
    /// [`WORKER`](crate::cell::worker::WORKER).
    pub worker: PathBuf,
}

impl Subject {
    /// The name in tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Scheme(scheme) => scheme.about().name,
            Self::File(file) => &file.kind.name,
        }
    }

    /// Whether it is a scheme that is known to be broken.
    pub fn is_broken(&self) -> bool {
        match self {
            Self::Scheme(scheme) => !scheme.about().verdict.is_sound(),
            Self::File(_) => false,
        }
    }

    /// Whether it stays what it is under a storm.
    pub fn bears(&self, storm: &dyn Storm<Native>) -> bool {
        match self {
            Self::Scheme(_) => true,
            Self::File(file) => storm.removers().is_empty() || file.kind.refills_alike(),
        }
    }

    /// Whether it is the running kernel.
    pub fn is_kernel(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

impl From<&'static dyn FaultAround<Native>> for Subject {
    fn from(scheme: &'static dyn FaultAround<Native>) -> Self {
        Self::Scheme(scheme)
    }
}
