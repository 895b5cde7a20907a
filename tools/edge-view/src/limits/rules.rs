//! What the grammar alone does not say: types exist, numbers are unique, paths are
//! reachable.

use std::collections::BTreeSet;

use super::{
    Limit, LimitError,
    reader::{Message, View, is_scalar},
};
use crate::path::Template;

pub(super) fn check(view: &View) -> Result<(), LimitError> {
    let mut known = BTreeSet::new();
    let messages = view
        .messages
        .iter()
        .map(|message| (&message.name, message.line));
    let enums = view.enums.iter().map(|(name, line)| (name, *line));
    for (name, line) in messages.chain(enums) {
        if !known.insert(name.as_str()) {
            return Err(LimitError::new(
                Limit::Type,
                line,
                format!("{name} is there twice"),
            ));
        }
    }
    for message in &view.messages {
        fields(message, &known)?;
    }
    for rpc in &view.rpcs {
        for name in &rpc.types {
            if !view.messages.iter().any(|message| message.name == *name) {
                return Err(absent(name, rpc.line));
            }
        }
    }
    paths(view)
}

fn fields(message: &Message, known: &BTreeSet<&str>) -> Result<(), LimitError> {
    let mut names = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for (name, number, types, line) in &message.fields {
        if name.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(LimitError::new(
                Limit::Name,
                *line,
                format!("{name} is not snake_case"),
            ));
        }
        if !names.insert(name) || *number == 0 || !numbers.insert(number) {
            let what = format!("{name} = {number} is there twice, or 0");
            return Err(LimitError::new(Limit::Type, *line, what));
        }
        for name in types {
            if !is_scalar(name) && !known.contains(name.as_str()) {
                return Err(absent(name, *line));
            }
        }
    }
    Ok(())
}

fn absent(name: &str, line: usize) -> LimitError {
    if name.trim_start_matches('.').starts_with("google.") {
        return LimitError::new(Limit::Foreign, line, format!("{name} is not ours"));
    }
    LimitError::new(Limit::Type, line, format!("{name} is not in this file"))
}

/// The plugin takes the first declared path that matches, separately for each method.
fn paths(view: &View) -> Result<(), LimitError> {
    let mut declared: Vec<(&str, Template)> = Vec::new();
    for rpc in &view.rpcs {
        for (verb, path, _) in &rpc.bindings {
            let template = Template::parse(path).ok_or_else(|| {
                LimitError::new(
                    Limit::Path,
                    rpc.line,
                    format!("{path} is no plain template"),
                )
            })?;
            let sample = template.filled("x1");
            if let Some((_, earlier)) = declared
                .iter()
                .find(|(other, earlier)| other == verb && earlier.plugin_matches(&sample))
            {
                let what = format!("{verb} {path} is taken by {}", earlier.filled("{}"));
                return Err(LimitError::new(Limit::Order, rpc.line, what));
            }
            declared.push((verb, template));
        }
    }
    Ok(())
}
