//! Policies, operators and the vault on the wire: requests to the domain's terms, profiles
//! to proto types, and their errors, each once.

use std::collections::{BTreeMap, HashMap};

use signalbox_chassis::ApiError;
use signalbox_proto::guardrails::v1 as proto;
use tonic::Code;

use super::convert;
use crate::{
    control::RestoreError,
    custom::{DenySpec, RecognizerSpec},
    detector::registry,
    engine::Engine,
    operator::{OperatorSpec, Scope},
    policy::{Direction, Plan, PlanError, Policies, Profile, Terms, spec::CoverageSpec},
    protect::ProtectError,
    vault::VaultError,
};

/// When a full vault may have room again.
const FULL_RETRY: std::time::Duration = std::time::Duration::from_secs(30);
/// `ErrorInfo.reason` of a vault without room.
const VAULT_FULL: &str = "VAULT_FULL";
/// `ErrorInfo.reason` of a session that holds as much as it may.
const SESSION_FULL: &str = "SESSION_FULL";
/// `ErrorInfo.reason` of a session that others kept changing.
const SESSION_CONTENDED: &str = "SESSION_CONTENDED";
/// `ErrorInfo.reason` of a vault whose store does not answer.
const VAULT_UNAVAILABLE: &str = "VAULT_UNAVAILABLE";

/// What requests that are decided by a policy have in common.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) policy: String,
    pub(super) direction: i32,
    pub(super) detectors: Vec<String>,
    pub(super) custom: Option<proto::CustomRules>,
    pub(super) operators: HashMap<String, proto::Operator>,
}

impl Asked {
    /// The plan for this request.
    pub(super) fn plan(self, policies: &Policies) -> Result<Plan, ApiError> {
        let direction = match proto::Direction::try_from(self.direction) {
            Ok(proto::Direction::Unspecified | proto::Direction::Input) => Direction::Input,
            Ok(proto::Direction::Output) => Direction::Output,
            Ok(proto::Direction::Tool) => Direction::Tool,
            Err(_) => {
                return Err(ApiError::invalid_field(
                    "direction",
                    "must be DIRECTION_INPUT, DIRECTION_OUTPUT or DIRECTION_TOOL",
                ));
            }
        };
        let custom = self.custom.unwrap_or_default();
        let operators = self
            .operators
            .into_iter()
            .map(|(name, operator)| {
                let spec = operator_spec(&name, operator)?;
                Ok((name, spec))
            })
            .collect::<Result<BTreeMap<_, _>, ApiError>>()?;
        let terms = Terms {
            policy: self.policy,
            direction,
            detectors: self.detectors,
            operators,
            recognizers: custom.recognizers.into_iter().map(recognizer).collect(),
            allow: custom.allow,
            deny: custom.deny.into_iter().map(deny).collect(),
        };
        policies.plan(&terms).map_err(plan_error)
    }
}

fn recognizer(custom: proto::CustomRecognizer) -> RecognizerSpec {
    RecognizerSpec {
        name: custom.name,
        patterns: custom.patterns,
        context: custom.context,
        score: or(custom.score, 0.6),
        context_score: or(custom.context_score, 0.9),
        validator: custom.validator,
    }
}

/// On the wire 0 says nothing.
fn or(score: f64, usual: f64) -> f64 {
    if score == 0.0 { usual } else { score }
}

fn deny(list: proto::DenyList) -> DenySpec {
    DenySpec {
        name: list.name,
        terms: list.terms,
        case_sensitive: list.case_sensitive,
        score: or(list.score, 1.0),
    }
}

fn operator_spec(name: &str, operator: proto::Operator) -> Result<OperatorSpec, ApiError> {
    let field = |part: &str| format!("operators.{name}.{part}");
    let mut characters = operator.mask_character.chars();
    let mask_character = match (characters.next(), characters.next()) {
        (mask, None) => mask,
        _ => {
            return Err(ApiError::invalid_field(
                field("mask_character"),
                "must be one character",
            ));
        }
    };
    let consistent_within = match operator.consistent_within.as_str() {
        "" => None,
        "session" => Some(Scope::Session),
        "tenant" => Some(Scope::Tenant),
        _ => {
            return Err(ApiError::invalid_field(
                field("consistent_within"),
                "must be `session` or `tenant`",
            ));
        }
    };
    Ok(OperatorSpec {
        operator: operator.operator,
        keep_last: match (operator.keep_none, operator.keep_last) {
            (true, 0) => Some(0),
            (true, _) => {
                return Err(ApiError::invalid_field(
                    field("keep_none"),
                    "contradicts `keep_last`; leave one of them out",
                ));
            }
            (false, keep) => (keep > 0).then_some(keep),
        },
        mask_character,
        length: (operator.length > 0).then_some(operator.length),
        consistent_within,
    })
}

fn operator(spec: &OperatorSpec) -> proto::Operator {
    let scope = |scope| match scope {
        Scope::Session => "session".to_owned(),
        Scope::Tenant => "tenant".to_owned(),
    };
    proto::Operator {
        operator: spec.operator.clone(),
        keep_last: spec.keep_last.unwrap_or_default(),
        keep_none: spec.keep_last == Some(0),
        mask_character: spec.mask_character.map(String::from).unwrap_or_default(),
        length: spec.length.unwrap_or_default(),
        consistent_within: spec.consistent_within.map(scope).unwrap_or_default(),
    }
}

pub(super) fn direction(direction: Direction) -> proto::Direction {
    match direction {
        Direction::Input => proto::Direction::Input,
        Direction::Output => proto::Direction::Output,
        Direction::Tool => proto::Direction::Tool,
    }
}

/// A profile as `ListPolicies` shows it.
pub(super) fn policy(profile: &Profile, engine: &Engine) -> proto::Policy {
    let (default_operator, operators) = profile.operator_specs();
    let rules = |way: Direction| {
        let rules = profile.rules(way);
        let action = |action| i32::from(convert::action(action));
        proto::DirectionRules {
            direction: direction(way).into(),
            default_action: action(rules.default),
            rules: rules
                .rules
                .iter()
                .map(|(name, done)| (name.clone(), action(*done)))
                .collect(),
        }
    };
    let coverage = |item: &CoverageSpec| proto::Coverage {
        id: item.id.clone(),
        title: item.title.clone(),
        detectors: item.detectors.clone(),
        note: item.note.clone(),
    };
    let detectors = profile.detector_names().unwrap_or_else(|| {
        let all = registry::ALL.iter().enumerate();
        all.filter(|(at, _)| engine.is_default_on(*at))
            .map(|(_, detector)| detector.name)
            .collect()
    });
    proto::Policy {
        name: profile.name().to_owned(),
        description: profile.description().to_owned(),
        version: profile.version().to_owned(),
        detectors: detectors.into_iter().map(Into::into).collect(),
        classifiers: profile.classifiers().map(Into::into).collect(),
        recognizers: profile.recognizer_names().map(Into::into).collect(),
        not_available: profile.pending().to_vec(),
        directions: [Direction::Input, Direction::Output, Direction::Tool]
            .map(rules)
            .into(),
        default_operator: Some(operator(default_operator)),
        operators: operators
            .iter()
            .map(|(name, spec)| (name.clone(), operator(spec)))
            .collect(),
        coverage: profile.coverage().iter().map(coverage).collect(),
    }
}

fn plan_error(error: PlanError) -> ApiError {
    match error {
        PlanError::Policy(unknown) => ApiError::not_found(
            "policy",
            &unknown.name,
            format!("leave it empty for `default`; there are {}", unknown.known),
        ),
        PlanError::Detectors(error) => convert::engine_error(error, "text"),
        PlanError::Custom(error) => {
            ApiError::invalid_field(format!("custom.{}", error.field), error.fix)
        }
        PlanError::Operator { field, fix } => ApiError::invalid_field(field, fix),
    }
}

pub(super) fn protect_error(error: ProtectError) -> ApiError {
    match error {
        ProtectError::Operator(error) => ApiError::invalid_field("text", error.to_string()),
        ProtectError::Vault(error) => vault_error(error),
        ProtectError::SessionId => ApiError::invalid_field("session_id", error.to_string()),
        ProtectError::Ambiguous => ApiError::invalid_field("operators", error.to_string()),
        ProtectError::Aborted => ApiError::internal(error.to_string()),
        ProtectError::Contended => ApiError::new(
            Code::Aborted,
            SESSION_CONTENDED,
            format!("{error}; send the request again"),
        ),
    }
}

fn vault_error(error: VaultError) -> ApiError {
    match error {
        VaultError::SessionFull { .. } => {
            ApiError::new(Code::ResourceExhausted, SESSION_FULL, error.to_string())
        }
        VaultError::Full => ApiError::exhausted(VAULT_FULL, error.to_string(), FULL_RETRY),
        cause => {
            tracing::error!(%cause, "the vault failed");
            ApiError::new(
                Code::Unavailable,
                VAULT_UNAVAILABLE,
                "the vault does not answer; send the request again",
            )
        }
    }
}

pub(super) fn restore_error(error: RestoreError) -> ApiError {
    match error {
        RestoreError::UnknownSession(id) => ApiError::not_found(
            "session",
            &id,
            "RedactText answers with a session's id, and its time may be over",
        ),
        RestoreError::Vault(error) => vault_error(error),
    }
}
