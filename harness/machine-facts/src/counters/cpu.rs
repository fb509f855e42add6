//! Whose CPU this is: what a raw event's number means is the vendor's business.

use std::fmt;
use std::sync::LazyLock;

/// A CPU's maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// `GenuineIntel`.
    Intel,
    /// `AuthenticAMD`.
    Amd,
    /// Anybody else, or unknown.
    Other,
}

/// A CPU, as far as raw events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    /// Its maker.
    pub vendor: Vendor,
    /// Its family, with the extended one added; 0 where there is no such thing.
    pub family: u32,
    /// Its model, with the extended one in front; 0 where there is no such thing.
    pub model: u32,
}

impl Cpu {
    /// A CPU of no known maker: no preset is for it.
    pub const UNKNOWN: Self = Self {
        vendor: Vendor::Other,
        family: 0,
        model: 0,
    };

    /// The first CPU of this machine, as `/proc/cpuinfo` has it; read once in a process.
    pub fn here() -> Self {
        static HERE: LazyLock<Cpu> = LazyLock::new(|| {
            let text = std::fs::read_to_string("/proc/cpuinfo");
            text.map_or(Cpu::UNKNOWN, |text| Cpu::parse(&text))
        });
        *HERE
    }

    /// The first CPU in a text like `/proc/cpuinfo`.
    pub fn parse(cpu_info: &str) -> Self {
        let value = |wanted: &str| {
            let pairs = cpu_info.lines().filter_map(|line| line.split_once(':'));
            let mut named = pairs.filter(|(name, _)| name.trim() == wanted);
            named.next().map(|(_, value)| value.trim())
        };
        let number = |wanted| value(wanted).and_then(|it| it.parse().ok()).unwrap_or(0);
        let vendor = match value("vendor_id") {
            Some("GenuineIntel") => Vendor::Intel,
            Some("AuthenticAMD") => Vendor::Amd,
            _ => return Self::UNKNOWN,
        };
        Self {
            vendor,
            family: number("cpu family"),
            model: number("model"),
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, model, .. } = self;
        match self.vendor {
            Vendor::Intel => write!(f, "Intel family {family}, model {model:#x}"),
            Vendor::Amd => write!(f, "AMD family {family:x}h, model {model:x}h"),
            Vendor::Other => write!(f, "neither Intel nor AMD"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendor_family_and_model_are_those_of_the_first_cpu() {
        let text = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\n\
                    model name\t: AMD EPYC 9454\nmodel\t\t: 17\n\nprocessor\t: 1\nvendor_id\t: GenuineIntel\n\
                    cpu family\t: 6\nmodel\t\t: 143\n";
        let cpu = Cpu::parse(text);
        let expected = Cpu {
            vendor: Vendor::Amd,
            family: 0x19,
            model: 0x11,
        };
        assert_eq!(cpu, expected);
        assert_eq!(cpu.to_string(), "AMD family 19h, model 11h");
    }

    #[test]
    fn a_cpu_without_a_vendor_is_unknown() {
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(Cpu::parse(arm), Cpu::UNKNOWN);
        assert_eq!(Cpu::parse(""), Cpu::UNKNOWN);
    }
}
