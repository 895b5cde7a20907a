//! Path templates of `google.api.http`.
//!
//! ```text
//! Template = "/" Segments [ ":" Verb ]
//! Segments = Segment { "/" Segment }
//! Segment  = "*" | "**" | Literal | "{" FieldPath [ "=" Segments ] "}"
//! ```
//! `**` matches the rest of the path and so comes last.

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) verb: Option<String>,
}

/// One place between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    Star,
    DoubleStar,
}

/// A request field that takes part of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// The field's path, such as `["policy", "route"]`.
    pub(crate) field: Vec<String>,
    /// The first segment it takes.
    pub(crate) start: usize,
    /// One past the last; with a `**` it takes all that are left.
    pub(crate) end: usize,
}

impl Template {
    /// # Errors
    /// Says what is wrong, for the author of the annotation.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut template = Self {
            segments: Vec::new(),
            variables: Vec::new(),
            verb: None,
        };
        let rest = text.strip_prefix('/').ok_or("it does not start with `/`")?;
        let rest = match split_verb(rest) {
            Some((rest, verb)) => {
                template.verb = Some(literal(verb)?);
                rest
            }
            None => rest,
        };
        for part in split_segments(rest)? {
            match part.strip_prefix('{') {
                Some(inner) => {
                    let inner = inner
                        .strip_suffix('}')
                        .ok_or("a `{` is not closed by a `}`")?;
                    template.variable(inner)?;
                }
                None => template.segment(part)?,
            }
        }
        let double = template
            .segments
            .iter()
            .position(|segment| *segment == Segment::DoubleStar);
        if double.is_some_and(|at| at + 1 != template.segments.len()) {
            return Err("`**` is not the last segment".to_owned());
        }
        Ok(template)
    }

    fn segment(&mut self, part: &str) -> Result<(), String> {
        self.segments.push(match part {
            "*" => Segment::Star,
            "**" => Segment::DoubleStar,
            _ => Segment::Literal(literal(part)?),
        });
        Ok(())
    }

    fn variable(&mut self, inner: &str) -> Result<(), String> {
        let (field, pattern) = inner.split_once('=').unwrap_or((inner, "*"));
        let field: Vec<String> = field.trim().split('.').map(str::to_owned).collect();
        let identifier = |name: &String| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !field.iter().all(identifier) {
            return Err(format!("`{}` is not a field path", field.join(".")));
        }
        if self.variables.iter().any(|known| known.field == field) {
            return Err(format!("`{}` is bound twice", field.join(".")));
        }
        let start = self.segments.len();
        for part in split_segments(pattern)? {
            if part.contains(['{', '}']) {
                return Err("a variable holds another variable".to_owned());
            }
            self.segment(part)?;
        }
        self.variables.push(Variable {
            field,
            start,
            end: self.segments.len(),
        });
        Ok(())
    }

    /// The template in the form of `OpenAPI`'s paths: `/v1/jobs/{job_id}:cancel`.
    pub(crate) fn open_api_path(&self) -> String {
        let mut out = String::new();
        let mut at = 0;
        while at < self.segments.len() {
            out.push('/');
            if let Some(variable) = self.variables.iter().find(|variable| variable.start == at)
                && variable.end > at
            {
                out.push_str(&format!("{{{}}}", variable.field.join(".")));
                at = variable.end;
                continue;
            }
            match &self.segments[at] {
                Segment::Literal(text) => out.push_str(text),
                Segment::Star | Segment::DoubleStar => out.push('*'),
            }
            at += 1;
        }
        if let Some(verb) = &self.verb {
            out.push(':');
            out.push_str(verb);
        }
        out
    }
}

/// The verb is what follows the last `:` outside of braces.
fn split_verb(text: &str) -> Option<(&str, &str)> {
    let colon = text.rfind(':')?;
    let outside = text.rfind('}').is_none_or(|brace| brace < colon);
    (outside && !text[colon..].contains('/')).then(|| (&text[..colon], &text[colon + 1..]))
}

/// Splits at the slashes outside of braces.
fn split_segments(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '/' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err("braces do not match".to_owned());
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn literal(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~!$&'()+,;=@%".contains(c);
    if text.is_empty() {
        return Err("it has an empty segment or verb".to_owned());
    }
    match text.chars().find(|&c| !plain(c)) {
        Some(c) => Err(format!("{c:?} may not stand in the literal `{text}`")),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parses_every_form() {
        let template = Template::parse("/v1/{name=shelves/*/books/**}:publish").unwrap();
        assert_eq!(template.verb.as_deref(), Some("publish"));
        assert_eq!(template.segments.len(), 5);
        assert_eq!(template.variables[0].field, ["name"]);
        assert_eq!(
            (template.variables[0].start, template.variables[0].end),
            (1, 5)
        );
        assert_eq!(template.open_api_path(), "/v1/{name}:publish");

        let template = Template::parse("/v1/*/{a.b}").unwrap();
        assert_eq!(template.variables[0].field, ["a", "b"]);
        assert_eq!(template.open_api_path(), "/v1/*/{a.b}");
    }

    #[test]
    fn refuses_what_cannot_be_matched() {
        for text in [
            "",
            "v1",
            "/",
            "/v1//x",
            "/v1/{",
            "/v1/}",
            "/v1/{a",
            "/v1/{a={b}}",
            "/v1/**/x",
            "/v1/{1a}",
            "/v1/{a}/{a}",
            "/v1/x:",
            "/v1/a?b",
            "/{a=**}/b",
            "/v1/{}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
