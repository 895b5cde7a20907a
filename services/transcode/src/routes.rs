//! From a path to the RPCs it can reach: a trie over segments, literals before
//! `*` before `**`, with the verb behind the last `:` at its leaves.

use std::{borrow::Cow, collections::HashMap};

use http::Method;

use crate::template::{Segment, Template};

/// The routes of all RPCs.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    star: Option<Box<Node>>,
    /// Routes whose template ends here, and those that take all that is left.
    leaf: Vec<Entry>,
    rest: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    verb: Option<String>,
    /// `None` is every method.
    method: Option<Method>,
    route: usize,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'p> {
    /// A route, and the raw segments that its variables index.
    Route(usize, Vec<&'p str>),
    /// The path is known, but not with this method: those that it has, and the
    /// route of one of them.
    Method(Vec<Method>, usize),
    Nothing,
}

impl Routes {
    /// # Errors
    /// The route that already has this method and a path of the same form.
    pub(crate) fn insert(
        &mut self,
        method: Option<Method>,
        template: &Template,
        route: usize,
    ) -> Result<(), usize> {
        let mut node = &mut self.root;
        let mut rest = false;
        for segment in &template.segments {
            match segment {
                Segment::Literal(text) => node = node.literals.entry(text.clone()).or_default(),
                Segment::Star => node = node.star.get_or_insert_with(Box::default),
                Segment::DoubleStar => rest = true,
            }
        }
        let entries = if rest { &mut node.rest } else { &mut node.leaf };
        let verb = template.verb.clone();
        if let Some(taken) = entries
            .iter()
            .find(|e| e.verb == verb && e.method == method)
        {
            return Err(taken.route);
        }
        entries.push(Entry {
            verb,
            method,
            route,
        });
        // A named method goes before the route that takes every method.
        entries.sort_by_key(|entry| entry.method.is_none());
        Ok(())
    }

    /// Looks up an undecoded path.
    pub(crate) fn find<'p>(&self, method: &Method, path: &'p str) -> Found<'p> {
        let Some(rest) = path.strip_prefix('/') else {
            return Found::Nothing;
        };
        let mut allowed = Vec::new();
        // With the last colon as a verb first, then as part of a value.
        if let Some(colon) = rest
            .rfind(':')
            .filter(|&colon| !rest[colon..].contains('/'))
        {
            let segments: Vec<&str> = rest[..colon].split('/').collect();
            let mut search = Search {
                method,
                verb: Some(&rest[colon + 1..]),
                allowed: &mut allowed,
            };
            if let Some(route) = search.walk(&self.root, &segments) {
                return Found::Route(route, segments);
            }
        }
        let segments: Vec<&str> = rest.split('/').collect();
        let mut search = Search {
            method,
            verb: None,
            allowed: &mut allowed,
        };
        if let Some(route) = search.walk(&self.root, &segments) {
            return Found::Route(route, segments);
        }
        match allowed.first() {
            None => Found::Nothing,
            Some(&(_, route)) => Found::Method(
                allowed.into_iter().map(|(method, _)| method).collect(),
                route,
            ),
        }
    }
}

struct Search<'s> {
    method: &'s Method,
    verb: Option<&'s str>,
    allowed: &'s mut Vec<(Method, usize)>,
}

impl Search<'_> {
    fn walk(&mut self, node: &Node, segments: &[&str]) -> Option<usize> {
        if let Some((first, later)) = segments.split_first() {
            if let Some(literal) = decode(first)
                && let Some(next) = node.literals.get(&*literal)
                && let Some(route) = self.walk(next, later)
            {
                return Some(route);
            }
            if !first.is_empty()
                && let Some(next) = &node.star
                && let Some(route) = self.walk(next, later)
            {
                return Some(route);
            }
        } else if let Some(route) = self.choose(&node.leaf) {
            return Some(route);
        }
        self.choose(&node.rest)
    }

    fn choose(&mut self, entries: &[Entry]) -> Option<usize> {
        for entry in entries
            .iter()
            .filter(|entry| entry.verb.as_deref() == self.verb)
        {
            match &entry.method {
                None => return Some(entry.route),
                Some(method) if method == self.method => return Some(entry.route),
                Some(method) => {
                    if !self.allowed.iter().any(|(known, _)| known == method) {
                        self.allowed.push((method.clone(), entry.route));
                    }
                }
            }
        }
        None
    }
}

/// Resolves percent escapes; a malformed one stays as it is. `None`: the bytes
/// are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(text.into());
    }
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1..at + 3).and_then(hex)) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok().map(Cow::from)
}

/// As [`decode`], but `%2F` stays, so that a value of several segments can tell
/// its slashes apart.
pub(crate) fn decode_keeping_slashes(text: &str) -> Option<String> {
    let text = text.replace("%2f", "%2F");
    let parts: Option<Vec<Cow<'_, str>>> = text.split("%2F").map(decode).collect();
    Some(parts?.join("%2F"))
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(*digits.first()?)? << 4 | digit(*digits.get(1)?)?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn routes(templates: &[(Method, &str)]) -> Routes {
        let mut routes = Routes::default();
        for (route, (method, template)) in templates.iter().enumerate() {
            let template = Template::parse(template).unwrap();
            routes
                .insert(Some(method.clone()), &template, route)
                .unwrap();
        }
        routes
    }

    fn route(found: &Found<'_>) -> Option<usize> {
        match found {
            Found::Route(route, _) => Some(*route),
            _ => None,
        }
    }

    #[test]
    fn literals_win_over_variables_and_variables_over_the_rest() {
        let routes = routes(&[
            (Method::GET, "/v1/{name=**}"),
            (Method::GET, "/v1/jobs/{id}"),
            (Method::GET, "/v1/jobs/all"),
            (Method::POST, "/v1/jobs/{id}:cancel"),
        ]);
        let get = |path| route(&routes.find(&Method::GET, path));
        assert_eq!(get("/v1/jobs/all"), Some(2));
        assert_eq!(get("/v1/jobs/a%6cl"), Some(2), "a literal may be escaped");
        assert_eq!(get("/v1/jobs/7"), Some(1));
        assert_eq!(get("/v1/jobs/7/x"), Some(0), "falls back to the rest");
        assert_eq!(get("/v1/jobs/"), Some(0), "a variable is never empty");
        assert_eq!(get("/v2"), None);
        assert_eq!(
            route(&routes.find(&Method::POST, "/v1/jobs/7:cancel")),
            Some(3)
        );
    }

    #[test]
    fn a_colon_in_a_value_is_not_a_verb() {
        let routes = routes(&[
            (Method::GET, "/v1/jobs/{id}"),
            (Method::POST, "/v1/jobs/{id}:cancel"),
        ]);
        let found = routes.find(&Method::GET, "/v1/jobs/a:b");
        assert_eq!(found, Found::Route(0, vec!["v1", "jobs", "a:b"]));
        let found = routes.find(&Method::POST, "/v1/jobs/a:b:cancel");
        assert_eq!(found, Found::Route(1, vec!["v1", "jobs", "a:b"]));
    }

    #[test]
    fn a_wrong_method_lists_the_right_ones() {
        let routes = routes(&[(Method::GET, "/v1/policy"), (Method::PATCH, "/v1/policy")]);
        let found = routes.find(&Method::POST, "/v1/policy");
        assert_eq!(found, Found::Method(vec![Method::GET, Method::PATCH], 0));
        assert_eq!(routes.find(&Method::POST, "/v1/other"), Found::Nothing);
    }

    #[test]
    fn the_same_path_twice_is_refused_whatever_its_variables_are_called() {
        let mut routes = routes(&[(Method::GET, "/v1/{a}")]);
        let again = Template::parse("/v1/{b}").unwrap();
        assert_eq!(routes.insert(Some(Method::GET), &again, 1), Err(0));
        assert_eq!(routes.insert(Some(Method::POST), &again, 1), Ok(()));
    }

    #[test]
    fn escapes_are_resolved_and_broken_ones_kept() {
        assert_eq!(decode("a%20b%C3%A9").unwrap(), "a b\u{e9}");
        assert_eq!(decode("100%").unwrap(), "100%");
        assert_eq!(decode("%zz%2").unwrap(), "%zz%2");
        assert_eq!(decode("%ff"), None, "not UTF-8");
        assert_eq!(decode_keeping_slashes("a%2fb%20c").unwrap(), "a%2Fb c");
    }
}
