//! What is in the log when a store is opened: finding its end, and what is not in the index.
//!
//! Owns: taking over segments whose writers are gone, following those whose writers live, and turning entries back into
//! rows. Does not know: the index, apart from how far it got.

use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::ReadableTable;
use wasmill_model::{ActionKey, Digest};

use crate::disk::Disk;
use crate::index::Covered;
use crate::options::Layout;
use crate::pins::Pin;
use crate::place::Place;
use crate::record::{Header, Kind};
use crate::segment::{self, START, Scan, Segment};
use crate::tables::{View, decode_artifact, decode_paths, is_older_run, run_and_page};
use crate::tail::{Rows, Tail, Theirs};

/// Where this process goes on writing, and what it has to see to.
pub(crate) struct Recovered {
    pub(crate) segment: Segment,
    pub(crate) end: u32,
    /// Segments that were taken over and are not written to any more.
    pub(crate) sealed: Vec<Covered>,
    /// Keeps other processes from taking these over as well.
    pub(crate) held: Vec<Segment>,
}

/// Reads what is in the log and not in the index into `tail`, as far as no other process sees to it. The caller holds
/// the store's lock. `latest` reads the index.
pub(crate) fn recover(
    disk: &dyn Disk,
    log: &Path,
    layout: &Layout,
    tail: &mut Tail,
    latest: impl FnOnce() -> Result<View, redb::Error>,
) -> io::Result<Recovered> {
    let ids = segment::list(log)?;
    let mut free = Vec::new();
    for id in &ids {
        if !known(&tail.view, *id)?.1 {
            free.extend(Segment::take_over(disk, log, *id)?);
        }
    }
    // Only now, as nobody else brings anything of these segments into the index any more, it says what is not in it.
    tail.view = Arc::new(latest().map_err(io::Error::other)?);
    let (mut taken, mut cut) = (Vec::new(), Vec::new());
    for segment in free {
        match read_free(disk, log, &segment, tail)? {
            Free::Whole(end) => taken.push((segment, end)),
            Free::Cut(end) => cut.push((segment, end)),
            Free::Nothing => {}
        }
    }
    let last = taken.pop_if(|(_, end)| *end <= layout.segment_bytes / 4 * 3);
    // What was set aside behind them is given back, where nobody has them mapped.
    for (segment, end) in &taken {
        if let Err(error) = segment.trim(*end) {
            tracing::warn!(segment = segment.id, %error, "the space that was set aside for a segment is not given back");
        }
    }
    taken.append(&mut cut);
    let went_on = last.and_then(|(segment, end)| match segment.continue_at(end, layout.segment_bytes) {
        Ok(()) => Some((segment, end)),
        // Where a segment that somebody has mapped cannot be cut.
        Err(error) => {
            tracing::warn!(segment = segment.id, %error, "a segment of the store's log is not added to");
            taken.push((segment, end));
            None
        }
    });
    let sealed = taken.iter().map(|(segment, end)| Covered { segment: segment.id, end: *end, is_sealed: true });
    let sealed = sealed.collect();
    let held = taken.into_iter().map(|(segment, _)| segment).collect();
    let (segment, end) = match went_on {
        Some(segment) => segment,
        None => (create(disk, log, layout, ids.last().copied().unwrap_or(0), tail)?, START),
    };
    tail.own.insert(segment.id, end);
    follow(log, tail)?;
    Ok(Recovered { segment, end, sealed, held })
}

/// What is in a segment whose writer is gone.
enum Free {
    /// Nothing that is to be seen to: it is sealed, or never was anything.
    Nothing,
    /// Entries up to here, and then the end.
    Whole(u32),
    /// Entries up to here, and then something that nobody may cut off: it may be readable again.
    Cut(u32),
}

/// Reads what is in a segment whose writer is gone and not in the index.
fn read_free(disk: &dyn Disk, log: &Path, segment: &Segment, tail: &mut Tail) -> io::Result<Free> {
    let (indexed, is_sealed) = known(&tail.view, segment.id)?;
    if is_sealed {
        return Ok(Free::Nothing);
    }
    if indexed == START && segment::is_empty(log, segment.id)? {
        // Its writer died before it was anything.
        segment::remove(disk, log, segment.id)?;
        return Ok(Free::Nothing);
    }
    // Nothing of it is this process's own, unless it goes on in it.
    tail.own.insert(segment.id, u32::MAX);
    if std::fs::metadata(segment::path(log, segment.id))?.len() < u64::from(indexed) {
        tracing::warn!(segment = segment.id, "a segment of the store's log was cut: what was in it is lost");
        return Ok(Free::Cut(indexed));
    }
    let Some(found) = replay(log, segment.id, indexed, &mut tail.active, Damage::IsPassed)? else {
        tracing::warn!(segment = segment.id, "a segment of the store's log is damaged");
        return Ok(Free::Cut(indexed));
    };
    // Its writer may have been killed before it was: what is found now is relied on.
    if found.end > indexed {
        segment.sync()?;
    }
    Ok(if found.is_unreadable { Free::Cut(found.end) } else { Free::Whole(found.end) })
}

/// Up to where a segment is in the index, and whether nothing will be added to it.
fn known(view: &View, id: u32) -> io::Result<(u32, bool)> {
    let row = view.segments.get(id).map_err(io::Error::other)?;
    Ok(row.map_or((START, false), |row| row.value()))
}

/// Creates the next segment. The caller holds the store's lock.
fn create(disk: &dyn Disk, log: &Path, layout: &Layout, last: u32, tail: &Tail) -> io::Result<Segment> {
    // Numbers of segments that are gone are not used again: the index may still name them.
    let known = tail.view.segments.last().map_err(io::Error::other)?.map_or(0, |(id, _)| id.value());
    let segment = Segment::create(disk, log, last.max(known) + 1, layout.segment_bytes)?;
    disk.sync_dir(log)?;
    Ok(segment)
}

/// Reads what processes that live have added to their segments and not brought into the index. What is found is made
/// durable first: results of this process may come to rely on it.
pub(crate) fn follow(log: &Path, tail: &mut Tail) -> io::Result<()> {
    let mut lives = Vec::new();
    for id in segment::list(log)? {
        let (indexed, is_sealed) = known(&tail.view, id)?;
        let read = tail.theirs.get(&id).map_or(0, |theirs| theirs.end);
        let is_read = is_sealed && indexed >= read;
        if !tail.own.contains_key(&id) && !is_read {
            lives.push((id, indexed));
        }
    }
    tail.theirs.retain(|id, _| lives.iter().any(|(live, _)| live == id));
    for (id, indexed) in lives {
        let theirs = tail.theirs.entry(id).or_default();
        if theirs.begin < indexed {
            // What is in the index may be removed from it: its rows must not outlive that here.
            *theirs = Theirs { begin: indexed, end: indexed, ..Theirs::default() };
        }
        match read_on(log, id, theirs) {
            // A collection has just removed it: what was wanted of it is elsewhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound => drop(tail.theirs.remove(&id)),
            Err(error) => {
                // What was read and is not durable is not to be relied on.
                tail.theirs.remove(&id);
                return Err(error);
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Reads what was added to another process's segment.
fn read_on(log: &Path, id: u32, theirs: &mut Theirs) -> io::Result<()> {
    let entries = theirs.rows.entries;
    // What is damaged at one time may have been read while it was being written.
    let damage = Damage::IsPassedAt(theirs.doubted);
    if let Some(Replayed { end, doubted, .. }) = replay(log, id, theirs.end, &mut theirs.rows, damage)? {
        (theirs.end, theirs.doubted) = (end, doubted);
    }
    if theirs.rows.entries > entries { segment::sync(log, id) } else { Ok(()) }
}

/// What is done about an entry that is damaged, with another one behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// What it held is lost.
    IsPassed,
    /// The same at this offset; else it ends what is read.
    IsPassedAt(Option<u32>),
}

/// Where the entries of a segment end.
#[derive(Debug, Clone, Copy)]
struct Replayed {
    end: u32,
    /// There is a damaged one there.
    doubted: Option<u32>,
    /// The disk could not read on.
    is_unreadable: bool,
}

/// Turns the entries from `offset` on into rows. `None` where the segment is not one.
fn replay(log: &Path, id: u32, offset: u32, rows: &mut Rows, damage: Damage) -> io::Result<Option<Replayed>> {
    let Some(mut scan) = Scan::open(log, id, offset)? else { return Ok(None) };
    while let Some((offset, header, body)) = scan.next()? {
        if body.is_none() && !matches!(damage, Damage::IsPassed) && damage != Damage::IsPassedAt(Some(offset)) {
            return Ok(Some(Replayed { end: offset, doubted: Some(offset), is_unreadable: false }));
        }
        let place = Place { segment: id, offset, body_bytes: header.body_bytes, size_bytes: header.size_bytes };
        note(&header, place, body, rows);
        rows.entries += 1;
        rows.bytes += u64::from(header.body_bytes);
    }
    Ok(Some(Replayed { end: scan.offset(), doubted: None, is_unreadable: scan.is_unreadable() }))
}

fn note(header: &Header, place: Place, body: Option<&[u8]>, rows: &mut Rows) {
    let digest = Digest::from_bytes(header.key);
    let Some(body) = body else {
        tracing::warn!(?place, "an entry of the store's log is damaged");
        if matches!(header.kind, Kind::Blob | Kind::Packed) {
            rows.lose_blob(digest, place);
        }
        return;
    };
    match header.kind {
        Kind::Blob | Kind::Packed => rows.add_blob(digest, place),
        Kind::File => rows.add_blob(digest, Place::file(header.size_bytes)),
        Kind::Action => drop(rows.actions.insert(ActionKey(digest), place)),
        Kind::Run => {
            let (run, _) = run_and_page(&header.key);
            if rows.runs.get(&run).is_none_or(|known| !is_older_run(run, body, known)) {
                rows.runs.insert(run, body.to_vec());
            }
        }
        Kind::Jobs => drop(rows.jobs.insert(run_and_page(&header.key), place)),
        Kind::Stats => rows.stats.extend(decode_paths(body).into_iter().flatten()),
        Kind::Artifact => {
            if let Some(content) = decode_artifact(body) {
                rows.artifacts.insert(digest, content);
            }
        }
        Kind::Pin => {
            if let Some(pin) = Pin::decode(body) {
                let known = rows.pins.entry(digest).or_insert(pin);
                *known = pin.max(*known);
            }
        }
        Kind::Lost => {
            if let Some(place) = body.first_chunk() {
                rows.lose_blob(digest, Place::decode(place));
            }
        }
    }
}
