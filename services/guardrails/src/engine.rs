//! The checks behind two synchronous calls, for a handler and for the Router alike.
//! Everything that is costly happens in [`Engine::new`]; a call allocates only for
//! what it finds.

use std::{borrow::Cow, fmt::Write as _, sync::Arc};

use tracing::{Span, field};

use crate::{
    config::GuardrailsConfig,
    control::{ConfigError, Control},
    detector::registry,
    finding::Finding,
    normalise::Normalised,
    offsets::CharOffsets,
    policy::Extras,
    redact,
    resolve::Resolver,
    scan::{ScanError, ScanStats, Scanner},
};

/// Most detectors that one request may name.
pub const MAX_DETECTORS: usize = 64;

/// Why a text was not checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The text is longer than the configuration allows.
    #[error("the text has {size} bytes and at most {limit} are accepted; split it")]
    TextTooLarge {
        /// Bytes of the text.
        size: usize,
        /// Bytes that are accepted.
        limit: usize,
    },
    /// A detector's name is unknown.
    #[error("detector `{name}` does not exist; did you mean `{nearest}`?")]
    UnknownDetector {
        /// Its place among the names given.
        index: usize,
        /// The name given.
        name: String,
        /// The valid name most like it.
        nearest: &'static str,
    },
    /// More detectors were named than a request may name.
    #[error("{count} detectors are named and at most {MAX_DETECTORS} are accepted")]
    TooManyDetectors {
        /// Names given.
        count: usize,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// A fault of a detector's patterns; the text is not to blame.
    #[error("the scanner failed: {0}")]
    Scanner(String),
}

impl From<ScanError> for EngineError {
    fn from(error: ScanError) -> Self {
        Self::Scanner(error.to_string())
    }
}

/// Which detectors run.
#[derive(Clone, Debug)]
pub struct Selection {
    /// By place in the registry; `None` for the engine's own choice.
    chosen: Option<Arc<[bool]>>,
    /// What a policy adds to the detectors.
    extras: Option<Arc<Extras>>,
}

impl Selection {
    /// The detectors that run when nobody names any. Costs nothing to make.
    pub const fn default_on() -> Self {
        Self {
            chosen: None,
            extras: None,
        }
    }

    /// The detectors with these names, or [`Self::default_on`] for no names.
    ///
    /// # Errors
    ///
    /// [`EngineError::UnknownDetector`] for the first name that does not exist,
    /// [`EngineError::TooManyDetectors`] past [`MAX_DETECTORS`].
    pub fn named<S: AsRef<str>>(names: &[S]) -> Result<Self, EngineError> {
        if names.is_empty() {
            return Ok(Self::default_on());
        }
        if names.len() > MAX_DETECTORS {
            return Err(EngineError::TooManyDetectors { count: names.len() });
        }
        let mut chosen = vec![false; registry::ALL.len()];
        for (index, name) in names.iter().enumerate() {
            let name = name.as_ref();
            let at = registry::index_of(name).ok_or_else(|| EngineError::UnknownDetector {
                index,
                name: name.to_owned(),
                nearest: registry::nearest(name),
            })?;
            chosen[at] = true;
        }
        Ok(Self {
            chosen: Some(chosen.into()),
            extras: None,
        })
    }

    /// These detectors, by place in the registry.
    pub(crate) fn of(chosen: Arc<[bool]>) -> Self {
        Self {
            chosen: Some(chosen),
            extras: None,
        }
    }

    /// The same detectors with what a policy adds to them.
    pub(crate) fn with(mut self, extras: Extras) -> Self {
        self.extras = Some(Arc::new(extras));
        self
    }

    /// What a policy adds to the detectors.
    pub(crate) fn extras(&self) -> Option<&Extras> {
        self.extras.as_deref()
    }

    /// Type and name of the detector at this place.
    pub(crate) fn describe(&self, detector: usize) -> (Cow<'static, str>, Cow<'static, str>) {
        match &self.extras {
            Some(extras) => extras.describe(detector),
            None => {
                let detector = registry::ALL[detector];
                (detector.kind.into(), detector.name.into())
            }
        }
    }
}

/// What was found in a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The findings, in text order, none overlapping another.
    pub findings: Vec<Finding>,
    /// What it took.
    pub stats: ScanStats,
}

/// A text without what was found in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Redacted {
    /// The text, every finding replaced by `<TYPE>`.
    pub text: String,
    /// The findings, with their spans in the text that was given.
    pub findings: Vec<Finding>,
}

/// What a caller may know of a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetectorInfo {
    /// The name that a request uses, such as `email`.
    pub name: &'static str,
    /// The type that its findings carry, such as `EMAIL`.
    pub kind: &'static str,
    /// What it finds and how it checks it.
    pub description: &'static str,
    /// Whether it runs when a request names none.
    pub default_on: bool,
}

/// Finds and redacts. Share one: it is safe to call from many threads at once.
#[derive(Debug)]
pub struct Engine {
    scanner: Scanner,
    control: Control,
    default_on: Arc<[bool]>,
    max_text_bytes: usize,
    max_batch_bytes: usize,
}

impl Engine {
    /// Compiles all detectors.
    ///
    /// # Errors
    ///
    /// [`EngineError::UnknownDetector`] when the configuration names one that does
    /// not exist, [`EngineError::Configuration`] for anything else in it.
    pub fn new(config: &GuardrailsConfig) -> Result<Self, EngineError> {
        let default_on = match Selection::named(&config.detectors)?.chosen {
            Some(chosen) => chosen,
            None => registry::ALL.iter().map(|known| known.default_on).collect(),
        };
        Ok(Self {
            scanner: Scanner::new(registry::ALL)?,
            control: Control::new(config)?,
            default_on,
            max_text_bytes: config.max_text_bytes,
            max_batch_bytes: config.max_batch_bytes,
        })
    }

    /// Finds what `text` holds. The time is linear in the length of the text,
    /// whatever the text; about a millisecond for each 100 kB.
    ///
    /// # Errors
    ///
    /// [`EngineError::TextTooLarge`].
    pub fn check(&self, text: &str, selection: &Selection) -> Result<Report, EngineError> {
        let span = tracing::info_span!(
            "guardrails.check",
            bytes = text.len(),
            findings = field::Empty,
            types = field::Empty,
        );
        let _entered = span.enter();
        let report = self.check_quietly(text, selection)?;
        record(&span, &report.findings);
        Ok(report)
    }

    /// Replaces what `text` holds by labels such as `<EMAIL>`.
    ///
    /// # Errors
    ///
    /// [`EngineError::TextTooLarge`].
    pub fn redact(&self, text: &str, selection: &Selection) -> Result<Redacted, EngineError> {
        let findings = self.check(text, selection)?.findings;
        Ok(Redacted {
            text: redact::redact(text, &findings),
            findings,
        })
    }

    /// Policies, keys, vault and audit.
    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Every detector, in the order of `ListDetectors`, as this engine runs it.
    pub fn detectors(&self) -> impl Iterator<Item = DetectorInfo> {
        let known = registry::ALL.iter().zip(self.default_on.iter());
        known.map(|(detector, default_on)| DetectorInfo {
            name: detector.name,
            kind: detector.kind,
            description: detector.description,
            default_on: *default_on,
        })
    }

    /// Whether the detector at this place in the registry runs by default.
    pub(crate) fn is_default_on(&self, detector: usize) -> bool {
        self.default_on.get(detector).copied().unwrap_or_default()
    }

    /// Bytes that the texts of a batch may have together.
    pub(crate) fn max_batch_bytes(&self) -> usize {
        self.max_batch_bytes
    }

    /// Bytes of text in the largest request that any limit allows.
    pub(crate) fn largest_message(&self) -> usize {
        self.max_batch_bytes.max(self.max_text_bytes)
    }

    /// Refuses a text that is too long, before any work is done on it.
    pub(crate) fn admit(&self, text: &str) -> Result<(), EngineError> {
        if text.len() > self.max_text_bytes {
            return Err(EngineError::TextTooLarge {
                size: text.len(),
                limit: self.max_text_bytes,
            });
        }
        Ok(())
    }

    /// [`Self::check`] without a span, for the many texts of a batch.
    pub(crate) fn check_quietly(
        &self,
        text: &str,
        selection: &Selection,
    ) -> Result<Report, EngineError> {
        self.admit(text)?;
        let wanted = selection.chosen.as_deref().unwrap_or(&self.default_on);
        let seen = Normalised::new(text);
        let mut progress = self.scanner.begin();
        let mut resolver = Resolver::default();
        let hits = resolver.waiting();
        let end = self
            .scanner
            .advance(&seen.text, true, wanted, &mut progress, hits)?;
        if let Some(extras) = &selection.extras {
            let hits = resolver.waiting();
            extras
                .find(&seen.text, hits)
                .map_err(EngineError::Scanner)?;
            hits.retain(|hit| extras.keeps(&seen.text, hit));
        }
        let mut findings = Vec::new();
        let mut chars = CharOffsets::new(text);
        let mut last_end = 0;
        resolver.decide(end, |hit| {
            let span = seen.offsets.span(hit.start..hit.end);
            // Two findings within one character, such as `⑫`, are the first of them.
            if span.start < last_end {
                return;
            }
            last_end = span.end;
            let (kind, detector) = selection.describe(hit.detector);
            findings.push(Finding {
                kind,
                detector,
                start_byte: span.start,
                end_byte: span.end,
                start_char: chars.at(span.start),
                end_char: chars.at(span.end),
                score: hit.score,
                reasons: hit.reasons,
            });
        });
        Ok(Report {
            findings,
            stats: progress.stats,
        })
    }

    /// The detectors that `selection` chooses, by place in the registry.
    pub(crate) fn wanted(&self, selection: &Selection) -> Arc<[bool]> {
        let chosen = selection.chosen.as_ref();
        Arc::clone(chosen.unwrap_or(&self.default_on))
    }

    /// The automata, for a scan that goes on.
    pub(crate) fn scanner(&self) -> &Scanner {
        &self.scanner
    }
}

/// Puts counts and types on a span: never the text, never a value.
fn record(span: &Span, findings: &[Finding]) {
    if span.is_disabled() {
        return;
    }
    span.record("findings", findings.len());
    let mut types = String::new();
    for detector in registry::ALL {
        let of_type = |finding: &&Finding| finding.detector == detector.name;
        let count = findings.iter().filter(of_type).count();
        if count > 0 {
            let gap = if types.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(types, "{gap}{}:{count}", detector.kind);
        }
    }
    span.record("types", types);
}
