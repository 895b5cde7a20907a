//! A profile together with what a request asks for: what to look for, what to do about
//! it, and what to write in its place.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{
    Action, Direction, Policies, UnknownPolicy,
    profile::{Detectors, Profile},
};
use crate::{
    custom::{AllowList, CustomError, DenySpec, Limits, RecognizerSpec, Recognizers},
    detector::registry,
    engine::{EngineError, Selection},
    finding::Finding,
    operator::{Chosen, OperatorSpec, Reversal},
    scan::Hit,
};

/// Most operators that a request may choose.
const MAX_OPERATORS: usize = 64;

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// The profile; the default one when empty.
    pub(crate) policy: String,
    pub(crate) direction: Direction,
    /// Detectors in place of the profile's.
    pub(crate) detectors: Vec<String>,
    /// Operators in place of the profile's, by type or by name of the detector; `*` for
    /// all that are not named.
    pub(crate) operators: BTreeMap<String, OperatorSpec>,
    pub(crate) recognizers: Vec<RecognizerSpec>,
    pub(crate) allow: Vec<String>,
    pub(crate) deny: Vec<DenySpec>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Policy(#[from] UnknownPolicy),
    #[error(transparent)]
    Detectors(#[from] EngineError),
    #[error(transparent)]
    Custom(#[from] CustomError),
    /// An operator; the field is one of the request.
    #[error("{field}: {fix}")]
    Operator { field: String, fix: String },
}

/// What to look for, decide and write.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    profile: Arc<Profile>,
    direction: Direction,
    selection: Selection,
    operators: BTreeMap<String, Arc<Chosen>>,
}

impl Policies {
    /// The plan for a request.
    ///
    /// # Errors
    ///
    /// [`PlanError`] names what is wrong with it.
    pub(crate) fn plan(&self, terms: &Terms) -> Result<Plan, PlanError> {
        let profile = self.named(&terms.policy)?;
        let selection = if terms.detectors.is_empty() {
            match &profile.detectors {
                Detectors::Default => Selection::default_on(),
                Detectors::Chosen(chosen) => Selection::of(Arc::clone(chosen)),
            }
        } else {
            Selection::named(&terms.detectors)?
        };
        let own = Recognizers::new(&terms.recognizers, &terms.deny, &Limits::REQUESTED)?;
        let allow = AllowList::new(&terms.allow, &Limits::REQUESTED)?;
        let extras = Extras {
            profile: Arc::clone(profile),
            recognizers: [
                Arc::clone(&self.common),
                Arc::clone(&profile.recognizers),
                Arc::new(own),
            ],
            allow: [
                Arc::clone(&self.allow),
                Arc::clone(&profile.allow),
                Arc::new(allow),
            ],
        };
        Ok(Plan {
            profile: Arc::clone(profile),
            direction: terms.direction,
            selection: selection.with(extras),
            operators: operators(&terms.operators)?,
        })
    }
}

fn operators(
    specs: &BTreeMap<String, OperatorSpec>,
) -> Result<BTreeMap<String, Arc<Chosen>>, PlanError> {
    let error = |field: String, fix: String| PlanError::Operator { field, fix };
    if specs.len() > MAX_OPERATORS {
        let fix = format!(
            "{} are chosen and at most {MAX_OPERATORS} are accepted",
            specs.len()
        );
        return Err(error("operators".to_owned(), fix));
    }
    specs
        .iter()
        .map(|(name, spec)| {
            let chosen = Chosen::new(spec.clone())
                .map_err(|wrong| error(format!("operators.{name}.{}", wrong.field), wrong.fix))?;
            Ok((name.clone(), Arc::new(chosen)))
        })
        .collect()
}

impl Plan {
    /// The profile.
    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Which way the text goes.
    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    /// What the engine looks for.
    pub(crate) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// What is done about a finding of this detector.
    pub(crate) fn action(&self, detector: &str) -> Action {
        self.profile.action(self.direction, detector)
    }

    /// The rule that says so.
    pub(super) fn rule(&self, detector: &str) -> String {
        self.profile.rule(self.direction, detector)
    }

    /// Whether anything that may be found is kept in the vault.
    pub(crate) fn uses_vault(&self) -> bool {
        let profile = self.profile.operators.values();
        let all = self.operators.values().chain(profile);
        let kept = |chosen: &Arc<Chosen>| chosen.operator.reversal == Reversal::Vault;
        // The request's choice for all takes the place of the profile's.
        match self.operators.get("*") {
            Some(_) => self.operators.values().any(kept),
            None => all.chain([&self.profile.operator]).any(kept),
        }
    }

    /// What is written in place of a finding: the request's choice for its type, for its
    /// detector, for all, then the profile's.
    pub(crate) fn operator(&self, finding: &Finding) -> &Chosen {
        let requested = [&*finding.kind, &*finding.detector, "*"]
            .into_iter()
            .find_map(|name| self.operators.get(name));
        requested
            .or_else(|| self.profile.operators.get(&*finding.detector))
            .unwrap_or(&self.profile.operator)
    }
}

/// What a plan adds to the built-in detectors; it travels with the [`Selection`].
#[derive(Debug)]
pub(crate) struct Extras {
    profile: Arc<Profile>,
    recognizers: [Arc<Recognizers>; 3],
    allow: [Arc<AllowList>; 3],
}

impl Extras {
    /// Adds what the custom recognizers find.
    ///
    /// # Errors
    ///
    /// A fault of an automaton; the text is not to blame.
    pub(crate) fn find(&self, text: &str, hits: &mut Vec<Hit>) -> Result<(), String> {
        let mut first = registry::ALL.len();
        for recognizers in &self.recognizers {
            for hit in recognizers.find(text)? {
                hits.push(Hit {
                    detector: first + hit.recognizer,
                    start: hit.start,
                    end: hit.end,
                    score: hit.score,
                    reasons: hit.reasons,
                });
            }
            first += recognizers.names().count();
        }
        Ok(())
    }

    /// Whether there are custom recognizers.
    pub(crate) fn finds(&self) -> bool {
        self.recognizers
            .iter()
            .any(|recognizers| recognizers.names().next().is_some())
    }

    /// Whether a hit is sure enough, and not allowed.
    pub(crate) fn keeps(&self, text: &str, hit: &Hit) -> bool {
        let (_, name) = self.describe(hit.detector);
        let value = &text[hit.start..hit.end];
        hit.score >= self.profile.threshold(&name)
            && !self.allow.iter().any(|list| list.allows(value))
    }

    /// Type and name of what made a hit.
    pub(crate) fn describe(&self, detector: usize) -> (Cow<'static, str>, Cow<'static, str>) {
        let Some(mut at) = detector.checked_sub(registry::ALL.len()) else {
            let built_in = registry::ALL[detector];
            return (built_in.kind.into(), built_in.name.into());
        };
        for recognizers in &self.recognizers {
            if let Some((kind, name)) = recognizers.describe(at) {
                return (kind.to_owned().into(), name.to_owned().into());
            }
            at -= recognizers.names().count();
        }
        ("CUSTOM".into(), "custom".into())
    }
}
