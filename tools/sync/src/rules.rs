//! Bazel's side: the rules of the BUILD files, as they stand there.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use crate::{
    error::{At as _, Error},
    label::Label,
    tools::Tools,
};

/// Attributes that are read. The first three name the rule.
const ATTRIBUTES: [&str; 17] = [
    "kind",
    "name",
    "path",
    "aliases",
    "compile_data",
    "crate",
    "crate_features",
    "crate_name",
    "crate_root",
    "data",
    "deps",
    "edition",
    "proc_macro_deps",
    "srcs",
    "tags",
    "testonly",
    "version",
];

/// The rules that stand for Cargo targets.
pub(crate) const RUST_RULES: [&str; 6] = [
    "cargo_build_script",
    "rust_binary",
    "rust_doc_test",
    "rust_library",
    "rust_proc_macro",
    "rust_test",
];

/// A rule with this tag is Bazel's own: no Cargo target is asked for it.
const BAZEL_ONLY: &str = "bazel-only";

/// One call in a BUILD file.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) kind: String,
    pub(crate) name: String,
    attributes: BTreeMap<&'static str, Value>,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A string, a number, or an expression, as it is written.
    Text(String),
    /// A literal list.
    List(Vec<String>),
}

/// A list attribute, as far as it can be read.
pub(crate) struct List {
    pub(crate) items: Vec<String>,
    /// False where no part of the value is a literal list.
    pub(crate) literal: bool,
}

impl Rule {
    pub(crate) fn text(&self, attribute: &str) -> Option<&str> {
        match self.attributes.get(attribute)? {
            Value::Text(text) => Some(text),
            Value::List(_) => None,
        }
    }

    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.attributes.contains_key(attribute)
    }

    /// The literal part of a list: all of `[...]`, that part of `[...] + select(...)`.
    pub(crate) fn list(&self, attribute: &str) -> List {
        let (items, literal) = match self.attributes.get(attribute) {
            None => (Vec::new(), true),
            Some(Value::List(items)) => (items.clone(), true),
            Some(Value::Text(text)) => match literal_part(text) {
                Some(items) => (items, true),
                None => (Vec::new(), false),
            },
        };
        List { items, literal }
    }

    pub(crate) fn label(&self, attribute: &str, package: &str) -> Option<Label> {
        self.text(attribute).map(|text| Label::parse(text, package))
    }

    /// Whether the rule stands for a Cargo target. One without a literal name is made by a
    /// list comprehension, which only a hand can keep.
    pub(crate) fn is_cargos(&self) -> bool {
        RUST_RULES.contains(&self.kind.as_str())
            && !self.name.is_empty()
            && !self.list("tags").items.iter().any(|tag| tag == BAZEL_ONLY)
    }
}

/// The strings of the literal list with which a sum begins or ends.
fn literal_part(text: &str) -> Option<Vec<String>> {
    let list = text
        .strip_prefix('[')
        .and_then(|text| text.split_once(']'))
        .and_then(|(list, rest)| rest.trim_start().starts_with('+').then_some(list))
        .or_else(|| {
            let (rest, list) = text.strip_suffix(']')?.rsplit_once('[')?;
            rest.trim_end().ends_with('+').then_some(list)
        })?;
    Some(
        list.split('"')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    )
}

/// Reads the BUILD files of `packages`, all of which must exist, in one run of buildozer.
pub(crate) fn read(
    tools: &Tools,
    root: &Path,
    packages: &[&str],
) -> Result<BTreeMap<String, Vec<Rule>>, Error> {
    let mut files: BTreeMap<String, Vec<Rule>> = packages
        .iter()
        .map(|package| ((*package).to_owned(), Vec::new()))
        .collect();
    if packages.is_empty() {
        return Ok(files);
    }
    let targets: Vec<_> = packages.iter().map(|it| format!("//{it}:all")).collect();
    let command = format!("print {}|{}\n", ATTRIBUTES.join(" "), targets.join("|"));
    // Printed paths are absolute, and have no links in them, where there is a MODULE.bazel;
    // else they count from the working folder.
    let root = &fs::canonicalize(root).at(root)?;
    for record in records(&tools.buildozer(root, &command)?)? {
        let mut values = record.into_iter();
        let mut text = || match values.next().flatten() {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        };
        let (kind, name, path) = (text(), text(), text());
        let package = Path::new(&path)
            .parent()
            .map(|folder| folder.strip_prefix(root).unwrap_or(folder))
            .map(|package| package.to_string_lossy().into_owned());
        let attributes = ATTRIBUTES
            .iter()
            .skip(3)
            .copied()
            .zip(values)
            .filter_map(|(attribute, value)| Some((attribute, value?)))
            .collect();
        if let Some(rules) = package.and_then(|package| files.get_mut(&package)) {
            rules.push(Rule {
                kind,
                name,
                attributes,
            });
        }
    }
    Ok(files)
}

/// The rows that buildozer's `print` gives; a missing attribute is `None`.
pub(crate) fn records(json: &[u8]) -> Result<Vec<Vec<Option<Value>>>, Error> {
    let output: Output = serde_json::from_slice(json).map_err(|error| Error::Tool {
        tool: "buildozer".to_owned(),
        message: format!("its output is not understood: {error}"),
    })?;
    let rows = output.records.into_iter();
    Ok(rows
        .map(|row| row.fields.into_iter().map(Field::into_value).collect())
        .collect())
}

/// buildozer's `-output_json`.
#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Field {
    text: Option<String>,
    number: Option<i64>,
    list: Option<Strings>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Strings {
    strings: Vec<String>,
}

impl Field {
    fn into_value(self) -> Option<Value> {
        let list = self.list.map(|list| Value::List(list.strings));
        let number = self.number.map(|number| Value::Text(number.to_string()));
        list.or_else(|| self.text.map(Value::Text)).or(number)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sum_may_hold_a_literal_list() {
        let text = r#"["@crates//:a", ":b"] + select({"//conditions:default": []})"#;
        assert_eq!(literal_part(text).unwrap(), ["@crates//:a", ":b"]);
        let text = r#"all_crate_deps(build = True) + ["//a"]"#;
        assert_eq!(literal_part(text).unwrap(), ["//a"]);
        assert_eq!(literal_part("[]+ DEPS").unwrap(), Vec::<String>::new());
        assert!(literal_part("glob([\"src/**\"])").is_none());
        assert!(literal_part("[n + \".rs\"]").is_none());
    }

    #[test]
    fn rows_keep_what_is_missing() {
        let json = br#"{"records":[{"fields":[
            {"text":"rust_test"},{"error":"MISSING"},{"list":{"strings":["a"]}},{"list":{}},{"number":4}
        ]}]}"#;
        assert_eq!(
            records(json).unwrap(),
            [[
                Some(Value::Text("rust_test".to_owned())),
                None,
                Some(Value::List(vec!["a".to_owned()])),
                Some(Value::List(Vec::new())),
                Some(Value::Text("4".to_owned())),
            ]]
        );
        assert!(records(b"{}").unwrap().is_empty());
    }
}
