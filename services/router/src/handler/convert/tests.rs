#![allow(clippy::unwrap_used)]

use serde_json::json;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::*;
use crate::{money::UsdPicos, testing};

const LIMITS: Limits = Limits {
    messages: 3,
    prompt_bytes: 10,
};

fn request() -> CreateChatCompletionRequest {
    CreateChatCompletionRequest {
        model: "auto".to_owned(),
        messages: vec![ChatMessage {
            role: "user".to_owned(),
            content: "Hi".to_owned(),
            ..ChatMessage::default()
        }],
        ..CreateChatCompletionRequest::default()
    }
}

fn convert(request: CreateChatCompletionRequest) -> Result<Prompt, ApiError> {
    prompt(request, &RequestContext::anonymous(), &LIMITS)
}

/// The field that the error names when the request is changed so.
fn wrong_field(change: impl FnOnce(&mut CreateChatCompletionRequest)) -> String {
    let mut request = request();
    change(&mut request);
    let status = Status::from(convert(request).unwrap_err());
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations[0]
        .field
        .clone()
}

fn text_part(text: &str) -> ContentPart {
    ContentPart {
        r#type: "text".to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn every_wrong_field_is_named_by_its_path() {
    assert_eq!(wrong_field(|r| r.model.clear()), "model");
    assert_eq!(wrong_field(|r| r.messages.clear()), "messages");
    assert_eq!(
        wrong_field(|r| r.messages = vec![r.messages[0].clone(); 4]),
        "messages"
    );
    assert_eq!(
        wrong_field(|r| r.messages[0].content = "x".repeat(11)),
        "messages"
    );
    assert_eq!(
        wrong_field(|r| r.messages[0].content.clear()),
        "messages[0].content"
    );
    assert_eq!(
        wrong_field(|r| {
            r.messages = vec![r.messages[0].clone(); 3];
            r.messages[2].role = "robot".to_owned();
        }),
        "messages[2].role"
    );
    assert_eq!(
        wrong_field(|r| r.messages[0].role.clear()),
        "messages[0].role"
    );
    assert_eq!(
        wrong_field(|r| r.messages[0].name = "x".repeat(65)),
        "messages[0].name"
    );
    assert_eq!(
        wrong_field(|r| r.messages[0].content_parts = vec![text_part("x")]),
        "messages[0].content_parts"
    );
    assert_eq!(
        wrong_field(|r| {
            r.messages[0].content.clear();
            r.messages[0].content_parts = vec![text_part("x"), ContentPart::default()];
        }),
        "messages[0].content_parts[1].type"
    );
    for bad in [-0.1, 2.1, f64::NAN, f64::INFINITY] {
        assert_eq!(wrong_field(|r| r.temperature = Some(bad)), "temperature");
    }
    for bad in [0.0, 1.1, f64::NAN, -1.0] {
        assert_eq!(wrong_field(|r| r.top_p = Some(bad)), "top_p");
    }
    assert_eq!(
        wrong_field(|r| r.presence_penalty = Some(-2.5)),
        "presence_penalty"
    );
    assert_eq!(
        wrong_field(|r| r.frequency_penalty = Some(2.5)),
        "frequency_penalty"
    );
    assert_eq!(wrong_field(|r| r.max_tokens = Some(0)), "max_tokens");
    assert_eq!(
        wrong_field(|r| r.max_completion_tokens = Some(0)),
        "max_completion_tokens"
    );
    assert_eq!(wrong_field(|r| r.stop = vec!["x".to_owned(); 5]), "stop");
    assert_eq!(
        wrong_field(|r| r.stop = vec!["x".to_owned(), String::new()]),
        "stop[1]"
    );
    assert_eq!(wrong_field(|r| r.user = "x".repeat(257)), "user");
    for bad in [0, 2] {
        assert_eq!(wrong_field(|r| r.n = Some(bad)), "n");
    }
}

#[test]
fn every_value_at_its_bound_is_accepted() {
    let request = CreateChatCompletionRequest {
        messages: vec![
            ChatMessage {
                role: "developer".to_owned(),
                content: String::new(),
                ..ChatMessage::default()
            },
            ChatMessage {
                role: "user".to_owned(),
                content_parts: vec![text_part("12345"), text_part("67890")],
                name: "x".repeat(64),
                ..ChatMessage::default()
            },
            ChatMessage {
                role: "assistant".to_owned(),
                ..ChatMessage::default()
            },
        ],
        temperature: Some(0.0),
        top_p: Some(1.0),
        presence_penalty: Some(-2.0),
        frequency_penalty: Some(2.0),
        max_tokens: Some(1),
        stop: vec!["x".to_owned(); 4],
        user: "x".repeat(256),
        n: Some(1),
        seed: Some(-1),
        ..request()
    };
    let prompt = convert(request).unwrap();
    let roles: Vec<_> = prompt.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant]);
    assert_eq!(prompt.messages[1].content, "1234567890");
    assert_eq!(prompt.sampling.max_tokens, Some(1));
}

#[test]
fn the_newer_name_of_the_token_limit_wins() {
    let prompt = convert(CreateChatCompletionRequest {
        max_tokens: Some(5),
        max_completion_tokens: Some(7),
        ..request()
    });
    assert_eq!(prompt.unwrap().sampling.max_tokens, Some(7));
}

#[test]
fn usage_is_booked_to_the_caller_unless_the_request_names_a_user() {
    let context = RequestContext {
        caller: "key-1".into(),
        ..RequestContext::anonymous()
    };
    let caller = prompt(request(), &context, &LIMITS).unwrap();
    assert_eq!(&*caller.user, "key-1");
    let mut named = request();
    named.user = "alice".to_owned();
    assert_eq!(&*prompt(named, &context, &LIMITS).unwrap().user, "alice");
}

#[test]
fn models_are_listed_with_exact_prices_and_routes_first() {
    let loaded = testing::config(&json!({})).load().unwrap();
    let listed = models(&loaded.catalog);
    let ids: Vec<_> = listed.data.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(ids, ["auto", "big", "small"]);
    assert_eq!(
        (listed.data[0].owned_by.as_str(), listed.data[0].price),
        ("signalbox", None)
    );
    let small = &listed.data[2];
    assert_eq!(
        (small.owned_by.as_str(), small.context_window),
        ("a", 2_048)
    );
    assert_eq!(small.price.unwrap().cached_input_usd_picos_per_token, 2_500);
    assert_eq!(
        listed.data[1]
            .price
            .unwrap()
            .cached_input_usd_picos_per_token,
        1_000_000
    );
}

#[test]
fn a_sum_beyond_the_wire_is_out_of_range_not_a_wrong_number() {
    let row = |picos| UsageRow {
        user: "u".to_owned(),
        model: "m".to_owned(),
        provider: "p".to_owned(),
        totals: Totals {
            cost: UsdPicos::from_picos(picos),
            ..Totals::default()
        },
    };
    let most = i128::from(i64::MAX);
    let fits = usage(vec![row(most)]).unwrap();
    assert_eq!(fits.total.unwrap().cost_usd_picos, i64::MAX);
    let error = usage(vec![row(most), row(1)]).unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange);
}
