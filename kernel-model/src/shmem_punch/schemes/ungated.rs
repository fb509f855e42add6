//! `bounded-pass` and `unserialised`: a fault asks nobody.
//!
//! `unserialised` is what tmpfs had before 3.16. Its second pass begins anew as long as it finds a
//! page, so that whoever touches the hole keeps the puncher in it, and the puncher all writers out
//! of the file (CVE-2014-4171). `bounded-pass` is the approach that was given up as the whole of a
//! remedy: one second pass, after which pages may be in the hole.

use crate::platform::Platform;
use crate::race::{Scheme, Verdict};
use crate::shmem_punch::family::{HOLE_NOT_EMPTY, TOUCHED};
use crate::shmem_punch::{BOUNDED_REMOVAL, SecondPass, ShmemPunch};

/// See the module.
#[derive(Debug)]
pub(super) struct Ungated {
    about: &'static Scheme,
    second_pass: SecondPass,
}

/// See the module.
pub(super) const BOUNDED_PASS: Ungated = Ungated {
    about: &Scheme {
        name: "bounded-pass",
        lineage: "Dickins, b1a366500bd5 of Jul 2014, by itself",
        summary: "the second pass goes over the range once; a fault asks nobody",
        verdict: Verdict::Sound {
            why: "a punch promises no more than that what was in the hole is gone",
        },
        shows: &[HOLE_NOT_EMPTY],
        sites: &[],
        own_checks: &[],
    },
    second_pass: SecondPass::Once,
};

/// See the module.
pub(super) const UNSERIALISED: Ungated = Ungated {
    about: &Scheme {
        name: "unserialised",
        lineage: "Linux 3.1 to 3.15",
        summary: "the second pass goes on until it finds the range empty; a fault asks nobody",
        verdict: Verdict::Broken {
            on: &[(TOUCHED, &[BOUNDED_REMOVAL])],
            why: "each touch of the hole puts a page into it, for which the puncher begins anew",
        },
        shows: &[HOLE_NOT_EMPTY],
        sites: &[],
        own_checks: &[],
    },
    second_pass: SecondPass::UntilEmpty,
};

impl<P: Platform> ShmemPunch<P> for Ungated {
    fn about(&self) -> &'static Scheme {
        self.about
    }

    fn second_pass(&self) -> SecondPass {
        self.second_pass
    }
}
