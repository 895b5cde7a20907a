#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, io::Write as _};

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Demo {
    server: Server,
    key: Secret,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Server {
    listen: String,
    workers: u16,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Shape {
    Round { radius: u32 },
    Square { side: u32 },
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7000".to_owned(),
            workers: 2,
        }
    }
}

impl Default for Demo {
    fn default() -> Self {
        Self {
            server: Server::default(),
            key: Secret::default(),
            shapes: BTreeMap::from([("main".to_owned(), Shape::Round { radius: 1 })]),
        }
    }
}

fn file(text: &str) -> (tempfile::NamedTempFile, Sources) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let sources = Sources {
        file: Some(file.path().to_path_buf()),
        ..Sources::default()
    };
    (file, sources)
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_later_layer_wins() {
    let (_file, mut sources) = file("server:\n  listen: file\n  workers: 3\n");
    sources.env = env(&[("SIGNALBOX__SERVER__LISTEN", "env"), ("PATH", "/bin")]);
    assert_eq!(load::<Demo>(&sources).unwrap().server.listen, "env");
    sources.flags = vec!["server.listen=flag".to_owned()];
    let loaded = load::<Demo>(&sources).unwrap();
    assert_eq!(
        loaded.server,
        Server {
            listen: "flag".to_owned(),
            workers: 3
        }
    );
}

#[test]
fn an_unknown_key_is_named_with_its_layer_and_the_nearest_key() {
    let (path, sources) = file("server:\n  lisen: x\n");
    let message = load::<Demo>(&sources).unwrap_err().to_string();
    let layer = path.path().display();
    assert_eq!(
        message,
        format!("unknown key `server.lisen` in {layer}; did you mean `server.listen`?")
    );

    let sources = Sources {
        env: env(&[("SIGNALBOX__SRVER__LISTEN", "x")]),
        ..Sources::default()
    };
    let message = load::<Demo>(&sources).unwrap_err().to_string();
    let expected = "unknown key `srver` in the environment; did you mean `server`?";
    assert_eq!(message, expected);
}

#[test]
fn a_wrong_value_is_named_with_its_key() {
    let sources = Sources {
        flags: vec!["server.workers=many".to_owned()],
        ..Sources::default()
    };
    let message = load::<Demo>(&sources).unwrap_err().to_string();
    assert!(
        message.starts_with("the flags: `server.workers` invalid type: string \"many\""),
        "{message}"
    );
    let sources = Sources {
        flags: vec!["server.workers".to_owned()],
        ..Sources::default()
    };
    assert!(matches!(
        load::<Demo>(&sources),
        Err(ConfigError::NotAPair { .. })
    ));
}

#[test]
fn a_file_of_comments_changes_nothing_and_a_list_is_refused() {
    let (_file, sources) = file("# nothing\n\n");
    assert_eq!(load::<Demo>(&sources).unwrap(), Demo::default());
    let (_file, sources) = file("- a\n");
    assert!(matches!(
        load::<Demo>(&sources),
        Err(ConfigError::NotYaml { .. })
    ));
}

#[test]
fn a_missing_file_is_named() {
    let sources = Sources {
        file: Some("/nowhere/signalbox.yaml".into()),
        ..Sources::default()
    };
    let message = load::<Demo>(&sources).unwrap_err().to_string();
    assert!(
        message.starts_with("cannot read /nowhere/signalbox.yaml: "),
        "{message}"
    );
}

#[test]
fn flags_that_belong_together_are_checked_together() {
    let flags = vec![
        "shapes.new.kind=square".to_owned(),
        "shapes.new.side=3".to_owned(),
    ];
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    assert_eq!(
        load::<Demo>(&sources).unwrap().shapes["new"],
        Shape::Square { side: 3 }
    );
}

#[test]
fn off_is_a_word_and_not_a_boolean() {
    let (_file, mut sources) = file("server: {listen: off}\n");
    assert_eq!(load::<Demo>(&sources).unwrap().server.listen, "off");
    sources.flags = vec!["server.listen=no".to_owned()];
    assert_eq!(load::<Demo>(&sources).unwrap().server.listen, "no");
}

#[test]
fn another_kind_replaces_and_the_same_kind_merges() {
    let (_file, sources) = file("shapes:\n  main: {kind: square, side: 4}\n");
    assert_eq!(
        load::<Demo>(&sources).unwrap().shapes["main"],
        Shape::Square { side: 4 }
    );
    let sources = Sources {
        flags: vec!["shapes.main.radius=9".to_owned()],
        ..Sources::default()
    };
    assert_eq!(
        load::<Demo>(&sources).unwrap().shapes["main"],
        Shape::Round { radius: 9 }
    );
}

#[test]
fn a_secret_is_never_shown() {
    let sources = Sources {
        flags: vec!["key=hunter2".to_owned()],
        ..Sources::default()
    };
    let loaded = load::<Demo>(&sources).unwrap();
    assert_eq!(loaded.key.expose(), "hunter2");
    let shown = format!("{loaded:?}{}", print(&loaded));
    assert!(
        !shown.contains("hunter2") && shown.contains("[redacted]"),
        "{shown}"
    );
}

#[test]
fn a_secret_that_looks_like_something_else_is_taken_as_it_was_written() {
    for text in [
        "0123456", "1e5", "true", "null", "~", "#a", "a #b", "[a]", "{a: b}", "a: b", "*a", "&a",
        "- a", " x ", "",
    ] {
        let sources = Sources {
            env: env(&[
                ("SIGNALBOX__KEY", text),
                ("SIGNALBOX__SERVER__LISTEN", text),
            ]),
            flags: vec!["server.workers=7".to_owned(), format!("key={text}")],
            ..Sources::default()
        };
        let loaded = load::<Demo>(&sources).unwrap();
        assert_eq!(loaded.key.expose(), text);
        assert_eq!(
            (loaded.server.listen.as_str(), loaded.server.workers),
            (text, 7)
        );
    }
}

#[test]
fn a_wrong_number_beside_a_secret_of_digits_is_the_one_that_is_named() {
    let sources = Sources {
        flags: vec!["key=123".to_owned(), "server.workers=-1".to_owned()],
        ..Sources::default()
    };
    let message = load::<Demo>(&sources).unwrap_err().to_string();
    assert!(
        message.starts_with("the flags: `server.workers` invalid value: integer `-1`"),
        "{message}"
    );
}

#[test]
fn a_refused_secret_is_not_quoted() {
    let (_file, sources) = file("key: 4711\n");
    let message = load::<Demo>(&sources).unwrap_err().to_string();
    assert!(message.contains("`key` is a secret"), "{message}");
    assert!(!message.contains("4711"), "{message}");
}

#[test]
fn a_key_given_twice_in_a_file_is_refused() {
    let (_file, sources) = file("server: {workers: 1}\nkey: a\nkey: b\n");
    let message = load::<Demo>(&sources).unwrap_err().to_string();
    assert!(message.contains("duplicate"), "{message}");
}

#[test]
fn what_is_printed_loads_again() {
    let (_file, sources) = file(&print(&Demo::default()));
    assert_eq!(load::<Demo>(&sources).unwrap(), Demo::default());
}

proptest! {
    #[test]
    fn any_flag_and_any_file_gives_settings_or_an_error(flag in ".{0,40}", text in "[a-z:{}\\[\\]\\n -]{0,60}") {
        let _ = load::<Demo>(&Sources { flags: vec![flag], ..Sources::default() });
        let (_file, sources) = file(&text);
        let _ = load::<Demo>(&sources);
    }
}
