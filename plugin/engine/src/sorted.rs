//! A map for what a configuration lists: a sorted list, which takes the module a tenth of the code that the standard
//! library's tree does.

/// Values by key, in the order of the keys.
#[derive(Debug)]
pub(crate) struct SortedMap<K, V>(Vec<(K, V)>);

impl<K: Ord, V: Default> SortedMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0
            .binary_search_by(|(known, _)| known.cmp(key))
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, value)| value)
    }

    /// Changes the value of a key, which is the default one if the key is new.
    pub(crate) fn update(&mut self, key: K, change: impl FnOnce(&mut V)) {
        let at = match self.0.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, V::default()));
                at
            }
        };
        if let Some((_, value)) = self.0.get_mut(at) {
            change(value);
        }
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::SortedMap;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_has_what_a_tree_would_have(keys in prop::collection::vec(0u8..20, 0..60)) {
            let (mut map, mut tree) = (SortedMap::new(), BTreeMap::new());
            for (number, key) in keys.into_iter().enumerate() {
                map.update(key, |numbers: &mut Vec<usize>| numbers.push(number));
                tree.entry(key).or_insert_with(Vec::new).push(number);
                prop_assert_eq!(map.get(&key), tree.get(&key));
                prop_assert_eq!(map.len(), tree.len());
            }
            prop_assert!(map.into_iter().eq(tree));
        }
    }
}
