//! Holds one BUILD file to what Cargo says of it.
//!
//! Every disagreement gives a finding and, where there is one, the buildozer command that
//! mends it. Only what Cargo knows is compared; all else in a rule is kept by hand.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use crate::{
    expected::{Expected, Identity, Items, Package},
    files,
    label::Label,
    report::Finding,
    rules::{RUST_RULES, Rule},
};

/// The file of our own rules, which know edition, version and lints.
const RULES_BZL: &str = "//tools/build_defs:rust.bzl";

/// What is needed to compare one package.
pub(crate) struct Compare<'a> {
    pub(crate) root: &'a Utf8Path,
    /// The package's name, which is its folder.
    pub(crate) package: &'a str,
    pub(crate) expected: &'a Package,
    /// The rules of every member that stand for Cargo targets.
    pub(crate) managed: &'a BTreeSet<Label>,
}

/// What the comparison gives.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    /// buildozer's commands.
    pub(crate) commands: Vec<String>,
    /// Those that read what the first made, for a second run: buildozer does not look into
    /// an expression that it was given in the same one.
    pub(crate) afterwards: Vec<String>,
}

impl Compare<'_> {
    /// The path of the BUILD file.
    pub(crate) fn file(&self) -> String {
        Utf8Path::new(self.package).join("BUILD.bazel").to_string()
    }

    /// A BUILD file that does not exist yet.
    pub(crate) fn missing(&self) -> Outcome {
        let mut outcome = Outcome::default();
        let needed: Vec<_> = self
            .expected
            .rules
            .iter()
            .filter(|it| it.required)
            .collect();
        let names: Vec<_> = needed.iter().map(|it| it.name.as_str()).collect();
        outcome.findings.push(Finding::of(
            &self.file(),
            format!("a package with {}", names.join(", ")),
            "nothing: the file is missing",
        ));
        for expected in &needed {
            self.create(expected, &mut outcome);
        }
        self.load(&needed, &mut outcome);
        outcome
    }

    /// A BUILD file with `rules`, whose text is `text`.
    pub(crate) fn with(&self, rules: &[Rule], text: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let mut left: Vec<&Rule> = rules.iter().filter(|rule| rule.is_cargos()).collect();
        let mut created = Vec::new();
        let mut matched: BTreeMap<&str, &str> = BTreeMap::new();
        let mut pairs = Vec::new();
        for expected in &self.expected.rules {
            let found = left
                .iter()
                .position(|rule| self.is(rule, expected, &matched))
                .or_else(|| {
                    let same = |it: &&Rule| it.name == expected.name && it.kind == expected.kind;
                    left.iter().position(same)
                });
            if let Some(at) = found {
                let rule = left.remove(at);
                matched.insert(&expected.name, &rule.name);
                pairs.push((expected, rule));
            } else if expected.required {
                created.push(expected);
            }
        }
        // What is gone goes first: a new rule may take its name.
        for rule in left {
            let finding = Finding::of(&self.file(), "no such target", format!("a {}", rule.kind));
            outcome.findings.push(finding.target(&rule.name));
            outcome.commands.push(self.command("delete", &rule.name));
        }
        for (expected, rule) in pairs {
            self.rule(expected, rule, &mut outcome);
        }
        for expected in &created {
            let finding = Finding::of(&self.file(), format!("a {}", expected.kind), "nothing");
            outcome.findings.push(finding.target(&expected.name));
            self.create(expected, &mut outcome);
        }
        self.loads(text, &mut outcome);
        self.load(&created, &mut outcome);
        self.unheld(rules, &mut outcome);
        if !outcome.commands.is_empty() {
            let fix = self.command("fix unusedLoads", "__pkg__");
            outcome.afterwards.push(fix);
        }
        outcome
    }

    /// Whether `rule` is the one that `expected` means, whatever its name.
    fn is(&self, rule: &Rule, expected: &Expected, matched: &BTreeMap<&str, &str>) -> bool {
        let is_library = |kind: &str| kind == "rust_library" || kind == "rust_proc_macro";
        match &expected.identity {
            Identity::Kind => {
                rule.kind == expected.kind || is_library(&rule.kind) && is_library(expected.kind)
            }
            _ if rule.kind != expected.kind => false,
            Identity::Root(root) => match rule.text("crate_root") {
                Some(text) => text == root,
                None => rule.list("srcs").items.iter().any(|file| file == root),
            },
            Identity::Crate(name) => rule.label("crate", self.package).is_some_and(|label| {
                let now = matched.get(name.as_str()).copied().unwrap_or(name);
                label == Label::here(self.package, name) || label == Label::here(self.package, now)
            }),
        }
    }

    fn rule(&self, expected: &Expected, rule: &Rule, outcome: &mut Outcome) {
        for (attribute, items) in &expected.lists {
            self.list(attribute, items, expected, rule, outcome);
        }
        for text in &expected.strings {
            let now = rule.text(text.attribute);
            let same = match now {
                None => !text.required && !rule.has(text.attribute),
                Some(now) if text.attribute == "crate" => {
                    Label::parse(now, self.package) == Label::parse(&text.value, self.package)
                }
                Some(now) => now == text.value,
            };
            if !same {
                let now = now.unwrap_or("nothing");
                self.differs(&text.value, now, text.attribute, rule, outcome);
                outcome
                    .commands
                    .push(self.set(text.attribute, &text.value, &rule.name));
            }
        }
        for (attribute, expression) in &expected.expressions {
            let now = rule.text(attribute).unwrap_or("nothing");
            if !squeezed(now).contains(&squeezed(expression)) {
                let finding = self.finding(expression, now, attribute, rule);
                if rule.has(attribute) {
                    let finding = finding.by_hand("add it to the list with `+`");
                    outcome.findings.push(finding);
                } else {
                    outcome.findings.push(finding);
                    let commands = self.expression(attribute, expression, &rule.name);
                    outcome.commands.extend(commands);
                }
            }
        }
        if let Some(aliases) = &expected.aliases {
            self.aliases(aliases, rule, outcome);
        }
        for attribute in ["edition", "version"] {
            if let Some(now) = rule.text(attribute) {
                let cargo = "the workspace's, which the macro fills in";
                self.differs(cargo, now, attribute, rule, outcome);
                let remove = format!("remove {attribute}");
                outcome.commands.push(self.command(&remove, &rule.name));
            }
        }
        if rule.kind != expected.kind {
            self.differs(expected.kind, &rule.kind, "kind", rule, outcome);
            let set = format!("set kind {}", expected.kind);
            outcome.commands.push(self.command(&set, &rule.name));
            self.load(&[expected], outcome);
        }
        // Last, for the commands above call it by its old name.
        if rule.name != expected.name {
            self.differs(&expected.name, &rule.name, "name", rule, outcome);
            outcome
                .commands
                .push(self.command(&format!("set name {}", expected.name), &rule.name));
        }
    }

    fn list(
        &self,
        attribute: &str,
        items: &Items,
        expected: &Expected,
        rule: &Rule,
        outcome: &mut Outcome,
    ) {
        let list = rule.list(attribute);
        let has_expression = expected.expressions.iter().any(|it| it.0 == attribute);
        let mut missing = Vec::new();
        let mut surplus = Vec::new();
        match items {
            Items::Files(files) => {
                surplus.extend(
                    list.items
                        .iter()
                        .filter(|it| !is_label(it) && !files.contains(*it)),
                );
                missing.extend(files.iter().filter(|it| !list.items.contains(it)).cloned());
            }
            Items::Words(words) => {
                surplus.extend(list.items.iter().filter(|it| !words.contains(*it)));
                missing.extend(words.iter().filter(|it| !list.items.contains(it)).cloned());
            }
            Items::Labels(labels) => {
                let parse = |text: &String| Label::parse(text, self.package);
                let now: BTreeSet<_> = list.items.iter().map(parse).collect();
                surplus.extend(list.items.iter().filter(|text| {
                    let label = parse(text);
                    !labels.contains(&label) && self.is_cargos(&label)
                }));
                let absent = labels.iter().filter(|label| !now.contains(*label));
                missing.extend(absent.map(|label| label.seen_from(self.package)));
            }
        }
        if missing.is_empty() && surplus.is_empty() {
            return;
        }
        let surplus: Vec<String> = surplus.into_iter().cloned().collect();
        let also = |items: &[String]| match items {
            [] => "nothing more".to_owned(),
            items => format!("also {}", items.join(", ")),
        };
        let finding = self.finding(&also(&missing), &also(&surplus), attribute, rule);
        if missing.iter().any(|file| file.starts_with("../")) {
            let what = "move it into the package, whose files alone a rule may name";
            outcome.findings.push(finding.by_hand(what));
            return;
        }
        if !list.literal && !has_expression {
            let finding = finding.by_hand("add a literal list of these to the value with `+`");
            outcome.findings.push(finding);
            return;
        }
        outcome.findings.push(finding);
        for (verb, items) in [("remove", surplus), ("add", missing)] {
            if !items.is_empty() {
                let command = format!("{verb} {attribute} {}", items.join(" "));
                outcome.commands.push(self.command(&command, &rule.name));
            }
        }
    }

    /// Whether a dependency is Cargo's to give. A label of anything else, say of a C++
    /// library, is Bazel's alone; one of a package that is gone is nobody's.
    fn is_cargos(&self, label: &Label) -> bool {
        label.is_external_crate()
            || self.managed.contains(label)
            || label.repository.is_empty() && !files::is_package(&self.root.join(&label.package))
    }

    fn aliases(&self, expected: &BTreeMap<Label, String>, rule: &Rule, outcome: &mut Outcome) {
        let text = rule.text("aliases").unwrap_or_default();
        let words: Vec<_> = text.split('"').skip(1).step_by(2).collect();
        let pairs = words.chunks_exact(2).filter_map(|pair| match pair {
            [label, name] => Some((Label::parse(label, self.package), (*name).to_owned())),
            _ => None,
        });
        let now: BTreeMap<Label, String> = pairs.collect();
        if now == *expected && rule.has("aliases") != expected.is_empty() {
            return;
        }
        self.differs(
            &dictionary(expected, self.package),
            &dictionary(&now, self.package),
            "aliases",
            rule,
            outcome,
        );
        outcome
            .commands
            .push(self.set_aliases(expected, &rule.name));
    }

    fn set_aliases(&self, aliases: &BTreeMap<Label, String>, rule: &str) -> String {
        if aliases.is_empty() {
            return self.command("remove aliases", rule);
        }
        let value = escaped(&dictionary(aliases, self.package));
        self.command(&format!("set aliases:expr {value}"), rule)
    }

    /// The commands that make a rule.
    fn create(&self, expected: &Expected, outcome: &mut Outcome) {
        let name = &expected.name;
        let new = format!("new {} {name}", expected.kind);
        outcome.commands.push(self.command(&new, "__pkg__"));
        // Before the lists, which are added to it.
        for (attribute, expression) in &expected.expressions {
            outcome
                .commands
                .extend(self.expression(attribute, expression, name));
        }
        for (attribute, items) in &expected.lists {
            let items: Vec<_> = match items {
                Items::Files(items) | Items::Words(items) => items.iter().cloned().collect(),
                Items::Labels(labels) => {
                    labels.iter().map(|it| it.seen_from(self.package)).collect()
                }
            };
            if !items.is_empty() {
                let add = format!("add {attribute} {}", items.join(" "));
                outcome.commands.push(self.command(&add, name));
            }
        }
        for text in expected.strings.iter().filter(|text| text.required) {
            outcome
                .commands
                .push(self.set(text.attribute, &text.value, name));
        }
        if let Some(aliases) = expected.aliases.as_ref().filter(|it| !it.is_empty()) {
            outcome.commands.push(self.set_aliases(aliases, name));
        }
        for command in &expected.initially {
            outcome.commands.push(self.command(command, name));
        }
    }

    /// Loads what new rules are calls of.
    fn load(&self, new: &[&Expected], outcome: &mut Outcome) {
        let kinds: BTreeSet<_> = new.iter().map(|expected| expected.kind).collect();
        if !kinds.is_empty() {
            let kinds: Vec<_> = kinds.into_iter().collect();
            let load = format!("new_load {RULES_BZL} {}", kinds.join(" "));
            outcome.commands.push(self.command(&load, "__pkg__"));
        }
    }

    /// Rules that come straight from rules_rust know nothing of edition and lints.
    fn loads(&self, text: &str, outcome: &mut Outcome) {
        for (from, names) in loads(text) {
            let raw: Vec<_> = names
                .iter()
                .filter(|it| RUST_RULES.contains(it))
                .copied()
                .collect();
            if from == RULES_BZL || raw.is_empty() {
                continue;
            }
            let finding = Finding::of(
                &self.file(),
                format!("the workspace's edition and lints, which {RULES_BZL} fills in"),
                format!("{} from {from}", raw.join(", ")),
            );
            outcome.findings.push(finding.attribute("load"));
            let replace = format!("replace_load {RULES_BZL} {}", raw.join(" "));
            outcome.commands.push(self.command(&replace, "__pkg__"));
        }
    }

    /// Rust files that no target uses, and targets' files that no BUILD file can name.
    fn unheld(&self, rules: &[Rule], outcome: &mut Outcome) {
        let folder = self.root.join(self.package);
        let Ok(files) = files::rust_files(&folder) else {
            return;
        };
        let by_hand: BTreeSet<Utf8PathBuf> = rules
            .iter()
            .filter(|rule| !rule.is_cargos() || rule.has("data") || rule.has("compile_data"))
            .flat_map(|rule| {
                let srcs = if rule.is_cargos() { "" } else { "srcs" };
                [srcs, "data", "compile_data"].map(|attribute| rule.list(attribute).items)
            })
            .flatten()
            .map(Utf8PathBuf::from)
            .collect();
        for file in files {
            if !self.expected.used.contains(&file) && !by_hand.contains(&file) {
                let path = Utf8Path::new(self.package).join(&file);
                let finding = Finding::of(path.as_str(), "no target uses it", "no target has it");
                outcome.findings.push(
                    finding
                        .by_hand("declare it with `mod`, list it as a rule's data, or delete it"),
                );
            }
        }
    }

    fn finding(&self, cargo: &str, build: &str, attribute: &str, rule: &Rule) -> Finding {
        Finding::of(&self.file(), cargo, build)
            .target(&rule.name)
            .attribute(attribute)
    }

    fn differs(
        &self,
        cargo: &str,
        build: &str,
        attribute: &str,
        rule: &Rule,
        outcome: &mut Outcome,
    ) {
        let finding = self.finding(cargo, build, attribute, rule);
        outcome.findings.push(finding);
    }

    fn command(&self, command: &str, rule: &str) -> String {
        format!("{command}|//{}:{rule}", self.package)
    }

    fn set(&self, attribute: &str, value: &str, rule: &str) -> String {
        self.command(&format!("set {attribute}:expr \"{value}\""), rule)
    }

    /// Sets a call, and what loads the function.
    fn expression(&self, attribute: &str, expression: &str, rule: &str) -> [String; 2] {
        let set = format!("set {attribute}:expr {}", escaped(expression));
        [
            self.command(&set, rule),
            self.command("new_load @crates//:defs.bzl all_crate_deps", "__pkg__"),
        ]
    }
}

fn is_label(text: &str) -> bool {
    text.starts_with([':', '@']) || text.starts_with("//")
}

/// Without spaces, to compare expressions.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// As one word of a buildozer command.
fn escaped(text: &str) -> String {
    text.replace(' ', "\\ ")
}

fn dictionary(aliases: &BTreeMap<Label, String>, package: &str) -> String {
    let entries = aliases
        .iter()
        .map(|(label, name)| format!("\"{}\": \"{name}\"", label.seen_from(package)));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
}

/// The `load` statements of a BUILD file: where from, and what under its own name.
fn loads(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("load(") {
        if at != 0 && !text[..at].ends_with('\n') {
            continue;
        }
        let Some((body, _)) = text[at..].split_once(')') else {
            continue;
        };
        let mut words = body.split('"').skip(1).step_by(2);
        let Some(from) = words.next() else { continue };
        found.push((from, words.collect()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_statements_are_read_in_either_layout() {
        let text = "load(\"//a:b.bzl\", \"x\")\nload(\n    \"@r//c.bzl\",\n    \"y\",\n    z = \"w\",\n)\n# load(\"//no\")\n";
        assert_eq!(
            loads(text),
            [("//a:b.bzl", vec!["x"]), ("@r//c.bzl", vec!["y", "w"])]
        );
    }
}
