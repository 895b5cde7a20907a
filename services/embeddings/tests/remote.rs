//! Remote models against a server that fails on demand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use signalbox_embeddings::{
    remote::{self, Kind, Remote, RemoteConfig, RemoteError, Terms},
    request::{EmbedError, Embedded, WhenFull},
};
use signalbox_encoder::InputType;
use signalbox_fault_upstream::{End, FaultUpstream};
use tokio::task::JoinSet;

/// Far above what any of these takes; only a hang reaches it.
const HANG: Duration = Duration::from_secs(30);

const KEY: &str = "sk-test-0123456789";

const QUERY: Terms = Terms {
    input_type: InputType::Query,
    bulk: false,
    when_full: WhenFull::Refuse,
};

fn config(upstream: &FaultUpstream, kind: Kind, model: &str) -> RemoteConfig {
    let base = match kind {
        Kind::Openai => upstream.base_url(),
        Kind::Cohere => format!("http://{}", upstream.addr),
    };
    RemoteConfig {
        kind,
        model: model.to_owned(),
        base_url: Some(base),
        api_key_env: Some("KEY".to_owned()),
        dimensions: 8,
        // Retries are tested by what they do; their times are tested in `retry`.
        retry_delay_ms: 1,
        ..RemoteConfig::default()
    }
}

/// A model whose provider shortens its vectors.
fn shortened(upstream: &FaultUpstream, kind: Kind) -> RemoteConfig {
    RemoteConfig {
        dimensions: 4,
        send_dimensions: true,
        ..config(upstream, kind, "ok")
    }
}

fn build(config: &RemoteConfig) -> Remote {
    remote::build("mine", config, |_| Some(KEY.to_owned())).unwrap()
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("text number {n}")).collect()
}

async fn embed(remote: &Remote, texts: &[String]) -> Result<Vec<Embedded>, RemoteError> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    remote.embed(&texts, QUERY).await
}

async fn ask(kind: Kind, model: &str) -> (FaultUpstream, Result<Vec<Embedded>, RemoteError>) {
    let upstream = FaultUpstream::start().await;
    let remote = build(&config(&upstream, kind, model));
    let result = embed(&remote, &texts(2)).await;
    (upstream, result)
}

fn bodies(upstream: &FaultUpstream) -> Vec<Value> {
    let records = upstream.records();
    records.into_iter().map(|record| record.body).collect()
}

#[tokio::test]
async fn openai_is_asked_and_read_as_its_reference_says() {
    let upstream = FaultUpstream::start().await;
    let found = embed(&build(&shortened(&upstream, Kind::Openai)), &texts(2)).await;
    let found = found.unwrap();

    let expected = json!({
        "model": "ok", "input": ["text number 0", "text number 1"],
        "encoding_format": "base64", "dimensions": 4,
    });
    assert_eq!(bodies(&upstream), [expected]);
    assert_eq!(upstream.records()[0].path, "/v1/embeddings");
    assert_eq!(found.iter().map(|one| one.tokens).sum::<u32>(), 6);
    for one in &found {
        assert_eq!((one.vector.len(), one.truncated), (4, false));
        let square: f32 = one.vector.iter().map(|value| value * value).sum();
        assert!((square - 1.0).abs() < 1e-6);
    }
    assert_ne!(found[0].vector, found[1].vector);
}

#[tokio::test]
async fn cohere_is_asked_and_read_as_its_reference_says() {
    let upstream = FaultUpstream::start().await;
    let found = embed(&build(&shortened(&upstream, Kind::Cohere)), &texts(1)).await;
    let expected = json!({
        "model": "ok", "texts": ["text number 0"], "input_type": "search_query",
        "embedding_types": ["float"], "truncate": "NONE", "output_dimension": 4,
    });
    assert_eq!(bodies(&upstream), [expected]);
    assert_eq!(upstream.records()[0].path, "/v2/embed");
    assert_eq!(found.unwrap()[0].tokens, 3);
}

#[tokio::test]
async fn many_texts_are_sent_in_batches_and_come_back_in_order() {
    for (kind, field, most) in [(Kind::Cohere, "texts", 96), (Kind::Openai, "input", 2048)] {
        let upstream = FaultUpstream::start().await;
        let remote = build(&config(&upstream, kind, "ok"));
        let texts = texts(2 * most + 8);
        let found = embed(&remote, &texts).await.unwrap();
        let mut sizes: Vec<usize> = bodies(&upstream)
            .iter()
            .map(|body| body[field].as_array().unwrap().len())
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [8, most, most]);
        for index in [0, most - 1, most, texts.len() - 1] {
            let alone = embed(&remote, &texts[index..=index]).await.unwrap();
            assert_eq!(alone[0].vector, found[index].vector, "{index}");
        }
    }
}

#[tokio::test]
async fn what_fails_in_passing_is_asked_again() {
    for fault in [
        "status=503",
        "status=500",
        "status=429,retry-after=0",
        "reset",
        "cut-after=1",
    ] {
        for kind in [Kind::Openai, Kind::Cohere] {
            let (upstream, result) = ask(kind, &format!("fail-first=2,{fault}")).await;
            assert_eq!(result.unwrap().len(), 2, "{fault}");
            assert_eq!(upstream.records().len(), 3, "{fault}");
        }
    }
}

#[tokio::test]
async fn retries_end() {
    let (upstream, result) = ask(Kind::Openai, "status=503").await;
    assert!(
        matches!(result, Err(RemoteError::Failed { .. })),
        "{result:?}"
    );
    assert_eq!(upstream.records().len(), 4);
}

#[tokio::test]
async fn a_time_that_is_too_far_off_is_told_at_once() {
    let (upstream, result) = ask(Kind::Cohere, "status=429,retry-after=3600").await;
    let error = result.unwrap_err();
    assert_eq!(upstream.records().len(), 1);
    let RemoteError::Overloaded { retry_after, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_with_the_texts_and_not_asked_again() {
    let (upstream, result) = ask(Kind::Openai, "status=400").await;
    let error = EmbedError::from(result.unwrap_err());
    assert_eq!(upstream.records().len(), 1);
    let EmbedError::Invalid { field, fix } = error else {
        panic!("{error:?}");
    };
    assert_eq!(field, "input");
    for part in ["[0] to [1]", "400", "as it was asked to"] {
        assert!(fix.contains(part), "{fix}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_said_and_not_shown() {
    let (upstream, result) = ask(Kind::Cohere, "status=401").await;
    let error = result.unwrap_err();
    assert!(matches!(error, RemoteError::Unauthorized { .. }));
    assert!(!format!("{error} {error:?}").contains(KEY));
    assert_eq!(upstream.records().len(), 1);
}

#[tokio::test]
async fn a_broken_answer_is_an_error_and_not_a_vector() {
    for (model, part) in [
        ("malformed-after=0", "EOF"),
        ("error-after=0", "missing field"),
    ] {
        let (_, result) = ask(Kind::Openai, model).await;
        let error = result.unwrap_err();
        assert!(matches!(error, RemoteError::Broken { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn vectors_of_another_length_than_configured_are_refused() {
    let upstream = FaultUpstream::start().await;
    let config = RemoteConfig {
        dimensions: 16,
        ..config(&upstream, Kind::Openai, "ok")
    };
    let error = embed(&build(&config), &texts(1)).await.unwrap_err();
    assert!(
        error.to_string().contains("8 dimensions, not 16"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_without_usage_has_no_tokens() {
    for kind in [Kind::Openai, Kind::Cohere] {
        let (_, result) = ask(kind, "no-usage").await;
        assert!(result.unwrap().iter().all(|one| one.tokens == 0));
    }
}

#[tokio::test]
async fn silence_ends_with_the_call_s_time() {
    let upstream = FaultUpstream::start().await;
    let config = RemoteConfig {
        timeout_ms: 50,
        ..config(&upstream, Kind::Openai, "stall")
    };
    let error = embed(&build(&config), &texts(1)).await.unwrap_err();
    assert!(matches!(error, RemoteError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn our_own_rate_is_kept_and_told() {
    let upstream = FaultUpstream::start().await;
    let config = RemoteConfig {
        requests_per_minute: 1.try_into().ok(),
        timeout_ms: 5_000,
        ..config(&upstream, Kind::Openai, "ok")
    };
    let remote = build(&config);
    embed(&remote, &texts(1)).await.unwrap();
    let error = embed(&remote, &texts(1)).await.unwrap_err();
    let RemoteError::Overloaded { retry_after, .. } = error else {
        panic!("{error:?}");
    };
    let wait = retry_after.unwrap();
    assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60));
    assert_eq!(upstream.records().len(), 1);
}

#[tokio::test]
async fn calls_wait_their_turn_and_one_too_many_is_refused() {
    let upstream = FaultUpstream::start().await;
    let config = RemoteConfig {
        max_concurrent_requests: 1.try_into().unwrap(),
        max_waiting: 1,
        ..config(&upstream, Kind::Openai, "stall")
    };
    let remote = Arc::new(build(&config));
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let remote = Arc::clone(&remote);
        calls.spawn(async move { embed(&remote, &texts(1)).await });
    }
    upstream
        .wait_for(|records| records.len() == 1, HANG)
        .await
        .unwrap();
    let error = embed(&remote, &texts(1)).await.unwrap_err();
    assert!(matches!(error, RemoteError::Full { .. }), "{error:?}");
    assert_eq!(upstream.records().len(), 1);
}

#[tokio::test]
async fn what_the_operator_has_to_mend_is_no_caller_s_fault() {
    for status in [402, 404] {
        let (upstream, result) = ask(Kind::Openai, &format!("status={status}")).await;
        let error = result.unwrap_err();
        assert!(
            matches!(error, RemoteError::Misconfigured { .. }),
            "{error:?}"
        );
        assert_eq!(upstream.records().len(), 1);
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_its_requests_up() {
    let upstream = FaultUpstream::start().await;
    let remote = build(&config(&upstream, Kind::Openai, "stall"));
    let call = tokio::spawn(async move { embed(&remote, &texts(1)).await });
    upstream
        .wait_for(|records| records.len() == 1, HANG)
        .await
        .unwrap();
    call.abort();
    upstream
        .wait_for(
            |records| records[0].outcome.end == End::ClientDisconnected,
            HANG,
        )
        .await
        .unwrap();
}
