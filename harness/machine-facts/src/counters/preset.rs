//! Raw events that tell of cache lines going from core to core, by the vendors' manuals.

use super::cpu::{Cpu, Vendor};
use super::event::{Event, RawEvent};

/// Raw events with a name.
#[derive(Debug)]
pub struct Preset {
    /// Its name, for `--event`.
    pub name: &'static str,
    /// What its events tell, in one sentence.
    pub tells: &'static str,
    /// Whose CPUs it is for, in words.
    pub valid_for: &'static str,
    /// The manual that has the events.
    pub source: &'static str,
    /// Whether it is for a CPU.
    fits: fn(&Cpu) -> bool,
    /// The events: number, and the manual's name.
    events: &'static [(u64, &'static str)],
}

const INTEL: &str = "Intel, Core and Xeon cores from Skylake on (family 6; not Atom's cores)";
const INTEL_SERVER: &str = "Intel, Xeon Scalable and Xeon 6 with P-cores (family 6, models 0x55, \
                            0x6a, 0x6c, 0x8f, 0xcf, 0xad, 0xae)";
const ZEN: &str = "AMD, Zen 3 to Zen 5 (families 19h and 1Ah)";
const INTEL_SOURCE: &str = "Intel perfmon event lists, and SDM volume 3, performance monitoring \
                            events";
const ZEN_SOURCE: &str = "AMD Processor Programming References for families 19h and 1Ah, PMCx043 \
                          LsDmndFillsFromSys";

/// All of them, in the order of lists. What is the same on two vendors' CPUs has two names, for it
/// isn't the same.
pub static PRESETS: [Preset; 5] = [
    Preset {
        name: "hitm",
        tells: "loads served from another core's cache on this package: the line was modified there \
                or, from Ice Lake on, forwarded clean",
        valid_for: INTEL,
        source: INTEL_SOURCE,
        fits: is_intel_core,
        events: &[(
            0x04d2,
            "MEM_LOAD_L3_HIT_RETIRED.XSNP_HITM (XSNP_FWD from Ice Lake on)",
        )],
    },
    Preset {
        name: "hitm-remote",
        tells: "loads served from a modified line in another package's cache",
        valid_for: INTEL_SERVER,
        source: INTEL_SOURCE,
        fits: is_intel_server,
        events: &[(0x04d3, "MEM_LOAD_L3_MISS_RETIRED.REMOTE_HITM")],
    },
    Preset {
        name: "memory-ordering-clears",
        tells: "pipeline clears because a line that was loaded early was snooped away",
        valid_for: INTEL,
        source: INTEL_SOURCE,
        fits: is_intel_core,
        events: &[(0x02c3, "MACHINE_CLEARS.MEMORY_ORDERING")],
    },
    Preset {
        name: "ccx-fills",
        tells: "demand fills of the L1D that came from other caches: first from the L3 or another \
                core's L2 of the same CCX, which don't tell apart; then from a cache of another CCX",
        valid_for: ZEN,
        source: ZEN_SOURCE,
        fits: is_zen_3_or_later,
        events: &[
            (
                0x0243,
                "LsDmndFillsFromSys, L3 or another L2 of the same CCX",
            ),
            (
                0x1443,
                "LsDmndFillsFromSys, cache of another CCX, near or far",
            ),
        ],
    },
    Preset {
        name: "dram-fills",
        tells: "demand fills of the L1D that came from DRAM or a device, of any node: what misses \
                of the last-level cache are elsewhere, where Zen has no counter of a core's own",
        valid_for: ZEN,
        source: ZEN_SOURCE,
        fits: is_zen_3_or_later,
        events: &[(0x4843, "LsDmndFillsFromSys, DRAM or MMIO, near or far")],
    },
];

fn is_intel_core(cpu: &Cpu) -> bool {
    cpu.vendor == Vendor::Intel && cpu.family == 6
}

fn is_intel_server(cpu: &Cpu) -> bool {
    is_intel_core(cpu) && [0x55, 0x6a, 0x6c, 0x8f, 0xcf, 0xad, 0xae].contains(&cpu.model)
}

fn is_zen_3_or_later(cpu: &Cpu) -> bool {
    // Family 17h has another event under the same number.
    cpu.vendor == Vendor::Amd && [0x19, 0x1a].contains(&cpu.family)
}

impl Preset {
    /// Whether it is for a CPU.
    pub fn is_for(&self, cpu: &Cpu) -> bool {
        (self.fits)(cpu)
    }

    /// The events.
    pub(super) fn events(&self, cpu: &Cpu) -> Result<Vec<Event>, String> {
        if !self.is_for(cpu) {
            let fitting = PRESETS.iter().filter(|preset| preset.is_for(cpu));
            let fitting: Vec<_> = fitting.map(|preset| preset.name).collect();
            return Err(format!(
                "event {}: is for {}; this CPU is {cpu}: allowed are {}rNNN",
                self.name,
                self.valid_for,
                fitting
                    .iter()
                    .map(|name| format!("{name}, "))
                    .collect::<String>()
            ));
        }
        let event = |&(config, means): &(u64, &'static str)| {
            Event::Raw(RawEvent {
                config,
                means: Some(means),
            })
        };
        Ok(self.events.iter().map(event).collect())
    }

    /// All about it in a paragraph, for a list: what it tells, its events, whose CPUs it is for,
    /// and who says so.
    pub fn description(&self) -> String {
        let events: Vec<_> = (self.events.iter())
            .map(|(config, means)| format!("r{config:04x} {means}"))
            .collect();
        format!(
            "{}; {}; for {}; from: {}",
            self.tells,
            events.join("; "),
            self.valid_for,
            self.source
        )
    }
}

/// The preset of a name.
pub(super) fn named(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// The names of all.
pub(super) fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn cpu(vendor: Vendor, family: u32, model: u32) -> Cpu {
        Cpu {
            vendor,
            family,
            model,
        }
    }
    const CASCADE_LAKE: Cpu = cpu(Vendor::Intel, 6, 0x55);
    const TIGER_LAKE: Cpu = cpu(Vendor::Intel, 6, 0x8c);
    const ZEN_2: Cpu = cpu(Vendor::Amd, 0x17, 0x31);
    const ZEN_4: Cpu = cpu(Vendor::Amd, 0x19, 0x11);

    fn configs(given: &str, cpu: &Cpu) -> Result<Vec<u64>, String> {
        let events = Event::parse(given, cpu)?;
        let config = |event| match event {
            Event::Raw(raw) => raw.config,
            other => panic!("{other:?} in a preset"),
        };
        Ok(events.into_iter().map(config).collect())
    }

    #[test]
    fn a_preset_is_its_vendors_events() {
        assert_eq!(configs("hitm", &TIGER_LAKE), Ok(vec![0x4d2]));
        assert_eq!(configs("hitm-remote", &CASCADE_LAKE), Ok(vec![0x4d3]));
        let clears = configs("memory-ordering-clears", &CASCADE_LAKE);
        assert_eq!(clears, Ok(vec![0x2c3]));
        assert_eq!(configs("ccx-fills", &ZEN_4), Ok(vec![0x243, 0x1443]));
        assert_eq!(configs("dram-fills", &ZEN_4), Ok(vec![0x4843]));
    }

    #[test]
    fn on_another_cpu_it_is_refused_with_what_there_is_instead() {
        for (given, cpu, instead) in [
            (
                "hitm",
                ZEN_4,
                "AMD family 19h, model 11h: allowed are ccx-fills, dram-fills, rNNN",
            ),
            (
                "ccx-fills",
                CASCADE_LAKE,
                "allowed are hitm, hitm-remote, memory-ordering-clears, rNNN",
            ),
            // One socket; what the number would count is said nowhere.
            (
                "hitm-remote",
                TIGER_LAKE,
                "allowed are hitm, memory-ordering-clears, rNNN",
            ),
            (
                "dram-fills",
                cpu(Vendor::Other, 0x19, 0x11),
                "neither Intel nor AMD: allowed are rNNN",
            ),
            // The same number is another event there.
            ("ccx-fills", ZEN_2, "model 31h: allowed are rNNN"),
            (
                "hitm",
                Cpu::UNKNOWN,
                "neither Intel nor AMD: allowed are rNNN",
            ),
        ] {
            let error = configs(given, &cpu).expect_err(given);
            assert!(
                error.starts_with(&format!("event {given}: is for ")),
                "{error}"
            );
            assert!(error.ends_with(instead), "{error}");
            assert!(!error.contains('\n') && error.is_ascii(), "{error}");
        }
    }

    #[test]
    fn each_says_what_it_is_and_can_be_named() {
        for preset in &PRESETS {
            let text = preset.description();
            assert!(text.is_ascii(), "{text}");
            assert!(text.contains(preset.source) && text.contains(preset.valid_for));
            let found = named(preset.name).expect("a listed preset");
            assert!(std::ptr::eq(found, preset), "{} is taken", preset.name);
            // It would be taken for a number.
            let digits = preset.name.strip_prefix('r').unwrap_or("-");
            assert!(!digits.bytes().all(|it| it.is_ascii_hexdigit()));
        }
    }
}
