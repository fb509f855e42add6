use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, thread};

use tempfile::TempDir;

use super::affinity::{CpuMask, affinity, affinity_from};
use super::*;

/// A machine numbered as Linux does on x86: first all first siblings, package by package, and then
/// all second siblings. `core_id` starts anew in each package.
struct Machine {
    packages: u32,
    cores: u32,
    smt: u32,
}

impl Machine {
    fn count(&self) -> u32 {
        self.packages * self.cores * self.smt
    }

    fn sysfs(&self) -> TempDir {
        let root = TempDir::new().expect("a temporary directory");
        let physical = self.packages * self.cores;
        for id in 0..self.count() {
            let core = id % physical;
            let siblings: Vec<u32> = (0..self.smt).map(|rank| core + rank * physical).collect();
            let file = |name, value: String| write_topology(root.path(), id, name, &value);
            file("physical_package_id", (core / self.cores).to_string());
            file("core_id", (core % self.cores).to_string());
            file("core_cpus_list", format_cpu_list(&siblings));
        }
        root
    }

    fn topology(&self) -> Topology {
        let all: Vec<u32> = (0..self.count()).collect();
        Topology::from_sysfs(self.sysfs().path(), &all).expect("a topology")
    }
}

const SMALL: Machine = Machine {
    packages: 2,
    cores: 2,
    smt: 2,
};

fn write_topology(root: &Path, id: u32, name: &str, value: &str) {
    let dir = root.join(format!("sys/devices/system/cpu/cpu{id}/topology"));
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join(name), format!("{value}\n")).expect("a file");
}

fn remove_topology(root: &Path, id: u32, name: &str) {
    let dir = root.join(format!("sys/devices/system/cpu/cpu{id}/topology"));
    fs::remove_file(dir.join(name)).expect("a file to remove");
}

fn message<T>(result: Result<T, TopologyError>) -> String {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn cores_come_before_siblings() {
    let topology = SMALL.topology();
    assert!(topology.is_from_sysfs());
    assert_eq!(topology.ids(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!((topology.packages(), topology.cores()), (2, 4));
    let fifth = Cpu {
        id: 5,
        package: 0,
        core: 1,
        smt_rank: 1,
    };
    assert_eq!(topology.cpus()[5], fifth);
}

/// POWER, and x86 with some firmware: siblings have neighbouring numbers.
#[test]
fn neighbouring_siblings_are_placed_apart() {
    let root = TempDir::new().expect("a temporary directory");
    for id in 0..8 {
        write_topology(
            root.path(),
            id,
            "physical_package_id",
            &(id / 4).to_string(),
        );
        let first = id / 2 * 2;
        let list = format!("{first}-{}", first + 1);
        write_topology(root.path(), id, "thread_siblings_list", &list);
    }
    let topology = Topology::from_sysfs(root.path(), &[7, 6, 5, 4, 3, 2, 1, 0]).expect("it");
    assert_eq!(topology.ids(), [0, 2, 4, 6, 1, 3, 5, 7]);
}

#[test]
fn two_hundred_and_fifty_six_cpus() {
    let topology = Machine {
        packages: 2,
        cores: 64,
        smt: 2,
    }
    .topology();
    let cpus = topology.cpus();
    assert_eq!(cpus.len(), 256);
    assert_eq!((topology.packages(), topology.cores()), (2, 128));
    let block = |range: std::ops::Range<usize>| {
        let kinds: BTreeSet<_> = cpus[range]
            .iter()
            .map(|c| (c.smt_rank, c.package))
            .collect();
        kinds.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(block(0..64), [(0, 0)]);
    assert_eq!(block(64..128), [(0, 1)]);
    assert_eq!(block(128..192), [(1, 0)]);
    assert_eq!(block(192..256), [(1, 1)]);
    assert_eq!(cpus[200].core, cpus[72].core);
}

/// CPU 5 is the second sibling of core 1, but the only one that may be used.
#[test]
fn siblings_out_of_reach_do_not_count() {
    let sysfs = SMALL.sysfs();
    let topology = Topology::from_sysfs(sysfs.path(), &[0, 4, 5]).expect("a topology");
    assert_eq!(topology.ids(), [0, 5, 4]);
    assert_eq!(topology.cpus()[1].smt_rank, 0);
}

#[test]
fn core_ids_do_where_there_are_no_sibling_lists() {
    let sysfs = SMALL.sysfs();
    for id in 0..SMALL.count() {
        remove_topology(sysfs.path(), id, "core_cpus_list");
    }
    let all: Vec<u32> = (0..SMALL.count()).collect();
    let topology = Topology::from_sysfs(sysfs.path(), &all).expect("a topology");
    assert_eq!(topology, SMALL.topology());
    // Cores that aren't numbered aren't all the same core.
    write_topology(sysfs.path(), 3, "core_id", "-1");
    let topology = Topology::from_sysfs(sysfs.path(), &all).expect("a topology");
    assert!(!topology.is_from_sysfs());
}

#[test]
fn unnumbered_packages_are_one() {
    let sysfs = SMALL.sysfs();
    for id in 0..SMALL.count() {
        write_topology(sysfs.path(), id, "physical_package_id", "-1");
    }
    let all: Vec<u32> = (0..SMALL.count()).collect();
    let topology = Topology::from_sysfs(sysfs.path(), &all).expect("a topology");
    assert!(topology.is_from_sysfs());
    assert_eq!(topology.packages(), 1);
}

#[test]
fn without_a_whole_sysfs_every_cpu_is_a_core() {
    let empty = TempDir::new().expect("a temporary directory");
    let missing = Topology::from_sysfs(empty.path(), &[9, 2]).expect("a topology");
    assert!(!missing.is_from_sysfs());
    assert_eq!(missing.ids(), [2, 9]);
    assert_eq!((missing.packages(), missing.cores()), (1, 2));

    let spoilt = [
        ("core_cpus_list", "garbage"),
        ("core_cpus_list", "0-1"),
        ("physical_package_id", ""),
    ];
    for (name, value) in spoilt {
        let sysfs = SMALL.sysfs();
        write_topology(sysfs.path(), 6, name, value);
        let topology = Topology::from_sysfs(sysfs.path(), &[0, 4, 6]).expect("a topology");
        assert!(!topology.is_from_sysfs(), "{name} = {value:?}");
        assert_eq!(topology.cores(), 3);
    }
}

#[test]
fn a_restriction_is_a_placement() {
    let topology = SMALL.topology().restrict(&[6, 0, 2]).expect("a subset");
    assert_eq!(topology.ids(), [6, 0, 2]);
    assert!(topology.is_from_sysfs());
    let ranks: Vec<u32> = topology.cpus().iter().map(|cpu| cpu.smt_rank).collect();
    assert_eq!(ranks, [0, 0, 1]);
}

#[test]
fn restrictions_that_cannot_be() {
    let topology = SMALL.topology();
    assert_eq!(
        message(topology.restrict(&[1, 8])),
        "CPU 8 isn't available to this process: it may use 0-7"
    );
    assert_eq!(
        message(topology.restrict(&[3, 1, 3])),
        "CPU 3 is given twice: name each CPU once, out of 0-7"
    );
    assert_eq!(
        message(topology.restrict(&[])),
        "no CPU is given: name at least one out of 0-7"
    );
    // The list in the message is sorted, whatever the placement.
    let placed = topology.restrict(&[3, 2, 1]).expect("a subset");
    assert!(message(placed.restrict(&[0])).ends_with("it may use 1-3"));
    assert!(Topology::from_sysfs(Path::new("/"), &[]).is_err());
    assert!(Topology::from_sysfs(Path::new("/"), &[1, 0, 1]).is_err());
}

#[test]
fn lists_are_parsed() {
    let parsed = |list| parse_cpu_list(list).expect("a list");
    assert_eq!(parsed("0-3,8,10-11"), [0, 1, 2, 3, 8, 10, 11]);
    assert_eq!(parsed(" 3, 1 ,1\n"), [3, 1, 1]);
    assert_eq!(parsed("0-65535").len(), 65_536);
}

#[test]
fn lists_are_formatted() {
    for list in [
        "0-3,8,10-11",
        "7",
        "3,2,1",
        "0-1,0-1",
        "1023-1025",
        "65535",
        "",
    ] {
        let cpus = parse_cpu_list(list).unwrap_or_default();
        assert_eq!(format_cpu_list(&cpus), list);
    }
    assert_eq!(format_cpu_list(&[u32::MAX, 0]), "4294967295,0");
}

#[test]
fn bad_lists_are_named_in_one_line() {
    let bad = [
        ("", "the CPU list is empty"),
        (" \n", "the CPU list is empty"),
        ("0,,1", "\"\" in CPU list \"0,,1\" isn't a CPU"),
        ("1-", "\"1-\" in CPU list"),
        ("-1", "\"-1\" in CPU list"),
        ("1-2-3", "\"1-2-3\" in CPU list"),
        ("0\n1", "\"0\\n1\" in CPU list"),
        ("+1", "\"+1\" in CPU list"),
        ("all", "\"all\" in CPU list"),
        ("3-1", "CPU range 3-1 descends: write 1-3"),
        (
            "65536",
            "CPU 65536 is out of range: CPU numbers go from 0 to 65535",
        ),
        ("0-4294967295", "CPU 4294967295 is out of range"),
        (
            "0-99999999999999999999",
            "CPU 99999999999999999999 is out of range",
        ),
        ("0-65535,0", "CPU list \"0-65535,0\" is too long"),
    ];
    for (list, start) in bad {
        let message = message(parse_cpu_list(list));
        assert!(message.starts_with(start), "{list:?}: {message}");
        assert_eq!(message.lines().count(), 1);
    }
}

#[test]
fn masks_reach_beyond_cpu_1023() {
    for cpu in [0, 63, 64, 1023, 1024, 1500, MAX_CPU] {
        assert_eq!(CpuMask::single(cpu).cpus(), [cpu]);
    }
    assert_eq!(CpuMask::all().cpus().len(), MAX_CPU as usize + 1);
    // A kernel built for more CPUs than the first guess says EINVAL, as it does to no mask at all.
    assert_eq!(affinity_from(0).expect("it grows"), affinity().expect("it"));
}

/// On a thread of its own: the test runner's threads are none of our business.
fn on_a_thread(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        scope.spawn(test);
    });
}

#[test]
fn pinning_is_verified() {
    let ids = Topology::detect().expect("a topology").ids();
    assert_eq!(
        ids.iter().copied().collect::<BTreeSet<_>>(),
        affinity().expect("it").into_iter().collect()
    );
    for id in ids {
        on_a_thread(|| {
            pin_current_thread(id).expect("an allowed CPU");
            assert_eq!(affinity().expect("it"), [id]);
            assert_eq!(current_cpu(), Some(id));
            assert_eq!(Topology::detect().expect("it").ids(), [id]);
        });
    }
}

#[test]
fn a_pinned_thread_can_still_find_the_others() {
    let all = Topology::detect_reachable().expect("a topology");
    let mine = Topology::detect().expect("a topology").ids();
    assert!(all.restrict(&mine).is_ok());
    on_a_thread(|| {
        pin_current_thread(mine[0]).expect("an allowed CPU");
        assert_eq!(Topology::detect_reachable().expect("it"), all);
        assert_eq!(affinity().expect("it"), [mine[0]]);
    });
}

#[test]
fn pinning_to_an_absent_cpu_is_an_error() {
    let all = Topology::detect_reachable().expect("a topology").ids();
    let before = affinity().expect("it");
    // Either side of the end of `cpu_set_t`, beyond which core_affinity would abort.
    for cpu in [1023, 1024, MAX_CPU]
        .into_iter()
        .filter(|cpu| !all.contains(cpu))
    {
        let message = message(pin_current_thread(cpu));
        let start = format!("can't pin this thread to CPU {cpu}: Invalid argument");
        assert!(message.starts_with(&start), "{message}");
        let end = format!("; its affinity is {}", format_cpu_list(&before));
        assert!(message.ends_with(&end), "{message}");
    }
    assert!(message(pin_current_thread(u32::MAX)).contains("out of range"));
    assert_eq!(affinity().expect("it"), before);
}
