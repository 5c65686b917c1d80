//! Which files share a shard.
//!
//! Owns: the cut, and that a small change of the corpus changes few shards. Does not know: what is in the files.
//!
//! A file belongs to the shard whose name its path's checksum begins with, in binary. There is one shard, `all`, until it
//! has too many bytes. It then becomes `0` and `1`, one of which may become `00` and `01`, and so on: a file that changes
//! or comes changes its own shard, and a shard that has grown too large is cut in two while all others stay.

/// Bits of a checksum: files that agree in all of them stay together.
const BITS: u32 = u32::BITS;

/// A file of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path below the corpus.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The shards, each with its name and its files, sorted by name. There is at least one, empty if there are no files.
pub fn shards(files: Vec<Found>, shard_bytes: u64) -> Vec<(String, Vec<Found>)> {
    let mut done = Vec::new();
    let mut open = vec![(String::new(), files)];
    while let Some((name, files)) = open.pop() {
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        if bytes <= shard_bytes || files.len() < 2 || name.len() >= BITS as usize {
            let name = if name.is_empty() { "all".to_owned() } else { name };
            done.push((name, files));
            continue;
        }
        let shift = BITS - 1 - name.len() as u32;
        let (ones, zeros) = files.into_iter().partition(|file| checksum(&file.path) >> shift & 1 == 1);
        open.push((format!("{name}1"), ones));
        open.push((format!("{name}0"), zeros));
    }
    let has_files = done.iter().any(|(_, files)| !files.is_empty());
    done.retain(|(_, files)| !has_files || !files.is_empty());
    done
}

fn checksum(path: &str) -> u32 {
    crc32fast::hash(path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(count: usize) -> Vec<Found> {
        (0..count).map(|number| Found { path: format!("a/{number}.md"), bytes: 100 }).collect()
    }

    fn names(shards: &[(String, Vec<Found>)]) -> Vec<&str> {
        shards.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn every_file_is_in_one_shard_that_is_small_enough() {
        let shards = shards(corpus(1000), 1000);
        assert!(shards.len() > 100 && shards.is_sorted_by_key(|(name, _)| name), "{:?}", names(&shards));
        assert!(shards.iter().all(|(_, files)| (1..=10).contains(&files.len())));
        let mut all: Vec<_> = shards.into_iter().flat_map(|(_, files)| files).collect();
        all.sort_by_key(|file| file.path.len());
        assert_eq!(all.len(), 1000);
    }

    #[test]
    fn a_new_file_changes_its_own_shard_only() {
        let before = shards(corpus(1000), 1000);
        let mut files = corpus(1000);
        files.push(Found { path: "new.md".to_owned(), bytes: 900 });
        let after = shards(files, 1000);
        let same = before.iter().filter(|shard| after.contains(shard)).count();
        assert!(before.len() - same <= 1, "{same} of {} stay", before.len());
    }

    #[test]
    fn few_or_large_files_are_cut_too() {
        assert_eq!(names(&shards(Vec::new(), 10)), ["all"]);
        assert_eq!(names(&shards(corpus(3), 300)), ["all"]);
        let large = vec![Found { path: "large".to_owned(), bytes: u64::MAX / 2 }];
        assert_eq!(names(&shards(large, 10)), ["all"]);
        let twins = vec![Found { path: "same".to_owned(), bytes: 20 }; 2];
        let cut = shards(twins, 10);
        assert_eq!((cut.len(), cut[0].1.len()), (1, 2), "what cannot be told apart stays together");
        assert_eq!(shards(corpus(4), 0).len(), 4);
    }
}
