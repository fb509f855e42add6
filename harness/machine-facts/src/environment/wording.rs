//! The environment in words: plain ASCII, for a report that goes into a mail.

use super::Environment;

impl Environment {
    /// The machine in one line, of any length.
    pub fn headline(&self) -> String {
        let processor = &self.processor;
        let model = processor.model.as_deref().unwrap_or("unknown CPU");
        let used = processor.logical_cpus_used;
        let cpus = match processor.logical_cpus_online {
            Some(online) if online != used => format!("{used} of {online} CPUs"),
            _ => counted(used as u64, "CPU"),
        };
        let places = if processor.topology_known {
            let cores = counted(processor.cores_used as u64, "core");
            format!(
                "{cores}, {}",
                counted(processor.packages_used as u64, "package")
            )
        } else {
            "topology unknown".to_owned()
        };
        let mut parts = vec![model.to_owned(), format!("{cpus} ({places})")];
        if self.virtualization.virtual_machine == Some(true) {
            let hypervisor = self.virtualization.hypervisor.as_ref();
            parts.push(hypervisor.map_or("VM".to_owned(), |name| format!("VM ({name})")));
        }
        let release = self.kernel.release.as_deref().unwrap_or("unknown");
        parts.push(format!("Linux {release}"));
        ascii(&parts.join(", "))
    }

    /// The build in one line, of any length.
    pub fn build_line(&self) -> String {
        let build = &self.build;
        let commit = build.commit.as_deref().unwrap_or("unknown");
        let modified = if build.dirty == Some(true) {
            " (modified)"
        } else {
            ""
        };
        // The version alone, without hash and date.
        let rustc = build
            .rustc
            .as_deref()
            .and_then(|rustc| rustc.split(' ').next());
        ascii(&format!(
            "fault-around {}, commit {commit}{modified}, rustc {}, {}",
            build.crate_version,
            rustc.unwrap_or("unknown"),
            build.target.as_deref().unwrap_or("unknown target")
        ))
    }
}

/// So many of something.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// One line of ASCII, whatever firmware says.
pub fn ascii(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    text.chars().map(plain).collect()
}
