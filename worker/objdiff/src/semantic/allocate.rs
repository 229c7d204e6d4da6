//! Which calls allocate memory, how much, and whether it is zeroed.
//!
//! From include/linux/slab.h, mm.h, device.h, etherdevice.h, percpu.h and
//! dma-mapping.h of 6.1: after inlining, these functions are what code calls.

use super::code::{Call, FunctionCode};

/// `___GFP_ZERO` in include/linux/gfp_types.h.
const GFP_ZERO: u64 = 0x100;
/// Sizes of the general caches: mm/slab_common.c, kmalloc_info[], from 8 bytes
/// to KMALLOC_MAX_CACHE_SIZE.
const CLASSES: [u64; 13] = [
    8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192,
];

/// Whether memory is zero when the allocator returns it.
#[derive(Clone, Copy)]
enum Zeroed {
    Always,
    Never,
    /// If the argument of that index has `__GFP_ZERO`.
    Flags(usize),
}

struct Allocator {
    name: &'static str,
    /// Index of the argument with the size; `None` if a call does not say it.
    size: Option<usize>,
    zeroed: Zeroed,
    /// It gives an object of a general slab cache, all of which it zeroes.
    is_slab: bool,
}

const fn slab(name: &'static str, size: usize, flags: usize) -> Allocator {
    Allocator {
        name,
        size: Some(size),
        zeroed: Zeroed::Flags(flags),
        is_slab: true,
    }
}

const fn other(name: &'static str, size: Option<usize>, zeroed: Zeroed) -> Allocator {
    Allocator {
        name,
        size,
        zeroed,
        is_slab: false,
    }
}

const ALLOCATORS: &[Allocator] = &[
    slab("kmalloc_trace", 2, 1),
    slab("kmalloc_node_trace", 3, 1),
    slab("__kmalloc", 0, 1),
    slab("__kmalloc_node", 0, 1),
    slab("__kmalloc_node_track_caller", 0, 1),
    slab("__kmalloc_cache_noprof", 2, 1),
    slab("__kmalloc_cache_node_noprof", 3, 1),
    slab("__kmalloc_noprof", 0, 1),
    other("kmalloc_large", Some(0), Zeroed::Flags(1)),
    other("kmalloc_large_node", Some(0), Zeroed::Flags(1)),
    other("kvmalloc_node", Some(0), Zeroed::Flags(1)),
    other("__kvmalloc_node_noprof", Some(0), Zeroed::Flags(1)),
    other("kmem_cache_alloc", None, Zeroed::Flags(1)),
    other("kmem_cache_alloc_node", None, Zeroed::Flags(1)),
    other("kmem_cache_alloc_lru", None, Zeroed::Flags(2)),
    other("kmem_cache_alloc_bulk", None, Zeroed::Flags(1)),
    other("kmemdup", Some(1), Zeroed::Never),
    other("kvmemdup", Some(1), Zeroed::Never),
    other("memdup_user", Some(1), Zeroed::Never),
    other("memdup_user_nul", Some(1), Zeroed::Never),
    other("vmemdup_user", Some(1), Zeroed::Never),
    other("krealloc", Some(1), Zeroed::Never),
    other("kvrealloc", Some(2), Zeroed::Never),
    other("vmalloc", Some(0), Zeroed::Never),
    other("vmalloc_user", Some(0), Zeroed::Always),
    other("vmalloc_node", Some(0), Zeroed::Never),
    other("__vmalloc", Some(0), Zeroed::Flags(1)),
    other("vzalloc", Some(0), Zeroed::Always),
    other("vzalloc_node", Some(0), Zeroed::Always),
    other("devm_kmalloc", Some(1), Zeroed::Flags(2)),
    other("devm_kmemdup", Some(2), Zeroed::Never),
    other("devm_krealloc", Some(2), Zeroed::Never),
    other("__alloc_percpu", Some(0), Zeroed::Always),
    other("__alloc_percpu_gfp", Some(0), Zeroed::Always),
    other("__devm_alloc_percpu", Some(1), Zeroed::Always),
    other("alloc_netdev_mqs", Some(0), Zeroed::Always),
    other("alloc_etherdev_mqs", Some(0), Zeroed::Always),
    other("devm_alloc_etherdev_mqs", Some(1), Zeroed::Always),
    other("dma_alloc_attrs", Some(1), Zeroed::Always),
    other("dmam_alloc_attrs", Some(1), Zeroed::Always),
    other("dma_pool_alloc", None, Zeroed::Flags(1)),
    other("mempool_alloc", None, Zeroed::Never),
    other("alloc_pages_exact", Some(0), Zeroed::Flags(1)),
    other("__get_free_pages", None, Zeroed::Flags(0)),
    other("get_zeroed_page", None, Zeroed::Always),
    other("__alloc_pages", None, Zeroed::Flags(0)),
    other("alloc_pages", None, Zeroed::Flags(0)),
];

/// A call that allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allocation {
    /// In bytes, if the call site says it.
    pub size: Option<u64>,
    pub is_zeroed: bool,
    pub is_slab: bool,
}

fn allocator(callee: &str) -> Option<&'static Allocator> {
    ALLOCATORS.iter().find(|known| known.name == callee)
}

fn allocation(call: &Call, of: &Allocator) -> Allocation {
    let argument = |index: usize| call.arguments[index];
    Allocation {
        size: of.size.and_then(argument),
        is_zeroed: match of.zeroed {
            Zeroed::Always => true,
            Zeroed::Never => false,
            Zeroed::Flags(index) => argument(index).is_some_and(|flags| flags & GFP_ZERO != 0),
        },
        is_slab: of.is_slab,
    }
}

/// The allocations of a function. Sizes that they and `memset` to zero take are
/// explained in its constants.
pub(super) fn allocations(function: &mut FunctionCode) -> Vec<Allocation> {
    let mut found = Vec::new();
    for index in 0..function.calls.len() {
        let call = &function.calls[index];
        if call.callee == "memset" {
            if call.arguments[1] == Some(0) {
                function.explain(index, 2);
            }
            continue;
        }
        let Some(of) = allocator(&call.callee) else {
            continue;
        };
        found.push(allocation(call, of));
        if let Some(size) = of.size {
            function.explain(index, size);
        }
    }
    found
}

/// The general slab cache that an object of that size comes from, in bytes.
pub(super) fn class_of(size: u64) -> Option<u64> {
    CLASSES.into_iter().find(|class| size <= *class && size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_the_class_that_holds_it() {
        assert_eq!(class_of(0), None);
        assert_eq!(class_of(8), Some(8));
        assert_eq!(class_of(65), Some(96));
        assert_eq!(class_of(97), Some(128));
        assert_eq!(class_of(8192), Some(8192));
        assert_eq!(class_of(8193), None);
    }
}
