//! The rules that a member's BUILD file must have, computed from Cargo's side.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{
    DependencyKind,
    camino::{Utf8Path, Utf8PathBuf},
};

use crate::{
    cargo::{CrateTarget, Member, Role},
    error::Error,
    label::Label,
    modules::Sources,
};

/// crate_universe's hub has no label for a crate that only build scripts use; this function
/// of its `defs.bzl` is how they are named, and reads the lock file itself.
pub(crate) const BUILD_DEPS: &str = "all_crate_deps(build = True)";
pub(crate) const BUILD_PROC_MACRO_DEPS: &str = "all_crate_deps(build_proc_macro = True)";

/// The name of a package's build script.
const BUILD_SCRIPT: &str = "build_script";

/// A rule, as Cargo wants it.
pub(crate) struct Expected {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) identity: Identity,
    /// False for a unit test of a crate without tests: it may stay, and need not be.
    pub(crate) required: bool,
    pub(crate) lists: BTreeMap<&'static str, Items>,
    pub(crate) strings: Vec<Text>,
    /// Expressions that an attribute must hold.
    pub(crate) expressions: Vec<(&'static str, &'static str)>,
    /// `None` where the rule has no such attribute.
    pub(crate) aliases: Option<BTreeMap<Label, String>>,
    /// Attributes that only a new rule is given; a hand keeps them afterwards.
    pub(crate) initially: Vec<String>,
}

/// By what a rule that exists is recognised, whatever its name.
pub(crate) enum Identity {
    /// The package's only one of its kind.
    Kind,
    /// Its root file.
    Root(Utf8PathBuf),
    /// What its `crate` says: the expected name of a rule of the same package.
    Crate(String),
}

/// The items of a list attribute.
pub(crate) enum Items {
    /// Files of the package. Labels in the list are kept by hand.
    Files(BTreeSet<String>),
    /// Labels. Those of no Cargo target are kept by hand.
    Labels(BTreeSet<Label>),
    /// Anything else.
    Words(BTreeSet<String>),
}

/// A string attribute.
pub(crate) struct Text {
    pub(crate) attribute: &'static str,
    pub(crate) value: String,
    /// False where the rule finds the same by itself.
    pub(crate) required: bool,
}

/// What Cargo says of one BUILD file.
pub(crate) struct Package {
    pub(crate) rules: Vec<Expected>,
    /// Every file that some target is made of.
    pub(crate) used: BTreeSet<Utf8PathBuf>,
}

impl Package {
    /// `dependents` are the folders of the members that use this one.
    pub(crate) fn of(root: &Utf8Path, member: &Member, dependents: &[&str]) -> Result<Self, Error> {
        let mut maker = Maker {
            member,
            library: member.library().map(|_| member.library_label()),
            dependents,
            rules: Vec::new(),
            used: BTreeSet::new(),
        };
        let folder = root.join(&member.folder);
        for role in [
            Role::BuildScript,
            Role::Library,
            Role::ProcMacro,
            Role::Binary,
            Role::Example,
            Role::Test,
            Role::Bench,
        ] {
            for target in member.targets.iter().filter(|it| it.role == role) {
                let sources = Sources::of(&folder, &target.root)?;
                maker.target(target, &sources);
                maker.used.extend(sources.files);
            }
        }
        Ok(Self {
            rules: maker.rules,
            used: maker.used,
        })
    }
}

struct Maker<'a> {
    member: &'a Member,
    library: Option<Label>,
    dependents: &'a [&'a str],
    rules: Vec<Expected>,
    used: BTreeSet<Utf8PathBuf>,
}

/// Dependencies, as attributes.
#[derive(Default)]
struct Uses {
    deps: BTreeSet<Label>,
    proc_macro_deps: BTreeSet<Label>,
    aliases: BTreeMap<Label, String>,
}

impl Maker<'_> {
    fn target(&mut self, target: &CrateTarget, sources: &Sources) {
        use DependencyKind::{Development, Normal};
        let rust_name = target.name.replace('-', "_");
        match target.role {
            Role::BuildScript => self.build_script(target, sources),
            Role::Library | Role::ProcMacro => {
                let kind = match target.role {
                    Role::ProcMacro => "rust_proc_macro",
                    _ => "rust_library",
                };
                let name = self.member.library_label().name;
                let uses = self.uses(&[Normal]);
                let mut rule = self.compiled(kind, name.clone(), target, sources, uses);
                rule.identity = Identity::Kind;
                rule.strings.push(Text::required("crate_name", &rust_name));
                rule.initially.extend(self.visibility());
                self.rules.push(rule);
                self.unit_test(&name, target, sources);
                self.doc_test(&name, target, sources);
            }
            Role::Binary => {
                let uses = self.with_library(self.uses(&[Normal]));
                let mut rule =
                    self.compiled("rust_binary", target.name.clone(), target, sources, uses);
                rule.strings.push(Text::same("crate_name", &rust_name));
                self.rules.push(rule);
                self.unit_test(&target.name, target, sources);
            }
            Role::Example | Role::Bench => {
                let suffix = match target.role {
                    Role::Bench => "bench",
                    _ => "example",
                };
                let name = format!("{}_{suffix}", target.name);
                let uses = self.with_library(self.uses(&[Normal, Development]));
                let mut rule = self.compiled("rust_binary", name, target, sources, uses);
                // It may use what only tests may.
                rule.initially.push("set testonly True".to_owned());
                self.rules.push(rule);
            }
            Role::Test if target.test => {
                let name = self.free_name(&target.name);
                let uses = self.with_library(self.uses(&[Normal, Development]));
                let mut rule = self.compiled("rust_test", name, target, sources, uses);
                // Names of snapshots and of log targets begin with it.
                rule.strings.push(Text::required("crate_name", &rust_name));
                self.rules.push(rule);
            }
            Role::Test => {}
        }
    }

    fn build_script(&mut self, target: &CrateTarget, sources: &Sources) {
        let (members, crates): (Vec<_>, Vec<_>) = self
            .member
            .dependencies
            .iter()
            .filter(|it| it.kind == DependencyKind::Build)
            .cloned()
            .partition(|it| it.is_member);
        let mut uses = Uses::default();
        for dependency in members {
            uses.add(&dependency);
        }
        let mut rule = self.rule("cargo_build_script", BUILD_SCRIPT.to_owned());
        rule.identity = Identity::Kind;
        rule.lists.insert("srcs", files(sources));
        uses.into_lists(&mut rule);
        rule.strings.push(Text {
            attribute: "crate_root",
            value: target.root.to_string(),
            required: sources.files.len() > 1,
        });
        if crates.iter().any(|it| !it.proc_macro) {
            rule.expressions.push(("deps", BUILD_DEPS));
        }
        if crates.iter().any(|it| it.proc_macro) {
            rule.expressions
                .push(("proc_macro_deps", BUILD_PROC_MACRO_DEPS));
        }
        self.rules.push(rule);
    }

    /// A rule that compiles `target` with its build script's results.
    fn compiled(
        &self,
        kind: &'static str,
        name: String,
        target: &CrateTarget,
        sources: &Sources,
        mut uses: Uses,
    ) -> Expected {
        let has_script = |it: &CrateTarget| it.role == Role::BuildScript;
        if self.member.targets.iter().any(has_script) {
            uses.deps
                .insert(Label::here(&self.member.folder, BUILD_SCRIPT));
        }
        let mut rule = self.rule(kind, name);
        rule.identity = Identity::Root(target.root.clone());
        rule.lists.insert("srcs", files(sources));
        uses.into_lists(&mut rule);
        let found_alone = match kind {
            "rust_binary" => "src/main.rs",
            "rust_test" => "",
            _ => "src/lib.rs",
        };
        rule.strings.push(Text {
            attribute: "crate_root",
            value: target.root.to_string(),
            required: sources.files.len() > 1 && target.root != found_alone,
        });
        rule
    }

    /// The unit tests of the rule `of`, which pass its own dependencies on.
    fn unit_test(&mut self, of: &str, target: &CrateTarget, sources: &Sources) {
        if !target.test {
            return;
        }
        let mut rule = self.rule("rust_test", format!("{of}_test"));
        self.tests_of(&mut rule, of);
        rule.required = sources.has_tests;
        rule.strings
            .push(Text::required("crate_name", &target.name.replace('-', "_")));
        self.rules.push(rule);
    }

    fn doc_test(&mut self, of: &str, target: &CrateTarget, sources: &Sources) {
        if !target.doctest {
            return;
        }
        let mut rule = self.rule("rust_doc_test", format!("{of}_doc_test"));
        self.tests_of(&mut rule, of);
        rule.required = sources.has_doc_tests;
        // The rule has only these two of the attributes.
        rule.lists.retain(|attribute, _| *attribute == "deps");
        rule.aliases = None;
        self.rules.push(rule);
    }

    fn tests_of(&self, rule: &mut Expected, of: &str) {
        let inherited = self.uses(&[DependencyKind::Normal]);
        let mut uses = self.uses(&[DependencyKind::Development]);
        uses.deps.retain(|it| !inherited.deps.contains(it));
        uses.proc_macro_deps
            .retain(|it| !inherited.proc_macro_deps.contains(it));
        uses.aliases
            .retain(|it, _| !inherited.aliases.contains_key(it));
        uses.into_lists(rule);
        rule.identity = Identity::Crate(of.to_owned());
        rule.strings
            .push(Text::required("crate", &format!(":{of}")));
    }

    fn rule(&self, kind: &'static str, name: String) -> Expected {
        Expected {
            kind,
            name,
            identity: Identity::Kind,
            required: true,
            lists: BTreeMap::from([("crate_features", Items::Words(self.member.features.clone()))]),
            strings: Vec::new(),
            expressions: Vec::new(),
            aliases: None,
            initially: Vec::new(),
        }
    }

    fn uses(&self, kinds: &[DependencyKind]) -> Uses {
        let mut uses = Uses::default();
        for dependency in &self.member.dependencies {
            if kinds.contains(&dependency.kind) && Some(&dependency.label) != self.library.as_ref()
            {
                uses.add(dependency);
            }
        }
        uses
    }

    fn with_library(&self, mut uses: Uses) -> Uses {
        if let (Some(library), Some(target)) = (&self.library, self.member.library()) {
            match target.role {
                Role::ProcMacro => uses.proc_macro_deps.insert(library.clone()),
                _ => uses.deps.insert(library.clone()),
            };
        }
        uses
    }

    /// `laws_test`, unless that is the name of a crate's unit tests.
    fn free_name(&self, test: &str) -> String {
        let name = format!("{test}_test");
        if self.rules.iter().any(|rule| rule.name == name) {
            format!("{test}_integration_test")
        } else {
            name
        }
    }

    /// A new library is seen by those that use it today.
    fn visibility(&self) -> Option<String> {
        if self.dependents.is_empty() {
            return None;
        }
        let packages = self.dependents.iter().map(|it| format!("//{it}:__pkg__"));
        Some(format!(
            "add visibility {}",
            packages.collect::<Vec<_>>().join(" ")
        ))
    }
}

impl Uses {
    fn add(&mut self, dependency: &crate::cargo::Dependency) {
        let list = if dependency.proc_macro {
            &mut self.proc_macro_deps
        } else {
            &mut self.deps
        };
        list.insert(dependency.label.clone());
        if let Some(alias) = &dependency.alias {
            self.aliases.insert(dependency.label.clone(), alias.clone());
        }
    }

    fn into_lists(self, rule: &mut Expected) {
        rule.lists.insert("deps", Items::Labels(self.deps));
        rule.lists
            .insert("proc_macro_deps", Items::Labels(self.proc_macro_deps));
        rule.aliases = Some(self.aliases);
    }
}

impl Text {
    fn required(attribute: &'static str, value: &str) -> Self {
        Self {
            attribute,
            value: value.to_owned(),
            required: true,
        }
    }

    /// Need not be there; if it is, it says this.
    fn same(attribute: &'static str, value: &str) -> Self {
        Self {
            required: false,
            ..Self::required(attribute, value)
        }
    }
}

fn files(sources: &Sources) -> Items {
    Items::Files(sources.files.iter().map(ToString::to_string).collect())
}
