//! Golden pairs of the wire format: what a request becomes, what a stream means.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use proptest::prelude::*;

use super::*;
use crate::chat::{Role, Sampling};

fn message(role: Role, content: &str, name: Option<&str>) -> Message {
    Message {
        role,
        content: content.to_owned(),
        name: name.map(str::to_owned),
    }
}

fn full_request() -> ChatRequest {
    ChatRequest {
        model: "gpt-x".into(),
        messages: vec![
            message(Role::System, "Be brief.", None),
            message(Role::User, "Hi \"there\" 😀", Some("ann")),
            message(Role::Assistant, "Hello.", None),
            message(Role::Tool, "42", None),
        ],
        sampling: Sampling {
            temperature: Some(0.7),
            top_p: Some(0.9),
            max_tokens: Some(64),
            stop: vec!["END".to_owned(), "\n\n".to_owned()],
            seed: Some(-3),
            presence_penalty: Some(0.5),
            frequency_penalty: Some(-0.5),
        },
    }
}

fn read_all(chunks: &[&str]) -> (Vec<ChatEvent>, bool) {
    let mut reader = AnswerReader::default();
    let events = chunks
        .iter()
        .flat_map(|chunk| reader.read(chunk.as_bytes()).unwrap());
    (events.collect(), reader.finished())
}

fn read_one(chunk: &str) -> Result<Vec<ChatEvent>, Flaw> {
    AnswerReader::default().read(chunk.as_bytes())
}

#[test]
fn a_request_that_says_everything() {
    let request = full_request();
    insta::assert_json_snapshot!(Request::new(&request, true, MaxTokensField::MaxTokens));
}

#[test]
fn a_request_that_says_nothing_sends_no_defaults() {
    let request = ChatRequest {
        model: "gpt-x".into(),
        messages: vec![message(Role::User, "Hi", None)],
        sampling: Sampling::default(),
    };
    insta::assert_json_snapshot!(Request::new(&request, false, MaxTokensField::MaxTokens));
}

#[test]
fn newer_models_get_the_limit_under_its_newer_name() {
    let request = full_request();
    let request = Request::new(&request, true, MaxTokensField::MaxCompletionTokens);
    let json = serde_json::to_value(request).unwrap();
    assert_eq!(json["max_completion_tokens"], 64);
    assert!(json.get("max_tokens").is_none());
}

#[test]
fn a_stream_with_everything_that_servers_add() {
    let events = read_all(&[
        r#"{"id":"1","choices":[],"prompt_filter_results":[]}"#,
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}],"usage":null}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"lo","x":1},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":4}}}"#,
    ]);
    insta::assert_debug_snapshot!(events);
}

#[test]
fn a_whole_answer_is_read_like_one_long_piece() {
    let events = read_all(&[
        r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ]);
    insta::assert_debug_snapshot!(events);
}

#[test]
fn other_choices_than_the_first_are_passed_over() {
    let (events, finished) =
        read_all(&[r#"{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"stop"}]}"#]);
    assert_eq!((events, finished), (vec![], false));
}

#[test]
fn more_cached_tokens_than_prompt_tokens_are_cut_to_those() {
    let (events, _) = read_all(&[
        r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":5}}}"#,
    ]);
    let usage = TokenUsage {
        prompt: 3,
        cached_prompt: 3,
        completion: 0,
    };
    assert_eq!(events, [ChatEvent::Usage(usage)]);
}

#[test]
fn an_error_inside_a_stream_is_the_providers_failure() {
    let error = read_one(r#"{"error":{"message":"out of memory","type":"server_error"}}"#);
    assert_eq!(error, Err(Flaw::Failure("out of memory".to_owned())));
}

#[test]
fn what_is_no_chunk_is_nonsense() {
    for chunk in ["", "{", "[]", "\"text\"", r#"{"choices":7}"#] {
        assert!(matches!(read_one(chunk), Err(Flaw::Nonsense(_))), "{chunk}");
    }
}

#[test]
fn an_answer_that_was_given_up_is_no_answer() {
    for reason in ["abort", "tool_calls", ""] {
        let chunk = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
        assert!(
            matches!(read_one(&chunk), Err(Flaw::Nonsense(_))),
            "{chunk}"
        );
    }
}

#[test]
fn text_after_the_end_is_nonsense() {
    let mut reader = AnswerReader::default();
    let end = br#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    assert_eq!(reader.read(end).unwrap().len(), 2);
    assert!(matches!(reader.read(end), Err(Flaw::Nonsense(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = AnswerReader::default().read(&bytes);
        let _ = error_object(&bytes);
    }
}
