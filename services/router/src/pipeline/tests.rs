#![allow(clippy::unwrap_used)]

mod failover;
mod guarded;

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::*;
use crate::{
    chat::Role,
    guard::NoGuard,
    ledger::Totals,
    testing::{Act, Fixture, Script, answer},
};

pub(super) fn prompt(target: &str, content: &str) -> Prompt {
    Prompt {
        target: target.to_owned(),
        messages: vec![Message {
            role: Role::User,
            content: content.to_owned(),
            name: None,
        }],
        sampling: Sampling::default(),
        user: "alice".into(),
        deadline: None,
    }
}

/// The text of a stream and how it ended.
pub(super) async fn collect(stream: AnswerStream) -> Result<(String, Settlement), RouteError> {
    let events: Vec<_> = stream.try_collect().await?;
    assert!(matches!(events[0], AnswerEvent::Begin(_)));
    let mut text = String::new();
    for event in &events[1..events.len() - 1] {
        let AnswerEvent::Text(piece) = event else {
            panic!("{event:?} amid the text");
        };
        assert!(!piece.is_empty());
        text.push_str(piece);
    }
    let Some(AnswerEvent::End(settlement)) = events.last() else {
        panic!("no end");
    };
    Ok((text, settlement.clone()))
}

/// Lets tasks run that are ready.
pub(super) async fn settle_down() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_is_booked_exactly_before_it_is_seen() {
    let script = answer(&["Hello", " there"], (10, 4, 2));
    let fixture = Fixture::new(vec![script], vec![]).await;
    let answer = fixture
        .router
        .complete(prompt("small", "Hi"))
        .await
        .unwrap();
    assert_eq!(answer.text, "Hello there");
    assert_eq!(answer.answering.strategy, "pinned");
    let cost = UsdPicos::from_picos(6 * 5_000 + 4 * 2_500 + 2 * 20_000);
    assert_eq!(answer.settlement.cost, cost);
    assert!(!answer.settlement.estimated);
    // Without waiting for anything: it was booked before.
    let rows = crate::ledger::Ledger::usage(&*fixture.ledger, Default::default())
        .await
        .unwrap();
    let totals = Totals {
        requests: 1,
        estimated_requests: 0,
        prompt_tokens: 10,
        cached_prompt_tokens: 4,
        completion_tokens: 2,
        cost,
    };
    assert_eq!(rows[0].totals, totals);
    assert_eq!(
        (&*rows[0].user, &*rows[0].model, &*rows[0].provider),
        ("alice", "small", "a")
    );
    assert_eq!(&*fixture.a.calls()[0].model, "up-small");
}

#[tokio::test]
async fn a_stream_gives_the_same_answer_and_is_booked_before_its_end_is_seen() {
    let script = answer(&["Hello", " there"], (10, 4, 2));
    let fixture = Fixture::new(vec![script], vec![]).await;
    let stream = fixture.router.stream(prompt("auto", "Hi")).await.unwrap();
    let mut stream = Box::pin(stream);
    while let Some(event) = stream.next().await {
        if let AnswerEvent::End(settlement) = event.unwrap() {
            let rows = crate::ledger::Ledger::usage(&*fixture.ledger, Default::default()).await;
            assert_eq!(rows.unwrap()[0].totals.cost, settlement.cost);
        }
    }
    assert_eq!(fixture.booked().await[0].totals.requests, 1);
}

#[tokio::test]
async fn usage_that_the_provider_does_not_send_is_estimated_and_marked() {
    let acts = vec![Act::Text("12345678"), Act::Finish(FinishReason::Length)];
    let fixture = Fixture::new(vec![Script::Answer(acts)], vec![]).await;
    let answer = fixture
        .router
        .complete(prompt("small", "abcd"))
        .await
        .unwrap();
    assert!(answer.settlement.estimated);
    let usage = TokenUsage {
        prompt: 5,
        cached_prompt: 0,
        completion: 2,
    };
    assert_eq!(answer.settlement.usage, usage);
    assert_eq!(answer.settlement.finish, FinishReason::Length);
    assert_eq!(fixture.booked().await[0].totals.estimated_requests, 1);
}

#[tokio::test]
async fn a_provider_that_reports_more_cached_tokens_than_prompt_is_held_to_the_prompt() {
    let fixture = Fixture::new(vec![answer(&["x"], (3, 9, 1))], vec![]).await;
    let answer = fixture
        .router
        .complete(prompt("small", "Hi"))
        .await
        .unwrap();
    assert_eq!(answer.settlement.usage.cached_prompt, 3);
    assert_eq!(
        answer.settlement.cost,
        UsdPicos::from_picos(3 * 2_500 + 20_000)
    );
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let fixture = Fixture::new(vec![answer(&[], (3, 0, 0))], vec![]).await;
    let stream = fixture.router.stream(prompt("small", "Hi")).await.unwrap();
    let (text, settlement) = collect(stream).await.unwrap();
    assert_eq!((text.as_str(), settlement.usage.prompt), ("", 3));
}

#[tokio::test]
async fn an_unknown_model_is_an_error_that_lists_what_exists() {
    let fixture = Fixture::new(vec![], vec![]).await;
    let error = fixture
        .router
        .complete(prompt("smal", "Hi"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "model `smal` does not exist; did you mean `small`? the models and routes are `auto`, \
         `big`, `small`"
    );
}

#[tokio::test]
async fn a_piece_passes_at_once_where_nothing_is_checked() {
    let script = Script::Answer(vec![Act::Text("Hel"), Act::Stall]);
    let off = json!({"guardrails": {"completion": "off"}});
    let fixture = Fixture::with(vec![script], vec![], Arc::new(NoGuard), &off).await;
    let mut stream = fixture.router.stream(prompt("small", "Hi")).await.unwrap();
    assert!(matches!(
        stream.next().await,
        Some(Ok(AnswerEvent::Begin(_)))
    ));
    assert!(matches!(stream.next().await, Some(Ok(AnswerEvent::Text(text))) if text == "Hel"));
}

#[tokio::test]
async fn a_dropped_stream_stops_the_provider_at_once_and_books_what_was_generated() {
    let acts = vec![
        Act::Text("abcd"),
        Act::Text("efgh"),
        Act::Text("ijkl"),
        Act::Stall,
    ];
    let off = json!({"guardrails": {"completion": "off"}});
    let fixture = Fixture::with(vec![Script::Answer(acts)], vec![], Arc::new(NoGuard), &off).await;
    let mut stream = fixture.router.stream(prompt("small", "Hi")).await.unwrap();
    for _ in 0..3 {
        stream.next().await.unwrap().unwrap();
    }
    assert_eq!(fixture.a.open(), 1);
    drop(stream);
    assert_eq!(fixture.a.open(), 0, "no task keeps the provider busy");
    let totals = fixture.booked().await[0].totals;
    assert_eq!((totals.requests, totals.estimated_requests), (1, 1));
    assert_eq!(
        (totals.prompt_tokens, totals.completion_tokens),
        (5, 2),
        "two pieces were read"
    );
}

#[tokio::test]
async fn a_dropped_unary_call_stops_the_provider_and_is_booked() {
    let acts = vec![Act::Text("abcd"), Act::Stall];
    let fixture = Fixture::new(vec![Script::Answer(acts)], vec![]).await;
    let router = Arc::clone(&fixture.router);
    let call = tokio::spawn(async move { router.complete(prompt("small", "Hi")).await });
    settle_down().await;
    assert_eq!(fixture.a.open(), 1);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(fixture.a.open(), 0);
    assert_eq!(fixture.booked().await[0].totals.completion_tokens, 1);
}

#[tokio::test]
async fn a_cancelled_stream_trusts_a_report_that_nothing_followed() {
    let acts = vec![
        Act::Text("abcd"),
        Act::Usage(7, 0, 3),
        Act::Text("efgh"),
        Act::Stall,
    ];
    let off = json!({"guardrails": {"completion": "off"}});
    let fixture = Fixture::with(vec![Script::Answer(acts)], vec![], Arc::new(NoGuard), &off).await;
    let mut stream = fixture.router.stream(prompt("small", "Hi")).await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let totals = fixture.booked().await[0].totals;
    assert_eq!(totals.prompt_tokens, 7, "the report counts for the prompt");
    assert_eq!(
        (totals.completion_tokens, totals.estimated_requests),
        (3, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_stops_the_provider() {
    let script = Script::Answer(vec![Act::Text("abcd"), Act::Stall]);
    let fixture = Fixture::new(vec![script], vec![]).await;
    let mut hurried = prompt("auto", "Hi");
    hurried.deadline = Some(Instant::now() + Duration::from_secs(3));
    let unary = fixture.router.complete(hurried.clone()).await;
    assert_eq!(unary.unwrap_err(), RouteError::DeadlineExceeded);
    assert_eq!(fixture.a.open(), 0);
    hurried.deadline = Some(Instant::now() + Duration::from_secs(3));
    let stream = fixture.router.stream(hurried).await.unwrap();
    assert_eq!(
        collect(stream).await.unwrap_err(),
        RouteError::DeadlineExceeded
    );
    assert_eq!(fixture.a.open(), 0);
    assert_eq!(
        fixture.booked().await[0].totals.requests,
        2,
        "both generated something"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_booked_is_no_success() {
    struct FullLedger;
    impl crate::ledger::Ledger for FullLedger {
        fn book(
            &self,
            _: crate::ledger::Booking,
        ) -> futures_util::future::BoxFuture<'_, Result<(), crate::ledger::LedgerError>> {
            let full = crate::ledger::LedgerError::Store("disk full".to_owned());
            Box::pin(std::future::ready(Err(full)))
        }
        fn usage(
            &self,
            _: crate::ledger::UsageFilter,
        ) -> futures_util::future::BoxFuture<
            '_,
            Result<Vec<crate::ledger::UsageRow>, crate::ledger::LedgerError>,
        > {
            Box::pin(std::future::ready(Ok(Vec::new())))
        }
    }
    let fixture = Fixture::new(vec![answer(&["x"], (1, 0, 1))], vec![]).await;
    let backends = crate::Backends {
        providers: std::collections::HashMap::from([
            (
                "a".to_owned(),
                Arc::clone(&fixture.a) as Arc<dyn crate::provider::Provider>,
            ),
            (
                "b".to_owned(),
                Arc::clone(&fixture.b) as Arc<dyn crate::provider::Provider>,
            ),
        ]),
        guard: Arc::new(NoGuard),
        ledger: Arc::new(FullLedger),
        random: rand::SeedableRng::seed_from_u64(1),
    };
    let config = crate::testing::config(&json!({}));
    let router = Arc::new(Router::with_backends(&config, backends).unwrap());
    let error = router.complete(prompt("small", "Hi")).await.unwrap_err();
    assert!(matches!(error, RouteError::Ledger(_)), "{error}");
    let stream = router.stream(prompt("small", "Hi")).await.unwrap();
    assert!(matches!(
        collect(stream).await.unwrap_err(),
        RouteError::Ledger(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn the_latency_strategy_tries_both_then_keeps_to_the_faster() {
    let paced = |wait| {
        Script::Answer(vec![
            Act::Wait(Duration::from_millis(wait)),
            Act::Text("Hi"),
            Act::Finish(FinishReason::Stop),
            Act::Usage(1, 0, 1),
        ])
    };
    let routes = json!({"routes": {"fast": {"strategy": "latency", "models": ["small", "big"]}}});
    let fixture = Fixture::with(
        vec![paced(900)],
        vec![paced(100)],
        Arc::new(NoGuard),
        &routes,
    )
    .await;
    for _ in 0..12 {
        fixture.router.complete(prompt("fast", "Hi")).await.unwrap();
    }
    assert_eq!((fixture.a.calls().len(), fixture.b.calls().len()), (1, 11));
}
