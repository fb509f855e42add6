//! CPU lists as the kernel reads and prints them: `0-3,8,10-11`.

use super::TopologyError;

/// The largest CPU number accepted. Kernels are built for at most 8192 CPUs; the limit is only
/// there so that a slip of the pen (`0-4294967295`) costs an error and not the memory.
pub const MAX_CPU: u32 = 65_535;

const MAX_CPUS: usize = MAX_CPU as usize + 1;

/// Reads a CPU list.
///
/// The order is kept, and so are repetitions: a list given by a user is a placement, and
/// [`Topology::restrict`](super::Topology::restrict) names the CPU that is given twice.
///
/// # Errors
///
/// An empty list, anything but numbers and ranges, a range that descends, and numbers above
/// [`MAX_CPU`].
pub fn parse_cpu_list(list: &str) -> Result<Vec<u32>, TopologyError> {
    if list.trim().is_empty() {
        return Err(TopologyError::EmptyList);
    }
    let mut cpus = Vec::new();
    for item in list.split(',').map(str::trim) {
        let (first, last) = match item.split_once('-') {
            Some((first, last)) => (parse_cpu(first, item, list)?, parse_cpu(last, item, list)?),
            None => {
                let cpu = parse_cpu(item, item, list)?;
                (cpu, cpu)
            }
        };
        if first > last {
            return Err(TopologyError::Descending { first, last });
        }
        // Each range is bounded by MAX_CPU; many of them aren't.
        if cpus.len() + (last - first) as usize >= MAX_CPUS {
            return Err(TopologyError::TooLong {
                list: list.to_owned(),
                max: MAX_CPUS,
            });
        }
        cpus.extend(first..=last);
    }
    Ok(cpus)
}

fn parse_cpu(number: &str, item: &str, list: &str) -> Result<u32, TopologyError> {
    // `u32::from_str` would let a sign pass.
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TopologyError::Syntax {
            item: item.to_owned(),
            list: list.to_owned(),
        });
    }
    match number.parse() {
        Ok(cpu) if cpu <= MAX_CPU => Ok(cpu),
        _ => Err(TopologyError::OutOfRange {
            cpu: number.to_owned(),
            max: MAX_CPU,
        }),
    }
}

/// Prints CPUs as a list, with runs of consecutive numbers as ranges.
///
/// The order is kept, so that a placement can be printed and read back.
pub fn format_cpu_list(cpus: &[u32]) -> String {
    cpus.chunk_by(|&cpu, &next| cpu.checked_add(1) == Some(next))
        .map(|run| match run {
            [first, .., last] => format!("{first}-{last}"),
            run => run.iter().map(u32::to_string).collect(),
        })
        .collect::<Vec<_>>()
        .join(",")
}
