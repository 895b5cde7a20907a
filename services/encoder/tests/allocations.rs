//! In its steady state a request allocates its answer and nothing else.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use common::load;
use signalbox_encoder::{Arithmetic, Tokenized};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; `alloc` gave the pointer from there.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test alone in its process: another's allocations would be counted too.
#[test]
fn a_request_allocates_its_answer_only() {
    for threads in [1, 2] {
        let encoder = load(Arithmetic::I16, threads);
        let text = |words: usize| encoder.tokenize(&"signal box ".repeat(words)).unwrap();
        for texts in [vec![text(3)], (1..40).map(text).collect::<Vec<Tokenized>>()] {
            let live = AtomicBool::new(false);
            let run = || {
                let before = COUNT.load(Ordering::Relaxed);
                let vectors = encoder.encode(&texts, &live).unwrap();
                let count = COUNT.load(Ordering::Relaxed) - before;
                // Each text's vector, and the list of them.
                (count, vectors.len() + 1)
            };
            // Each thread's buffers grow to the largest group that it happens to get, and a
            // job that a helper has not let go of is replaced: both end.
            let mut last = (0, 0);
            let steady = (0..60).any(|_| {
                let runs = [run(), run(), run()];
                last = runs[2];
                runs.iter().all(|(count, answer)| count == answer)
            });
            assert!(steady, "{threads} threads, {} texts: {last:?}", texts.len());
        }
    }
}
