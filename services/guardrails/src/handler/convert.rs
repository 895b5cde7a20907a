//! Domain terms to proto types and errors, each once.

use signalbox_chassis::ApiError;
use signalbox_proto::guardrails::v1 as proto;

use super::policies;
use crate::{
    detector::registry,
    engine::{Engine, EngineError},
    finding::Finding,
    policy::{Action, Decision, Plan},
};

/// The answer to one text.
pub(super) fn checked(plan: &Plan, findings: &[Finding]) -> (Decision, proto::CheckTextResponse) {
    let decided = Decision::new(plan, findings);
    let answer = proto::CheckTextResponse {
        action: action(decided.action).into(),
        decision: Some(decision(plan, &decided)),
        findings: findings_of(findings, &decided, |_, _| String::new()),
    };
    (decided, answer)
}

/// The findings with what is done about each; `operator` names what replaced one.
pub(super) fn findings_of(
    findings: &[Finding],
    decided: &Decision,
    operator: impl Fn(usize, &Finding) -> String,
) -> Vec<proto::Finding> {
    findings
        .iter()
        .enumerate()
        .map(|(at, finding)| proto::Finding {
            operator: operator(at, finding),
            action: action(decided.each.get(at).copied().unwrap_or(Action::Allow)).into(),
            r#type: finding.kind.to_string(),
            detector: finding.detector.to_string(),
            start_byte: finding.start_byte as u64,
            end_byte: finding.end_byte as u64,
            start_char: finding.start_char as u64,
            end_char: finding.end_char as u64,
            score: finding.score,
            reasons: finding.reasons.iter().map(ToString::to_string).collect(),
        })
        .collect()
}

pub(super) fn action(action: Action) -> proto::Action {
    match action {
        Action::Allow => proto::Action::Allow,
        Action::Log => proto::Action::Log,
        Action::Flag => proto::Action::Flag,
        Action::Redact => proto::Action::Redact,
        Action::Block => proto::Action::Block,
    }
}

pub(super) fn decision(plan: &Plan, decided: &Decision) -> proto::Decision {
    proto::Decision {
        policy: plan.profile().name().to_owned(),
        policy_version: plan.profile().version().to_owned(),
        direction: policies::direction(plan.direction()).into(),
        rule: decided.rule.clone(),
        finding: decided
            .finding
            .map_or(0, |at| u32::try_from(at + 1).unwrap_or(u32::MAX)),
        explanation: decided.explanation.clone(),
    }
}

/// All detectors, with what this engine runs by default.
pub(super) fn detectors(engine: &Engine) -> Vec<proto::Detector> {
    registry::ALL
        .iter()
        .enumerate()
        .map(|(at, detector)| proto::Detector {
            name: detector.name.to_owned(),
            r#type: detector.kind.to_owned(),
            description: detector.description.to_owned(),
            default_on: engine.is_default_on(at),
        })
        .collect()
}

/// `text_field` is the field that holds the text, such as `texts[3]`.
pub(super) fn engine_error(error: EngineError, text_field: &str) -> ApiError {
    match error {
        EngineError::TextTooLarge { size, limit } => ApiError::invalid_field(
            text_field,
            format!("has {size} bytes and at most {limit} are accepted; split it"),
        ),
        EngineError::UnknownDetector {
            index,
            name,
            nearest,
        } => ApiError::invalid_field(
            format!("detectors[{index}]"),
            format!(
                "`{name}` does not exist; did you mean `{nearest}`? \
                 ListDetectors (GET /v1/guardrails/detectors) lists them all"
            ),
        ),
        EngineError::TooManyDetectors { count } => ApiError::invalid_field(
            "detectors",
            format!(
                "{count} are named and at most {} are accepted",
                crate::engine::MAX_DETECTORS
            ),
        ),
        EngineError::Configuration(cause) => {
            tracing::error!(%cause, "the configuration cannot be used");
            ApiError::internal("the configuration cannot be used")
        }
        EngineError::Scanner(cause) => {
            tracing::error!(%cause, "the scanner failed");
            ApiError::internal("the scanner failed")
        }
    }
}
