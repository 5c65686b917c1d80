//! Rows in layers, beside rows in a map.
//!
//! Owns: that layers answer as a map does, however they come to be merged, and that damaged ones end nothing. Does not know:
//! what rows are of.

use std::collections::BTreeMap;

use proptest::prelude::*;
use redb::{Database, ReadableDatabase, TableDefinition};
use wasmill_model::Digest;

use crate::layers::{BLOBS, Places, PlacesMut};
use crate::place::Place;

fn index() -> (tempfile::TempDir, Database) {
    let dir = tempfile::tempdir().unwrap();
    let index = Database::create(dir.path().join("index.redb")).unwrap();
    change(&index, |_| {});
    (dir, index)
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
    Retain(u64),
    Commit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = || (0_u64..3_000, 0_u64..2_000);
    let step = prop_oneof![
        4 => range().prop_map(|(from, count)| Step::Insert(from, count)),
        2 => range().prop_map(|(from, count)| Step::Remove(from, count / 4)),
        1 => (2_u64..9).prop_map(Step::Retain),
        3 => Just(Step::Commit),
    ];
    proptest::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn layers_are_like_a_map(steps in steps()) {
        let (_dir, index) = index();
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
                        Step::Retain(of) => {
                            let keeps = |place: &Place| !place.size_bytes.is_multiple_of(of);
                            places.retain(model.len() as u64 / of, |_, place| keeps(place)).unwrap();
                            model.retain(|_, place| keeps(place));
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

/// Many rows, in commits of many sizes, without one commit that writes everything again each time.
#[test]
fn there_are_few_layers_and_they_are_seldom_merged() {
    let (_dir, index) = index();
    let (mut next, mut written, mut before) = (0, 0, Vec::new());
    for commit in 0..40_u64 {
        let count = if commit % 3 == 0 { 40_000 } else { 500 };
        change(&index, |places| {
            for number in next..next + count {
                places.insert(key(number).as_bytes(), &place(number)).unwrap();
            }
        });
        next += count;
        let layers = layers(&index);
        assert!(layers.len() <= 6, "{layers:?}");
        written += layers.iter().filter(|layer| !before.contains(*layer)).map(|(rows, _)| rows).sum::<u64>();
        before = layers;
    }
    assert_eq!(places(&index).rows(None).unwrap().count() as u64, next);
    // Each row was written about as often as rows of 16,000 can be doubled until there are so many, and no more.
    assert!(written <= 6 * next, "{written} {next}");
    change(&index, |places| {
        for number in 0..next {
            places.remove(key(number).as_bytes()).unwrap();
        }
    });
    assert!(places(&index).rows(None).unwrap().next().is_none());
    change(&index, |places| places.retain(0, |_, _| true).unwrap());
    assert_eq!(layers(&index), []);
}

#[test]
fn damaged_layers_are_read_to_their_end() {
    let chunks = TableDefinition::<(u32, u32), &[u8]>::new("blob-chunks-1");
    let table = TableDefinition::<u32, (u64, u64, u32)>::new("blob-layers-1");
    for (row, chunk) in [
        ((u64::MAX, u64::MAX, u32::MAX), (1, u32::MAX)),
        ((0, 7, 0), (1, 0)),
        ((1, u64::MAX, 1), (1, 5)),
        ((u64::MAX, 0, u32::MAX), (u32::MAX, 5)),
    ] {
        for id in [0, 1, u32::MAX - 1, u32::MAX] {
            let (_dir, index) = index();
            change(&index, |places| {
                (0..1_000).for_each(|number| places.insert(key(number).as_bytes(), &place(number)).unwrap());
            });
            let write = index.begin_write().unwrap();
            write.open_table(table).unwrap().insert(id, row).unwrap();
            let rows: Vec<u8> = (0..9_999_u32).map(|byte| byte.to_be_bytes()[3]).collect();
            write.open_table(chunks).unwrap().insert(chunk, rows.as_slice()).unwrap();
            write.commit().unwrap();
            let found = places(&index);
            assert!(found.rows(None).unwrap().all(|row| row.is_ok()));
            assert!((0..1_000).all(|number| found.get(key(number).as_bytes()).is_ok()));
            change(&index, |places| places.insert(key(2_000).as_bytes(), &place(7)).unwrap());
            change(&index, |places| places.retain(3, |_, _| true).unwrap());
            assert!(places(&index).rows(None).unwrap().all(|row| row.is_ok()));
        }
    }
}
