use super::*;
use crate::{provider::ProviderError, testing::failed};

fn provider() -> String {
    "a".to_owned()
}

fn errors_that_another_may_not_have() -> Vec<ProviderError> {
    let detail = || "because".to_owned();
    vec![
        failed(),
        ProviderError::Unreachable {
            provider: provider(),
            detail: detail(),
        },
        ProviderError::Timeout {
            provider: provider(),
            phase: "first token",
            limit: Duration::from_secs(1),
        },
        ProviderError::Overloaded {
            provider: provider(),
            detail: detail(),
            retry_after: None,
        },
        ProviderError::Unauthorized {
            provider: provider(),
        },
        ProviderError::Broken {
            provider: provider(),
            detail: detail(),
        },
    ]
}

#[tokio::test]
async fn a_provider_that_refuses_is_replaced_by_the_next_by_score() {
    for error in errors_that_another_may_not_have() {
        let name = error.to_string();
        let fixture = Fixture::new(
            vec![Script::Refuse(error)],
            vec![answer(&["Hi"], (5, 0, 1))],
        )
        .await;
        let unary = fixture.router.complete(prompt("auto", "Hi")).await.unwrap();
        assert_eq!(&*unary.answering.model.name, "big", "{name}");
        let stream = fixture.router.stream(prompt("auto", "Hi")).await.unwrap();
        assert_eq!(collect(stream).await.unwrap().0, "Hi", "{name}");
        let rows = fixture.booked().await;
        assert_eq!(rows.len(), 1, "a refusal costs nothing");
        assert_eq!((&*rows[0].model, rows[0].totals.requests), ("big", 2));
    }
}

#[tokio::test]
async fn a_wrong_request_is_wrong_everywhere() {
    let rejected = ProviderError::Rejected {
        provider: provider(),
        field: Some("max_tokens".to_owned()),
        detail: "too large".to_owned(),
    };
    let fixture = Fixture::new(vec![Script::Refuse(rejected.clone())], vec![]).await;
    let error = fixture
        .router
        .complete(prompt("auto", "Hi"))
        .await
        .unwrap_err();
    let RouteError::Attempts { last, earlier } = error else {
        panic!("{error}");
    };
    assert_eq!((last.error, earlier.len()), (rejected, 0));
    assert!(fixture.b.calls().is_empty());
}

#[tokio::test]
async fn a_pinned_model_is_not_replaced() {
    let fixture = Fixture::new(vec![Script::Refuse(failed())], vec![]).await;
    fixture
        .router
        .complete(prompt("small", "Hi"))
        .await
        .unwrap_err();
    assert!(fixture.b.calls().is_empty());
}

#[tokio::test]
async fn when_all_fail_the_error_says_who_was_tried() {
    let scripts = || vec![Script::Refuse(failed())];
    let fixture = Fixture::new(scripts(), scripts()).await;
    let error = fixture
        .router
        .stream(prompt("auto", "Hi"))
        .await
        .err()
        .unwrap();
    let RouteError::Attempts { last, earlier } = error else {
        panic!("{error}");
    };
    assert_eq!(
        (&*last.model, earlier.len(), &*earlier[0].model),
        ("big", 1, "small")
    );
}

#[tokio::test]
async fn a_unary_answer_that_breaks_midway_is_answered_whole_by_the_next() {
    let broken = Script::Answer(vec![Act::Text("Once upon"), Act::Fail(failed())]);
    let fixture = Fixture::new(vec![broken], vec![answer(&["A whole answer"], (5, 0, 3))]).await;
    let whole = fixture.router.complete(prompt("auto", "Hi")).await.unwrap();
    assert_eq!(whole.text, "A whole answer");
    let rows = fixture.booked().await;
    assert_eq!(
        (&*rows[0].model, rows[0].totals.completion_tokens),
        ("big", 3)
    );
    assert_eq!(
        (
            &*rows[1].model,
            rows[1].totals.completion_tokens,
            rows[1].totals.estimated_requests
        ),
        ("small", 3, 1),
        "what the broken attempt generated was paid for"
    );
}

#[tokio::test]
async fn a_cut_answer_is_never_a_success() {
    let cut = Script::Answer(vec![Act::Text("Once upon a"), Act::Usage(3, 0, 3)]);
    let off = json!({"guardrails": {"completion": "off"}});
    let fixture = Fixture::with(vec![cut], vec![], Arc::new(NoGuard), &off).await;
    let error = fixture
        .router
        .complete(prompt("small", "Hi"))
        .await
        .unwrap_err();
    let RouteError::Attempts { last, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(last.error, ProviderError::Broken { .. }));

    let mut stream = fixture.router.stream(prompt("auto", "Hi")).await.unwrap();
    assert!(matches!(
        stream.next().await,
        Some(Ok(AnswerEvent::Begin(_)))
    ));
    assert!(matches!(
        stream.next().await,
        Some(Ok(AnswerEvent::Text(_)))
    ));
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, RouteError::Attempts { .. }), "{error}");
    assert!(stream.next().await.is_none());
    assert!(
        fixture.b.calls().is_empty(),
        "the caller has seen text: no other may begin anew"
    );
    assert_eq!(fixture.booked().await[0].totals.completion_tokens, 6);
}

#[tokio::test]
async fn a_stream_of_which_nothing_has_left_begins_anew_at_the_next() {
    let broken = Script::Answer(vec![Act::Text("Held back"), Act::Fail(failed())]);
    let fixture = Fixture::new(vec![broken], vec![answer(&["A whole answer"], (5, 0, 3))]).await;
    let stream = fixture.router.stream(prompt("auto", "Hi")).await.unwrap();
    let (text, settlement) = collect(stream).await.unwrap();
    assert_eq!(
        (text.as_str(), settlement.usage.completion),
        ("A whole answer", 3)
    );
    assert_eq!(fixture.booked().await.len(), 2);
}

#[tokio::test]
async fn text_after_the_end_is_a_broken_answer() {
    let acts = vec![
        Act::Text("a"),
        Act::Finish(FinishReason::Stop),
        Act::Text("b"),
    ];
    let fixture = Fixture::new(vec![Script::Answer(acts)], vec![]).await;
    let error = fixture
        .router
        .complete(prompt("small", "Hi"))
        .await
        .unwrap_err();
    let RouteError::Attempts { last, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(last.error, ProviderError::Broken { .. }));
}

#[tokio::test]
async fn the_latency_strategy_leaves_a_failing_model_alone_for_a_while() {
    let routes = json!({"routes": {"fast": {"strategy": "latency", "models": ["small", "big"]}}});
    let scripts = vec![Script::Refuse(failed())];
    let fixture = Fixture::with(
        scripts,
        vec![answer(&["Hi"], (1, 0, 1))],
        Arc::new(NoGuard),
        &routes,
    )
    .await;
    for _ in 0..10 {
        fixture.router.complete(prompt("fast", "Hi")).await.unwrap();
    }
    assert_eq!((fixture.a.calls().len(), fixture.b.calls().len()), (1, 10));
}
