//! Path templates as Kong and its plugin read them: literals, and variables that stand
//! for a part of one segment.

/// A piece of a path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text that stands there as it is.
    Literal(String),
    /// `{name}`: anything but a slash.
    Variable(String),
}

/// A path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its pieces in order.
    pub pieces: Vec<Piece>,
}

impl Template {
    /// Reads a template; None where it holds a pattern (`{name=...}`, `*`), a nested
    /// field or a character that the plugin's regular expressions would give a meaning.
    pub fn parse(path: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = path.strip_prefix('/').map(|_| path)?;
        while !rest.is_empty() {
            let end = rest.find('{').unwrap_or(rest.len());
            let (literal, tail) = rest.split_at(end);
            if !literal
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/_-:".contains(c))
            {
                return None;
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            rest = tail;
            if let Some(variable) = rest.strip_prefix('{') {
                let (name, tail) = variable.split_once('}')?;
                if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    return None;
                }
                pieces.push(Piece::Variable(name.to_owned()));
                rest = tail;
            }
        }
        Some(Self { pieces })
    }

    /// The variables' names.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// Whether it ends in a verb: `...:cancel`.
    pub fn has_verb(&self) -> bool {
        matches!(self.pieces.last(), Some(Piece::Literal(last))
            if last.rsplit('/').next().is_some_and(|segment| segment.contains(':')))
    }

    /// The template with `value` for each variable.
    pub fn filled(&self, value: &str) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text,
            Piece::Variable(_) => value,
        });
        pieces.collect()
    }

    /// Kong's route for it: a regular expression over the whole path. A variable ends at
    /// a colon too, so that `{id}` and `{id}:verb` share no path.
    pub fn kong_route(&self) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text,
            Piece::Variable(_) => "[^/:]+",
        });
        format!("~{}$", pieces.collect::<String>())
    }

    /// Whether the plugin's own expression for the template, in which a variable is
    /// `([^/]+)`, matches a path.
    pub fn plugin_matches(&self, path: &str) -> bool {
        matches(&self.pieces, path)
    }
}

fn matches(pieces: &[Piece], path: &str) -> bool {
    match pieces.split_first() {
        None => path.is_empty(),
        Some((Piece::Literal(text), rest)) => path
            .strip_prefix(text.as_str())
            .is_some_and(|path| matches(rest, path)),
        Some((Piece::Variable(_), rest)) => {
            let segment = path.find('/').unwrap_or(path.len());
            let ends = path.char_indices().map(|(at, c)| at + c.len_utf8());
            ends.take_while(|end| *end <= segment)
                .any(|end| matches(rest, &path[end..]))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Template;

    #[test]
    fn a_variable_takes_a_verb_along_in_the_plugin_and_not_in_kong() {
        let job = Template::parse("/v1/jobs/{job_id}").unwrap();
        assert!(job.plugin_matches("/v1/jobs/a:cancel"));
        assert!(!job.plugin_matches("/v1/jobs/a/results"));
        assert!(!job.plugin_matches("/v1/jobs/"));
        assert_eq!(job.kong_route(), "~/v1/jobs/[^/:]+$");
        let cancel = Template::parse("/v1/jobs/{job_id}:cancel").unwrap();
        assert!(cancel.plugin_matches("/v1/jobs/a:cancel"));
        assert!(!cancel.plugin_matches("/v1/jobs/a"));
        assert!(cancel.has_verb() && !job.has_verb());
    }

    #[test]
    fn patterns_and_characters_of_regular_expressions_are_refused() {
        for path in [
            "/v1/{name=**}",
            "/v1/*",
            "/v1/{a.b}",
            "/v1.1/x",
            "v1",
            "/v1/{a",
            "/v1/(x)",
        ] {
            assert_eq!(Template::parse(path), None, "{path}");
        }
    }
}
