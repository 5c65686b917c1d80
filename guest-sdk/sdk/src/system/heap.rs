//! A heap that is small as a program.
//!
//! Owns: memory that is allocated, by two-level segregated fits (Masmano et al., 2004), for Rust and for C: `malloc` and what belongs to it
//! are here as well, because libc's own, which are 13 KB, are linked where nobody else has them, for reading the environment. Does not
//! know: who allocates what.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

use rlsf::{FlexSource, FlexTlsf};

const PAGE: usize = 1 << 16;
/// What C promises of every pointer; Rust says what it wants.
const ALIGN: usize = 16;
const OUT_OF_MEMORY: i32 = 48;
const INVALID: i32 = 28;

/// The end of memory, which can be moved. (The crate's own source for WebAssembly takes a pool never to end there, and makes a new one each
/// time.)
struct Pages;

// SAFETY: what is given is new, and what is added lies behind what was given.
unsafe impl FlexSource for Pages {
    unsafe fn alloc(&mut self, bytes_min: usize) -> Option<NonNull<[u8]>> {
        let pages = bytes_min.div_ceil(PAGE);
        match memory_grow::<0>(pages) {
            usize::MAX => None,
            begin => NonNull::new(ptr::slice_from_raw_parts_mut(begin.wrapping_mul(PAGE) as *mut u8, pages * PAGE)),
        }
    }

    unsafe fn realloc_inplace_grow(&mut self, pool: NonNull<[u8]>, bytes_min: usize) -> Option<usize> {
        // All of memory ends at 0.
        let end = memory_size::<0>().wrapping_mul(PAGE);
        if (pool.as_ptr().cast::<u8>() as usize).wrapping_add(pool.len()) != end {
            return None;
        }
        let pages = (bytes_min - pool.len()).div_ceil(PAGE);
        (memory_grow::<0>(pages) != usize::MAX).then_some(pool.len() + pages * PAGE)
    }

    fn supports_realloc_inplace_grow(&self) -> bool {
        true
    }

    fn min_align(&self) -> usize {
        PAGE
    }
}

struct Heap(UnsafeCell<FlexTlsf<Pages, u32, u16, 28, 16>>);

// SAFETY: the target has one thread: elsewhere this is not compiled.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(FlexTlsf::new(Pages)));

impl Heap {
    /// For as long as one call takes.
    fn with<T>(&self, work: impl FnOnce(&mut FlexTlsf<Pages, u32, u16, 28, 16>) -> T) -> T {
        // SAFETY: nothing else has it, as there is one thread and nothing in here calls anything that allocates.
        work(unsafe { &mut *self.0.get() })
    }

    #[inline(never)]
    fn allocate(&self, layout: Layout) -> *mut u8 {
        self.with(|heap| heap.allocate(layout)).map_or(ptr::null_mut(), NonNull::as_ptr)
    }
}

// SAFETY: what is given is as large and as aligned as was asked for, and nobody else's until it is given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocate(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: whoever calls this says that it was allocated with this layout.
        self.with(|heap| unsafe { heap.deallocate(NonNull::new_unchecked(at), layout.align()) });
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`; the new size is one that a layout may have.
        let grown = self.with(|heap| unsafe {
            heap.reallocate(NonNull::new_unchecked(at), Layout::from_size_align_unchecked(size, layout.align()))
        });
        grown.map_or(ptr::null_mut(), NonNull::as_ptr)
    }
}

/// For C, whose `free` says no alignment: it is 16 or more, which the heap treats alike.
fn allocate(bytes: usize, align: usize) -> *mut u8 {
    Layout::from_size_align(bytes, align.max(ALIGN)).map_or(ptr::null_mut(), |layout| HEAP.allocate(layout))
}

#[unsafe(no_mangle)]
extern "C" fn malloc(bytes: usize) -> *mut u8 {
    allocate(bytes, ALIGN)
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, of: usize) -> *mut u8 {
    let Some(bytes) = count.checked_mul(of) else { return ptr::null_mut() };
    let at = allocate(bytes, ALIGN);
    if !at.is_null() {
        // SAFETY: so much was allocated.
        unsafe { at.write_bytes(0, bytes) };
    }
    at
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, bytes: usize) -> *mut u8 {
    allocate(bytes, align)
}

/// # Safety
/// `to` can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(to: *mut *mut u8, align: usize, bytes: usize) -> i32 {
    if !align.is_power_of_two() {
        return INVALID;
    }
    let at = allocate(bytes, align);
    if at.is_null() {
        return OUT_OF_MEMORY;
    }
    // SAFETY: whoever calls this says so.
    unsafe { to.write(at) };
    0
}

/// # Safety
/// `at` was allocated by these functions, or is null.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(at: *mut u8) {
    if let Some(at) = NonNull::new(at) {
        // SAFETY: it was allocated with an alignment of 16 or more.
        HEAP.with(|heap| unsafe { heap.deallocate(at, ALIGN) });
    }
}

/// # Safety
/// `at` was allocated by these functions, or is null.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(at: *mut u8, bytes: usize) -> *mut u8 {
    let Some(at) = NonNull::new(at) else { return allocate(bytes, ALIGN) };
    let Ok(layout) = Layout::from_size_align(bytes, ALIGN) else { return ptr::null_mut() };
    // SAFETY: as for `free`.
    HEAP.with(|heap| unsafe { heap.reallocate(at, layout) }).map_or(ptr::null_mut(), NonNull::as_ptr)
}
