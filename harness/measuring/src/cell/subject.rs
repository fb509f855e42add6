//! What a run compares: the model under a scheme, or a file of the running kernel.

use std::fmt::Debug;
use std::sync::Arc;

use kernel_model::fault_around::FaultAround;
use kernel_model::platform::Native;

use super::drive::Running;
use super::{CellError, Measured};
use crate::storms::Storm;

/// A row of the tables.
#[derive(Clone)]
pub enum Subject {
    /// The model under a scheme: bare, or with the kernel's remaining work where a group says so.
    Scheme(&'static dyn FaultAround<Native>),
    /// A file of the running kernel, whatever its scheme is.
    File(Arc<dyn KernelFile>),
}

/// A file of the running kernel, as a cell needs it.
pub trait KernelFile: Debug + Send + Sync {
    /// The name in tables.
    fn name(&self) -> &str;

    /// What it is, in words.
    fn lineage(&self) -> String;

    /// Whether a page that was taken away comes back as it was.
    fn refills_alike(&self) -> bool;

    /// Sees whether the kernel gives a file of so many pages.
    ///
    /// # Errors
    /// What the kernel says.
    fn try_to_create(&self, pages: u64) -> Result<(), CellError>;

    /// Runs a cell on it.
    ///
    /// # Errors
    /// See [`CellError`].
    fn measure(&self, running: &Running<'_>) -> Result<Measured, CellError>;
}

impl Subject {
    /// The name in tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Scheme(scheme) => scheme.about().name,
            Self::File(file) => file.name(),
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
            Self::File(file) => storm.removers().is_empty() || file.refills_alike(),
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
