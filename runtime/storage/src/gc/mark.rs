//! What is still wanted: following references from runs, pins, and living processes.
//!
//! Owns: which blobs an action needs, and for how many runs there is room. Does not know: how anything is removed.
//!
//! A mark is a bit beside a sorted list of digests: 53 bytes for each blob and each action of the store.

use std::collections::{BTreeMap, HashSet};

use redb::ReadableTable;
use wasmill_model::port::StoreError;
use wasmill_model::{Action, ActionKey, BlobRef, Digest, Directory, Mount, RunId, RunRecord};

use super::{Collected, Collecting, Keep, Others};
use crate::Storage;
use crate::error::on_index;
use crate::index::{Dead, DeadPlaces};
use crate::live::Used;
use crate::place::Place;
use crate::record::{HEADER_BYTES, Kind, padded};
use crate::tables::{View, decode_action, decode_jobs, decode_run, page_key};

/// The part of the largest size that is left when runs had to go, in fifths.
const LOW_WATER_FIFTHS: u64 = 4;

/// For how many rows there is room from the beginning.
const ROOM_MAX: usize = 1 << 22;

/// Everything of one table, in ascending order, and whether it is wanted.
#[derive(Debug, Default)]
struct Candidates {
    keys: Vec<Digest>,
    places: Vec<Place>,
    live: Vec<bool>,
    bytes_live: u64,
}

impl Candidates {
    /// Room for so many, and no more. What a damaged index says of their number costs no memory.
    fn with_room(count: u64) -> Self {
        let count = usize::try_from(count).unwrap_or(0).min(ROOM_MAX);
        let (keys, places, live) = (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
        Self { keys, places, live, bytes_live: 0 }
    }

    /// Whether it is there and not marked.
    fn is_dead(&self, key: &Digest) -> bool {
        self.keys.binary_search(key).is_ok_and(|at| self.live.get(at) == Some(&false))
    }

    fn push(&mut self, (key, place): (Digest, Place)) {
        self.keys.push(key);
        self.places.push(place);
        self.live.push(false);
    }

    fn place(&self, key: &Digest) -> Option<Place> {
        self.places.get(self.keys.binary_search(key).ok()?).copied()
    }

    /// Marks one; its place, if it is there and was not marked.
    fn mark(&mut self, key: &Digest) -> Option<Place> {
        let at = self.keys.binary_search(key).ok()?;
        let live = self.live.get_mut(at).filter(|live| !**live)?;
        *live = true;
        let place = self.places.get(at).copied()?;
        self.bytes_live += bytes_of(&place);
        Some(place)
    }

    fn dead(&self) -> impl Iterator<Item = (Digest, Place)> + '_ {
        let all = self.keys.iter().zip(&self.places).zip(&self.live);
        all.filter(|(_, live)| !**live).map(|((key, place), _)| (*key, *place))
    }

    fn dead_places(&self) -> DeadPlaces<'_> {
        DeadPlaces { rows: Box::new(self.dead()), count: (self.keys.len() as u64).saturating_sub(self.count_live()) }
    }

    fn count_live(&self) -> u64 {
        self.live.iter().filter(|live| **live).count() as u64
    }
}

/// Up to where each segment is in the index, and whether nothing will be added to it.
pub(super) fn segments(view: &View) -> Result<BTreeMap<u32, (u32, bool)>, redb::Error> {
    view.segments.iter()?.map(|row| row.map(|(id, row)| (id.value(), row.value())).map_err(redb::Error::from)).collect()
}

/// What a run began with, and what it saw of the host.
pub(super) fn kept_with(record: &RunRecord) -> impl Iterator<Item = Digest> + use<> {
    record.snapshot.into_iter().chain(record.footprint)
}

/// What something takes on disk.
pub(super) fn bytes_of(place: &Place) -> u64 {
    if place.is_file() { place.size_bytes } else { padded(HEADER_BYTES + place.body_bytes as usize) as u64 }
}

/// Everything that is in the index, and whether it is wanted.
pub(super) struct Marks<'a> {
    storage: &'a Storage,
    blobs: Candidates,
    actions: Candidates,
    /// Blobs that were looked into, in case they are directories. One that is only marked may still be one.
    followed: HashSet<Digest>,
    /// Lost blobs that nothing was found to need.
    lost: HashSet<Digest>,
    runs_kept: u64,
}

impl<'a> Marks<'a> {
    /// Nothing is marked.
    pub(super) fn new(storage: &'a Storage, view: &View) -> Result<Self, StoreError> {
        let mut blobs = Candidates::with_room(view.blobs.len_max());
        let mut actions = Candidates::with_room(view.actions.len_max());
        let mut lost = HashSet::new();
        on_index("list what is in the index", || {
            for row in view.blobs.rows(None)? {
                blobs.push(row?);
            }
            for row in view.actions.rows(None)? {
                actions.push(row?);
            }
            for row in view.lost.iter()? {
                lost.insert(Digest::from_bytes(*row?.0.value()));
            }
            Ok(())
        })?;
        Ok(Self { storage, blobs, actions, followed: HashSet::new(), lost, runs_kept: 0 })
    }

    /// What is not marked.
    pub(super) fn dead<'b>(&'b self, runs: &'b [RunId]) -> Dead<'b> {
        let lost = self.lost.iter().copied().collect();
        let (blobs, actions) = (self.blobs.dead_places(), self.actions.dead_places());
        Dead { blobs, actions, runs, segments: &[], lost }
    }

    /// Blobs that are not marked.
    pub(super) fn dead_blobs(&self) -> impl Iterator<Item = Digest> + '_ {
        self.blobs.dead().map(|(digest, _)| digest)
    }

    /// Whether a blob was there and is not marked.
    pub(super) fn is_dead_blob(&self, digest: &Digest) -> bool {
        self.blobs.is_dead(digest)
    }

    /// What living processes rely on: blobs, and actions with everything that they need.
    pub(super) fn keep_what_is_used(&mut self, used: &Used) -> Result<(), StoreError> {
        for digest in &used.digests {
            self.mark(digest);
            self.action(&ActionKey(*digest))?;
        }
        Ok(())
    }

    /// What is pinned: actions with everything that they need, blobs, and directories with everything in them.
    pub(super) fn keep_pins(&mut self) -> Result<(), StoreError> {
        for digest in self.storage.pins()? {
            self.action(&ActionKey(digest))?;
            self.tree(&digest)?;
        }
        Ok(())
    }

    /// What lies in segments that were written to lately, and what living processes put into theirs.
    pub(super) fn keep_young(&mut self, segments: &HashSet<u32>, used: &Used) -> Result<(), StoreError> {
        let young = |candidates: &Candidates| -> Vec<Digest> {
            let all = candidates.keys.iter().zip(&candidates.places);
            let is_young = |place: &Place| segments.contains(&place.segment) || used.has_new(place);
            all.filter(|(_, place)| is_young(place)).map(|(key, _)| *key).collect()
        };
        for key in young(&self.actions) {
            self.action(&ActionKey(key))?;
        }
        for digest in young(&self.blobs) {
            self.blobs.mark(&digest);
        }
        Ok(())
    }

    /// The latest runs, as many as there is room for. Returns those that are not kept.
    pub(super) fn keep_runs(
        &mut self,
        view: &View,
        keep: &Keep,
        now_ms: u64,
        progress: &mut dyn FnMut(Collecting),
    ) -> Result<Vec<RunId>, StoreError> {
        let runs = on_index("list the runs", || {
            let rows = view.runs.iter()?.rev();
            rows.map(|row| row.map(|(run, row)| (RunId(run.value()), row.value().to_vec())))
                .collect::<Result<Vec<_>, _>>()
                .map_err(redb::Error::from)
        })?;
        let bytes: u64 = self.blobs.places.iter().chain(&self.actions.places).map(bytes_of).sum();
        let room = if bytes > keep.bytes_max { keep.bytes_max / 5 * LOW_WATER_FIFTHS } else { u64::MAX };
        let age_ms = u64::try_from(keep.age.as_millis()).unwrap_or(u64::MAX);
        let count = runs.len() as u64;
        let (mut removed, mut repeated) = (Vec::new(), HashSet::new());
        for (number, (run, row)) in (0..).zip(runs) {
            progress(Collecting::Marking(number, count));
            let record = decode_run(run, &row);
            let started_ms = record.as_ref().map_or(0, |record| record.started_unix_ms);
            let is_recent = number < keep.runs as u64 || now_ms.saturating_sub(started_ms) <= age_ms;
            if number == 0 || repeated.contains(&run) || (is_recent && self.bytes_live() < room) {
                self.run(view, run)?;
                if let Some(record) = record {
                    // That one is older, so it is still to come.
                    repeated.extend(record.repeats);
                    kept_with(&record).try_for_each(|digest| self.tree(&digest))?;
                }
                self.runs_kept += 1;
            } else {
                removed.push(run);
            }
        }
        Ok(removed)
    }

    /// Keeps those of some runs after all that somebody relies on, with what they came to. Returns the others.
    pub(super) fn spare_runs(
        &mut self,
        view: &View,
        mut removed: Vec<RunId>,
        wanted: &HashSet<RunId>,
    ) -> Result<Vec<RunId>, StoreError> {
        for run in removed.extract_if(.., |run| wanted.contains(run)) {
            self.run(view, run)?;
            let record =
                on_index("look up a run", || Ok(view.runs.get(run.0)?.and_then(|row| decode_run(run, row.value()))))?;
            record.iter().flat_map(kept_with).try_for_each(|digest| self.tree(&digest))?;
            self.runs_kept += 1;
        }
        Ok(removed)
    }

    fn bytes_live(&self) -> u64 {
        self.blobs.bytes_live + self.actions.bytes_live
    }

    fn run(&mut self, view: &View, run: RunId) -> Result<(), StoreError> {
        let pages = on_index("list the jobs of a run", || {
            let rows = view.run_jobs.range((run.0, 0)..=(run.0, u32::MAX))?;
            let pages = rows.map(|row| row.map(|(key, place)| (key.value().1, Place::decode(place.value()))));
            pages.collect::<Result<Vec<_>, _>>().map_err(redb::Error::from)
        })?;
        pages.iter().try_for_each(|(page, place)| self.page(run, *page, place))
    }

    /// What the jobs of a page of reports left and needed.
    fn page(&mut self, run: RunId, page: u32, place: &Place) -> Result<(), StoreError> {
        let body = self.storage.entry(Kind::Jobs, &page_key(run, page), place, &run)?;
        let mut reports = Vec::new();
        decode_jobs(run, body.as_deref().unwrap_or_default(), &mut reports);
        for report in reports {
            if let Some(key) = report.key {
                self.action(&key)?;
            }
            // What a job left that was not recorded, as its outcome depends on the machine.
            if let Some(result) = report.result {
                self.tree(&result.output.digest)?;
                self.blob(&result.stdout);
                self.blob(&result.stderr);
            }
        }
        Ok(())
    }

    /// What came to be since `earlier`, whose rows these marks are of: in the index, and in the segments of other
    /// processes, living or not. Returns the runs that new ones repeat.
    pub(super) fn keep_what_is_new(&mut self, earlier: &View, latest: &View) -> Result<HashSet<RunId>, StoreError> {
        let Others { mut actions, mut pages, runs: mut records } = self.storage.rows_of_others();
        on_index("list what is new in the index", || {
            if segments(earlier)? == segments(latest)? {
                return Ok(());
            }
            for row in latest.actions.rows(None)? {
                let (key, place) = row?;
                // One that was recorded again is a new one: it will not be removed.
                if self.actions.place(&key) != Some(place) {
                    actions.push((ActionKey(key), place));
                }
            }
            for row in latest.run_jobs.iter()? {
                let (key, place) = row?;
                if earlier.run_jobs.get(key.value())?.is_none() {
                    let (run, page) = key.value();
                    pages.push((RunId(run), page, Place::decode(place.value())));
                }
            }
            for row in latest.runs.iter()? {
                let (run, row) = row?;
                if earlier.runs.get(run.value())?.is_none() {
                    records.extend(decode_run(RunId(run.value()), row.value()));
                }
            }
            Ok(())
        })?;
        for (key, place) in actions {
            self.action_at(&key, &place)?;
        }
        pages.iter().try_for_each(|(run, page, place)| self.page(*run, *page, place))?;
        records.iter().flat_map(kept_with).try_for_each(|digest| self.tree(&digest))?;
        Ok(records.iter().filter_map(|record| record.repeats).collect())
    }

    /// An action with its result and its inputs.
    fn action(&mut self, key: &ActionKey) -> Result<(), StoreError> {
        match self.actions.mark(&key.0) {
            Some(place) => self.action_at(key, &place),
            None => Ok(()),
        }
    }

    fn action_at(&mut self, key: &ActionKey, place: &Place) -> Result<(), StoreError> {
        let Some(row) = self.storage.entry(Kind::Action, key.0.as_bytes(), place, key)? else { return Ok(()) };
        let Some((record, action)) = decode_action(key, &row) else { return Ok(()) };
        let result = record.result;
        self.blob(&result.stdout);
        self.blob(&result.stderr);
        self.tree(&result.output.digest)?;
        let Ok(action) = Action::decode(action) else { return Ok(()) };
        self.mark(&action.module);
        self.blob(&action.stdin);
        for input in action.mounts.values() {
            match &input.content {
                Mount::File { blob, .. } => self.blob(blob),
                Mount::Directory { blob } => self.tree(&blob.digest)?,
            }
        }
        Ok(())
    }

    fn blob(&mut self, blob: &BlobRef) {
        self.mark(&blob.digest);
    }

    fn mark(&mut self, digest: &Digest) {
        if self.blobs.mark(digest).is_none() {
            self.lost.remove(digest);
        }
    }

    /// Marks a blob; where it is, unless it was followed before.
    fn follow(&mut self, digest: &Digest) -> Result<Option<Place>, StoreError> {
        if !self.followed.insert(*digest) {
            return Ok(None);
        }
        self.mark(digest);
        match self.blobs.place(digest) {
            Some(place) => Ok(Some(place)),
            None => Ok(self.storage.locate(digest)?.map(|found| found.place)),
        }
    }

    /// A directory with everything in it, or a blob.
    fn tree(&mut self, digest: &Digest) -> Result<(), StoreError> {
        let mut waiting = vec![*digest];
        while let Some(digest) = waiting.pop() {
            let Some(place) = self.follow(&digest)? else { continue };
            // A blob that is lost has nothing below it, and is noticed by whoever reads it.
            let content = match self.storage.content(&digest, &place) {
                Err(StoreError::Missing(_) | StoreError::Damaged { .. }) => continue,
                content => content?,
            };
            let Ok(directory) = Directory::decode(&content) else { continue };
            directory.files.iter().for_each(|file| self.blob(&file.blob));
            waiting.extend(directory.directories.iter().map(|directory| directory.blob.digest));
        }
        Ok(())
    }

    /// What the marks come to.
    pub(super) fn collected(&self, runs_removed: &[RunId]) -> Collected {
        let bytes: u64 = self.blobs.places.iter().chain(&self.actions.places).map(bytes_of).sum();
        let (actions, blobs) = (self.actions.count_live(), self.blobs.count_live());
        Collected {
            runs_kept: self.runs_kept,
            runs_removed: runs_removed.len() as u64,
            actions_kept: actions,
            actions_removed: self.actions.keys.len() as u64 - actions,
            blobs_kept: blobs,
            blobs_removed: self.blobs.keys.len() as u64 - blobs,
            bytes_kept: self.bytes_live(),
            bytes_removed: bytes - self.bytes_live(),
            bytes_freed: 0,
        }
    }
}
