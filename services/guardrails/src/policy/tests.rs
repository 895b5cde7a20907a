//! What a plan lets through, decides and writes.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{Engine, Finding, GuardrailsConfig, OperatorSpec};

fn engine(profile: serde_json::Value) -> Engine {
    Engine::new(&GuardrailsConfig {
        policies: vec![serde_json::from_value(profile).unwrap()],
        ..GuardrailsConfig::default()
    })
    .unwrap()
}

fn found(engine: &Engine, terms: &Terms, text: &str) -> (Plan, Vec<Finding>) {
    let plan = engine.control().policies().plan(terms).unwrap();
    let findings = engine.check(text, plan.selection()).unwrap().findings;
    (plan, findings)
}

fn ours() -> Terms {
    Terms {
        policy: "ours".into(),
        ..Terms::default()
    }
}

#[test]
fn a_finding_under_its_threshold_makes_way_for_what_it_overlaps() {
    let engine = engine(serde_json::json!({
        "name": "ours", "version": "1", "description": "Ours.",
        "detectors": ["email"], "min_score": 0.5, "thresholds": {"email": 0.99},
        "recognizers": [
            {"name": "host", "patterns": ["example\\.com"], "score": 0.5},
            {"name": "weak", "patterns": ["lovelace"], "score": 0.4},
        ],
    }));
    let (_, findings) = found(&engine, &ours(), "lovelace ada@example.com");
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].kind, "HOST");
}

#[test]
fn the_strictest_finding_decides_and_of_equals_the_first() {
    let engine = engine(serde_json::json!({
        "name": "ours", "version": "1", "description": "Ours.",
        "input": {"default": "log", "rules": {"email": "flag", "ip_address": "flag"}},
        "output": {"default": "block"},
    }));
    let decide = |text: &str, direction| {
        let (plan, findings) = found(
            &engine,
            &Terms {
                direction,
                ..ours()
            },
            text,
        );
        Decision::new(&plan, &findings)
    };
    let decision = decide("card 4012888888881881", Direction::Input);
    assert_eq!(
        (decision.action, decision.each[0]),
        (Action::Allow, Action::Log)
    );
    assert_eq!(decision.rule, "input.default");
    let decision = decide(
        "card 4012888888881881, 192.0.2.1, a@example.com",
        Direction::Input,
    );
    assert_eq!(decision.each, [Action::Log, Action::Flag, Action::Flag]);
    assert_eq!((decision.action, decision.finding), (Action::Flag, Some(1)));
    assert_eq!(decision.rule, "input.rules.ip_address");
    assert!(!(0..3).any(|at| decision.replaces(at)));
    let decision = decide("192.0.2.1", Direction::Output);
    assert_eq!(decision.rule, "output.default");
    assert!(decision.replaces(0));
    let decision = decide("nothing", Direction::Tool);
    assert_eq!(
        (decision.action, decision.rule.as_str()),
        (Action::Allow, "")
    );
}

#[test]
fn a_requests_operator_wins_by_type_then_by_detector_then_for_all() {
    let engine = engine(serde_json::json!({
        "name": "ours", "version": "1", "description": "Ours.",
        "operator": {"operator": "hash"}, "operators": {"email": {"operator": "mask"}},
    }));
    let chosen = |operators: &[(&str, &str)], text: &str| {
        let operators = operators
            .iter()
            .map(|(name, operator)| ((*name).to_owned(), OperatorSpec::named(*operator)));
        let terms = Terms {
            operators: operators.collect(),
            ..ours()
        };
        let (plan, findings) = found(&engine, &terms, text);
        plan.operator(&findings[0]).operator.name
    };
    assert_eq!(chosen(&[], "192.0.2.1"), "hash");
    assert_eq!(chosen(&[], "a@example.com"), "mask");
    assert_eq!(chosen(&[("*", "redact")], "a@example.com"), "redact");
    let both = [("email", "encrypt"), ("*", "redact")];
    assert_eq!(chosen(&both, "a@example.com"), "encrypt");
    let all = [("EMAIL", "label"), ("email", "encrypt"), ("*", "redact")];
    assert_eq!(chosen(&all, "a@example.com"), "label");
}

#[test]
fn the_vault_is_used_only_where_an_operator_needs_it() {
    let engine = Engine::new(&GuardrailsConfig::default()).unwrap();
    let uses = |policy: &str, operators: &[(&str, &str)]| {
        let operators = operators
            .iter()
            .map(|(name, operator)| ((*name).to_owned(), OperatorSpec::named(*operator)));
        let terms = Terms {
            policy: policy.into(),
            operators: operators.collect(),
            ..Terms::default()
        };
        engine
            .control()
            .policies()
            .plan(&terms)
            .unwrap()
            .uses_vault()
    };
    assert!(!uses("", &[]) && !uses("strict", &[("*", "encrypt")]));
    assert!(uses("gdpr", &[]) && !uses("gdpr", &[("*", "label")]));
    assert!(uses("", &[("EMAIL", "pseudonym")]));
}

#[test]
fn recognizers_of_the_configuration_belong_to_every_policy() {
    let config = GuardrailsConfig {
        recognizers: vec![
            serde_json::from_value(
                serde_json::json!({"name": "badge", "patterns": ["B-[0-9]{4}"]}),
            )
            .unwrap(),
        ],
        allow: vec!["B-0000".into()],
        ..GuardrailsConfig::default()
    };
    let engine = Engine::new(&config).unwrap();
    for policy in ["", "strict", "soc2", "gdpr"] {
        let terms = Terms {
            policy: policy.into(),
            ..Terms::default()
        };
        let (_, findings) = found(&engine, &terms, "B-1234 and B-0000");
        let kinds: Vec<_> = findings.iter().map(|it| &*it.kind).collect();
        assert_eq!(kinds, ["BADGE"], "{policy}");
    }
}

#[test]
fn a_policy_of_the_configuration_may_not_name_what_does_not_exist_yet() {
    for name in names::NOT_YET {
        let spec = serde_json::from_value(serde_json::json!({
            "name": "ours", "version": "1", "description": "Ours.", "detectors": [name],
        }));
        let config = GuardrailsConfig {
            policies: vec![spec.unwrap()],
            ..GuardrailsConfig::default()
        };
        let refused = Engine::new(&config).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("`{name}` does not exist")),
            "{refused}"
        );
    }
}
