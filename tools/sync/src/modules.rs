//! The files that make up one crate: its root and every module that it declares.
//!
//! Works on tokens, not on a syntax tree: `mod name;` is found inside of macros and
//! function bodies too, whatever its `cfg`, and lexing is fast enough to do on every run.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
};

use cargo_metadata::camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::{
    docs::DocTests,
    error::{At as _, Error},
};

/// What a crate is made of.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Relative to the package's folder. One that starts with `..` is outside of it.
    pub(crate) files: BTreeSet<Utf8PathBuf>,
    /// Some file has a `#[test]`, of whatever framework, or a `cfg(test)`.
    pub(crate) has_tests: bool,
    /// Some doc comment has an example that rustdoc compiles.
    pub(crate) has_doc_tests: bool,
}

impl Sources {
    /// Follows `root`, a path relative to `package`.
    ///
    /// A module whose file does not exist is left to rustc's complaint.
    pub(crate) fn of(package: &Utf8Path, root: &Utf8Path) -> Result<Self, Error> {
        let mut sources = Self::default();
        let mut queue = VecDeque::from([Found {
            file: root.to_owned(),
            owns_folder: true,
        }]);
        while let Some(found) = queue.pop_front() {
            if !sources.files.insert(found.file.clone()) {
                continue;
            }
            let path = package.join(&found.file);
            let text = fs::read_to_string(&path).at(path.as_std_path())?;
            let tokens: TokenStream = text.parse().map_err(|error| Error::Rust {
                path: path.clone().into(),
                message: format!("{error}"),
            })?;
            let mut scan = Scan {
                package,
                file: &found.file,
                owns_folder: found.owns_folder,
                inline: Vec::new(),
                found: Vec::new(),
                has_tests: false,
                doc_tests: DocTests::default(),
            };
            scan.tokens(tokens);
            sources.has_tests |= scan.has_tests;
            sources.has_doc_tests |= scan.doc_tests.found();
            queue.extend(scan.found);
        }
        Ok(sources)
    }
}

/// A file of the crate.
struct Found {
    file: Utf8PathBuf,
    /// Its modules lie beside it (a crate root, `mod.rs`, a `#[path]`), not in a folder
    /// of its name.
    owns_folder: bool,
}

/// The scan of one file.
struct Scan<'a> {
    package: &'a Utf8Path,
    file: &'a Utf8Path,
    owns_folder: bool,
    /// Names of the inline modules around the current token.
    inline: Vec<String>,
    found: Vec<Found>,
    has_tests: bool,
    doc_tests: DocTests,
}

impl Scan<'_> {
    fn tokens(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        // `#[path]`s since the last item.
        let mut paths = Paths::default();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    tokens.next_if(|it| is_punct(it, '!'));
                    match tokens.next_if(|it| is_group(it, Delimiter::Bracket)) {
                        Some(TokenTree::Group(attribute)) => {
                            self.attribute(&attribute, &mut paths);
                        }
                        _ => self.doc_tests.interrupt(),
                    }
                    continue;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    let Some(TokenTree::Ident(name)) =
                        tokens.next_if(|it| matches!(it, TokenTree::Ident(_)))
                    else {
                        continue;
                    };
                    let name = name.to_string();
                    let name = name.strip_prefix("r#").unwrap_or(&name).to_owned();
                    if tokens.next_if(|it| is_punct(it, ';')).is_some() {
                        self.declared(&name, &std::mem::take(&mut paths));
                    } else if let Some(TokenTree::Group(body)) =
                        tokens.next_if(|it| is_group(it, Delimiter::Brace))
                    {
                        self.doc_tests.interrupt();
                        let folder = std::mem::take(&mut paths).always.unwrap_or(name);
                        self.inline.push(folder);
                        self.tokens(body.stream());
                        self.inline.pop();
                    }
                }
                TokenTree::Ident(word) if word == "include" => {
                    if tokens.next_if(|it| is_punct(it, '!')).is_some()
                        && let Some(TokenTree::Group(argument)) = tokens.peek()
                    {
                        self.included(argument);
                    }
                }
                // What may stand between a module's attributes and its `mod`.
                TokenTree::Ident(word) if word == "pub" || word == "unsafe" => continue,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
                    self.doc_tests.interrupt();
                    self.tokens(group.stream());
                    continue;
                }
                TokenTree::Group(group) => {
                    self.doc_tests.interrupt();
                    self.tokens(group.stream());
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.doc_tests.interrupt();
            paths = Paths::default();
        }
        self.doc_tests.interrupt();
    }

    fn attribute(&mut self, attribute: &Group, paths: &mut Paths) {
        let tokens: Vec<_> = attribute.stream().into_iter().collect();
        let first = tokens.first().map(ToString::to_string).unwrap_or_default();
        match (first.as_str(), tokens.as_slice()) {
            ("doc", [_, equals, TokenTree::Literal(text)]) if is_punct(equals, '=') => {
                self.doc_tests.line(&text.to_string());
                return;
            }
            ("path", [_, equals, TokenTree::Literal(path)]) if is_punct(equals, '=') => {
                paths.always = unquote(&path.to_string());
            }
            ("cfg", [_, TokenTree::Group(condition)]) => {
                self.has_tests |= mentions(&condition.stream(), "test");
            }
            ("cfg_attr", [_, TokenTree::Group(body)]) => {
                let body: Vec<_> = body.stream().into_iter().collect();
                let conditional = body.windows(3).filter_map(|window| match window {
                    [TokenTree::Ident(key), equals, TokenTree::Literal(path)]
                        if key == "path" && is_punct(equals, '=') =>
                    {
                        unquote(&path.to_string())
                    }
                    _ => None,
                });
                paths.sometimes.extend(conditional);
            }
            _ => {}
        }
        // `#[test]`, `#[tokio::test]`, `#[tokio::test(start_paused = true)]`.
        let name = tokens
            .iter()
            .take_while(|it| matches!(it, TokenTree::Ident(_) | TokenTree::Punct(_)))
            .last();
        self.has_tests |= name.is_some_and(|name| name.to_string() == "test");
    }

    /// `mod name;`
    fn declared(&mut self, name: &str, paths: &Paths) {
        let beside = self.file.parent().unwrap_or(Utf8Path::new(""));
        let children = if self.owns_folder {
            beside.to_owned()
        } else {
            beside.join(self.file.file_stem().unwrap_or_default())
        };
        let nested = |folder: &Utf8Path| {
            self.inline
                .iter()
                .fold(folder.to_owned(), |at, it| at.join(it))
        };
        // A `#[path]` outside of inline modules counts from the file's folder.
        let from = if self.inline.is_empty() {
            beside.to_owned()
        } else {
            nested(&children)
        };
        let named = paths.always.iter().chain(&paths.sometimes);
        let mut found: Vec<_> = named.map(|path| (from.join(path), true)).collect();
        if paths.always.is_none() {
            let folder = nested(&children);
            found.push((folder.join(format!("{name}.rs")), false));
            found.push((folder.join(name).join("mod.rs"), true));
        }
        for (file, owns_folder) in found {
            self.push(&file, owns_folder);
        }
    }

    /// `include!("file.rs")`; one that is computed names a generated file.
    fn included(&mut self, argument: &Group) {
        let tokens: Vec<_> = argument.stream().into_iter().collect();
        if let [TokenTree::Literal(path)] = tokens.as_slice()
            && let Some(path) = unquote(&path.to_string())
        {
            let beside = self.file.parent().unwrap_or(Utf8Path::new(""));
            self.push(&beside.join(path), true);
        }
    }

    fn push(&mut self, file: &Utf8Path, owns_folder: bool) {
        let file = normal(file);
        if self.package.join(&file).is_file() {
            self.found.push(Found { file, owns_folder });
        }
    }
}

/// Where attributes say that a module's file is.
#[derive(Default)]
struct Paths {
    /// `#[path = "..."]`.
    always: Option<String>,
    /// `#[cfg_attr(..., path = "...")]`.
    sometimes: Vec<String>,
}

/// Takes `.` and `..` out where that is possible.
fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir
                if matches!(
                    normal.components().next_back(),
                    Some(Utf8Component::Normal(_))
                ) =>
            {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// The text of a plain or raw string literal without escapes, which no path needs.
fn unquote(literal: &str) -> Option<String> {
    let literal = literal.trim_start_matches('r').trim_matches('#');
    let text = literal.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then(|| text.to_owned())
}

fn mentions(tokens: &TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(&group.stream(), word),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(it) if it.as_char() == character)
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(it) if it.delimiter() == delimiter)
}

#[cfg(test)]
mod tests;
