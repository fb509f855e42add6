//! What a run measures, and in which order.

use kernel_model::platform::Native;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Subject};
use crate::control::{Control, Variant};
use crate::storms::Storm;

/// One storm and one number of fault threads, under which all schemes are compared.
#[derive(Clone, Copy)]
pub struct Group {
    /// The storm.
    pub storm: &'static dyn Storm<Native>,
    /// The number of fault threads.
    pub fault_threads: u32,
    /// Whether the model carries the kernel's remaining work.
    pub calibrated: bool,
}

impl Group {
    /// What tables and files call the load: the storm, and whether the model is calibrated.
    pub fn load(&self) -> String {
        let storm = self.storm.about().name;
        match self.calibrated {
            true => format!("{storm}{CALIBRATED}"),
            false => storm.to_owned(),
        }
    }
}

/// The end of a load's name where the model carries the kernel's remaining work.
pub const CALIBRATED: &str = "-calibrated";

/// What a run measures.
#[derive(Clone)]
pub struct Plan {
    /// The schemes, or the kernel's files; the baseline first.
    pub subjects: Vec<Subject>,
    /// Where they are compared, in the order of the tables.
    pub groups: Vec<Group>,
    /// How often.
    pub rounds: Rounds,
    /// What the baseline is run as, beside itself and its second run.
    pub controls: Vec<Control>,
    /// Where every random choice comes from.
    pub seed: u64,
}

impl Plan {
    /// Cells in a round: every scheme in every group, the baseline once more, and its controls.
    pub fn cells_per_round(&self) -> usize {
        let groups = 0..self.groups.len();
        groups.map(|group| self.keys_of(group).count()).sum()
    }

    /// Cells in all rounds, where that is known.
    pub fn cells(&self) -> Option<usize> {
        match self.rounds {
            Rounds::Fixed(rounds) => Some(self.cells_per_round() * rounds as usize),
            Rounds::Auto { .. } => None,
        }
    }

    /// A group's cells in the order of tables: the baseline, its second run, its controls, the
    /// others.
    pub fn keys_of(&self, group: usize) -> impl Iterator<Item = Key> {
        let key = move |scheme, variant| Key {
            group,
            scheme,
            variant,
        };
        let controls = self.controls.iter().map(|control| control.variant());
        [Variant::Plain, Variant::Again]
            .into_iter()
            .chain(controls)
            .map(move |variant| key(0, variant))
            .chain((1..self.subjects.len()).map(move |scheme| key(scheme, Variant::Plain)))
            .filter(move |key| self.subjects[key.scheme].bears(self.groups[group].storm))
    }

    /// The cell that the others of a group are compared with.
    pub fn baseline_of(&self, group: usize) -> Key {
        Key {
            group,
            scheme: 0,
            variant: Variant::Plain,
        }
    }

    /// What a key names.
    pub fn cell(&self, key: Key) -> Cell {
        let Group {
            storm,
            fault_threads,
            calibrated,
        } = self.groups[key.group];
        let mut controls = self.controls.iter().copied();
        Cell {
            subject: self.subjects[key.scheme].clone(),
            calibrated,
            storm,
            fault_threads,
            control: controls.find(|control| control.variant() == key.variant),
        }
    }

    /// The cells of a round in the order in which they run.
    pub(super) fn order(&self, round: u32) -> Vec<Key> {
        let mut random = Pcg64Mcg::seed_from_u64(self.seed ^ (u64::from(round) << 32));
        let mut groups: Vec<usize> = (0..self.groups.len()).collect();
        groups.shuffle(&mut random);
        let mut order = Vec::with_capacity(self.cells_per_round());
        for group in groups {
            let first = order.len();
            order.extend(self.keys_of(group));
            order[first..].shuffle(&mut random);
        }
        order
    }
}

/// Names a cell of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Index into [`Plan::groups`].
    pub group: usize,
    /// Index into [`Plan::subjects`].
    pub scheme: usize,
    /// As what it runs.
    pub variant: Variant,
}

/// When a run has rounds enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounds {
    /// After so many.
    Fixed(u32),
    /// When the interval of each scheme's ratio is narrower than `width` (0.05: its upper end less
    /// than 5 % above its lower one), or after `limit_s` seconds.
    Auto {
        /// The width.
        width: f64,
        /// The limit, in seconds.
        limit_s: f64,
    },
}

impl Rounds {
    /// Rounds below which no interval is looked at: with fewer one is narrow by chance too often.
    pub const FEWEST: u32 = 10;
}

/// Why a run of rounds came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// All rounds that were asked for are there.
    AllRounds,
    /// All intervals are as narrow as was asked for.
    Narrow,
    /// The time was up before they were.
    TimeLimit,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storms::Storms;
    use kernel_model::fault_around::Schemes;
    use std::collections::BTreeSet;

    fn plan() -> Plan {
        let subjects = Schemes::<Native>::ALL[..2]
            .iter()
            .map(|it| Subject::from(*it))
            .collect();
        let group = |storm, fault_threads| Group {
            storm: Storms::<Native>::named(storm).unwrap(),
            fault_threads,
            calibrated: false,
        };
        Plan {
            subjects,
            groups: vec![group("none", 1), group("none", 2), group("punch-hole", 1)],
            rounds: Rounds::Fixed(3),
            controls: vec![Control::Planted(5.0)],
            seed: 11,
        }
    }

    #[test]
    fn a_round_has_every_cell_once_the_baseline_twice_and_its_controls_with_groups_kept_together() {
        let plan = plan();
        for round in 0..3 {
            let order = plan.order(round);
            assert_eq!(order.len(), plan.cells_per_round());
            for chunk in order.chunks(4) {
                assert!(chunk.iter().all(|key| key.group == chunk[0].group));
                assert_eq!(chunk.iter().filter(|key| key.scheme == 0).count(), 3);
                for variant in [Variant::Again, Variant::Planted] {
                    let of = chunk.iter().filter(|key| key.variant == variant);
                    assert_eq!(of.count(), 1);
                }
            }
        }
    }

    #[test]
    fn groups_and_schemes_both_take_turns_at_coming_first() {
        let plan = plan();
        let firsts = |first: fn(&[Key]) -> Key| -> BTreeSet<Key> {
            let orders = (0..40).map(|round| first(&plan.order(round)));
            orders.collect()
        };
        let groups: BTreeSet<_> = firsts(|order| order[0])
            .iter()
            .map(|key| key.group)
            .collect();
        assert_eq!(groups.len(), plan.groups.len());
        // Within group 0, wherever it comes.
        let in_group = |order: &[Key]| *order.iter().find(|key| key.group == 0).unwrap();
        assert_eq!(firsts(in_group).len(), plan.subjects.len() + 2);
    }

    #[test]
    fn the_order_comes_from_the_seed_and_changes_from_round_to_round() {
        let plan = plan();
        let orders: Vec<_> = (0..6).map(|round| plan.order(round)).collect();
        assert_eq!(orders[0], plan.order(0));
        assert!(orders.iter().any(|order| *order != orders[0]));
        let other = Plan { seed: 12, ..plan };
        assert!((0..6).any(|round| other.order(round) != orders[round as usize]));
    }
}
