//! What is done about findings, and by which rule.
//!
//! A policy is data: a [`spec::ProfileSpec`], checked once into a [`profile::Profile`]. A
//! request names one, says which way its text goes, and may bring a few rules of its own;
//! together they are a [`plan::Plan`], which says what to look for, decides, and knows
//! what to write in place of each finding.

mod builtin;
mod decision;
mod names;
mod plan;
mod profile;
pub(crate) mod spec;

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use decision::Decision;
pub(crate) use plan::{Extras, Plan, PlanError, Terms};
use profile::Origin;
pub(crate) use profile::Profile;
pub use profile::ProfileError;
use spec::ProfileSpec;

use crate::custom::{CustomError, DenySpec, Limits, RecognizerSpec, Recognizers};

/// What to do with a text, or about a finding in it. A later one outranks an earlier one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Let through.
    Allow,
    /// Let through, and written into the audit event.
    Log,
    /// Let through, marked.
    Flag,
    /// Let through with the finding replaced.
    Redact,
    /// Not let through.
    Block,
}

impl Action {
    /// As policies and audit events write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Log => "log",
            Self::Flag => "flag",
            Self::Redact => "redact",
            Self::Block => "block",
        }
    }
}

/// Which way a text goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To a model.
    #[default]
    Input,
    /// From a model.
    Output,
    /// From a tool or a search.
    Tool,
}

impl Direction {
    /// As policies write it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Tool => "tool",
        }
    }
}

/// The profile of requests that name none.
pub(crate) const DEFAULT: &str = "default";

/// No policy has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy `{name}` does not exist; there are {known}")]
pub(crate) struct UnknownPolicy {
    pub(crate) name: String,
    /// Those that do, for people.
    pub(crate) known: String,
}

/// All profiles, and what the configuration adds to each of them.
#[derive(Debug)]
pub(crate) struct Policies {
    /// In the order of `ListPolicies`.
    all: Vec<Arc<Profile>>,
    /// Recognizers and lists of the configuration, which every policy uses.
    common: Arc<Recognizers>,
    allow: Arc<crate::custom::AllowList>,
}

impl Policies {
    /// The built-in profiles and these. One of these replaces a built-in one of its name.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] names the field of the configuration.
    pub(crate) fn new(
        profiles: &[ProfileSpec],
        recognizers: &[RecognizerSpec],
        deny: &[DenySpec],
        allow: &[String],
    ) -> Result<Self, ProfileError> {
        let configured = |error: CustomError| ProfileError::new(&error.field, error.fix);
        let common =
            Recognizers::new(recognizers, deny, &Limits::CONFIGURED).map_err(configured)?;
        let allow =
            crate::custom::AllowList::new(allow, &Limits::CONFIGURED).map_err(configured)?;
        let mut all = Vec::new();
        for spec in builtin::specs() {
            all.push(Arc::new(Profile::new(spec, &Origin::BuiltIn)?));
        }
        let mut seen = BTreeMap::new();
        let extra: Vec<&str> = common.names().collect();
        for (index, spec) in profiles.iter().enumerate() {
            let field = format!("policies[{index}]");
            if seen.insert(spec.name.clone(), index).is_some() {
                return Err(ProfileError::new(
                    &format!("{field}.name"),
                    format!("`{}` is an earlier policy's name too", spec.name),
                ));
            }
            let origin = Origin::Configured {
                field: &field,
                recognizers: &extra,
            };
            let profile = Arc::new(Profile::new(spec.clone(), &origin)?);
            match all.iter_mut().find(|known| known.name() == spec.name) {
                Some(known) => *known = profile,
                None => all.push(profile),
            }
        }
        Ok(Self {
            all,
            common: Arc::new(common),
            allow: Arc::new(allow),
        })
    }

    /// All profiles.
    pub(crate) fn all(&self) -> &[Arc<Profile>] {
        &self.all
    }

    /// The profile with this name; the empty name is the default one's.
    pub(crate) fn named(&self, name: &str) -> Result<&Arc<Profile>, UnknownPolicy> {
        let wanted = if name.is_empty() { DEFAULT } else { name };
        let found = self.all.iter().find(|known| known.name() == wanted);
        found.ok_or_else(|| {
            let known: Vec<String> = self
                .all
                .iter()
                .map(|known| format!("`{}`", known.name()))
                .collect();
            UnknownPolicy {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
    }
}

#[cfg(test)]
mod tests;
