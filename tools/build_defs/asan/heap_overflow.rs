//! Reads one byte past a heap allocation, on purpose: AddressSanitizer has to stop it.
//! Without the sanitizer the test passes, for nothing else sees the read.

#[test]
fn a_read_past_the_heap_is_stopped() {
    let bytes = std::hint::black_box(vec![1_u8; 64]);
    let end = std::hint::black_box(bytes.len());
    // SAFETY: none. This is the fault that the sanitizer is there to report.
    let past = unsafe { bytes.as_ptr().add(end).read_volatile() };
    std::hint::black_box(past);
}
