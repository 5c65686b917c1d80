//! Rows in layers, beside rows in a map.
//!
//! Owns: that layers answer as a map does, however they come to be merged, and that damaged ones end nothing. Does not know:
//! what rows are of.

use std::collections::BTreeMap;

use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, TableDefinition};
use wasmill_model::Digest;

use crate::layers::{BLOBS, Places, PlacesMut, find_in_any};
use crate::place::Place;

fn index() -> Database {
    let index = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
    change(&index, |_| {});
    index
}

fn change(index: &Database, change: impl FnOnce(&mut PlacesMut<'_>)) {
    let write = index.begin_write().unwrap();
    let mut places = PlacesMut::open(&write, BLOBS).unwrap();
    change(&mut places);
    places.finish().unwrap();
    write.commit().unwrap();
}

fn places(index: &Database) -> Places {
    Places::open(&index.begin_read().unwrap(), BLOBS).unwrap()
}

/// Some are next to each other, as if somebody had looked for such.
fn key(number: u64) -> Digest {
    match number % 7 {
        0 => {
            let mut bytes = [0xab; 32];
            bytes.iter_mut().rev().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
            Digest::from_bytes(bytes)
        }
        1 if number == 1 => Digest::from_bytes([0; 32]),
        1 if number == 8 => Digest::from_bytes([0xff; 32]),
        _ => Digest::of(&number.to_le_bytes()),
    }
}

fn place(number: u64) -> Place {
    Place { segment: 1, offset: u32::try_from(number).unwrap(), body_bytes: 3, size_bytes: number }
}

fn assert_same(index: &Database, model: &BTreeMap<Digest, Place>, keys: u64) {
    let places = places(index);
    let all: Vec<_> = places.rows(None).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(all.iter().map(|(digest, place)| (digest, place)).eq(model.iter()));
    assert!(places.len_max() >= model.len() as u64);
    for number in 0..keys {
        assert_eq!(places.get(key(number).as_bytes()).unwrap(), model.get(&key(number)).copied(), "{number}");
    }
    for number in (0..keys).step_by(97) {
        let after = key(number);
        let rest: Vec<_> = places.rows(Some(after.as_bytes())).unwrap().map(Result::unwrap).collect();
        let expected = model.iter().filter(|(digest, _)| **digest > after).map(|(digest, place)| (*digest, *place));
        assert!(rest.into_iter().eq(expected), "{number}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u64, u64),
    Remove(u64, u64),
    RemoveAll(u64),
    Commit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = || (0_u64..3_000, 0_u64..2_000);
    let step = prop_oneof![
        4 => range().prop_map(|(from, count)| Step::Insert(from, count)),
        2 => range().prop_map(|(from, count)| Step::Remove(from, count / 4)),
        1 => prop_oneof![2_u64..9, 40_u64..200].prop_map(Step::RemoveAll),
        3 => Just(Step::Commit),
    ];
    proptest::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn layers_are_like_a_map(steps in steps()) {
        let index = index();
        let mut model = BTreeMap::new();
        let mut value = 0;
        for steps in steps.split(|step| matches!(step, Step::Commit)) {
            change(&index, |places| {
                for step in steps {
                    match *step {
                        Step::Insert(from, count) => for number in from..from + count {
                            value += 1;
                            places.insert(key(number).as_bytes(), &place(value)).unwrap();
                            model.insert(key(number), place(value));
                        },
                        Step::Remove(from, count) => for number in from..from + count {
                            assert_eq!(places.get(key(number).as_bytes()).unwrap(), model.get(&key(number)).copied());
                            places.remove(key(number).as_bytes()).unwrap();
                            model.remove(&key(number));
                        },
                        Step::RemoveAll(of) => {
                            let is_dead = |place: &Place| place.size_bytes.is_multiple_of(of);
                            let dead: Vec<_> = model.iter().filter(|(_, place)| is_dead(place)).collect();
                            // Some are not what they were.
                            let dead: Vec<_> = dead.iter().enumerate().map(|(number, (digest, found))| match number % 5 {
                                0 => (**digest, place(1_000_000)),
                                _ => (**digest, **found),
                            }).collect();
                            places.remove_all(dead.len() as u64, dead.iter().copied()).unwrap();
                            dead.iter().for_each(|(digest, place)| if model.get(digest) == Some(place) {
                                model.remove(digest);
                            });
                        }
                        Step::Commit => {}
                    }
                }
            });
            assert_same(&index, &model, 5_000);
        }
    }
}

fn layers(index: &Database) -> Vec<(u64, u64)> {
    let table = TableDefinition::<u32, (u64, u64, u32)>::new("blob-layers-1");
    let table = index.begin_read().unwrap().open_table(table).unwrap();
    let rows = redb::ReadableTable::iter(&table).unwrap();
    rows.map(|row| row.map(|(_, row)| (row.value().0, row.value().1)).unwrap()).collect()
}

/// Many rows, in commits of many sizes, without one commit that writes everything again each time. (Layers are smaller in tests.)
#[test]
fn there_are_few_layers_and_they_are_seldom_merged() {
    let index = index();
    let (mut next, mut written, mut before) = (0, 0, Vec::new());
    for commit in 0..40_u64 {
        let count = if commit % 3 == 0 { 600 } else { 20 };
        change(&index, |places| {
            for number in next..next + count {
                places.insert(key(number).as_bytes(), &place(number)).unwrap();
            }
        });
        next += count;
        let layers = layers(&index);
        assert!(layers.len() <= 8, "{layers:?}");
        written += layers.iter().filter(|layer| !before.contains(*layer)).map(|(rows, _)| rows).sum::<u64>();
        before = layers;
    }
    assert_eq!(places(&index).rows(None).unwrap().count() as u64, next);
    // Each row was written about as often as a layer of a few hundred can be doubled until there are so many, and no more.
    assert!(written <= 6 * next, "{written} {next}");
    change(&index, |places| {
        for number in 0..next {
            places.remove(key(number).as_bytes()).unwrap();
        }
    });
    assert!(places(&index).rows(None).unwrap().next().is_none());
    change(&index, |places| {
        places.insert(key(0).as_bytes(), &place(1)).unwrap();
        places.remove_all(1, [(key(0), place(1))].into_iter()).unwrap();
    });
    let left = places(&index).rows(None).unwrap().count();
    assert_eq!(left, 0);
}

/// An index with several layers and many chunks.
fn filled() -> Database {
    let index = index();
    for from in [0, 2_000, 2_900, 3_300] {
        change(&index, |places| {
            (from..from + 2_000).for_each(|number| places.insert(key(number).as_bytes(), &place(number)).unwrap());
        });
    }
    index
}

const CHUNKS: TableDefinition<(u32, u32), &[u8]> = TableDefinition::new("blob-chunks-1");
const LAYERS: TableDefinition<u32, (u64, u64, u32)> = TableDefinition::new("blob-layers-1");
const SKETCHES: TableDefinition<u32, &[u8]> = TableDefinition::new("blob-sketches-1");

fn sketches(index: &Database) -> Vec<(u32, Vec<u8>)> {
    let table = index.begin_read().unwrap().open_table(SKETCHES).unwrap();
    let rows = redb::ReadableTable::iter(&table).unwrap();
    rows.map(|row| row.map(|(id, sketch)| (id.value(), sketch.value().to_vec())).unwrap()).collect()
}

fn set_sketch(index: &Database, id: u32, sketch: &[u8]) {
    let write = index.begin_write().unwrap();
    write.open_table(SKETCHES).unwrap().insert(id, sketch).unwrap();
    write.commit().unwrap();
}

/// Chunks lie here, but for those by which a sketch is known: whoever read them would find what is not there.
#[test]
fn no_chunk_is_read_for_what_is_not_there() {
    let index = filled();
    let absent: Vec<_> = (10_000..12_000_u64).map(|number| Digest::of(&number.to_le_bytes())).collect();
    let mut rows: Vec<_> = absent.iter().map(|digest| (*digest.as_bytes(), place(7).encode())).collect();
    rows.sort_unstable();
    let lie: Vec<u8> = rows.iter().flat_map(|(key, place)| key.iter().chain(place).copied()).collect();
    let sketches = sketches(&index);
    assert!(sketches.len() > 1 && sketches.len() == layers(&index).len());
    let is_known_by = |chunk: &[u8]| {
        let mut keys = sketches.iter().map(|(_, sketch)| &sketch[..32]);
        keys.any(|key| chunk.windows(32).any(|bytes| bytes == key))
    };
    let write = index.begin_write().unwrap();
    let mut chunks = write.open_table(CHUNKS).unwrap();
    let all = redb::ReadableTable::iter(&chunks).unwrap().map(Result::unwrap);
    let others: Vec<_> = all.filter(|(_, chunk)| !is_known_by(chunk.value())).map(|(key, _)| key.value()).collect();
    assert!(others.len() > 20);
    for key in others {
        chunks.insert(key, lie.as_slice()).unwrap();
    }
    drop(chunks);
    write.commit().unwrap();
    let places = places(&index);
    let believed = absent.iter().filter(|digest| places.get(digest.as_bytes()).unwrap().is_some());
    assert!(believed.count() < absent.len() / 10);
}

/// Who does not know of sketches leaves those of layers that are gone, and may give their numbers again.
#[test]
fn a_sketch_of_another_layer_hides_nothing() {
    let (before, after) = (index(), index());
    for (index, from) in [(&before, 0), (&after, 1_000)] {
        change(index, |places| {
            (from..from + 600).for_each(|number| places.insert(key(number).as_bytes(), &place(number)).unwrap());
        });
    }
    for (id, sketch) in sketches(&before) {
        set_sketch(&after, id, &sketch);
    }
    let places = places(&after);
    assert!((1_000..1_600).all(|number| places.get(key(number).as_bytes()).unwrap() == Some(place(number))));
    assert_eq!(places.rows(None).unwrap().map(Result::unwrap).count(), 600);
    drop(places);
    // An index from before there were any.
    let write = after.begin_write().unwrap();
    write.delete_table(SKETCHES).unwrap();
    write.commit().unwrap();
    let places = self::places(&after);
    assert!((1_000..1_600).all(|number| places.get(key(number).as_bytes()).unwrap() == Some(place(number))));
    assert_eq!(places.get(key(5).as_bytes()).unwrap(), None);
    change(&after, |places| places.insert(key(5).as_bytes(), &place(5)).unwrap());
    assert!(self::places(&after).get(key(5).as_bytes()).unwrap().is_some());
}

/// Large blobs have the same place whenever they are put, and what is gone may go again.
#[test]
fn a_sketch_is_known_by_what_is_named_once() {
    let index = index();
    let file = |number| Place::file(number);
    change(&index, |places| (0..600).for_each(|number| places.insert(key(number).as_bytes(), &file(number)).unwrap()));
    assert!(sketches(&index).is_empty());
    change(&index, |places| {
        places.insert(key(2).as_bytes(), &place(2)).unwrap();
        (600..700).for_each(|number| places.insert(key(number).as_bytes(), &file(number)).unwrap());
        (0..2).for_each(|number| places.remove(key(number).as_bytes()).unwrap());
    });
    let known_by: Vec<_> = sketches(&index).iter().map(|(_, sketch)| sketch[..32].to_vec()).collect();
    assert!(known_by.iter().all(|head| head == key(2).as_bytes()) && !known_by.is_empty());
    // One by which it should not be known says nothing.
    for (id, mut sketch) in sketches(&index) {
        sketch[..32].copy_from_slice(key(600).as_bytes());
        sketch[32..52].copy_from_slice(&file(600).encode());
        sketch[64..].fill(0);
        set_sketch(&index, id, &sketch);
    }
    assert!((600..700).all(|number| places(&index).get(key(number).as_bytes()).unwrap() == Some(file(number))));
}

#[test]
fn a_damaged_sketch_is_noticed_by_whoever_asks_for_all_rows() {
    let index = filled();
    let expected = places(&index).rows(None).unwrap().count();
    for number in 0..200 {
        let all = sketches(&index);
        let (id, sketch) = &all[number % all.len()];
        let mut damaged = sketch.clone();
        match number % 4 {
            0 => damaged.truncate(number * 31 % sketch.len()),
            _ => {
                let bit = number * 7_919 % (sketch.len() * 8);
                damaged[bit / 8] ^= 1 << (bit % 8);
            }
        }
        set_sketch(&index, *id, &damaged);
        let found = places(&index);
        let hides = (0..6_000).any(|number| {
            let is_there = number < 5_300;
            found.get(key(number).as_bytes()).unwrap().is_some() != is_there
        });
        drop(found);
        assert!(
            !hides || places(&index).rows(None).is_err() || places(&index).rows(None).unwrap().any(|row| row.is_err())
        );
        assert_nothing_is_left_out(&index, expected);
        set_sketch(&index, *id, sketch);
    }
}

/// Either everything is there (but for what a flipped bit made of one row), or going through it is an error, and so is whatever would write all of it again.
fn assert_nothing_is_left_out(index: &Database, expected: usize) {
    let found = places(index);
    assert!((0..6_000).all(|number| found.get(key(number).as_bytes()).is_ok()));
    let all = found.rows(None).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let is_whole = all.as_ref().is_ok_and(|all| all.len().abs_diff(expected) <= 1);
    assert!(is_whole || all.is_err(), "{:?} of {expected}", all.map(|all| all.len()));
    let write = index.begin_write().unwrap();
    let mut places = PlacesMut::open(&write, BLOBS).unwrap();
    let removed = places.remove_all(u64::MAX, std::iter::empty());
    assert_eq!(removed.is_ok(), is_whole);
}

#[test]
fn a_damaged_layer_is_no_smaller_one() {
    for (row, chunk) in [
        (Some((u64::MAX, u64::MAX, u32::MAX)), None),
        (Some((0, 7, 0)), None),
        (Some((1, u64::MAX, 1)), None),
        (None, Some((1, u32::MAX))),
        (None, Some((u32::MAX, 5))),
        (None, Some((0, 0))),
    ] {
        for id in [0, 1, 2, 3, 4, u32::MAX] {
            let index = filled();
            let expected = places(&index).rows(None).unwrap().count();
            let write = index.begin_write().unwrap();
            if let Some(row) = row {
                write.open_table(LAYERS).unwrap().insert(id, row).unwrap();
            }
            if let Some(chunk) = chunk {
                let rows: Vec<u8> = (0..9_999_u32).map(|byte| byte.to_be_bytes()[3]).collect();
                write.open_table(CHUNKS).unwrap().insert(chunk, rows.as_slice()).unwrap();
            }
            write.commit().unwrap();
            assert_nothing_is_left_out(&index, expected);
        }
    }
}

#[test]
fn a_flipped_bit_hides_no_row() {
    let index = filled();
    let expected = places(&index).rows(None).unwrap().count();
    let table = index.begin_read().unwrap().open_table(CHUNKS).unwrap();
    let chunks = redb::ReadableTable::iter(&table).unwrap();
    let chunks: Vec<_> = chunks.map(|row| row.map(|(key, row)| (key.value(), row.value().to_vec())).unwrap()).collect();
    drop(table);
    assert!(chunks.len() > 20);
    for number in 0..300 {
        let (key, chunk) = &chunks[number * 7 % chunks.len()];
        let mut flipped = chunk.clone();
        let bit = number * 7_919 % (chunk.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        let write = index.begin_write().unwrap();
        write.open_table(CHUNKS).unwrap().insert(*key, flipped.as_slice()).unwrap();
        write.commit().unwrap();
        assert_nothing_is_left_out(&index, expected);
        let write = index.begin_write().unwrap();
        write.open_table(CHUNKS).unwrap().insert(*key, chunk.as_slice()).unwrap();
        write.commit().unwrap();
    }
}

proptest! {
    /// However unevenly keys are spread, which no digests are: guessing where a row is ends, and finds it.
    #[test]
    fn a_row_is_found_wherever_guessing_leads(
        prefixes in prop::collection::btree_set(prop_oneof![any::<u64>(), 0..99_u64, any::<u64>().prop_map(|n| n >> (n % 64))], 0..300),
        absent in any::<u64>(),
    ) {
        let digest = |prefix: u64| {
            let mut bytes = [7; 32];
            bytes.iter_mut().zip(prefix.to_be_bytes()).for_each(|(to, from)| *to = from);
            Digest::from_bytes(bytes)
        };
        let mut chunk = Vec::new();
        for prefix in &prefixes {
            chunk.extend_from_slice(digest(*prefix).as_bytes());
            chunk.extend_from_slice(&place(prefix % 1_000).encode());
        }
        for prefix in &prefixes {
            prop_assert_eq!(find_in_any(&chunk, &digest(*prefix)), Some(place(prefix % 1_000)));
        }
        for prefix in prefixes.iter().flat_map(|prefix| [prefix.wrapping_sub(1), prefix.wrapping_add(1)]).chain([absent]) {
            if !prefixes.contains(&prefix) {
                prop_assert_eq!(find_in_any(&chunk, &digest(prefix)), None);
            }
        }
    }
}
