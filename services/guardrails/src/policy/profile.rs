//! A profile that was checked: every name exists, every operator has settings that it
//! accepts, every number lies in its range.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Action, Direction,
    names::{Name, look_up},
    spec::{CoverageSpec, ProfileSpec, RulesSpec},
};
use crate::{
    custom::{AllowList, CustomError, Limits, Recognizers},
    detector::registry,
    operator::{Chosen, OperatorSpec},
};

/// Something about a profile is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guardrails.{field}: {fix}")]
pub struct ProfileError {
    /// The field, such as `policies[0].operators.email.keep_last`.
    pub field: String,
    /// What is accepted.
    pub fix: String,
}

impl ProfileError {
    pub(super) fn new(field: &str, fix: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            fix: fix.into(),
        }
    }
}

/// Where a profile comes from.
pub(super) enum Origin<'o> {
    /// With the service: it may name what does not exist yet.
    BuiltIn,
    /// From the configuration.
    Configured {
        /// Its field.
        field: &'o str,
        /// Names of the configuration's own recognizers and lists.
        recognizers: &'o [&'o str],
    },
}

/// Which detectors run.
#[derive(Clone, Debug)]
pub(super) enum Detectors {
    /// Those that the server runs by default.
    Default,
    /// These, by place in the registry.
    Chosen(Arc<[bool]>),
}

/// A checked profile.
#[derive(Debug)]
pub(crate) struct Profile {
    spec: ProfileSpec,
    pub(super) detectors: Detectors,
    /// Names that it lists and that do not exist yet.
    pending: Vec<String>,
    pub(super) operator: Arc<Chosen>,
    /// By name of the detector.
    pub(super) operators: BTreeMap<String, Arc<Chosen>>,
    pub(super) recognizers: Arc<Recognizers>,
    pub(super) allow: Arc<AllowList>,
}

impl Profile {
    /// Checks a profile.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] for the first field that is wrong.
    pub(super) fn new(spec: ProfileSpec, origin: &Origin<'_>) -> Result<Self, ProfileError> {
        let check = Check {
            prefix: match origin {
                Origin::BuiltIn => spec.name.clone(),
                Origin::Configured { field, .. } => (*field).to_owned(),
            },
            origin,
        };
        check.texts(&spec)?;
        let recognizers = Recognizers::new(&spec.recognizers, &spec.deny, &Limits::CONFIGURED)
            .map_err(|error| check.custom(error))?;
        let allow = AllowList::new(&spec.allow, &Limits::CONFIGURED)
            .map_err(|error| check.custom(error))?;
        let own: Vec<&str> = recognizers.names().collect();
        let mut pending = Vec::new();
        let detectors = check.detectors(&spec.detectors, &mut pending)?;
        check.classifiers(&spec.classifiers, &mut pending)?;
        for (at, item) in spec.coverage.iter().enumerate() {
            for name in &item.detectors {
                check.name(&format!("coverage[{at}].detectors"), name, &own)?;
            }
        }
        check.score("min_score", spec.min_score)?;
        for (name, score) in &spec.thresholds {
            let field = format!("thresholds.{name}");
            check.name(&field, name, &own)?;
            check.score(&field, *score)?;
        }
        let operator = check.operator("operator", &spec.operator)?;
        let mut operators = BTreeMap::new();
        for (name, operator) in &spec.operators {
            let field = format!("operators.{name}");
            check.name(&field, name, &own)?;
            operators.insert(name.clone(), check.operator(&field, operator)?);
        }
        for (direction, rules) in [
            ("input", &spec.input),
            ("output", &spec.output),
            ("tool", &spec.tool),
        ] {
            for name in rules.rules.keys() {
                check.name(&format!("{direction}.rules.{name}"), name, &own)?;
            }
        }
        Ok(Self {
            detectors,
            pending,
            operator,
            operators,
            recognizers: Arc::new(recognizers),
            allow: Arc::new(allow),
            spec,
        })
    }

    /// The name that a request uses.
    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its version.
    pub(crate) fn version(&self) -> &str {
        &self.spec.version
    }

    /// What it is for.
    pub(crate) fn description(&self) -> &str {
        &self.spec.description
    }

    /// The detectors that run, by name; `None` where the server's default ones do.
    pub(crate) fn detector_names(&self) -> Option<Vec<&'static str>> {
        match &self.detectors {
            Detectors::Default => None,
            Detectors::Chosen(chosen) => {
                let all = registry::ALL.iter().zip(chosen.iter());
                let names = all.filter_map(|(detector, chosen)| chosen.then_some(detector.name));
                Some(names.collect())
            }
        }
    }

    /// Its own recognizers and lists, by name.
    pub(crate) fn recognizer_names(&self) -> impl Iterator<Item = &str> {
        self.recognizers.names()
    }

    /// The classifiers that run, by name.
    pub(crate) fn classifiers(&self) -> impl Iterator<Item = &str> {
        let exists = |name: &&str| look_up(name) == Name::Classifier;
        self.spec
            .classifiers
            .iter()
            .map(String::as_str)
            .filter(exists)
    }

    /// Names that it lists and that do not exist yet.
    pub(crate) fn pending(&self) -> &[String] {
        &self.pending
    }

    /// What covers each item of the law or standard.
    pub(crate) fn coverage(&self) -> &[CoverageSpec] {
        &self.spec.coverage
    }

    /// The operators by detector, as they are written, and the one of all others.
    pub(crate) fn operator_specs(&self) -> (&OperatorSpec, &BTreeMap<String, OperatorSpec>) {
        (&self.spec.operator, &self.spec.operators)
    }

    /// The rules of one direction.
    pub(crate) fn rules(&self, direction: Direction) -> &RulesSpec {
        match direction {
            Direction::Input => &self.spec.input,
            Direction::Output => &self.spec.output,
            Direction::Tool => &self.spec.tool,
        }
    }

    /// The least score that counts.
    pub(crate) fn threshold(&self, detector: &str) -> f64 {
        let own = self.spec.thresholds.get(detector);
        own.copied().unwrap_or(self.spec.min_score)
    }

    /// What is done about a finding of this detector.
    pub(super) fn action(&self, direction: Direction, detector: &str) -> Action {
        let rules = self.rules(direction);
        rules.rules.get(detector).copied().unwrap_or(rules.default)
    }

    /// The rule that says what is done about a finding of this detector.
    pub(super) fn rule(&self, direction: Direction, detector: &str) -> String {
        let way = direction.as_str();
        if self.rules(direction).rules.contains_key(detector) {
            format!("{way}.rules.{detector}")
        } else {
            format!("{way}.default")
        }
    }
}

/// Checks the fields of one profile.
struct Check<'o> {
    prefix: String,
    origin: &'o Origin<'o>,
}

impl Check<'_> {
    fn error(&self, field: &str, fix: impl Into<String>) -> ProfileError {
        ProfileError::new(&format!("{}.{field}", self.prefix), fix)
    }

    fn custom(&self, error: CustomError) -> ProfileError {
        self.error(&error.field, error.fix)
    }

    fn texts(&self, spec: &ProfileSpec) -> Result<(), ProfileError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if spec.name.is_empty() || spec.name.len() > 64 || !spec.name.bytes().all(plain) {
            return Err(self.error("name", "must be 1 to 64 lower-case letters, digits and `_`"));
        }
        if spec.version.is_empty() {
            return Err(self.error("version", "must not be empty; begin with 1.0.0"));
        }
        if spec.description.is_empty() {
            return Err(self.error("description", "must say what the policy is for"));
        }
        Ok(())
    }

    /// A name in a rule: a detector, a classifier, or a recognizer of the profile's own.
    fn name(&self, field: &str, name: &str, own: &[&str]) -> Result<(), ProfileError> {
        if own.contains(&name) {
            return Ok(());
        }
        match (look_up(name), self.origin) {
            (Name::Detector(_) | Name::Classifier, _) | (Name::NotYet, Origin::BuiltIn) => Ok(()),
            (_, Origin::Configured { recognizers, .. }) if recognizers.contains(&name) => Ok(()),
            _ => Err(self.unknown(field, name)),
        }
    }

    fn unknown(&self, field: &str, name: &str) -> ProfileError {
        self.error(
            field,
            format!(
                "`{name}` does not exist; did you mean `{}`?",
                registry::nearest(name)
            ),
        )
    }

    fn detectors(
        &self,
        names: &[String],
        pending: &mut Vec<String>,
    ) -> Result<Detectors, ProfileError> {
        if names.is_empty() {
            return Ok(Detectors::Default);
        }
        if names == ["*"] {
            return Ok(Detectors::Chosen(vec![true; registry::ALL.len()].into()));
        }
        let mut chosen = vec![false; registry::ALL.len()];
        for (at, name) in names.iter().enumerate() {
            match (look_up(name), self.origin) {
                (Name::Detector(index), _) => chosen[index] = true,
                (Name::NotYet, Origin::BuiltIn) => pending.push(name.clone()),
                _ => return Err(self.unknown(&format!("detectors[{at}]"), name)),
            }
        }
        Ok(Detectors::Chosen(chosen.into()))
    }

    fn classifiers(&self, names: &[String], pending: &mut Vec<String>) -> Result<(), ProfileError> {
        for (at, name) in names.iter().enumerate() {
            match (look_up(name), self.origin) {
                (Name::Classifier, _) => {}
                (Name::NotYet, Origin::BuiltIn) => pending.push(name.clone()),
                _ => {
                    return Err(self.error(
                        &format!("classifiers[{at}]"),
                        format!("`{name}` does not exist"),
                    ));
                }
            }
        }
        Ok(())
    }

    fn score(&self, field: &str, score: f64) -> Result<(), ProfileError> {
        if (0.0..=1.0).contains(&score) {
            Ok(())
        } else {
            Err(self.error(field, "must be 0 to 1"))
        }
    }

    fn operator(&self, field: &str, spec: &OperatorSpec) -> Result<Arc<Chosen>, ProfileError> {
        Chosen::new(spec.clone())
            .map(Arc::new)
            .map_err(|error| self.error(&format!("{field}.{}", error.field), error.fix))
    }
}
