//! Held against the plainest model there is: for each extent the set of ids that hold it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Extent, Holders, Holdings, Subvolume};

type Model = BTreeMap<u64, Vec<Extent>>;

#[derive(Clone, Debug)]
enum Step {
    Hold(u64, Vec<Extent>),
    Release(BTreeSet<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    // Few addresses, so that much is shared; one length for each, as on a disk.
    let extent = (1u64..40).prop_map(|n| Extent { at: n * 1_048_576, length: n * n * 4096 });
    let hold = (0u64..90, prop::collection::vec(extent, 0..25)).prop_map(|(id, list)| Step::Hold(id, list));
    let release = prop::collection::btree_set(0u64..90, 0..6).prop_map(Step::Release);
    prop_oneof![5 => hold, 1 => release]
}

fn subvolume(id: u64) -> Subvolume {
    Subvolume { id, uuid: [id as u8; 16], generation: id * 1000, inline: id }
}

fn live(steps: &[Step]) -> (Holdings, Model) {
    let (mut holdings, mut model) = (Holdings::default(), Model::new());
    for step in steps {
        match step {
            Step::Hold(id, list) => {
                holdings.hold(subvolume(*id), list.clone());
                model.insert(*id, list.clone());
            }
            Step::Release(ids) => {
                holdings.release(ids);
                model.retain(|id, _| !ids.contains(id));
            }
        }
    }
    (holdings, model)
}

/// Bytes held by this group only, and by it and others.
fn by_model(model: &Model, group: &BTreeSet<u64>) -> (u64, u64) {
    let mut holders: BTreeMap<Extent, BTreeSet<u64>> = BTreeMap::new();
    for (id, list) in model {
        for extent in list {
            holders.entry(*extent).or_default().insert(*id);
        }
    }
    let (mut within, mut meets) = (0, 0);
    for (extent, ids) in holders {
        match (ids.is_subset(group), ids.is_disjoint(group)) {
            (true, _) => within += extent.length,
            (_, false) => meets += extent.length,
            _ => {}
        }
    }
    (within, meets)
}

fn by_holdings(holdings: &Holdings, group: &BTreeSet<u64>) -> (u64, u64) {
    let group = holdings.group(group);
    let bytes = holdings.bytes_by_holders();
    let sum = |wanted: &dyn Fn(&Holders) -> bool| {
        bytes.iter().filter(|(holders, _)| wanted(holders)).map(|(_, bytes)| bytes).sum()
    };
    let within = sum(&|holders| holders.is_within(&group));
    (within, sum(&|holders| holders.meets(&group) && !holders.is_within(&group)))
}

proptest! {
    #[test]
    fn sums_are_those_of_the_plainest_model(
        steps in prop::collection::vec(step(), 0..100),
        groups in prop::collection::vec(prop::collection::btree_set(0u64..90, 0..60), 5),
    ) {
        let (holdings, model) = live(&steps);
        let ids: BTreeSet<u64> = holdings.subvolumes().map(|subvolume| subvolume.id).collect();
        prop_assert_eq!(&ids, &model.keys().copied().collect());
        for group in groups.iter().chain([&ids]) {
            prop_assert_eq!(by_holdings(&holdings, group), by_model(&model, group));
        }
        let sets: BTreeSet<&[u64]> = holdings.sets.iter().map(|set| set.0.as_slice()).collect();
        prop_assert!(sets.len() == holdings.sets.len() && !sets.contains(&[][..]), "each set once, none empty");
        prop_assert!(holdings.bytes_by_holders().iter().all(|(_, bytes)| *bytes > 0), "and none unused");
        prop_assert!(holdings.extents.is_sorted_by(|a, b| a.extent.at < b.extent.at));
    }

    #[test]
    fn bytes_bring_everything_back(steps in prop::collection::vec(step(), 0..60), odd in 0u64..3) {
        let (mut holdings, _) = live(&steps);
        holdings.hold(subvolume(500), vec![Extent { at: 77 * odd + 5, length: odd }]);
        holdings.hold(subvolume(501), vec![Extent { at: u64::MAX - odd, length: 4096 }]);
        prop_assert_eq!(Holdings::from_bytes(&holdings.to_bytes()), Some(holdings));
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), steps in prop::collection::vec(step(), 0..10), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        if let Some(holdings) = Holdings::from_bytes(&bytes) {
            holdings.bytes_by_holders();
        }
        // Nearly right is worse than wrong.
        bytes = live(&steps).0.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = with;
        if let Some(mut holdings) = Holdings::from_bytes(&bytes) {
            let all = holdings.subvolumes().map(|subvolume| subvolume.id).collect();
            holdings.hold(subvolume(7), vec![Extent { at: 4096, length: 4096 }]);
            holdings.release(&all);
        }
        prop_assert_eq!(Holdings::from_bytes(&bytes[..at]), None, "cut short");
    }
}
