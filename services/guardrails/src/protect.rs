//! Redacting a text by a plan, so that what is reversible can be undone exactly.
//!
//! A surrogate may happen to stand in the text already, or be another value's too. So the
//! text that was written is restored again before it is given out: where that is not the
//! text that came in, what stands in the way is written as a label with a number of its
//! own, which no text holds by chance.

use std::{collections::HashMap, ops::Range, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    finding::Finding,
    keys::TenantKeys,
    operator::{Input, OperatorError, PLAIN_AFTER, Reversal},
    policy::{Action, Decision, Plan},
    vault::{Entry, Restorer, Session, Vault, VaultError},
};

/// Two requests of one session may draw one surrogate at the same time; whoever comes
/// second looks again, this often.
const ROUNDS: usize = 8;
/// Texts up to this many bytes are written on the runtime's own thread.
const INLINE_BYTES: usize = 16 << 10;
const MAX_SESSION_ID: usize = 128;

/// Why a text was not redacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtectError {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The session's name is not of the accepted form.
    #[error("must be 1 to {MAX_SESSION_ID} letters, digits and `-_.:`")]
    SessionId,
    /// What is taken out glues together what then reads as a surrogate.
    #[error("what the `redact` operator leaves cannot be told from a surrogate; use `label`")]
    Ambiguous,
    /// The process is shutting down.
    #[error("the redaction was aborted")]
    Aborted,
    /// Other requests kept using this session's surrogates.
    #[error("the session is in use by too many requests at once")]
    Contended,
}

/// A redacted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Protected {
    pub(crate) text: String,
    /// The session that can restore it; empty where none is needed.
    pub(crate) session: String,
}

/// What is redacted, by what. Cheap to clone: a long text is worked on elsewhere.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) plan: Arc<Plan>,
    pub(crate) keys: TenantKeys,
    pub(crate) text: Arc<str>,
    pub(crate) findings: Arc<[Finding]>,
    pub(crate) decision: Arc<Decision>,
    /// For ages that follow from a date of birth.
    pub(crate) year: i32,
}

impl Job {
    /// Redacts; `session` is the caller's or empty.
    ///
    /// # Errors
    ///
    /// [`ProtectError`].
    pub(crate) async fn run(
        &self,
        vault: &Vault,
        session: &str,
    ) -> Result<Protected, ProtectError> {
        if !session.is_empty() && !is_session_id(session) {
            return Err(ProtectError::SessionId);
        }
        if session.is_empty() && !self.plan.uses_vault() {
            let written = self
                .elsewhere(|job| Ok(job.write("", &[], Care::Plain)?))
                .await?;
            return Ok(Protected {
                text: written.text,
                session: String::new(),
            });
        }
        let session = match session {
            "" => ulid::Ulid::new().to_string(),
            given => given.to_owned(),
        };
        for _ in 0..ROUNDS {
            let known: Session = vault.session(&self.keys, &session).await?;
            let (id, entries) = (session.clone(), known.entries.clone());
            let written = self
                .elsewhere(move |job| job.reversibly(&id, &entries))
                .await?;
            if vault.add(&self.keys, &known, &written.fresh).await? {
                return Ok(Protected {
                    text: written.text,
                    session,
                });
            }
        }
        Err(ProtectError::Contended)
    }

    /// Runs `work` here or, for a long text, on a thread that may be busy for a while.
    async fn elsewhere<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ProtectError> + Send + 'static,
    ) -> Result<T, ProtectError> {
        if self.text.len() <= INLINE_BYTES {
            return work(self);
        }
        let job = self.clone();
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| work(&job)))
            .await
            .map_err(|_| ProtectError::Aborted)?
    }

    /// Writes with more and more care, until restoring gives back the text.
    fn reversibly(&self, session: &str, known: &[Entry]) -> Result<Written, ProtectError> {
        for care in [Care::Plain, Care::Escape, Care::Labels] {
            let written = self.write(session, known, care)?;
            let entries: Vec<Entry> = known.iter().chain(&written.fresh).cloned().collect();
            let restored = Restorer::new(&entries, Some(&self.keys))
                .restore(&written.text)
                .0;
            let tokens = Restorer::new(&[], Some(&self.keys));
            if restored == tokens.restore(&written.expected).0 {
                return Ok(written);
            }
        }
        Err(ProtectError::Ambiguous)
    }

    fn write(&self, session: &str, known: &[Entry], care: Care) -> Result<Written, OperatorError> {
        let mut writer = Writer {
            job: self,
            session,
            surrogates: HashMap::new(),
            taken: HashMap::new(),
            fresh: Vec::new(),
            labels: care == Care::Labels,
        };
        for entry in known {
            let taken = (&*entry.kind, entry.original.as_str());
            writer.taken.insert(entry.surrogate.clone(), owned(taken));
            if !writer.labels {
                writer
                    .surrogates
                    .insert(owned(taken), entry.surrogate.clone());
            }
        }
        let strangers = match care {
            Care::Plain => None,
            // What the first attempt drew may stand in the text as well.
            Care::Escape | Care::Labels => {
                let first = self.write(session, known, Care::Plain)?;
                let all: Vec<Entry> = known.iter().chain(&first.fresh).cloned().collect();
                Some(Restorer::new(&all, None))
            }
        };
        let (mut text, mut expected) = (String::with_capacity(self.text.len()), String::new());
        let mut from = 0;
        for (span, finding) in self.places(strangers.as_ref()) {
            text.push_str(&self.text[from..span.start]);
            expected.push_str(&self.text[from..span.start]);
            let value = &self.text[span.clone()];
            match finding {
                Some(finding) => {
                    let (replacement, reversible) = writer.replace(finding, value)?;
                    expected.push_str(if reversible { value } else { &replacement });
                    text.push_str(&replacement);
                }
                None => {
                    text.push_str(&writer.escape(value)?);
                    expected.push_str(value);
                }
            }
            from = span.end;
        }
        text.push_str(&self.text[from..]);
        expected.push_str(&self.text[from..]);
        Ok(Written {
            text,
            expected,
            fresh: writer.fresh,
        })
    }

    /// The places that are written anew, in order: findings that the decision replaces,
    /// and between them what `strangers` takes for a surrogate.
    fn places(&self, strangers: Option<&Restorer>) -> Vec<(Range<usize>, Option<&Finding>)> {
        let mut places = Vec::new();
        let mut from = 0;
        let gap = |from: usize, to: usize| {
            let found = strangers.map(|known| known.surrogates_in(&self.text[from..to]));
            let found = found.unwrap_or_default().into_iter();
            found.map(move |span| (from + span.start..from + span.end, None))
        };
        for (at, finding) in self.findings.iter().enumerate() {
            if self.decision.replaces(at) {
                places.extend(gap(from, finding.start_byte));
                places.push((finding.start_byte..finding.end_byte, Some(finding)));
                from = finding.end_byte;
            }
        }
        places.extend(gap(from, self.text.len()));
        places
    }
}

/// How much is done so that the text can be restored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Surrogates of the finding's own form.
    Plain,
    /// The same, and what looks like one in the text is written as a label.
    Escape,
    /// Labels alone.
    Labels,
}

struct Written {
    text: String,
    /// What restoring should give: the text, with what is irreversible replaced.
    expected: String,
    /// Entries that the vault does not hold yet.
    fresh: Vec<Entry>,
}

/// Type and value.
type Value = (String, String);

fn owned((kind, value): (&str, &str)) -> Value {
    (kind.to_owned(), value.to_owned())
}

struct Writer<'j> {
    job: &'j Job,
    session: &'j str,
    surrogates: HashMap<Value, String>,
    /// Surrogate to the value it stands for.
    taken: HashMap<String, Value>,
    fresh: Vec<Entry>,
    labels: bool,
}

impl Writer<'_> {
    /// What is written in place of a finding, and whether it can be undone.
    fn replace(&mut self, finding: &Finding, value: &str) -> Result<(String, bool), OperatorError> {
        let chosen = self.job.plan.operator(finding);
        let mut input = Input {
            kind: &finding.kind,
            value,
            spec: &chosen.spec,
            keys: &self.job.keys,
            session: self.session,
            attempt: 0,
            year: self.job.year,
        };
        if chosen.operator.reversal != Reversal::Vault {
            let written = (chosen.operator.apply)(&input)?;
            return Ok((written, chosen.operator.reversal == Reversal::Key));
        }
        let key = owned((&finding.kind, value));
        if let Some(known) = self.surrogates.get(&key) {
            return Ok((known.clone(), true));
        }
        if self.labels {
            input.attempt = PLAIN_AFTER;
        }
        loop {
            let surrogate = (chosen.operator.apply)(&input)?;
            let free = match self.taken.get(&surrogate) {
                // Its own, from an earlier request.
                Some(value) if *value == key => {
                    self.surrogates.insert(key, surrogate.clone());
                    return Ok((surrogate, true));
                }
                Some(_) => false,
                None => !surrogate.is_empty(),
            };
            if free {
                self.keep(key, surrogate.clone());
                return Ok((surrogate, true));
            }
            input.attempt += 1;
        }
    }

    /// A label for a piece of text that looks like a surrogate.
    fn escape(&mut self, value: &str) -> Result<String, OperatorError> {
        let key = owned(("TEXT", value));
        if let Some(known) = self.surrogates.get(&key) {
            return Ok(known.clone());
        }
        let spec = crate::operator::OperatorSpec::named("pseudonym");
        let mut attempt = PLAIN_AFTER;
        loop {
            let label = crate::operator::pseudonym(&Input {
                kind: "TEXT",
                value,
                spec: &spec,
                keys: &self.job.keys,
                session: self.session,
                attempt,
                year: self.job.year,
            })?;
            match self.taken.get(&label) {
                Some(known) if *known != key => attempt += 1,
                Some(_) => return Ok(label),
                None => {
                    self.keep(key, label.clone());
                    return Ok(label);
                }
            }
        }
    }

    fn keep(&mut self, key: Value, surrogate: String) {
        self.fresh.push(Entry {
            kind: key.0.clone(),
            surrogate: surrogate.clone(),
            original: Zeroizing::new(key.1.clone()),
        });
        self.taken.insert(surrogate.clone(), key.clone());
        self.surrogates.insert(key, surrogate);
    }
}

/// Writes in place of findings while a text arrives. There is no session, so what would
/// have to be kept to be undone is written as a label.
pub(crate) struct StreamWriter {
    plan: Arc<Plan>,
    keys: TenantKeys,
    year: i32,
    refused: Option<OperatorError>,
}

impl StreamWriter {
    pub(crate) fn new(plan: Arc<Plan>, keys: TenantKeys, year: i32) -> Self {
        Self {
            plan,
            keys,
            year,
            refused: None,
        }
    }

    /// What stands for this value; `None` where the plan leaves it as it is. Where an
    /// operator refuses it, nothing is written and [`Self::refused`] says why.
    pub(crate) fn write(&mut self, finding: &Finding, value: &str) -> Option<String> {
        if self.plan.action(&finding.detector) < Action::Redact {
            return None;
        }
        let chosen = self.plan.operator(finding);
        if chosen.operator.reversal == Reversal::Vault {
            return Some(format!("<{}>", finding.kind));
        }
        let written = (chosen.operator.apply)(&Input {
            kind: &finding.kind,
            value,
            spec: &chosen.spec,
            keys: &self.keys,
            session: "",
            attempt: 0,
            year: self.year,
        });
        Some(written.unwrap_or_else(|error| {
            self.refused.get_or_insert(error);
            String::new()
        }))
    }

    /// The first value that an operator refused.
    pub(crate) fn refused(&mut self) -> Option<OperatorError> {
        self.refused.take()
    }
}

/// Whether this can name a session.
pub(crate) fn is_session_id(id: &str) -> bool {
    (1..=MAX_SESSION_ID).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

#[cfg(test)]
mod tests;
