//! How a store is tuned, and how a new one is laid out.
//!
//! Owns: the options and why each default is what it is. Does not know: what a store keeps.

/// How a store is tuned. Only `layout` changes what is on disk, and only where a store is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many bytes of the index are cached in memory.
    pub index_cache_bytes: usize,
    /// How many bytes of small blobs are kept in memory once they were read.
    pub blob_cache_bytes: usize,
    /// How many bytes may wait to be written before whoever hands in more is made to wait. As much again can be
    /// on its way to the disk.
    pub waiting_bytes_max: usize,
    /// How many entries of the log may be missing in the index before they are brought into it.
    pub unindexed_max: usize,
    /// Whether blobs are compressed where that pays. Then large ones are not mapped but unpacked, and writing costs more
    /// time of the processor.
    pub compresses: bool,
    /// How a store is laid out where there is none yet. One that exists keeps its own layout.
    pub layout: Layout,
}

impl Options {
    /// 4 MiB: a row is found by reading one page, and what is not there by reading none, nearly always. With 64 MiB, which a million blobs
    /// have filled, it takes 0.6 us less, and a run's memory grows by as much.
    pub const INDEX_CACHE_BYTES_DEFAULT: usize = 4 << 20;
    /// 512 MiB, which is only taken where that much was read.
    pub const BLOB_CACHE_BYTES_DEFAULT: usize = 512 << 20;
    /// 16 MiB: some ten thousand jobs' small blobs and results, far more than one commit takes to write.
    pub const WAITING_BYTES_MAX_DEFAULT: usize = 16 << 20;
    /// 32,768: a commit of the index costs several milliseconds, however few rows it has, and until then they are in memory; and twice
    /// as many entries, which is the most that a kill can leave, are read from the log in a tenth of a second.
    pub const UNINDEXED_MAX_DEFAULT: usize = 1 << 15;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            index_cache_bytes: Self::INDEX_CACHE_BYTES_DEFAULT,
            blob_cache_bytes: Self::BLOB_CACHE_BYTES_DEFAULT,
            waiting_bytes_max: Self::WAITING_BYTES_MAX_DEFAULT,
            unindexed_max: Self::UNINDEXED_MAX_DEFAULT,
            compresses: false,
            layout: Layout::default(),
        }
    }
}

/// How a store is laid out; recorded in its `FORMAT` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// How large a segment of the log becomes, in bytes: 4 KiB to 1 GiB.
    pub segment_bytes: u32,
    /// The largest blob that goes into the log, in bytes: at most a quarter of a segment. Larger ones get a file
    /// each.
    pub logged_bytes_max: u32,
}

impl Layout {
    /// The smallest and the largest segment.
    pub(crate) const SEGMENT_BYTES: std::ops::RangeInclusive<u32> = 4 << 10..=1 << 30;

    /// This layout with everything brought within its bounds.
    #[must_use]
    pub fn clamped(self) -> Self {
        let segment_bytes = self.segment_bytes.clamp(*Self::SEGMENT_BYTES.start(), *Self::SEGMENT_BYTES.end());
        Self { segment_bytes, logged_bytes_max: self.logged_bytes_max.min(segment_bytes / 4) }
    }
}

impl Default for Layout {
    /// Segments of 64 MiB, so that rewriting a mostly dead one is quick, and blobs of up to 1 MiB in them: making a
    /// file costs as much as writing 300 KiB, and keeps ranges of a large blob apart from everything else.
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, logged_bytes_max: 1 << 20 }
    }
}
