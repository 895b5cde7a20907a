//! Recognizers and lists that the configuration, a policy or a request brings along.
//!
//! They run in an automaton of their own, beside the built-in detectors: those are chosen
//! to be fast together, these may be anything. Their hits join the built-in ones before
//! overlaps are resolved.

mod automaton;
mod spec;
mod validator;

use std::{borrow::Cow, collections::HashSet};

use automaton::Automaton;
pub(crate) use automaton::MAX_MATCH_BYTES;
pub(crate) use spec::Limits;
pub use spec::{CustomError, DenySpec, RecognizerSpec};
use spec::{MAX_NAME_BYTES, MAX_PATTERN_BYTES, MAX_TERM_BYTES};

/// Bytes before and after a match in which a word of context counts.
const BEFORE: usize = 48;
const AFTER: usize = 24;

/// Something that a custom recognizer or list found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    /// The recognizer's place in its [`Recognizers`].
    pub(crate) recognizer: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) score: f64,
    pub(crate) reasons: Vec<Cow<'static, str>>,
}

/// What is found, by whom.
#[derive(Debug)]
struct Recognizer {
    name: String,
    kind: String,
    score: f64,
    context_score: f64,
    context: Vec<String>,
    validator: Option<validator::Named>,
    /// A term counts as a whole word only.
    whole_words: bool,
}

/// Compiled recognizers and deny lists.
#[derive(Debug, Default)]
pub(crate) struct Recognizers {
    all: Vec<Recognizer>,
    /// By pattern: the recognizer.
    owner: Vec<usize>,
    automaton: Option<Automaton>,
}

impl Recognizers {
    /// Checks and compiles.
    ///
    /// # Errors
    ///
    /// [`CustomError`] names the field, as `recognizers[0].patterns[1]` or
    /// `deny[0].terms[2]`.
    pub(crate) fn new(
        recognizers: &[RecognizerSpec],
        deny: &[DenySpec],
        limits: &Limits,
    ) -> Result<Self, CustomError> {
        let mut built = Self::default();
        let mut patterns = Vec::new();
        count("recognizers", recognizers.len(), 0, limits.recognizers)?;
        for (index, spec) in recognizers.iter().enumerate() {
            let field = format!("recognizers[{index}]");
            let recognizer = built.recognizer(&field, spec, limits)?;
            for (at, pattern) in spec.patterns.iter().enumerate() {
                let field = format!("{field}.patterns[{at}]");
                length(&field, pattern, MAX_PATTERN_BYTES)?;
                let parsed =
                    automaton::parse(pattern).map_err(|fix| CustomError::new(&field, fix))?;
                // Each alone, so that the error names the one that is too large.
                Automaton::new(std::slice::from_ref(&parsed), limits.compiled)
                    .map_err(|fix| CustomError::new(&field, fix))?;
                patterns.push(parsed);
                built.owner.push(built.all.len());
            }
            built.all.push(recognizer);
        }
        count("deny", deny.len(), 0, limits.lists)?;
        let terms = deny.iter().map(|list| list.terms.len()).sum();
        count("deny", terms, 0, limits.terms)?;
        for (index, list) in deny.iter().enumerate() {
            let field = format!("deny[{index}]");
            let pattern = built.deny_list(&field, list)?;
            let parsed = automaton::parse(&pattern)
                .map_err(|fix| CustomError::new(format!("{field}.terms"), fix))?;
            patterns.push(parsed);
            built.owner.push(built.all.len() - 1);
        }
        if !patterns.is_empty() {
            let field = if recognizers.is_empty() {
                "deny"
            } else {
                "recognizers"
            };
            let compiled = Automaton::new(&patterns, limits.compiled)
                .map_err(|fix| CustomError::new(field, format!("all together: {fix}")))?;
            built.automaton = Some(compiled);
        }
        Ok(built)
    }

    fn recognizer(
        &self,
        field: &str,
        spec: &RecognizerSpec,
        limits: &Limits,
    ) -> Result<Recognizer, CustomError> {
        self.check_name(field, &spec.name)?;
        count(
            &format!("{field}.patterns"),
            spec.patterns.len(),
            1,
            limits.patterns,
        )?;
        count(
            &format!("{field}.context"),
            spec.context.len(),
            0,
            limits.words,
        )?;
        for (at, word) in spec.context.iter().enumerate() {
            let field = format!("{field}.context[{at}]");
            length(&field, word, MAX_TERM_BYTES)?;
        }
        score(&format!("{field}.score"), spec.score)?;
        score(&format!("{field}.context_score"), spec.context_score)?;
        let validator = match spec.validator.as_str() {
            "" => None,
            name => Some(validator::find(name).ok_or_else(|| {
                CustomError::new(
                    format!("{field}.validator"),
                    format!("`{name}` does not exist; there are {}", validator::names()),
                )
            })?),
        };
        Ok(Recognizer {
            name: spec.name.clone(),
            kind: spec.name.to_ascii_uppercase(),
            score: spec.score,
            context_score: spec.context_score,
            context: spec
                .context
                .iter()
                .map(|word| word.to_lowercase())
                .collect(),
            validator: validator.map(|check| (spec.validator.clone(), check)),
            whole_words: false,
        })
    }

    /// Adds a list; the pattern of all its terms.
    fn deny_list(&mut self, field: &str, list: &DenySpec) -> Result<String, CustomError> {
        self.check_name(field, &list.name)?;
        count(&format!("{field}.terms"), list.terms.len(), 1, usize::MAX)?;
        score(&format!("{field}.score"), list.score)?;
        let mut pattern = String::from(if list.case_sensitive { "(?:" } else { "(?i:" });
        for (at, term) in list.terms.iter().enumerate() {
            length(&format!("{field}.terms[{at}]"), term, MAX_TERM_BYTES)?;
            if at > 0 {
                pattern.push('|');
            }
            regex_syntax::escape_into(term, &mut pattern);
        }
        pattern.push(')');
        self.all.push(Recognizer {
            name: list.name.clone(),
            kind: list.name.to_ascii_uppercase(),
            score: list.score,
            context_score: list.score,
            context: Vec::new(),
            validator: None,
            whole_words: true,
        });
        Ok(pattern)
    }

    fn check_name(&self, field: &str, name: &str) -> Result<(), CustomError> {
        let field = || format!("{field}.name");
        let fits = name.len() <= MAX_NAME_BYTES
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !fits {
            return Err(CustomError::new(
                field(),
                "must be lower-case letters, digits and `_`, at most 64, and begin with a letter",
            ));
        }
        let taken = crate::detector::registry::index_of(name).is_some()
            || self.all.iter().any(|known| known.name == name);
        if taken {
            return Err(CustomError::new(
                field(),
                format!("`{name}` is taken; choose another"),
            ));
        }
        Ok(())
    }

    /// Names of recognizers and lists, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|known| known.name.as_str())
    }

    /// Type and name of a recognizer.
    pub(crate) fn describe(&self, recognizer: usize) -> Option<(&str, &str)> {
        let known = self.all.get(recognizer)?;
        Some((&known.kind, &known.name))
    }

    /// Everything that the recognizers find, possibly overlapping.
    ///
    /// # Errors
    ///
    /// A fault of the automaton; the text is not to blame.
    pub(crate) fn find(&self, text: &str) -> Result<Vec<Hit>, String> {
        let Some(automaton) = &self.automaton else {
            return Ok(Vec::new());
        };
        let found = automaton.find(text)?;
        Ok(found.iter().filter_map(|it| self.judge(text, it)).collect())
    }

    fn judge(&self, text: &str, found: &automaton::Match) -> Option<Hit> {
        let recognizer = self.owner[found.pattern];
        let known = &self.all[recognizer];
        let (start, end) = (found.start, found.end);
        if known.whole_words && !stands_alone(text, start, end) {
            return None;
        }
        let mut reasons: Vec<Cow<'static, str>> = vec![Cow::Borrowed(if known.whole_words {
            "deny_list"
        } else {
            "pattern:custom"
        })];
        if let Some((name, check)) = &known.validator {
            if !check(&text[start..end]) {
                return None;
            }
            reasons.push(Cow::Owned(name.clone()));
        }
        let near = word_near(text, start, end, &known.context);
        if near {
            reasons.push(Cow::Borrowed("context"));
        }
        Some(Hit {
            recognizer,
            start,
            end,
            score: if near {
                known.context_score
            } else {
                known.score
            },
            reasons,
        })
    }
}

/// Whether no letter or digit of the term's own kind goes on outside of it.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let word = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
    let inside = &text[start..end];
    let goes_on_before = word(text[..start].chars().next_back()) && word(inside.chars().next());
    let goes_on_after = word(text[end..].chars().next()) && word(inside.chars().next_back());
    !goes_on_before && !goes_on_after
}

/// Whether one of these lower-case words stands near, as a whole word.
fn word_near(text: &str, start: usize, end: usize, words: &[String]) -> bool {
    if words.is_empty() {
        return false;
    }
    let low = text.floor_char_boundary(start.saturating_sub(BEFORE));
    let high = text.ceil_char_boundary((end + AFTER).min(text.len()));
    [&text[low..start], &text[end..high]].iter().any(|window| {
        let window = window.to_lowercase();
        words.iter().any(|word| {
            window
                .match_indices(word.as_str())
                .any(|(at, found)| stands_alone(&window, at, at + found.len()))
        })
    })
}

/// Values that are never findings.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowList(HashSet<String>);

impl AllowList {
    /// Checks number and lengths.
    ///
    /// # Errors
    ///
    /// [`CustomError`] names the field, as `allow[3]`.
    pub(crate) fn new(terms: &[String], limits: &Limits) -> Result<Self, CustomError> {
        count("allow", terms.len(), 0, limits.terms)?;
        for (at, term) in terms.iter().enumerate() {
            length(&format!("allow[{at}]"), term, MAX_PATTERN_BYTES)?;
        }
        Ok(Self(terms.iter().map(|term| term.to_lowercase()).collect()))
    }

    /// Whether this value is let through, capitals aside.
    pub(crate) fn allows(&self, value: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&value.to_lowercase())
    }
}

fn count(field: &str, count: usize, least: usize, most: usize) -> Result<(), CustomError> {
    if count < least {
        return Err(CustomError::new(field, "must not be empty"));
    }
    if count > most {
        return Err(CustomError::new(
            field,
            format!("holds {count} and at most {most} are accepted"),
        ));
    }
    Ok(())
}

fn length(field: &str, text: &str, most: usize) -> Result<(), CustomError> {
    match text.len() {
        0 => Err(CustomError::new(field, "must not be empty")),
        size if size > most => Err(CustomError::new(
            field,
            format!("has {size} bytes and at most {most} are accepted"),
        )),
        _ => Ok(()),
    }
}

fn score(field: &str, score: f64) -> Result<(), CustomError> {
    if (0.0..=1.0).contains(&score) {
        Ok(())
    } else {
        Err(CustomError::new(field, "must be 0 to 1"))
    }
}

#[cfg(test)]
mod tests;
