//! Reading the small files in which the kernel describes itself.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::topology::parse_cpu_list;

/// The directory that holds `proc` and `sys`: "/", but for tests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root<'a>(&'a Path);

impl<'a> Root<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        Self(path)
    }

    /// A file's text without the blanks around it; `None` also where nothing is left.
    pub(super) fn text(self, path: &str) -> Option<String> {
        let bytes = fs::read(self.0.join(path)).ok()?;
        // The device tree ends its strings in NUL.
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A file that holds one value.
    pub(super) fn value<T: FromStr>(self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// A file that holds 0 or 1.
    pub(super) fn switch(self, path: &str) -> Option<bool> {
        match self.value(path)? {
            0_u32 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A file that holds a CPU list. A list of none is an empty line, or `(null)` where the kernel
    /// was given no mask.
    pub(super) fn cpu_list(self, path: &str) -> Option<String> {
        let bytes = fs::read(self.0.join(path)).ok()?;
        match String::from_utf8(bytes).ok()?.trim() {
            "" | "(null)" => Some(String::new()),
            list => parse_cpu_list(list).ok().map(|_| list.to_owned()),
        }
    }

    /// What follows `name` in the line of a file that begins with it, without the blanks around it.
    pub(super) fn line(self, path: &str, name: &str) -> Option<String> {
        let text = self.text(path)?;
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(rest.trim().to_owned())
    }

    /// The names of what is in a directory, sorted.
    pub(super) fn names_in(self, directory: &str) -> Option<Vec<String>> {
        let entries = fs::read_dir(self.0.join(directory)).ok()?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort();
        Some(names)
    }

    /// The texts of all files in a directory.
    pub(super) fn texts_in(self, directory: &str) -> Option<Vec<String>> {
        let names = self.names_in(directory)?.into_iter();
        let texts = names.filter_map(|name| self.text(&format!("{directory}/{name}")));
        Some(texts.collect())
    }
}

/// One CPU's lines of `/proc/cpuinfo`.
type Block = Vec<(String, String)>;

/// What `/proc/cpuinfo` says of the CPUs in use.
#[derive(Debug)]
pub(super) struct CpuInfo(Vec<Block>);

impl CpuInfo {
    pub(super) fn read(root: Root<'_>, cpus: &[u32]) -> Self {
        let text = root.text("proc/cpuinfo").unwrap_or_default();
        // Some architectures print lines that aren't about any one CPU before the first or after
        // the last; they do no harm in a block of their own or the last CPU's.
        let mut blocks: Vec<(Option<u32>, Block)> = Vec::new();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            if name == "processor" || blocks.is_empty() {
                blocks.push((value.parse().ok(), Vec::new()));
            }
            if let Some((_, block)) = blocks.last_mut() {
                block.push((name.to_owned(), value.to_owned()));
            }
        }
        // A container may see CPUs renumbered; then all of them are as good as any.
        let used = |id: &Option<u32>| id.is_some_and(|id| cpus.contains(&id));
        if blocks.iter().any(|(id, _)| used(id)) {
            blocks.retain(|(id, _)| used(id));
        }
        Self(blocks.into_iter().map(|(_, block)| block).collect())
    }

    /// The model of the CPUs, or the models if they differ.
    pub(super) fn model(&self) -> Option<String> {
        let mut models: Vec<String> = Vec::new();
        for model in self.0.iter().filter_map(model) {
            if !models.contains(&model) {
                models.push(model);
            }
        }
        (!models.is_empty()).then(|| models.join(" and "))
    }

    /// Whether every CPU has these x86 flags; `None` on an architecture that has no such line.
    pub(super) fn have(&self, wanted: &[&str]) -> Option<bool> {
        let flags = self.0.iter().filter_map(|block| value(block, "flags"));
        let have = flags.map(|flags| {
            let has = |wanted: &&str| flags.split_whitespace().any(|flag| flag == *wanted);
            wanted.iter().all(has)
        });
        have.reduce(|all, this| all && this)
    }
}

fn value<'a>(block: &'a Block, wanted: &str) -> Option<&'a str> {
    let found = block.iter().find(|(name, _)| name == wanted);
    found.map(|(_, value)| value.as_str())
}

fn model(block: &Block) -> Option<String> {
    // x86 and others, LoongArch, POWER, RISC-V.
    let named = ["model name", "Model Name", "cpu", "uarch"];
    if let Some(name) = named.iter().find_map(|name| value(block, name)) {
        // x86 pads names in the middle.
        let words: Vec<_> = name.split_whitespace().collect();
        return Some(words.join(" "));
    }
    // arm64 has only numbers.
    let implementer = value(block, "CPU implementer")?;
    let part = value(block, "CPU part")?;
    Some(format!("ARM implementer {implementer} part {part}"))
}
