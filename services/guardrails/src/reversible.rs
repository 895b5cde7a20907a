//! Pseudonyms on the way to a model and originals on the way back, for whoever calls a
//! model in this process: the Router needs neither a policy's rules nor the wire format.

use std::{collections::BTreeMap, sync::Arc};

use signalbox_chassis::RequestContext;

use crate::{
    Action, Engine, EngineError, Finding, Restorer,
    control::RestoreError,
    operator::OperatorSpec,
    policy::{Decision, Direction, PlanError, Terms},
    protect::{Job, ProtectError},
};

/// A text with pseudonyms in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pseudonymized {
    /// The text.
    pub text: String,
    /// What to name for [`Engine::restorer`], and for the next text of the conversation.
    pub session_id: String,
    /// The findings, with their spans in the text that was given.
    pub findings: Vec<Finding>,
    /// What the policy says about the text; with [`Action::Block`] it must not be sent.
    pub action: Action,
}

/// Why there are no pseudonyms or originals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The text, or the name of the policy or session, is not accepted.
    #[error("{0}")]
    Rejected(String),
    /// The session does not exist, or its time is over.
    #[error("{0}")]
    UnknownSession(String),
    /// The vault does not answer or has no room.
    #[error("{0}")]
    Unavailable(String),
}

impl From<EngineError> for SessionError {
    fn from(error: EngineError) -> Self {
        Self::Rejected(error.to_string())
    }
}

impl From<PlanError> for SessionError {
    fn from(error: PlanError) -> Self {
        Self::Rejected(error.to_string())
    }
}

impl From<ProtectError> for SessionError {
    fn from(error: ProtectError) -> Self {
        match error {
            ProtectError::Vault(_) | ProtectError::Contended => {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Rejected(error.to_string()),
        }
    }
}

impl From<RestoreError> for SessionError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::UnknownSession(_) => Self::UnknownSession(error.to_string()),
            RestoreError::Vault(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl Engine {
    /// Replaces what the policy of this name redacts in a text to a model by pseudonyms,
    /// whatever operators the policy has. `session_id` is empty for a new session.
    ///
    /// # Errors
    ///
    /// [`SessionError`].
    pub async fn pseudonymize(
        &self,
        context: &RequestContext,
        policy: &str,
        session_id: &str,
        text: &str,
    ) -> Result<Pseudonymized, SessionError> {
        let control = self.control();
        let asker = control.asker(context);
        let all = ("*".to_owned(), OperatorSpec::named("pseudonym"));
        let plan = Arc::new(control.policies().plan(&Terms {
            policy: policy.to_owned(),
            direction: Direction::Input,
            operators: BTreeMap::from([all]),
            ..Terms::default()
        })?);
        let findings: Arc<[Finding]> = self.check(text, plan.selection())?.findings.into();
        let decision = Arc::new(Decision::new(&plan, &findings));
        let job = Job {
            plan: Arc::clone(&plan),
            keys: asker.keys.clone(),
            text: text.into(),
            findings: Arc::clone(&findings),
            decision: Arc::clone(&decision),
            year: control.year(),
        };
        let protected = job.run(control.vault(), session_id).await?;
        control
            .audit()
            .decided(&asker, "redact", &plan, text, &findings, &decision);
        Ok(Pseudonymized {
            text: protected.text,
            session_id: protected.session,
            action: decision.action,
            findings: findings.to_vec(),
        })
    }

    /// What puts the originals of a session back: into a whole text, or with
    /// [`crate::RestoreStream`] into one that arrives in pieces. It knows what the session
    /// holds now.
    ///
    /// # Errors
    ///
    /// [`SessionError`].
    pub async fn restorer(
        &self,
        context: &RequestContext,
        session_id: &str,
    ) -> Result<Restorer, SessionError> {
        let control = self.control();
        let asker = control.asker(context);
        Ok(control.restorer(&asker.keys, session_id).await?)
    }
}
