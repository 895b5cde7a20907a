use std::sync::atomic::Ordering;

use super::*;
use crate::{
    guard::{GuardError, tests::FailingGuard},
    testing::CountingGuard,
};

const SECRETS: &str = "I am jane@example.com, card 4111 1111 1111 1111";

#[tokio::test]
async fn a_prompt_is_redacted_in_one_call_before_it_leaves() {
    let guard = CountingGuard::new();
    let off = json!({"guardrails": {"completion": "off"}});
    let script = answer(&["Hi"], (1, 0, 1));
    let fixture = Fixture::with(vec![script], vec![], Arc::clone(&guard) as _, &off).await;
    let mut secret = prompt("small", SECRETS);
    secret.messages.push(Message {
        role: Role::User,
        content: "and 123-45-6789".to_owned(),
        name: Some("123-45-6789".to_owned()),
    });
    secret.messages.push(Message {
        role: Role::Assistant,
        content: "ok".to_owned(),
        name: Some("bot".to_owned()),
    });
    secret.sampling.stop = vec!["jane@example.com".to_owned(), "END".to_owned()];
    let answer = fixture.router.complete(secret).await.unwrap();
    let seen = &fixture.a.calls()[0];
    assert_eq!(seen.messages[0].content, "I am <EMAIL>, card <CREDIT_CARD>");
    assert_eq!(seen.messages[1].content, "and <US_SSN>");
    assert_eq!(seen.messages[1].name, None);
    assert_eq!(seen.messages[2].name.as_deref(), Some("bot"));
    assert_eq!(seen.sampling.stop, ["<EMAIL>", "END"]);
    assert_eq!(
        answer.answering.prompt_redactions,
        ["EMAIL", "CREDIT_CARD", "US_SSN", "US_SSN", "EMAIL"]
    );
    assert_eq!(guard.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_blocked_prompt_reaches_no_provider() {
    let fixture = Fixture::with(vec![], vec![], CountingGuard::new(), &json!({})).await;
    let error = fixture
        .router
        .complete(prompt("auto", "FORBIDDEN"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            RouteError::Blocked {
                direction: "prompt",
                ..
            }
        ),
        "{error}"
    );
    assert!(fixture.a.calls().is_empty());
}

#[tokio::test]
async fn an_answer_is_redacted_alike_whole_and_streamed() {
    let pieces = [
        "Write to jane@exam",
        "ple.com or pay with 4111 1111",
        " 1111 1111",
        " today.",
    ];
    let script = answer(&pieces, (1, 0, 9));
    let fixture = Fixture::with(vec![script], vec![], CountingGuard::new(), &json!({})).await;
    let expected = "Write to <EMAIL> or pay with <CREDIT_CARD> today.";
    let whole = fixture
        .router
        .complete(prompt("small", "Hi"))
        .await
        .unwrap();
    assert_eq!(whole.text, expected);
    let stream = fixture.router.stream(prompt("small", "Hi")).await.unwrap();
    let (text, settlement) = collect(stream).await.unwrap();
    assert_eq!(text, expected);
    assert_eq!(settlement.completion_redactions, ["EMAIL", "CREDIT_CARD"]);
    assert_eq!(
        settlement.completion_redactions,
        whole.settlement.completion_redactions
    );
}

#[tokio::test]
async fn a_blocked_answer_is_withheld_but_paid_for() {
    let script = answer(&["This is FORBIDDEN"], (1, 0, 3));
    let fixture = Fixture::with(vec![script], vec![], CountingGuard::new(), &json!({})).await;
    let error = fixture
        .router
        .complete(prompt("small", "Hi"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            RouteError::Blocked {
                direction: "completion",
                ..
            }
        ),
        "{error}"
    );
    let stream = fixture.router.stream(prompt("small", "Hi")).await.unwrap();
    assert!(collect(stream).await.is_err());
    let totals = fixture.booked().await[0].totals;
    assert_eq!((totals.requests, totals.completion_tokens), (2, 6));
    assert_eq!(
        totals.estimated_requests, 0,
        "the provider's own report counts"
    );
}

#[tokio::test]
async fn guardrails_that_fail_closed_let_nothing_through() {
    let error = GuardError::Unavailable("gone".to_owned());
    let guard = || Arc::new(FailingGuard(GuardError::Unavailable("gone".to_owned())));
    let fixture = Fixture::with(vec![], vec![], guard(), &json!({})).await;
    let failed = fixture
        .router
        .complete(prompt("auto", SECRETS))
        .await
        .unwrap_err();
    assert_eq!(failed, RouteError::Guard(error.clone()));
    assert!(fixture.a.calls().is_empty());

    let unchecked_prompt = json!({"guardrails": {"prompt": "off"}});
    let script = answer(&["secret"], (1, 0, 1));
    let fixture = Fixture::with(vec![script], vec![], guard(), &unchecked_prompt).await;
    let failed = fixture
        .router
        .complete(prompt("auto", "Hi"))
        .await
        .unwrap_err();
    assert_eq!(failed, RouteError::Guard(error.clone()));
    let stream = fixture.router.stream(prompt("auto", "Hi")).await.unwrap();
    assert_eq!(collect(stream).await.unwrap_err(), RouteError::Guard(error));
}

#[tokio::test]
async fn guardrails_that_fail_open_change_nothing() {
    let open = json!({"guardrails": {"on_failure": "open"}});
    let guard = Arc::new(FailingGuard(GuardError::Unavailable("gone".to_owned())));
    let fixture = Fixture::with(vec![answer(&[SECRETS], (1, 0, 9))], vec![], guard, &open).await;
    let whole = fixture
        .router
        .complete(prompt("small", SECRETS))
        .await
        .unwrap();
    assert_eq!(whole.text, SECRETS);
    assert_eq!(fixture.a.calls()[0].messages[0].content, SECRETS);
    let stream = fixture
        .router
        .stream(prompt("small", SECRETS))
        .await
        .unwrap();
    assert_eq!(collect(stream).await.unwrap().0, SECRETS);
}
