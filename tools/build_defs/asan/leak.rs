//! Forgets a heap allocation, on purpose: the leak check has to report it. Without the
//! sanitizer the test passes.

#[test]
fn a_forgotten_allocation_is_reported() {
    std::mem::forget(std::hint::black_box(vec![7_u8; 4096]));
}
