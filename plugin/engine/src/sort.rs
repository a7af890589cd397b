//! Sorting in place, by heap.
//!
//! The standard library's sorts recurse, some twenty levels for a list of thousands, and the host that
//! interprets the module gives it a stack of 8 KiB; they are also ten times the code, for each type anew.

/// Sorts; what is equal may change places.
#[inline(always)]
pub(crate) fn sort<T: Ord>(items: &mut [T]) {
    // Most lists have one item, if that.
    if items.len() > 1 {
        sort_several(items);
    }
}

#[inline(never)]
fn sort_several<T: Ord>(items: &mut [T]) {
    // Most lists come sorted.
    if items.is_sorted() {
        return;
    }
    for root in (0..items.len() / 2).rev() {
        sift_down(items, root);
    }
    let mut heap = items;
    while let Some(last) = heap.len().checked_sub(1) {
        heap.swap(0, last);
        let Some(rest) = heap.get_mut(..last) else { return };
        heap = rest;
        sift_down(heap, 0);
    }
}

/// Moves the item at `root` down to where no child is greater.
fn sift_down<T: Ord>(heap: &mut [T], mut root: usize) {
    loop {
        let mut child = 2 * root + 1;
        if heap.get(child + 1).is_some_and(|right| heap.get(child).is_some_and(|left| right > left)) {
            child += 1;
        }
        match (heap.get(root), heap.get(child)) {
            (Some(item), Some(greater)) if item < greater => heap.swap(root, child),
            _ => return,
        }
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::sort;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorting_sorts(mut items in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut expected = items.clone();
            expected.sort();
            sort(&mut items);
            prop_assert_eq!(items, expected);
        }
    }
}
