//! What a run saw of the host, and whether that still looks the same.
//!
//! Owns: what is noted of each file, folder and glob that a run read or saved to, how that is kept, and when a later run can rely
//! on it. Does not know: what the files hold, or what is concluded (`repeat`).
//!
//! Contents are not compared, but stamps, as the remembered digests of host files are (`import`): a file that was changed so
//! shortly before it was read that a further change might not show makes the footprint worthless, and then there is none.
//! Whatever reads the host for a job goes through the run's one [`crate::Importer`], which notes it here, so nothing can be left out.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use wasmill_model::port::{BlobStore, Stamp, StoreError, Traits};
use wasmill_model::{Action, Digest, Hasher};

use crate::import::{Branch, Listing, is_settled};
use crate::platform;

/// The version of what is written.
const VERSION: u32 = 1;

/// So many places are looked at by one thread before it asks for more.
const TOGETHER: usize = 64;

/// A place on the host that a run has looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Place {
    /// A file or a folder, by its path.
    Path(String),
    /// What a pattern matches in a folder.
    Glob(String, String),
    /// A file or a folder that an output was saved to. Links are not followed.
    Saved(String),
}

/// How it looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Look {
    /// A file.
    File(Stamp),
    /// A folder or what a glob matched: a digest over all names, links and stamps.
    Tree([u8; 32]),
    /// A folder of which only matters that it is there.
    Folder,
}

/// What is noted while a run goes on.
#[derive(Debug)]
pub(crate) struct Sights {
    /// None once something was seen that nobody can rely on.
    seen: Mutex<Option<BTreeMap<Place, Look>>>,
    /// What was said to be saved, and by which job.
    saved: Mutex<Vec<(String, String)>>,
}

/// What is kept of it. `S` is a map where it is written, which is the same.
#[derive(Debug, Serialize, Deserialize)]
struct Kept<S = Vec<(Place, Look)>> {
    version: u32,
    /// What of wasmill decides results, beside its version.
    rules: String,
    seen: S,
    saved: Vec<(String, String)>,
}

impl Sights {
    /// Nothing was seen yet.
    pub(crate) fn new() -> Self {
        Self { seen: Mutex::new(Some(BTreeMap::new())), saved: Mutex::default() }
    }

    /// Nothing is noted.
    pub(crate) fn off() -> Self {
        Self { seen: Mutex::new(None), saved: Mutex::default() }
    }

    /// Something else than what was seen has decided what the run came to.
    pub(crate) fn spoil(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A file was read that had this stamp when reading began, or is known to have had a content with it.
    pub(crate) fn file(&self, path: &Path, stamp: Stamp, asked_ns: i64) {
        self.note(path.to_str().map(|path| Place::Path(path.to_owned())), Some(Look::File(stamp)), || {
            is_settled(&stamp, asked_ns)
        });
    }

    /// A folder was read.
    pub(crate) fn folder(&self, path: &Path, listing: &Listing, asked_ns: i64) {
        let place = path.to_str().map(|path| Place::Path(path.to_owned()));
        self.note(place, look(listing), || listing.is_settled(asked_ns));
    }

    /// What a glob matches was read.
    pub(crate) fn glob(&self, base: &Path, pattern: &str, listing: &Listing, asked_ns: i64) {
        let place = base.to_str().map(|base| Place::Glob(base.to_owned(), pattern.to_owned()));
        self.note(place, look(listing), || listing.is_settled(asked_ns));
    }

    /// Something was saved to where this is, and need not have been. Without `there`, it had to be, and a further change might
    /// not show.
    pub(crate) fn saved(&self, path: &Path, there: Option<&Metadata>, asked_ns: i64) {
        let look = there.and_then(saved);
        let is_settled =
            || matches!(look, Some(Look::File(stamp)) if is_settled(&stamp, asked_ns)) || look == Some(Look::Folder);
        self.note(path.to_str().map(|path| Place::Saved(path.to_owned())), look, is_settled);
    }

    /// It was said that something was saved.
    pub(crate) fn told(&self, job: &str, path: &str) {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner).push((job.to_owned(), path.to_owned()));
    }

    fn note(&self, place: Option<Place>, look: Option<Look>, is_settled: impl FnOnce() -> bool) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = all.as_mut() else { return };
        let is_good = match (place, look) {
            (Some(place), Some(look)) => match seen.get(&place) {
                Some(before) => *before == look,
                None if is_settled() => {
                    seen.insert(place, look);
                    true
                }
                None => false,
            },
            _ => false,
        };
        if !is_good {
            *all = None;
        }
    }

    /// Keeps what was seen. None where nobody can rely on it.
    pub(crate) fn keep(&self, blobs: &dyn BlobStore, traits: &Traits) -> Result<Option<Digest>, StoreError> {
        let Some(seen) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(None) };
        let saved = std::mem::take(&mut *self.saved.lock().unwrap_or_else(PoisonError::into_inner));
        let kept = Kept { version: VERSION, rules: rules(traits), seen, saved };
        // Nothing of it can fail to be written.
        let Ok(bytes) = postcard::to_stdvec(&kept) else { return Ok(None) };
        blobs.put(bytes.into()).map(|blob| Some(blob.digest))
    }
}

/// What a run saved to the host, if everything that it saw there looks as it did, as `threads` threads find. What cannot be looked at,
/// or was noted by another version, does not.
pub(crate) fn if_as_it_was(
    footprint: Digest,
    blobs: &dyn BlobStore,
    traits: &Traits,
    threads: usize,
) -> Result<Option<Vec<(String, String)>>, StoreError> {
    let kept = match blobs.find(&footprint)?.map(|blob| blobs.get(&blob)) {
        Some(Ok(kept)) => kept,
        None | Some(Err(StoreError::Missing(_) | StoreError::Damaged { .. })) => return Ok(None),
        Some(Err(error)) => return Err(error),
    };
    let kept = postcard::from_bytes::<Kept>(&kept).ok().filter(|kept| kept.version == VERSION);
    let kept = kept.filter(|kept| kept.rules == rules(traits));
    Ok(kept.filter(|kept| is_as_it_was(&kept.seen, threads)).map(|kept| kept.saved))
}

fn rules(traits: &Traits) -> String {
    let Traits { float_architecture, fuel_schedule, engine: _ } = traits;
    format!("{} {float_architecture} {fuel_schedule}", Action::FORMAT)
}

fn is_as_it_was(seen: &[(Place, Look)], threads: usize) -> bool {
    let next = AtomicUsize::new(0);
    let look = || {
        while let Some(some) = seen.chunks(TOGETHER).nth(next.fetch_add(1, Ordering::Relaxed)) {
            if !some.iter().all(|(place, before)| look_at(place).as_ref() == Some(before)) {
                // Nobody needs the rest.
                next.store(seen.len(), Ordering::Relaxed);
                return false;
            }
        }
        true
    };
    let others = (1..threads).take(seen.len() / TOGETHER / 2);
    std::thread::scope(|scope| {
        let others: Vec<_> = others.map(|_| scope.spawn(look)).collect();
        let own = look();
        // A thread does not panic but over a bug, and then nothing is known.
        others.into_iter().fold(own, |all, other| other.join().is_ok_and(|one| one) && all)
    })
}

fn look_at(place: &Place) -> Option<Look> {
    match place {
        Place::Path(path) => {
            let path = Path::new(path);
            let metadata = fs::metadata(path).ok()?;
            match () {
                () if metadata.is_file() => Some(Look::File(platform::stamp(&metadata))),
                () if metadata.is_dir() => look(&Listing::of(path).ok()?),
                () => None,
            }
        }
        Place::Glob(base, pattern) => look(&Listing::matching(Path::new(base), pattern).ok()?),
        Place::Saved(path) => saved(&fs::symlink_metadata(path).ok()?),
    }
}

fn saved(metadata: &Metadata) -> Option<Look> {
    match () {
        () if metadata.is_file() => Some(Look::File(platform::stamp(metadata))),
        () if metadata.is_dir() => Some(Look::Folder),
        () => None,
    }
}

fn look(listing: &Listing) -> Option<Look> {
    let mut hasher = Hasher::new();
    digest(&listing.root, &listing.files, &mut hasher)?;
    Some(Look::Tree(*hasher.finish().digest.as_bytes()))
}

/// Digests a folder, in the order of its names. None where something is no file.
fn digest(branch: &Branch, files: &[(std::path::PathBuf, Metadata)], hasher: &mut Hasher) -> Option<()> {
    let mut own: Vec<_> = branch.files.iter().collect();
    own.sort_unstable();
    for (name, at, is_executable) in own {
        let (_, metadata) = files.get(*at)?;
        let stamp = postcard::to_stdvec(&platform::stamp(metadata)).ok().filter(|_| metadata.is_file())?;
        add(hasher, &[b"f", name.as_bytes(), &stamp, &[u8::from(*is_executable)]]);
    }
    let links: BTreeMap<&str, &str> =
        branch.symlinks.iter().map(|link| (link.name.as_str(), link.target.as_str())).collect();
    links.iter().for_each(|(name, target)| add(hasher, &[b"l", name.as_bytes(), target.as_bytes()]));
    for (name, below) in &branch.branches {
        add(hasher, &[b"d", name.as_bytes()]);
        digest(below, files, hasher)?;
        add(hasher, &[b"e"]);
    }
    Some(())
}

fn add(hasher: &mut Hasher, parts: &[&[u8]]) {
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
}
