//! The stores that are compared, each behind the same few calls.
//!
//! Owns: how each peer is asked to keep blobs durably, in the way that suits it best. Does not know: the workloads.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use iroh_blobs::Hash;
use iroh_blobs::store::fs::FsStore;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use wasmill_model::port::BlobStore;
use wasmill_model::{BlobRef, Digest};
use wasmill_storage::{Options, Storage};

pub type Failure = Box<dyn Error + Send + Sync>;

/// How many blobs a peer that commits by itself puts into one transaction.
pub const BATCH: usize = 512;

/// A store of blobs.
pub trait Peer: Sync {
    /// Keeps some blobs. Called by two threads at once.
    fn put_all(&self, blobs: &mut dyn Iterator<Item = Bytes>) -> Result<(), Failure>;
    /// Returns when all that was put is durable.
    fn flush(&self) -> Result<(), Failure>;
    /// Reads a blob that is known by its content.
    fn get(&self, content: &Bytes) -> Result<usize, Failure>;
    /// How long a blob is that may be there, without reading it. Not every peer can say.
    fn find(&self, _digest: &Digest) -> Result<Option<u64>, Failure> {
        Ok(None)
    }
}

impl Peer for Storage {
    fn put_all(&self, blobs: &mut dyn Iterator<Item = Bytes>) -> Result<(), Failure> {
        for blob in blobs {
            self.put(blob)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(self.durable(()).map(|durable| durable.into_inner())?)
    }

    fn get(&self, content: &Bytes) -> Result<usize, Failure> {
        // By what it is called, as the others: without the digest's being computed.
        Ok(BlobStore::get(self, &named(content))?.len())
    }

    fn find(&self, digest: &Digest) -> Result<Option<u64>, Failure> {
        Ok(BlobStore::find(self, digest)?.map(|blob| blob.size_bytes))
    }
}

/// What a blob is called. Digests are computed where blobs are put; who reads knows them.
pub fn named(content: &Bytes) -> BlobRef {
    BlobRef { digest: Digest::from_bytes(Sha256::digest(content).into()), size_bytes: content.len() as u64 }
}

pub fn wasmill(dir: &Path, options: Options) -> Result<Storage, Failure> {
    Ok(Storage::open(dir, options)?)
}

const TABLE: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("blobs");

/// redb alone, a durable commit for each batch.
pub struct Redb(Database);

impl Redb {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let database = Database::create(dir.join("redb"))?;
        let write = database.begin_write()?;
        write.open_table(TABLE)?;
        write.commit()?;
        Ok(Self(database))
    }
}

impl Peer for Redb {
    fn put_all(&self, blobs: &mut dyn Iterator<Item = Bytes>) -> Result<(), Failure> {
        loop {
            let mut batch: Vec<([u8; 32], Bytes)> =
                blobs.take(BATCH).map(|blob| (Sha256::digest(&blob).into(), blob)).collect();
            if batch.is_empty() {
                return Ok(());
            }
            batch.sort_unstable_by_key(|(digest, _)| *digest);
            let write = self.0.begin_write()?;
            {
                let mut table = write.open_table(TABLE)?;
                for (digest, blob) in &batch {
                    table.insert(digest, blob.as_ref())?;
                }
            }
            write.commit()?;
        }
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn get(&self, content: &Bytes) -> Result<usize, Failure> {
        let digest: [u8; 32] = Sha256::digest(content).into();
        let table = self.0.begin_read()?.open_table(TABLE)?;
        Ok(table.get(&digest)?.ok_or("not there")?.value().to_vec().len())
    }

    fn find(&self, digest: &Digest) -> Result<Option<u64>, Failure> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        Ok(table.get(digest.as_bytes())?.map(|blob| blob.value().len() as u64))
    }
}

/// SQLite with a write-ahead log and `synchronous = FULL`, a transaction for each batch.
pub struct Sqlite {
    writer: Mutex<Connection>,
    readers: [Mutex<Connection>; 2],
    next: AtomicU64,
}

impl Sqlite {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let open = || -> Result<Mutex<Connection>, Failure> {
            let connection = Connection::open(dir.join("sqlite"))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch("CREATE TABLE IF NOT EXISTS blobs(digest BLOB PRIMARY KEY, content BLOB)")?;
            Ok(Mutex::new(connection))
        };
        Ok(Self { writer: open()?, readers: [open()?, open()?], next: AtomicU64::new(0) })
    }
}

impl Peer for Sqlite {
    fn put_all(&self, blobs: &mut dyn Iterator<Item = Bytes>) -> Result<(), Failure> {
        loop {
            let batch: Vec<([u8; 32], Bytes)> =
                blobs.take(BATCH).map(|blob| (Sha256::digest(&blob).into(), blob)).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let mut connection = self.writer.lock().map_err(|_| "a thread panicked")?;
            let write = connection.transaction()?;
            {
                let mut insert = write.prepare_cached("INSERT OR IGNORE INTO blobs VALUES (?1, ?2)")?;
                for (digest, blob) in &batch {
                    insert.execute(params![&digest[..], blob.as_ref()])?;
                }
            }
            write.commit()?;
        }
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn get(&self, content: &Bytes) -> Result<usize, Failure> {
        let digest: [u8; 32] = Sha256::digest(content).into();
        let reader = &self.readers[(self.next.fetch_add(1, Ordering::Relaxed) % 2) as usize];
        let connection = reader.lock().map_err(|_| "a thread panicked")?;
        let mut select = connection.prepare_cached("SELECT content FROM blobs WHERE digest = ?1")?;
        let found: Option<Vec<u8>> = select.query_row([&digest[..]], |row| row.get(0)).optional()?;
        Ok(found.ok_or("not there")?.len())
    }

    fn find(&self, digest: &Digest) -> Result<Option<u64>, Failure> {
        let connection = self.readers[0].lock().map_err(|_| "a thread panicked")?;
        let mut select = connection.prepare_cached("SELECT length(content) FROM blobs WHERE digest = ?1")?;
        let len: Option<i64> = select.query_row([&digest.as_bytes()[..]], |row| row.get(0)).optional()?;
        Ok(len.map(i64::cast_unsigned))
    }
}

/// A file for each blob, synced and renamed.
pub struct Files {
    dir: PathBuf,
    next: AtomicU64,
}

impl Files {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        for first in 0..=255_u8 {
            fs::create_dir_all(dir.join(format!("{first:02x}")))?;
        }
        Ok(Self { dir: dir.to_owned(), next: AtomicU64::new(0) })
    }

    fn path(&self, content: &Bytes) -> PathBuf {
        let hex = Digest::of(content).to_hex();
        self.dir.join(&hex[..2]).join(hex)
    }
}

impl Peer for Files {
    fn put_all(&self, blobs: &mut dyn Iterator<Item = Bytes>) -> Result<(), Failure> {
        for blob in blobs {
            let path = self.path(&blob);
            let temp = self.dir.join(format!("new-{}", self.next.fetch_add(1, Ordering::Relaxed)));
            let mut file = File::create(&temp)?;
            file.write_all(&blob)?;
            file.sync_data()?;
            fs::rename(temp, path)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn get(&self, content: &Bytes) -> Result<usize, Failure> {
        Ok(fs::read(self.path(content))?.len())
    }
}

/// iroh-blobs, which hashes with BLAKE3, and does not sync what it writes.
pub struct Iroh {
    runtime: Runtime,
    store: FsStore,
}

impl Iroh {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let store = runtime.block_on(FsStore::load(dir))?;
        Ok(Self { runtime, store })
    }
}

impl Peer for Iroh {
    fn put_all(&self, blobs: &mut dyn Iterator<Item = Bytes>) -> Result<(), Failure> {
        loop {
            let batch: Vec<Bytes> = blobs.take(64).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.runtime.block_on(async {
                let added: Vec<_> = batch
                    .into_iter()
                    .map(|blob| {
                        let store = self.store.clone();
                        tokio::spawn(async move { store.add_bytes(blob).temp_tag().await.map(drop) })
                    })
                    .collect();
                for one in added {
                    one.await??;
                }
                Ok::<(), Failure>(())
            })?;
        }
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn get(&self, content: &Bytes) -> Result<usize, Failure> {
        let hash = Hash::new(content);
        Ok(self.runtime.block_on(async { self.store.get_bytes(hash).await })?.len())
    }
}
