//! Paths that are the same, or one inside the other.
//!
//! Owns: finding them among many in the time of a sort. Does not know: what lies at the paths.

/// Two paths of which the second is the first or lies inside it, by their positions in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlap {
    /// The position of the outer path.
    pub(super) outer: usize,
    /// The position of the inner path.
    pub(super) inner: usize,
    /// Whether they are the same path.
    pub(super) is_same: bool,
}

/// For each path that is, or lies inside, another one: that pair. Paths are given as their names from the root on.
pub(super) fn overlaps(paths: &[Vec<&str>]) -> Vec<Overlap> {
    let mut order: Vec<usize> = (0..paths.len()).collect();
    // Name by name, so that everything inside a path follows right behind it.
    order.sort_by(|a, b| (&paths[*a], a).cmp(&(&paths[*b], b)));
    let mut found = Vec::new();
    let mut outermost: Option<usize> = None;
    for inner in order {
        match outermost {
            Some(outer) if paths[inner].starts_with(&paths[outer]) => {
                found.push(Overlap { outer, inner, is_same: paths[inner].len() == paths[outer].len() });
            }
            _ => outermost = Some(inner),
        }
    }
    found
}

/// The names of a host path, worked out from its spelling alone: either kind of separator, `.` dropped, `..`
/// taken back. An absolute path starts with the name `/`.
pub(super) fn host_names(path: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    if path.starts_with(['/', '\\']) {
        names.push("/");
    }
    for name in path.split(['/', '\\']) {
        match (name, names.last()) {
            ("" | ".", _) | ("..", Some(&"/")) => {}
            ("..", Some(last)) if *last != ".." => {
                names.pop();
            }
            _ => names.push(name),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(paths: &[&str]) -> Vec<(usize, usize, bool)> {
        let names: Vec<_> = paths.iter().map(|path| host_names(path)).collect();
        overlaps(&names).into_iter().map(|found| (found.outer, found.inner, found.is_same)).collect()
    }

    #[test]
    fn what_lies_inside_is_found_and_what_looks_like_it_is_not() {
        assert_eq!(pairs(&["t/a", "t/a-b", "t/ab", "t"]), [(3, 0, false), (3, 1, false), (3, 2, false)]);
        assert_eq!(pairs(&["t/a", "t/a-b", "t/a/b"]), [(0, 2, false)]);
        assert_eq!(pairs(&["a", "b", "a"]), [(0, 2, true)]);
        assert_eq!(pairs(&["/a", "a", "C:/a"]), []);
    }

    #[test]
    fn spellings_of_one_path_are_one_path() {
        for path in ["a/b", "./a//b/", "a\\b", "a/x/../b", "a/x/y/../../b"] {
            assert_eq!(host_names(path), ["a", "b"], "{path}");
        }
        assert_eq!(host_names("../../a"), ["..", "..", "a"]);
        assert_eq!(host_names("/../a"), ["/", "a"]);
        assert!(host_names(".").is_empty());
    }
}
