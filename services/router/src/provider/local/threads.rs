//! How many threads the arithmetic takes.
//!
//! candle chooses that once for the process, and only its environment can overrule it:
//! `RAYON_NUM_THREADS`, else the machine's physical cores. That last figure ignores a
//! container's limit, and threads that share a core spin while they wait for each
//! other. (`CANDLE_NUM_THREADS` rules the quantized products alone; the attention's
//! would still use rayon's count.) So this does what is left: it says so.

use std::thread;

/// The threads of candle's pool, the caller's included. Warns where there are more of
/// them than cores to run on.
pub(super) fn check() -> usize {
    let threads = candle_core::utils::barrier_pool().n_workers() + 1;
    // Unlike candle's own count, this one knows affinity and cgroup quotas.
    let cores = thread::available_parallelism().map_or(threads, Into::into);
    if let Some(advice) = advice(threads, cores) {
        tracing::warn!(threads, cores, "{advice}");
    }
    threads
}

fn advice(threads: usize, cores: usize) -> Option<String> {
    (threads > cores).then(|| {
        format!(
            "the local model's threads outnumber the cores that this process may use, which \
             slows it many times over; start it with RAYON_NUM_THREADS={cores}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_cores_are_advised_against() {
        assert_eq!(advice(2, 2), None);
        assert_eq!(advice(1, 4), None);
        let advice = advice(64, 2).unwrap_or_default();
        assert!(advice.ends_with("RAYON_NUM_THREADS=2"), "{advice}");
    }
}
