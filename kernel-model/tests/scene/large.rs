//! Machines with folios of several pages, and looks at those.

use std::ops::Range;

use kernel_model::folio::{Counting, Pfn, site};
use kernel_model::mm::Vma;
use kernel_model::platform::Platform;
use kernel_model::{Config, Orders};

use super::{PAGES, SMALL, Scene, Scheme, mapped};

/// An empty cache, and folios of such orders.
pub(crate) fn of_orders<P: Platform>(scheme: Scheme<P>, orders: Orders) -> Scene<P> {
    let config = Config {
        folios: 128,
        orders,
        ..SMALL
    };
    Scene::sized(scheme, config, PAGES)
}

/// The same with all of the file in the cache.
pub(crate) fn cached<P: Platform>(scheme: Scheme<P>, order: u8) -> Scene<P> {
    let scene = of_orders(scheme, Orders::All(order));
    scene.populate(0..PAGES);
    scene
}

/// The sizes of the folios in the cache, in the file's order. On the way it is checked that each is
/// aligned, in the file and in memory, and that all of its pages are its own.
pub(crate) fn sizes<P: Platform>(scene: &Scene<P>) -> Vec<u32> {
    let mut sizes = Vec::new();
    let mut next = 0;
    for index in scene.in_cache() {
        let head = scene.pfn(index);
        if index >= next {
            let size = scene.pages(index);
            sizes.push(size);
            next = index + u64::from(size);
            assert_eq!(index % u64::from(size), 0, "the folio at {index}");
            assert_eq!(head.0 % size, 0, "the folio at {index}");
            assert_eq!(scene.frame(index), head);
        }
        assert_eq!(scene.system.memmap.head_of(scene.frame(index)), head);
        assert_eq!(scene.pfn(next - 1), head);
    }
    sizes
}

/// Mapcount and refcount of the folio at `index`, and the mapcounts of its pages where it has some.
pub(crate) fn all_counts<P: Platform>(scene: &Scene<P>, index: u64) -> (u32, u32, Vec<u32>) {
    let (mapcount, refcount) = scene.counts(index);
    let (memmap, head) = (&scene.system.memmap, scene.pfn(index));
    let pages = match memmap.counting() {
        Counting::Apart | Counting::PerPage => head.0..head.0 + scene.pages(index),
        Counting::Fused => 0..0,
    };
    let pages = pages.map(|pfn| memmap.folio(Pfn(pfn)).mapcount(&site::COUNTS_READ));
    (mapcount, refcount, pages.collect())
}

/// The same as it should be: one mapping of each of `mapped`, counted from the folio's start.
pub(crate) fn counts_of<P: Platform>(
    scene: &Scene<P>,
    pages: u32,
    mapped: Range<u32>,
) -> (u32, u32, Vec<u32>) {
    let of_pages = match scene.system.memmap.counting() {
        Counting::Apart | Counting::PerPage => {
            (0..pages).map(|at| mapped.contains(&at).into()).collect()
        }
        Counting::Fused => vec![],
    };
    let total = mapped.len() as u32;
    (total, pages + total, of_pages)
}

/// Fault-around maps what is in the cache, and reads nothing.
pub(crate) fn maps_again<P: Platform>(scene: &Scene<P>, vma: &Vma<P>, cached: &[u64]) {
    for &at in cached {
        scene.around(vma, at);
    }
    assert_eq!(mapped(vma), cached);
    scene.assert_sound();
}
