/// A map from paths that is filled in sorted runs: a sorted list, which takes half the memory of a tree or a hash table
/// and is merged once per layer.
#[derive(Debug)]
pub(super) struct SortedMap<V> {
    sorted: Vec<(Box<[u8]>, V)>,
    /// The run that is being filled, in ascending order, none of its paths in `sorted`.
    run: Vec<(Box<[u8]>, V)>,
}

impl<V> Default for SortedMap<V> {
    fn default() -> Self {
        SortedMap { sorted: Vec::new(), run: Vec::new() }
    }
}

impl<V> SortedMap<V> {
    /// The number of paths.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len() + self.run.len()
    }

    /// Appends to the run; the path is greater than the last one and not in the map.
    pub(crate) fn push(&mut self, path: Box<[u8]>, value: V) {
        debug_assert!(self.run.last().is_none_or(|(last, _)| **last < *path) && !self.contains(&path));
        self.run.push((path, value));
    }

    /// Ends the run.
    pub(crate) fn end_run(&mut self) {
        if self.sorted.is_empty() {
            std::mem::swap(&mut self.sorted, &mut self.run);
        } else if !self.run.is_empty() {
            self.sorted.append(&mut self.run);
            // A stable sort finds the two runs and merges them.
            self.sorted.sort_by(|a, b| a.0.cmp(&b.0));
        }
    }

    /// True if there is a value at `path`.
    pub(crate) fn contains(&self, path: &[u8]) -> bool {
        self.get(path).is_some()
    }

    /// The value at `path`.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&V> {
        let find = |list: &[(Box<[u8]>, V)]| list.binary_search_by(|(there, _)| (**there).cmp(path)).ok();
        match find(&self.sorted) {
            Some(found) => Some(&self.sorted[found].1),
            None => find(&self.run).map(|found| &self.run[found].1),
        }
    }

    /// The value at `path`, to be changed; runs have ended.
    pub(crate) fn get_mut(&mut self, path: &[u8]) -> Option<&mut V> {
        let found = self.sorted.binary_search_by(|(there, _)| (**there).cmp(path)).ok()?;
        Some(&mut self.sorted[found].1)
    }

    /// Takes out what is at `path`; runs have ended.
    pub(crate) fn remove(&mut self, path: &[u8]) -> Option<V> {
        let found = self.sorted.binary_search_by(|(there, _)| (**there).cmp(path)).ok()?;
        Some(self.sorted.remove(found).1)
    }

    /// All of it, sorted by path.
    pub(crate) fn into_list(mut self) -> Vec<(Box<[u8]>, V)> {
        self.end_run();
        self.sorted
    }
}

/// The items of a list from its beginning, whose memory is given back on the way: one list becomes another without both
/// being there whole.
pub(super) struct Shrinking<T> {
    /// The last first.
    rest: Vec<T>,
}

impl<T> Shrinking<T> {
    /// How much of a list is given back at once: its memory is moved, or cut off where it can be.
    const PARTS: usize = 16;

    pub(super) fn of(mut list: Vec<T>) -> Self {
        list.reverse();
        Shrinking { rest: list }
    }
}

impl<T> Iterator for Shrinking<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let item = self.rest.pop();
        let free = self.rest.capacity() - self.rest.len();
        if free > self.rest.capacity() / Self::PARTS && free > 1024 {
            self.rest.shrink_to_fit();
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_several_runs_put_in() {
        let mut map = SortedMap::default();
        for run in [&["b", "d", "f"][..], &[], &["a", "c", "g"], &["e"]] {
            for path in run {
                map.push(path.as_bytes().into(), *path);
                assert_eq!(map.get(path.as_bytes()), Some(path), "within the run");
            }
            map.end_run();
        }
        assert_eq!(map.len(), 7);
        assert_eq!(map.remove(b"d"), Some("d"));
        assert!(!map.contains(b"d") && map.get_mut(b"g").is_some() && map.get(b"z").is_none());
        let paths: Vec<&str> = map.into_list().into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, ["a", "b", "c", "e", "f", "g"]);
    }
}
