//! What a run saw of the host, and whether that still looks the same.
//!
//! Owns: what is noted of each file, folder and glob that a run read or saved to, how that is kept, and when a later run can rely
//! on it. Does not know: what the files hold, or what is concluded (`repeat`).
//!
//! Stamps are compared, as with the remembered digests of host files (`import`). Where a file was changed so shortly before it was read
//! that a further change might not show, its content is: it is read again, once (the "racily clean" entries of git's index). A folder
//! with such a file makes the footprint worthless, and then there is none.
//! Whatever reads the host for a job goes through the run's one [`crate::Importer`], which notes it here, so nothing can be left out.
//!
//! A run that repeats another in part keeps only what differs from what that one saw.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use wasmill_model::port::{BlobStore, Stamp, StoreError, Traits};
use wasmill_model::{Action, BlobRef, Digest, FileNode, Hasher};

use crate::import::{Branch, Listing, is_settled, now_ns};
use crate::noted::{Look, Noted, Place};
use crate::platform;
use crate::save::digest_of;

/// The version of what is written.
const VERSION: u32 = 3;

/// So many places are looked at by one thread before it asks for more.
const TOGETHER: usize = 64;

/// Of so many places, one may look otherwise before it is not worth while to find out which do, and which jobs are behind them.
const CHANGED_SHARE: usize = 4;

/// What one change takes where it is written, about.
const CHANGE_BYTES: usize = 100;

/// Places, and how they look where that matters at all.
type Changes = BTreeMap<Place, Option<Look>>;

/// What is noted while a run goes on.
#[derive(Debug)]
pub(crate) struct Sights {
    /// What another run saw, beside which this is noted.
    base: Option<Base>,
    /// None once something was seen that nobody can rely on.
    seen: Mutex<Option<Noted>>,
    /// What was said to be saved, and by which job.
    saved: Mutex<Vec<(String, String)>>,
}

/// The footprint of a run, as it is kept.
#[derive(Debug)]
struct Base {
    digest: Digest,
    /// Ascending.
    seen: Vec<(Place, Look)>,
    /// By job. Ascending.
    saved: Vec<(String, String)>,
}

impl Base {
    fn look(&self, place: Place<&str>) -> Option<Look> {
        let at = self.seen.binary_search_by(|(other, _)| other.borrowed().cmp(&place)).ok()?;
        self.seen.get(at).map(|(_, look)| *look)
    }
}

/// What is kept of it. Where it is written, `S` is a map or what was noted, which is the same.
#[derive(Debug, Serialize, Deserialize)]
struct Kept<S = Vec<(Place, Option<Look>)>> {
    version: u32,
    /// What of wasmill decides results, beside its version.
    rules: String,
    /// The footprint that this one differs from.
    base: Option<[u8; 32]>,
    /// What was seen, or seen otherwise.
    seen: S,
    /// What was saved, by job, unless that is the same.
    saved: Option<Vec<(String, String)>>,
}

impl Default for Sights {
    /// Nothing was seen yet.
    fn default() -> Self {
        Self { base: None, seen: Mutex::new(Some(Noted::default())), saved: Mutex::default() }
    }
}

impl Sights {
    /// Nothing is noted.
    pub(crate) fn off() -> Self {
        Self { seen: Mutex::new(None), ..Self::default() }
    }

    /// Something else than what was seen has decided what the run came to.
    pub(crate) fn spoil(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A file was read that had this stamp when reading began, or is known to have had this content with it.
    pub(crate) fn file(&self, path: &Path, stamp: Stamp, blob: BlobRef, is_executable: bool, asked_ns: i64) {
        let place = path.to_str().map(Place::Path);
        let content = Look::Content(*blob.digest.as_bytes(), is_executable);
        self.note(place, Some(if is_settled(&stamp, asked_ns) { Look::File(stamp) } else { content }), Some(content));
    }

    /// A folder was read.
    pub(crate) fn folder(&self, path: &Path, listing: &Listing, asked_ns: i64) {
        let place = path.to_str().map(Place::Path);
        self.note(place, look(listing).filter(|_| listing.is_settled(asked_ns)), None);
    }

    /// What a glob matches was read.
    pub(crate) fn glob(&self, base: &Path, pattern: &str, listing: &Listing, asked_ns: i64) {
        let place = base.to_str().map(|base| Place::Glob(base, pattern));
        self.note(place, look(listing).filter(|_| listing.is_settled(asked_ns)), None);
    }

    /// A file was saved. It was `there` already, or just written.
    pub(crate) fn saved_file(&self, path: &Path, there: Option<&Metadata>, file: &FileNode, asked_ns: i64) {
        let content = Look::Content(*file.blob.digest.as_bytes(), file.is_executable);
        let stamp = there.map(platform::stamp).filter(|stamp| is_settled(stamp, asked_ns));
        self.note(saved_at(path), Some(stamp.map_or(content, Look::File)), Some(content));
    }

    /// A folder was saved, or what is to lie in it.
    pub(crate) fn saved_folder(&self, path: &Path) {
        let is_folder = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        self.note(saved_at(path), Some(Look::Folder).filter(|_| is_folder), None);
    }

    /// It was said that something was saved.
    pub(crate) fn told(&self, job: &str, path: &str) {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner).push((job.to_owned(), path.to_owned()));
    }

    /// Notes how a place looks; none is nothing that anybody can rely on. With the content, where it was seen.
    fn note(&self, place: Option<Place<&str>>, look: Option<Look>, content: Option<Look>) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = all.as_mut() else { return };
        let is_good = match (place, look) {
            (Some(place), Some(look)) => {
                let of_base = || self.base.as_ref().and_then(|base| base.look(place));
                match seen.get(place).unwrap_or_else(of_base) {
                    Some(before) if before == look => true,
                    // The same content, whose stamp says enough by now; or the first that is seen of it.
                    Some(before) if Some(before) != content => false,
                    _ => seen.insert(place, Some(look)),
                }
            }
            _ => false,
        };
        if !is_good {
            *all = None;
        }
    }

    /// Keeps what was seen. None where nobody can rely on it.
    pub(crate) fn keep(&self, blobs: &dyn BlobStore, traits: &Traits) -> Result<Option<Digest>, StoreError> {
        let Some(seen) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(None) };
        let mut saved = std::mem::take(&mut *self.saved.lock().unwrap_or_else(PoisonError::into_inner));
        saved.sort_unstable();
        let bytes = seen.bytes();
        Self::write(self.base.as_ref(), (seen, bytes), saved, blobs, traits).map(Some)
    }

    /// `seen` takes about so many bytes; none if nothing was.
    fn write(
        base: Option<&Base>,
        (seen, bytes): (impl Serialize, usize),
        saved: Vec<(String, String)>,
        blobs: &dyn BlobStore,
        traits: &Traits,
    ) -> Result<Digest, StoreError> {
        let saved = Some(saved).filter(|saved| base.is_none_or(|base| base.saved != *saved));
        if let Some(base) = base.filter(|_| bytes == 0 && saved.is_none()) {
            return Ok(base.digest);
        }
        let base = base.map(|base| *base.digest.as_bytes());
        let kept = Kept { version: VERSION, rules: rules(traits), base, seen, saved };
        // Nothing of it can fail to be written. It is as large as all that the run has noted: it is not to be moved while it grows.
        let bytes = postcard::to_io(&kept, Vec::with_capacity(bytes)).unwrap_or_default();
        blobs.put(bytes.into()).map(|blob| blob.digest)
    }
}

/// What a run saw beside what the host looks like now.
#[derive(Debug)]
pub(crate) struct Compared {
    base: Base,
    /// How places looked that did not look as in the base.
    changes: Changes,
    saved: Vec<(String, String)>,
    /// The places that look otherwise.
    changed: Vec<Place>,
}

/// Looks whether what a run saw looks as it did, with so many threads. None where it was noted by another version, cannot be read, or
/// too much of it looks otherwise.
pub(crate) fn compare(
    footprint: Digest,
    blobs: &dyn BlobStore,
    traits: &Traits,
    threads: usize,
) -> Result<Option<Compared>, StoreError> {
    let Some(mut latest) = find(footprint, blobs, traits)? else { return Ok(None) };
    let base = match latest.base {
        Some(base) => find(Digest::from_bytes(base), blobs, traits)?.zip(Some(Digest::from_bytes(base))),
        None => Some((std::mem::replace(&mut latest, Kept::empty()), footprint)),
    };
    let Some((Kept { base: None, seen, saved: Some(saved), .. }, digest)) = base else { return Ok(None) };
    let seen = seen.into_iter().filter_map(|(place, look)| Some((place, look?))).collect();
    let base = Base { digest, seen, saved };
    let mut changes: Changes = latest.seen.into_iter().collect();
    let places: Vec<(&Place, Look)> = (base.seen.iter().filter(|(place, _)| !changes.contains_key(place)))
        .map(|(place, look)| (place, *look))
        .chain(changes.iter().filter_map(|(place, look)| Some((place, (*look)?))))
        .collect();
    let Some(found) = look_at_all(&places, threads) else { return Ok(None) };
    let found: Vec<_> = found.into_iter().map(|(at, found)| (places[at].0.clone(), found)).collect();
    let mut changed = Vec::new();
    for (place, found) in found {
        match found {
            Found::Otherwise => changed.push(place),
            Found::Settled(stamp) => drop(changes.insert(place, Some(Look::File(stamp)))),
        }
    }
    let saved = latest.saved.unwrap_or_else(|| base.saved.clone());
    Ok(Some(Compared { base, changes, saved, changed }))
}

impl Kept {
    fn empty() -> Self {
        Self { version: VERSION, rules: String::new(), base: None, seen: Vec::new(), saved: None }
    }
}

/// Reads a footprint. None where it is not there, damaged, or was noted by another version.
fn find(footprint: Digest, blobs: &dyn BlobStore, traits: &Traits) -> Result<Option<Kept>, StoreError> {
    let kept = match blobs.find(&footprint)?.map(|blob| blobs.get(&blob)) {
        Some(Ok(kept)) => kept,
        None | Some(Err(StoreError::Missing(_) | StoreError::Damaged { .. })) => return Ok(None),
        Some(Err(error)) => return Err(error),
    };
    let kept = postcard::from_bytes::<Kept>(&kept).ok();
    Ok(kept.filter(|kept| kept.version == VERSION && kept.rules == rules(traits)))
}

impl Compared {
    /// The places that look otherwise.
    pub(crate) fn changed(&self) -> &[Place] {
        &self.changed
    }

    /// What the run saved to the host, by job.
    pub(crate) fn saved(&self) -> &[(String, String)] {
        &self.saved
    }

    /// Keeps the footprint of a run that sees the same.
    pub(crate) fn keep(self, blobs: &dyn BlobStore, traits: &Traits) -> Result<Digest, StoreError> {
        let bytes = self.changes.len() * CHANGE_BYTES;
        Sights::write(Some(&self.base), (self.changes, bytes), self.saved, blobs, traits)
    }

    /// What a run has seen for those jobs that it does not go through. Of the others, these were the places that only they can have
    /// saved to, and those that look otherwise.
    pub(crate) fn without(self, is_saved_by: impl Fn(&Path) -> bool, is_gone_through: impl Fn(&str) -> bool) -> Sights {
        let Self { base, mut changes, mut saved, changed } = self;
        changes.extend(changed.into_iter().map(|place| (place, None)));
        let is_theirs = |place: &Place| matches!(place, Place::Saved(path) if is_saved_by(Path::new(path)));
        let theirs: Vec<_> =
            base.seen.iter().map(|(place, _)| place).filter(|place| is_theirs(place)).cloned().collect();
        changes.extend(theirs.into_iter().map(|place| (place, None)));
        changes.retain(|place, look| look.is_none() || !is_theirs(place));
        saved.retain(|(job, _)| !is_gone_through(job));
        Sights { base: Some(base), seen: Mutex::new(noted(changes)), saved: Mutex::new(saved) }
    }
}

fn rules(traits: &Traits) -> String {
    let Traits { float_architecture, fuel_schedule, engine: _ } = traits;
    format!("{} {float_architecture} {fuel_schedule}", Action::FORMAT)
}

/// What came of looking at a place that does not just look as it did.
enum Found {
    /// It looks otherwise.
    Otherwise,
    /// It was read for this, and has a stamp by now that says enough.
    Settled(Stamp),
}

/// What there is to say of places, by their number. None where too many look otherwise.
fn look_at_all(seen: &[(&Place, Look)], threads: usize) -> Option<Vec<(usize, Found)>> {
    let (next, otherwise) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let look = || {
        let mut found = Vec::new();
        loop {
            let first = next.fetch_add(TOGETHER, Ordering::Relaxed);
            let some = seen.iter().enumerate().skip(first).take(TOGETHER);
            if some.len() == 0 {
                return Some(found);
            }
            for (at, (place, before)) in some {
                let new = look_again(place, before);
                if matches!(new, Some(Found::Otherwise))
                    && otherwise.fetch_add(1, Ordering::Relaxed) > seen.len() / CHANGED_SHARE
                {
                    // Nobody needs the rest.
                    next.store(seen.len(), Ordering::Relaxed);
                    return None;
                }
                found.extend(new.map(|new| (at, new)));
            }
        }
    };
    let others = (1..threads).take(seen.len() / TOGETHER / 2);
    std::thread::scope(|scope| {
        let others: Vec<_> = others.map(|_| scope.spawn(look)).collect();
        let mut all = look();
        for other in others {
            // A thread does not panic but over a bug, and then nothing is known.
            let other = other.join().ok().flatten();
            all = all.zip(other).map(|(mut all, other)| {
                all.extend(other);
                all
            });
        }
        all
    })
}

/// None where a place looks as before.
fn look_again(place: &Place, before: &Look) -> Option<Found> {
    match before {
        Look::Content(digest, is_executable) => match read_again(place, digest, *is_executable) {
            Some(stamp) => stamp.map(Found::Settled),
            None => Some(Found::Otherwise),
        },
        _ => (look_at(place).as_ref() != Some(before)).then_some(Found::Otherwise),
    }
}

/// None where a file is another one; inside, its stamp, if that says enough by now.
fn read_again(place: &Place, digest: &[u8; 32], is_executable: bool) -> Option<Option<Stamp>> {
    let (path, asked_ns) = (place.path()?, now_ns());
    let metadata = place.metadata()?;
    // Saving makes nothing executable that has the right content already.
    let is_saved = matches!(place, Place::Saved(_));
    let is_same = metadata.is_file()
        && (is_saved || platform::is_executable(&metadata) == is_executable)
        && digest_of(path).is_ok_and(|found| found.digest.as_bytes() == digest);
    let stamp = platform::stamp(&metadata);
    is_same.then(|| Some(stamp).filter(|stamp| is_settled(stamp, asked_ns)))
}

impl Place {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) | Self::Saved(path) => Some(Path::new(path)),
            Self::Glob(..) => None,
        }
    }

    fn metadata(&self) -> Option<Metadata> {
        match self {
            Self::Path(path) => fs::metadata(path).ok(),
            Self::Saved(path) => fs::symlink_metadata(path).ok(),
            Self::Glob(..) => None,
        }
    }
}

fn look_at(place: &Place) -> Option<Look> {
    if let Place::Glob(base, pattern) = place {
        return look(&Listing::matching(Path::new(base), pattern).ok()?);
    }
    let metadata = place.metadata()?;
    match place {
        _ if metadata.is_file() => Some(Look::File(platform::stamp(&metadata))),
        Place::Saved(_) => metadata.is_dir().then_some(Look::Folder),
        _ if metadata.is_dir() => look(&Listing::of(place.path()?).ok()?),
        _ => None,
    }
}

fn saved_at(path: &Path) -> Option<Place<&str>> {
    path.to_str().map(Place::Saved)
}

/// The same in little memory. None where there is no room for all of it.
fn noted(changes: Changes) -> Option<Noted> {
    let mut noted = Noted::default();
    changes.into_iter().all(|(place, look)| noted.insert(place.borrowed(), look)).then_some(noted)
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
