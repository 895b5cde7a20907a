#![allow(clippy::unwrap_used)]
use super::*;

/// Writes `files` into a package and follows its `src/lib.rs`.
fn follow(files: &[(&str, &str)]) -> Sources {
    let folder = tempfile::tempdir().unwrap();
    let package = Utf8Path::from_path(folder.path()).unwrap();
    for (path, text) in files {
        let path = package.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Sources::of(package, Utf8Path::new("src/lib.rs")).unwrap()
}

fn names(sources: &Sources) -> BTreeSet<&str> {
    sources.files.iter().map(|file| file.as_str()).collect()
}

#[test]
fn modules_are_followed_through_both_layouts() {
    let sources = follow(&[
        ("src/lib.rs", "mod a; pub(crate) mod b;"),
        ("src/a.rs", "mod deep;"),
        ("src/a/deep.rs", ""),
        ("src/b/mod.rs", "#[cfg(unix)] mod deep;"),
        ("src/b/deep.rs", ""),
        ("src/undeclared.rs", ""),
        ("src/deep.rs", ""),
    ]);
    assert_eq!(
        names(&sources),
        BTreeSet::from([
            "src/a.rs",
            "src/a/deep.rs",
            "src/b/deep.rs",
            "src/b/mod.rs",
            "src/lib.rs"
        ])
    );
}

#[test]
fn inline_modules_are_folders() {
    let sources = follow(&[
        ("src/lib.rs", "mod a;"),
        ("src/a.rs", "mod inner { mod leaf; } fn f() { mod r#type; }"),
        ("src/a/inner/leaf.rs", ""),
        ("src/a/type.rs", ""),
    ]);
    assert_eq!(
        names(&sources),
        BTreeSet::from([
            "src/a.rs",
            "src/a/inner/leaf.rs",
            "src/a/type.rs",
            "src/lib.rs"
        ])
    );
}

#[test]
fn path_attributes_and_includes_are_followed() {
    let sources = follow(&[
        (
            "src/lib.rs",
            "#[path = \"../shared/x.rs\"] pub mod x;
             #[cfg_attr(unix, path = \"unix.rs\")] mod os;
             include!(\"table.rs\");
             include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));",
        ),
        ("shared/x.rs", "mod y;"),
        ("shared/y.rs", ""),
        ("src/unix.rs", ""),
        ("src/os.rs", ""),
        ("src/table.rs", ""),
        ("src/x.rs", ""),
    ]);
    assert_eq!(
        names(&sources),
        BTreeSet::from([
            "shared/x.rs",
            "shared/y.rs",
            "src/lib.rs",
            "src/os.rs",
            "src/table.rs",
            "src/unix.rs"
        ])
    );
}

#[test]
fn a_module_inside_of_a_macro_counts() {
    let sources = follow(&[
        ("src/lib.rs", "cfg_if! { if #[cfg(unix)] { mod a; } }"),
        ("src/a.rs", ""),
    ]);
    assert_eq!(names(&sources), BTreeSet::from(["src/a.rs", "src/lib.rs"]));
}

#[test]
fn tests_are_seen_wherever_they_are() {
    for text in [
        "#[test] fn f() {}",
        "#[tokio::test(start_paused = true)] async fn f() {}",
        "#[cfg(test)] mod tests {}",
        "proptest! { #[test] fn f(x: u8) {} }",
    ] {
        assert!(follow(&[("src/lib.rs", text)]).has_tests, "{text}");
    }
    for text in [
        "fn test() {}",
        "#[derive(Debug)] struct Test;",
        "#[cfg(unix)] fn f() {}",
    ] {
        assert!(!follow(&[("src/lib.rs", text)]).has_tests, "{text}");
    }
}

#[test]
fn an_example_in_a_doc_comment_is_a_doc_test() {
    assert!(follow(&[("src/lib.rs", "//! ```\n//! f();\n//! ```\n")]).has_doc_tests);
    assert!(follow(&[("src/lib.rs", "/** ```\nf();\n``` */ struct S;")]).has_doc_tests);
    assert!(!follow(&[("src/lib.rs", "//! ```text\n//! a\n//! ```\n")]).has_doc_tests);
}

#[test]
fn a_file_that_is_not_rust_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let package = Utf8Path::from_path(folder.path()).unwrap();
    fs::write(package.join("lib.rs"), "fn f( {").unwrap();
    let error = Sources::of(package, Utf8Path::new("lib.rs")).unwrap_err();
    assert!(error.to_string().contains("lib.rs: not Rust"), "{error}");
}
