//! The cores of the schemes as litmus tests of the Linux kernel's memory model, one fault against
//! one removal, each with the result that is expected of `herd7`.
//!
//! They are written out by hand, which the code that Loom checks isn't: they say what the kernel's
//! own model makes of the same barriers.

/// What `herd7` is to say of a test: whether some execution meets its condition, which is that a PTE
/// outlives the removal.
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
    /// The result that its first comment names.
    pub fn expected(&self) -> Option<Observed> {
        let (_, rest) = self.text.split_once("(*\n * Result: ")?;
        Observed::of(rest.lines().next()?)
    }
}

macro_rules! litmus {
    ($($schemes:expr => [$($name:literal),+ $(,)?])+) => {
        /// All litmus tests.
        pub const ALL: &[Litmus] = &[$($(Litmus {
            schemes: &$schemes,
            name: $name,
            text: include_str!(concat!("../litmus/", $name, ".litmus")),
        }),+),+];
    };
}

litmus! {
    ["page-locked", "folio-batched"] => ["page-locked+trylock+lock"]
    ["mapcount-recheck"] => [
        "recheck+incmb-acqrecheck+lockmb",
        "recheck+increturn-acqrecheck+lockmb",
        "recheck-nopmd+incmb-acqrecheck+lockmb",
        "recheck+inc-acqrecheck+lockmb",
        "recheck+incmb-oncerecheck+lockmb",
        "recheck+incmb-acqrecheck+lock",
    ]
    ["fused-count"] => [
        "fused+addmb-acqrecheck+lockmb",
        "fused+add-acqrecheck+lockmb",
        "fused+addmb-acqrecheck+lock",
    ]
    ["invalidate-gate", "invalidate-gate-fused"] => [
        "gate-nopmd+spinmb+incmb-zap",
        "gate-nopmd+spin+incmb-zap",
        "gate-nopmd+spinmb+inc-zap",
        "gate+spin+inc-zap",
        "gate+spin+inc-nozap",
    ]
    ["invalidate-seq"] => ["seq+incmb+incmb", "seq+inc+incmb", "seq+incmb+inc"]
    ["invalidate-seq-fused"] => ["seqfused+cmpxchg+incmb"]
    ["invalidate-shared"] => ["shared+rwsem+invalidate"]
    ["sketch"] => [
        "sketch+incmb-oncerecheck+lockmb",
        "sketch+incmb-acqrecheck+lockmb",
        "sketch-nopmd+truncate+lockmb",
    ]
    ["lockless-rfc"] => ["rfc+inc+lock"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault_around::Schemes;
    use crate::platform::Native;

    #[test]
    fn every_test_is_named_as_its_file_and_says_what_is_expected() {
        for litmus in ALL {
            let head = format!("C {}\n\n(*\n * Result: ", litmus.name);
            assert!(litmus.text.starts_with(&head), "{}", litmus.name);
            assert!(litmus.expected().is_some(), "{}", litmus.name);
            let exists = litmus.text.lines().last();
            assert_eq!(exists, Some("exists (pte=1)"), "{}", litmus.name);
        }
    }

    #[test]
    fn every_file_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/litmus");
        let files = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".litmus").map(str::to_owned))
            .collect();
        names.sort();
        let mut listed: Vec<_> = ALL.iter().map(|litmus| litmus.name).collect();
        listed.sort();
        assert_eq!(names, listed);
    }

    #[test]
    fn each_scheme_has_a_test_of_its_verdict() {
        for scheme in Schemes::<Native>::ALL {
            let about = scheme.about();
            let first = ALL
                .iter()
                .find(|litmus| litmus.schemes.contains(&about.name));
            let expected = first.expect(about.name).expected().unwrap();
            let sound = about.verdict.is_sound();
            assert_eq!(expected == Observed::Never, sound, "{}", about.name);
        }
    }
}
