mod spoilt;

use std::fs;

use serde_json::Value;

use super::fake::*;
use super::source::Root;
use super::*;

#[test]
fn a_quiet_machine_of_two_packages() {
    let machine = bare_metal();
    let environment = machine.capture("6,0,2");
    let processor = Processor {
        model: Some("Fast(R) CPU @ 2GHz".to_owned()),
        logical_cpus_online: Some(8),
        logical_cpus_used: 3,
        cpus_used: "6,0,2".to_owned(),
        packages_used: 2,
        cores_used: 3,
        topology_known: true,
        smt_active: Some(true),
        smt_siblings_used: false,
        one_cpu_per_core: Some("6,0,2".to_owned()),
        smt_siblings_unused: Some("1,3,7".to_owned()),
        smt_control: Some("on".to_owned()),
        // Only CPU 0 has any here, and isn't the first one used.
        last_level_cache_bytes: None,
        cache_line_bytes: None,
        tsc_invariant: Some(true),
    };
    assert_eq!(environment.processor, processor);
    assert_eq!(
        environment.headline(),
        "Fast(R) CPU @ 2GHz, 3 of 8 CPUs (3 cores, 2 packages), Linux 6.18.44"
    );
    assert_eq!(environment.memory_bytes, Some(24_684_096 << 10));
    assert_eq!(environment.load_average_1min, Some(0.13));
    assert_eq!(environment.cpu_quota, None);
    assert_eq!(environment.virtualization.virtual_machine, Some(false));
    assert_eq!(
        environment.virtualization.system_vendor.as_deref(),
        Some("Dell Inc.")
    );
    let frequency = Frequency {
        governor: Some("performance".to_owned()),
        driver: Some("intel_pstate".to_owned()),
        turbo: Some(false),
    };
    assert_eq!(environment.frequency, frequency);
}

#[test]
fn what_is_kept_free_and_how_deep_it_sleeps() {
    let machine = bare_metal();
    let environment = machine.capture("2,3");
    let some = |text: &str| Some(text.to_owned());
    let isolation = Isolation {
        online: some("0-7"),
        allowed: some("0-1"),
        isolated: some("2-7"),
        nohz_full: some("2-7"),
    };
    assert_eq!(environment.isolation, isolation);
    assert_eq!(
        environment.processor.smt_siblings_unused.as_deref(),
        Some("")
    );
    let idle = Idle {
        driver: some("intel_idle"),
        deepest: some("C1"),
        exit_latency_us: Some(2),
    };
    assert_eq!(environment.idle, idle);
    assert_eq!(environment.memlock.as_deref(), Some("unlimited"));
    assert_eq!(environment.stolen_share, Some(0.0));

    // C6 is disabled on 2 and 3 alone.
    let deeper = machine.capture("2,4").idle;
    assert_eq!(
        (deeper.deepest.as_deref(), deeper.exit_latency_us),
        (Some("C6"), Some(133))
    );
    machine
        .file(&format!("{CPU}/isolated"), "")
        .file(&format!("{CPU}/nohz_full"), "  (null)")
        .file("proc/self/limits", "Max locked memory  65536  65536  bytes");
    let environment = machine.capture("0");
    let Isolation {
        isolated,
        nohz_full,
        ..
    } = environment.isolation;
    assert_eq!((isolated, nohz_full), (some(""), some("")));
    assert_eq!(environment.memlock.as_deref(), Some("65536"));
    machine.file(&format!("{CPU}/isolated"), "none of them");
    assert_eq!(machine.capture("0").isolation.isolated, None);
}

/// Runs of before these were captured stay readable.
#[test]
fn what_older_runs_have_not_captured_reads_as_unknown() {
    let mut environment = bare_metal().capture("0,2");
    let mut json = serde_json::to_value(&environment).unwrap();
    assert_eq!(
        serde_json::from_value::<Environment>(json.clone()).unwrap(),
        environment
    );
    let mut forget = |part: Option<&str>, fields: &[&str]| {
        let part = part.map_or("".to_owned(), |part| format!("/{part}"));
        let object = json.pointer_mut(&part).unwrap().as_object_mut().unwrap();
        for field in fields {
            assert!(object.remove(*field).is_some(), "{field}");
        }
    };
    forget(None, &["idle", "isolation", "stolen_share", "memlock"]);
    forget(
        Some("processor"),
        &["one_cpu_per_core", "smt_siblings_unused", "smt_control"],
    );
    forget(
        Some("kernel"),
        &["clocksources", "event_sources", "nmi_watchdog"],
    );
    let read: Environment = serde_json::from_value(json).unwrap();
    (environment.idle, environment.isolation) = Default::default();
    (environment.stolen_share, environment.memlock) = (None, None);
    let processor = &mut environment.processor;
    processor.one_cpu_per_core = None;
    processor.smt_siblings_unused = None;
    processor.smt_control = None;
    let kernel = &mut environment.kernel;
    (kernel.clocksources, kernel.event_sources) = (None, None);
    kernel.nmi_watchdog = None;
    assert_eq!(read, environment);
}

#[test]
fn the_kernel_and_its_settings() {
    let kernel = bare_metal().capture("0").kernel;
    let parameters = ["isolcpus=2-7", "rcu-nocbs=2-7", "preempt=full", "nosmt"];
    let expected = Kernel {
        release: Some("6.18.44".to_owned()),
        version: Some("#1 SMP PREEMPT_DYNAMIC".to_owned()),
        parameters: Some(parameters.map(str::to_owned).to_vec()),
        mitigations: Some(Mitigations {
            mitigated: 2,
            vulnerable: 1,
        }),
        clocksource: Some("tsc".to_owned()),
        clocksources: Some(["tsc", "hpet", "acpi_pm"].map(str::to_owned).to_vec()),
        transparent_hugepages: Some("madvise".to_owned()),
        perf_event_paranoid: Some(-1),
        event_sources: Some(["cpu", "software"].map(str::to_owned).to_vec()),
        nmi_watchdog: Some(false),
    };
    assert_eq!(kernel, expected);
}

#[test]
fn the_last_level_cache_is_the_one_of_the_highest_level() {
    let processor = bare_metal().capture("0").processor;
    assert_eq!(processor.last_level_cache_bytes, Some(36 << 20));
    assert_eq!(processor.cache_line_bytes, Some(128));
}

#[test]
fn a_kvm_guest() {
    let machine = kvm_guest();
    let environment = machine.capture("0-1");
    assert_eq!(
        environment.headline(),
        "Xeon, 2 CPUs (2 cores, 1 package), VM (KVM), Linux 6.12.1-cloud"
    );
    assert_eq!(environment.frequency.governor, None);
}

#[test]
fn the_flag_alone_makes_a_virtual_machine() {
    let machine = Machine::bare();
    machine.file("proc/cpuinfo", &x86_cpu_info(1, "Xeon", "fpu hypervisor"));
    let environment = machine.capture("0");
    assert_eq!(environment.virtualization.virtual_machine, Some(true));
    assert_eq!(
        environment.headline(),
        "Xeon, 1 CPU (topology unknown), VM, Linux unknown"
    );
    machine.file("proc/cpuinfo", &x86_cpu_info(1, "Xeon", "fpu"));
    let environment = machine.capture("0");
    assert_eq!(environment.virtualization.virtual_machine, Some(false));
}

#[test]
fn arm64_is_told_by_numbers_and_has_no_tsc() {
    let machine = arm64();
    let environment = machine.capture("1-2");
    assert_eq!(
        environment.headline(),
        "ARM implementer 0x41 part 0xd0b, 2 of 3 CPUs (2 cores, 1 package), Linux 6.6.1"
    );
    assert_eq!(environment.processor.tsc_invariant, None);
    assert_eq!(environment.virtualization.virtual_machine, Some(false));
    let both = "ARM implementer 0x41 part 0xd05 and ARM implementer 0x41 part 0xd0b";
    assert_eq!(
        machine.capture("0-2").processor.model.as_deref(),
        Some(both)
    );

    machine.file("sys/class/dmi/id/product_name", "m7g.large");
    let virtualization = machine.capture("0").virtualization;
    assert_eq!(virtualization.virtual_machine, Some(true));
    assert_eq!(virtualization.hypervisor.as_deref(), Some("Amazon EC2"));
}

#[test]
fn where_nothing_is_readable_everything_is_null() {
    let machine = Machine::bare();
    let environment = machine.capture("0,3");
    assert_eq!(
        environment.headline(),
        "unknown CPU, 2 CPUs (topology unknown), Linux unknown"
    );
    let json = serde_json::to_value(&environment).unwrap();
    for part in ["frequency", "idle", "isolation", "virtualization", "kernel"] {
        let fields = json[part].as_object().unwrap();
        assert!(
            fields.len() > 2 && fields.values().all(Value::is_null),
            "{fields:?}"
        );
    }
    for (name, value) in json.as_object().unwrap() {
        assert!(value.is_object() || value.is_null(), "{name}: {value}");
    }
    let known = json["processor"].as_object().unwrap().iter();
    let known = known.filter(|(_, value)| !value.is_null());
    let known: Vec<_> = known.map(|(name, _)| name.as_str()).collect();
    let mut expected = [
        "logical_cpus_used",
        "cpus_used",
        "packages_used",
        "cores_used",
        "topology_known",
        "smt_siblings_used",
    ];
    expected.sort_unstable();
    assert_eq!(known, expected);
}
