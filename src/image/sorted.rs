/// A map from paths that is filled in sorted runs: sorted lists take half the memory of a tree or a hash table. There is
/// about one for each layer; only short ones are merged, since merging long ones would take their memory twice.
#[derive(Debug)]
pub(super) struct SortedMap<V> {
    /// None of their paths twice.
    runs: Vec<Run<V>>,
    /// The run that is being filled.
    open: Run<V>,
}

/// In ascending order of the paths.
type Run<V> = Vec<(Box<[u8]>, V)>;

/// Shorter runs are merged.
const SHORT: usize = 4096;

impl<V> Default for SortedMap<V> {
    fn default() -> Self {
        SortedMap { runs: Vec::new(), open: Vec::new() }
    }
}

impl<V> SortedMap<V> {
    /// The number of paths.
    pub(crate) fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum::<usize>() + self.open.len()
    }

    /// Appends to the run; the path is greater than the last one and not in the map.
    pub(crate) fn push(&mut self, path: Box<[u8]>, value: V) {
        debug_assert!(self.open.last().is_none_or(|(last, _)| **last < *path) && !self.contains(&path));
        self.open.push((path, value));
    }

    /// Ends the run.
    pub(crate) fn end_run(&mut self) {
        let mut run = std::mem::take(&mut self.open);
        match self.runs.last_mut().filter(|last| last.len().max(run.len()) < SHORT) {
            Some(last) => {
                last.append(&mut run);
                // A stable sort finds the two runs and merges them.
                last.sort_by(|a, b| a.0.cmp(&b.0));
            }
            None if run.is_empty() => {}
            None => {
                run.shrink_to_fit();
                self.runs.push(run);
            }
        }
    }

    /// True if there is a value at `path`.
    pub(crate) fn contains(&self, path: &[u8]) -> bool {
        self.get(path).is_some()
    }

    /// The value at `path`.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&V> {
        self.runs.iter().chain([&self.open]).find_map(|run| Some(&run[find(run, path)?].1))
    }

    /// The value at `path`, to be changed; runs have ended.
    pub(crate) fn get_mut(&mut self, path: &[u8]) -> Option<&mut V> {
        self.runs.iter_mut().find_map(|run| find(run, path).map(|found| &mut run[found].1))
    }

    /// Takes out what is at `path`; runs have ended.
    pub(crate) fn remove(&mut self, path: &[u8]) -> Option<V> {
        self.runs.iter_mut().find_map(|run| find(run, path).map(|found| run.remove(found).1))
    }

    /// All of it, in no order.
    pub(crate) fn into_list(mut self) -> Run<V> {
        self.end_run();
        // The longest grows: it need not be copied.
        self.runs.sort_by_key(Vec::len);
        let mut all = self.runs.pop().unwrap_or_default();
        all.reserve_exact(self.len());
        all.extend(self.runs.into_iter().flatten());
        all
    }
}

fn find<V>(run: &[(Box<[u8]>, V)], path: &[u8]) -> Option<usize> {
    run.binary_search_by(|(there, _)| (**there).cmp(path)).ok()
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
        let long: Vec<String> = (0..SHORT).map(|number| format!("h{number:06}")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let mut map = SortedMap::default();
        for run in [&["b", "d", "f"][..], &[], &["a", "c", "g"], &long, &["e"], &["h"]] {
            for path in run {
                map.push(path.as_bytes().into(), *path);
                assert_eq!(map.get(path.as_bytes()), Some(path), "within the run");
            }
            map.end_run();
        }
        assert_eq!((map.len(), map.runs.len()), (8 + SHORT, 3));
        assert_eq!(map.remove(b"d"), Some("d"));
        assert_eq!(map.remove(b"h000007"), Some("h000007"));
        assert!(!map.contains(b"d") && map.get_mut(b"g").is_some() && map.get(b"z").is_none());
        let mut paths: Vec<&str> = map.into_list().into_iter().map(|(_, path)| path).collect();
        paths.sort_unstable();
        assert_eq!((paths.len(), &paths[..7]), (6 + SHORT, &["a", "b", "c", "e", "f", "g", "h"][..]));
    }
}
