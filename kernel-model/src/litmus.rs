//! The cores of the schemes as litmus tests of the Linux kernel's memory model, most of them one
//! fault against one removal, each with the result that is expected of `herd7`.
//!
//! They are written out by hand, which the code that Loom checks isn't: they say what the kernel's
//! own model makes of the same barriers. It has load buffering, which Loom hasn't.

/// What `herd7` is to say of a test: whether some execution meets its condition, which most often
/// is that a PTE outlives the removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// None does.
    Never,
    /// Some do.
    Sometimes,
    /// All do.
    Always,
}

impl Observed {
    /// The word that herd7 uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::Sometimes => "Sometimes",
            Self::Always => "Always",
        }
    }

    /// What a word of herd7's stands for.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Never, Self::Sometimes, Self::Always]
            .into_iter()
            .find(|it| it.word() == word)
    }
}

/// A state of the kernel's memory model, as far as results here differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// An acquire that reads what a foreign read-modify-write made of a release is not ordered
    /// after it.
    Linux6_1,
    /// It is: the model has `rmw-sequence`.
    Linux6_12,
}

impl Model {
    /// That of a `linux-kernel.cat`, known by the definition that makes the difference.
    pub fn of(cat: &str) -> Self {
        if cat.contains("let rmw-sequence =") {
            Self::Linux6_12
        } else {
            Self::Linux6_1
        }
    }

    /// The release whose results are declared for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux6_1 => "Linux 6.1",
            Self::Linux6_12 => "Linux 6.12",
        }
    }
}

/// A litmus test.
#[derive(Debug)]
pub struct Litmus {
    /// The schemes whose core it is, or whose core it breaks.
    pub schemes: &'static [&'static str],
    /// Its name: the shape, and the barriers of the fault and of the remover.
    pub name: &'static str,
    /// The test as herd7 reads it.
    pub text: &'static str,
}

impl Litmus {
    /// What its first comment says under such a heading.
    fn said(&self, heading: &str) -> impl Iterator<Item = &'static str> {
        let lines = self.text.lines().take_while(|line| *line != " *)");
        lines.filter_map(move |line| {
            let line = line.strip_prefix(" * ")?.strip_prefix(heading)?;
            line.strip_prefix(": ")
        })
    }

    /// The result that it names for a model: 6.12's, unless it has one for 6.1.
    pub fn expected(&self, model: Model) -> Option<Observed> {
        let old = self.said("Result by Linux 6.1").next();
        let new = self.said("Result").next();
        match model {
            Model::Linux6_1 => Observed::of(old.or(new)?),
            Model::Linux6_12 => Observed::of(new?),
        }
    }

    /// What herd7 has to flag beside its result, such as `data-race`.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        self.said("Flag")
    }
}

macro_rules! litmus {
    ($($schemes:expr => [$($name:literal),+ $(,)?])+) => {
        /// All litmus tests. The first of each scheme is its verdict.
        pub const ALL: &[Litmus] = &[$($(Litmus {
            schemes: &$schemes,
            name: $name,
            text: include_str!(concat!("../litmus/", $name, ".litmus")),
        }),+),+];
    };
}

litmus! {
    ["page-locked", "page-locked-xfs", "folio-batched"] => [
        "page-locked+trylock+lock",
        "page-locked-otherflag+trylock+lock",
    ]
    ["mapcount-recheck"] => [
        "recheck+incmb-acqrecheck+lockmb",
        "recheck+increturn-acqrecheck+lockmb",
        "recheck-threads+incmb-acqrecheck+lockmb",
        "recheck-otherflag+incmb-acqrecheck+lockmb",
        "recheck-handoff+incmb-acqrecheck+wakerfull",
        "recheck-handoff+incmb-acqrecheck+wakeracq",
        "recheck-batch+incmb-acqrecheck+lockmb",
        "recheck-large+return-incmb-acqrecheck+lockmb",
        "recheck-large+return-inc-acqrecheck+lockmb",
        "recheck-plain+incmb-acqrecheck+lockmb",
        "recheck-migrate+incmb+freeze-onceunfreeze",
        "recheck-migrate+incmb+acqfreeze-onceunfreeze",
        "recheck+inc-acqrecheck+lockmb",
        "recheck+incmb-oncerecheck+lockmb",
        "recheck+incmb-acqrecheck+lock",
    ]
    ["fused-count"] => [
        "fused+addmb-acqrecheck+lockmb",
        "fused+add-acqrecheck+lockmb",
        "fused+addmb-acqrecheck+lock",
        "fused-threads+addmb-acqrecheck+lock-addlook",
    ]
    ["invalidate-gate", "invalidate-gate-fused"] => [
        "gate-nopmd+spinmb+incmb-zap",
        "gate-nopmd+spin+incmb-zap",
        "gate-nopmd+spinmb+inc-zap",
        "gate-threads+spinmb+incmb-zap",
        "gate-threads+installmb-spin+incmb-zap",
        "gate-threads+spin-get-acqread+incmb-zap",
        "gate+spin+inc-zap",
        "gate+spinmb+incmb-mapzap",
        "gate+spinmb-once+incmb-zap-put-once",
        "gate+spinmb-once+incmb-zap-relput-once",
        "gate+spinmb-once+incmb-zap-markput-once",
    ]
    ["invalidate-seq"] => [
        "seq+incmb+incmb",
        "seq+inc+incmb",
        "seq+incmb+inc",
        "seq-nopmd+incmb+inc-get",
        "seq-nopmd+incmb+inc-acqget",
    ]
    ["invalidate-seq-fused"] => [
        "seqfused-threads+add+incmb-get",
        "seqfused-threads+addacq+incmb-get",
    ]
    ["invalidate-only"] => ["shared+tryread+none", "shared+tryread+write"]
    ["sketch"] => [
        "sketch+incmb-oncerecheck+lockmb",
        "sketch+incmb-acqrecheck+lockmb",
        "sketch-nopmd+truncate+lockmb",
    ]
    ["lockless-rfc"] => ["rfc+inc+lock"]
    LOCK_FREE => [
        "migrate+get+freeze-relunfreeze",
        "migrate+get+freeze-onceunfreeze",
        "alloc+get+relref",
        "alloc+get+put-ref",
        "alloc+get+put-freelist-ref",
        "dirty+decreturn+look",
        "dirty+dec+look",
    ]
}

/// The sound schemes whose faults take no folio lock, and rest on more than its core.
const LOCK_FREE: [&str; 6] = [
    "mapcount-recheck",
    "fused-count",
    "invalidate-gate",
    "invalidate-gate-fused",
    "invalidate-seq",
    "invalidate-seq-fused",
];
