//! The grammar of model names: what a name asks the server to do. Pure, so that a
//! name's meaning can be tested without a server.

use std::{str::FromStr, time::Duration};

use axum::http::StatusCode;

/// Most tokens that `tokens=` may ask for.
const MAX_TOKENS: usize = 1_000_000;
/// Most bytes that `huge=` may ask for.
const MAX_HUGE: usize = 256 << 20;

/// What the answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The fixed sentences, once.
    Fixed,
    /// The fixed sentences, repeated or cut to so many tokens.
    Tokens(usize),
    /// The last user message.
    Echo,
    /// One token of so many bytes.
    Huge(usize),
}

/// What goes wrong, and so how the answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An HTTP error instead of an answer.
    Status(StatusCode),
    /// RST before any response.
    Reset,
    /// No response, ever.
    Stall,
    /// The answer breaks after so many tokens.
    After(usize, Break),
    /// The stream ends without `[DONE]`.
    NoDone,
    /// The stream ends without a `finish_reason`.
    NoFinish,
}

/// How an answer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// RST.
    Reset,
    /// Silence on an open connection.
    Stall,
    /// A clean end of the body.
    Cut,
    /// An error object, then a clean end.
    Error,
}

/// What a model name asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Behaviour {
    pub(crate) latency: Duration,
    pub(crate) answer: Answer,
    /// Tokens a second.
    pub(crate) rate: Option<f64>,
    pub(crate) usage: bool,
    pub(crate) cached: Option<u64>,
    pub(crate) preamble: bool,
    pub(crate) fault: Option<Fault>,
    /// Seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) malformed_after: Option<usize>,
    pub(crate) empty_choices: bool,
    pub(crate) wrong_content_type: bool,
    /// The faults strike so many requests only.
    pub(crate) fail_first: Option<u64>,
}

/// Why a model name means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model `{model}` does not exist: `{token}` {problem}; GET / tells the grammar")]
pub struct GrammarError {
    /// The whole name.
    pub model: String,
    /// The part of it that is wrong.
    pub token: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Behaviour {
    /// A plain answer.
    fn plain() -> Self {
        Self {
            latency: Duration::ZERO,
            answer: Answer::Fixed,
            rate: None,
            usage: true,
            cached: None,
            preamble: false,
            fault: None,
            retry_after: None,
            malformed_after: None,
            empty_choices: false,
            wrong_content_type: false,
            fail_first: None,
        }
    }

    /// The same answer without its faults: what follows `fail-first`.
    pub(crate) fn healthy(self) -> Self {
        Self {
            fault: None,
            retry_after: None,
            malformed_after: None,
            empty_choices: false,
            wrong_content_type: false,
            ..self
        }
    }

    fn has_fault(&self) -> bool {
        self.fault.is_some()
            || self.malformed_after.is_some()
            || self.empty_choices
            || self.wrong_content_type
    }

    fn set_fault(&mut self, fault: Fault) -> Result<(), &'static str> {
        if self.fault.replace(fault).is_some() {
            return Err("is a second way to fail; name one");
        }
        Ok(())
    }

    fn set_answer(&mut self, answer: Answer) -> Result<(), &'static str> {
        if self.answer != Answer::Fixed {
            return Err("is a second answer; name one of tokens, echo and huge");
        }
        self.answer = answer;
        Ok(())
    }

    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), &'static str> {
        match (key, value) {
            ("ok", None) => {}
            ("echo", None) => self.set_answer(Answer::Echo)?,
            ("no-usage", None) => self.usage = false,
            ("preamble", None) => self.preamble = true,
            ("reset", None) => self.set_fault(Fault::Reset)?,
            ("stall", None) => self.set_fault(Fault::Stall)?,
            ("no-done", None) => self.set_fault(Fault::NoDone)?,
            ("no-finish", None) => self.set_fault(Fault::NoFinish)?,
            ("empty-choices", None) => self.empty_choices = true,
            ("wrong-content-type", None) => self.wrong_content_type = true,
            ("as", Some(name)) if !name.is_empty() => {}
            ("latency", Some(text)) => self.latency = duration(text)?,
            ("tokens", Some(text)) => {
                self.set_answer(Answer::Tokens(count(text, MAX_TOKENS)?))?;
            }
            ("huge", Some(text)) => self.set_answer(Answer::Huge(count(text, MAX_HUGE)?))?,
            ("rate", Some(text)) => {
                let rate = text.parse().ok().filter(|r: &f64| *r >= 0.001 && *r <= 1e6);
                self.rate = Some(rate.ok_or("needs tokens a second, 0.001 to 1000000")?);
            }
            ("cached", Some(text)) => self.cached = Some(number(text)?),
            ("status", Some(text)) => {
                let code = text.parse().ok().filter(|code| (400..600).contains(code));
                let status = code.and_then(|code| StatusCode::from_u16(code).ok());
                self.set_fault(Fault::Status(status.ok_or("needs a status of 400 to 599")?))?;
            }
            ("retry-after", Some(text)) => self.retry_after = Some(number(text)?),
            ("reset-after", Some(text)) => self.set_break(text, Break::Reset)?,
            ("stall-after", Some(text)) => self.set_break(text, Break::Stall)?,
            ("cut-after", Some(text)) => self.set_break(text, Break::Cut)?,
            ("error-after", Some(text)) => self.set_break(text, Break::Error)?,
            ("malformed-after", Some(text)) => {
                self.malformed_after = Some(count(text, MAX_TOKENS)?);
            }
            ("fail-first", Some(text)) => self.fail_first = Some(number(text)?),
            (_, None) => return Err("is no known word, or lacks its `=VALUE`"),
            (_, Some(_)) => return Err("is no known key, or takes no such value"),
        }
        Ok(())
    }

    fn set_break(&mut self, text: &str, how: Break) -> Result<(), &'static str> {
        self.set_fault(Fault::After(count(text, MAX_TOKENS)?, how))
    }
}

impl FromStr for Behaviour {
    type Err = GrammarError;

    fn from_str(model: &str) -> Result<Self, GrammarError> {
        let mut behaviour = Self::plain();
        let tokens = model.strip_prefix("fault/").unwrap_or(model);
        for token in tokens.split(',') {
            let (key, value) = match token.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (token, None),
            };
            behaviour.set(key, value).map_err(|problem| GrammarError {
                model: model.to_owned(),
                token: token.to_owned(),
                problem,
            })?;
        }
        if behaviour.fail_first.is_some() && !behaviour.has_fault() {
            behaviour.fault = Some(Fault::Status(StatusCode::SERVICE_UNAVAILABLE));
        }
        if behaviour.retry_after.is_some() && !matches!(behaviour.fault, Some(Fault::Status(_))) {
            return Err(GrammarError {
                model: model.to_owned(),
                token: "retry-after".to_owned(),
                problem: "goes with status=429 or another status",
            });
        }
        Ok(behaviour)
    }
}

fn number(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "needs a whole number")
}

fn count(text: &str, most: usize) -> Result<usize, &'static str> {
    let number = text.parse().map_err(|_| "needs a whole number")?;
    if number > most {
        return Err("is more than the server gives");
    }
    Ok(number)
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    const FIX: &str = "needs a duration such as 200ms or 2s, at most a day";
    let (digits, unit_ms) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1_u64),
        (None, Some(digits)) => (digits, 1_000),
        (None, None) => return Err(FIX),
    };
    let amount: u64 = digits.parse().map_err(|_| FIX)?;
    let ms = amount.checked_mul(unit_ms).filter(|ms| *ms <= 86_400_000);
    ms.map(Duration::from_millis).ok_or(FIX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(model: &str) -> Behaviour {
        model.parse().unwrap()
    }

    fn problem(model: &str) -> String {
        model.parse::<Behaviour>().unwrap_err().to_string()
    }

    #[test]
    fn reads_a_name_with_and_without_its_prefix() {
        assert_eq!(parse("ok"), Behaviour::plain());
        assert_eq!(parse("fault/ok,as=second"), Behaviour::plain());
        let paced = parse("fault/tokens=20,rate=0.5,latency=2s,cached=5,no-usage,preamble");
        assert_eq!(paced.answer, Answer::Tokens(20));
        assert_eq!(paced.rate, Some(0.5));
        assert_eq!(paced.latency, Duration::from_secs(2));
        assert_eq!(paced.cached, Some(5));
        assert!(!paced.usage && paced.preamble);
    }

    #[test]
    fn names_the_token_that_is_wrong() {
        for (model, token) in [
            ("gpt-4o", "gpt-4o"),
            ("", ""),
            ("ok,", ""),
            ("ok=1", "ok=1"),
            ("tokens", "tokens"),
            ("tokens=-1", "tokens=-1"),
            ("tokens=1000001", "tokens=1000001"),
            ("rate=0", "rate=0"),
            ("rate=NaN", "rate=NaN"),
            ("latency=200", "latency=200"),
            (
                "latency=18446744073709551615s",
                "latency=18446744073709551615s",
            ),
            ("status=200", "status=200"),
            ("reset,stall", "stall"),
            ("echo,tokens=3", "tokens=3"),
            ("as=", "as="),
            ("retry-after=2", "retry-after"),
        ] {
            let message = problem(model);
            assert!(
                message.contains(&format!("`{token}`")),
                "{model}: {message}"
            );
        }
    }

    #[test]
    fn fail_first_means_503_unless_a_fault_is_named() {
        let unavailable = Some(Fault::Status(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(parse("fail-first=2").fault, unavailable);
        assert_eq!(parse("fail-first=2,reset").fault, Some(Fault::Reset));
        assert_eq!(parse("fail-first=2,empty-choices").fault, None);
        assert_eq!(parse("tokens=3,fail-first=2").healthy().fault, None);
        assert_eq!(
            parse("tokens=3,fail-first=2").healthy().answer,
            Answer::Tokens(3)
        );
    }
}
