//! wasmill's store beside redb, SQLite, plain files and iroh-blobs, in one run, on the same disk.
//!
//! Owns: the workloads and the tables. Does not know: how a peer keeps anything (`peers`).
//!
//! `cargo run --release --manifest-path tests/benches/stores/Cargo.toml [-- DIR]`: temporary stores go into DIR.

mod peers;

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use wasmill_storage::{Keep, Options, Storage};

use peers::{Failure, Files, Iroh, Peer, Redb, Sqlite, named, wasmill};
use wasmill_model::port::BlobStore;

/// How often each is measured, in turn with the others, as disks are not the same all the time. The median is shown.
const ROUNDS: usize = 3;

/// How often, where the filesystem has its moods: with three rounds, the median for files of 1 MiB was anything from 0.3 to 1.0
/// of the disk's speed, with nine it is 0.86 to 0.96.
const LARGE_ROUNDS: usize = 9;

/// Threads that put and get.
const THREADS: u64 = 2;

/// The digest of a blob is computed in the timed part of both putting and getting.
fn content(number: u64, len: usize) -> Bytes {
    let mut bytes = BytesMut::zeroed(len);
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes.freeze()
}

fn put(peer: &dyn Peer, from: u64, count: u64, len: usize) -> Result<f64, Failure> {
    let began = Instant::now();
    thread::scope(|scope| {
        let share = count / THREADS;
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let mut blobs = (0..share).map(move |number| content(from + worker * share + number, len));
                scope.spawn(move || peer.put_all(&mut blobs))
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a thread panicked")?)
    })?;
    peer.flush()?;
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

fn get(peer: &dyn Peer, count: u64, gets: u64, len: usize) -> Result<f64, Failure> {
    let began = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                scope.spawn(move || {
                    let mut chance = worker * 2 + 1;
                    for _ in 0..gets / THREADS {
                        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        assert_eq!(peer.get(&content((chance >> 33) % count, len))?, len);
                    }
                    Ok::<(), Failure>(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a thread panicked")?)
    })?;
    Ok(gets as f64 / began.elapsed().as_secs_f64())
}

/// A name, how to open it, and what part of the blobs it gets: some would take forever.
type Open = fn(&Path) -> Result<Box<dyn Peer>, Failure>;
const PEERS: [(&str, Open, u64); 5] = [
    ("wasmill", |dir| Ok(Box::new(wasmill(dir, Options::default())?)), 1),
    ("redb", |dir| Ok(Box::new(Redb::open(dir)?)), 3),
    ("SQLite", |dir| Ok(Box::new(Sqlite::open(dir)?)), 3),
    ("iroh-blobs", |dir| Ok(Box::new(Iroh::open(dir)?)), 3),
    ("files", |dir| Ok(Box::new(Files::open(dir)?)), 100),
];

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn shown(per_second: f64, ours: f64) -> String {
    format!("{per_second:.0} ({:.1}x)", ours / per_second)
}

fn puts(dir: &Path) -> Result<(), Failure> {
    println!("\nDurable puts a second, {THREADS} threads (in brackets: how many times as many wasmill does)\n");
    println!("| size | {} | the disk alone |", PEERS.map(|(name, ..)| name).join(" | "));
    println!("|---|{}", "--:|".repeat(PEERS.len() + 1));
    for (len, count) in [(256, 300_000), (4 << 10, 100_000), (64 << 10, 8_000), ((1 << 20) + 1, 200)] {
        touch_memory(12);
        let mut rates = [const { Vec::new() }; PEERS.len() + 1];
        for _ in 0..ROUNDS {
            for ((_, open, part), rates) in PEERS.iter().zip(&mut rates) {
                let dir = tempfile::tempdir_in(dir)?;
                rates.push(put(open(dir.path())?.as_ref(), 0, (count / part).max(200), len)?);
            }
            let own = tempfile::tempdir_in(dir)?;
            rates[PEERS.len()].push(disk(own.path(), count * len as u64)? / len as f64);
        }
        let rates = rates.map(median);
        println!("| {len} B | {} |", rates.map(|rate| shown(rate, rates[0])).join(" | "));
    }
    Ok(())
}

/// What the disk takes where nothing is digested and nobody has to find anything again: the same bytes, one after the
/// other, synced in pieces of 8 MiB.
fn disk(dir: &Path, bytes: u64) -> Result<f64, Failure> {
    let piece = vec![7; 8 << 20];
    let began = Instant::now();
    let file = std::fs::File::create_new(dir.join("disk"))?;
    for number in 0..bytes / piece.len() as u64 {
        file.write_all_at(&piece, number * piece.len() as u64)?;
        file.sync_data()?;
    }
    Ok(bytes as f64 / began.elapsed().as_secs_f64())
}

/// Takes memory from the system and gives it back. Where this runs on a virtual machine, the host hands memory out as it is
/// touched for the first time, at 400 MB/s on ours: files, whose content goes through memory, could not be written faster.
fn touch_memory(gib: usize) {
    drop(std::hint::black_box(vec![1_u8; gib << 30]));
}

/// What disk and SHA-256 take at the same time, each on a thread of its own that waits for nobody.
fn disk_and_digest(dir: &Path, blobs: &[Bytes], kept: &mut Vec<tempfile::TempDir>) -> Result<f64, Failure> {
    let own = tempfile::tempdir_in(dir)?;
    let total = blobs.iter().map(|blob| blob.len() as u64).sum();
    let began = Instant::now();
    thread::scope(|scope| {
        let digesting = scope.spawn(|| {
            for blob in blobs {
                std::hint::black_box(named(blob));
            }
        });
        disk(own.path(), total)?;
        digesting.join().map_err(|_| Failure::from("a thread panicked"))
    })?;
    kept.push(own);
    Ok(total as f64 / began.elapsed().as_secs_f64())
}

/// Large blobs, beside what the disk and SHA-256 allow.
fn large(dir: &Path, only: Option<usize>) -> Result<(), Failure> {
    println!(
        "\nLarge blobs, durable, in MB/s: one thread\n\n| size | wasmill | from a reader | disk | SHA-256 | of the lesser | both at once | of that |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for (len, count) in
        [((1 << 20) + 1, 128), (2 << 20, 64), (4 << 20, 32), (8 << 20, 16), (16 << 20, 8), (256 << 20, 1_u64)]
    {
        if only.is_some_and(|only| only != len) {
            continue;
        }
        touch_memory(12);
        // Kept for a while: ext4 takes milliseconds to create a file where many were removed just before.
        let mut kept = Vec::new();
        let total = len as u64 * count;
        let mut rates = [const { Vec::new() }; 5];
        for _ in 0..LARGE_ROUNDS {
            let blobs: Vec<Bytes> = (0..count).map(|number| content(number, len)).collect();
            let began = Instant::now();
            for blob in &blobs {
                std::hint::black_box(named(blob));
            }
            rates[3].push(total as f64 / began.elapsed().as_secs_f64());
            let own = tempfile::tempdir_in(dir)?;
            rates[2].push(disk(own.path(), total)?);
            kept.push(own);
            rates[4].push(disk_and_digest(dir, &blobs, &mut kept)?);
            let own = tempfile::tempdir_in(dir)?;
            let store = wasmill(own.path(), Options::default())?;
            let began = Instant::now();
            store.put_all(&mut blobs.iter().cloned())?;
            store.flush()?;
            rates[0].push(total as f64 / began.elapsed().as_secs_f64());
            drop(store);
            kept.push(own);
            let own = tempfile::tempdir_in(dir)?;
            let store = wasmill(own.path(), Options::default())?;
            let began = Instant::now();
            for blob in &blobs {
                BlobStore::put_reader(&store, &mut blob.as_ref())?;
            }
            store.flush()?;
            rates[1].push(total as f64 / began.elapsed().as_secs_f64());
            drop(store);
            kept.push(own);
        }
        let [ours, read, disk, digest, both] = rates.map(|rates| median(rates) / 1e6);
        let (of_lesser, of_both) = (ours / disk.min(digest), ours / both);
        println!(
            "| {len} B | {ours:.0} | {read:.0} | {disk:.0} | {digest:.0} | {of_lesser:.2} | {both:.0} | {of_both:.2} |"
        );
    }
    Ok(())
}

fn gets(dir: &Path) -> Result<(), Failure> {
    println!(
        "\nGets a second of 100,000 blobs of 256 B at random, {THREADS} threads, each after computing its digest\n"
    );
    println!("| wasmill | without its cache | redb | SQLite | iroh-blobs |\n|--:|--:|--:|--:|--:|");
    let mut row = Vec::new();
    let mut ours = 0.0;
    let uncached: Open = |dir| Ok(Box::new(wasmill(dir, Options { blob_cache_bytes: 0, ..Options::default() })?));
    for open in [PEERS[0].1, uncached, PEERS[1].1, PEERS[2].1, PEERS[3].1] {
        let dir = tempfile::tempdir_in(dir)?;
        let peer = open(dir.path())?;
        put(peer.as_ref(), 0, 100_000, 256)?;
        get(peer.as_ref(), 100_000, 100_000, 256)?;
        let rate = get(peer.as_ref(), 100_000, 400_000, 256)?;
        ours = if ours == 0.0 { rate } else { ours };
        row.push(shown(rate, ours));
    }
    println!("| {} |", row.join(" | "));
    Ok(())
}

/// Looks blobs up whose digests are known, by one thread, in microseconds each.
fn find(peer: &dyn Peer, count: u64) -> Result<f64, Failure> {
    const FINDS: u64 = 200_000;
    let mut chance = 1_u64;
    let mut any = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        named(&content((chance >> 33) % count, 256)).digest
    };
    let digests: Vec<_> = (0..FINDS).map(|_| any()).collect();
    let began = Instant::now();
    for digest in &digests {
        assert_eq!(peer.find(digest)?, Some(256));
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / FINDS as f64)
}

fn finds(dir: &Path) -> Result<(), Failure> {
    println!("\nWhether a blob is there and how long it is, at random, one thread, in µs\n");
    println!("| blobs | wasmill, just put | wasmill, opened again | redb | SQLite |\n|--:|--:|--:|--:|--:|");
    for count in [100_000, 1_000_000] {
        let mut row = Vec::new();
        for open in [PEERS[0].1, PEERS[1].1, PEERS[2].1] {
            let dir = tempfile::tempdir_in(dir)?;
            let peer = open(dir.path())?;
            put(peer.as_ref(), 0, count, 256)?;
            if row.is_empty() {
                row.push(find(peer.as_ref(), count)?);
            }
            drop(peer);
            let peer = open(dir.path())?;
            find(peer.as_ref(), count)?;
            row.push(find(peer.as_ref(), count)?);
        }
        let row: Vec<_> = row.iter().map(|us| format!("{us:.2}")).collect();
        println!("| {count} | {} |", row.join(" | "));
    }
    Ok(())
}

/// What only a store that lasts does: many who wait, a million blobs, a kill, garbage.
fn alone(dir: &Path) -> Result<(), Failure> {
    println!("\nwasmill alone (in brackets: how many times what the disk alone takes)\n\n| | |\n|---|--:|");
    let own = tempfile::tempdir_in(dir)?;
    let store = wasmill(own.path(), Options::default())?;
    put(&store, 1 << 50, 1_000_000, 256)?;
    for (len, count) in [(256, 300_000), (4 << 10, 100_000)] {
        let mut rates = [const { Vec::new() }; 3];
        for round in 0..2 * ROUNDS as u64 + 1 {
            // Whatever came before is brought into the index, so that this does not pay for it.
            store.totals()?;
            touch_memory(3);
            rates[0].push(put(&store, (1 << 51) + round * count, count, len)?);
            let empty = tempfile::tempdir_in(dir)?;
            touch_memory(3);
            rates[1].push(put(&wasmill(empty.path(), Options::default())?, 1 << 51, count, len)?);
            rates[2].push(disk(tempfile::tempdir_in(dir)?.path(), count * len as u64)? / len as f64);
        }
        let [full, empty, limit] = rates.map(median);
        let (of_empty, of_disk) = (full / empty, full / limit);
        println!("| puts of {len} B a second, 1,000,000 there already | {full:.0} ({of_disk:.2}x) |");
        println!("| how many times what an empty store takes | {of_empty:.2} |");
    }
    let began = Instant::now();
    for number in 0..300 {
        store.put_all(&mut std::iter::once(content((1 << 53) + number, 256))).and_then(|()| store.flush())?;
    }
    println!("| one put that is waited for | {:.0} µs |", began.elapsed().as_secs_f64() * 1e6 / 300.0);
    drop(store);
    let own = tempfile::tempdir_in(dir)?;
    let store = wasmill(own.path(), Options::default())?;
    put(&store, 0, 1_000_000, 256)?;
    store.close()?;
    let began = Instant::now();
    let store = wasmill(own.path(), Options::default())?;
    println!("| opening one of 1,000,000 blobs | {:.1} ms |", began.elapsed().as_secs_f64() * 1e3);
    drop(store);
    // In a process of its own, for its memory.
    let child = Command::new(std::env::current_exe()?).arg("--collect").arg(own.path()).status()?;
    child.success().then_some(()).ok_or("collecting garbage failed")?;
    killed(dir)
}

/// Threads that put a small blob, wait until it is durable, and put the next one; beside one thread that appends what they put
/// together to a file, and syncs it each time: nobody is woken there, and nothing digested.
fn waiting(dir: &Path) -> Result<(), Failure> {
    const WAITING: u64 = 64;
    const EACH: u64 = 1_000;
    const LEN: usize = 256;
    let mut rates = [const { Vec::new() }; 2];
    for round in 0..LARGE_ROUNDS as u64 {
        let own = tempfile::tempdir_in(dir)?;
        let store = wasmill(own.path(), Options::default())?;
        let began = Instant::now();
        thread::scope(|scope| {
            for worker in 0..WAITING {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..EACH {
                        let mut blob = std::iter::once(content((round << 32) + worker * EACH + number, LEN));
                        store.put_all(&mut blob).and_then(|()| store.flush()).expect("the store works");
                    }
                });
            }
        });
        rates[0].push((WAITING * EACH) as f64 / began.elapsed().as_secs_f64());
        drop(store);
        rates[1].push(appended(&own.path().join("disk"), WAITING as usize * LEN, EACH)? * WAITING as f64);
    }
    let [ours, disk] = rates.map(median);
    println!("\n{WAITING} threads, each of which puts {LEN} B, waits until they are durable, and puts the next");
    println!("\n| puts a second | the disk alone, {WAITING} at a time |\n|--:|--:|\n| {ours:.0} | {disk:.0} |");
    Ok(())
}

/// How often a second so many bytes are appended to a file whose space is set aside, and are durable.
fn appended(path: &Path, len: usize, count: u64) -> Result<f64, Failure> {
    let file = std::fs::File::create_new(path)?;
    file.write_all_at(&vec![0; len * count as usize], 0)?;
    file.sync_data()?;
    let began = Instant::now();
    for number in 0..count {
        file.write_all_at(&vec![7; len], number * len as u64)?;
        file.sync_data()?;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

/// Removes everything, and says what that took.
fn collect(dir: &Path) -> Result<(), Failure> {
    let store = wasmill(dir, Options::default())?;
    let began = Instant::now();
    let nothing = Keep { runs: 0, age: Duration::ZERO, bytes_max: u64::MAX, grace: Duration::ZERO };
    let collected = store.collect(&nothing, false, &mut |_| {})?.ok_or("somebody else collects")?;
    println!("| removing {} of them | {:.1} s |", collected.blobs_removed, began.elapsed().as_secs_f64());
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    println!("| the most memory that the process had | {:.0} MB |", kib * 1024.0 / 1e6);
    Ok(())
}

fn killed(dir: &Path) -> Result<(), Failure> {
    let own = tempfile::tempdir_in(dir)?;
    let mut child = Command::new(std::env::current_exe()?);
    let mut child = child.arg("--fill").arg(own.path()).stdout(Stdio::piped()).spawn()?;
    let mut said = [0; 1];
    std::io::Read::read_exact(child.stdout.as_mut().ok_or("no pipe")?, &mut said)?;
    child.kill()?;
    child.wait()?;
    let began = Instant::now();
    let store = wasmill(own.path(), Options::default())?;
    println!("| opening one of 1,000,000 blobs after a kill | {:.0} ms |", began.elapsed().as_secs_f64() * 1e3);
    get(&store, 1_000_000, 1_000, 256)?;
    Ok(())
}

/// Puts a million blobs, says so, and waits for its end.
fn fill(dir: &Path) -> Result<(), Failure> {
    let store: Storage = wasmill(dir, Options::default())?;
    put(&store, 0, 1_000_000, 256)?;
    println!("!");
    thread::sleep(Duration::from_secs(60));
    Ok(())
}

fn space(dir: &Path) -> Result<(), Failure> {
    println!("\nBytes on disk for each byte of content\n\n| size | wasmill |\n|---|--:|");
    for (len, count) in [(4 << 10, 100_000_u64), (64 << 10, 8_000)] {
        let own = tempfile::tempdir_in(dir)?;
        let store = wasmill(own.path(), Options::default())?;
        put(&store, 0, count, len)?;
        store.close()?;
        let store = wasmill(own.path(), Options::default())?;
        let totals = store.totals()?;
        println!("| {len} B | {:.3} |", totals.disk_bytes as f64 / totals.content_bytes as f64);
    }
    Ok(())
}

/// JSON lines that are different for each blob.
fn text(number: u64, len: usize) -> Bytes {
    let mut text = String::with_capacity(len + 80);
    let mut chance = number * 2 + 1;
    while text.len() < len {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!(
            "{{\"job\":\"copy[{}]\",\"status\":\"succeeded\",\"wall_ns\":{}}}\n",
            chance >> 50,
            chance >> 40
        ));
    }
    text.truncate(len);
    text.into()
}

/// What compressing costs and saves.
fn packing(dir: &Path) -> Result<(), Failure> {
    println!("\nJSON lines, one thread, with and without `--store-compress`\n");
    println!("| size | compressed | puts, MB/s | gets, MB/s | bytes on disk for each byte |\n|---|---|--:|--:|--:|");
    for (len, count) in [(4 << 10, 40_000_u64), (64 << 10, 4_000), (16 << 20, 16)] {
        let blobs: Vec<Bytes> = (0..count).map(|number| text(number, len)).collect();
        let total = len as f64 * count as f64 / 1e6;
        for compresses in [false, true] {
            let own = tempfile::tempdir_in(dir)?;
            let options = Options { compresses, blob_cache_bytes: 0, ..Options::default() };
            let store = wasmill(own.path(), options)?;
            let began = Instant::now();
            store.put_all(&mut blobs.iter().cloned())?;
            store.flush()?;
            let puts = total / began.elapsed().as_secs_f64();
            store.close()?;
            let store = wasmill(own.path(), options)?;
            let began = Instant::now();
            for blob in &blobs {
                assert_eq!(Peer::get(&store, blob)?, len);
            }
            let gets = total / began.elapsed().as_secs_f64();
            let totals = store.totals()?;
            let space = totals.disk_bytes as f64 / totals.content_bytes as f64;
            println!("| {len} B | {} | {puts:.0} | {gets:.0} | {space:.2} |", if compresses { "yes" } else { "no" });
        }
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, dir] = args.as_slice()
        && flag == "--fill"
    {
        return fill(Path::new(dir));
    }
    if let [flag, dir] = args.as_slice()
        && flag == "--collect"
    {
        return collect(Path::new(dir));
    }
    let dir = args.first().map_or_else(|| PathBuf::from("."), PathBuf::from);
    match args.get(1).map(String::as_str) {
        Some("large") => return large(&dir, args.get(2).and_then(|len| len.parse().ok())),
        Some("finds") => return finds(&dir),
        Some("alone") => return alone(&dir),
        Some("waiting") => return waiting(&dir),
        Some("packing") => return packing(&dir),
        _ => {}
    }
    puts(&dir)?;
    large(&dir, None)?;
    gets(&dir)?;
    finds(&dir)?;
    waiting(&dir)?;
    alone(&dir)?;
    packing(&dir)?;
    space(&dir)
}
