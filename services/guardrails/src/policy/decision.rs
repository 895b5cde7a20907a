//! What was decided about a text, and why.

use super::{Action, plan::Plan};
use crate::finding::Finding;

/// A decision and the rule behind it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    /// What to do with the text: the strictest of what is done about its findings. `Log`
    /// alone lets the text through as it is, so it shows as `Allow`.
    pub(crate) action: Action,
    /// What is done about each finding, in their order.
    pub(crate) each: Vec<Action>,
    /// The rule that decided, such as `input.rules.credit_card`; empty where nothing was
    /// found.
    pub(crate) rule: String,
    /// The finding that decided, by its place.
    pub(crate) finding: Option<usize>,
    /// The decision in a sentence, without any value.
    pub(crate) explanation: String,
}

impl Decision {
    /// Decides about these findings.
    pub(crate) fn new(plan: &Plan, findings: &[Finding]) -> Self {
        let mut each = Vec::with_capacity(findings.len());
        let mut strictest: Option<usize> = None;
        for (at, finding) in findings.iter().enumerate() {
            let action = plan.action(&finding.detector);
            if strictest.is_none_or(|before| each[before] < action) {
                strictest = Some(at);
            }
            each.push(action);
        }
        let policy = plan.profile().name();
        let Some(at) = strictest else {
            return Self {
                action: Action::Allow,
                each,
                rule: String::new(),
                finding: None,
                explanation: format!("nothing was found that `{policy}` looks for"),
            };
        };
        let finding = &findings[at];
        let (decided, rule) = (each[at], plan.rule(&finding.detector));
        let explanation = format!(
            "{} at bytes {} to {} with score {:.2}: {rule} of `{policy}` {} says {}",
            finding.kind,
            finding.start_byte,
            finding.end_byte,
            finding.score,
            plan.profile().version(),
            decided.as_str(),
        );
        Self {
            action: match decided {
                Action::Log => Action::Allow,
                other => other,
            },
            each,
            rule,
            finding: Some(at),
            explanation,
        }
    }

    /// Whether the finding at this place is replaced when the text is redacted.
    pub(crate) fn replaces(&self, finding: usize) -> bool {
        self.each
            .get(finding)
            .is_some_and(|action| *action >= Action::Redact)
    }
}
