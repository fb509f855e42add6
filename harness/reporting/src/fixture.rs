//! What stands above the figures of a run, for tests here and in the crates above.

use std::path::Path;

use jiff::Timestamp;
use machine_facts::counters::Availability;
use machine_facts::environment::Environment;
use machine_facts::topology::Topology;

use crate::record::Header;

/// The head of a run on a machine that isn't there: nothing is known of it, on whatever machine
/// tests run.
pub fn header() -> Header {
    let topology = Topology::detect().expect("CPUs");
    Header {
        command: "faultaround storm".to_owned(),
        rerun: "cargo run --release -- storm --seed 1".to_owned(),
        started: Timestamp::UNIX_EPOCH,
        caveats: vec!["virtual machine (KVM): CPUs may be shared or taken away".to_owned()],
        environment: Environment::capture_from(Path::new("/nowhere"), &topology),
        findings: Vec::new(),
        noise: Vec::new(),
        counters: Availability::default(),
        calibration: None,
        left_out: vec!["a storm that there is no CPU for".to_owned()],
        recording_ns: 9.0,
        clock_step: None,
        sigbus_ns: None,
    }
}
