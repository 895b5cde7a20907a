//! Policies, operators and sessions as callers see them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashMap, sync::Arc};

use signalbox_chassis::{RequestContext, config::Secret};
use signalbox_guardrails::{
    AuditConfig, Engine, GuardrailsConfig, Handler, KeyConfig, OperatorSpec, ProfileSpec,
    RestoreStream, SessionError,
};
use signalbox_proto::guardrails::v1::{
    Action, BatchCheckTextRequest, CheckTextRequest, CustomRecognizer, CustomRules, DenyList,
    Direction, ListPoliciesRequest, Operator, Policy, RedactTextRequest, RedactTextResponse,
    RestoreTextRequest, guardrails_service_client::GuardrailsServiceClient,
    guardrails_service_server::GuardrailsServiceServer,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

type InProcess = GuardrailsServiceClient<GuardrailsServiceServer<Handler>>;

fn client_with(config: &GuardrailsConfig) -> InProcess {
    let engine = Arc::new(Engine::new(config).unwrap());
    GuardrailsServiceClient::new(signalbox_guardrails::service(engine))
}

fn client() -> InProcess {
    client_with(&GuardrailsConfig::default())
}

/// A request of this caller.
fn by<T>(caller: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(RequestContext {
        caller: caller.into(),
        ..RequestContext::anonymous()
    });
    request
}

fn violation(status: &Status) -> (String, String) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let violation = &details.bad_request().unwrap().field_violations[0];
    (violation.field.clone(), violation.description.clone())
}

fn with(operator: &str) -> HashMap<String, Operator> {
    let operator = Operator {
        operator: operator.into(),
        ..Operator::default()
    };
    HashMap::from([("*".to_owned(), operator)])
}

async fn redact(client: &mut InProcess, text: &str, operator: &str) -> RedactTextResponse {
    let request = RedactTextRequest {
        text: text.into(),
        operators: with(operator),
        ..RedactTextRequest::default()
    };
    client.redact_text(request).await.unwrap().into_inner()
}

async fn restore(client: &mut InProcess, text: &str, session: &str) -> Result<String, Status> {
    let request = RestoreTextRequest {
        text: text.into(),
        session_id: session.into(),
    };
    let answer = client.restore_text(request).await?;
    Ok(answer.into_inner().text)
}

async fn policies(client: &mut InProcess) -> Vec<Policy> {
    let answer = client.list_policies(ListPoliciesRequest {}).await.unwrap();
    answer.into_inner().policies
}

const TEXT: &str = "Mail ada@lovelace.org or call +44 20 7946 0958, card 4012 8888 8888 1881.";

#[tokio::test]
async fn every_policy_is_listed_with_its_version_and_rules() {
    let listed = policies(&mut client()).await;
    let names: Vec<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "default",
            "strict",
            "hipaa_safe_harbor",
            "gdpr",
            "pci_dss",
            "soc2",
            "coppa"
        ]
    );
    for policy in &listed {
        assert_eq!(policy.version, "1.0.0");
        assert_eq!(policy.directions.len(), 3);
        assert!(policy.default_operator.is_some());
    }
    let hipaa = &listed[2];
    assert_eq!(hipaa.coverage.len(), 18);
    assert_eq!(hipaa.operators["us_zip_code"].operator, "generalize_zip");
    assert!(
        hipaa
            .detectors
            .iter()
            .all(|it| !hipaa.not_available.contains(it))
    );
    let strict = &listed[1].directions[0];
    assert_eq!(strict.direction(), Direction::Input);
    assert_eq!(strict.rules["credit_card"], i32::from(Action::Block));
}

#[tokio::test]
async fn a_decision_names_the_rule_and_the_finding_behind_it() {
    let ask = async |policy: &str, direction: Direction| {
        let request = CheckTextRequest {
            text: TEXT.into(),
            policy: policy.into(),
            direction: direction.into(),
            ..CheckTextRequest::default()
        };
        client().check_text(request).await.unwrap().into_inner()
    };
    let answer = ask("strict", Direction::Input).await;
    assert_eq!(answer.action(), Action::Block);
    let decision = answer.decision.clone().unwrap();
    assert_eq!(decision.rule, "input.rules.credit_card");
    assert_eq!(
        (decision.policy.as_str(), decision.policy_version.as_str()),
        ("strict", "1.0.0")
    );
    assert_eq!(
        answer.findings[decision.finding as usize - 1].r#type,
        "CREDIT_CARD"
    );
    assert!(
        decision.explanation.contains("CREDIT_CARD"),
        "{}",
        decision.explanation
    );
    assert!(
        !decision.explanation.contains("1881"),
        "{}",
        decision.explanation
    );
    let actions: Vec<Action> = answer.findings.iter().map(|it| it.action()).collect();
    assert_eq!(actions, [Action::Redact, Action::Redact, Action::Block]);

    let answer = ask("strict", Direction::Tool).await;
    assert_eq!(answer.action(), Action::Redact);
    assert_eq!(answer.decision.unwrap().rule, "tool.default");

    let answer = ask("", Direction::Unspecified).await;
    assert_eq!(answer.action(), Action::Redact);
    assert_eq!(answer.decision.unwrap().direction(), Direction::Input);
}

#[tokio::test]
async fn what_is_only_marked_is_let_through_as_it_is() {
    let request = RedactTextRequest {
        text: "He is a trade union member, ada@lovelace.org".into(),
        policy: "gdpr".into(),
        operators: with("label"),
        ..RedactTextRequest::default()
    };
    let answer = client().redact_text(request).await.unwrap().into_inner();
    assert_eq!(answer.text, "He is a trade union member, <EMAIL>");
    assert_eq!(answer.findings[0].r#type, "SPECIAL_TRADE_UNION");
    assert_eq!(answer.findings[0].action(), Action::Flag);
    assert_eq!(answer.findings[0].operator, "");
    assert_eq!(answer.findings[1].operator, "label");
    assert_eq!(answer.action(), Action::Redact);
}

#[tokio::test]
async fn a_card_is_masked_and_its_verification_code_blocked_by_pci_dss() {
    let request = RedactTextRequest {
        text: "Card 4012 8888 8888 1881, CVV 123, order 456".into(),
        policy: "pci_dss".into(),
        ..RedactTextRequest::default()
    };
    let answer = client().redact_text(request).await.unwrap().into_inner();
    assert_eq!(
        answer.text,
        "Card **** **** **** 1881, <CARD_VERIFICATION_CODE>, order 456"
    );
    assert_eq!(answer.action(), Action::Block);
    assert_eq!(
        answer.decision.unwrap().rule,
        "input.rules.card_verification_code"
    );
}

#[tokio::test]
async fn each_operator_writes_its_form_and_nothing_is_found_in_it() {
    let mut client = client();
    for operator in ["label", "redact", "mask", "hash", "encrypt"] {
        let answer = redact(&mut client, TEXT, operator).await;
        assert_eq!(answer.findings.len(), 3);
        assert!(answer.findings.iter().all(|it| it.operator == operator));
        for value in ["ada@", "7946", "4012"] {
            assert!(!answer.text.contains(value), "{operator}: {}", answer.text);
        }
        let again = redact(&mut client, &answer.text, "label").await;
        assert_eq!(again.findings, [], "{operator}: {}", answer.text);
    }
    let hash = redact(&mut client, TEXT, "hash").await.text;
    assert_eq!(hash, redact(&mut client, TEXT, "hash").await.text);
    assert!(
        hash.contains("<EMAIL:h") && hash.contains("<PHONE:h"),
        "{hash}"
    );
}

#[tokio::test]
async fn a_pseudonym_reads_like_the_value_and_is_put_back_within_its_session() {
    let mut client = client();
    let first = redact(&mut client, TEXT, "pseudonym").await;
    assert!(first.text.contains("@example."), "{}", first.text);
    assert!(first.text.contains("+44 "), "{}", first.text);
    assert!(!first.session_id.is_empty());
    let restored = restore(&mut client, &first.text, &first.session_id).await;
    assert_eq!(restored.unwrap(), TEXT);

    let request = RedactTextRequest {
        text: "Again: ada@lovelace.org".into(),
        operators: with("pseudonym"),
        session_id: first.session_id.clone(),
        ..RedactTextRequest::default()
    };
    let second = client.redact_text(request).await.unwrap().into_inner();
    assert_eq!(second.session_id, first.session_id);
    let surrogate = second.text.strip_prefix("Again: ").unwrap();
    assert!(
        first.text.contains(surrogate),
        "{} {}",
        first.text,
        second.text
    );
    let answer = format!("Dear {surrogate}, hello {surrogate}!");
    let restored = restore(&mut client, &answer, &first.session_id)
        .await
        .unwrap();
    assert_eq!(restored, "Dear ada@lovelace.org, hello ada@lovelace.org!");
}

#[tokio::test]
async fn an_encrypted_value_needs_no_session_but_its_tenant() {
    let mut client = client();
    let mut request = RedactTextRequest {
        text: TEXT.into(),
        operators: with("encrypt"),
        ..RedactTextRequest::default()
    };
    let answer = client
        .redact_text(by("alice", request.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.session_id, "");
    assert!(
        answer.text.contains("<EMAIL:enc:local:x"),
        "{}",
        answer.text
    );
    let ask = |text: &str| RestoreTextRequest {
        text: text.into(),
        session_id: String::new(),
    };
    let restored = client
        .restore_text(by("alice", ask(&answer.text)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((restored.text.as_str(), restored.restored), (TEXT, 3));
    let other = client
        .restore_text(by("bob", ask(&answer.text)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (other.text.as_str(), other.restored),
        (answer.text.as_str(), 0)
    );

    request.session_id = "not a name".into();
    let refused = client.redact_text(request).await.unwrap_err();
    assert_eq!(violation(&refused).0, "session_id");
}

#[tokio::test]
async fn another_callers_session_does_not_exist() {
    let mut client = client();
    let request = RedactTextRequest {
        text: TEXT.into(),
        operators: with("pseudonym"),
        session_id: "chat".into(),
        ..RedactTextRequest::default()
    };
    client.redact_text(by("alice", request)).await.unwrap();
    let ask = |id: &str| RestoreTextRequest {
        text: String::new(),
        session_id: id.into(),
    };
    client.restore_text(by("alice", ask("chat"))).await.unwrap();
    for (caller, id) in [("bob", "chat"), ("alice", "talk"), ("alice", "no name")] {
        let refused = client.restore_text(by(caller, ask(id))).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{caller} {id}");
        assert!(refused.message().contains(id));
    }
}

#[tokio::test]
async fn a_request_brings_recognizers_and_lists_of_its_own() {
    let request = RedactTextRequest {
        text: "Employee E12345 of Bluebird, info@example.com and bob@example.com".into(),
        custom: Some(CustomRules {
            recognizers: vec![CustomRecognizer {
                name: "employee_id".into(),
                patterns: vec![r"\bE[0-9]{5}\b".into()],
                context: vec!["employee".into()],
                ..CustomRecognizer::default()
            }],
            allow: vec!["Info@Example.com".into()],
            deny: vec![DenyList {
                name: "project".into(),
                terms: vec!["bluebird".into()],
                ..DenyList::default()
            }],
        }),
        ..RedactTextRequest::default()
    };
    let answer = client().redact_text(request).await.unwrap().into_inner();
    assert_eq!(
        answer.text,
        "Employee <EMPLOYEE_ID> of <PROJECT>, info@example.com and <EMAIL>"
    );
    assert_eq!(answer.findings[0].detector, "employee_id");
    assert!((answer.findings[0].score - 0.9).abs() < 1e-9);
    assert_eq!(answer.findings[0].reasons, ["pattern:custom", "context"]);
    assert_eq!(answer.findings[1].reasons, ["deny_list"]);
}

#[tokio::test]
async fn a_rule_that_is_not_accepted_is_named_by_its_field() {
    let refused = async |change: &dyn Fn(&mut RedactTextRequest)| {
        let mut request = RedactTextRequest {
            text: "x".into(),
            ..RedactTextRequest::default()
        };
        change(&mut request);
        violation(&client().redact_text(request).await.unwrap_err())
    };
    let pattern = |pattern: &str| {
        let recognizer = CustomRecognizer {
            name: "mine".into(),
            patterns: vec![pattern.into()],
            ..CustomRecognizer::default()
        };
        CustomRules {
            recognizers: vec![recognizer],
            ..CustomRules::default()
        }
    };
    let field = "custom.recognizers[0].patterns[0]";
    for (text, why) in [
        ("(", "unclosed"),
        (r"(\w{1,9}){1,99}", "too large"),
        ("x*", "empty"),
    ] {
        let (named, fix) = refused(&|it| it.custom = Some(pattern(text))).await;
        assert_eq!(named, field);
        assert!(fix.contains(why), "{fix}");
    }
    let operator = |change: fn(&mut Operator)| {
        let mut operators = with("mask");
        change(operators.get_mut("*").unwrap());
        operators
    };
    for (operators, named) in [
        (
            operator(|it| it.operator = "shred".into()),
            "operators.*.operator",
        ),
        (
            operator(|it| it.mask_character = "ab".into()),
            "operators.*.mask_character",
        ),
        (
            operator(|it| it.mask_character = "a".into()),
            "operators.*.mask_character",
        ),
        (operator(|it| it.length = 9), "operators.*.length"),
        (
            operator(|it| (it.keep_none, it.keep_last) = (true, 3)),
            "operators.*.keep_none",
        ),
        (
            operator(|it| it.consistent_within = "planet".into()),
            "operators.*.consistent_within",
        ),
    ] {
        assert_eq!(
            refused(&|it| it.operators = operators.clone()).await.0,
            named
        );
    }
    assert_eq!(refused(&|it| it.direction = 9).await.0, "direction");
}

fn profile(name: &str) -> ProfileSpec {
    serde_json::from_value(serde_json::json!({
        "name": name, "version": "7", "description": "Ours.", "detectors": ["email"],
        "operators": {"email": {"operator": "mask", "keep_last": 3}},
        "input": {"rules": {"email": "flag", "badge": "block"}},
        "recognizers": [{"name": "badge", "patterns": ["B-[0-9]{4}"]}],
    }))
    .unwrap()
}

#[tokio::test]
async fn a_policy_of_the_configuration_stands_beside_or_in_place_of_a_built_in_one() {
    let config = GuardrailsConfig {
        policies: vec![profile("ours"), profile("soc2")],
        ..GuardrailsConfig::default()
    };
    let mut client = client_with(&config);
    let listed = policies(&mut client).await;
    assert_eq!(listed.len(), 8);
    assert_eq!(
        listed.iter().find(|it| it.name == "soc2").unwrap().version,
        "7"
    );
    let request = BatchCheckTextRequest {
        texts: vec!["a@example.com".into(), "B-1234".into(), "192.0.2.1".into()],
        policy: "ours".into(),
        ..BatchCheckTextRequest::default()
    };
    let results = client
        .batch_check_text(request)
        .await
        .unwrap()
        .into_inner()
        .results;
    let actions: Vec<Action> = results.iter().map(|it| it.action()).collect();
    assert_eq!(actions, [Action::Flag, Action::Block, Action::Allow]);
}

type Change = fn(&mut GuardrailsConfig);

#[test]
fn a_configuration_that_cannot_be_used_is_refused_by_its_field() {
    let refused = |change: Change| {
        let mut config = GuardrailsConfig::default();
        change(&mut config);
        Engine::new(&config).unwrap_err().to_string()
    };
    let cases: [(Change, &str); 8] = [
        (
            |it| {
                it.policies = vec![profile("a"), profile("a")];
            },
            "guardrails.policies[1].name",
        ),
        (
            |it| {
                it.policies = vec![profile("a")];
                it.policies[0].detectors = vec!["emial".into()];
            },
            "guardrails.policies[0].detectors[0]: `emial` does not exist; did you mean `email`?",
        ),
        (
            |it| {
                it.policies = vec![profile("a")];
                it.policies[0].classifiers = vec!["psychic".into()];
            },
            "guardrails.policies[0].classifiers[0]",
        ),
        (
            |it| {
                it.policies = vec![profile("a")];
                it.policies[0]
                    .operators
                    .insert("email".into(), OperatorSpec::named("shred"));
            },
            "guardrails.policies[0].operators.email.operator",
        ),
        (
            |it| {
                it.policies = vec![profile("a")];
                it.policies[0].thresholds.insert("email".into(), 2.0);
            },
            "guardrails.policies[0].thresholds.email",
        ),
        (
            |it| {
                it.policies = vec![profile("a")];
                it.policies[0].recognizers[0].patterns = vec!["(".into()];
            },
            "guardrails.policies[0].recognizers[0].patterns[0]",
        ),
        (|it| it.allow = vec![String::new()], "guardrails.allow[0]"),
        (
            |it| {
                it.keys = vec![KeyConfig {
                    id: "k".into(),
                    secret: Secret::new("short"),
                }]
            },
            "guardrails.keys[0].secret",
        ),
    ];
    for (change, message) in cases {
        let refused = refused(change);
        assert!(refused.starts_with(message), "{refused}");
    }
}

#[tokio::test]
async fn every_decision_is_told_to_the_audit_without_any_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = GuardrailsConfig {
        audit: AuditConfig::File { path: path.clone() },
        ..GuardrailsConfig::default()
    };
    let mut client = client_with(&config);
    let check = |text: &str| CheckTextRequest {
        text: text.into(),
        policy: "strict".into(),
        ..CheckTextRequest::default()
    };
    client.check_text(by("alice", check(TEXT))).await.unwrap();
    client
        .check_text(by("alice", check("nothing")))
        .await
        .unwrap();
    client.check_text(by("bob", check(TEXT))).await.unwrap();
    let answer = redact(&mut client, TEXT, "pseudonym").await;
    restore(&mut client, &answer.text, &answer.session_id)
        .await
        .unwrap();
    let batch = BatchCheckTextRequest {
        texts: vec!["a@example.com".into(), "b".into()],
        ..BatchCheckTextRequest::default()
    };
    client.batch_check_text(batch).await.unwrap();

    let written = std::fs::read_to_string(path).unwrap();
    for value in ["ada@", "lovelace", "7946", "4012", "1881", "example.com"] {
        assert!(!written.contains(value), "{written}");
    }
    let events: Vec<serde_json::Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 7);
    let first = &events[0];
    assert_eq!(first["tenant"], "alice");
    assert_eq!(first["policy"], "strict");
    assert_eq!(first["policy_version"], "1.0.0");
    assert_eq!(first["direction"], "input");
    assert_eq!(first["action"], "block");
    assert_eq!(first["rule"], "input.rules.credit_card");
    assert_eq!(
        first["counts"],
        serde_json::json!({"EMAIL": 1, "PHONE": 1, "CREDIT_CARD": 1})
    );
    assert_eq!(first["values"].as_array().unwrap().len(), 3);
    assert_eq!(first["values"][2]["action"], "block");
    assert_eq!(events[1]["action"], "allow");
    // Another caller's hash of the same value tells nothing.
    assert_ne!(first["values"][0]["hash"], events[2]["values"][0]["hash"]);
    assert_eq!(events[3]["operation"], "redact");
    assert_eq!(events[4]["operation"], "restore");
    assert_eq!(events[4]["counts"], serde_json::json!({"restored": 3}));
}

#[tokio::test]
async fn a_model_in_this_process_is_asked_with_pseudonyms_and_its_stream_restored() {
    let engine = Engine::new(&GuardrailsConfig::default()).unwrap();
    let caller = RequestContext::anonymous();
    let sent = engine.pseudonymize(&caller, "", "", TEXT).await.unwrap();
    assert!(!sent.text.contains("lovelace") && !sent.text.contains("4012"));
    assert_eq!(sent.findings.len(), 3);
    let restorer = engine.restorer(&caller, &sent.session_id).await.unwrap();
    let mut stream = RestoreStream::new(Arc::new(restorer));
    let mut answered = String::new();
    for char in sent.text.chars() {
        answered.push_str(&stream.push(&char.to_string()));
    }
    answered.push_str(&stream.finish());
    assert_eq!(answered, TEXT);
    let unknown = engine.restorer(&caller, "nobody").await.unwrap_err();
    assert!(matches!(unknown, SessionError::UnknownSession(_)));
    let refused = engine
        .pseudonymize(&caller, "nothing", "", TEXT)
        .await
        .unwrap_err();
    assert!(matches!(refused, SessionError::Rejected(_)));
}
