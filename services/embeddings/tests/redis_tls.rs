//! The cache on a Redis that speaks mutual TLS alone. That jobs do so too is part of
//! `jobs_outage`.

#![allow(clippy::unwrap_used)]

mod certificates;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use certificates::{Certificates, url};
use signalbox_embeddings::{
    RedisTls,
    cache::{Cache, CacheConfig, KeyPrefix},
    request::{Embedded, Inputs, Priority},
};
use signalbox_encoder::InputType;
use signalbox_test_servers::Redis;

/// Whether a process that has nothing in memory has to compute the text.
async fn computes(redis: &Redis, tls: RedisTls) -> bool {
    let cache = Cache::new(&CacheConfig {
        max_bytes: 0,
        redis_url: url(redis),
        redis_tls: tls,
        // Of Redis on a busy machine.
        redis_timeout_ms: 5_000,
        ..CacheConfig::default()
    });
    let computed = AtomicUsize::new(0);
    let compute = async |positions: Vec<usize>| {
        computed.fetch_add(1, Ordering::Relaxed);
        let result = Embedded {
            vector: vec![0.25, -0.5, 0.125],
            tokens: 7,
            truncated: false,
        };
        Ok(vec![result; positions.len()])
    };
    let prefix = KeyPrefix::new("model", "revision", 3, InputType::Unspecified, "");
    let inputs = Inputs::Texts(vec!["a".to_owned()]);
    let answer = cache
        .unwrap()
        .embed(&prefix, &inputs, Priority::Interactive, compute)
        .await;
    assert_eq!(answer.unwrap().len(), 1);
    computed.load(Ordering::Relaxed) == 1
}

#[tokio::test]
async fn whoever_has_the_certificates_shares_results_and_nobody_else() {
    let certificates = Certificates::new();
    let redis = certificates.redis();
    assert!(computes(&redis, certificates.client()).await);
    // Writing happens beside the request.
    let end = Instant::now() + Duration::from_secs(20);
    while computes(&redis, certificates.client()).await {
        assert!(Instant::now() < end, "nothing is shared");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Neither one that shows no certificate, nor one that does not believe Redis's.
    let nameless = RedisTls {
        ca: Some(certificates.authority.clone()),
        ..RedisTls::default()
    };
    assert!(computes(&redis, nameless).await);
    let other = Certificates::new();
    let stranger = RedisTls {
        ca: Some(other.authority.clone()),
        ..certificates.client()
    };
    assert!(computes(&redis, stranger).await);
    assert!(!computes(&redis, certificates.client()).await);
}
