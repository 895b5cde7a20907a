//! CheckStream as its callers see it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use signalbox_guardrails::{Engine, GuardrailsConfig, Handler};
use signalbox_proto::guardrails::v1::{
    Action, CheckStreamRequest, CheckStreamResponse, CustomRecognizer, CustomRules, DenyList,
    Operator, guardrails_service_client::GuardrailsServiceClient,
    guardrails_service_server::GuardrailsServiceServer,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

fn client() -> GuardrailsServiceClient<GuardrailsServiceServer<Handler>> {
    let engine = Arc::new(Engine::new(&GuardrailsConfig::default()).unwrap());
    GuardrailsServiceClient::new(signalbox_guardrails::service(engine))
}

fn piece(text: &str) -> CheckStreamRequest {
    CheckStreamRequest {
        text: text.to_owned(),
        ..CheckStreamRequest::default()
    }
}

async fn answers(pieces: Vec<CheckStreamRequest>) -> Result<Vec<CheckStreamResponse>, Status> {
    let stream = client().check_stream(tokio_stream::iter(pieces)).await?;
    let mut stream = stream.into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = stream.message().await? {
        answers.push(answer);
    }
    Ok(answers)
}

/// An open stream: pieces go in as they come, answers are read one by one.
async fn open() -> (
    mpsc::Sender<CheckStreamRequest>,
    Streaming<CheckStreamResponse>,
) {
    let (sender, receiver) = mpsc::channel(1);
    let answers = client().check_stream(ReceiverStream::new(receiver)).await;
    (sender, answers.unwrap().into_inner())
}

#[tokio::test]
async fn safe_words_come_back_before_the_next_piece_is_sent() {
    let (sender, mut answers) = open().await;
    sender.send(piece("write to bob@exam")).await.unwrap();
    let first = answers.message().await.unwrap().unwrap();
    assert_eq!(first.text, "write to ");
    assert_eq!(first.action(), Action::Allow);
    sender.send(piece("ple.com soon")).await.unwrap();
    drop(sender);
    let last = answers.message().await.unwrap().unwrap();
    assert_eq!(last.text, "<EMAIL> soon");
    assert_eq!(last.action(), Action::Redact);
    assert_eq!(
        (last.findings[0].start_byte, last.findings[0].end_byte),
        (9, 24)
    );
    assert_eq!(answers.message().await.unwrap(), None);
}

#[tokio::test]
async fn the_last_answer_says_the_decision_on_the_whole() {
    let said = answers(vec![piece("415-555-2671 "), piece(&"word ".repeat(100))]).await;
    let said = said.unwrap();
    assert!(said.len() > 1);
    assert_eq!(said.last().unwrap().action(), Action::Redact);
    let empty = answers(vec![]).await.unwrap();
    assert_eq!(empty.len(), 1);
    assert_eq!(
        (empty[0].text.as_str(), empty[0].action()),
        ("", Action::Allow)
    );
}

#[tokio::test]
async fn detectors_are_those_of_the_first_message() {
    let first = CheckStreamRequest {
        detectors: vec!["email".to_owned()],
        ..piece("415-555-2671 ")
    };
    let said = answers(vec![first, piece("bob@example.com")])
        .await
        .unwrap();
    let text: String = said.into_iter().map(|answer| answer.text).collect();
    assert_eq!(text, "415-555-2671 <EMAIL>");
}

#[tokio::test]
async fn what_the_first_message_gets_wrong_ends_the_stream_by_name() {
    let unknown = CheckStreamRequest {
        detectors: vec!["emial".to_owned()],
        ..piece("x")
    };
    let status = answers(vec![unknown]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_details_bad_request().unwrap();
    assert_eq!(details.field_violations[0].field, "detectors[0]");
    let policy = CheckStreamRequest {
        policy: "none".to_owned(),
        ..piece("x")
    };
    assert_eq!(
        answers(vec![policy]).await.unwrap_err().code(),
        Code::NotFound
    );
    let long = "x".repeat((1 << 20) + 1);
    let status = answers(vec![piece("a "), piece(&long)]).await.unwrap_err();
    let details = status.get_details_bad_request().unwrap();
    assert_eq!(details.field_violations[0].field, "text");
}

#[tokio::test]
async fn a_stream_ends_before_what_its_policy_blocks() {
    let first = CheckStreamRequest {
        policy: "coppa".to_owned(),
        ..piece("write to bob@example.com or not; ")
    };
    let said = answers(vec![first, piece("never let through")])
        .await
        .unwrap();
    let last = said.last().unwrap();
    let text: String = said.iter().map(|answer| answer.text.as_str()).collect();
    assert_eq!(text, "write to ");
    assert_eq!(last.action(), Action::Block);
    assert_eq!(last.findings.len(), 1);
    let why = last.decision.clone().unwrap();
    assert_eq!((why.policy.as_str(), why.finding), ("coppa", 1));
}

#[tokio::test]
async fn operators_write_in_a_stream_and_what_would_need_a_session_is_a_label() {
    let operator = |operator: &str| Operator {
        operator: operator.to_owned(),
        ..Operator::default()
    };
    let first = CheckStreamRequest {
        operators: [
            ("EMAIL".to_owned(), operator("pseudonym")),
            ("CREDIT_CARD".to_owned(), operator("mask")),
        ]
        .into(),
        ..piece("bob@example.com pays with ")
    };
    let said = answers(vec![first, piece("4111 1111 1111 1111.")])
        .await
        .unwrap();
    let text: String = said.iter().map(|answer| answer.text.as_str()).collect();
    assert_eq!(text, "<EMAIL> pays with **** **** **** 1111.");
    let operators: Vec<_> = said.iter().flat_map(|it| &it.findings).collect();
    assert_eq!(operators[1].operator, "mask");
}

#[tokio::test]
async fn recognizers_of_the_stream_find_the_same_however_it_is_cut() {
    let custom = CustomRules {
        recognizers: vec![CustomRecognizer {
            name: "ticket".to_owned(),
            patterns: vec![r"\bTCK-[0-9]{4,6}\b".to_owned()],
            context: vec!["escalated".to_owned()],
            ..CustomRecognizer::default()
        }],
        allow: vec!["TCK-0000".to_owned()],
        deny: vec![DenyList {
            name: "project".to_owned(),
            terms: vec!["blue heron".to_owned()],
            ..DenyList::default()
        }],
    };
    let text = "TCK-12345 was escalated, TCK-0000 was not. ".repeat(20)
        + "The Blue Heron files: TCK-999, TCK-9999";
    let mut expected = None;
    for size in [1, 2, 7, 64, 4_000] {
        let mut pieces: Vec<CheckStreamRequest> = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            pieces.push(piece(std::str::from_utf8(chunk).unwrap()));
        }
        pieces[0].custom = Some(custom.clone());
        let said = answers(pieces).await.unwrap();
        let out: String = said.iter().map(|answer| answer.text.as_str()).collect();
        let spans: Vec<(u64, u64, String)> = said
            .into_iter()
            .flat_map(|answer| answer.findings)
            .map(|it| (it.start_byte, it.end_byte, it.r#type))
            .collect();
        assert!(
            out.ends_with("The <PROJECT> files: TCK-999, <TICKET>"),
            "{out}"
        );
        assert!(
            out.starts_with("<TICKET> was escalated, TCK-0000 was not."),
            "{out}"
        );
        assert_eq!(
            *expected.get_or_insert_with(|| (out.clone(), spans.clone())),
            (out, spans)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_at_once_are_each_answered_with_their_own_text() {
    let mut streams = Vec::new();
    for number in 0..200 {
        streams.push((number, open().await));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (number, (sender, mut answers)) in streams {
        tasks.spawn(async move {
            let text = format!(
                "stream {number} says bob{number}@example.com, twice: \
                                bob{number}@example.com."
            );
            let feed = async move {
                for letter in text.chars() {
                    sender.send(piece(&letter.to_string())).await.unwrap();
                }
            };
            let read = async {
                let mut text = String::new();
                while let Some(answer) = answers.message().await.unwrap() {
                    text += &answer.text;
                }
                text
            };
            let (_, text) = tokio::join!(feed, read);
            assert_eq!(
                text,
                format!("stream {number} says <EMAIL>, twice: <EMAIL>.")
            );
        });
    }
    let done = tasks.join_all().await;
    assert_eq!(done.len(), 200);
}
