//! Domain terms to proto types and errors, each once.

use signalbox_chassis::ApiError;
use signalbox_proto::guardrails::v1 as proto;

use crate::{
    detector::registry,
    engine::{Engine, EngineError},
    finding::Finding,
    policy::{Action, Policy},
};

/// The answer to one text.
pub(super) fn checked(policy: Policy, findings: Vec<Finding>) -> proto::CheckTextResponse {
    let action = match policy.decide(&findings) {
        Action::Allow => proto::Action::Allow,
        Action::Redact => proto::Action::Redact,
    };
    proto::CheckTextResponse {
        action: action.into(),
        findings: findings.into_iter().map(finding).collect(),
    }
}

pub(super) fn finding(finding: Finding) -> proto::Finding {
    proto::Finding {
        r#type: finding.kind.into_owned(),
        detector: finding.detector.into_owned(),
        start_byte: finding.start_byte as u64,
        end_byte: finding.end_byte as u64,
        start_char: finding.start_char as u64,
        end_char: finding.end_char as u64,
        score: finding.score,
        reasons: finding.reasons.into_iter().map(Into::into).collect(),
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
        EngineError::Scanner(cause) => {
            tracing::error!(%cause, "the scanner failed");
            ApiError::internal("the scanner failed")
        }
    }
}
