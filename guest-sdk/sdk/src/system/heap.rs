//! A heap that is small as a program: `malloc` and what belongs to it.
//!
//! Owns: memory that is allocated, by two-level segregated fits (Masmano et al., 2004). Rust's own allocator is this one as well, as `std`
//! asks libc; libc's dlmalloc, which is 13 KB, is not linked where there is another. A program is free to have a `#[global_allocator]`.
//! Does not know: who allocates what.

use std::alloc::Layout;
use std::arch::wasm32::{memory_grow, memory_size};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

use rlsf::{FlexSource, FlexTlsf};

const PAGE: usize = 1 << 16;
/// What C promises of every pointer.
const ALIGN: usize = 16;
const OUT_OF_MEMORY: i32 = 48;

/// The end of memory, which can be moved. (The crate's own source for WebAssembly takes a pool never to end there, and makes a new one each
/// time.)
struct Pages;

// SAFETY: what is given is new, and what is added lies behind what was given.
unsafe impl FlexSource for Pages {
    unsafe fn alloc(&mut self, bytes_min: usize) -> Option<NonNull<[u8]>> {
        let pages = bytes_min.div_ceil(PAGE);
        match memory_grow::<0>(pages) {
            usize::MAX => None,
            begin => NonNull::new(ptr::slice_from_raw_parts_mut((begin * PAGE) as *mut u8, pages * PAGE)),
        }
    }

    unsafe fn realloc_inplace_grow(&mut self, pool: NonNull<[u8]>, bytes_min: usize) -> Option<usize> {
        let end = memory_size::<0>() * PAGE;
        if pool.as_ptr().cast::<u8>() as usize + pool.len() != end {
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

// SAFETY: the target has one thread.
unsafe impl Sync for Heap {}

static HEAP: Heap = Heap(UnsafeCell::new(FlexTlsf::new(Pages)));

#[inline(never)]
fn allocate(bytes: usize, align: usize) -> *mut u8 {
    let Ok(layout) = Layout::from_size_align(bytes, align.max(ALIGN)) else { return ptr::null_mut() };
    // SAFETY: nothing else has it, as nothing here calls anything that allocates.
    unsafe { &mut *HEAP.0.get() }.allocate(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
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
    let at = allocate(bytes, align);
    if at.is_null() {
        return OUT_OF_MEMORY;
    }
    // SAFETY: whoever calls this says so.
    unsafe { to.write(at) };
    0
}

/// # Safety
/// `at` was allocated here, or is null.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(at: *mut u8) {
    if let Some(at) = NonNull::new(at) {
        // SAFETY: it was allocated with an alignment of 16 or more, and those are all treated as one.
        unsafe { (*HEAP.0.get()).deallocate(at, ALIGN) };
    }
}

/// # Safety
/// `at` was allocated here, or is null.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(at: *mut u8, bytes: usize) -> *mut u8 {
    let Some(at) = NonNull::new(at) else { return allocate(bytes, ALIGN) };
    let Ok(layout) = Layout::from_size_align(bytes, ALIGN) else { return ptr::null_mut() };
    // SAFETY: as for `free`.
    unsafe { (*HEAP.0.get()).reallocate(at, layout) }.map_or(ptr::null_mut(), NonNull::as_ptr)
}
